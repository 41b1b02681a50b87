"""The Hessian of several outputs as conjugate gradients are preconditioned with: its blocks on the diagonal, and more.

The rest of it is of the size of the blocks where the same column is in use for several outputs: what all of them have
in common changes no row's softmax. A share of it remains where other outputs leave the column out. So what a column's
coefficients do in common is solved for beside the blocks (additive Schwarz; Dryja & Widlund 1987), by a matrix as large
as one of them.

Notation: see `block_kernels.py`. A block has the coefficients in play of one output and, behind them, its intercept;
vectors ``[e + m]`` are of all blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

from regsearch._types import Array, Rows
from regsearch.models.linear.block_kernels import descend_blocks, extend_factors, solve_blocks
from regsearch.models.linear.blocks import mirrored, some_rows
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.working_columns import ColumnsInPlay

NUMBERS, LEAST = 2**12, 64  # of columns, and rows, that are copied once more at a time
SWEEPS = 20  # over each block
SOLVED = 0.01  # of the tolerance that they may leave
STEADY = 1e-8  # of the mean curvature, that is added to that of what outputs have in common: all of them may be in use


class OutputBlocks:
    """The blocks of a Hessian, the factors of their supports, and that of what outputs have in common.

    Parameters
    ----------
    columns
        Those in play, of dense rows.
    mask, live
        ``[m, a]``: for which outputs they are, and about where coefficients are not zero.
    p, weights
        Probabilities ``[m, n]`` and weights of the rows.
    rooms
        Of the blocks, and of the factors.
    """

    def __init__(
        self, columns: ColumnsInPlay, mask: Array, live: Array, p: Array, weights: Array, rooms: Rooms
    ) -> None:  # fmt: skip
        sizes = mask.sum(axis=1) + 1
        self.ends = np.concatenate([[0], np.cumsum(sizes)])
        self._squares = rooms.gram.of(int((sizes**2).sum()))
        self._form(columns, mask, live & (live.sum(axis=0) > 1), p, weights)
        self._factors = rooms.work.of(int((sizes * (sizes + 1) // 2).sum()))
        self._active, self._count = np.empty(self.ends[-1], dtype=np.intp), np.zeros(len(sizes), dtype=np.intp)
        self._known = np.zeros(self.ends[-1], dtype=bool)

    def _form(self, columns: ColumnsInPlay, mask: Array, shared: Array, p: Array, weights: Array) -> None:
        """Sums over the rows, which are read once."""
        self._squares[:] = 0.0
        squares, common = list(self._each()), np.zeros((shared.shape[1], shared.shape[1]))
        for part, block in columns.parts(Room()):
            self._add(squares, mask, block, p[:, part], weights[part])
            _add_common(common, shared, block, p[:, part], weights[part])
        for square in squares:
            mirrored(square)
        self._factorise_common(mask, shared, common)

    @staticmethod
    def _add(squares: list[Array], mask: Array, block: Array, share: Array, weight: Array) -> None:
        """To the upper triangles."""
        for square, some, q in zip(squares, mask, share, strict=True):
            root = np.sqrt(weight * q * (1 - q))
            dsyrk(1.0, np.vstack([block[some] * root, root]).T, 1.0, square.T, trans=1, lower=1, overwrite_c=1)

    def _each(self) -> Iterator[Array]:
        start = 0
        for first, end in pairwise(self.ends):
            yield self._squares[start : start + (end - first) ** 2].reshape(end - first, end - first)
            start += (end - first) ** 2

    def _factorise_common(self, mask: Array, shared: Array, common: Array) -> None:
        """Where the coefficients that outputs have in common are among all, the columns of each, and their factor."""
        used, (outputs, places) = np.flatnonzero(shared.any(axis=0)), np.nonzero(mask)
        some = np.flatnonzero(shared[mask])
        self._common: Rows = some + outputs[some]  # behind the coefficients of each output is its intercept
        self._columns: Rows = np.searchsorted(used, places[some])
        few = common[np.ix_(used, used)]
        few[np.diag_indices(len(few))] += STEADY * few.trace() / max(len(few), 1)
        self._factor: Array = few
        if len(few):
            self._factor, failed = dpotrf(few, lower=1)
            self._common = self._common[:0] if failed else self._common

    def descended(
        self, w: Array, slope: Array, threshold: Array, ridge: float, tolerance: float
    ) -> tuple[Array, float]:
        """Where each block has its minimum if the others stay, and what the violations that were met cost."""
        there, left, intercepts = w.copy(), slope.copy(), self.ends[1:] - 1
        left[intercepts] += ridge * w[intercepts]  # which no ridge holds
        of = self._squares, self.ends, there, left, threshold, ridge
        return there, descend_blocks(*of, SOLVED * tolerance, SWEEPS)

    def factorise(self, live: NDArray[np.bool_], ridge: float) -> None:
        """Let the factors know what is live."""
        of = self._active, self._count, self._factors
        extend_factors(self._squares, self.ends, ridge, live, self._known, *of)

    def solved(self, right: Array) -> Array:
        """Nearly the inverse of the Hessian of what is live, times a vector."""
        found = solve_blocks(self.ends, self._active, self._count, self._factors, right)
        if len(self._common):
            together = np.bincount(self._columns, right[self._common], len(self._factor))
            found[self._common] += dpotrs(self._factor, together, lower=1)[0][self._columns]
        return found


def _add_common(common: Array, shared: Array, block: Array, share: Array, weight: Array) -> None:
    """To the curvature of what outputs have in common: by row, that of the share of those which have each column."""
    for some, q in zip(shared, share, strict=True):
        rows = block[some] * np.sqrt(weight * q)
        common[np.ix_(some, some)] += rows @ rows.T
    for few in some_rows(len(weight), len(block), NUMBERS, LEAST):
        rows = shared.T @ share[:, few]
        rows *= block[:, few]
        rows *= np.sqrt(weight[few])
        common -= rows @ rows.T
