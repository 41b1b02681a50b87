"""X as a transformer of the user's prepares it: fitted inside each fold, on the fold's training rows alone.

Shapes: n rows, K folds, p prepared columns.

What a transformer learns (a vocabulary, levels, knots) differs from fold to fold, and so do its columns. Here those of
all folds stand side by side under their names, and one that a fold's transformer does not give is 0 there throughout:
a constant column, which takes no coefficient. So all folds have columns of one meaning, and go in lockstep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regsearch._types import Matrix, Rows
from regsearch.data.column_sources import column_sources, of_every_part
from regsearch.data.encoding import Encoded, Missing, encode
from regsearch.data.features import check_finite, is_frame, take_rows
from regsearch.data.problem import Problem
from regsearch.data.sparse_holes import SparseHoles
from regsearch.data.weights import weighing
from regsearch.errors import FOREIGN, InvalidInput


@dataclass(frozen=True)
class PreparedRows:
    """What the transformers of some folds make of all rows.

    Attributes
    ----------
    names
        ``[p]``.
    matrices
        ``[K]`` of ``[n, p]`` float64, arrays or CSR, with NaN where entries are missing. Of rows that a fold's
        transformer was fitted to, what it made of them then.
    fitted
        ``[K]`` the transformers.
    sources
        ``[p]`` the column of X that each comes from; empty where that is not known.
    """

    names: tuple[str, ...]
    matrices: tuple[Any, ...]
    fitted: tuple[Any, ...]
    sources: tuple[str, ...]

    def problem(self, problem: Problem, k: int) -> Problem:
        """A problem as fold k sees it: a table of numbers."""
        return replace(problem, X=self.matrices[k], test=None)


def prepare_rows(make: Callable[[], Any], problem: Problem, train: Sequence[Rows]) -> PreparedRows:
    """Fit a transformer to each of some sets of training rows, and have it transform all others.

    As a pipeline of scikit-learn does, rows to train on are fitted and transformed at once, with the labels; those of
    weight zero are not there.

    Parameters
    ----------
    make
        Makes the unfitted transformer.

    Raises
    ------
    InvalidInput
        When it cannot prepare them, or gives no numbers.
    """
    found = [_prepared(make(), problem, weighing(rows, problem.sample_weight), k) for k, rows in enumerate(train)]
    names = tuple(dict.fromkeys(name for _, own, _ in found for name in own))
    place = {name: j for j, name in enumerate(names)}
    thin = all(sparse.issparse(matrix) for matrix, _, _ in found)
    matrices = (_aligned(matrix, [place[name] for name in own], len(names), thin) for matrix, own, _ in found)
    told = of_every_part(
        dict(zip(own, column_sources(fitted, own, problem.column_names), strict=True)) for _, own, fitted in found
    )
    sources = tuple(told[name] for name in names)
    return PreparedRows(names, tuple(matrices), tuple(fitted for _, _, fitted in found), sources)


def _prepared(transformer: Any, problem: Problem, rows: Rows, k: int) -> tuple[Any, list[str], Any]:
    """What one transformer makes of all rows, what its columns are called, and itself, fitted."""
    others = np.setdiff1d(np.arange(problem.rows), rows)
    name, where = type(transformer).__name__, f"the training rows of fold {k}"
    try:
        parts = [(rows, transformer.fit_transform(take_rows(problem.X, rows), problem.fit_labels(rows)))]
        where = "the other rows"
        if len(others):
            parts.append((others, transformer.transform(take_rows(problem.X, others))))
    except FOREIGN as error:  # anyone's code
        raise InvalidInput(f"{name} cannot prepare {where}: {type(error).__name__}: {error}") from error
    numbers = [(part, _numbers(made, len(part), name)) for part, made in parts]
    return _in_order(numbers), _names(transformer, numbers[0][1]), transformer


def _numbers(made: Any, rows: int, name: str) -> Any:
    """What a transformer gave as a float64 array ``[rows, columns]`` or CSR."""
    if is_frame(made):
        made = made.to_numpy(dtype=float, na_value=np.nan) if all(map(_is_number, made.dtypes)) else made.to_numpy()
    matrix = sparse.csr_array(made) if sparse.issparse(made) else np.asarray(made)
    if matrix.ndim != 2 or matrix.shape[0] != rows or not matrix.shape[1]:
        raise InvalidInput(
            f"A transformer must give a table with a row for each of X and some columns, {name} gave the shape "
            f"{matrix.shape} for {rows} rows; name the columns that it is for, as in "
            f"make_column_transformer(({name}(...), 'text'))."
        )
    try:
        matrix = matrix.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"A transformer must give numbers, {name} gave {matrix.dtype} ({error}); let it encode such columns, too."
        ) from error
    check_finite(np.asarray(matrix.data) if sparse.issparse(matrix) else matrix, f"What {name} gives")
    return matrix


def _is_number(dtype: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype))


def _in_order(parts: Sequence[tuple[Rows, Any]]) -> Any:
    """Parts of the rows in the order of all."""
    if all(sparse.issparse(made) for _, made in parts):
        stacked = sparse.vstack([made for _, made in parts], format="csr")
        return sparse.csr_array(stacked)[np.argsort(np.concatenate([rows for rows, _ in parts]))]
    dense = [(rows, made.toarray() if sparse.issparse(made) else made) for rows, made in parts]
    matrix = np.empty((sum(len(rows) for rows, _ in dense), dense[0][1].shape[1]))
    for rows, made in dense:
        matrix[rows] = made
    return matrix


def _names(transformer: Any, made: Any) -> list[str]:
    """What the columns are called: numbered where the transformer does not say."""
    numbered = [f"x{j}" for j in range(made.shape[1])]
    try:
        names = [str(name) for name in transformer.get_feature_names_out()]
    except FOREIGN:  # a step without names
        return numbered
    return names if len(set(names)) == len(names) == made.shape[1] else numbered


def _aligned(matrix: Any, places: list[int], width: int, thin: bool) -> Any:
    """A matrix with its columns in their places among all."""
    if not thin and sparse.issparse(matrix):
        matrix = matrix.toarray()
    if places == list(range(width)):
        return matrix
    where: NDArray[np.intp] = np.array(places, dtype=np.intp)
    if thin:
        rows = matrix.tocoo()
        return sparse.csr_array((rows.data, (rows.coords[0], where[rows.coords[1]])), shape=(matrix.shape[0], width))
    spread = np.zeros((matrix.shape[0], width))
    spread[:, where] = matrix
    return spread


# --- for models whose folds share one matrix -------------------------------------------------------------------


@dataclass(frozen=True)
class PreparedProblem(Problem):
    """A problem whose folds each see rows of their own: prepared inside the fold.

    X stays what it was, for scorers; `encoded` is what is fitted to, and its columns are those of the transformers.

    Attributes
    ----------
    prepared
        Of the folds that are fitted, in their order.
    train
        The rows that each of them trains on.
    """

    prepared: PreparedRows | None = None
    train: tuple[Rows, ...] = ()

    @classmethod
    def of(cls, problem: Problem, prepared: PreparedRows, train: Sequence[Rows]) -> PreparedProblem:
        """A problem, seen by folds that train on some sets of rows."""
        given = {name: getattr(problem, name) for name in Problem.__dataclass_fields__}
        return cls(**given | {"test": None}, prepared=prepared, train=tuple(train))

    @property
    def _made(self) -> PreparedRows:
        assert self.prepared is not None
        return self.prepared

    @property
    def columns(self) -> int:
        return len(self._made.names)

    @property
    def column_names(self) -> list[str]:
        return list(self._made.names)

    @cached_property
    def places(self) -> Mapping[str, Sequence[int]]:
        """Under a name that the transformer gives, that column; under another one of X, all that it becomes."""
        found: dict[str, list[int]] = {}
        for j, source in enumerate(self._made.sources):
            if source:
                found.setdefault(source, []).append(j)
        for j, name in enumerate(self._made.names):
            found[name] = [j]
        return found

    @property
    def encoded_names(self) -> list[str]:
        return self.column_names

    @property
    def encoded_features(self) -> Rows:
        return np.arange(self.columns)

    def entries(self, feature: int) -> NDArray[np.float64]:
        columns = [matrix[:, [feature]] for matrix in self._made.matrices]
        return np.stack([np.ravel(one.toarray() if sparse.issparse(one) else one) for one in columns])

    @property
    def table(self) -> None:
        return None

    @cached_property
    def encoded(self) -> Encoded:
        """The matrix of each fold, missing entries filled by the means of what it trains on."""
        prepared = self._made
        own = tuple(
            _filled(encode(matrix), self._weights(rows))
            for matrix, rows in zip(prepared.matrices, self.train, strict=True)
        )
        return Encoded(own[0], None, own)

    def fold(self, k: int) -> Problem:
        """The problem as fold k sees it: a table of numbers without holes."""
        given = {name: getattr(self, name) for name in Problem.__dataclass_fields__}
        return Problem(**given | {"X": self.encoded.own[k]})

    def _weights(self, rows: Rows) -> NDArray[np.float64]:
        """``[n]``: what rows weigh in a fold that trains on some."""
        weights = np.zeros(self.rows)
        weights[rows] = 1.0 if self.sample_weight is None else self.sample_weight[rows]
        return weights


def _filled(encoded: Encoded, weights: NDArray[np.float64]) -> Matrix:
    missing: Missing | SparseHoles | None = encoded.missing
    return encoded.matrix if missing is None else missing.fill(encoded.matrix, missing.fills(encoded.matrix, weights))
