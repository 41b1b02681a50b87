"""The neural backend: many trials and folds as a few tensor programs, refilled as trials end.

Trials that start together form a *cohort*: one block of rows for each fold, in lockstep. All cohorts advance by some
epochs, each block on whichever thread is free; then, in the order of their numbers, trials end, are given up at a rung,
or go on, cohorts that have come equally far join, and new trials take the free places. So what a search does depends
neither on the number of threads nor on their luck.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from regsearch.errors import InvalidInput
from regsearch.neural.block import Block, Segment
from regsearch.neural.finish import Finish
from regsearch.neural.flight import Flight
from regsearch.neural.rungs import Ladder
from regsearch.neural.workshop import Structure, Workshop
from regsearch.path import Candidate, Outcome, Setup

if TYPE_CHECKING:
    import torch

IN_FLIGHT = 32  # trials of nets that stack ...
ALONE = 8  # ... and of those that do not
REFILL = 4  # free places that are worth a new cohort, as a part of all
STRIDE = 5  # epochs between two looks at a trial
CACHE = 13 * 2**19  # bytes of parameters, moments and gradients of a block: more, and each pass waits for memory
_MALLOC = {-3: 32 * 2**20, -1: 512 * 2**20, -2: 16 * 2**20}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD
ROWS = 16  # more rows in a block gain nothing


@dataclass
class Cohort:
    """Trials of one structure that have come equally far, and a block of their rows for each fold."""

    structure: Structure
    flights: list[Flight]
    blocks: list[Block]

    @property
    def epoch(self) -> int:
        return self.blocks[0].epoch

    @property
    def until(self) -> int:
        """Where to look at its trials next."""
        epoch = self.epoch
        marks = {mark for flight in self.flights for mark in (*flight.rungs, flight.config.last) if mark > epoch}
        return min(marks | {epoch + STRIDE})

    def keep(self, which: list[int]) -> None:
        """Go on with some trials only."""
        self.flights = [self.flights[i] for i in which]
        for block in self.blocks:
            block.keep(which)

    def join(self, other: Cohort) -> None:
        """Take in the trials of a cohort that has come equally far."""
        self.flights += other.flights
        for mine, its in zip(self.blocks, other.blocks, strict=True):
            mine.join([its])


class Stack:
    """Trains candidates; see the module."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.stop = threading.Event()
        self.workshop = Workshop(setup, self.stop)
        self.finish = Finish(self.workshop)
        self.ladder = Ladder(setup.past)
        self.cohorts: list[Cohort] = []
        self.most = ROWS  # rows of a block: less once memory has run out

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        source = iter(candidates)
        with threads(workers(self.setup.n_jobs, self.workshop.device)) as run:
            try:
                while True:
                    yield from self._refill(source)
                    if not self.cohorts:
                        break
                    self._advance(run)
                    yield from self._settle()
            finally:
                self.stop.set()

    # --- candidates come ---------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        return sum(len(cohort.flights) for cohort in self.cohorts)

    def _refill(self, source: Iterator[Candidate]) -> Iterator[Outcome]:
        """Fill the free places once they are worth it; yields what cannot even start."""
        arrived: dict[Structure, list[Flight]] = {}
        if self.live and self._room(arrived) < max(1, self._places(arrived) // REFILL):
            return
        for candidate in source:
            try:
                flight = Flight.begin(candidate, self.workshop.followed, len(self.setup.folds))
                arrived.setdefault(self.workshop.structure(flight.config), []).append(flight)
            except (InvalidInput, RuntimeError) as error:
                yield Outcome(candidate.number, candidate.config, "failed", candidate.role, reason=str(error))
                continue
            if self._room(arrived) <= 0:
                break
        for structure, flights in arrived.items():
            size = self._rows(structure)
            for part in (flights[i : i + size] for i in range(0, len(flights), size)):
                try:
                    self.cohorts.append(self._cohort(structure, part))
                except InvalidInput as error:
                    for flight in part:
                        flight.failure = str(error)
                        yield self.finish(flight, structure, "")

    def _places(self, arrived: Mapping[Structure, list[Flight]]) -> int:
        """How many trials may be in flight."""
        structures = {*arrived, *(cohort.structure for cohort in self.cohorts)}
        return IN_FLIGHT if all(structure.stacks for structure in structures) else ALONE

    def _room(self, arrived: Mapping[Structure, list[Flight]]) -> int:
        return self._places(arrived) - self.live - sum(map(len, arrived.values()))

    def _rows(self, structure: Structure) -> int:
        """Rows of a block: as many as stay in the cache."""
        if not structure.stacks:
            return 1
        length = self.workshop.network(structure, 0).layout.length
        fits = CACHE // (16 * length) if self.workshop.device.type == "cpu" else ROWS
        return max(1, min(self.most, fits))

    def _cohort(self, structure: Structure, flights: list[Flight]) -> Cohort:
        rows = [self.workshop.row(flight.config, structure) for flight in flights]
        return Cohort(
            structure, flights, [self.workshop.block(structure, k, rows) for k in range(len(self.setup.folds))]
        )

    # --- training ----------------------------------------------------------------------------------------------

    def _advance(self, run: Run) -> None:
        """Train every cohort up to where its trials are looked at next; the largest blocks first."""
        plan = [(cohort, cohort.until) for cohort in self.cohorts]
        ahead = ", ".join(str(epoch) for epoch in sorted({until for _, until in plan})[:4])
        alone = "" if all(cohort.structure.stacks for cohort in self.cohorts) else ", net by net"
        self.setup.notice(f"{self.live} trials in flight{alone}, to epoch {ahead}")
        tasks = [(block, until) for cohort, until in plan for block in cohort.blocks]
        order = sorted(range(len(tasks)), key=lambda i: -_cost(*tasks[i]))
        done = dict(zip(order, run([partial(self._train, *tasks[i]) for i in order]), strict=True))
        parts = iter([done[i] for i in range(len(tasks))])
        for cohort in self.cohorts:
            found = [next(parts) for _ in cohort.blocks]
            for i, flight in enumerate(cohort.flights):
                flight.seconds += sum(seconds for _, seconds in found) / len(cohort.flights)
                flight.take([segment for segment, _ in found], i)

    def _train(self, block: Block, until: int) -> tuple[Segment, float]:
        started = time.perf_counter()
        segment = self._within_memory(block, until)
        return segment, time.perf_counter() - started

    def _within_memory(self, block: Block, until: int) -> Segment:
        """Advance a block; where memory does not suffice, in halves."""
        if len(block.rows) <= self.most:
            before = block.snapshot()
            try:
                return block.advance(until)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error) or len(block.rows) == 1:
                    raise
            block.restore(before)
            self.most = max(1, min(self.most, len(block.rows) // 2))
            warnings.warn(
                f"Memory ran out: the stack shrinks to {self.most} rows a block.", RuntimeWarning, stacklevel=2
            )
        halves = block.split()
        segments = [self._within_memory(half, until) for half in halves]
        block.become(halves)
        return Segment.join(segments)

    # --- trials end --------------------------------------------------------------------------------------------

    def _settle(self) -> Iterator[Outcome]:
        """Let trials end, give up those that fall behind, and join what is left."""
        pruned = self._fallen_behind() if self.setup.incumbent is not None else {}
        outcomes = []
        for cohort in self.cohorts:
            on = []
            for i, flight in enumerate(cohort.flights):
                if flight.failure or flight.ended or id(flight) in pruned:
                    outcomes.append((flight, cohort.structure))
                else:
                    on.append(i)
            if len(on) < len(cohort.flights):
                cohort.keep(on) if on else cohort.flights.clear()
        self._join()
        for flight, structure in sorted(outcomes, key=lambda pair: pair[0].candidate.number):
            yield self.finish(flight, structure, pruned.get(id(flight), ""))

    def _fallen_behind(self) -> dict[int, str]:
        """Trials that are not among the best third of those that came as far, with the reason.

        One that lost patience before a rung is judged there too: else the hopeless, which end early, would count as
        complete, and what was given up late and had come far would count for less.
        """
        flights = [flight for cohort in self.cohorts for flight in cohort.flights]
        at = [(flight, flight.rung) for flight in flights if flight.rung is not None]
        scores = {id(flight): float(flight.val[0].mean(axis=0).max()) for flight, _ in at}
        for flight, rung in at:
            self.ladder.enter(rung, scores[id(flight)])
        found = {}
        for flight, rung in at:
            score = scores[id(flight)]
            if not self.ladder.passes(rung, score):
                better, reached = self.ladder.rank(rung, score)
                found[id(flight)] = f"rung at epoch {rung}: {better} of {reached} trials did better"
        return found

    def _join(self) -> None:
        """Join cohorts of one structure that have come equally far, as long as they fit a block."""
        joined: list[Cohort] = []
        for cohort in self.cohorts:
            if not cohort.flights:
                continue
            fit = (
                one for one in joined
                if one.structure == cohort.structure and one.epoch == cohort.epoch
                and len(one.flights) + len(cohort.flights) <= self._rows(one.structure)
            )  # fmt: skip
            host = next(fit, None)
            if host is None:
                joined.append(cohort)
            else:
                host.join(cohort)
        self.cohorts = joined


Run = Callable[[list[Callable[[], Any]]], list[Any]]


def workers(n_jobs: int | None, device: torch.device) -> int:
    """Threads to train on: every core unless told otherwise; one for a GPU."""
    if device.type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        return cores
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)


@contextmanager
def threads(count: int) -> Iterator[Run]:
    """Run functions on so many threads of one core each; torch's own threads only get into each other's way."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    _keep_pages()
    try:
        with ThreadPoolExecutor(count, initializer=_one_core) as pool:
            yield lambda tasks: [future.result() for future in [pool.submit(task) for task in tasks]]
    finally:
        torch.set_num_threads(before)


def _keep_pages() -> None:
    """Have the C library keep what is freed: each step would else ask the system for the same pages again.

    It holds for the whole process. A C library without `mallopt` stays as it is.
    """
    allocate = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocate is not None:
        for parameter, size in _MALLOC.items():
            allocate(parameter, size)


def _one_core() -> None:
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # weights that shrink for long would else slow a core down tenfold


def _cost(block: Block, until: int) -> int:
    return (until - block.epoch) * len(block.rows) * block.fold.n


def _out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
