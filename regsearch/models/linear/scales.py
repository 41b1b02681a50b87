"""What each fold divides its columns by, from columns, or from blocks of rows where a table is too large for columns.

``standard`` divides by the deviation, ``minmax`` by the range, ``robust`` by the distance between the quartiles, and
``none`` by 1; 0 marks a column that is constant in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.data.weights import (
    NEARLY_ALL,
    ROUNDING,
    Spread,
    about_means,
    spread_by,
    spread_of,
    spreads_by_blocks,
    weighted_quantiles,
)
from regsearch.models.compiling import compiled
from regsearch.models.linear.blocks import NUMBERS
from regsearch.models.linear.fold_groups import Group

Places = NDArray[np.integer]
Flags = NDArray[np.bool_]
SCALES = ("standard", "minmax", "robust", "none")
QUARTILES = (0.25, 0.75)
AT_ONCE = 64  # columns ...
LEAST = 8  # ... of long ones as few ...
BLOCKS = 16  # ... or what there is of sparse ones, in about so many parts


def column_divisors(matrix: Matrix, train: Rows, how: str, weights: Array, shift: Array) -> Array:
    """``[p]`` divisors of an array or a sparse matrix ``[n, p]``, by its training rows.

    Parameters
    ----------
    weights
        ``[n]``.
    shift
        ``[p]``: what was taken off the columns.
    """
    if sparse.issparse(matrix) and how != "robust":  # zeros are never written out
        return _sparse_divisors(matrix, train, how, weights, shift)
    scales = np.empty(matrix.shape[1])
    for part in _every(matrix.shape[1], AT_ONCE):
        scales[part] = _divisors(matrix[:, part][train], how, weights[train], shift[part])
    return scales


def _sparse_divisors(matrix: Matrix, train: Rows, how: str, weights: Array, shift: Array) -> Array:
    """Those of a CSC matrix, by any way but quartiles."""
    inside, share, scales = np.zeros(len(weights), bool), np.zeros(len(weights)), np.empty(matrix.shape[1])
    inside[train], share[train] = True, weights[train] / weights[train].sum()
    for part in _stored(matrix):
        mean, square, off, lowest, highest = found = np.empty((5, part.stop - part.start))
        starts = matrix.indptr[part.start : part.stop + 1]
        measure_entries(starts, matrix.indices, matrix.data, share, inside, found)
        scales[part] = _chosen(how, spread_by(mean, square, off, shift[part]), lowest, highest, lowest)
    return scales


def _measure_entries(
    starts: Places, rows: Places, values: Array, share: Array, inside: Flags, found: Array
) -> None:  # fmt: skip
    """Write means of sparse columns, mean squares about them, how far off these are, and ends, ``[5, p]``.

    Of the rows that are `inside`, whose shares sum to one.
    """
    count, last = inside.sum(), np.full(len(inside), -1)
    for j in range(len(starts) - 1):
        mean, stored, held, low, high = 0.0, 0.0, 0, np.inf, -np.inf
        for e in range(starts[j], starts[j + 1]):
            if inside[rows[e]]:
                mean += share[rows[e]] * values[e]
                stored += share[rows[e]]
                held += 1
                low, high = min(low, values[e]), max(high, values[e])
        left = 1.0 - stored
        if held < count:
            low, high = min(low, 0.0), max(high, 0.0)
        if left < NEARLY_ALL:  # a difference that is all rounding
            for e in range(starts[j], starts[j + 1]):
                last[rows[e]] = j
            left = 0.0
            for i in range(len(inside)):
                if last[i] != j:
                    left += share[i]
        square, off = left * mean**2, -left * mean
        for e in range(starts[j], starts[j + 1]):
            centred = values[e] - mean
            square += share[rows[e]] * centred**2
            off += share[rows[e]] * centred
        found[0, j], found[1, j], found[2, j], found[3, j], found[4, j] = mean, square, off, low, high


def _measure_copies(
    starts: Places, rows: Places, values: Array, share: Array, inside: Flags, found: Array
) -> None:  # fmt: skip
    part = slice(starts[0], starts[-1])
    block = sparse.csc_array((values[part], rows[part], starts - starts[0]), shape=(len(inside), len(starts) - 1))
    found[:3], found[3:] = about_means(block[inside], share[inside]), _extent(block[inside])


measure_entries = compiled(_measure_entries, plain=_measure_copies)


@dataclass(frozen=True)
class MeasuredColumns:
    """What is known of columns ``[p]`` in some rows: how far they spread, and their ends."""

    spread: Spread
    lowest: Array
    highest: Array

    def divisors(self, how: str) -> Array:
        """``[p]``, by any way but quartiles."""
        return _chosen(how, self.spread, self.lowest, self.highest, self.lowest)


def measured_folds(matrix: Array, group: Group, weights: Array) -> list[MeasuredColumns]:
    """The columns of an array ``[n, p]`` in the training rows of each fold of a group, all of them read once.

    Rows that a fold holds out do not even touch the rounding: each block is measured about its own mean.
    """
    training = np.asarray(group.trains.any(axis=0))
    used = np.flatnonzero(training[group.labels] & (weights > 0))
    order = used[np.argsort(group.labels[used], kind="stable")]
    edges = np.searchsorted(group.labels[order], np.arange(group.trains.shape[1] + 1))
    totals = np.array([weights[order[slice(*of)]].sum() for of in pairwise(edges)])
    share = weights[order] / np.repeat(totals, np.diff(edges))
    found = np.empty((5, len(totals), matrix.shape[1]))
    measure_blocks(matrix.T, order, edges, share, found)
    return [_together(found[:, member & (totals > 0)], totals[member & (totals > 0)]) for member in group.trains]


def _measure_all(turned: Array, order: Rows, edges: Rows, share: Array, found: Array) -> None:
    size = min(max(LEAST, NUMBERS // turned.shape[1]), AT_ONCE)
    for here in _every(len(turned), size):
        columns = np.take(turned[here], order, axis=1)
        for b, (start, end) in enumerate(pairwise(edges)):
            if start < end:
                found[:, b, here] = _about_mean(columns[:, start:end], share[start:end])


def _measure_blocks(turned: Array, order: Rows, edges: Rows, share: Array, found: Array) -> None:
    """Write ``[5, b, p]`` of blocks of rows of ``[p, n]``, by their shares, one block behind another.

    These are means, mean squares about them, how far off these are, and ends.
    """
    values = np.empty(len(order))
    for j in range(len(turned)):
        column = turned[j]
        for i in range(len(order)):
            values[i] = column[np.uintp(order[i])]  # which does not count from the end
        for b in range(len(edges) - 1):
            start, count = edges[b], edges[b + 1] - edges[b]
            mean, square, off, low, high = 0.0, 0.0, 0.0, np.inf, -np.inf
            for row in range(count):
                place = np.uintp(start + row)
                mean += share[place] * values[place]
            for row in range(count):
                place = np.uintp(start + row)
                centred = values[place] - mean
                off += share[place] * centred
                square += share[place] * centred * centred
            for row in range(count):
                value = values[np.uintp(start + row)]
                low, high = min(low, value), max(high, value)
            found[0, b, j], found[1, b, j], found[2, b, j] = mean, square, off
            found[3, b, j], found[4, b, j] = low, high


measure_blocks = compiled(_measure_blocks, _measure_all, fastmath={"reassoc", "contract", "nnan", "nsz"})


def _about_mean(columns: Array, share: Array) -> tuple[Array, ...]:
    """Means of columns ``[c, r]``, mean squares about them, how far off these are, and ends."""
    mean = columns @ share
    centred = columns - mean[:, None]
    off = centred @ share
    return mean, np.square(centred, out=centred) @ share, off, columns.min(axis=1), columns.max(axis=1)


def _together(found: Array, totals: Array) -> MeasuredColumns:
    """Of blocks ``[5, b, p]``, those of all their rows."""
    (mean, square, off, low, high), share = found, totals / totals.sum()
    middle = share @ mean
    apart = mean - middle
    spread = spread_by(middle, share @ (square + apart * (apart + 2 * off)), share @ (off + apart))
    return MeasuredColumns(spread, low.min(axis=0), high.max(axis=0))


def row_divisors(table: RowTable, masks: NDArray[np.bool_], how: str, weights: Array) -> Array:
    """``[F, p]`` divisors of a table, for folds whose training rows the masks ``[F, n]`` have."""
    totals = np.array([weights[mask].sum() for mask in masks])

    def share(part: slice) -> Array:
        return np.asarray(masks[:, part] * weights[part] / totals[:, None])

    blocks = partial(table.blocks, what="measuring columns")
    spreads, lowest, highest = spreads_by_blocks(blocks, share, (len(masks), table.shape[1]))
    quartiles = lowest  # which no other way reads
    if how == "robust":
        quartiles = np.diff(_table_quantiles(table, masks, weights, QUARTILES), axis=1)[:, 0]
    found = zip(spreads, lowest, highest, quartiles, strict=True)
    return np.stack([_chosen(how, *of) for of in found])


def row_medians(table: RowTable, mask: NDArray[np.bool_], weights: Array) -> Array:
    """``[p]``: the medians of the columns of a table, by its rows that a mask ``[n]`` has."""
    return np.asarray(_table_quantiles(table, mask[None], weights, (0.5,))[0, 0])


def _table_quantiles(table: RowTable, masks: NDArray[np.bool_], weights: Array, shares: tuple[float, ...]) -> Array:
    """``[F, shares, p]`` quantiles, a column at a time."""
    found = np.empty((len(masks), len(shares), table.shape[1]))
    for part, columns in table.column_blocks():
        for quantiles, mask in zip(found, masks, strict=True):
            of_each = (columns[mask, j : j + 1].astype(np.float64) for j in range(columns.shape[1]))
            quantiles[:, part] = np.hstack([_quantiles(column, weights[mask], shares) for column in of_each])
    return found


def _every(columns: int, size: int) -> Iterator[slice]:
    """So many columns at a time: copies of them stay small."""
    return (slice(start, start + size) for start in range(0, columns, size))


def _stored(matrix: Matrix) -> Iterator[slice]:
    """Columns of a CSC matrix, with about as many stored numbers at a time, most of which may be those of a few."""
    size, start = max(NUMBERS // BLOCKS, matrix.nnz // BLOCKS), 0
    while start < matrix.shape[1]:
        stop = int(np.searchsorted(matrix.indptr, matrix.indptr[start] + size, side="right")) - 1
        stop = max(stop, start + 1)
        yield slice(start, stop)
        start = stop


def _extent(block: Matrix) -> tuple[Array, Array]:
    if sparse.issparse(block):
        return np.asarray(block.min(axis=0).toarray()).ravel(), np.asarray(block.max(axis=0).toarray()).ravel()
    return np.asarray(block.min(axis=0)), np.asarray(block.max(axis=0))


def _divisors(block: Matrix, how: str, weights: Array, shift: Array) -> Array:
    """The divisor of each column of a block of training rows."""
    spread, (lowest, highest) = spread_of(block, weights / weights.sum(), shift), _extent(block)
    quartiles = np.diff(_quantiles(block, weights, QUARTILES), axis=0)[0] if how == "robust" else lowest
    return _chosen(how, spread, lowest, highest, quartiles)


def _chosen(how: str, spread: Spread, lowest: Array, highest: Array, quartiles: Array) -> Array:
    """The divisor of each column, 0 of a constant one.

    A column is constant where its weighted deviation is rounding beside its weighted size: one that varies in a row of
    next to no weight alone says nothing but that row's rounding.
    """
    varies = (highest > lowest) & spread.varies
    if how == "none":
        return np.where(varies, 1.0, 0.0)
    if how == "robust":
        return np.where(varies, np.where(quartiles > ROUNDING * spread.size, quartiles, 1.0), 0.0)
    return np.where(varies, highest - lowest if how == "minmax" else spread.deviation, 0.0)


def _quantiles(block: Matrix, weights: Array, shares: tuple[float, ...]) -> Array:
    """``[shares, p]`` quantiles of each column."""
    dense = block.toarray() if sparse.issparse(block) else block
    if (weights == 1).all():
        return np.asarray(np.percentile(dense, [100 * share for share in shares], axis=0))
    return weighted_quantiles(dense, weights, shares)
