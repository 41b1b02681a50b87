"""The life of a worker: it evaluates candidates with the family's own backend, as long as the driver has any."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from regsearch._types import Array
from regsearch.models.base import Candidate, Outcome
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


def is_evidence(outcome: Outcome) -> bool:
    """Whether others are judged by what a candidate came to."""
    searched = outcome.candidate.role != "reference" and outcome.state in ("complete", "pruned")
    return searched and bool(outcome.trajectory.curves)


class WorkerHistory:
    """What a worker knows of the search: how it was when the worker began, and what the driver has told since.

    Attributes
    ----------
    curves
        What a backend was not there to see; they are added to while it runs.
    """

    def __init__(self, best_folds: Array | None, curves: Sequence[Array]) -> None:
        self.best_folds, self.curves = best_folds, list(curves)
        self._own: list[Array] = []

    def begin(self) -> None:
        """A new backend begins, which does not know what the last one evaluated."""
        self.curves += self._own
        self._own = []

    def note(self, outcome: Outcome) -> None:
        """Take note of what this worker itself has evaluated."""
        if is_evidence(outcome):
            self._own.append(outcome.trajectory.deciding.val)

    def hear(self, task: Task) -> None:
        """Take note of what came with a task."""
        self.curves += task.curves
        self.best_folds = self.best_folds if task.best_folds is None else task.best_folds


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
        self.history = WorkerHistory(self.job.best_folds, self.job.curves)
        self._said_s = 0.0

    def work(self) -> None:
        """Evaluate until there is nothing left to do."""
        while isinstance(begin := self.line.ask(Idle()), Begin):
            self.history.begin()
            deadline = Deadline(time.monotonic() + begin.left_s, self.job.trial_s, interrupted=self.interrupted)
            setup = replace(self.job.setup, history=self.history, notice=self._notice, deadline=deadline)
            for outcome in self.job.space.backend(setup).stream(self):
                self.history.note(outcome)
                self.line.say(Evaluated.of(outcome))

    # What a backend pulls. It may ask again after there was none: there may be one then.

    def __iter__(self) -> JobWorker:
        return self

    def __next__(self) -> Candidate:
        task = self.line.ask(Wanted())
        if not isinstance(task, Task):
            raise StopIteration
        self.history.hear(task)
        return task.candidate(self.job.space)

    def _notice(self, text: str) -> None:
        if time.monotonic() - self._said_s > NOTICE_S:
            self._said_s = time.monotonic()
            self.line.say(Doing(text))
