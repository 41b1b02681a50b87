"""When an evaluation has to end: backends ask between two epochs of a net, two chunks of lambdas, two folds."""

from __future__ import annotations

import math
import mmap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

OUT_OF_TIME = "time is up"  # why a run ends whose time is
ASKED = "stop() was called"  # why one ends that was asked to


class OutOfTime(Exception):
    """Ends what keeps nothing of what it has done so far."""


class StopRequest:
    """A request to end a run: made from a callback, another thread or a signal handler, seen by forked processes, too.

    An event would do none but the first two: a handler may wait for the lock that it interrupted.
    """

    def __init__(self) -> None:
        self._made = mmap.mmap(-1, 1)

    def make(self) -> None:
        self._made[0] = 1

    @property
    def is_made(self) -> bool:
        return self._made[0] != 0


@dataclass(frozen=True)
class Stop:
    """Why a trial ends before its end.

    Attributes
    ----------
    state
        What becomes of it: ``stopped`` with its run, to be evaluated again; ``pruned`` for having taken too long.
    why
        The same in words.
    """

    state: Literal["stopped", "pruned"]
    why: str

    def at(self, where: str) -> Stop:
        """The same, and where on the way it was."""
        return Stop(self.state, f"{self.why} {where}")


@dataclass(frozen=True)
class Deadline:
    """The time that a run has, and that each of its trials has; by default no end of it.

    Attributes
    ----------
    at
        What the clock says when the run's time is up.
    trial_s
        Seconds that a trial may take.
    clock
        Seconds that only go up, the same in a forked process.
    interrupted
        Set by a Ctrl-C that `interruptible` caught; `None` where it shall catch none.
    request
        To end the run, where one can be made.
    """

    at: float = math.inf
    trial_s: float = math.inf
    clock: Callable[[], float] = time.monotonic
    interrupted: threading.Event | None = None
    request: StopRequest | None = None

    @classmethod
    def of_run(cls, timeout: float | None, trial_timeout: float | None) -> Deadline:
        """That of a run which begins now, by its limits in seconds; its first Ctrl-C is a deadline, too."""
        at = math.inf if timeout is None else time.monotonic() + timeout
        return cls(at, math.inf if trial_timeout is None else trial_timeout, interrupted=threading.Event())

    @property
    def was_interrupted(self) -> bool:
        return self.interrupted is not None and self.interrupted.is_set()

    @property
    def was_cut(self) -> bool:
        """Whether the run was told to end, whatever time it has."""
        return self.was_interrupted or (self.request is not None and self.request.is_made)

    @property
    def reason(self) -> str:
        """Why the run ends where it has passed."""
        return "interrupted" if self.was_interrupted else ASKED if self.was_cut else OUT_OF_TIME

    def passed(self) -> bool:
        """Whether the run is to end."""
        return self.was_cut or self.clock() >= self.at

    def left(self) -> float:
        """Seconds until then, at least 0."""
        return 0.0 if self.was_cut else max(0.0, self.at - self.clock())

    def left_for_findings(self) -> float:
        """Seconds for what follows the search: a run that was asked to end has those that it did not take."""
        return 0.0 if self.was_interrupted else max(0.0, self.at - self.clock())

    def stop(self, seconds: float) -> Stop | None:
        """Why a trial that has taken so long ends here; `None` where it goes on."""
        if seconds >= self.trial_s:
            return Stop("pruned", f"the {self.trial_s:g} s of a trial were up")
        if self.passed():
            return Stop("stopped", "interrupted" if self.was_interrupted else ASKED if self.was_cut else "time was up")
        return None

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the first Ctrl-C in the block end the block, and the run with what it has; a second one goes on up."""
        try:
            yield
        except KeyboardInterrupt:
            if self.interrupted is None or self.interrupted.is_set():
                raise
            self.interrupted.set()


NO_DEADLINE = Deadline()
