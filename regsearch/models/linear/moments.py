"""Weighted means and covariances of every fold's parts: all that squared error needs to know of the rows.

Notation and shapes

=======  ====================  ==============================================================================
symbol   shape                 meaning
=======  ====================  ==============================================================================
z        [n, p + t]            the columns and, last, the targets
mean     [..., p + t]          weighted mean of z
scatter  [..., p + t, p + t]   weighted sum of (z - mean)(z - mean)'; divided by the weight, the covariance
block    [rows]                rows that play the same part (train, val, neither) in every fold of a group
=======  ====================  ==============================================================================

Each block is read once and centred on its own mean. A fold's part is a union of blocks, whose moments follow from
theirs without subtraction (Chan, Golub & LeVeque 1983): nothing cancels, and held-out rows do not even touch the
rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Matrix, Rows
from regsearch.data.row_table import RowTable
from regsearch.models.linear.blocks import some_rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.fold_groups import Group, fold_groups


@dataclass(frozen=True)
class Moments:
    """Weight, mean and scatter of some rows."""

    weight: float
    mean: Array
    scatter: Array


def groups(design: Design) -> Iterator[Group]:
    """The groups of a design; folds that fill missing entries differ in their matrices, so each is a group."""
    return fold_groups(design.masks, design.held, design.shared)


def fold_moments(design: Design, y: Array) -> Iterator[tuple[int, Moments]]:
    """Moments of the parts of all folds, y ``[n, t]``, each with its place: training parts, then validation parts.

    Those of an empty part are NaN. As they come, what was read for them is given up where no other part needs it.
    """
    width = design.shape[1] + y.shape[1]
    for group in groups(design):
        matrix = design.fold(group.folds[0])
        count = group.trains.shape[1]
        if isinstance(matrix, RowTable):
            blocks = dict(enumerate(_table_moments(matrix, y, design.weights, group.labels, count)))
        else:
            of_block = ((label, np.flatnonzero(group.labels == label)) for label in range(count))
            blocks = {label: block_moments(matrix, y, design.weights, rows) for label, rows in of_block}
        for first, member in ((0, group.trains), (design.folds, group.validates)):
            for k, row in enumerate(member):
                yield first + group.folds[k], combine((block for b, block in blocks.items() if row[b]), width)
                if first:
                    blocks = {b: block for b, block in blocks.items() if member[k + 1 :, b].any()}


def block_moments(matrix: Matrix, y: Array, weights: Array, rows: Rows) -> Moments:
    """Moments of some rows of the matrix ``[n, p]`` and the targets ``[n, t]``."""
    rows = rows[weights[rows] > 0]
    width = matrix.shape[1] + y.shape[1]
    reads = (rows[part] for part in some_rows(len(rows), width))
    read = _dense if isinstance(matrix, np.ndarray) else _sparse
    return combine((read(matrix[some], y[some], weights[some]) for some in reads), width)


def _table_moments(table: RowTable, y: Array, weights: Array, labels: Rows, count: int) -> list[Moments]:
    """Moments of every block of rows by its label, of a table that is read once."""
    sums = [MomentSums(table.shape[1] + y.shape[1]) for _ in range(count)]
    for part, rows in table.blocks(what="forming moments"):
        here, target, weight = labels[part], y[part], weights[part]
        order = np.argsort(here, kind="stable")
        order = order[weight[order] > 0]
        for some in np.split(order, np.flatnonzero(np.diff(here[order])) + 1):
            if len(some):
                sums[here[some[0]]].add(_dense(rows[some], target[some], weight[some]))
    return [one.together() for one in sums]


def combine(parts: Iterable[Moments], width: int) -> Moments:
    """Moments of disjoint rows taken together."""
    sums = MomentSums(width)
    for part in parts:
        sums.add(part)
    return sums.together()


class MomentSums:
    """Moments of disjoint rows as they come, of which no more than one scatter is kept."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._weights: list[float] = []
        self._means: list[Array] = []
        self._scatter = np.zeros((0, 0))

    def add(self, part: Moments) -> None:
        """Take in those of further rows."""
        if part.weight == 0.0:
            return
        if len(self._weights) > 1:
            self._scatter += part.scatter
        else:  # what others hold too is not written to
            self._scatter = self._scatter + part.scatter if self._weights else part.scatter
        self._weights.append(part.weight)
        self._means.append(part.mean)

    def together(self) -> Moments:
        """Those of all rows; NaN of none."""
        weight = sum(self._weights)
        if len(self._weights) == 1:
            return Moments(weight, self._means[0], self._scatter)
        if weight == 0.0:
            return Moments(0.0, np.full(self.width, np.nan), np.full((self.width, self.width), np.nan))
        weights, means = np.array(self._weights), np.stack(self._means)
        mean = weights @ means / weight
        between = np.sqrt(weights)[:, None] * (means - mean)
        return Moments(weight, mean, self._scatter + between.T @ between)


def _dense(block: Array, y: Array, weights: Array) -> Moments:
    z = np.concatenate([block, y], axis=1)
    mean = weights @ z / weights.sum()
    z -= mean
    z *= np.sqrt(weights)[:, None]
    return Moments(float(weights.sum()), mean, z.T @ z)


def _sparse(block: Matrix, y: Array, weights: Array) -> Moments:
    """The columns are not centred, only their products are: a mean is small beside its spread (see `design`)."""
    weight = float(weights.sum())
    p = block.shape[1]
    weighted = block.multiply(weights[:, None]).tocsc()
    mean = np.append(weighted.T @ np.ones(len(y)), weights @ y) / weight
    centred = y - mean[p:]
    scatter = np.empty((len(mean), len(mean)))
    scatter[:p, :p] = (block.T @ weighted).toarray() - weight * np.outer(mean[:p], mean[:p])
    scatter[:p, p:] = weighted.T @ centred
    scatter[p:, :p] = scatter[:p, p:].T
    scatter[p:, p:] = (weights[:, None] * centred).T @ centred
    return Moments(weight, mean, scatter)
