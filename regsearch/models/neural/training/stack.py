"""The neural backend: many trials and folds as a few tensor programs, refilled as trials end.

A trial has a row for each fold that it trains on: one until its first rung, then all. Rows of one structure, on folds
of one size, share a block, wherever they are in their training. All blocks advance by some epochs, each where it is;
then, in the order of their numbers, trials end, are given up at a rung, or go on, blocks join while they fit into one,
and new trials take the free places. So what a search does depends neither on how many work on it nor on their luck.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeAlias

from regsearch.errors import InvalidInput
from regsearch.models.base import REFERENCE, Candidate, Outcome, Setup
from regsearch.models.deadline import Stop
from regsearch.models.halving import SuccessiveHalving, first_fold, rung_epochs
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.training.batches import batch_slices
from regsearch.models.neural.training.closing import Closing
from regsearch.models.neural.training.limits import StackLimits
from regsearch.models.neural.training.outcome import make_outcome, pooled_of_nets
from regsearch.models.neural.training.pool import WorkerPool
from regsearch.models.neural.training.processes import worker_count
from regsearch.models.neural.training.run import RunSettings, TrainingRun
from regsearch.models.neural.training.shared import SharedParts, Structure
from regsearch.models.neural.training.worker import BlockKey, Failed, Trained
from regsearch.models.out_of_fold import steps_kept

REFILL_PART = 4  # free places are worth new blocks once they are one in so many
STRIDE = 5  # epochs between two looks at a trial
NO_TIME = "there was no time for its end"
WAITING_BYTES = 2**26  # of weights that wait, of one trial, for its other folds


Row: TypeAlias = tuple[TrainingRun, int]
BlockKind: TypeAlias = tuple[Structure, Hashable]


@dataclass
class BlockRows:
    """The rows, a trial and a fold each, that train in one block.

    Attributes
    ----------
    key
        What the pool calls the block.
    kind
        What all rows have alike: their structure, and the shape of their folds.
    """

    key: BlockKey
    kind: BlockKind
    rows: list[Row]


class Stack:
    """Trains candidates; see the module."""

    def __init__(self, setup: Setup, device: str = "auto", limits: StackLimits | None = None) -> None:
        self.setup = setup
        self.shared = SharedParts(setup, device, limits)
        self.stop = self.shared.stop
        self.halving = SuccessiveHalving(setup.history.curves, setup.averaging)
        self.runs: list[TrainingRun] = []
        self.blocks: list[BlockRows] = []
        self.pool = WorkerPool(self.shared, worker_count(setup.n_jobs, self.shared.device, setup.cores))
        self.closing = Closing(setup.deadline, len(setup.folds))
        self._numbers = count()
        self._settings = RunSettings(
            self.shared.epoch_metrics, setup.averaging, steps_kept(setup.problem.rows, setup.problem.outputs),
            partial(pooled_of_nets, self.shared),
        )  # fmt: skip

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        source = iter(candidates)
        with self.pool:
            try:
                with self.setup.deadline.interruptible():
                    yield from self._train(source)
                yield from self._leave()
            finally:
                self.stop.set()

    def _train(self, source: Iterator[Candidate]) -> Iterator[Outcome]:
        """Train candidates until there are no more, or no more time."""
        while not self.setup.deadline.passed():
            yield from self._refill(source)
            self._join()
            if not self.runs:
                return
            self._advance()
            if self.setup.deadline.passed():  # some rows are not where the others are: no time to judge them
                return
            yield from self._end_runs()

    # --- candidates come ---------------------------------------------------------------------------------------

    def _refill(self, source: Iterator[Candidate]) -> Iterator[Outcome]:
        """Fill the free places once they are worth it; yields what cannot even start."""
        arrived: list[TrainingRun] = []
        few = self._free(arrived) < max(1, self._capacity(arrived) // REFILL_PART)
        if self.runs and (few or not self.closing.opens(self.runs)):
            return
        for candidate in source:
            try:
                arrived.append(self._start(candidate))
            except (InvalidInput, RuntimeError) as error:
                yield Outcome(candidate, "failed", reason=str(error))
                continue
            if self._free(arrived) <= 0 or not self.closing.opens([*self.runs, *arrived]):
                break
        self.runs += arrived
        self._place([(run, k) for run in arrived for k in run.folds])

    def _start(self, candidate: Candidate) -> TrainingRun:
        config = candidate.config
        assert isinstance(config, NetConfig)
        structure, folds = self.shared.structure(config), tuple(self._folds)
        rungs = self._rungs(candidate, config, structure) if self.setup.prune else ()
        if rungs and self._begins_on_one_fold(structure, rungs[0]):
            folds = (first_fold(candidate.number, len(folds)),)
        return TrainingRun.start(candidate, structure, self._settings, folds, rungs)

    def _rungs(self, candidate: Candidate, config: NetConfig, structure: Structure) -> tuple[int, ...]:
        """Where a trial may be given up: the reference, nowhere."""
        if candidate.role == REFERENCE:
            return ()
        rows = min(self.shared.fold(structure, k).n for k in self._folds)
        return rung_epochs(config.last, len(batch_slices(rows, structure.batch_size)))

    def _begins_on_one_fold(self, structure: Structure, epochs: int) -> bool:
        """Whether a trial of so many epochs to its first rung is on one fold until then.

        Not where folds have no scores of their own, nor where the weights of these epochs, one of which may be the one
        that counts, are too many to wait for the other folds.
        """
        apart = not any(metric.pooled for metric in self.shared.epoch_metrics)
        return apart and 8 * self.shared.network(structure, 0).layout.length * epochs <= WAITING_BYTES

    def _place(self, rows: Iterable[Row]) -> None:
        """Make blocks for rows; where a block cannot be made, its trials fail."""
        waiting: dict[BlockKind, list[Row]] = {}
        for run, k in rows:
            waiting.setdefault((run.structure, self.shared.shape(run.structure, k)), []).append((run, k))
        for kind, of_kind in waiting.items():
            for part in self._by_block(kind, sorted(of_kind, key=lambda row: row[1])):
                block, structure = BlockRows(next(self._numbers), kind, part), kind[0]
                try:
                    configs = [self.shared.row_config(run.config, structure) for run, _ in part]
                    self.pool.make(block.key, structure, [k for _, k in part], configs)
                    self.blocks.append(block)
                except (InvalidInput, RuntimeError, MemoryError) as error:
                    for run, _ in part:
                        run.failure = str(error)

    def _by_block(self, kind: BlockKind, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Rows by the block that they will train in: what begun ones have room for, then whole new ones."""
        waiting, size = list(rows), self._max_rows(kind[0])
        rooms = [size - len(block.rows) for block in self.blocks if block.kind == kind]
        while waiting:
            room = rooms.pop(0) if rooms else size
            part, waiting = waiting[:room], waiting[room:]
            if part:
                yield part

    def _capacity(self, arrived: Sequence[TrainingRun]) -> int:
        """How many trials may be in training."""
        limits, stacked = self.shared.limits, all(run.structure.stacks for run in (*self.runs, *arrived))
        return limits.stacked if stacked else limits.unstacked

    def _free(self, arrived: Sequence[TrainingRun]) -> int:
        return self._capacity(arrived) - len(self.runs) - len(arrived)

    def _max_rows(self, structure: Structure) -> int:
        """Rows of a block, fewer once memory has run out."""
        return min(self.pool.max_rows, self.shared.max_rows(structure))

    @property
    def _folds(self) -> range:
        return range(len(self.setup.folds))

    # --- training ----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Train all up to where a trial is looked at next; the largest blocks first."""
        self.blocks.sort(key=lambda block: -len(block.rows))
        epochs = min([STRIDE, *(ahead for run in self.runs for ahead in run.marks if ahead > 0)])
        alone = "" if all(run.structure.stacks for run in self.runs) else ", net by net"
        self.setup.notice(f"{len(self.runs)} {'trial' if len(self.runs) == 1 else 'trials'} in training{alone}")
        started = self.setup.deadline.clock()
        done = self.pool.advance([block.key for block in self.blocks], epochs)
        rows = sum(len(block.rows) for block in self.blocks)
        self.closing.measure(self.setup.deadline.clock() - started, epochs, rows)
        for block, found in zip(self.blocks, done, strict=True):
            self._receive(block, found)
        for run in self.runs:
            run.take_in()

    @staticmethod
    def _receive(block: BlockRows, found: Trained | Failed) -> None:
        """Hand its trials what a block gave; where it could not go on, they fail."""
        for i, (run, k) in enumerate(block.rows):
            if isinstance(found, Failed):
                run.failure = run.failure or found.message
            else:
                run.seconds += found.seconds / len(block.rows)
                run.receive(k, found.segment.row(i))

    # --- trials end --------------------------------------------------------------------------------------------

    def _end_runs(self) -> Iterator[Outcome]:
        """Let trials end, give up those that fall behind, and let others have their remaining folds."""
        stops = self._pruned() if self.setup.prune else {}
        for run in self.runs:
            stop = self._out_of_time(run)
            if stop is not None and not run.done:
                stops.setdefault(id(run), stop)
        for run in self.closing.behind([run for run in self.runs if id(run) not in stops]):
            stops[id(run)] = Stop("stopped", NO_TIME).at(self._at(run))
        ended = [run for run in self.runs if run.done or id(run) in stops]
        gone = set(map(id, ended))
        self.runs = [run for run in self.runs if id(run) not in gone]
        self._keep(gone)
        self._widen()
        for run in sorted(ended, key=lambda run: run.candidate.number):
            if id(run) not in stops and not run.failure:
                self.closing.count(run)
            outcome = make_outcome(self.shared, run, stops.get(id(run)))
            self.halving.end(outcome.number, outcome.evidence)
            yield outcome

    def _leave(self) -> Iterator[Outcome]:
        """Let go of what is in training when there is no more time: workers may still be busy with it."""
        self.stop.set()
        runs, self.runs = self.runs, []
        for run in sorted(runs, key=lambda run: run.candidate.number):
            if run.done and run.rung is None:
                yield make_outcome(self.shared, run)
            else:
                left = run.narrowed()
                yield make_outcome(self.shared, left, self._out_of_time(left))

    def _out_of_time(self, run: TrainingRun) -> Stop | None:
        """Why there is no more time for a run; `None` where there is."""
        stop = self.setup.deadline.stop(run.seconds)
        return None if stop is None else stop.at(self._at(run))

    @staticmethod
    def _at(run: TrainingRun) -> str:
        return f"at epoch {run.epoch} of {run.config.last}"

    def _keep(self, gone: set[int]) -> None:
        """Go on without some runs, and without rows that have trained to the end."""
        for block in self.blocks:
            on = [
                i for i, (run, k) in enumerate(block.rows)
                if id(run) not in gone and run.trained[k] < run.config.last
            ]  # fmt: skip
            if len(on) < len(block.rows):
                block.rows = [block.rows[i] for i in on]
                if on:
                    self.pool.keep(block.key, on)
                else:
                    self.pool.drop(block.key)
        self.blocks = [block for block in self.blocks if block.rows]

    def _widen(self) -> None:
        """Let those that have passed their first rung train on all folds."""
        wider = {id(run): run.widened() for run in self.runs if run.partial and run.judged}
        self.runs = [wider.get(id(run), run) for run in self.runs]
        for block in self.blocks:
            block.rows = [(wider.get(id(run), run), k) for run, k in block.rows]
        self._place([(run, k) for run in wider.values() for k in self._folds if not run.trained[k]])

    def _pruned(self) -> dict[int, Stop]:
        """Trials that are not among the best of those that came as far, with the reason.

        One that lost patience before a rung is judged there too: else the hopeless, which end early, would count as
        complete, and what was given up late and had come far would count for less.
        """
        found: dict[int, Stop] = {}
        arriving: dict[int, list[TrainingRun]] = {}
        for run in self.runs:
            if run.rung is not None:
                arriving.setdefault(run.rung, []).append(run)
        for rung, runs in sorted(arriving.items()):
            verdicts = self.halving.judge(rung, {run.candidate.number: run.deciding for run in runs})
            for run in runs:
                verdict = verdicts[run.candidate.number]
                run.judged = rung
                if verdict.goes_on:
                    self.setup.on_way(run.candidate, run.curves[run.metrics[0].name])
                else:
                    found[id(run)] = Stop("pruned", verdict.said(rung))
        for run in self.runs:
            if not run.partial and run.rungs and run.epoch >= run.rungs[0]:
                self.halving.complete(run.rungs[0], run.candidate.number, run.deciding)
        return found

    def _join(self) -> None:
        """Join blocks of one kind as long as they fit into one, wherever their trials are."""
        joined: list[BlockRows] = []
        for block in self.blocks:
            fit = (
                one
                for one in joined
                if one.kind == block.kind and len(one.rows) + len(block.rows) <= self._max_rows(one.kind[0])
            )
            host = next(fit, None)
            if host is None:
                joined.append(block)
            else:
                host.rows += block.rows
                self.pool.join(host.key, block.key)
        for block in joined:
            self._sort(block)
        self.blocks = joined

    def _sort(self, block: BlockRows) -> None:
        """Bring rows of one fold and epoch together: neighbours share their batches and random numbers."""
        places = [(k, run.trained[k]) for run, k in block.rows]
        order = sorted(range(len(places)), key=places.__getitem__)
        if [places[i] for i in order] != places:
            block.rows = [block.rows[i] for i in order]
            self.pool.keep(block.key, order)
