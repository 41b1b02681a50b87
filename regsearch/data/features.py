"""What data may be searched: every check of X, weights and groups, and the questions about their form.

What cannot be searched is refused in one sentence that says what must hold, what was found, and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.columns import canonical, kinds_of, with_own_types
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean, said

MASKED = 2**22  # numbers looked at together
ROWS_AT_ONCE = 256  # rows compared together: rows nearly always differ early, and a mask of all of X may not fit


def is_frame(X: Any) -> bool:
    """Whether X is a pandas DataFrame."""
    return hasattr(X, "iloc") and hasattr(X, "columns")


def is_sparse(X: Any) -> bool:
    """Whether X is a scipy sparse matrix or array."""
    return hasattr(X, "tocsr")


def take_rows(X: Any, rows: Rows | slice) -> Any:
    """Rows of an array, DataFrame or sparse matrix."""
    return X.iloc[rows] if is_frame(X) else X[rows]


def checked_X(X: Any) -> Any:
    """X itself where it can be searched; an array of images gets its axis of channels, without a copy.

    Raises
    ------
    InvalidInput
        Naming the invariant, the value and the fix.
    """
    if is_frame(X):
        return _checked_frame(X)
    if not is_sparse(X):
        X = _as_array(X)
    if X.dtype.kind not in "fiub":
        raise InvalidInput(
            f"X must hold numbers, got {'a sparse' if is_sparse(X) else 'an'} array of {X.dtype}; "
            "use a DataFrame, pd.DataFrame(X).infer_objects(), for columns of text, or convert with X.astype(float)."
        )
    X = _checked_sparse(X) if is_sparse(X) else _checked_array(X)
    _check_shape(X)
    return X


def check_no_name(y: Any, X: Any) -> None:
    """Refuse the name of a column in the place of its values, where there is no such column.

    Raises
    ------
    InvalidInput
        Saying which may have been meant.
    """
    if isinstance(y, str) and is_frame(X) and y not in X.columns:
        meant = did_you_mean(y, map(str, X.columns), "pass the values themselves.")
        raise InvalidInput(f"y must have one value per row, got {said(y)}, and X has no column of that name; {meant}")


def _checked_sparse(X: Any) -> Any:
    if X.ndim != 2:
        raise InvalidInput(f"A sparse X must be a table [rows, columns], got {X.ndim} axes; reshape it.")
    X = _as_csr(X)
    check_finite(X.data, "sparse X")
    fix = "impute them, or pass a dense array or DataFrame, where they are imputed inside each fold."
    _check_complete(X.data, "sparse X", fix)
    return X


def _reshaped(axes: int) -> str:
    """What to do about an X of so many axes."""
    return "reshape it" + (" to a table of one column, as X[['name']] or X.reshape(-1, 1)" if axes == 1 else "")


def _checked_array(X: NDArray[Any]) -> NDArray[Any]:
    """A table, sequences, images or volumes, as they are: what an axis means, a net says that reads them."""
    if not 2 <= X.ndim <= 5:
        raise InvalidInput(
            "X must be a table [rows, columns], sequences [rows, channels, length], images [rows, height, width] or "
            "[rows, channels, height, width], or volumes [rows, channels, depth, height, width], "
            f"got {X.ndim} {'axis' if X.ndim == 1 else 'axes'}; {_reshaped(X.ndim)}."
        )
    check_finite(X, "X")
    if X.ndim > 2:
        fix = "fill them, for example with np.nan_to_num(X), or drop those rows."
        _check_complete(X, f"rows of the shape {X.shape[1:]}", fix)
    return X


def with_sides(X: Any, shape: tuple[int, ...]) -> Any:
    """Rows of that shape, where theirs alone has, or has not, an axis for one channel; others as they are."""
    own = tuple(X.shape[1:])
    alike = min(len(own), len(shape)) > 1 and _sides(own) == _sides(shape)
    return X.reshape(X.shape[0], *shape) if alike else X


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if shape[0] == 1 else shape


def check_varies(X: Any, rows: Rows) -> None:
    """Refuse data to learn from that are the same row throughout those that count."""
    if is_frame(X) or is_sparse(X):
        X = take_rows(X, rows) if len(rows) < X.shape[0] else X
        varied = any(map(_column_varies, (X[name] for name in X.columns))) if is_frame(X) else _entries_vary(X)
    else:
        first, starts = X[rows[:1]], range(0, len(rows), ROWS_AT_ONCE)
        varied = not all(_same(first, X[rows[start : start + ROWS_AT_ONCE]]) for start in starts)
    if not varied:
        raise InvalidInput("X must vary, got the same row throughout; there is nothing to learn from it.")


def _as_array(X: Any) -> NDArray[Any]:
    if isinstance(X, np.ma.MaskedArray):  # what is masked is missing
        return np.asarray(np.ma.filled(X.astype(float), np.nan))
    try:
        found = np.asarray(X)
    except ValueError as error:
        raise InvalidInput(f"X must be a table of rows of one length, got {type(X).__name__}: {error}") from error
    if found.dtype.kind == "O" and (found.ndim == 0 or isinstance(found.flat[0], Mapping)):
        fix = "pass the rows" if X is None else "make one of it, pd.DataFrame(X)"
        raise InvalidInput(f"X must be a table, a DataFrame or an array, got {said(X)}; {fix}.")
    return found


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
    X = with_own_types(X)
    for column, kind in kinds_of(X).items():
        if kind == "numeric":
            check_finite(X[column].to_numpy(dtype=float, na_value=np.nan), f"column {column!r} of X")
        if kind != "category":
            continue
        _check_missing(X[column])
        _check_levels(column, X[column].cat.categories)
    return X


def _check_levels(column: Any, levels: Any) -> None:
    """Refuse categories that have no text by which equal ones are known."""
    fix = f"X[{column!r}].astype(str).astype('category')"
    whole = [level for level in levels if isinstance(level, Collection) and not isinstance(level, (str, bytes))]
    if whole:
        raise InvalidInput(
            f"Categories of a column must be single values, {column!r} has the {type(whole[0]).__name__} "
            f"{whole[0]!r:.60}; make a column of each part, or convert it: {fix}."
        )
    infinite = [level for level in levels if isinstance(level, (float, np.floating)) and np.isinf(level)]
    if infinite:
        raise InvalidInput(f"Categories of a column must be finite, {column!r} has {infinite[0]}; convert it: {fix}.")
    kinds = sorted({type(canonical(level)).__name__ for level in levels})
    if len(kinds) > 1:
        fix = f"X[{column!r}].map(pd.Timestamp).astype('category')" if kinds == ["Timestamp", "date"] else fix
        raise InvalidInput(
            f"Categories of a column must be of one type, {column!r} has {' and '.join(kinds)}; convert it, for "
            f"example {fix}."
        )


def _check_missing(column: Any) -> None:
    """Refuse missing values of categories whose type has a missing value of its own, which no encoder knows."""
    import pandas as pd

    dtype = column.cat.categories.dtype
    if getattr(dtype, "na_value", None) is pd.NA and column.isna().any():
        raise InvalidInput(
            f"Categories with missing values must be of numpy's types or str, {column.name!r} has {dtype}; convert it: "
            f"X[{column.name!r}].astype(object).where(X[{column.name!r}].notna(), None).astype('category')."
        )


def _check_shape(X: Any) -> None:
    if 0 in X.shape:
        raise InvalidInput(f"X must have rows and columns, got the shape {tuple(X.shape)}; pass data with both.")


def check_finite(values: NDArray[Any], what: str) -> None:
    """Refuse infinite values; missing ones are no matter here."""
    infinite = _count(np.isinf, values)
    if infinite:
        raise InvalidInput(f"{what} must be finite, got {infinite} infinite values; clip or drop them.")


def _check_complete(values: NDArray[Any], what: str, fix: str) -> None:
    missing = count_missing(values)
    if missing:
        raise InvalidInput(f"{what} must have no NaN, got {missing}; {fix}")


def count_missing(values: NDArray[Any]) -> int:
    """How many numbers are NaN."""
    return _count(np.isnan, values)


def _count(is_such: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> int:
    """How many numbers are such, looked at some rows at a time: a mask of all of them may not fit."""
    if values.dtype.kind != "f":
        return 0
    size = max(1, MASKED // max(1, math.prod(values.shape[1:])))
    return sum(int(np.count_nonzero(is_such(values[at : at + size]))) for at in range(0, len(values), size))


def _column_varies(column: Any) -> bool:
    few = column.iloc[:ROWS_AT_ONCE]
    return bool(few.nunique(dropna=False) > 1 or column.nunique(dropna=False) > 1)


def _entries_vary(X: Any) -> bool:
    columns = X.tocsc()
    return bool((columns.max(axis=0).toarray() > columns.min(axis=0).toarray()).any())


def _same(first: NDArray[Any], rows: NDArray[Any]) -> bool:
    """Whether all rows equal the first, missing entries included."""
    same = first == rows
    if rows.dtype.kind == "f":
        same |= np.isnan(first) & np.isnan(rows)
    return bool(same.all())


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind in "mM":
        return np.asarray(np.isnat(values))
    if values.dtype.kind == "O":
        import pandas as pd

        return np.asarray(pd.isna(values))
    return np.zeros(len(values), dtype=bool)


def _one_per_row(values: Any, n: int, what: str) -> NDArray[Any]:
    if np.ma.is_masked(values):
        masked = np.ma.getmaskarray(values).sum()
        raise InvalidInput(f"{what} must have no missing value, got {masked} masked; fill them or drop those rows.")
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


def checked_weights(weights: Any, n: int, what: str = "sample_weight") -> Array | None:
    if weights is None:
        return None
    if isinstance(weights, str):
        raise InvalidInput(
            f"{what} must be one number per row of X, got {weights!r}; classes are weighed by the model: "
            "Linear(class_weight='balanced'), or a Net's."
        )
    array = _one_per_row(weights, n, what)
    try:
        array = array.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{what} must be numbers, got {array.tolist()[0]!r}; convert them.") from error
    if not np.isfinite(array).all() or (array < 0).any():
        worst = array[~np.isfinite(array)][0] if not np.isfinite(array).all() else array.min()
        raise InvalidInput(f"{what} must be finite and not negative, got {worst:g}; fix or drop those rows.")
    if not (array > 0).any():
        raise InvalidInput(f"{what} must be positive somewhere, got only zeros; leave it out to weigh all alike.")
    return array
