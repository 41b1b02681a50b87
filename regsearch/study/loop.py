"""The search loop: ask, stream, tell.

Optuna proposes, a backend evaluates, and each outcome goes, in this order, to the array store, to Optuna (from then on
the trial is complete), and to the mirror. Killing the process at any point loses the trials in flight, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.errors import NotFound, SearchFailed
from regsearch.metrics.statistics import scores_without
from regsearch.mirror import Mirror
from regsearch.mirror.content import trial_record
from regsearch.models.base import Candidate, Incumbent, Model, Outcome, Setup
from regsearch.models.path import Curves
from regsearch.results.ranking import judged, takes_the_lead
from regsearch.space.config import digest
from regsearch.space.params import columns
from regsearch.space.sampling import fill, sample, size, starts
from regsearch.space.tree import Node
from regsearch.storage.arrays import to_arrays
from regsearch.storage.store import Store
from regsearch.storage.trial import ATTRIBUTE, Trial, recall, remember
from regsearch.study.sampler import make_sampler

if TYPE_CHECKING:
    import optuna

FAILURES = 5  # this many failed trials and none complete: the next ones would fail alike


@dataclass
class Search:
    """One run of a search over a stored Optuna study.

    Attributes
    ----------
    setup, space
        What is evaluated, and what is searched.
    optuna_study
        The truth.
    store
        Where arrays go.
    sampler
        The user's sampler, a function from the number of trials so far to one, or `None` for the default.
    mirror
        Where trials are copied to, or `None`.
    notice
        Called with each finished trial.
    """

    setup: Setup
    space: Model
    optuna_study: optuna.Study
    store: Store
    sampler: optuna.samplers.BaseSampler | None = None
    mirror: Mirror | None = None
    notice: Callable[[Trial], None] = lambda trial: None
    stopped: str = ""
    sent: set[int] = field(default_factory=set)  # trials handed to the mirror
    _asked: dict[int, optuna.trial.Trial] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)  # config -> the trial that evaluated it
    _twins: dict[int, dict[str, Any]] = field(default_factory=dict)  # arrays of configs that came up again
    _visited: set[str] = field(default_factory=set)  # configs of the space that have had a trial
    _done: list[Trial] = field(default_factory=list)
    _leader: Trial | None = None  # the best of them
    _ready: list[Outcome] = field(default_factory=list)  # outcomes that needed no fit

    def __post_init__(self) -> None:
        self._incumbent = self.setup.incumbent or Incumbent()
        # a sampler that has nothing left to propose says so here; Optuna's own method serves its own loop only
        setattr(self.optuna_study, "stop", self._stop)  # noqa: B010

    def _stop(self) -> None:
        self.stopped = "the sampler has nothing left to propose"

    @property
    def metric(self) -> str:
        return self.setup.metrics[0].name

    def run(self, n_trials: int | None, timeout: float | None, patience: int | None) -> None:
        """Search until a limit is reached; see `Study.run`. `stopped` says which.

        Raises
        ------
        SearchFailed
            When the first trials all fail.
        """
        try:
            self._restore()
            backend = self.space.backend(replace(self.setup, past=self._past()))
            for outcome in backend.stream(self._candidates(n_trials, timeout, patience)):
                self._finish(outcome)
                self._finish_ready()
            self._finish_ready()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        finally:
            self._give_back()

    # --- ask ---------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Take up where the stored study was: what was in flight when it was killed goes back into the queue."""
        import optuna

        stored = self.optuna_study.get_trials(deepcopy=False)
        for frozen in stored:
            if frozen.state == optuna.trial.TrialState.RUNNING:
                self._requeue(frozen)
            elif ATTRIBUTE in frozen.user_attrs and frozen.state.is_finished():
                self._note(recall(frozen))
        first = [("reference", {}), *(("start", params) for params in starts(self.space))]
        for role, params in first[sum("role" in frozen.user_attrs for frozen in stored) :]:
            self.optuna_study.enqueue_trial(params, user_attrs={"role": role})
        self._restore_incumbent()

    def _requeue(self, frozen: optuna.trial.FrozenTrial) -> None:
        """Let a trial wait under its own number; one that was killed while it was being proposed is proposed anew."""
        import optuna

        state = optuna.trial.TrialState.WAITING
        if "role" not in frozen.user_attrs:
            try:
                fill(self.space, frozen.params)
            except NotFound:
                state = optuna.trial.TrialState.FAIL
        self.optuna_study._storage.set_trial_state_values(frozen._trial_id, state)

    def _restore_incumbent(self) -> None:
        if self._leader is not None:
            self._incumbent.accept(self.store.curves(self._leader.number, self.metric).val[:, self._leader.step])

    def _past(self) -> tuple[Array, ...]:
        done = [trial for trial in self._done if trial.state != "failed" and trial.role != "reference"]
        return tuple(self.store.curves(trial.number, self.metric).mean() for trial in done)

    def _candidates(self, n_trials: int | None, timeout: float | None, patience: int | None) -> Iterator[Candidate]:
        """What the backend pulls: new configs until a limit is reached; a config seen before costs no fit."""
        deadline = None if timeout is None else time.monotonic() + timeout
        configs = size(self.space)
        while not self._limit(n_trials, deadline, patience, configs):
            trial = self._ask()
            role = trial.user_attrs.get("role", "")
            config = self.space.reference() if role == "reference" else sample(self.space, trial)
            self._asked[trial.number] = trial
            if role != "reference":
                self._visited.add(digest(config))
            twin = self._seen.get(digest(config))
            if twin is None:
                yield Candidate(trial.number, config, role)
            else:
                self._ready.append(self._repeat(twin, Candidate(trial.number, config, role)))
                self._finish_ready()

    def _limit(self, n_trials: int | None, deadline: float | None, patience: int | None, configs: int | None) -> bool:
        count = len(self._done) + len(self._asked)
        if n_trials is not None and count >= n_trials:
            self.stopped = f"{n_trials} trials"
        elif deadline is not None and time.monotonic() >= deadline:
            self.stopped = "time is up"
        elif patience is not None and self._since_best() >= patience:
            self.stopped = f"no improvement in {patience} trials"
        elif configs is not None and len(self._visited) >= configs:
            self.stopped = f"all {configs} configs of the space are evaluated"
        return bool(self.stopped)

    def _since_best(self) -> int:
        """Finished trials since the best one, whether they were complete, pruned or failed."""
        scores = [
            trial.points[self.metric].val if trial.state == "complete" and trial.points else -np.inf
            for trial in self._done
        ]
        return len(scores) - 1 - int(np.argmax(scores)) if scores else 0

    def _ask(self) -> optuna.trial.Trial:
        count = len(self._done) + len(self._asked)
        if self.sampler is None:
            self.optuna_study.sampler = make_sampler(self.space, self.setup.seed, count, self._has_visited)
        else:
            self.optuna_study.sampler = self.sampler(count) if callable(self.sampler) else self.sampler
        return self.optuna_study.ask()

    def _has_visited(self, config: Node) -> bool:
        return digest(config) in self._visited

    def _repeat(self, twin: int, candidate: Candidate) -> Outcome:
        """The outcome of an equal config, under a new number: results depend on the config alone."""
        if twin not in self._twins:
            self._twins[twin] = self.store.arrays(twin)
        arrays = self._twins[twin]
        first = next(trial for trial in self._done if trial.number == twin)
        names = [metric.name for metric in self.setup.metrics]
        return Outcome(
            candidate.number, candidate.config, "complete", candidate.role,
            {name: Curves(arrays[f"train/{name}"], arrays[f"val/{name}"]) for name in names},
            arrays["axis"], arrays["complexity"], first.step, arrays.get("predictions"),
            reason=f"same config as trial {twin}",
        )  # fmt: skip

    # --- tell --------------------------------------------------------------------------------------------------

    def _finish_ready(self) -> None:
        while self._ready:
            self._finish(self._ready.pop(0))

    def _finish(self, outcome: Outcome) -> None:
        test: dict[str, float] = {}
        parts: list[float] = []
        if self._improves(outcome):
            outcome, test, parts = self._on_test(outcome)
        arrays = to_arrays(outcome)
        self.store.save(outcome.number, arrays)
        asked = self._asked.pop(outcome.number)
        asked.set_user_attr(ATTRIBUTE, remember(outcome, columns(self.space), test, parts))
        trial = recall(self._tell(asked, outcome))
        self._note(trial)
        if self.mirror is not None:
            self.mirror.send(trial_record(trial, arrays, self.metric))
            self.sent.add(trial.number)
        self.notice(trial)
        if len(self._done) >= FAILURES and all(one.state == "failed" for one in self._done):
            raise SearchFailed(f"The first {len(self._done)} trials all failed, the last with: {outcome.reason}")

    def _tell(self, asked: optuna.trial.Trial, outcome: Outcome) -> optuna.trial.FrozenTrial:
        import optuna

        if outcome.state == "failed":
            return self.optuna_study.tell(asked, state=optuna.trial.TrialState.FAIL)
        value = outcome.point(self.metric).val
        if outcome.state == "pruned":
            step = int(np.isfinite(outcome.curves[self.metric].val).sum())  # how far it got
            frozen = self.optuna_study._storage.get_trial(asked._trial_id)
            if step not in frozen.intermediate_values:  # a trial that was cut off just here is told a second time
                asked.report(value, step=step)
            return self.optuna_study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        return self.optuna_study.tell(asked, value)

    def _improves(self, outcome: Outcome) -> bool:
        if outcome.state != "complete":
            return False
        self._incumbent.offer(outcome)
        return self._leads(judged(outcome))

    def _leads(self, trial: Trial) -> bool:
        reference = next((one for one in self._done if one.role == "reference"), None)
        return takes_the_lead(trial, self._leader, reference, self.metric)

    def _on_test(self, outcome: Outcome) -> tuple[Outcome, dict[str, float], list[float]]:
        """Scores of the refitted config on the held-out set, the deciding one also of its parts: for no decision."""
        test = self.setup.problem.test
        if test is None:
            return outcome, {}, []
        try:
            fitted = outcome.chosen.refit(self.setup.problem, self.setup.seed)
            scores = {metric.name: metric.score(fitted, test) for metric in self.setup.metrics}
            return outcome, scores, scores_without(self.setup.metrics[0], fitted, test)
        except Exception as error:  # noqa: BLE001 - anyone's estimator and scorer: the trial itself is sound
            return replace(outcome, reason=f"held-out set not scored: {type(error).__name__}: {error}"), {}, []

    def _note(self, trial: Trial) -> None:
        self._done.append(trial)
        if trial.role != "reference":
            self._visited.add(trial.key)
        if trial.state == "complete":
            self._seen.setdefault(trial.key, trial.number)
            self._leader = trial if self._leads(trial) else self._leader

    def _give_back(self) -> None:
        """Put what was asked for and not told back into the queue: nothing stays in flight."""
        import optuna

        for frozen in self.optuna_study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            self._requeue(frozen)
        self._asked.clear()
