"""One run of a study: open what is stored, search, keep the user and MLflow informed, read the results."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from regsearch.data.profile import facts
from regsearch.errors import SearchFailed
from regsearch.mirror import Mirror, Status
from regsearch.mirror.content import keep_page, study_record, summary_record, trial_record
from regsearch.models.base import Incumbent, Model, Setup
from regsearch.progress import Progress
from regsearch.results.report import note, write_artifacts
from regsearch.results.results import Results, read_results
from regsearch.results.table import Judge
from regsearch.storage.optuna_study import IDENTITY, open_study
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial
from regsearch.study.loop import Search
from regsearch.study.progress_line import ProgressLine, farewell

if TYPE_CHECKING:
    pass

MIRROR_LOG = "mirror.log"
READY_S = 15.0  # seconds to wait for MLflow to say what it has, once the search has ended


@dataclass(frozen=True)
class Limits:
    """When a run ends; see `regsearch.Study.run`."""

    n_trials: int | None
    timeout: float | None
    patience: int | None


@dataclass(frozen=True)
class Running:
    """What a run needs.

    Attributes
    ----------
    identity
        What makes the study itself, as stored with it.
    tracking
        MLflow tracking URI, or `None` to keep MLflow out.
    sampler
        See `regsearch.study.loop.Search`.
    prune
        Whether hopeless configs are given up.
    """

    setup: Setup
    space: Model
    store: Store
    identity: Mapping[str, Any]
    tracking: str | None
    sampler: Any
    prune: bool

    def run(self, limits: Limits, progress: Progress) -> Results:
        """Search until a limit is reached; the results also after Ctrl-C."""
        study = open_study(self.store, self.identity)
        self.store.save_folds(self.setup.folds)
        self.store.save_targets(self.setup.problem)
        self._describe(progress)
        progress.end(self._about())
        mirror = None if self.tracking is None else self._mirror(self.tracking)
        if mirror is not None:
            mirror.start(study_record(study.user_attrs[IDENTITY], self.space))
        judge = Judge(self.setup.problem, self.setup.folds, self.setup.metrics[0])
        before = read_results(self.store, study, self.space, judge)
        line = ProgressLine(progress, limits.n_trials, before)
        setup = replace(self.setup, incumbent=Incumbent() if self.prune else None, notice=line.notice)

        def told(trial: Trial) -> None:
            line.show(trial)
            self._keep_page(mirror)  # with the first trials already: a long search is looked at while it runs

        search = Search(setup, self.space, study, self.store, self.sampler, mirror, told)
        try:
            search.run(limits.n_trials, limits.timeout, limits.patience)
        finally:
            progress.end()
            results = replace(read_results(self.store, study, self.space, judge), stopped=search.stopped)
            self._explain(results, progress)
            if mirror is not None:
                self._finish_mirror(mirror, results, search.sent, progress)
        progress.end(farewell(results))
        if not results.complete and results.counts["failed"] and search.stopped != "interrupted":
            raise SearchFailed(f"Every trial failed, the last with: {results.last_failure}")
        return results

    def _about(self) -> str:
        identity = self.identity
        held = f", {self.setup.problem.test.rows} held out" if self.setup.problem.test is not None else ""
        return (
            f"{identity['study']}: {identity['task']}, {identity['rows']} rows{held}, {identity['columns']} columns, "
            f"{identity['cv']}, {identity['metric']}"
        )

    # --- findings ----------------------------------------------------------------------------------------------

    def _describe(self, progress: Progress) -> None:
        """Keep a few numbers about the data; a study that goes on has them."""
        if self.store.finding("facts") is None:
            self._find("The facts about the data", lambda: {"facts": facts(self.setup.problem)}, progress)

    def _explain(self, results: Results, progress: Progress) -> None:
        """Keep what the winner's numbers mean on the data."""
        if results.complete:
            parts, best = (self.setup.problem, self.setup.folds, self.setup.seed), results.best
            origin = {"number": best.number, "step": best.step}
            self._find(
                "What the winner means",
                lambda: {name: origin | found for name, found in best.config.explain(*parts).items()}, progress,
            )  # fmt: skip

    def _find(self, what: str, find: Callable[[], Mapping[str, Any]], progress: Progress) -> None:
        """Keep findings by name; what cannot be found out is said in a line, and never costs a study."""
        try:
            for name, found in find().items():
                self.store.save_finding(name, found)
        except KeyboardInterrupt:
            progress.end(f"{what}: left out, interrupted")
        except Exception as error:  # noqa: BLE001 - anyone's data and code
            progress.end(f"{what}: not found out, {type(error).__name__}: {str(error).partition(chr(10))[0]}")

    # --- mirror ------------------------------------------------------------------------------------------------

    def _mirror(self, tracking: str) -> Mirror:
        return Mirror(tracking, self.store.root / "artifacts", self.store.folder / MIRROR_LOG)

    def _keep_page(self, mirror: Mirror | None) -> None:
        """Once MLflow has said where it shows the study, remember it."""
        ready = mirror.wait_ready(0.0) if mirror is not None else None
        if ready is not None and self.tracking is not None:
            keep_page(self.store, self.tracking, ready)

    def _finish_mirror(self, mirror: Mirror, results: Results, sent: set[int], progress: Progress) -> None:
        """Send what is not in MLflow yet, then the summary, and wait. Ctrl-C leaves the writer to itself."""
        try:
            with mirror:
                missing = self._tell_mirror(mirror, results, sent, progress)
                status = mirror.drain(progress=lambda status: progress.show(_written(status)))
        except KeyboardInterrupt:
            progress.end(f"{_written(mirror.status)}, the rest follows in the background")
            return
        if status.sent:
            progress.end(_written(status))
        if status.reason:
            missing += status.sent - status.mirrored
            said = (
                f"MLflow is missing {missing} trials ({status.reason}); nothing is lost: "
                "run the study again to write them."
            )
            if progress.quiet:
                warnings.warn(said, RuntimeWarning, stacklevel=4)
            progress.end(said)

    def _tell_mirror(self, mirror: Mirror, results: Results, sent: set[int], progress: Progress) -> int:
        """Returns how many earlier trials could not be sent, MLflow having not said what it has."""
        ready = mirror.wait_ready(READY_S if results.stopped != "interrupted" else 1.0)
        self._keep_page(mirror)
        known = sent if ready is None else sent | ready.mirrored
        earlier = [trial for trial in results.all if trial.config and trial.number not in known]
        for trial in earlier if ready is not None else ():
            mirror.send(trial_record(trial, self.store.arrays(trial.number), results.metric))
        self._keep_pictures(results, progress)
        try:
            artifacts = write_artifacts(results, self.store.folder / "report")
        except OSError as error:
            progress.end(f"The report could not be written: {error}.")
            artifacts = []
        best = results.complete[0] if results.complete else None
        end = max((trial.end_ms for trial in results.all), default=0)
        stopped = results.stopped
        ended = "COMPLETE" if stopped and stopped != "interrupted" else "INTERRUPTED" if stopped else "FAIL"
        mirror.finish(summary_record(ended, end, results.all, results.metric, best, note(results), artifacts))
        return 0 if ready is not None else len(earlier)

    def _keep_pictures(self, results: Results, progress: Progress) -> None:
        """Draw what the space has to show on the data; a study that has nothing to report yet needs none."""
        if not results.complete:
            return
        try:
            for name, picture in self.space.figures(self.setup.problem, self.setup.seed).items():
                png = io.BytesIO()
                picture.savefig(png, format="png", dpi=130)
                self.store.save_picture(name, png.getvalue())
        except Exception as error:  # noqa: BLE001 - anyone's code and data: a picture is not worth a study
            reason = str(error).partition("\n")[0]
            progress.end(f"The pictures of the space could not be drawn: {type(error).__name__}: {reason}")


def _written(status: Status) -> str:
    return f"MLflow: {status.mirrored} of {status.sent} trials written"
