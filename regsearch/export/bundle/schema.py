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

from regsearch._types import MIXED, NUMBERS, Task
from regsearch.data.columns import Kind, kinds_of
from regsearch.data.features import is_frame, is_sparse, with_sides
from regsearch.data.frames import to_pandas
from regsearch.data.problem import Problem
from regsearch.data.tasks import TargetTask
from regsearch.errors import InvalidInput
from regsearch.export.bundle.column import Column, column_faults, column_of, distinct, plain_name

KindOfRows: TypeAlias = Literal["frame", "array", "sparse"]
SHOWN = 6  # columns that an error names
DTYPES = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)")  # of the numbers of an array
SIZE = 2**31  # that no side of a row reaches
MOST_SIDES = 4  # of a row: channels, depth, height and width


@dataclass(frozen=True)
class Form:
    """The rows that a model takes, and what it predicts.

    Attributes
    ----------
    rows
        ``frame``, ``array`` or ``sparse``.
    shape
        Of one row: ``(columns,)``, or of sequences, images and volumes as training had them.
    dtype
        Of the numbers of an array; empty for a frame.
    columns
        Of a frame.
    targets
        What is predicted, by name.
    classes
        Labels, or `None` for numbers.
    tasks
        Of targets with tasks of their own, each; else empty.
    """

    rows: KindOfRows
    shape: tuple[int, ...]
    dtype: str
    columns: tuple[Column, ...]
    task: str
    targets: tuple[str, ...]
    classes: tuple[Any, ...] | None
    tasks: tuple[TargetTask, ...] = ()

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

    def without_others(self, X: Any) -> tuple[Any, list[str | int]]:
        """Rows without the columns that training did not have, and the names of these."""
        X = to_pandas(X)
        other = [name for name in X.columns if plain_name(name) not in self.names] if self._named(X) else []
        return X.drop(columns=other) if other else X, other

    def _named(self, X: Any) -> bool:
        """Whether rows have every column of training, maybe among others."""
        return self.rows == "frame" and is_frame(X) and {plain_name(name) for name in X.columns} >= {*self.names}

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
            f"{listed(columns)} (first in row {rows.min()}); clip or drop them."
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
        tasks = {"tasks": [one.data() for one in self.tasks]} if self.tasks else {}
        return {name: said for name, said in full.items() if name != "tasks"} | {"columns": kept} | tasks

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
            tasks = tuple(map(TargetTask.read, data.get("tasks", ())))
            form = cls(data["rows"], shape, data["dtype"], columns, data["task"], targets, classes, tasks)
            for fault in chain(_kinds(data), _faults(form), *map(column_faults, columns)):
                raise ValueError(fault)
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"The schema of a bundle must describe rows ({error!r}); export it again.") from error
        return form

    # --- tables ------------------------------------------------------------------------------------------------

    def _frame(self, X: Any) -> Any:
        if not is_frame(X):
            raise InvalidInput(
                f"Rows must be a DataFrame with the columns {listed(self.names)}, got a {type(X).__name__}; "
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
                f"Rows must have the columns of training, {listed(absent)} missing and {listed(other)} unknown; "
                "rename what was renamed."
            )
        if absent:
            raise InvalidInput(f"Rows must have the columns of training, {listed(absent)} missing; add them.")
        if other:
            raise InvalidInput(f"Rows must have the columns of training alone, got also {listed(other)}; drop them.")
        if len(given) != len(self.names):
            raise InvalidInput(f"Column names must be unique, got {listed(given)}; drop repeated ones.")
        return X.iloc[:, [given.index(name) for name in self.names]]

    # --- arrays ------------------------------------------------------------------------------------------------

    def _array(self, X: Any) -> Any:
        if is_sparse(X):
            if self.rows != "sparse":
                raise InvalidInput("Rows must be a dense array as in training, got a sparse matrix; pass X.toarray().")
        else:
            X = _numbers(X)
        X = with_sides(X, self.shape)
        if X.shape[1:] != self.shape:
            hint = "; pass one row as X.reshape(1, -1)" if X.shape == self.shape else ""
            raise InvalidInput(f"Rows must have the shape {self.shape} as in training, got {X.shape[1:]}{hint}.")
        return X


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
    most = MOST_SIDES if form.rows == "array" else 1
    if not 0 < len(form.shape) <= most or not all(type(side) is int and 0 < side < SIZE for side in form.shape):
        yield f"a row of {form.rows} has at most {most} sides, not {form.shape!r}"
    if form.rows == "frame" and (form.dtype or len(form.columns) != form.shape[0]):
        yield f"a frame of {form.shape[0]} columns cannot have {len(form.columns)} and the type {form.dtype!r}"
    if form.rows != "frame" and (form.columns or DTYPES.fullmatch(form.dtype) is None):
        yield f"an array cannot have {len(form.columns)} named columns and the type {form.dtype!r}"
    if form.task not in get_args(Task) or (form.task in (*NUMBERS, MIXED)) != (form.classes is None):
        yield f"{form.task!r} cannot have the classes {form.classes!r}"
    if form.classes is not None and not distinct(form.classes, 2):
        yield f"classes are two or more, not {form.classes!r}"
    if (form.task == MIXED) != bool(form.tasks) or (form.tasks and tuple(t.name for t in form.tasks) != form.targets):
        yield f"{form.task!r} cannot have the tasks {[one.task for one in form.tasks]!r}"
    if not distinct(form.targets, 1) or not all(isinstance(name, str) for name in form.targets):
        yield f"targets are one or more names, not {form.targets!r}"
    if len({*form.names}) < len(form.names):
        yield "columns have names of their own"


def form_of(problem: Problem) -> Form:
    """The form of a problem's rows."""
    X = problem.X
    rows: KindOfRows = "frame" if is_frame(X) else "sparse" if is_sparse(X) else "array"
    classes = None if problem.classes is None else tuple(problem.classes.tolist())
    columns = tuple(column_of(name, kind, X[name]) for name, kind in kinds_of(X).items()) if rows == "frame" else ()
    dtype = "" if rows == "frame" else str(X.dtype)
    return Form(rows, tuple(X.shape[1:]), dtype, columns, problem.task, problem.target_names, classes, problem.tasks)


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
    found = [np.flatnonzero(np.isinf(_numbers_of(X[name], kind))) for name, kind in kinds_of(X).items()]
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(rows) for rows in found])


def _numbers_of(values: Any, kind: Kind) -> NDArray[Any]:
    """The numbers of a column, which its categories may be; none of one that holds something else."""
    if kind == "category" and values.cat.categories.dtype.kind == "f":
        return np.asarray(values.astype(float))
    return np.asarray(values.to_numpy(dtype=float, na_value=np.nan)) if kind == "numeric" else np.empty(0)


def listed(names: Sequence[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
