"""The data of a study: X, y, the task, and optionally groups, sample weights and a held-out test set.

A `Problem` is checked once, before any fit: what cannot be searched is refused here in one sentence. Nothing is
learned from the data beyond its form (column kinds, classes); imputing, encoding and scaling belong to the folds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.errors import InvalidInput
from regsearch.inputs import (
    Array,
    Rows,
    Task,
    as_column,
    as_typed,
    check_finite,
    check_varies,
    checked_groups,
    checked_task,
    checked_weights,
    checked_X,
    checked_y,
    class_codes,
    infer_task,
    is_frame,
    is_missing,
    is_sparse,
    take_rows,
)


@dataclass(frozen=True)
class Problem:
    """Checked data.

    Attributes
    ----------
    X
        ``[n, p]``: array, DataFrame or CSR matrix, as given (lists become arrays).
    y
        ``[n]``: float64 for regression, else class codes ``0 .. C-1`` (see `classes`).
    task
        ``regression``, ``binary`` or ``multiclass``.
    classes
        The labels that the codes stand for; `None` for regression.
    groups, sample_weight
        ``[n]`` or `None`.
    test
        The held-out set, a problem of its own; no decision reads it.
    name
        What y is called, for logs.
    """

    X: Any
    y: NDArray[Any]
    task: Task
    classes: NDArray[Any] | None = None
    groups: NDArray[Any] | None = None
    sample_weight: Array | None = None
    test: Problem | None = None
    name: str = "y"

    @property
    def rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def columns(self) -> int:
        return int(self.X.shape[1])

    @property
    def labels(self) -> NDArray[Any]:
        """y as the user gave it."""
        return self.y if self.classes is None else np.asarray(self.classes[self.y])

    @property
    def column_names(self) -> list[str]:
        if is_frame(self.X):
            return [str(column) for column in self.X.columns]
        return [f"x{j}" for j in range(self.columns)]

    def take(self, rows: Rows) -> Problem:
        """The problem restricted to some rows, without its test set."""
        return replace(
            self,
            X=take_rows(self.X, rows),
            y=self.y[rows],
            groups=None if self.groups is None else self.groups[rows],
            sample_weight=None if self.sample_weight is None else self.sample_weight[rows],
            test=None,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any value, label, weight, group or column name."""
        digest = hashlib.sha256(f"{self.task}|{self.column_names}".encode())
        for part in (self.X, self.y, self.classes, self.groups, self.sample_weight):
            for piece in _bytes_of(part):
                digest.update(piece)
        if self.test is not None:
            digest.update(self.test.fingerprint.encode())
        return digest.hexdigest()[:16]


def make_problem(
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    sample_weight: Any = None,
    test: Any = None,
    task: Task | None = None,
    ordered: bool = False,
    seed: int = 0,
) -> Problem:
    """Check data and infer its task.

    Parameters
    ----------
    X
        ``[n, p]`` array, DataFrame (numeric, boolean, categorical, missing values) or scipy sparse matrix.
    y
        ``[n]``: real numbers for regression; booleans, strings, categories or at most 20 distinct whole numbers for
        classification (`task` overrides).
    groups, sample_weight
        ``[n]`` or `None`.
    test
        ``(X, y)`` of a held-out set, or the fraction of rows to hold out: drawn at random, stratified by class, whole
        groups together, or, when the folds are `ordered` in time, the last rows.
    seed
        Of the draw of the test rows.

    Raises
    ------
    InvalidInput
        When the data cannot be searched; the message names the invariant, the value and the fix.
    """
    X = checked_X(X)
    check_varies(X)
    n = X.shape[0]
    values, name = checked_y(y, n)
    weight = checked_weights(sample_weight, n)
    group = checked_groups(groups, n)
    task = checked_task(task) if task else infer_task(values)
    codes, classes = class_codes(values, task)
    problem = Problem(X, codes, task, classes, group, weight, name=name)
    if test is None:
        return problem
    if isinstance(test, float):
        return _split_off(problem, test, ordered, seed)
    return replace(problem, test=_given_test(problem, test))


# --- the held-out set ------------------------------------------------------------------------------------------


def _split_off(problem: Problem, fraction: float, ordered: bool, seed: int) -> Problem:
    if not 0 < fraction < 1:
        raise InvalidInput(f"test must be a fraction between 0 and 1 or a pair (X, y), got {fraction!r}.")
    n = problem.rows
    if ordered:
        cut = n - max(1, round(n * fraction))
        if cut < 1:
            raise InvalidInput(f"test={fraction} leaves none of {n} rows to train on; choose a smaller fraction.")
        train, test = np.arange(cut), np.arange(cut, n)
    else:
        train, test = _random_split(problem, fraction, seed)
    return replace(problem.take(train), test=problem.take(test))


def _random_split(problem: Problem, fraction: float, seed: int) -> tuple[Rows, Rows]:
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    kind = GroupShuffleSplit if problem.groups is not None else ShuffleSplit
    if problem.groups is None and problem.task != "regression":
        kind = StratifiedShuffleSplit
    splitter = kind(n_splits=1, test_size=fraction, random_state=seed)
    try:
        train, test = next(splitter.split(np.empty(problem.rows), problem.y, problem.groups))
    except ValueError as error:
        raise InvalidInput(f"test={fraction} cannot be split off: {error} Choose another fraction.") from error
    return np.sort(train), np.sort(test)


def _given_test(problem: Problem, test: Any) -> Problem:
    if not isinstance(test, (tuple, list)) or len(test) != 2:
        raise InvalidInput(f"test must be a fraction or a pair (X, y), got {type(test).__name__}.")
    X, y = test
    X = checked_X(X)
    if X.shape[1] != problem.columns or is_frame(X) != is_frame(problem.X):
        raise InvalidInput(
            f"The test set must have the columns of X ({problem.columns}), got {X.shape[1]} in a {type(X).__name__}."
        )
    if is_frame(X):
        absent = [column for column in problem.X.columns if column not in X.columns]
        if absent:
            raise InvalidInput(f"The test set must have the columns of X, {absent[0]!r} is missing.")
        X = X[list(problem.X.columns)]
    return replace(problem, X=X, y=_test_targets(problem, y, X.shape[0]), groups=None, sample_weight=None)


def _test_targets(problem: Problem, y: Any, n: int) -> NDArray[Any]:
    values = as_column(y)
    if values.shape != (n,):
        got = len(values) if values.ndim == 1 else f"the shape {values.shape}"
        raise InvalidInput(f"The test set must have as many rows in X as in y, got {n} and {got}.")
    missing = is_missing(values)
    if missing.any():
        raise InvalidInput(f"y of the test set must have no missing value, got {missing.sum()}; drop those rows.")
    values = as_typed(values)
    if problem.classes is not None:
        unknown = values[~np.isin(values, problem.classes)].tolist()
        if unknown:
            raise InvalidInput(f"The test set must have the classes of y, got {unknown[0]!r}; drop those rows.")
        return np.asarray(np.searchsorted(problem.classes, values))
    if values.dtype.kind not in "fiub":
        raise InvalidInput(f"y of the test set must be numbers as y is, got {values.dtype}; convert it.")
    check_finite(values, "y of the test set", missing_allowed=False)
    return values.astype(float)


# --- fingerprint -----------------------------------------------------------------------------------------------


def _bytes_of(part: Any) -> list[bytes]:
    if part is None:
        return [b"none"]
    if is_frame(part):
        return [piece for column in part.columns for piece in _column_bytes(part[column])]
    if is_sparse(part):
        part = part.tocsr()
        return [np.ascontiguousarray(a).tobytes() for a in (part.indptr, part.indices, part.data)]
    array = np.asarray(part)
    text = array.astype(str) if array.dtype.kind in "OUST" else array
    return [str((text.shape, text.dtype.str)).encode(), np.ascontiguousarray(text).tobytes()]


def _column_bytes(column: Any) -> list[bytes]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        names = str(column.cat.categories.tolist())
        return [names.encode(), column.cat.codes.to_numpy().tobytes()]
    return [column.to_numpy(dtype=float, na_value=np.nan).tobytes()]
