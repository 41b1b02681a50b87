"""The training rows of one fold as squared error reads them: dense columns, about their means and scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from regsearch._types import Array, Reals, Rows
from regsearch.models.compiling import compiled
from regsearch.models.linear.design import Design

Kind: TypeAlias = type[np.floating[Any]]


@dataclass(frozen=True)
class FoldRows:
    """The training rows of one fold, each times the root of its weight; `null` has the null model's residuals."""

    design: Design
    k: int
    null: Array

    @property
    def aim(self) -> Array:
        """The target ``[rows]``, about its mean."""
        return np.asarray(self.null[self._train] * self._roots)

    def columns(self, some: Rows, scale: str, block: slice = slice(None), kind: Kind = np.float64) -> Any:
        """Columns ``[e, rows]``, about their means and scaled; of all rows, or of a block of them, in a precision."""
        rows, center, inverse = self._train[block], self.design.means[self.k], self.design.inverse_scale(scale, self.k)
        columns = np.empty((len(some), len(rows)), kind)
        of = some, rows, center[some], inverse[some], self._roots[block]
        write_columns(self.design.fold(self.k).T, *of, columns)
        return columns

    @property
    def _train(self) -> Rows:
        return self.design.train[self.k]

    @property
    def _roots(self) -> Array:
        return np.asarray(np.sqrt(self.design.fold_weights[self.k, self._train]))


def _write_all(
    turned: Array, some: Rows, rows: Rows, center: Array, inverse: Array, roots: Array, columns: Reals
) -> None:  # fmt: skip
    columns[:] = (turned[some][:, rows] - center[:, None]) * inverse[:, None] * roots


def _write(turned: Array, some: Rows, rows: Rows, center: Array, inverse: Array, roots: Array, columns: Reals) -> None:
    """Write some columns of ``[p, n]`` in some rows: less `center`, times `inverse` and the `roots` of the rows."""
    for e in range(len(some)):
        column = turned[some[e]]
        for i in range(len(rows)):
            columns[e, i] = (column[np.uintp(rows[i])] - center[e]) * inverse[e] * roots[i]


write_columns = compiled(_write, plain=_write_all)
