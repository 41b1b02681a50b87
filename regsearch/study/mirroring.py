"""What MLflow is told of a study: by a run as it goes, or at any time from what is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from regsearch.errors import warn
from regsearch.mirror import Artifact, Mirror, Status, View
from regsearch.mirror.content import study_record, summary_record, trial_record
from regsearch.mirror.pages import keep_page, keep_shown
from regsearch.mirror.records import StudyEnd
from regsearch.models.deadline import OUT_OF_TIME
from regsearch.models.path import Trajectory
from regsearch.progress import Progress
from regsearch.results.ranking import leaders
from regsearch.results.report import note, write_artifacts
from regsearch.results.results import Results
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial
from regsearch.study.commands import sync_command

LOG, LOCK = "mirror.log", "mirror.lock"
READY_S = 15.0  # seconds to wait for MLflow to say what it has, once the search has ended ...
WRITTEN_S = 30.0  # ... and for what is still to be written: what is not by then follows in the background
HURRIED_S = 0.5  # for either, where the search ended for one of these reasons:
LONG = 1000  # trials of a study whose report takes seconds: it is said that it is made
HURRIED = (OUT_OF_TIME, "interrupted")


@dataclass(frozen=True)
class MirrorOutcome:
    """What MLflow has got of a study.

    Attributes
    ----------
    status
        Of the mirror.
    unsent
        Trials that were not sent, MLflow having not said whether it has them.
    in_background
        Whether the rest is still being written.
    waited
        Whether it was waited for as long as it may take; not where the time of the run was up.
    """

    status: Status
    unsent: int = 0
    in_background: bool = False
    waited: bool = True

    @property
    def missing(self) -> int:
        """Trials that MLflow may lack for good."""
        return self.unsent + self.status.sent - self.status.mirrored

    @property
    def lacking(self) -> str:
        """What MLflow lacks though it was waited for, in words; empty where it lacks nothing."""
        if not self.waited or not (self.in_background or self.status.reason):
            return ""
        return f"{self.missing} trial{'s' * (self.missing != 1)}" if self.missing else "the summary"

    def __str__(self) -> str:
        return _written(self.status)


class MirrorFeed:
    """Feeds a study to its mirror.

    Parameters
    ----------
    tracking
        MLflow tracking URI.
    metric
        The one that decides.
    earlier
        Numbers of the trials that earlier runs finished: only MLflow can say which of them it has.
    outside
        Those of trials that the space has no more.
    """

    def __init__(
        self, tracking: str, store: Store, metric: str, earlier: Collection[int] = (), outside: Collection[int] = ()
    ) -> None:
        self.tracking, self.store, self.metric, self.earlier = tracking, store, metric, frozenset(earlier)
        self.outside = sorted(outside)
        self._mirror = Mirror(tracking, store.root / "artifacts", store.folder / LOG, store.folder / LOCK)
        self._view: View | None = None
        self._sent: set[int] = set()
        self._said = False
        self._page_kept = False

    def begin(self, identity: Mapping[str, Any], view: View) -> None:
        """Start with a run, which counts as interrupted until `finish` is told how it ended."""
        self._view = view
        keep_shown(self.store, self.tracking, view, "INTERRUPTED")
        self.start(identity, view)

    def start(self, identity: Mapping[str, Any], view: View | None) -> None:
        """Open the study's run in MLflow."""
        self._mirror.start(study_record(identity, view, self.outside))

    def send(self, trial: Trial, trajectory: Trajectory) -> None:
        """Send a trial; the search does not wait for it."""
        self._mirror.send(trial_record(trial, trajectory, self.metric, self.store.name))
        self._sent.add(trial.number)
        if not self._page_kept:
            self._keep_page(0.0)  # with the first trials already: a long search is looked at while it runs

    def say_trouble(self, progress: Progress) -> None:
        """Say once, while there is time to mend it, what MLflow would not take."""
        reason = self._mirror.status.reason
        if reason and not self._said:
            self._said = True
            progress.end(f"MLflow lacks something, the search goes on: {reason}.")

    def close(self) -> None:
        """Let the writer write what was sent, and nothing more."""
        self._mirror.close(READY_S)

    def finish(self, results: Results, progress: Progress) -> str:
        """End a run: MLflow gets what it has not got yet, and the user is told what it lacks.

        Returns
        -------
        str
            What it lacks; empty where that is nothing.
        """
        stopped = results.stopped
        status: StudyEnd = "FAIL" if not stopped else "INTERRUPTED" if stopped == "interrupted" else "COMPLETE"
        keep_shown(self.store, self.tracking, self._view, status)
        written = self.complete(results, status, progress, stopped in HURRIED, WRITTEN_S)
        command = sync_command(self.store, self.tracking)
        if written.in_background:
            said = f"{written}, the rest follows in the background; {command} writes what is missing then"
        elif written.lacking:
            reason = written.status.reason
            said = f"MLflow is missing {written.lacking} ({reason}); nothing is lost: {command} writes what is missing."
        else:
            said = str(written) if written.status.sent else ""
        if written.status.reason and progress.quiet:
            warn(said, RuntimeWarning)
        progress.end(said)
        return written.lacking

    def complete(
        self,
        results: Results,
        status: StudyEnd,
        progress: Progress,
        hurried: bool = False,
        patience_s: float | None = None,
    ) -> MirrorOutcome:
        """Send what is not in MLflow yet, then the summary, and wait.

        What is not written in time, and what is left at Ctrl-C while it waits, the writer goes on with by itself.

        Parameters
        ----------
        hurried
            Whether to wait for next to nothing.
        patience_s
            Seconds to wait otherwise; `None` waits for everything.
        """
        wait_s = HURRIED_S if hurried else patience_s
        try:
            unsent, reached = self._send_rest(results, status, progress, HURRIED_S if hurried else READY_S, wait_s)
            if unsent and not hurried and self._mirror.wait_ready(0.0):  # it was slow, and has said by now what it has
                unsent, reached = self._send_rest(results, status, progress, 0.0, wait_s)
            left = not (reached.finished or reached.reason)
            self._mirror.close(0.0 if left else wait_s)
        except KeyboardInterrupt:
            self._mirror.close(0.0)
            return MirrorOutcome(self._mirror.status, in_background=True, waited=False)
        except BaseException:
            self._mirror.close()
            raise
        if self._mirror.status.notice:
            progress.end(f"MLflow: {self._mirror.status.notice}.")
        return MirrorOutcome(self._mirror.status if left else reached, unsent, left, waited=not (left and hurried))

    def _send_rest(
        self, results: Results, status: StudyEnd, progress: Progress, ready_s: float, wait_s: float | None
    ) -> tuple[int, Status]:
        """Send earlier trials and the summary, and wait for what is written.

        Returns
        -------
        int
            How many earlier trials could not be sent, MLflow having not said what it has.
        Status
            Of the mirror then.
        """
        mirrored = self._keep_page(ready_s)
        unsure = self.earlier - self._sent if mirrored is None else frozenset()
        known = self._sent | unsure | (mirrored or frozenset())
        for trial in results.all:  # one of this run was cut off between Optuna and here: MLflow cannot have it
            if sendable(trial) and trial.number not in known:
                self.send(trial, self.store.trajectory(trial.number))
        self._finish_study(results, status, self._artifacts(results, progress))

        def show(reached: Status) -> None:
            if reached.sent:
                progress.show(_written(reached))

        return len(unsure), self._mirror.drain(wait_s, show)

    def _keep_page(self, timeout_s: float) -> frozenset[int] | None:
        """Remember where MLflow shows the study, once it has said so.

        Returns
        -------
        frozenset of int or None
            The trials that MLflow had then; `None` while it has said nothing.
        """
        ready = self._mirror.wait_ready(timeout_s)
        if ready is None:
            return None
        keep_page(self.store, self.tracking, ready)
        self._page_kept = True
        return ready.mirrored

    def _artifacts(self, results: Results, progress: Progress) -> list[Artifact]:
        if len(results.all) >= LONG:
            progress.show(f"{results.name}: its {len(results.all)} trials are read for the report")
        try:
            return write_artifacts(results, self.store.folder / "report")
        except OSError as error:
            progress.end(f"The report could not be written: {error}.")
            return []

    def _finish_study(self, results: Results, status: StudyEnd, artifacts: list[Artifact]) -> None:
        end_ms = max((trial.end_ms for trial in results.all), default=0)
        best = results.candidates[0] if results.complete else None
        ended = (trial for trial in results.complete if not trial.stands)  # a series of what will not change any more
        done = sorted(ended, key=lambda trial: trial.number)
        led = leaders(done, results.references, self.metric)
        so_far = {trial.number: one.points[self.metric].val for trial, one in zip(done, led, strict=True)}
        said = note(results), artifacts
        self._mirror.finish(summary_record(status, end_ms, results.all, self.metric, best, so_far, *said))


def sendable(trial: Trial) -> bool:
    """Whether there is something of a trial that MLflow can show."""
    return trial.config is not None and trial.state != "damaged"


def _written(status: Status) -> str:
    return f"MLflow: {status.mirrored} of {status.sent} trials written"
