"""Columns of any kind as one numeric matrix, and the scikit-learn transformers that do the same in production.

The matrix is fold-independent: one-hot columns of a category that a fold's training rows lack are constant there, so
their coefficients are zero, exactly as if the category were unknown; missing entries are left for each fold to fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.data.features import column_kinds, is_frame, is_sparse
from regsearch.data.problem import Problem


@dataclass(frozen=True)
class Encoded:
    """A numeric copy of X.

    Attributes
    ----------
    matrix
        ``[n, p]`` float64, Fortran-ordered array or CSC; missing entries hold 0.
    missing
        ``(rows, columns)`` of the missing entries, column by column, or `None`.
    """

    matrix: Any
    missing: tuple[NDArray[np.int32], NDArray[np.int32]] | None


def encode(X: Any) -> Encoded:
    """One-hot encode categories, pass numbers through, mark what is missing."""
    if is_sparse(X):
        return Encoded(X.tocsc().astype(np.float64), None)
    matrix = _frame_matrix(X) if is_frame(X) else np.array(X, dtype=np.float64, order="F", copy=None)
    found = [np.flatnonzero(np.isnan(column)).astype(np.int32) for column in matrix.T]
    rows = np.concatenate(found)
    if not len(rows):
        return Encoded(matrix, None)
    if not is_frame(X) and np.may_share_memory(matrix, X):  # folds write their fills: never into the user's array
        matrix = matrix.copy(order="F")
    for j, holes in enumerate(found):
        matrix[holes, j] = 0.0
    return Encoded(matrix, (rows, np.repeat(np.arange(len(found), dtype=np.int32), [len(holes) for holes in found])))


def encoded_names(problem: Problem) -> list[str]:
    """What the columns of `encode` are called: a category's are ``column=level``."""
    if not is_frame(problem.X):
        return problem.column_names
    numeric, boolean, category = column_kinds(problem.X)
    levels = [f"{name}={level}" for name in category for level in _levels(problem.X[name])]
    return [*map(str, numeric), *map(str, boolean), *levels]


def transformer(problem: Problem) -> Any | None:
    """The unfitted scikit-learn step that turns raw X into what the model sees before scaling; `None` if X is sparse.

    Its output columns are those of `encode`, in the same order.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if is_sparse(problem.X):
        return None
    impute = SimpleImputer(keep_empty_features=True)
    if not is_frame(problem.X):
        return impute
    kinds = column_kinds(problem.X)
    numeric, boolean, category = (_selector(problem.X, names) for names in kinds)
    zero_one = OrdinalEncoder(
        categories=[[False, True]] * len(boolean), handle_unknown="use_encoded_value", unknown_value=np.nan,
        encoded_missing_value=np.nan,
    )  # fmt: skip
    levels = [_levels(problem.X[column]) for column in kinds[2]]
    parts = [
        (impute, numeric),
        (make_pipeline(zero_one, SimpleImputer(keep_empty_features=True)), boolean),
        (OneHotEncoder(categories=levels, handle_unknown="ignore", sparse_output=False), category),
    ]
    return make_column_transformer(*[part for part in parts if part[1]], verbose_feature_names_out=False)


def _selector(X: Any, names: list[Any]) -> list[Any]:
    """What picks columns in scikit-learn: their names, or places where the names are no strings."""
    return names if all(isinstance(name, str) for name in X.columns) else [X.columns.get_loc(name) for name in names]


def _frame_matrix(X: Any) -> NDArray[np.float64]:
    columns = list(_numeric_columns(X))
    matrix = np.empty((len(X), len(columns)), order="F")
    for j, column in enumerate(columns):
        matrix[:, j] = column
    return matrix


def _numeric_columns(X: Any) -> Iterator[NDArray[np.float64]]:
    numeric, boolean, category = column_kinds(X)
    for name in (*numeric, *boolean):
        yield X[name].to_numpy(dtype=float, na_value=np.nan)
    for name in category:
        values = X[name].astype(object).to_numpy()
        for level in _levels(X[name]):
            is_nan = isinstance(level, float) and np.isnan(level)
            yield (X[name].isna().to_numpy() if is_nan else values == level).astype(float)


def _levels(column: Any) -> list[Any]:
    """The categories of a column, sorted unless they are text, with NaN as the last where it occurs."""
    categories = column.cat.categories
    levels = list(categories if categories.dtype.kind in "OUS" else categories.sort_values())
    return [*levels, np.nan] if column.isna().any() else levels
