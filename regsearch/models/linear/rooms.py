"""Memory that large arrays are written to, one after another, while a path is fitted.

Arrays that grow a little from one to the next leave holes between them where each has memory of its own, which together
are larger than any of them. What is large is therefore asked of the system, which has it back as soon as it is let go.
"""

from __future__ import annotations

import math
import mmap
import threading
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array

Kind = TypeVar("Kind", bound=np.generic)
GROWTH = 1.5  # times what is asked for, where that has grown: what is not written to takes no memory
LARGE = 2**17  # bytes that are asked of the system
POSIX = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


class Room:
    """Where one array is at a time: made anew only where that is larger."""

    def __init__(self) -> None:
        self._bytes: NDArray[np.uint8] = np.empty(0, np.uint8)

    def of(self, *shape: int) -> Array:
        """Numbers that are to be written to; those that were there before are gone."""
        return self.of_kind(np.float64, *shape)

    def let_go(self) -> None:
        """Nothing is there any more, once what was is not used."""
        self._bytes = np.empty(0, np.uint8)

    def of_kind(self, kind: type[Kind], *shape: int) -> NDArray[Kind]:
        """The same of numbers of some kind."""
        size = math.prod(shape) * np.dtype(kind).itemsize
        if len(self._bytes) < size:
            made = int(GROWTH * size) if len(self._bytes) else size
            self.let_go()  # before there is more
            self._bytes = np.empty(made, np.uint8) if made < LARGE else _mapped(made)
        return self._bytes[:size].view(kind).reshape(shape)


def _mapped(size: int) -> NDArray[np.uint8]:
    options: Any = POSIX
    return np.frombuffer(mmap.mmap(-1, size, **options), np.uint8)


class Rooms(threading.local):
    """Those that folds have in turn: other threads, that work on other folds meanwhile, have others.

    Attributes
    ----------
    columns
        Of those in play, where they are copied.
    gram
        Of their Gram matrix.
    work
        Of what comes and goes: blocks that it is the sum of, and then the factor of columns in use.
    """

    def __init__(self) -> None:
        self.columns, self.gram, self.work = Room(), Room(), Room()
