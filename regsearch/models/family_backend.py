"""The backend of several families: it hands candidates to the backends of their families, which know nothing of it.

A family that evaluates one candidate at a time (paths, estimators) does so as soon as it comes. One that trains many
together (nets) is let go on once it has as many as it holds, or others have had as many turns since: so its stack is
full, and nothing waits for long. All of it is one thread, and which candidates there are depends on no clock.

What finished trials have shown is shown by family: curves along lambda and along epochs are not comparable, and a
family whose trials were given up for those of another would not have had its search.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial

from regsearch.models.base import Backend, Candidate, Model, Outcome, Setup


@dataclass
class FamilyQueue:
    """The candidates of one family: what its backend pulls.

    Attributes
    ----------
    make
        Makes the backend.
    holds
        How many it evaluates at a time.
    waiting
        Those that it has not pulled.
    inside
        How many it has pulled and not yielded.
    passed_by
        How many of other families were evaluated since it was last let go on.
    """

    make: Callable[[], Backend]
    holds: int
    waiting: deque[Candidate] = field(default_factory=deque)
    inside: int = 0
    passed_by: int = 0
    _stream: Iterator[Outcome] | None = None

    def __iter__(self) -> Iterator[Candidate]:
        return self

    def __next__(self) -> Candidate:
        if not self.waiting:
            raise StopIteration  # for now: it may be asked again
        self.inside += 1
        return self.waiting.popleft()

    @property
    def count(self) -> int:
        """How many have not come to an end."""
        return len(self.waiting) + self.inside

    @property
    def due(self) -> bool:
        """Whether it is its turn."""
        return bool(self.count) and (self.count >= self.holds or self.passed_by >= self.holds)

    def go_on(self) -> Outcome | None:
        """Evaluate until there is an outcome; none where the backend has come to its end, and would begin again."""
        self.passed_by = 0
        if self._stream is None:
            self._stream = self.make().stream(self)
        outcome = next(self._stream, None)
        if outcome is None:
            self.inside, self._stream = 0, None
        else:
            self.inside -= 1
        return outcome

    def close(self) -> None:
        """End the backend at once: it may have processes to end."""
        if isinstance(self._stream, Generator):
            self._stream.close()


class FamiliesBackend:
    """Evaluates candidates of several families; see the module.

    Parameters
    ----------
    families
        By what candidates call them.
    """

    def __init__(self, families: Mapping[str, Model], setup: Setup) -> None:
        self.setup = setup
        self.queues = {
            name: FamilyQueue(partial(self._backend, name, family), family.holds) for name, family in families.items()
        }

    def _backend(self, name: str, family: Model) -> Backend:
        return family.backend(replace(self.setup, history=self.setup.history.of(name)))

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        source = iter(candidates)
        with ExitStack() as stack:
            for queue in self.queues.values():
                stack.enter_context(closing(queue))
            with self.setup.deadline.interruptible():
                yield from self._take_turns(source)
            for queue in self.queues.values():  # what is inside when time is up has come to something
                while queue.inside and (outcome := queue.go_on()) is not None:
                    yield outcome

    def _take_turns(self, source: Iterator[Candidate]) -> Iterator[Outcome]:
        """Evaluate candidates until there are no more, or no more time."""
        while not self.setup.deadline.passed() and (queue := self._next(source)) is not None:
            outcome = queue.go_on()
            if outcome is not None:
                yield outcome

    def _next(self, source: Iterator[Candidate]) -> FamilyQueue | None:
        """The family whose turn it is; `None` where there is nothing left."""
        while not (due := [queue for queue in self.queues.values() if queue.due]):
            candidate = next(source, None)
            if candidate is None:  # for now: there may be more once an outcome is told
                return next((queue for queue in self.queues.values() if queue.count), None)
            self.queues[candidate.family].waiting.append(candidate)
        for queue in self.queues.values():
            queue.passed_by += queue is not due[0]
        return due[0]
