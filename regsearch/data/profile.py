"""A few numbers about the data, known before any fit, that say how hard they make a penalty's work.

Notation: n rows, p columns; A holds the numeric columns, centred, in units of their standard deviation, times the root
of the rows' shares of the weight, so that A'A is their correlation matrix: the Gram matrix that a linear model of
standardised columns sees. The eigenvalues of A'A sum to the number of columns that vary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Matrix
from regsearch.data.columns import kinds_of
from regsearch.data.features import count_missing, is_frame, is_sparse
from regsearch.data.problem import Problem

WIDEST = 2000  # columns up to which eigenvalues are computed
WORK = 1e11  # multiplications that they may take
ENTRIES = 2e8  # of X up to which its columns are looked at, zeros of a sparse one included
ROWS_AT_ONCE = 4096


def profile(problem: Problem) -> dict[str, Any]:
    """Numbers about the data of a problem, as JSON has them.

    Of a DataFrame, the columns that are numeric or boolean count as numeric. Columns of images are pixels, which no one
    scales one by one: nothing is said of them.

    Returns
    -------
    dict
        ``rows``, ``columns``. ``class_shares``: share of the rows by class, `None` for a regression. ``missing``: share
        of the entries. ``scale_spread``: largest standard deviation of a numeric column that varies over the smallest.
        ``eigenvalues``: least and greatest of the correlation matrix A'A, and ``condition``, their ratio: `None` where
        the matrix is singular. What is too much work to be worth it is `None`.
    """
    found: dict[str, Any] = {
        "rows": problem.rows, "columns": problem.columns, "class_shares": _class_shares(problem),
        "missing": _missing(problem.X), "scale_spread": None, "eigenvalues": None, "condition": None,
    }  # fmt: skip
    if problem.grid is not None or problem.rows * problem.columns > ENTRIES:
        return found
    matrix = _numbers(problem.X) if problem.table is None else problem.table.values
    columns = _columns(matrix, problem.sample_weight)
    if columns.varies.any():
        spreads = columns.spread[columns.varies]
        found["scale_spread"] = float(spreads.max() / spreads.min())
    ends = _eigenvalues(matrix, columns)
    if ends is not None:
        found["eigenvalues"] = list(ends)
        found["condition"] = ends[1] / ends[0] if ends[0] > 0 else None
    return found


def _class_shares(problem: Problem) -> dict[str, float] | None:
    if problem.classes is None:
        return None
    shares = np.bincount(problem.y, minlength=len(problem.classes)) / problem.rows
    return {str(label): float(share) for label, share in zip(problem.classes.tolist(), shares, strict=True)}


def _missing(X: Any) -> float:
    if is_sparse(X):
        return 0.0
    holes = sum(int(X[name].isna().sum()) for name in X.columns) if is_frame(X) else count_missing(X)
    return float(holes / math.prod(X.shape))


def _numbers(X: Any) -> Matrix:
    """The numeric columns: an array ``[n, p]`` with NaN where entries are missing, or a sparse matrix."""
    if not is_frame(X):
        return X
    kinds = kinds_of(X)
    numbers = [name for one in ("numeric", "boolean") for name, kind in kinds.items() if kind == one]
    return X[numbers].to_numpy(dtype=float, na_value=np.nan)


@dataclass(frozen=True)
class _Columns:
    """What is known of each column ``[p]``, and the rows' shares of the weight ``[n]``."""

    share: Array
    mean: Array
    spread: Array
    varies: NDArray[np.bool_]


def _columns(matrix: Matrix, weights: Array | None) -> _Columns:
    n, p = matrix.shape
    share = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    total, seen = np.zeros(p), np.zeros(p)
    for part, rows in _blocks(matrix):
        known = ~np.isnan(rows)
        total += share[part] @ np.where(known, rows, 0.0)
        seen += share[part] @ known
    mean = np.divide(total, seen, out=np.zeros(p), where=seen > 0)
    square, low, high = np.zeros(p), np.full(p, np.inf), np.full(p, -np.inf)
    for part, rows in _blocks(matrix):
        known = ~np.isnan(rows)
        square += share[part] @ np.where(known, rows - mean, 0.0) ** 2
        low, high = np.fmin(low, np.fmin.reduce(rows)), np.fmax(high, np.fmax.reduce(rows))
    spread = np.sqrt(np.divide(square, seen, out=np.zeros(p), where=seen > 0))
    return _Columns(share, mean, spread, (high > low) & (spread > 0))  # a constant column keeps a spread of rounding


def _eigenvalues(matrix: Matrix, columns: _Columns) -> tuple[float, float] | None:
    """The least and the greatest eigenvalue of A'A; a least that is rounding is 0."""
    n, count = len(columns.share), int(columns.varies.sum())
    if not 1 < count <= WIDEST or n * count**2 > WORK:
        return None
    gram = np.zeros((count, count))
    inverse = 1 / columns.spread[columns.varies]
    for part, rows in _blocks(matrix):
        block = np.nan_to_num((rows - columns.mean)[:, columns.varies] * inverse, copy=False)
        block *= np.sqrt(columns.share[part])[:, None]
        gram += block.T @ block
    values = np.linalg.eigvalsh(gram)
    greatest, least = float(values[-1]), float(values[0])
    rounding = np.finfo(float).eps * max(n, count) * greatest
    return (least if least > rounding else 0.0), greatest


def _blocks(matrix: Matrix) -> Iterator[tuple[slice, Array]]:
    """A few rows at a time, dense: no second copy of the data."""
    for start in range(0, matrix.shape[0], ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        rows = matrix[part]
        yield part, np.asarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64)
