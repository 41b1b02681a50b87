"""The form of the rows that a model takes, ``schema.json``, and the check of rows before they are predicted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Task
from regsearch.data.columns import OBJECTS, PLAIN, Kind, canonical, family, kinds_of, objects_of, text_of
from regsearch.data.features import is_frame, is_sparse
from regsearch.data.frames import to_pandas
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput

KindOfRows: TypeAlias = Literal["frame", "array", "sparse", "images"]
SHOWN = 6  # columns that an error names
DTYPES = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)")  # of the numbers of an array
# of what a text stands for more than one way to write: types whose texts do as well
TEXT: Mapping[str, tuple[type, ...]] = {"dates": (str,), "timedeltas": (str,), "decimals": (str, int, float)}
# numpy's kinds of pandas' types
KINDS_OF_DTYPES = {"numeric": "fiub", "boolean": "b", "category": "O", "text": "OTU", "date": "Mm"}
SIZE = 2**31  # that no side of a row reaches
ADMITTED = {"numeric": {"numbers", "booleans"}, "boolean": {"booleans"}}
ALSO = {"decimals": ("numbers",)}  # what stands for categories as well: 0.1 for Decimal("0.10")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    dtype
        pandas' name of its type.
    categories
        Of a category, in their order; those that JSON cannot say as text.
    values
        What its categories are, or it holds itself: ``text``, ``numbers``, ``booleans``, ``dates`` or what pandas calls
        them; empty for numbers and booleans.
    """

    name: str | int
    kind: Kind
    dtype: str
    categories: tuple[Any, ...] = ()
    values: str = ""

    @property
    def said(self) -> str:
        """What its values are in JSON: categories that it lacks, such as intervals, are their text."""
        return "text" if self.kind == "category" and self.values not in PLAIN else self.values

    def admitted(self, given: Any) -> Any:
        """A Series as the model takes it.

        Raises
        ------
        InvalidInput
            When it holds values of another type.
        """
        found = family(given)
        own = {self.values, self.said, *ALSO.get(self.values, ())}
        if found != "nothing" and found not in ADMITTED.get(self.kind, own):
            wanted = f"a category of {self.values}" if self.kind == "category" else self.kind
            raise InvalidInput(
                f"The column {self.name!r} must be {wanted} as in training, got {found} ({given.dtype}); convert it."
            )
        if self.kind == "numeric":
            return given.astype(float) if given.dtype.kind == "O" else given
        if self.kind != "category":
            return given
        if self.objects and (found == "text" or self.values in OBJECTS):
            return self._of_training(given)
        return given if hasattr(given, "cat") else given.astype(object).astype("category")

    def _of_training(self, given: Any) -> Any:
        """The categories of training that values or their texts stand for, and those that it did not have behind them.

        pandas, left to guess, makes intervals of floats of those of whole numbers: equal ones, with another text.
        """
        import pandas as pd

        codes, values = pd.factorize(given.astype(object))
        values = [self._meant(value) for value in values]
        place = {key: j for j, pair in enumerate(self.objects.items()) for key in pair}
        levels = [*self.objects.values(), *dict.fromkeys(value for value in values if value not in place)]
        place |= {value: j for j, value in enumerate(levels)}
        found = np.array([*(place[value] for value in values), -1])[codes]
        return pd.Series(pd.Categorical.from_codes(found, pd.Index(levels)), index=given.index, name=given.name)

    def _meant(self, value: Any) -> Any:
        """The date, decimal or the like that a value of a category stands for; it may have another text."""
        if value in self.objects:
            return value
        if not isinstance(value, TEXT.get(self.values, ())):
            return canonical(value)
        try:
            return objects_of([str(value)], self.values)[0]
        except ValueError:  # a category that training did not have
            return value

    def strangers(self, given: Any) -> list[Any]:
        """What an admitted Series of a category has that training did not have."""
        values = given.array  # its parts are at hand, where a Series makes new ones: one row is to be quick
        found = np.unique(values.codes)
        return [value for value in values.categories[found[found >= 0]].tolist() if plain(value) not in self._known]

    @cached_property
    def objects(self) -> dict[str, Any]:
        """Of a category of dates or intervals, what its texts stand for."""
        if self.said == self.values:
            return {}
        return dict(zip(self.categories, objects_of(self.categories, self.values), strict=True))

    @cached_property
    def _known(self) -> frozenset[Any]:
        return frozenset(self.categories)

    def made(self, values: Sequence[Any]) -> Any:
        """A Series of plain values, of the type that the column had in training."""
        import pandas as pd

        if self.kind == "category":
            known = list(self.objects.values()) or self.categories
            return pd.Series(pd.Categorical([self.objects.get(one, one) for one in values], categories=pd.Index(known)))
        if self.kind == "date":
            return pd.Series(list(values), dtype=object).astype(pd.api.types.pandas_dtype(self.dtype))
        if self.kind == "boolean" and any(value is None for value in values):
            return pd.Series(list(values), dtype="boolean" if self.dtype == "bool" else self.dtype)
        missing = any(value is None for value in values) and self.dtype[0] in "iu"
        return pd.Series(list(values), dtype="float64" if missing else self.dtype)


@dataclass(frozen=True)
class Form:
    """The rows that a model takes, and what it predicts.

    Attributes
    ----------
    rows
        ``frame``, ``array``, ``sparse`` or ``images``.
    shape
        Of one row: ``(columns,)`` or ``(channels, height, width)``.
    dtype
        Of the numbers of an array; empty for a frame.
    columns
        Of a frame.
    targets
        What is predicted, by name.
    classes
        Labels, or `None` for numbers.
    """

    rows: KindOfRows
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[Column, ...]
    task: str
    targets: tuple[str, ...]
    classes: tuple[Any, ...] | None

    @cached_property
    def names(self) -> list[str | int]:
        """Of the columns of a frame."""
        return [column.name for column in self.columns]

    def checked(self, X: Any) -> Any:
        """Rows as the model takes them; the columns of a dataframe of any library may be in any order.

        Raises
        ------
        InvalidInput
            When a column is missing, renamed, too many or of another type, or rows have another shape.
        """
        X = to_pandas(X)
        return self._frame(X) if self.rows == "frame" else self._array(X)

    def strangers(self, X: Any) -> dict[str | int, list[Any]]:
        """Values of categories that training did not have, by column, in rows that were `checked`."""
        found = {one.name: one.strangers(X.iloc[:, place]) for place, one in self._categories}
        return {name: values for name, values in found.items() if values}

    def fault(self, X: Any) -> str:
        """What is wrong with the values of rows that were `checked` and that the model refused; empty if not known."""
        if not X.shape[0]:
            return "Rows to predict must be at least one, got none; ask only where there are rows."
        rows, places = _infinite(X)
        if not len(rows):
            return ""
        columns = [self.names[place] if self.columns else place for place in np.unique(places).tolist()]
        return (
            f"Rows must hold finite numbers, got infinite ones in {'columns' if len(columns) > 1 else 'the column'} "
            f"{_listed(columns)} (first in row {rows.min()}); clip or drop them."
        )

    @cached_property
    def _categories(self) -> list[tuple[int, Column]]:
        return [(place, one) for place, one in enumerate(self.columns) if one.kind == "category"]

    def data(self) -> dict[str, Any]:
        """As plain data."""
        full = asdict(self)
        kept = [
            {key: said for key, said in one.items() if key == "name" or said not in ("", ())} for one in full["columns"]
        ]
        return full | {"columns": kept}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Form:
        """From plain data.

        Raises
        ------
        InvalidInput
            When they describe no rows.
        """
        try:
            columns = tuple(
                Column(**{**one, "categories": tuple(one.get("categories", ()))}) for one in data["columns"]
            )
            _ = [column.objects for column in columns]
            shape, targets = tuple(data["shape"]), tuple(data["targets"])
            classes = None if data["classes"] is None else tuple(data["classes"])
            form = cls(data["rows"], shape, data["dtype"], columns, data["task"], targets, classes)
            for fault in chain(_kinds(data), _faults(form), *map(_column_faults, columns)):
                raise ValueError(fault)
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"The schema of a bundle must describe rows ({error!r}); export it again.") from error
        return form

    # --- tables ------------------------------------------------------------------------------------------------

    def _frame(self, X: Any) -> Any:
        if not is_frame(X):
            raise InvalidInput(
                f"Rows must be a DataFrame with the columns {_listed(self.names)}, got a {type(X).__name__}; "
                "name the columns: pd.DataFrame(rows, columns=[...])."
            )
        if list(X.columns) != self.names:
            X = self._ordered(X)
        changed: dict[Any, Any] = {}
        for place, (column, dtype) in enumerate(zip(self.columns, X.dtypes, strict=True)):
            if column.kind == "numeric" and dtype.kind in "fiub":
                continue  # by far the most frequent, and cheap
            given = X.iloc[:, place]
            admitted = column.admitted(given)
            if admitted is not given:
                changed[X.columns[place]] = admitted
        if not changed:
            return X
        X = X.copy(deep=False)
        for name, admitted in changed.items():
            X[name] = admitted
        return X

    def _ordered(self, X: Any) -> Any:
        """A frame with the columns in the order of training."""
        given = [plain_name(name) for name in X.columns]
        absent = [name for name in self.names if name not in given]
        other = [name for name in given if name not in self.names]
        if absent and other:
            raise InvalidInput(
                f"Rows must have the columns of training, {_listed(absent)} missing and {_listed(other)} unknown; "
                "rename what was renamed."
            )
        if absent:
            raise InvalidInput(f"Rows must have the columns of training, {_listed(absent)} missing; add them.")
        if other:
            raise InvalidInput(f"Rows must have the columns of training alone, got also {_listed(other)}; drop them.")
        if len(given) != len(self.names):
            raise InvalidInput(f"Column names must be unique, got {_listed(given)}; drop repeated ones.")
        return X.iloc[:, [given.index(name) for name in self.names]]

    # --- arrays ------------------------------------------------------------------------------------------------

    def _array(self, X: Any) -> Any:
        if is_sparse(X):
            if self.rows != "sparse":
                raise InvalidInput("Rows must be a dense array as in training, got a sparse matrix; pass X.toarray().")
        else:
            X = _numbers(X)
        grey = self.rows == "images" and X.ndim == 3 and self.shape[0] == 1
        shape = (1, *X.shape[1:]) if grey else X.shape[1:]
        if shape != self.shape:
            hint = "; pass one row as X.reshape(1, -1)" if X.shape == self.shape else ""
            raise InvalidInput(f"Rows must have the shape {self.shape} as in training, got {tuple(shape)}{hint}.")
        return X[:, None] if grey else X


def _kinds(data: Mapping[str, Any]) -> Iterator[str]:
    """What of plain data is no list or no text where a form has one."""
    lists = {name: data[name] for name in ("shape", "columns", "targets")} | {"classes": data["classes"] or []}
    yield from (f"{name} is a list, not {value!r}" for name, value in lists.items() if not isinstance(value, list))
    if not isinstance(data["dtype"], str):
        yield f"dtype is text, not {data['dtype']!r}"


def _faults(form: Form) -> Iterator[str]:
    """What of a form that was read cannot be, the columns of a frame apart."""
    if form.rows not in get_args(KindOfRows):
        yield f"rows are {' or '.join(get_args(KindOfRows))}, not {form.rows!r}"
    sides = 3 if form.rows == "images" else 1
    if len(form.shape) != sides or not all(type(side) is int and 0 < side < SIZE for side in form.shape):
        yield f"a row of {form.rows} has {sides} sides, not {form.shape!r}"
    if form.rows == "frame" and (form.dtype or len(form.columns) != form.shape[0]):
        yield f"a frame of {form.shape[0]} columns cannot have {len(form.columns)} and the type {form.dtype!r}"
    if form.rows != "frame" and (form.columns or DTYPES.fullmatch(form.dtype) is None):
        yield f"an array cannot have {len(form.columns)} named columns and the type {form.dtype!r}"
    if form.task not in get_args(Task) or (form.task == "regression") != (form.classes is None):
        yield f"{form.task!r} cannot have the classes {form.classes!r}"
    if form.classes is not None and not _distinct(form.classes, 2):
        yield f"classes are two or more, not {form.classes!r}"
    if not _distinct(form.targets, 1) or not all(isinstance(name, str) for name in form.targets):
        yield f"targets are one or more names, not {form.targets!r}"
    if len({*form.names}) < len(form.names):
        yield "columns have names of their own"


def _distinct(values: Sequence[Any], least: int) -> bool:
    """Whether there are so many plain values at least, none twice."""
    plainly = all(isinstance(value, (bool, int, float, str)) for value in values)
    return plainly and len(values) >= least and len({(type(one), one) for one in values}) == len(values)


def _column_faults(column: Column) -> Iterator[str]:
    from pandas.api.types import pandas_dtype

    if not isinstance(column.name, (str, int)) or isinstance(column.name, bool):
        yield f"a column is named by text or a number, not {column.name!r}"
    if column.kind not in get_args(Kind) or not isinstance(column.values, str):
        yield f"a column is {' or '.join(get_args(Kind))}, not {column.kind!r} of {column.values!r}"
    if pandas_dtype(column.dtype).kind not in (KINDS_OF_DTYPES[column.kind]):
        yield f"the column {column.name!r} cannot be {column.kind} and of the type {column.dtype!r}"
    if column.kind != "category" and (column.categories or (column.values and column.kind in ADMITTED)):
        yield f"the {column.kind} column {column.name!r} cannot have categories"
    if not _distinct(column.categories, 0):
        yield f"the column {column.name!r} cannot have the categories {column.categories!r}"


def form_of(problem: Problem) -> Form:
    """The form of a problem's rows."""
    X = problem.X
    rows: KindOfRows = (
        "frame" if is_frame(X) else "sparse" if is_sparse(X) else "array" if problem.image is None else "images"
    )
    classes = None if problem.classes is None else tuple(problem.classes.tolist())
    columns = tuple(column_of(name, kind, X[name]) for name, kind in kinds_of(X).items()) if rows == "frame" else ()
    dtype = "" if rows == "frame" else str(X.dtype)
    return Form(rows, tuple(X.shape[1:]), dtype, columns, problem.task, problem.target_names, classes)


def column_of(name: Any, kind: Kind, values: Any) -> Column:
    """The form of a column of training."""
    if kind == "category":
        levels = tuple(map(plain, values.cat.categories.tolist()))
        return Column(plain_name(name), kind, "category", levels, family(values))
    said = {"text": "text", "date": "dates"}.get(kind, "")
    return Column(plain_name(name), kind, str(values.dtype), (), said)


def plain(value: Any) -> Any:
    """A value as JSON has it: missing ones as null, others that it lacks as their text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return bool(value) if isinstance(value, np.bool_) else text_of(value)


def plain_name(name: Any) -> str | int:
    """The name of a column as JSON has it."""
    found = plain(name)
    return found if isinstance(found, (str, int)) else str(name)


def _numbers(X: Any) -> Any:
    X = X.to_numpy() if is_frame(X) else np.asarray(X)
    if X.dtype.kind in "fiub":
        return X
    try:
        return X.astype(float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"Rows must hold numbers as in training, got {X.dtype} ({error}); convert them.") from error


def _infinite(X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of the infinite entries of checked rows."""
    if is_sparse(X):
        X = X.tocoo()
        infinite = np.isinf(X.data)
        return X.row[infinite], X.col[infinite]
    if not is_frame(X):
        rows, places = np.nonzero(np.isinf(X.reshape(len(X), -1)))
        return rows, places
    found = [
        np.flatnonzero(np.isinf(X[name].to_numpy(dtype=float, na_value=np.nan)))
        if kind == "numeric"
        else np.array([], int)
        for name, kind in kinds_of(X).items()
    ]
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(rows) for rows in found])


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
