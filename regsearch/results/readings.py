"""What was read of the files of trials, kept while it is little: rules and a report ask for each several times."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from regsearch._types import Array
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves
from regsearch.storage.store import Store

BUDGET = 64 << 20  # bytes: what comes after it is read again each time
Read = TypeVar("Read")


class Readings:
    """Curves and decisions of a store's trials, which do not change any more.

    What is returned is the caller's own. No copy of these readings, in another process or not, has anything yet.
    """

    def __init__(self, store: Store, budget: int = BUDGET) -> None:
        self.store, self.budget = store, budget
        self._kept: dict[tuple[str, int, str], Any] = {}
        self._left = budget

    def __reduce__(self) -> tuple[type[Readings], tuple[Store, int]]:
        return Readings, (self.store, self.budget)

    def curves(self, number: int, metric: str) -> Curves:
        """See `regsearch.storage.store.Store.curves`."""
        return self._get(("curves", number, metric), lambda: self.store.curves(number, metric))

    def predictions(self, number: int) -> Array | None:
        """See `regsearch.storage.store.Store.predictions`."""
        return self._get(("predictions", number, ""), lambda: self.store.predictions(number))

    def along(self, number: int) -> PathDecisions | None:
        """See `regsearch.storage.store.Store.along`."""
        return self._get(("along", number, ""), lambda: self.store.along(number))

    def _get(self, key: tuple[str, int, str], read: Callable[[], Read]) -> Read:
        if key in self._kept:
            found: Read = self._kept[key]
            return _copied(found)
        found = read()
        size = sum(array.nbytes for array in _arrays(found).values())
        if size <= self._left:
            self._left -= size
            self._kept[key] = _copied(found)
        return found


def _arrays(found: Any) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of what was read, by name."""
    named = {"": found} if isinstance(found, np.ndarray) or found is None else vars(found)
    return {name: value for name, value in named.items() if isinstance(value, np.ndarray)}


def _copied(found: Read) -> Read:
    """The same with arrays of its own."""
    copied = copy.copy(found)
    for name, array in _arrays(copied).items() if not isinstance(copied, np.ndarray) else ():
        object.__setattr__(copied, name, array.copy())
    return copied
