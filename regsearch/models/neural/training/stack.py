"""The neural backend: many trials and folds as a few tensor programs, refilled as trials end.

Trials that start together form a *cohort*: one block of rows for each fold, in lockstep. All cohorts advance by some
epochs, each block where it is; then, in the order of their numbers, trials end, are given up at a rung, or go on,
cohorts of one structure join while they fit a block, and new trials take the free places. So what a search does depends
neither on how many work on it nor on their luck.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np

from regsearch.errors import InvalidInput
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.neural.training.halving import SuccessiveHalving
from regsearch.models.neural.training.outcome import make_outcome, pooled_of_nets
from regsearch.models.neural.training.pool import WorkerPool
from regsearch.models.neural.training.processes import worker_count
from regsearch.models.neural.training.run import TrainingRun
from regsearch.models.neural.training.shared import SharedParts, Structure
from regsearch.models.neural.training.worker import Failed, Trained
from regsearch.models.out_of_fold import steps_kept

MAX_STACKED = 16  # trials in training, of nets that stack: more, and the sampler learns too late; ...
MAX_UNSTACKED = 8  # ... those of nets that do not
REFILL_PART = 4  # free places are worth a new cohort once they are one in so many
STRIDE = 5  # epochs between two looks at a trial
CACHE_BYTES = 20 * 2**19  # parameters, moments and gradients of a block: more, and each pass waits for memory


@dataclass
class Cohort:
    """Trials of one structure that train together; `number` and a fold name the block of their rows."""

    number: int
    structure: Structure
    runs: list[TrainingRun]


class Stack:
    """Trains candidates; see the module."""

    def __init__(self, setup: Setup, device: str = "auto") -> None:
        self.setup = setup
        self.shared = SharedParts(setup, device)
        self.stop = self.shared.stop
        self.halving = SuccessiveHalving(setup.history.curves)
        self.cohorts: list[Cohort] = []
        self.pool = WorkerPool(self.shared, worker_count(setup.n_jobs, self.shared.device))
        self._numbers = count()

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        source = iter(candidates)
        with self.pool:
            try:
                while True:
                    yield from self._refill(source)
                    self._join()
                    if not self.cohorts:
                        break
                    self._advance()
                    yield from self._end_runs()
            finally:
                self.stop.set()

    # --- candidates come ---------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """How many trials are in training."""
        return sum(len(cohort.runs) for cohort in self.cohorts)

    def _refill(self, source: Iterator[Candidate]) -> Iterator[Outcome]:
        """Fill the free places once they are worth it; yields what cannot even start."""
        arrived: dict[Structure, list[TrainingRun]] = {}
        if self.live and self._free(arrived) < max(1, self._capacity(arrived) // REFILL_PART):
            return
        for candidate in source:
            try:
                run = TrainingRun.start(candidate, self.shared.epoch_metrics, self.setup.averaging, self._kept)
                arrived.setdefault(self.shared.structure(run.config), []).append(run)
            except (InvalidInput, RuntimeError) as error:
                yield Outcome(candidate, "failed", reason=str(error))
                continue
            if self._free(arrived) <= 0:
                break
        for structure, runs in arrived.items():
            for part in self._by_block(structure, runs):
                try:
                    self.cohorts.append(self._cohort(structure, part))
                except (InvalidInput, RuntimeError, MemoryError) as error:
                    for run in part:
                        run.failure = str(error)
                        yield make_outcome(self.shared, structure, run)

    @property
    def _kept(self) -> int:
        """Of how many epochs decisions are kept."""
        return steps_kept(self.setup.problem.rows, self.setup.problem.outputs)

    def _by_block(self, structure: Structure, runs: Sequence[TrainingRun]) -> Iterator[list[TrainingRun]]:
        """Trials by the block that they will train in: what begun ones have room for, then whole new ones."""
        waiting, size = list(runs), self._max_rows(structure)
        rooms = [size - len(cohort.runs) for cohort in self.cohorts if cohort.structure == structure]
        while waiting:
            room = rooms.pop(0) if rooms else size
            part, waiting = waiting[:room], waiting[room:]
            if part:
                yield part

    def _capacity(self, arrived: Mapping[Structure, list[TrainingRun]]) -> int:
        """How many trials may be in training."""
        structures = {*arrived, *(cohort.structure for cohort in self.cohorts)}
        return MAX_STACKED if all(structure.stacks for structure in structures) else MAX_UNSTACKED

    def _free(self, arrived: Mapping[Structure, list[TrainingRun]]) -> int:
        return self._capacity(arrived) - self.live - sum(map(len, arrived.values()))

    def _max_rows(self, structure: Structure) -> int:
        """Rows of a block: as many as stay in the cache. They are as many for one worker as for many: sums round so."""
        if not structure.stacks:
            return 1
        length = self.shared.network(structure, 0).layout.length
        fits = CACHE_BYTES // (16 * length) if self.shared.device.type == "cpu" else self.pool.max_rows
        return max(1, min(self.pool.max_rows, fits))

    def _cohort(self, structure: Structure, runs: list[TrainingRun]) -> Cohort:
        rows = [self.shared.row_config(run.config, structure) for run in runs]
        cohort = Cohort(next(self._numbers), structure, runs)
        for k in self._folds:
            self.pool.make((cohort.number, k), structure, rows)
        return cohort

    @property
    def _folds(self) -> range:
        return range(len(self.setup.folds))

    # --- training ----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Train all up to where a trial is looked at next; the largest blocks first."""
        self.cohorts.sort(key=lambda cohort: -len(cohort.runs))
        epochs = self._stride()
        alone = "" if all(cohort.structure.stacks for cohort in self.cohorts) else ", net by net"
        self.setup.notice(f"{self.live} trials in training{alone}")
        done = iter(self.pool.advance([(cohort.number, k) for cohort in self.cohorts for k in self._folds], epochs))
        for cohort in self.cohorts:
            self._update(cohort, [next(done) for _ in self._folds])

    def _stride(self) -> int:
        """Epochs until some trial is to be looked at: one number for all, that no size of a block has a say in."""
        runs = [run for cohort in self.cohorts for run in cohort.runs]
        marks = [mark - run.epoch for run in runs for mark in (*run.rungs, run.config.last)]
        return min([STRIDE, *(ahead for ahead in marks if ahead > 0)])

    def _update(self, cohort: Cohort, found: list[Trained | Failed]) -> None:
        """Let the trials of a cohort take in what its blocks gave; where one could not go on, they fail."""
        trained = [one for one in found if isinstance(one, Trained)]
        failure = next((one.message for one in found if isinstance(one, Failed)), "")
        for i, run in enumerate(cohort.runs):
            run.seconds += sum(one.seconds for one in trained) / len(cohort.runs)
            run.failure = failure
            if not failure:
                pooled = partial(pooled_of_nets, self.shared, cohort.structure)
                run.update([one.segment for one in trained], i, pooled)

    # --- trials end --------------------------------------------------------------------------------------------

    def _end_runs(self) -> Iterator[Outcome]:
        """Let trials end, give up those that fall behind, and join what is left."""
        pruned = self._pruned() if self.setup.prune else {}
        outcomes = []
        for cohort in self.cohorts:
            on = []
            for i, run in enumerate(cohort.runs):
                if run.failure or run.ended or id(run) in pruned:
                    outcomes.append((run, cohort.structure))
                else:
                    on.append(i)
            self._keep(cohort, on)
        for run, structure in sorted(outcomes, key=lambda pair: pair[0].candidate.number):
            yield make_outcome(self.shared, structure, run, pruned.get(id(run), ""))

    def _keep(self, cohort: Cohort, on: list[int]) -> None:
        """Go on with some trials of a cohort only."""
        if len(on) == len(cohort.runs):
            return
        cohort.runs = [cohort.runs[i] for i in on]
        for k in self._folds:
            key = (cohort.number, k)
            self.pool.keep(key, on) if on else self.pool.drop(key)

    def _pruned(self) -> dict[int, str]:
        """Trials that are not among the best half of those that came as far, with the reason.

        One that lost patience before a rung is judged there too: else the hopeless, which end early, would count as
        complete, and what was given up late and had come far would count for less.
        """
        runs = [run for cohort in self.cohorts for run in cohort.runs]
        at = [(run, run.rung) for run in runs if run.rung is not None]
        scores = {id(run): float(np.nan_to_num(run.averaging.mean(run.val[0]), nan=-np.inf).max()) for run, _ in at}
        for run, rung in at:
            self.halving.add(rung, scores[id(run)])
        found = {}
        for run, rung in at:
            score = scores[id(run)]
            if not self.halving.promotes(rung, score):
                better, reached = self.halving.rank(rung, score)
                found[id(run)] = f"rung at epoch {rung}: {better} of {reached} trials did better"
        return found

    def _join(self) -> None:
        """Join cohorts of one structure as long as they fit a block, wherever their trials are."""
        joined: list[Cohort] = []
        for cohort in self.cohorts:
            if not cohort.runs:
                continue
            fit = (
                one for one in joined
                if one.structure == cohort.structure
                and len(one.runs) + len(cohort.runs) <= self._max_rows(one.structure)
            )  # fmt: skip
            host = next(fit, None)
            if host is None:
                joined.append(cohort)
            else:
                host.runs += cohort.runs
                for k in self._folds:
                    self.pool.join((host.number, k), (cohort.number, k))
        self.cohorts = joined
