"""One run of a study: open what is stored, search, keep the user and MLflow informed, read the results."""

from __future__ import annotations

import gc
import io
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from regsearch.data.profile import profile
from regsearch.data.suspects import suspects
from regsearch.errors import SearchFailed, StorageFailed, warn
from regsearch.metrics.scorer import label_of
from regsearch.mirror.address import unanswered
from regsearch.mirror.content import view_of
from regsearch.models.base import Backend, Model, Setup
from regsearch.models.deadline import Deadline, StopRequest
from regsearch.models.path import Trajectory
from regsearch.models.writable import obstacle
from regsearch.parallel.backend import WorkersBackend
from regsearch.parallel.crew import Workers
from regsearch.parallel.local import Local
from regsearch.progress import Progress
from regsearch.results.choice import Chosen
from regsearch.results.results import Results, read_results
from regsearch.results.stored_study import Scoring
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.run_record import RunRecord
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial, counted
from regsearch.study.callbacks import Listeners
from regsearch.study.history import History
from regsearch.study.limits import Limits
from regsearch.study.loop import SearchLoop
from regsearch.study.mirroring import MirrorFeed
from regsearch.study.progress_line import ProgressLine, farewell
from regsearch.study.slow_trials import in_flight

GRACE_S = 0.5  # after its time is up, for what a run may still do


@contextmanager
def frozen_garbage() -> Iterator[None]:
    """Have Python look for garbage among what is made within the block alone.

    Libraries have hundreds of thousands of objects that stay: to go through them again and again takes a twentieth of
    the time of a fast trial. What a program has frozen itself stays as it is.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class Run:
    """What a run needs.

    Attributes
    ----------
    identity
        What makes the study itself, as stored with it.
    tracking
        MLflow tracking URI, or `None` to keep MLflow out.
    sampler
        See `regsearch.study.loop.SearchLoop`.
    first
        See `regsearch.study.loop.SearchLoop`.
    workers
        Who evaluates candidates; by default this process.
    in_turn
        See `regsearch.parallel.backend.WorkersBackend`.
    listeners
        Who hears of each finished trial, and how the run is asked to end.
    """

    setup: Setup
    space: Model
    store: Store
    identity: Mapping[str, Any]
    tracking: str | None
    sampler: Any
    first: Sequence[Mapping[str, Any]] = ()
    workers: Workers | None = None
    in_turn: bool = False
    listeners: Listeners = field(default_factory=lambda: Listeners((), None, StopRequest()))

    def run(self, limits: Limits, progress: Progress) -> Results:
        """Search until a limit is reached; the results also after Ctrl-C."""
        deadline = replace(limits.begin(), request=self.listeners.request)
        with OptunaStudy.open(self.store, self.identity) as study:
            change = study.go_on_in(self.space, self.identity)
            if change is not None:
                self._notify(str(change), progress)
            before = self._results(study)
            with self._recorded(study, before, limits):
                return self._search(study, before, limits, deadline, progress)

    @contextmanager
    def _recorded(self, study: OptunaStudy, before: Results, limits: Limits) -> Iterator[None]:
        """Let those who watch know of a run, and that it is over wherever it ends: its process may live on."""
        study.keep_run(self._record(before, limits))
        try:
            yield
        except StorageFailed:  # so nothing can be kept
            raise
        except BaseException as error:
            self._end_record(study, "interrupted" if isinstance(error, KeyboardInterrupt) else "")
            raise

    @staticmethod
    def _record(before: Results, limits: Limits) -> RunRecord:
        now_ms = round(time.time() * 1000)
        until_ms = now_ms + round(1000 * limits.timeout) if limits.timeout and math.isfinite(limits.timeout) else None
        return RunRecord.here(now_ms, counted(before.all), limits.n_trials, until_ms)

    def _search(
        self, study: OptunaStudy, before: Results, limits: Limits, deadline: Deadline, progress: Progress
    ) -> Results:
        self._say(before.damage, progress)
        self._keep_data(progress)
        progress.end(self._about())
        self._say_what_folds_lack(progress)
        self._look_at_columns(progress)
        self._warn_of_export(progress)
        history = History(self.store, self.setup.metrics[0].name)
        line = ProgressLine(progress, limits, deadline, history, before.metric_label, partial(in_flight, study))

        def on_trial(trial: Trial, trajectory: Trajectory) -> None:
            if feed is not None:
                feed.send(trial, trajectory)
                feed.say_trouble(progress)
            self._tell(trial, progress)
            line.show(trial)

        setup = replace(self.setup, history=history, notice=line.notice, on_way=history.note_on_way, deadline=deadline)
        damaged = [trial.number for trial in before.all if trial.state == "damaged"]
        loop = SearchLoop(
            setup, self.space, study, self.store, history, self.sampler, on_trial, self._backend(self.workers),
            self._backend(Local(1)) if self.workers is None else None, damaged, self.first,
        )  # fmt: skip
        feed = self._feed(study, progress)
        try:
            with frozen_garbage():
                loop.run(limits)
            if self.listeners.failure is not None:
                loop.stopped = "a callback failed"
        except StorageFailed:  # so nothing more can be read or kept
            progress.end()
            if feed is not None:
                feed.close()
            raise
        except BaseException:
            self._end(study, loop, feed, progress)
            raise
        results = self._end(study, loop, feed, progress)
        progress.end(farewell(results, line.shown))
        if self.listeners.failure is not None:
            raise self.listeners.failure
        if history.failures and loop.stopped != "interrupted" and not results.counts["stopped"]:
            raise SearchFailed(f"Every trial{history.why_failed()}")
        return results

    def _tell(self, trial: Trial, progress: Progress) -> None:
        """Let the callbacks hear of a trial; what they print stands on lines of its own."""
        if self.listeners.callbacks:
            progress.clear()
        self.listeners.hear(trial)

    def _backend(self, workers: Workers | None) -> Callable[[Setup], Backend] | None:
        """What evaluates candidates on workers; `None` without any."""
        return (
            None
            if workers is None
            else lambda setup: WorkersBackend(self.space, setup, workers, str(self.identity["script"]), self.in_turn)
        )

    def _end(self, study: OptunaStudy, loop: SearchLoop, feed: MirrorFeed | None, progress: Progress) -> Results:
        """What a search that has ended found, kept and in MLflow."""
        progress.end()
        self._end_record(study, loop.stopped)
        results = replace(self._results(study), stopped=loop.stopped)
        if results.complete:
            self._keep_findings(results, feed is not None, loop.setup.deadline.left_for_findings() + GRACE_S, progress)
        if feed is not None:
            return replace(results, unmirrored=feed.finish(results, progress))
        return results

    @staticmethod
    def _end_record(study: OptunaStudy, stopped: str) -> None:
        run = study.last_run
        if run is not None and run.ended_ms is None:
            study.keep_run(replace(run, ended_ms=round(time.time() * 1000), stopped=stopped))

    @staticmethod
    def _say(damage: Sequence[str], progress: Progress) -> None:
        """Say what of a stored study cannot be read, a line each."""
        for one in damage:
            progress.end(f"Damaged: {one}")
            if progress.quiet:
                warn(one, RuntimeWarning)

    @staticmethod
    def _notify(said: str, progress: Progress) -> None:
        progress.end(said)
        if progress.quiet:
            warn(said)

    def _results(self, study: OptunaStudy) -> Results:
        return read_results(self.store, study, self.space, Scoring.of(self.setup))

    def _feed(self, study: OptunaStudy, progress: Progress) -> MirrorFeed | None:
        if self.tracking is None:
            return None
        if (silence := unanswered(self.tracking)) is not None:
            progress.end(f"{silence}; the search goes on, and what is missing is written once it does.")
        trials = study.trials()
        earlier = [trial.number for trial in trials if trial.config is not None]
        outside = [trial.number for trial in trials if trial.outside]
        feed = MirrorFeed(self.tracking, self.store, self.setup.metrics[0].name, earlier, outside)
        feed.begin(study.identity, view_of(study.identity["metrics"], self.space))
        return feed

    def _about(self) -> str:
        identity = self.identity
        weighted = bool(identity.get("weighted"))
        held = f", {self.setup.problem.test.rows} held out" if self.setup.problem.test is not None else ""
        return (
            f"{identity['study']}: {identity['task']}, {identity['rows']} rows{held}, {identity['columns']} columns, "
            f"{identity['cv']}, {label_of(identity['metric'], weighted)}{self._pooled}"
        )

    def _say_what_folds_lack(self, progress: Progress) -> None:
        folds = self.setup.folds
        if folds.weightless:
            which = f"{folds.weightless} of the {len(folds) + folds.weightless} folds"
            what = "no row that scores" if folds.rare else "rows of weight zero alone"
            progress.end(
                f"{which} validate{'s' * (folds.weightless == 1)} {what} and "
                f"{'is' if folds.weightless == 1 else 'are'} left out."
            )
        if folds.rare is not None:
            progress.end(str(folds.rare))
            if progress.quiet:
                warn(str(folds.rare))

    @property
    def _pooled(self) -> str:
        """Which scores are computed once on all folds together, in words; usually none."""
        names = [metric.name for metric in self.setup.metrics if metric.pooled]
        return f" ({', '.join(names)}: one score of all rows outside training, not one a fold)" if names else ""

    def _warn_of_export(self, progress: Progress) -> None:
        """Say in a line that what will be found cannot be exported, where that is known before anything is fitted."""

        def look() -> None:
            transform = self.setup.problem.transform
            why = self.space.cannot_be_exported() or (obstacle([transform.transformer]) if transform else "")
            if why:
                progress.end(f"What this study finds cannot be exported: {why}")

        if not progress.quiet:
            self._keep("Whether it can be exported: not found out", look, progress)

    # --- what is kept beside the trials ------------------------------------------------------------------------

    def _keep_data(self, progress: Progress) -> None:
        """Keep folds, targets and a few numbers about the data; a study that goes on has the numbers."""
        if self.setup.problem.table is not None:
            progress.show(f"{self.identity['study']}: looking at the data")
        self.store.save_folds(self.setup.folds, self.setup.averaging)
        self.store.save_targets(self.setup.problem)
        if self.store.finding("profile") is None:
            self._keep("The profile of the data could not be made", self._describe, progress)
        if self.store.finding("suspects") is None:
            self._keep("The columns could not be looked at", self._suspect, progress)

    def _look_at_columns(self, progress: Progress) -> None:
        """Say which columns are worth a look, a line for each kind."""
        for line in (self.store.finding("suspects") or {}).get("lines", ()):
            progress.end(line)

    def _keep_findings(self, results: Results, pictures: bool, left_s: float, progress: Progress) -> None:
        """Keep what the winner's numbers mean on the data, and for a report what the space has to show on them.

        To find out takes about as long as the winner did, and is left to a run that has so many seconds.
        """
        failure = "What the winner means: not found out"
        if self.setup.problem.table is not None:
            progress.show("finding out what the winner means")
        if results.best.trial.seconds <= left_s:
            self._keep(failure, lambda: self._explain(results.best), progress)
        else:
            progress.end(f"{failure} in so little time; a run with more finds it out")
        if pictures:
            self._keep("The pictures of the space could not be drawn", self._draw, progress)

    def _describe(self) -> None:
        self.store.save_finding("profile", profile(self.setup.problem))

    def _suspect(self) -> None:
        self.store.save_finding("suspects", suspects(self.setup.problem).data())

    def _explain(self, best: Chosen) -> None:
        found = best.config.explain(self.setup.problem, self.setup.folds, self.setup.seed)
        for name, finding in found.items():
            self.store.save_finding(name, {"number": best.number, "step": best.step, **finding})

    def _draw(self) -> None:
        for name, picture in self.space.figures(self.setup.problem, self.setup.seed).items():
            png = io.BytesIO()
            picture.savefig(png, format="png", dpi=130)
            self.store.save_picture(name, png.getvalue())

    @staticmethod
    def _keep(failure: str, keep: Callable[[], None], progress: Progress) -> None:
        """Keep something; a failure is said in a line, and never costs a study."""
        try:
            keep()
        except KeyboardInterrupt:
            progress.end(f"{failure}: interrupted")
        except Exception as error:  # noqa: BLE001 - anyone's data and code
            progress.end(f"{failure}: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
