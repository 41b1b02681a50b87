"""The backend that hands candidates to workers, each of which has the family's own backend.

It asks, as any backend does, for a candidate when there is room, and yields outcomes as they come. A worker that dies
costs its candidates a second try: alone, so that what kills a worker is not taken for what was beside it. What was in
flight at two deaths, the last time alone, has failed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from regsearch._types import Array
from regsearch.errors import WorkersFailed
from regsearch.models.base import Candidate, FixedHistory, Model, Outcome, Setup
from regsearch.models.deadline import NO_DEADLINE
from regsearch.models.halving import RECENT
from regsearch.parallel.crew import Crew, WorkerId, Workers
from regsearch.parallel.messages import Begin, Died, Doing, Evaluated, Job, Message, Task, Wanted

GRACE_S = 5.0  # after its time is up, for a worker to hand over what it has
LOOK_S = 1.0  # between two looks at the clock
NOTICE_S = 0.1  # between two words on what is being done
DEATHS = 2  # in flight at so many, and alone at the last, a candidate has failed
STILLBORN = 2  # once all and so many more in a row have died before they asked for anything, the next ones would, too


@dataclass
class WorkerState:
    """What the driver knows of a worker.

    Attributes
    ----------
    in_flight
        Its candidates, by number.
    alone
        Whether it is to have one candidate only, for its second try.
    has_spoken
        Whether it has said anything yet.
    since_s
        When it last gave a sign of life, by the deadline's clock.
    best_folds
        What it was last told of the best trial, by family.
    heard
        How many of the curves of others it has been told.
    """

    in_flight: dict[int, Candidate] = field(default_factory=dict)
    alone: bool = False
    has_spoken: bool = False
    since_s: float = 0.0
    best_folds: dict[str, Array] = field(default_factory=dict)
    heard: int = 0


class WorkersBackend:
    """Hands candidates to workers; see the module.

    Parameters
    ----------
    script
        The file that makes the study, if one does.
    in_turn
        Take what workers say in turns, not as it comes: then which candidates there are does not depend on who is
        faster.
    """

    def __init__(self, space: Model, setup: Setup, workers: Workers, script: str = "", in_turn: bool = False) -> None:
        self.space, self.setup, self.workers, self.script, self.in_turn = space, setup, workers, script, in_turn
        self.deadline = setup.deadline
        self.shares = setup.prune and space.gives_up  # whether workers need to know what others have evaluated
        history = setup.history
        self.histories = {family: history.of(family) if family else history for family in space.references()}
        self._source: Iterator[Candidate] = iter(())
        self._states: dict[WorkerId, WorkerState] = {}
        self._waiting: dict[WorkerId, Message] = {}  # what workers have asked for and were not answered: few at a time
        self._sorted: list[WorkerId] = []  # all there are; empty where it is to be made again
        self._next_notice = 0.0
        self._again: deque[Candidate] = deque()  # for their second try
        self._deaths: dict[int, int] = {}  # by number of a candidate
        self._stillborn = 0  # workers in a row
        self._exhausted = False  # no more candidates
        self._curves: list[tuple[WorkerId, str, Array]] = []  # of what was evaluated, with its family
        self._last = -1  # the worker that was heard last

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        self._source = iter(candidates)
        self.setup.notice(f"starting {_workers(self.workers.workers)}")
        with self.workers.crew(self._job()) as crew:
            with self.deadline.interruptible():
                for worker in range(self.workers.workers):
                    self._start(crew, worker)
                while not self.deadline.passed() and self._hand_out(crew):
                    yield from self._hear(crew, LOOK_S)
                    yield from self._end_hangs(crew)
            if self.deadline.passed():
                yield from self._collect(crew)

    def _job(self) -> Job:
        """What workers need: no held-out set, and of the search's history only what they act on."""
        setup, histories = self.setup, self.histories if self.shares else {}
        known = {family: FixedHistory(history.best_folds, history.curves) for family, history in histories.items()}
        alone = replace(
            setup, problem=replace(setup.problem, test=None), history=FixedHistory(), deadline=NO_DEADLINE,
            notice=Setup.notice, on_way=Setup.on_way,
        )  # fmt: skip
        return Job(self.space, alone, known, self.deadline.trial_s, os.path.dirname(self.script))

    # --- answers -----------------------------------------------------------------------------------------------

    def _hand_out(self, crew: Crew) -> bool:
        """Answer those who wait; whether there is anything left to wait for."""
        for worker, asked in list(self._waiting.items()):
            if isinstance(asked, Wanted):
                self._answer_wanted(crew, worker, self._states[worker])
            elif self._again or not self._exhausted:
                self._answer(crew, worker, Begin(self.deadline.left()))
        if self.deadline.clock() >= self._next_notice:  # with a thousand workers it takes as long as half a trial does
            self.setup.notice(self._doing)
            self._next_notice = self.deadline.clock() + NOTICE_S
        in_flight = any(state.in_flight for state in self._states.values())
        return in_flight or bool(self._again) or not self._exhausted

    def _answer_wanted(self, crew: Crew, worker: WorkerId, state: WorkerState) -> None:
        candidate = self._next(state)
        if candidate is None:
            self._answer(crew, worker, None)
            return
        state.in_flight[candidate.number] = candidate
        self._answer(crew, worker, self._task(worker, state, candidate))

    def _next(self, state: WorkerState) -> Candidate | None:
        """What a worker that has room is to evaluate next."""
        state.alone = state.alone and bool(state.in_flight)
        if state.alone:
            return None
        if self._again and not state.in_flight:
            state.alone = True
            return self._again.popleft()
        if self._exhausted:
            return None
        found = next(self._source, None)
        self._exhausted = found is None
        return found

    def _task(self, worker: WorkerId, state: WorkerState, candidate: Candidate) -> Task:
        """A candidate with what this worker does not know of the search."""
        number, role, draws = candidate.number, candidate.role, candidate.draws
        if not self.shares:
            return Task(number, role, draws)
        new, state.heard = self._curves[state.heard :], len(self._curves)
        best = {}
        for family, history in self.histories.items():
            folds = history.best_folds
            if folds is not None and folds is not state.best_folds.get(family):
                best[family] = state.best_folds[family] = folds
        others = [(family, curve) for whose, family, curve in new if whose != worker]
        return Task(number, role, draws, best, tuple(others[-RECENT * len(self.histories) :]))

    def _answer(self, crew: Crew, worker: WorkerId, answer: Begin | Task | None) -> None:
        self._waiting.pop(worker, None)
        self._states[worker].since_s = self.deadline.clock()
        crew.answer(worker, answer)

    # --- messages ----------------------------------------------------------------------------------------------

    def _hear(self, crew: Crew, wait_s: float) -> Iterator[Outcome]:
        """The outcomes among what workers say next."""
        working = self._working
        if self.in_turn and working:
            working = [next((worker for worker in working if worker > self._last), working[0])]
        for worker, message in crew.messages(min(wait_s, self.deadline.left()), working):
            self._last = self._last if isinstance(message, Doing) else worker
            yield from self._take(crew, worker, message)

    @property
    def _working(self) -> list[WorkerId]:
        """Those who do not wait, in their order."""
        self._sorted = self._sorted or sorted(self._states)
        waiting = self._waiting
        return [worker for worker in self._sorted if worker not in waiting] if waiting else self._sorted

    def _take(self, crew: Crew, worker: WorkerId, message: Message) -> Iterator[Outcome]:
        state = self._states[worker]
        if isinstance(message, Died):
            yield from self._bury(crew, worker, message.why)
            return
        state.since_s, state.has_spoken, self._stillborn = self.deadline.clock(), True, 0
        if isinstance(message, Evaluated):
            yield self._evaluated(worker, message)
        elif not isinstance(message, Doing):
            self._waiting[worker] = message
            if isinstance(message, Wanted):  # at once: what others have said by now may take seconds to hear
                self._answer_wanted(crew, worker, state)

    def _evaluated(self, worker: WorkerId, message: Evaluated) -> Outcome:
        outcome = message.outcome(self._states[worker].in_flight.pop(message.number))
        if self.shares and outcome.evidence is not None:
            self._curves.append((worker, outcome.candidate.family, outcome.evidence))
        return outcome

    @property
    def _doing(self) -> str:
        """What is being done, in a few words; who has just handed one over is about to get the next."""
        count = sum(
            len(one.in_flight) or (one.has_spoken and worker not in self._waiting)
            for worker, one in self._states.items()
        )
        return f"{count} trial{'s' * (count != 1)} on {_workers(len(self._states))}"

    # --- deaths ------------------------------------------------------------------------------------------------

    def _start(self, crew: Crew, worker: WorkerId) -> None:
        self._states[worker], self._sorted = WorkerState(since_s=self.deadline.clock()), []
        crew.start(worker)

    def _bury(self, crew: Crew, worker: WorkerId, why: str) -> Iterator[Outcome]:
        """Let what a dead worker had in flight have another try, or fail; and start another in its place."""
        state = self._gone(worker)
        self._stillborn += not state.has_spoken
        if self._stillborn >= STILLBORN + self.workers.workers:
            raise WorkersFailed(f"Workers end before they evaluate anything, the last because {why}.")
        lost = list(state.in_flight.values())
        for candidate in lost:
            deaths = self._deaths[candidate.number] = self._deaths.get(candidate.number, 0) + 1
            if deaths < DEATHS or len(lost) > 1:
                self._again.append(candidate)
            else:
                yield self._failed(candidate, state, f"in flight at {deaths} deaths of a worker: {why}")
        if self._again or not self._exhausted:
            self._start(crew, worker)

    def _gone(self, worker: WorkerId) -> WorkerState:
        """What was known of a worker that is no more."""
        self._waiting.pop(worker, None)
        self._sorted = []
        return self._states.pop(worker)

    def _end_hangs(self, crew: Crew) -> Iterator[Outcome]:
        """End workers that do not get to the end of a trial in its time, nor to where they would look at the clock."""
        trial_s = self.deadline.trial_s
        for worker, state in list(self._states.items()):
            trials = len(state.in_flight)
            if not trials or self.deadline.clock() - state.since_s <= trial_s * trials + GRACE_S:
                continue
            crew.kill(worker)
            why = f"the {trial_s:g} s of a trial were up, and its worker had to be ended"
            if trials == 1:
                (candidate,) = state.in_flight.values()
                state.in_flight.clear()
                yield self._failed(candidate, state, why)
            yield from self._bury(crew, worker, why)

    def _failed(self, candidate: Candidate, state: WorkerState, why: str) -> Outcome:
        return Outcome(candidate, "failed", seconds=self.deadline.clock() - state.since_s, reason=why)

    # --- the end -----------------------------------------------------------------------------------------------

    def _collect(self, crew: Crew) -> Iterator[Outcome]:
        """What workers have of their candidates when time is up, as far as they hand it over soon."""
        if self.deadline.was_cut:
            crew.interrupt()
        clock = self.deadline.clock
        end = clock() + GRACE_S
        while clock() < end:
            for worker in [worker for worker, asked in self._waiting.items() if isinstance(asked, Wanted)]:
                self._answer(crew, worker, None)
            working = [worker for worker in self._working if self._states[worker].in_flight]
            if not working:
                return
            for worker, message in crew.messages(end - clock(), working):
                if isinstance(message, Evaluated):
                    yield self._evaluated(worker, message)
                elif isinstance(message, Died):
                    self._gone(worker)
                elif not isinstance(message, Doing):
                    self._waiting[worker] = message


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count != 1)}"
