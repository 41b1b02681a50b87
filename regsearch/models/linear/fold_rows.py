"""The training rows of one fold as squared error reads them: dense columns, about their means and scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.working_columns import scale as scale_columns


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

    def columns(self, some: Rows, scale: str, block: slice = slice(None)) -> Array:
        """Columns ``[e, rows]``, about their means and scaled; of all rows, or of a block of them."""
        rows, center, inverse = self._train[block], self.design.means[self.k], self.design.inverse_scale(scale, self.k)
        columns = np.empty((len(some), len(rows)))
        scale_columns(self.design.fold(self.k).T, some, rows, center[some], inverse[some], columns)
        columns *= self._roots[block]
        return columns

    @property
    def _train(self) -> Rows:
        return self.design.train[self.k]

    @property
    def _roots(self) -> Array:
        return np.asarray(np.sqrt(self.design.fold_weights[self.k, self._train]))
