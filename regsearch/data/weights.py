"""What sample weights mean: a row of weight zero is not there, one of weight two counts as two rows do.

Whole numbers are counts of rows, so that statistics which depend on how many rows there are (quantiles, degrees of
freedom) are those of the repeated rows. Other weights are shares: these statistics take Kish's effective number of rows
then, which no common factor of the weights changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.features import is_sparse

ROUNDING = 10 * np.finfo(float).eps  # what varies less than this, beside its own size, is constant
NEARLY_ALL = 1e-6


def weighing(rows: Rows, weights: Array | None) -> Rows:
    """Those of some rows that weigh anything."""
    if weights is None:
        return rows
    found = weights[rows] > 0
    return rows if found.all() else rows[found]


def effective_rows(weights: Array) -> float:
    """How many rows weights ``[n]`` stand for: their sum where all are whole numbers, else Kish's effective number.

    References
    ----------
    Kish (1965), "Survey Sampling", section 11.7.
    """
    if np.array_equal(weights, np.round(weights)):
        return float(weights.sum())
    return float(weights.sum() ** 2 / (weights**2).sum())


def weighted_quantiles(values: Array, weights: Array, shares: Sequence[float]) -> Array:
    """Quantiles ``[len(shares), p]`` of columns ``[n, p]``.

    Of whole numbers for weights those that numpy (linear, its default) has of the repeated rows; of other weights the
    same formula with their effective number.

    References
    ----------
    Akinshin (2023), "Weighted quantile estimators", arXiv 2304.07265: type 7.
    """
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    count = effective_rows(weights)
    reached = np.cumsum(weights[order], axis=0) * (count / weights.sum())
    reached[-1] = count
    found = np.empty((len(shares), values.shape[1]))
    for quantile, share in zip(found, shares, strict=True):
        within = np.clip(reached - share * (count - 1), 0.0, 1.0)  # of the one row's width that the quantile lies in
        quantile[:] = (np.diff(within, axis=0, prepend=0.0) * ordered).sum(axis=0)
    return found


@dataclass(frozen=True)
class Spread:
    """How far columns ``[p]`` spread.

    Attributes
    ----------
    mean, deviation
        Weighted.
    size
        Weighted root mean square of the columns, wherever they were shifted to.
    varies
        Whether a column's deviation is more than rounding beside its size: one that varies in rows of next to no
        weight alone is constant.
    """

    mean: Array
    deviation: Array
    size: Array
    varies: NDArray[np.bool_]


def spread_of(columns: Any, share: Array, shift: Any = 0.0) -> Spread:
    """The spread of columns ``[n, p]``, dense or sparse.

    Parameters
    ----------
    share
        ``[n]`` weights that sum to one.
    shift
        ``[p]`` what was taken off the columns.
    """
    return spread_by(*about_means(columns, share), shift)


def about_means(columns: Any, share: Array) -> tuple[Array, Array, Array]:
    """Means of columns, mean squares about them, and how far off these are; see `spread_of`.

    Squares of what is small, never a difference of large ones.
    """
    if is_sparse(columns):
        columns = columns.tocsc()
        mean = columns.T @ share
        of = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
        stored, centred = share[columns.indices], columns.data - mean[of]
        left = _share_left(columns, share, np.asarray(np.bincount(of, stored, columns.shape[1]), dtype=float))
        square = np.bincount(of, stored * centred**2, columns.shape[1]) + left * mean**2
        off = np.bincount(of, stored * centred, columns.shape[1]) - left * mean
    else:
        mean = share @ columns
        centred = columns - mean
        square, off = share @ centred**2, share @ centred
    return mean, square, off


def spreads_by_blocks(
    blocks: Callable[[], Iterable[tuple[slice, Array]]],
    share: Callable[[slice], Array],
    shape: tuple[int, int],
    shift: Any = 0.0,
) -> tuple[list[Spread], Array, Array]:
    """The spreads of columns whose rows come in blocks, which are read twice, and the columns' ends: F of each at once.

    Parameters
    ----------
    blocks
        Reads parts of the rows, with their numbers ``[r, p]``.
    share
        ``[F, r]`` of a part of the rows; each sums to one over all of them. Rows without a share have no end either.
    shape
        ``(F, p)``.
    shift
        ``[p]`` what was taken off the columns.

    Returns
    -------
    list of Spread
        See `spread_of`.
    Array, Array
        ``[F, p]`` the least and the greatest.
    """
    mean, square, off = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for part, rows in blocks():
        shares = share(part)
        mean += shares @ rows
        for one, least, greatest in zip(shares, low, high, strict=True):
            inside = rows[one > 0]
            np.minimum(least, inside.min(axis=0, initial=np.inf), out=least)
            np.maximum(greatest, inside.max(axis=0, initial=-np.inf), out=greatest)
    for part, rows in blocks():
        for k, one in enumerate(share(part)):
            centred = rows - mean[k]
            off[k] += one @ centred
            square[k] += one @ np.square(centred, out=centred)
    return [spread_by(*of, shift) for of in zip(mean, square, off, strict=True)], low, high


def spread_by(mean: Array, square: Array, off: Array, shift: Any = 0.0) -> Spread:
    """Of means, mean squares about them, and how far off these are."""
    deviation = np.sqrt(np.maximum(square, 0.0))  # of a constant column it is rounding, on either side
    size = np.hypot(mean + shift, deviation)
    certain = np.sqrt(np.maximum(square - off**2, 0.0))  # without what the mean is off by
    return Spread(mean, deviation, size, certain > ROUNDING * size)


def _share_left(columns: Any, share: Array, stored: Array) -> Array:
    """``[p]`` what the rows weigh that a sparse column has no entry in, of what those weigh that it has one in."""
    left = 1.0 - stored
    for j in np.flatnonzero(left < NEARLY_ALL):  # a difference that is all rounding
        others = np.ones(len(share), dtype=bool)
        others[columns.indices[columns.indptr[j] : columns.indptr[j + 1]]] = False
        left[j] = share[others].sum()
    return left
