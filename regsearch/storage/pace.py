"""How often the disk is told to keep what was written: waiting for it must not become most of a fast search's time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SHARE = 0.05  # of a search's time may be spent on waiting for the disk


class Pace:
    """When the disk is told next.

    Parameters
    ----------
    every_s
        Seconds between two times, more where the disk is slow; 0 for each time.
    """

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self._next = 0.0

    @property
    def due(self) -> bool:
        return self.every_s == 0.0 or time.monotonic() >= self._next

    @contextmanager
    def telling(self) -> Iterator[None]:
        """The disk is told within the block."""
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
        self._next = begun + took + max(self.every_s, took / SHARE)
