"""The data of a study: X, y, the task, and optionally groups, sample weights and a held-out test set.

A `Problem` is checked once, before any fit: what cannot be searched is refused here in one sentence. Nothing is
learned from the data beyond its form (column kinds, classes); imputing, encoding and scaling belong to the folds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]
Task: TypeAlias = Literal["regression", "binary", "multiclass"]
FEW_CLASSES = 20  # whole-number targets with more distinct values than this are taken for quantities


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
    X = _checked_X(X)
    n = X.shape[0]
    values, name = _checked_y(y, n)
    weight = _checked_weights(sample_weight, n)
    group = _checked_groups(groups, n)
    task = _checked_task(task) if task else infer_task(values)
    codes, classes = _coded(values, task)
    problem = Problem(X, codes, task, classes, group, weight, name=name)
    if test is None:
        return problem
    if isinstance(test, float):
        return _split_off(problem, test, ordered, seed)
    return replace(problem, test=_given_test(problem, test))


def infer_task(values: NDArray[Any]) -> Task:
    """Regression for real numbers and for more than 20 distinct whole numbers, else classification."""
    distinct = len(np.unique(values))
    if values.dtype.kind == "f" or (values.dtype.kind in "iu" and distinct > FEW_CLASSES):
        return "regression"
    return "binary" if distinct == 2 else "multiclass"


def is_frame(X: Any) -> bool:
    """Whether X is a pandas DataFrame."""
    return hasattr(X, "iloc") and hasattr(X, "columns")


def is_sparse(X: Any) -> bool:
    """Whether X is a scipy sparse matrix or array."""
    return hasattr(X, "tocsr")


def take_rows(X: Any, rows: Rows) -> Any:
    """Rows of an array, DataFrame or sparse matrix."""
    return X.iloc[rows] if is_frame(X) else X[rows]


def column_kinds(X: pd.DataFrame) -> tuple[list[Any], list[Any], list[Any]]:
    """The (numeric, boolean, categorical) columns of a DataFrame.

    Raises
    ------
    InvalidInput
        When a column is none of them.
    """
    import pandas as pd

    kinds: dict[str, list[Any]] = {"numeric": [], "boolean": [], "category": [], "other": []}
    for column, dtype in X.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):
            kinds["category"].append(column)
        elif pd.api.types.is_bool_dtype(dtype):
            kinds["boolean"].append(column)
        elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
            kinds["numeric"].append(column)
        else:
            kinds["other"].append(column)
    if kinds["other"]:
        first = kinds["other"][0]
        raise InvalidInput(
            f"Columns of X must be numeric, boolean or categorical, got {len(kinds['other'])} of another type, "
            f"the first being {first!r} ({X.dtypes[first]}); convert it, for example X[{first!r}].astype('category')."
        )
    return kinds["numeric"], kinds["boolean"], kinds["category"]


# --- checks ----------------------------------------------------------------------------------------------------


def _checked_X(X: Any) -> Any:
    if is_frame(X):
        return _checked_frame(X)
    if not is_sparse(X):
        X = _as_array(X)
    if X.dtype.kind not in "fiub":
        raise InvalidInput(
            f"X must hold numbers, got {'a sparse' if is_sparse(X) else 'an'} array of {X.dtype}; "
            "use a DataFrame with categorical columns for text, or convert with X.astype(float)."
        )
    if X.ndim != 2:
        raise InvalidInput(f"X must be two-dimensional [rows, columns], got {X.ndim} axes; reshape it.")
    if is_sparse(X):
        X = _as_csr(X)
        _check_finite(X.data, "sparse X", missing_allowed=False)
    else:
        _check_finite(X, "X", missing_allowed=True)
    _check_shape(X)
    if not _varies(X):
        raise InvalidInput("X must vary, got the same row throughout; there is nothing to learn from it.")
    return X


def _as_array(X: Any) -> NDArray[Any]:
    try:
        return np.asarray(X)
    except ValueError as error:
        raise InvalidInput(f"X must be a table of rows of one length, got {type(X).__name__}: {error}") from error


def _as_csr(X: Any) -> Any:
    """CSR with one entry per place: what is done to the entries must not depend on how they were written."""
    from scipy import sparse

    X = sparse.csr_array(X)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


def _checked_frame(X: Any) -> Any:
    _check_shape(X)
    strings = [column for column in X.columns if isinstance(column, str)]
    if 0 < len(strings) < X.shape[1]:
        other = next(column for column in X.columns if not isinstance(column, str))
        raise InvalidInput(
            f"Column names of X must be all strings or none, got {strings[0]!r} and {other!r}; rename them, "
            "for example X.columns = X.columns.astype(str)."
        )
    repeated = X.columns[X.columns.duplicated()]
    if len(repeated):
        raise InvalidInput(f"Column names of X must be unique, got {repeated[0]!r} twice; rename one.")
    numeric, _, _ = column_kinds(X)
    for column in numeric:
        values = X[column].to_numpy(dtype=float, na_value=np.nan)
        _check_finite(values, f"column {column!r} of X", missing_allowed=True)
    if not any(X[column].nunique(dropna=False) > 1 for column in X.columns):
        raise InvalidInput("X must vary, got the same row throughout; there is nothing to learn from it.")
    return X


def _check_shape(X: Any) -> None:
    if 0 in X.shape:
        raise InvalidInput(f"X must have rows and columns, got the shape {tuple(X.shape)}; pass data with both.")


def _check_finite(values: NDArray[Any], what: str, *, missing_allowed: bool) -> None:
    if values.dtype.kind != "f":
        return
    if np.isinf(values).any():
        raise InvalidInput(f"{what} must be finite, got {np.isinf(values).sum()} infinite values; clip or drop them.")
    if not missing_allowed and np.isnan(values).any():
        raise InvalidInput(
            f"{what} must have no NaN, got {np.isnan(values).sum()}; "
            "impute them, or pass a dense array or DataFrame, where they are imputed inside each fold."
        )


def _varies(X: Any) -> bool:
    if is_sparse(X):
        columns = X.tocsc()
        return bool((columns.max(axis=0).toarray() > columns.min(axis=0).toarray()).any())
    same = X[:1] == X
    if X.dtype.kind == "f":
        same |= np.isnan(X[:1]) & np.isnan(X)
    return not same.all()


def _checked_y(y: Any, n: int) -> tuple[NDArray[Any], str]:
    values = _one_column(y)
    if values.ndim != 1:
        raise InvalidInput(f"y must have one value per row, got the shape {values.shape}; pass one target column.")
    if len(values) != n:
        raise InvalidInput(f"X and y must have as many rows, got {n} and {len(values)}; check how they were joined.")
    if values.dtype.kind == "f":
        _check_finite(values, "y", missing_allowed=True)
    missing = _missing(values)
    if missing.any():
        raise InvalidInput(f"y must have no missing value, got {missing.sum()}; drop those rows.")
    values = _typed(values)
    if values.dtype.kind not in "fiubSUT":
        raise InvalidInput(f"y must hold numbers, booleans or class labels, got {values.dtype}; convert it.")
    if len(np.unique(values)) == 1:
        raise InvalidInput(f"y must vary, got {values.tolist()[0]!r} in every row; there is nothing to learn from it.")
    return values, "y" if is_frame(y) else str(getattr(y, "name", None) or "y")


def _one_column(y: Any) -> NDArray[Any]:
    values = np.asarray(y)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _typed(values: NDArray[Any]) -> NDArray[Any]:
    """Objects as an array of what they are."""
    if values.dtype.kind != "O":
        return values
    return values.astype(str) if isinstance(values[0], str) else np.array(values.tolist())


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind == "O":
        import pandas as pd

        return np.asarray(pd.isna(values))
    return np.zeros(len(values), dtype=bool)


def _one_per_row(values: Any, n: int, what: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != (n,):
        raise InvalidInput(f"{what} must have one value per row of X ({n}), got the shape {array.shape}.")
    return array


def _checked_groups(groups: Any, n: int) -> NDArray[Any] | None:
    if groups is None:
        return None
    array = _one_per_row(groups, n, "groups")
    missing = _missing(array)
    if missing.any():
        raise InvalidInput(f"groups must have no missing value, got {missing.sum()}; give those rows one or drop them.")
    return array


def _checked_task(task: Task) -> Task:
    if task not in get_args(Task):
        raise InvalidInput(f"task must be {', '.join(get_args(Task))}, got {task!r}; leave it out to have it inferred.")
    return task


def _checked_weights(weights: Any, n: int) -> Array | None:
    if weights is None:
        return None
    array = _one_per_row(weights, n, "sample_weight")
    try:
        array = array.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"sample_weight must be numbers, got {array.tolist()[0]!r}; convert them.") from error
    if not np.isfinite(array).all() or (array < 0).any():
        worst = array[~np.isfinite(array)][0] if not np.isfinite(array).all() else array.min()
        raise InvalidInput(f"sample_weight must be finite and not negative, got {worst:g}; fix or drop those rows.")
    if not (array > 0).any():
        raise InvalidInput("sample_weight must be positive somewhere, got only zeros; leave it out to weigh all alike.")
    return array


def _coded(values: NDArray[Any], task: Task) -> tuple[NDArray[Any], NDArray[Any] | None]:
    if task == "regression":
        if values.dtype.kind not in "fiub":
            raise InvalidInput(f"Regression needs a numeric y, got {values.dtype}; drop task='regression'.")
        return values.astype(float), None
    classes, codes = np.unique(values, return_inverse=True)
    if task == "binary" and len(classes) != 2:
        raise InvalidInput(f"A binary task needs two classes, got {len(classes)}; use task='multiclass'.")
    if task == "multiclass" and len(classes) < 3:
        raise InvalidInput(f"A multiclass task needs at least three classes, got {len(classes)}; use task='binary'.")
    if len(classes) > len(values) // 2:
        raise InvalidInput(
            f"Classes must repeat, got {len(classes)} distinct values in {len(values)} rows; "
            "for a real-valued target pass task='regression'."
        )
    return codes, classes


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
    X = _checked_X(X)
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
    values = _one_column(y)
    if values.shape != (n,):
        got = len(values) if values.ndim == 1 else f"the shape {values.shape}"
        raise InvalidInput(f"The test set must have as many rows in X as in y, got {n} and {got}.")
    missing = _missing(values)
    if missing.any():
        raise InvalidInput(f"y of the test set must have no missing value, got {missing.sum()}; drop those rows.")
    values = _typed(values)
    if problem.classes is not None:
        unknown = values[~np.isin(values, problem.classes)].tolist()
        if unknown:
            raise InvalidInput(f"The test set must have the classes of y, got {unknown[0]!r}; drop those rows.")
        return np.asarray(np.searchsorted(problem.classes, values))
    if values.dtype.kind not in "fiub":
        raise InvalidInput(f"y of the test set must be numbers as y is, got {values.dtype}; convert it.")
    _check_finite(values, "y of the test set", missing_allowed=False)
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
