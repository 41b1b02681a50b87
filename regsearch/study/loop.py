"""The search loop: ask, stream, tell.

Optuna proposes, a backend evaluates, and each outcome becomes a trial, which goes, in this order, to the array store,
to Optuna (from then on it is finished), to the history that the next decisions read, and to whoever listens. Killing
the process at any point loses the trials in flight, nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.errors import InvalidInput, NotFound, RegsearchError, SearchFailed, StorageFailed
from regsearch.metrics.statistics import scores_without
from regsearch.models.base import REFERENCE, Backend, Candidate, Model, Outcome, Setup
from regsearch.models.deadline import OutOfTime
from regsearch.models.path import Trajectory
from regsearch.parallel.shipping import Unshippable
from regsearch.space.config import digest
from regsearch.space.params import ParameterNames, parameter_names
from regsearch.space.sampling import distinct, fill, sample, size
from regsearch.space.starts import initial_params, reference_params
from regsearch.space.tree import Node
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.store import Store
from regsearch.storage.trial import OUTSIDE, Trial
from regsearch.study.history import History
from regsearch.study.limits import ALREADY_HAS, Limits
from regsearch.study.proposals.sampler import DefaultSampler

if TYPE_CHECKING:
    import optuna

COUNTABLE = 1000  # configs of which it is seen which are the same
FAILURES = 5  # this many failed trials and none complete: the next ones would fail alike


@dataclass
class SearchLoop:
    """One run of a search over a stored study.

    Attributes
    ----------
    setup, space
        What is evaluated, and what is searched. The setup's deadline ends the run.
    study
        The truth.
    store
        Where trajectories go.
    history
        What is known of finished trials; filled with those of earlier runs.
    sampler
        The user's sampler, a function from the number of trials so far to one, or `None` for the default.
    on_trial
        Called with each finished trial and its trajectory.
    backend
        What evaluates candidates under a setup; by default that of the family.
    isolated
        The same in a process of its own, for trials that a process died of, or beside; `None` where `backend` is that.
    damaged
        Numbers of finished trials of which what was kept cannot be read: they are evaluated again first.
    first
        Optuna parameters of configs to try before everything but the references.
    stopped
        Why the run ended; empty before that.
    """

    setup: Setup
    space: Model
    study: OptunaStudy
    store: Store
    history: History
    sampler: optuna.samplers.BaseSampler | Callable[[int], optuna.samplers.BaseSampler] | None = None
    on_trial: Callable[[Trial, Trajectory], None] = lambda trial, trajectory: None
    backend: Callable[[Setup], Backend] | None = None
    isolated: Callable[[Setup], Backend] | None = None
    damaged: Collection[int] = ()
    first: Sequence[Mapping[str, Any]] = ()
    stopped: str = ""
    _repeats: list[Outcome] = field(default_factory=list)  # outcomes of configs that need no fit
    _again: dict[int, Trial] = field(default_factory=dict)  # finished ones of which what was kept cannot be read
    _stood: dict[int, Trial] = field(default_factory=dict)  # by number, what stands as an earlier run left it
    _is_counted: bool = False  # whether `_size` is of different configs
    _suspects: set[int] = field(default_factory=set)  # numbers of those in flight when a process died, and still queued

    def __post_init__(self) -> None:
        self.study.on_stop(self._stop)

    def _stop(self) -> None:
        self.stopped = "the sampler has nothing left to propose"

    def run(self, limits: Limits) -> None:
        """Search until a limit is reached; `stopped` says which.

        Raises
        ------
        SearchFailed
            When the first trials all fail, whatever becomes of the reference.
        """
        try:
            self._restore()
            self._score_best_on_test()
            for pruned in {trial.state == "pruned" for trial in self._again.values()}:
                setup = replace(self.setup, prune=self.setup.prune and pruned)  # what was complete will be
                self._stream(setup, self._damaged(pruned))
            self.history.begin()
            if self._suspects and self.isolated is not None:
                self._isolate(limits, self.isolated)
            self._stream(self.setup, self._candidates(limits))
            if self.study.in_flight or self.setup.deadline.was_cut:
                self.stopped = self.setup.deadline.reason
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except StorageFailed:  # so nothing can be given back: the next run does it
            raise
        except RegsearchError:
            self.study.give_back(self._can_fill)
            raise  # anything else leaves trials in flight, as the death of the process does: one may be the cause
        self.study.give_back(self._can_fill)

    def _stream(
        self, setup: Setup, candidates: Iterator[Candidate], backend: Callable[[Setup], Backend] | None = None
    ) -> None:
        outcomes = (backend or self.backend or self.space.backend)(setup).stream(candidates)
        try:
            for outcome in outcomes:
                with self.setup.deadline.interruptible():
                    self._finish(outcome)
                    self._finish_repeats()
        finally:
            if isinstance(outcomes, Generator):
                outcomes.close()  # at once: it may have processes to end
        self._finish_repeats()

    def _restore(self) -> None:
        """Take up where the stored study was: what was in flight when it was killed goes back into the queue."""
        self._suspects = self.study.give_back(self._can_fill)
        stored = self.study.trials()
        for trial in stored:
            if trial.stands and trial.number not in self.damaged:
                self._stood[trial.number] = trial
            if trial.state == "stopped":
                continue  # the queue has it
            if trial.number in self.damaged:
                self._again[trial.number] = trial
            elif trial.config is not None and trial.state != OUTSIDE:
                self._note_tried(trial.role, trial.key)
                self.history.add(trial)
        self._enqueue()

    def _enqueue(self) -> None:
        """Let what the search begins with wait for its turn, each config once however often the study is run."""
        begun = self.study.enqueued()
        for params in reference_params(self.space):
            if (REFERENCE, params) not in begun:
                self.study.enqueue(REFERENCE, params)
        for given in self.first:
            if self._is_new(given, begun):
                self.study.enqueue("start", given, first=True)
        for params in initial_params(self.space):
            if params not in self.first and self._is_new(params, begun):
                self.study.enqueue("start", params)

    def _is_new(self, params: Mapping[str, Any], begun: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
        """Whether a start has neither waited before nor the config of a trial that there is."""
        if ("start", params) in begun:
            return False
        return not self.history.tried or not self._was_tried(fill(self.space, params))

    def _can_fill(self, params: Mapping[str, Any]) -> bool:
        try:
            fill(self.space, params)
        except NotFound:
            return False
        return True

    # --- ask ---------------------------------------------------------------------------------------------------

    def _damaged(self, pruned: bool) -> Iterator[Candidate]:
        """Finished trials of which what was kept cannot be read, under their numbers: they were pruned, or not."""
        again = [trial for trial in self._again.values() if (trial.state == "pruned") == pruned]
        for trial in again:
            if self.setup.deadline.passed():
                return
            if self._config(trial) is not None:
                yield Candidate.of(self.space, trial.number, trial.role, trial.draws)

    def _config(self, trial: Trial) -> Model | None:
        """The config of a finished trial; `None` where one of its draws is lost."""
        if trial.role == REFERENCE:
            return self.space.references()[trial.family]
        return fill(self.space, trial.draws) if self._can_fill(trial.draws) else None

    def _candidates(self, limits: Limits) -> Iterator[Candidate]:
        """What the backend pulls: new configs until a limit is reached; a config seen before costs no fit."""
        while not self._limit(limits):
            candidate = self._ask()
            key = digest(candidate.config)
            self._note_tried(candidate.role, key)
            twin = self.history.evaluated(key)
            if twin is None:
                yield candidate
            else:
                self._repeats.append(self._repeat(twin, candidate))
                self._finish_repeats()

    def _isolate(self, limits: Limits, backend: Callable[[Setup], Backend]) -> None:
        """Evaluate what was in flight when a process died in one that may die; here, where that cannot be."""
        try:
            self._stream(self.setup, self._suspected(limits), backend)
        except Unshippable:  # before anything was asked for
            self.setup.notice("trying again here what was in flight when a process died")

    def _suspected(self, limits: Limits) -> Iterator[Candidate]:
        """New configs until those in flight at the death of a process are all among them."""
        for candidate in self._candidates(limits):
            yield candidate
            if not self._suspects:
                return

    @property
    def _count(self) -> int:
        """Trials that are finished or in flight."""
        return len(self.history.trials) + self.study.in_flight

    def _limit(self, limits: Limits) -> bool:
        if limits.n_trials is not None and self._count >= limits.n_trials:
            self.stopped = f"{limits.n_trials} trials"
            if self.history.before > limits.n_trials:
                self.stopped += f" {ALREADY_HAS} {self.history.before}"
        elif self.setup.deadline.passed():
            self.stopped = self.setup.deadline.reason
        elif limits.patience is not None and self.history.since_best >= limits.patience:
            self.stopped = f"no improvement in {limits.patience} trials"
        elif self._size is not None and self.history.tried >= self._size:
            self.stopped = f"all {self._size} configs of the space are evaluated"
        return bool(self.stopped)

    @cached_property
    def _size(self) -> int | None:
        return size(self.space)

    def _note_tried(self, role: str, key: str) -> None:
        """Take note of a config that has a trial; where it has had one before, two options may have the same."""
        if role == REFERENCE:
            return
        if self.history.was_tried(key) and not self._is_counted:
            self._size, self._is_counted = distinct(self.space, COUNTABLE), True
        self.history.note_tried(key)

    def _ask(self) -> Candidate:
        with self.study.failures("written"), self.study.together():
            asked = self.study.ask(self._sampler(), self.history.expected)
            self._suspects.discard(asked.number)
            role = asked.user_attrs.get("role", "")
            config = self._sample_reference(asked) if role == REFERENCE else self._sample(asked)
        return Candidate(asked.number, config, role, asked.params, self.space.family_of(asked.params))

    def _sample_reference(self, asked: optuna.trial.Trial) -> Model:
        """The reference of the family that was enqueued, of a space of several."""
        references = self.space.references()
        name = self._names.family
        return references[asked.suggest_categorical(name, list(references)) if name else ""]

    def _sample(self, asked: optuna.trial.Trial) -> Model:
        try:
            return sample(self.space, asked)
        except ValueError as error:  # such as that of a grid without one of the parameters
            if self.sampler is None:
                raise
            named, sampler = ", ".join(self._names.leaves.values()), type(asked.study.sampler).__name__
            raise InvalidInput(
                f"A sampler must propose every parameter of the space ({named}), {sampler} does not: {error}"
            ) from error

    def _sampler(self) -> optuna.samplers.BaseSampler:
        if self.sampler is None:
            return self._default_sampler.at(self._count)
        made = self.sampler(self._count) if callable(self.sampler) else self.sampler
        if not hasattr(made, "sample_relative"):
            raise InvalidInput(
                f"sampler must make an Optuna sampler, got {made!r} for {self._count} trials; return one."
            )
        return made

    @cached_property
    def _default_sampler(self) -> DefaultSampler:
        return DefaultSampler(self.space, self.setup.seed, self._was_tried)

    def _was_tried(self, config: Node) -> bool:
        return self.history.was_tried(digest(config))

    def _repeat(self, twin: Trial, candidate: Candidate) -> Outcome:
        """The outcome of an equal config, under a new number: results depend on the config alone."""
        number, reason = twin.number, f"same config as trial {twin.number}"
        return Outcome(
            candidate, "complete", self.store.trajectory(number), twin.step, self.store.predictions(number),
            self.store.along(number), measures=twin.measures, reason=reason, diverges=twin.diverges,
            reads_more=twin.reads_more,
        )  # fmt: skip

    # --- tell --------------------------------------------------------------------------------------------------

    def _finish_repeats(self) -> None:
        while self._repeats:
            self._finish(self._repeats.pop(0))

    def _finish(self, outcome: Outcome) -> None:
        stopped = outcome.state == "stopped"
        if stopped and (outcome.number in self._again or not outcome.trajectory.scored or self._stood_longer(outcome)):
            return  # what is damaged stays so; what is in flight goes back into the queue
        trial, trajectory = self._kept(outcome)
        if stopped:
            self.study.tell_stopped(trial)
        elif self._again.pop(trial.number, None) is None:
            self.study.tell(trial, self._reached(outcome))
        else:
            self.study.tell_again(trial)
        if not stopped:
            self.history.add(trial)
        self.on_trial(trial, trajectory)
        if len(self.history.failures) >= FAILURES:
            raise SearchFailed(f"The first {len(self.history.failures)} trials{self.history.why_failed()}")

    def _kept(self, outcome: Outcome) -> tuple[Trial, Trajectory]:
        """The trial of an outcome, once its arrays are stored; the best of all stands where it is given up."""
        stood = self._stood.get(outcome.number)
        if stood is not None and outcome.state != "stopped":
            others = [one for one in self._stood.values() if one.role != REFERENCE and one.number != outcome.number]
            if outcome.state == "pruned" and self.history.leads(stood, others):
                return stood.given_up(outcome.reason), self.store.trajectory(outcome.number)
            del self._stood[outcome.number]
        trial = self._scored_on_test(self._trial(outcome), outcome.chosen_config)
        kept = self.store.save(trial.number, outcome.trajectory, outcome.predictions, outcome.along)
        return replace(trial, sha256=kept), outcome.trajectory

    def _stood_longer(self, outcome: Outcome) -> bool:
        """Whether an earlier run had come further with what is stopped again."""
        stood = self._stood.get(outcome.number)
        return stood is not None and (not outcome.stands or outcome.trajectory.steps < stood.steps)

    def _trial(self, outcome: Outcome) -> Trial:
        now_ms, earlier = round(time.time() * 1000), self._again.get(outcome.number)
        if earlier is not None:
            draws, start_ms = earlier.draws, now_ms - round(1000 * outcome.seconds)
        else:
            asked = self.study.asked(outcome.number)
            begun = 0.0 if asked.datetime_start is None else asked.datetime_start.timestamp()
            draws, start_ms = asked.params, round(begun * 1000)
        return Trial.from_outcome(outcome, draws, self._names, start_ms=start_ms, end_ms=now_ms)

    @cached_property
    def _names(self) -> ParameterNames:
        return parameter_names(self.space)

    @staticmethod
    def _reached(outcome: Outcome) -> int:
        """How many scores were measured."""
        return int(np.isfinite(outcome.trajectory.deciding.val).sum()) if outcome.state == "pruned" else 0

    def _scored_on_test(self, trial: Trial, config: Model) -> Trial:
        """A new best one with its scores on the held-out set, the deciding one also of its parts: for no decision."""
        return self._with_test(trial, config) if self.history.is_best(trial) else trial

    def _with_test(self, trial: Trial, config: Model) -> Trial:
        """A trial with its scores on the held-out set, where there is one and time for it."""
        test, deadline = self.setup.problem.test, self.setup.deadline
        if test is None or deadline.passed():
            return trial
        with deadline.interruptible():
            try:
                problem = self.setup.problem
                fitted = config.scored(config.refit(problem, self.setup.seed, deadline), problem)
                scores = {metric.name: metric.score(fitted, test) for metric in self.setup.metrics}
                parts = tuple(scores_without(self.setup.metrics[0], fitted, test))
            except OutOfTime:
                return trial
            except Exception as error:  # noqa: BLE001 - anyone's estimator and scorer: the trial itself is sound
                return replace(trial, reason=f"held-out set not scored: {type(error).__name__}: {error}")
            return replace(trial, test=scores, test_parts=parts)
        return trial

    def _score_best_on_test(self) -> None:
        """Score the best trial of earlier runs on the held-out set, if there was no time for it."""
        best = self.history.best
        config = self._config(best) if best is not None and not best.test else None
        if best is not None and config is not None:
            scored = self._with_test(best, config.at(best.value))
            if scored.test:
                self.study.tell_again(scored)
