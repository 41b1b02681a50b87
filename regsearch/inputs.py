"""What data may be searched: every check of X, y, weights and groups, and the questions about their form.

What cannot be searched is refused in one sentence that says what must hold, what was found, and what to do.
"""

from __future__ import annotations

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


def checked_X(X: Any) -> Any:
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
        check_finite(X.data, "sparse X", missing_allowed=False)
    else:
        check_finite(X, "X", missing_allowed=True)
    _check_shape(X)
    return X


def check_varies(X: Any) -> None:
    """Refuse data to learn from that are the same row throughout."""
    varied = any(X[column].nunique(dropna=False) > 1 for column in X.columns) if is_frame(X) else _varies(X)
    if not varied:
        raise InvalidInput("X must vary, got the same row throughout; there is nothing to learn from it.")


def _as_array(X: Any) -> NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray):  # what is masked is missing
        return np.asarray(np.ma.filled(X.astype(float), np.nan))
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
    numeric, _, categorical = column_kinds(X)
    for column in numeric:
        values = X[column].to_numpy(dtype=float, na_value=np.nan)
        check_finite(values, f"column {column!r} of X", missing_allowed=True)
    for column in categorical:
        kinds = sorted({type(level).__name__ for level in X[column].cat.categories})
        if len(kinds) > 1:
            raise InvalidInput(
                f"Categories of a column must be of one type, {column!r} has {' and '.join(kinds)}; "
                f"convert it, for example X[{column!r}].astype(str).astype('category')."
            )
    return X


def _check_shape(X: Any) -> None:
    if 0 in X.shape:
        raise InvalidInput(f"X must have rows and columns, got the shape {tuple(X.shape)}; pass data with both.")


def check_finite(values: NDArray[Any], what: str, *, missing_allowed: bool) -> None:
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


def checked_y(y: Any, n: int) -> tuple[NDArray[Any], str]:
    values = as_column(y)
    if values.ndim != 1:
        raise InvalidInput(f"y must have one value per row, got the shape {values.shape}; pass one target column.")
    if len(values) != n:
        raise InvalidInput(f"X and y must have as many rows, got {n} and {len(values)}; check how they were joined.")
    if values.dtype.kind == "f":
        check_finite(values, "y", missing_allowed=True)
    missing = is_missing(values)
    if missing.any():
        raise InvalidInput(f"y must have no missing value, got {missing.sum()}; drop those rows.")
    values = as_typed(values)
    if values.dtype.kind not in "fiubSUT":
        raise InvalidInput(f"y must hold numbers, booleans or class labels, got {values.dtype}; convert it.")
    if len(np.unique(values)) == 1:
        raise InvalidInput(f"y must vary, got {values.tolist()[0]!r} in every row; there is nothing to learn from it.")
    return values, "y" if is_frame(y) else str(getattr(y, "name", None) or "y")


def as_column(y: Any) -> NDArray[Any]:
    if np.ma.is_masked(y):
        raise InvalidInput(f"y must have no missing value, got {np.ma.getmaskarray(y).sum()} masked; drop those rows.")
    values = np.asarray(y)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def as_typed(values: NDArray[Any]) -> NDArray[Any]:
    """Objects as an array of what they are."""
    if values.dtype.kind != "O":
        return values
    return values.astype(str) if isinstance(values[0], str) else np.array(values.tolist())


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
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


def checked_groups(groups: Any, n: int) -> NDArray[Any] | None:
    if groups is None:
        return None
    array = _one_per_row(groups, n, "groups")
    missing = is_missing(array)
    if missing.any():
        raise InvalidInput(f"groups must have no missing value, got {missing.sum()}; give those rows one or drop them.")
    return array.astype(str) if array.dtype.kind == "O" else array  # labels of several types cannot be sorted


def checked_task(task: Task) -> Task:
    if task not in get_args(Task):
        raise InvalidInput(f"task must be {', '.join(get_args(Task))}, got {task!r}; leave it out to have it inferred.")
    return task


def checked_weights(weights: Any, n: int) -> Array | None:
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


def class_codes(values: NDArray[Any], task: Task) -> tuple[NDArray[Any], NDArray[Any] | None]:
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
