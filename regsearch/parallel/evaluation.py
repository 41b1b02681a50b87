"""The life of a worker: it evaluates candidates with the family's own backend, as long as the driver has any."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from regsearch._types import Array
from regsearch.models.base import Candidate, FixedHistory, Outcome
from regsearch.models.deadline import Deadline
from regsearch.parallel.messages import Answer, Begin, Doing, Evaluated, Idle, Job, Message, Task, Wanted

NOTICE_S = 0.5  # between two notices to the driver


class DriverLine(Protocol):
    """A worker's line to its driver."""

    def say(self, message: Message) -> None:
        """Tell the driver something."""
        ...

    def ask(self, message: Message) -> Answer:
        """Tell it something, and wait for the answer."""
        ...


@dataclass
class WorkerHistory:
    """What a worker knows of a family's trials: how it was when it began, and what the driver has told since.

    Attributes
    ----------
    curves
        What a backend was not there to see; they are added to while it runs.
    """

    best_folds: Array | None
    curves: list[Array]
    _own: list[Array] = field(default_factory=list)

    def begin(self) -> None:
        """A new backend begins, which does not know what the last one evaluated."""
        self.curves += self._own
        self._own = []

    def note(self, outcome: Outcome) -> None:
        """Take note of what this worker itself has evaluated."""
        if outcome.evidence is not None:
            self._own.append(outcome.evidence)

    def of(self, family: str) -> WorkerHistory:
        """Itself: it is of one family."""
        return self


class WorkerHistories:
    """What a worker knows of the search, by family (an empty one, where a space is of one)."""

    def __init__(self, known: Mapping[str, FixedHistory]) -> None:
        self._of = {family: WorkerHistory(one.best_folds, list(one.curves)) for family, one in known.items()}

    @property
    def best_folds(self) -> Array | None:
        return self._known("").best_folds

    @property
    def curves(self) -> list[Array]:
        return self._known("").curves

    def begin(self) -> None:
        """New backends begin, of all families."""
        for one in self._of.values():
            one.begin()

    def of(self, family: str) -> WorkerHistory:
        """That of a family, whose backend begins."""
        found = self._known(family)
        found.begin()
        return found

    def note(self, outcome: Outcome) -> None:
        """Take note of what this worker itself has evaluated."""
        self._known(outcome.candidate.family).note(outcome)

    def hear(self, task: Task) -> None:
        """Take note of what came with a task."""
        for family, curves in task.curves:
            self._known(family).curves.append(curves)
        for family, best in task.best_folds.items():
            self._known(family).best_folds = best

    def _known(self, family: str) -> WorkerHistory:
        return self._of.setdefault(family, WorkerHistory(None, []))


@dataclass
class JobWorker:
    """Evaluates the candidates of a job.

    Attributes
    ----------
    interrupted
        Set when what is being evaluated shall end.
    """

    job: Job
    line: DriverLine
    interrupted: threading.Event

    def __post_init__(self) -> None:
        self.histories = WorkerHistories(self.job.known)
        self._said_s = 0.0

    def work(self) -> None:
        """Evaluate until there is nothing left to do."""
        while isinstance(begin := self.line.ask(Idle()), Begin):
            self.histories.begin()
            deadline = Deadline(time.monotonic() + begin.left_s, self.job.trial_s, interrupted=self.interrupted)
            setup = replace(self.job.setup, history=self.histories, notice=self._notice, deadline=deadline)
            for outcome in self.job.space.backend(setup).stream(self):
                self.histories.note(outcome)
                self.line.say(Evaluated.of(outcome))

    # What a backend pulls. It may ask again after there was none: there may be one then.

    def __iter__(self) -> JobWorker:
        return self

    def __next__(self) -> Candidate:
        task = self.line.ask(Wanted())
        if not isinstance(task, Task):
            raise StopIteration
        self.histories.hear(task)
        return task.candidate(self.job.space)

    def _notice(self, text: str) -> None:
        if time.monotonic() - self._said_s > NOTICE_S:
            self._said_s = time.monotonic()
            self.line.say(Doing(text))
