"""Numbers so large or so small that their squares are none: refused before a fit, which would say something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Rows
from regsearch.data.features import is_frame, is_sparse, take_rows
from regsearch.errors import InvalidInput

AT_ONCE = 2**22  # numbers looked at together
SINGLE = 1e38
SQUARED = 1e140  # what has squares that are numbers ...
FOURTH = 1e70  # ... and fourth powers, which the variance of a squared error has


def check_magnitudes(X: Any, y: NDArray[Any] | None, weight: NDArray[Any] | None, rows: Rows | None = None) -> None:
    """Refuse real numbers of which a fit could not compute squares.

    Parameters
    ----------
    X
        Checked rows: an array, a DataFrame, a sparse matrix or images.
    y
        Numbers to predict ``[n]`` or ``[n, t]``; `None` for classes.
    rows
        Those that count; by default all.

    Raises
    ------
    InvalidInput
        Naming the column, its largest number and the fix.
    """
    if rows is not None and len(rows) < X.shape[0]:
        y = y if y is None else y[rows]
        X = take_rows(X, rows) if is_frame(X) or is_sparse(X) else X
    else:
        rows = None
    for name, largest in _columns(X, rows):
        _check(largest, f"The column {name!r} of X", SQUARED)
    if y is not None:
        _check(float(np.abs(y).max(initial=0.0)), "y", FOURTH)
        spread = float(np.max(y.max(axis=0) - y.min(axis=0), initial=0.0))
        _check(spread, "y less its smallest", FOURTH)
    if weight is not None:
        _check(float(weight.max(initial=0.0)), "sample_weight", SQUARED)  # small ones beside it weigh next to nothing


def check_single_precision(X: Any) -> None:
    """Refuse numbers that single precision does not have.

    Raises
    ------
    InvalidInput
        Naming the column.
    """
    for name, largest in _columns(X):
        if largest > SINGLE:
            raise InvalidInput(
                f"The column {name!r} of X must have numbers of single precision, at most {SINGLE:g}, got {largest:g}; "
                "divide it by a power of ten, or let the net have precision='float64'."
            )


def _check(largest: float, what: str, most: float) -> None:
    if largest and not 1 / most <= largest <= most:
        bound, word = (most, "most") if largest > most else (1 / most, "least")
        raise InvalidInput(
            f"{what} must have numbers whose squares are numbers, their largest {bound:g} in magnitude at {word}, got "
            f"{largest:g}; divide by a power of ten."
        )


def _columns(X: Any, rows: Rows | None = None) -> Iterator[tuple[Any, float]]:
    """Columns of real numbers with the largest magnitude in each, of an array in some rows; missing values are none."""
    if is_frame(X):
        for place, (name, dtype) in enumerate(X.dtypes.items()):
            if dtype.kind == "f":
                values = X.iloc[:, place].to_numpy(dtype=float, na_value=np.nan)
                yield name, float(_largest(values[:, None])[0])
    elif is_sparse(X):
        if X.dtype.kind == "f":
            yield from enumerate(map(float, abs(X).max(axis=0).toarray().ravel()))
    elif X.dtype.kind == "f":
        yield from enumerate(map(float, _largest(X.reshape(len(X), -1), rows)))


def _largest(values: NDArray[Any], rows: Rows | None = None) -> NDArray[Any]:
    """``[p]``: the largest magnitude in each column, of all rows or some."""
    n, p = values.shape
    count, size = n if rows is None else len(rows), max(1, AT_ONCE // max(1, p))
    found = np.full(p, np.nan)
    for start in range(0, count, size):
        part = slice(start, start + size)
        block = values[part if rows is None else rows[part]]
        for end in (np.fmax, np.fmin):
            found = np.fmax(found, np.abs(end.reduce(block, axis=0)))
    return np.asarray(np.nan_to_num(found))
