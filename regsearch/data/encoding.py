"""Columns of any kind as one numeric matrix, and the scikit-learn transformers that do the same in production.

The matrix is fold-independent: one-hot columns of a category that a fold's training rows lack are constant there, so
their coefficients are zero, exactly as if the category were unknown; missing entries are left for each fold to fill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Matrix, Rows
from regsearch.data.columns import column_kinds, is_plain, text_of
from regsearch.data.features import count_missing, is_frame, is_sparse, take_rows
from regsearch.data.row_table import RowHoles, RowTable
from regsearch.data.sparse_holes import SparseHoles

if TYPE_CHECKING:
    import pandas as pd

FEW = 10  # rows


@dataclass(frozen=True, eq=False)
class Missing:
    """Missing entries of a matrix, to fill inside each fold with the weighted mean of its observed training entries.

    Attributes
    ----------
    rows, columns
        Where they are.
    """

    rows: NDArray[np.integer[Any]]
    columns: NDArray[np.integer[Any]]
    _written: list[Array] = field(default_factory=list, init=False, repr=False)  # the fills that the matrix holds

    @cached_property
    def holes(self) -> dict[int, NDArray[np.integer[Any]]]:
        """The rows that each column misses, for the columns that miss any."""
        rows, columns = self.rows, self.columns
        if np.any(columns[1:] < columns[:-1]):
            order = np.argsort(columns, kind="stable")
            rows, columns = rows[order], columns[order]
        unique, starts = np.unique(columns, return_index=True)
        return dict(zip(unique.tolist(), np.split(rows, starts[1:]), strict=True))

    def fills(self, matrix: Matrix, weights: Array) -> Array:
        """One fill per column of `holes`, by weights ``[n]``; a column never observed where these are positive: 0."""
        return np.array([_observed_mean(matrix[:, j], weights, rows) for j, rows in self.holes.items()])

    def fill(self, matrix: Matrix, fills: Array) -> Matrix:
        """Write each column's fill, in place, unless this very array was written last; returns the matrix."""
        if self._written and self._written[0] is fills:
            return matrix
        self._written.clear()  # of what Ctrl-C cuts off here nothing is known
        for (j, rows), value in zip(self.holes.items(), fills, strict=True):
            matrix[rows, j] = value
        self._written.append(fills)
        return matrix


@dataclass(frozen=True)
class Encoded:
    """A numeric copy of X.

    Attributes
    ----------
    matrix
        ``[n, p]`` float64, an array, Fortran-ordered unless it may lie as it does, or CSC; missing entries hold 0 until
        they are filled. Or a `RowTable`.
    missing
        Those entries, a `Missing`, `RowHoles` or `SparseHoles`, or `None`.
    own
        The matrix of each fold, where these differ by more than what is filled in.
    """

    matrix: Matrix
    missing: Any
    own: tuple[Matrix, ...] = ()


def encode(X: Any, by_columns: bool = True) -> Encoded:
    """One-hot encode categories, pass numbers through, mark what is missing; see `Problem.encoded`.

    Numbers that are to lie by columns are copied where they do not.
    """
    if is_sparse(X):
        return _encoded_sparse(X)
    matrix = _frame_matrix(X) if is_frame(X) else _numbers(X, by_columns)
    found = [np.flatnonzero(np.isnan(column)).astype(np.int32) for column in matrix.T]
    rows = np.concatenate(found)
    if not len(rows):
        return Encoded(matrix, None)
    if not is_frame(X) and np.may_share_memory(matrix, X):  # folds write their fills: never into the user's array
        matrix = matrix.copy(order="F")
    for j, holes in enumerate(found):
        matrix[holes, j] = 0.0
    columns = np.repeat(np.arange(len(found), dtype=np.int32), [len(holes) for holes in found])
    return Encoded(matrix, Missing(rows, columns))


def _numbers(X: Any, by_columns: bool) -> Array:
    """An array by columns, or as it lies where its rows or its columns do in one piece."""
    array = np.asarray(X, dtype=np.float64)
    in_place = array.itemsize in array.strides and not by_columns
    return array if in_place else np.asarray(array, order="F" if by_columns else "C")


def _encoded_sparse(X: Any) -> Encoded:
    matrix = X.tocsc().astype(np.float64, copy=False)
    holes = np.flatnonzero(np.isnan(matrix.data))
    if not len(holes):
        return Encoded(matrix, None)
    if np.may_share_memory(matrix.data, X.data):
        matrix = matrix.copy()
    matrix.data[holes] = 0.0
    return Encoded(matrix, SparseHoles(holes))


def encoded_names(X: pd.DataFrame) -> list[str]:
    """What the columns of `encode` are called: a category's are ``column=level``."""
    numeric, boolean, category = column_kinds(X)
    levels = [f"{name}={level}" for name in category for level in _levels(X[name])]
    return [*map(str, numeric), *map(str, boolean), *levels]


def encoded_features(X: pd.DataFrame) -> Rows:
    """``[p]``: the place in X of what each column of `encode` comes from."""
    numeric, boolean, category = column_kinds(X)
    counts = [1] * len([*numeric, *boolean]) + [len(_levels(X[name])) for name in category]
    places = [X.columns.get_loc(name) for name in (*numeric, *boolean, *category)]
    return np.repeat(np.array(places, dtype=np.intp), counts)


def transformer(X: Any) -> Any | None:
    """The unfitted scikit-learn step that turns raw X into what the model sees before scaling; `None` if X is sparse
    and nothing is missing.

    Its output columns are those of `encode`, in the same order.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    impute = SimpleImputer(keep_empty_features=True)
    if is_sparse(X):
        return impute if count_missing(X.data) else None
    if not is_frame(X):
        return impute
    kinds = column_kinds(X)
    numeric, boolean, category = (selector(X, names) for names in kinds)
    parts = [
        (impute, numeric),
        (make_pipeline(zero_one(len(boolean)), SimpleImputer(keep_empty_features=True)), boolean),
        (one_hot([X[column] for column in kinds[2]]), category),
    ]
    return make_column_transformer(*[part for part in parts if part[1]], verbose_feature_names_out=False)


def zero_one(columns: int) -> Any:
    """The unfitted step for so many columns of booleans: 0 and 1, NaN where one is missing."""
    from sklearn.preprocessing import OrdinalEncoder

    return OrdinalEncoder(
        categories=[[False, True]] * columns, handle_unknown="use_encoded_value", unknown_value=np.nan,
        encoded_missing_value=np.nan,
    )  # fmt: skip


def one_hot(columns: list[pd.Series[Any]]) -> Any:
    """The unfitted step for columns of categories; what is neither text, number nor boolean it sees as text."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from regsearch.data.category_text import CategoriesToText

    plain = [is_plain(column) for column in columns]
    levels = [
        known if is_plain(column) else [text_of(level) if level == level else level for level in known]  # noqa: PLR0124 - NaN
        for column, known in zip(columns, map(_levels, columns), strict=True)
    ]
    encoder = OneHotEncoder(categories=levels, handle_unknown="ignore", sparse_output=False)
    return encoder if all(plain) else make_pipeline(CategoriesToText(), encoder)


def fit_transformer(X: Any, encoded: Callable[[], Encoded], weights: Array | None) -> Any | None:
    """`transformer` fitted to all rows, if there is one.

    scikit-learn's imputers know no weights: theirs are the means that folds fill with, by the weights ``[n]``. Nor do
    they read a large table by blocks of rows: a few rows tell them what it is.
    """
    prepare, table = transformer(X), RowTable.of(X)
    if prepare is not None and table is not None:
        weights = np.ones(len(X)) if weights is None else weights
        for imputer in _imputers(prepare.fit(take_rows(X, np.arange(FEW)))):
            imputer.statistics_ = RowHoles().fills(table, weights)
        return prepare
    if prepare is None or weights is None:
        return prepare if prepare is None else prepare.fit(X)
    prepare.fit(X)
    start = 0
    for imputer in _imputers(prepare):
        stop = start + len(imputer.statistics_)
        imputer.statistics_ = _weighted_means(encoded(), weights, range(start, stop))
        start = stop
    return prepare


def _imputers(prepare: Any) -> Iterator[Any]:
    """The fitted imputers of a `transformer`, in the order of the columns that they fill."""
    parts = [part for _, part, _ in prepare.transformers_] if hasattr(prepare, "transformers_") else [prepare]
    for part in parts:
        last = part[-1] if hasattr(part, "steps") else part
        if hasattr(last, "statistics_"):
            yield last


def _weighted_means(encoded: Encoded, weights: Array, columns: range) -> Array:
    """Means of the observed entries of some columns; of a sparse matrix, which is of one kind, of all."""
    if is_sparse(encoded.matrix):
        return np.asarray(encoded.missing.fills(encoded.matrix, weights))
    holes = {} if encoded.missing is None else encoded.missing.holes
    none = np.empty(0, dtype=np.intp)
    return np.array([_observed_mean(encoded.matrix[:, j], weights, holes.get(j, none)) for j in columns])


def _observed_mean(column: Array, weights: Array, holes: NDArray[np.integer[Any]]) -> float:
    seen = weights > 0
    seen[holes] = False
    return float(np.average(column[seen], weights=weights[seen])) if seen.any() else 0.0


def selector(X: Any, names: list[Any]) -> list[Any]:
    """What picks columns in scikit-learn: their names, or places where the names are no strings."""
    return names if all(isinstance(name, str) for name in X.columns) else [X.columns.get_loc(name) for name in names]


def _frame_matrix(X: Any) -> Array:
    columns = list(_numeric_columns(X))
    matrix = np.empty((len(X), len(columns)), order="F")
    for j, column in enumerate(columns):
        matrix[:, j] = column
    return matrix


def _numeric_columns(X: Any) -> Iterator[Array]:
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
