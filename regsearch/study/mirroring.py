"""What a run tells the mirror: the study, each trial, and at the end what MLflow has not got yet."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

from regsearch.mirror import Artifact, Mirror, Status
from regsearch.mirror.content import study_record, summary_record, trial_record
from regsearch.mirror.pages import keep_page
from regsearch.models.base import Model
from regsearch.models.deadline import OUT_OF_TIME
from regsearch.models.path import Trajectory
from regsearch.progress import Progress
from regsearch.results.report import note, write_artifacts
from regsearch.results.results import Results
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial

LOG, LOCK = "mirror.log", "mirror.lock"
READY_S = 15.0  # seconds to wait for MLflow to say what it has, once the search has ended ...
HURRIED_S = 0.5  # ... and for what is still to be written, where it ended for one of these reasons:
HURRIED = (OUT_OF_TIME, "interrupted")


class MirrorFeed:
    """Feeds one run of a study to its mirror.

    Parameters
    ----------
    tracking
        MLflow tracking URI.
    metric
        The one that decides.
    earlier
        Numbers of the trials that earlier runs finished: only MLflow can say which of them it has.
    """

    def __init__(self, tracking: str, store: Store, metric: str, earlier: Collection[int] = ()) -> None:
        self.tracking, self.store, self.metric, self.earlier = tracking, store, metric, frozenset(earlier)
        self._mirror = Mirror(tracking, store.root / "artifacts", store.folder / LOG, store.folder / LOCK)
        self._sent: set[int] = set()

    def start(self, identity: Mapping[str, Any], space: Model) -> None:
        """Open the study's run in MLflow."""
        self._mirror.start(study_record(identity, space))

    def send(self, trial: Trial, trajectory: Trajectory) -> None:
        """Send a trial; the search does not wait for it."""
        self._mirror.send(trial_record(trial, trajectory, self.metric))
        self._sent.add(trial.number)
        self._keep_page(0.0)  # with the first trials already: a long search is looked at while it runs

    def close(self) -> None:
        """Let the writer write what was sent, and nothing more."""
        self._mirror.close(READY_S)

    def finish(self, results: Results, progress: Progress) -> None:
        """Send what is not in MLflow yet, then the summary, and wait.

        A run that had to end, and Ctrl-C while it waits, leave the writer to itself.
        """
        wait_s = HURRIED_S if results.stopped in HURRIED else None
        try:
            unsent = self._complete(results, progress)
            status = self._mirror.drain(wait_s, lambda status: progress.show(_written(status)))
            left = not (status.finished or status.reason)
            self._mirror.close(0.0 if left else wait_s)
        except KeyboardInterrupt:
            self._mirror.close(0.0)
            left = True
        except BaseException:
            self._mirror.close()
            raise
        if self._mirror.status.notice:
            progress.end(f"MLflow: {self._mirror.status.notice}.")
        if left:
            progress.end(f"{_written(self._mirror.status)}, the rest follows in the background")
            return
        if status.sent:
            progress.end(_written(status))
        if status.reason:
            self._warn(unsent + status.sent - status.mirrored, status.reason, progress)

    @staticmethod
    def _warn(missing: int, reason: str, progress: Progress) -> None:
        said = f"MLflow is missing {missing} trials ({reason}); nothing is lost: run the study again to write them."
        if progress.quiet:
            warnings.warn(said, RuntimeWarning, stacklevel=5)
        progress.end(said)

    def _complete(self, results: Results, progress: Progress) -> int:
        """Send earlier trials and the summary.

        Returns
        -------
        int
            How many earlier trials could not be sent, MLflow having not said what it has.
        """
        mirrored = self._keep_page(HURRIED_S if results.stopped in HURRIED else READY_S)
        unsure = self.earlier if mirrored is None else frozenset()
        known = self._sent | unsure | (mirrored or frozenset())
        for trial in results.all:  # one of this run was cut off between Optuna and here: MLflow cannot have it
            if trial.config is not None and trial.state != "damaged" and trial.number not in known:
                self._mirror.send(trial_record(trial, self.store.trajectory(trial.number), self.metric))
        self._finish_study(results, self._artifacts(results, progress))
        return len(unsure)

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
        return ready.mirrored

    def _artifacts(self, results: Results, progress: Progress) -> list[Artifact]:
        try:
            return write_artifacts(results, self.store.folder / "report")
        except OSError as error:
            progress.end(f"The report could not be written: {error}.")
            return []

    def _finish_study(self, results: Results, artifacts: list[Artifact]) -> None:
        stopped = results.stopped
        status = "COMPLETE" if stopped and stopped != "interrupted" else "INTERRUPTED" if stopped else "FAIL"
        end_ms = max((trial.end_ms for trial in results.all), default=0)
        best = results.candidates[0] if results.complete else None
        self._mirror.finish(summary_record(status, end_ms, results.all, self.metric, best, note(results), artifacts))


def _written(status: Status) -> str:
    return f"MLflow: {status.mirrored} of {status.sent} trials written"
