"""What a driver needs of those who run workers: processes of this machine, actors of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from regsearch.parallel.messages import Answer, Job, Message

WorkerId: TypeAlias = int


class Crew(Protocol):
    """Workers that run, each under a number."""

    def start(self, worker: WorkerId) -> None:
        """Start a worker under a number, in the place of one that had it."""
        ...

    def answer(self, worker: WorkerId, answer: Answer) -> None:
        """Answer a worker that waits for it."""
        ...

    def messages(self, wait_s: float, of: Collection[WorkerId]) -> Iterator[tuple[WorkerId, Message]]:
        """What some workers say, as soon as one of them does; nothing where none does in so many seconds."""
        ...

    def interrupt(self) -> None:
        """Have all workers end what they evaluate and hand over what they have of it."""
        ...

    def kill(self, worker: WorkerId) -> None:
        """End a worker at once."""
        ...


class Workers(Protocol):
    """How many workers evaluate candidates, and where.

    Attributes
    ----------
    workers
        How many.
    """

    @property
    def workers(self) -> int: ...

    def crew(self, job: Job) -> AbstractContextManager[Crew]:
        """Who runs them, without any that has started yet; all end with the block.

        Raises
        ------
        Unshippable
            When the job cannot be sent to another process.
        NotFound
            When there is nobody to run them.
        """
        ...
