"""How a solver walks down the lambdas: what every loss has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.design import Piece
from regsearch.models.linear.penalty import Terms

CHUNK = 5  # lambdas between two looks at all columns
APPROACH = 0.6  # ratio of the lambdas that lead to the first one asked for
APPROACH_TOL = 1e-3
Walk: TypeAlias = Callable[[Array], Iterator[Piece]]


def along(lambdas: Array, terms: Terms, descent: Walk, ridge: Walk) -> Iterator[Piece]:
    """Walk by `descent` where a penalty has an L1 part, and by `ridge` where it has none: always so at lambda 0."""
    count = int((lambdas > 0).sum()) if np.any(terms.l1) else 0
    if count:
        yield from descent(lambdas[:count])
    if count < len(lambdas):
        yield from ridge(lambdas[count:])


def approach(top: float, first: float) -> Array:
    """Lambdas that lead from the top to the first one asked for, without either."""
    if first >= APPROACH * top:
        return np.empty(0)
    count = int(np.ceil(np.log(first / top) / np.log(APPROACH)))
    return np.geomspace(top, first, count + 1)[1:-1]


def chunks(values: Array, size: int | None) -> list[Array]:
    """Consecutive values, at most so many at a time."""
    size = size or len(values)
    return [values[start : start + size] for start in range(0, len(values), size)]
