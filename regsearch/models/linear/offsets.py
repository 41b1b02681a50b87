"""A column of X whose coefficient is known to be one: an exposure, or what another model says.

For the solvers the column is constant, so that it takes no coefficient of theirs, and the rest of the model is fitted
beside it: to y less the column where decisions are in units of y, else with the column added to every decision.

Shapes: n rows, K folds, p columns of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from regsearch._types import Array, Matrix
from regsearch.data.encoding import Encoded, Missing
from regsearch.data.features import is_frame
from regsearch.data.problem import Problem
from regsearch.data.row_table import RowTable
from regsearch.errors import InvalidInput


@dataclass(frozen=True)
class Offset:
    """A column as folds see it.

    Attributes
    ----------
    place
        Where it is in the matrix.
    values
        ``[K, n]``, one row where it is the same in all folds.
    """

    place: int
    values: Array

    @classmethod
    def of(cls, problem: Problem, name: str) -> Offset:
        """That of a column of X by its name."""
        (feature,) = problem.places[name]
        return cls(int(np.flatnonzero(problem.encoded_features == feature)[0]), problem.entries(feature))

    def without(self, data: Encoded) -> Encoded:
        """The data with a constant in place of the column; a copy, but of a table that is read by blocks."""
        missing = data.missing
        if isinstance(missing, Missing):  # which knows what was filled in of one matrix
            missing = Missing(missing.rows, missing.columns)
        own = tuple(self._zeroed(matrix) for matrix in data.own)
        return Encoded(own[0] if own else self._zeroed(data.matrix), missing, own)

    def of_fold(self, k: int) -> Array:
        """``[n]``."""
        return np.asarray(self.values[min(k, len(self.values) - 1)])

    def of_folds(self, folds: int) -> Array:
        """``[folds, n]``."""
        return np.broadcast_to(self.values, (folds, self.values.shape[1]))

    def _zeroed(self, matrix: Matrix) -> Matrix:
        if isinstance(matrix, RowTable):
            return replace(matrix, zeroed=self.place)
        made = matrix.copy() if sparse.issparse(matrix) else matrix.copy(order="F")
        if sparse.issparse(made):
            made.data[made.indptr[self.place] : made.indptr[self.place + 1]] = 0.0
        else:
            made[:, self.place] = 0.0
        return made


def check_offset(name: str, problem: Problem) -> None:
    """Refuse a column, or a problem, that cannot have it for an offset.

    Raises
    ------
    InvalidInput
        Saying why.
    """
    if problem.outputs > 1:
        what = "targets" if problem.targets > 1 else "classes"
        raise InvalidInput(
            f"An offset is added to one decision, y has {problem.outputs} {what}; leave offset={name!r} out."
        )
    places = problem.places[name]
    own = np.flatnonzero(np.isin(problem.encoded_features, places))
    if len(places) != 1 or len(own) != 1 or problem.encoded_names[own[0]] != problem.column_names[places[0]]:
        raise InvalidInput(
            f"An offset must be one column of numbers, {name!r} is a category or becomes {len(own)} columns; encode it "
            "as a number."
        )
    values = problem.entries(places[0])
    if (
        is_frame(problem.X)
        and name in problem.X
        and not np.array_equal(values[0], _given(problem, name), equal_nan=True)
    ):
        raise InvalidInput(
            f"An offset is added as it is, and what prepares X changes {name!r}; let it pass through: "
            f"make_column_transformer((..., [...]), ('passthrough', [{name!r}]))."
        )
    holes = int(np.isnan(values).any(axis=0).sum())
    if holes:
        raise InvalidInput(
            f"An offset must be known in every row, {name!r} is missing in {holes}; fill it in, or leave them out."
        )


def _given(problem: Problem, name: str) -> Array:
    """``[n]`` of a column of X before anything prepares it."""
    return np.asarray(problem.X[name].to_numpy(dtype=float, na_value=np.nan))
