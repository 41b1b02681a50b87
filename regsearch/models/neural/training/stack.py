"""The neural backend: many trials and folds as a few tensor programs, refilled as trials end.

Trials that start together form a *cohort*: one block of rows for each fold, in lockstep. All cohorts advance by some
epochs, each block where it is; then, in the order of their numbers, trials end, are given up at a rung, or go on,
cohorts of one structure join while they fit a block, and new trials take the free places. So what a search does depends
neither on how many work on it nor on their luck.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from regsearch.errors import InvalidInput
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.neural.training.halving import Ladder
from regsearch.models.neural.training.outcome import Finish
from regsearch.models.neural.training.pool import Crew, workers
from regsearch.models.neural.training.run import Flight
from regsearch.models.neural.training.shared import Structure, Workshop
from regsearch.models.neural.training.worker import Done, Trouble

IN_FLIGHT = 16  # trials of nets that stack: more, and the sampler learns too late; ...
ALONE = 8  # ... those of nets that do not
REFILL = 4  # free places that are worth a new cohort, as a part of all
STRIDE = 5  # epochs between two looks at a trial
CACHE = 20 * 2**19  # bytes of parameters, moments and gradients of a block: more, and each pass waits for memory


@dataclass
class Cohort:
    """Trials of one structure that train together; `number` and a fold name the block of their rows."""

    number: int
    structure: Structure
    flights: list[Flight]


class Stack:
    """Trains candidates; see the module."""

    def __init__(self, setup: Setup, device: str = "auto") -> None:
        self.setup = setup
        self.workshop = Workshop(setup, device)
        self.stop = self.workshop.stop
        self.finish = Finish(self.workshop)
        self.ladder = Ladder(setup.history.curves)
        self.cohorts: list[Cohort] = []
        self.crew = Crew(self.workshop, workers(setup.n_jobs, self.workshop.device))
        self._numbers = count()

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        source = iter(candidates)
        with self.crew:
            try:
                while True:
                    yield from self._refill(source)
                    self._join()
                    if not self.cohorts:
                        break
                    self._advance()
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
                yield Outcome(candidate, "failed", reason=str(error))
                continue
            if self._room(arrived) <= 0:
                break
        for structure, flights in arrived.items():
            for part in self._parts(structure, flights):
                try:
                    self.cohorts.append(self._cohort(structure, part))
                except (InvalidInput, RuntimeError, MemoryError) as error:
                    for flight in part:
                        flight.failure = str(error)
                        yield self.finish(flight, structure, "")

    def _parts(self, structure: Structure, flights: Sequence[Flight]) -> Iterator[list[Flight]]:
        """Trials by the block that they will train in: what begun ones have room for, then whole new ones."""
        waiting, size = list(flights), self._rows(structure)
        rooms = [size - len(cohort.flights) for cohort in self.cohorts if cohort.structure == structure]
        while waiting:
            room = rooms.pop(0) if rooms else size
            part, waiting = waiting[:room], waiting[room:]
            if part:
                yield part

    def _places(self, arrived: Mapping[Structure, list[Flight]]) -> int:
        """How many trials may be in flight."""
        structures = {*arrived, *(cohort.structure for cohort in self.cohorts)}
        return IN_FLIGHT if all(structure.stacks for structure in structures) else ALONE

    def _room(self, arrived: Mapping[Structure, list[Flight]]) -> int:
        return self._places(arrived) - self.live - sum(map(len, arrived.values()))

    def _rows(self, structure: Structure) -> int:
        """Rows of a block: as many as stay in the cache. They are as many for one worker as for many: sums round so."""
        if not structure.stacks:
            return 1
        length = self.workshop.network(structure, 0).layout.length
        fits = CACHE // (16 * length) if self.workshop.device.type == "cpu" else self.crew.most
        return max(1, min(self.crew.most, fits))

    def _cohort(self, structure: Structure, flights: list[Flight]) -> Cohort:
        rows = [self.workshop.row(flight.config, structure) for flight in flights]
        cohort = Cohort(next(self._numbers), structure, flights)
        for k in self._folds:
            self.crew.make((cohort.number, k), structure, rows)
        return cohort

    @property
    def _folds(self) -> range:
        return range(len(self.setup.folds))

    # --- training ----------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Train all up to where a trial is looked at next; the largest blocks first."""
        self.cohorts.sort(key=lambda cohort: -len(cohort.flights))
        epochs = self._ahead()
        alone = "" if all(cohort.structure.stacks for cohort in self.cohorts) else ", net by net"
        self.setup.notice(f"{self.live} trials in flight{alone}")
        done = iter(self.crew.advance([(cohort.number, k) for cohort in self.cohorts for k in self._folds], epochs))
        for cohort in self.cohorts:
            self._take(cohort, [next(done) for _ in self._folds])

    def _ahead(self) -> int:
        """Epochs until some trial is to be looked at: one number for all, that no size of a block has a say in."""
        flights = [flight for cohort in self.cohorts for flight in cohort.flights]
        marks = [mark - flight.epoch for flight in flights for mark in (*flight.rungs, flight.config.last)]
        return min([STRIDE, *(left for left in marks if left > 0)])

    def _take(self, cohort: Cohort, found: list[Done | Trouble]) -> None:
        """Let the trials of a cohort take in what its blocks gave; where one could not go on, they fail."""
        done = [one for one in found if isinstance(one, Done)]
        trouble = next((one.text for one in found if isinstance(one, Trouble)), "")
        for i, flight in enumerate(cohort.flights):
            flight.seconds += sum(one.seconds for one in done) / len(cohort.flights)
            flight.failure = trouble
            if not trouble:
                flight.take([one.segment for one in done], i)

    # --- trials end --------------------------------------------------------------------------------------------

    def _settle(self) -> Iterator[Outcome]:
        """Let trials end, give up those that fall behind, and join what is left."""
        pruned = self._fallen_behind() if self.setup.prune else {}
        outcomes = []
        for cohort in self.cohorts:
            on = []
            for i, flight in enumerate(cohort.flights):
                if flight.failure or flight.ended or id(flight) in pruned:
                    outcomes.append((flight, cohort.structure))
                else:
                    on.append(i)
            self._keep(cohort, on)
        for flight, structure in sorted(outcomes, key=lambda pair: pair[0].candidate.number):
            yield self.finish(flight, structure, pruned.get(id(flight), ""))

    def _keep(self, cohort: Cohort, on: list[int]) -> None:
        """Go on with some trials of a cohort only."""
        if len(on) == len(cohort.flights):
            return
        cohort.flights = [cohort.flights[i] for i in on]
        for k in self._folds:
            key = (cohort.number, k)
            self.crew.keep(key, on) if on else self.crew.drop(key)

    def _fallen_behind(self) -> dict[int, str]:
        """Trials that are not among the best half of those that came as far, with the reason.

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
        """Join cohorts of one structure as long as they fit a block, wherever their trials are."""
        joined: list[Cohort] = []
        for cohort in self.cohorts:
            if not cohort.flights:
                continue
            fit = (
                one for one in joined
                if one.structure == cohort.structure
                and len(one.flights) + len(cohort.flights) <= self._rows(one.structure)
            )  # fmt: skip
            host = next(fit, None)
            if host is None:
                joined.append(cohort)
            else:
                host.flights += cohort.flights
                for k in self._folds:
                    self.crew.join((host.number, k), (cohort.number, k))
        self.cohorts = joined
