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

from regsearch._types import Array, Matrix
from regsearch.data.columns import kinds_of
from regsearch.data.features import count_missing, is_frame, is_sparse
from regsearch.data.problem import Problem

WIDEST = 2000  # columns up to which eigenvalues are computed
WORK = 1e11  # multiplications that they may take
ENTRIES = 2e8  # of X up to which its columns are looked at, zeros of a sparse one included
AT_ONCE = 2**18  # numbers that are looked at together: they stay in the cache


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
    weights = problem.sample_weight
    share = np.full(problem.rows, 1 / problem.rows) if weights is None else weights / weights.sum()
    columns = (_sparse_columns if is_sparse(matrix) else _dense_columns)(matrix, share)
    products = _products(matrix, columns.mean, share)
    square = products if products.ndim == 1 else products.diagonal()
    spread = np.sqrt(np.divide(square, columns.seen, out=np.zeros(len(square)), where=columns.seen > 0))
    varies = (columns.high > columns.low) & (spread > 0)  # a constant column keeps a spread of rounding
    if varies.any():
        found["scale_spread"] = float(spread[varies].max() / spread[varies].min())
    if products.ndim == 2 and varies.sum() > 1:
        least, greatest = _eigenvalues(products[np.ix_(varies, varies)], spread[varies], problem.rows)
        found["eigenvalues"] = [least, greatest]
        found["condition"] = greatest / least if least > 0 else None
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
    """What is known of each column ``[p]``: its mean, the share of the rows that have a number, and its ends."""

    mean: Array
    seen: Array
    low: Array
    high: Array


def _dense_columns(matrix: Array, share: Array) -> _Columns:
    p = matrix.shape[1]
    total, seen = np.zeros((2, p))
    low, high = np.full(p, np.inf), np.full(p, -np.inf)
    for part, rows in _blocks(matrix):
        here = share[part] @ rows
        if np.isnan(here).any():  # numbers are looked at one by one only where some are missing
            known = ~np.isnan(rows)
            total += share[part] @ np.where(known, rows, 0.0)
            seen += share[part] @ known
        else:
            total += here
            seen += share[part].sum()
        low, high = np.fmin(low, np.fmin.reduce(rows)), np.fmax(high, np.fmax.reduce(rows))
    return _Columns(np.divide(total, seen, out=np.zeros(p), where=seen > 0), seen, low, high)


def _sparse_columns(matrix: Any, share: Array) -> _Columns:
    low, high = (getattr(matrix.tocsc(), end)(axis=0).toarray().ravel() for end in ("min", "max"))
    return _Columns(np.asarray(share @ matrix), np.ones(len(low)), low, high)


def _products(matrix: Matrix, mean: Array, share: Array) -> Array:
    """Mean products of the columns about their means ``[p, p]``; where those are too much work, the squares ``[p]``."""
    n, p = matrix.shape
    if p > WIDEST or n * p**2 > WORK:
        return _sparse_squares(matrix, mean, share) if is_sparse(matrix) else _dense_squares(matrix, mean, share)
    found = np.zeros((p, p))
    for block in _centred(matrix, mean, share):
        found += block.T @ block
    return found


def _dense_squares(matrix: Array, mean: Array, share: Array) -> Array:
    found = np.zeros(len(mean))
    for block in _centred(matrix, mean, share):
        found += np.einsum("ij,ij->j", block, block)
    return found


def _sparse_squares(matrix: Any, mean: Array, share: Array) -> Array:
    columns = matrix.tocsc()
    column, weight = np.repeat(np.arange(len(mean)), np.diff(columns.indptr)), share[columns.indices]
    zeros = np.maximum(1 - np.bincount(column, weight, len(mean)), 0.0)  # share of the rows that have no entry
    return np.asarray(np.bincount(column, weight * (columns.data - mean[column]) ** 2, len(mean)) + zeros * mean**2)


def _eigenvalues(products: Array, spread: Array, rows: int) -> tuple[float, float]:
    """The least and the greatest eigenvalue of A'A, by its columns' products; a least that is rounding is 0."""
    values = np.linalg.eigvalsh(products / spread / spread[:, None])
    greatest, least = float(values[-1]), float(values[0])
    rounding = np.finfo(float).eps * max(rows, len(spread)) * greatest
    return (least if least > rounding else 0.0), greatest


def _centred(matrix: Matrix, mean: Array, share: Array) -> Iterator[Array]:
    """Blocks of rows about the mean, times the roots of their shares; 0 where a number is missing."""
    roots = np.sqrt(share)
    for part, rows in _blocks(matrix):
        block = rows - mean
        block *= roots[part, None]
        if np.isnan(block.sum()):
            np.nan_to_num(block, copy=False)
        yield block


def _blocks(matrix: Matrix) -> Iterator[tuple[slice, Array]]:
    """A few rows at a time, dense: no second copy of the data."""
    n, p = matrix.shape
    most = p if p <= WIDEST else 1  # a Gram matrix is as large: it is not to be written more often than it must
    size = max(1, AT_ONCE // max(p, 1), most)
    for start in range(0, n, size):
        part = slice(start, start + size)
        rows = matrix[part]
        yield part, np.asarray(rows.toarray() if is_sparse(rows) else rows, dtype=np.float64)
