"""What may be learned: every check of y, and the task that its values mean.

A y of several columns is a regression of several targets, or, by a list of tasks, of targets of their own tasks; each
column is checked as a y of its own.

Shapes: n rows, t targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from regsearch._types import MIXED, Array, Rows, Task
from regsearch.data.features import check_finite, is_frame, is_missing
from regsearch.data.survival import SURVIVAL
from regsearch.data.tasks import TargetTask, is_by_target, listed_tasks
from regsearch.errors import InvalidInput
from regsearch.inputs import said

HINTS = {  # by numpy's kind of what is neither numbers nor labels
    "S": "decode it: y.astype(str)", "M": "count from a day: (y - y.min()).dt.days",
    "m": "convert it: y.dt.total_seconds()", "c": "convert it: y.real",
}  # fmt: skip
FEW_CLASSES = 20  # whole-number targets with more distinct values than this are taken for quantities


@dataclass(frozen=True)
class Targets:
    """A checked y.

    Attributes
    ----------
    values
        ``[n]`` float64 for regression, or class codes ``0 .. C-1``; ``[n, t]`` float64 for several targets.
    task
        ``regression``, ``binary``, ``multiclass``, ``survival``, or ``mixed``.
    classes
        The labels that the codes stand for; `None` for regression.
    names
        What each target is called.
    tasks
        Of targets that have tasks of their own, each; else empty.
    inferred
        Whether the task follows from the values of y alone: nobody said it, and they are not of a type of categories.
    """

    values: NDArray[Any]
    task: Task
    classes: NDArray[Any] | None
    names: tuple[str, ...]
    tasks: tuple[TargetTask, ...] = ()
    inferred: bool = False


def infer_task(values: NDArray[Any], categorical: bool = False) -> Task:
    """Regression for real numbers and for more than 20 distinct whole numbers that are no categories, else classes."""
    if values.dtype.kind == "f" and not categorical:
        return "regression"
    distinct = len(np.unique(values))
    if values.dtype.kind in "iu" and distinct > FEW_CLASSES and not categorical:
        return "regression"
    return "binary" if distinct == 2 else "multiclass"


def count_hint(classes: NDArray[Any]) -> str:
    """Said where a class is refused, if the classes are whole numbers and may have been meant as numbers."""
    if classes.dtype.kind not in "iu" or len(classes) < 3:
        return ""
    return f" The {len(classes)} whole numbers of y count as classes; pass task='regression' if they are quantities."


def called(names: Sequence[str], j: int) -> str:
    """What an error calls a target."""
    return "y" if len(names) == 1 else f"target {names[j]!r}"


def checked_y(y: Any, n: int, task: Any, counting: Rows | None = None) -> Targets:
    """Check what is to be learned, and infer the task if none is given.

    Parameters
    ----------
    y
        ``[n]`` numbers, booleans or labels, or ``[n, t]``: array, Series, DataFrame or lists.
    n
        Rows of X.
    task
        A task, or a list with one for each column.
    counting
        The rows that weigh anything, by default all: task and classes are theirs. Any other row of another class gets
        the code 0, which no one reads.

    Raises
    ------
    InvalidInput
        Naming the target.
    """
    counting = np.arange(n) if counting is None else counting
    columns, names = _columns(y)
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InvalidInput(f"Target names must be unique, got {repeated[0]!r} twice; rename one.")
    columns = [_checked_column(column, n, called(names, j), counting) for j, column in enumerate(columns)]
    categorical = _categorical(y, len(columns))
    if is_by_target(task):
        listed = listed_tasks(task, names)
        if {*listed} != {"regression"} and len(listed) > 1:
            return _mixed(columns, names, listed, counting)
        task = listed[0]
    given = _one_task(task)
    if len(columns) > 1:
        values = _quantities(columns, names, given, categorical)
        return Targets(values, "regression", None, names, inferred=given is None)
    found = _single(columns[0], names, given, counting, categorical[0])
    return replace(found, inferred=given is None and not categorical[0])


def _one_task(task: Any) -> Task | None:
    """A task of all targets; `None` where none is given."""
    known = [one for one in get_args(Task) if one != MIXED]
    if task is not None and not (isinstance(task, str) and task in known):
        raise InvalidInput(
            f"task must be {', '.join(known)}, or a list or dict of these with one for each column of y, got "
            f"{said(task)}; leave it out to have it inferred."
        )
    return cast("Task | None", task)


def _single(
    column: NDArray[Any], names: tuple[str, ...], task: Task | None, counting: Rows, categorical: bool
) -> Targets:
    """What a y of one column says."""
    if task is None and not categorical:
        _check_no_numbers(column[counting])
    task = task or infer_task(column[counting], categorical)
    if task == SURVIVAL:
        times = _numbers(column, "y")
        if not times.all():
            raise InvalidInput("Times to an event must not be 0, got 0; drop the rows at risk for no time at all.")
        return Targets(times, SURVIVAL, None, names)
    if task == "regression":
        return Targets(_numbers(column, "y"), "regression", None, names)
    codes, classes = _coded(column, task, counting)
    return Targets(codes, task, classes, names)


def _mixed(columns: list[NDArray[Any]], names: tuple[str, ...], tasks: Sequence[Task], counting: Rows) -> Targets:
    """``[n, t]`` float64 of numbers and of codes of classes."""
    values, found = [], []
    for j, (column, task) in enumerate(zip(columns, tasks, strict=True)):
        what = called(names, j)
        try:
            codes, classes = (_numbers(column, what), None) if task == "regression" else _coded(column, task, counting)
        except InvalidInput as error:
            raise InvalidInput(f"The list of tasks must fit y, that of {what} is {task!r}: {error}") from error
        values.append(codes.astype(float))
        found.append(TargetTask.of(names[j], task, classes))
    return Targets(np.column_stack(values), MIXED, None, names, tuple(found))


def _coded(values: NDArray[Any], task: Task, counting: Rows) -> tuple[NDArray[np.intp], NDArray[Any]]:
    """Codes ``[n]`` of labels, and the labels."""
    classes = _classes(values[counting], task)
    place = np.minimum(np.searchsorted(classes, values), len(classes) - 1)
    return np.where(classes[place] == values, place, 0), classes


def checked_test_y(y: Any, n: int, names: tuple[str, ...], classes: Sequence[NDArray[Any] | None]) -> NDArray[Any]:
    """The y of a held-out set of n rows, as that of the training rows: ``[n]``, or ``[n, t]`` for several targets.

    Several targets that have names may be in any order; `classes` are the labels of each target.

    Raises
    ------
    InvalidInput
        When it has other targets, other classes, or values that cannot be scored.
    """
    columns, _ = _columns(in_order(y, names, "The test set"))
    checked = [_test_column(column, n, called(names, j), classes[j]) for j, column in enumerate(columns)]
    return checked[0] if len(checked) == 1 else np.column_stack(checked)


def in_order(y: Any, names: Sequence[str], whose: str = "y") -> Any:
    """A y with its columns in the order of the targets: by their names where it has some, else as they stand.

    Parameters
    ----------
    names
        Those of the targets; a single one may be called otherwise.
    whose
        What an error calls it.

    Raises
    ------
    InvalidInput
        When it has other targets.
    """
    count = len(_columns(y)[0])
    if count != len(names):
        raise InvalidInput(
            f"{whose} must have {len(names)} target{'s' * (len(names) > 1)} ({', '.join(names)}), got {count}; pass "
            "these columns."
        )
    given = _names(y)
    if given is None or len(names) == 1 or given == tuple(names):
        return y
    absent = [name for name in names if name not in given]
    if absent:
        raise InvalidInput(
            f"{whose} must have the targets {', '.join(names)}, {absent[0]!r} is missing; rename its columns, or pass "
            "an array in this order."
        )
    return y.iloc[:, [given.index(name) for name in names]] if is_frame(y) else y[[*names]]


def columns_of(y: Any, names: Sequence[str]) -> list[NDArray[Any]]:
    """The columns of a y by the targets' names, each of a type of its own; see `in_order`."""
    return [_as_typed(column) for column in _columns(in_order(y, names))[0]]


def _names(y: Any) -> tuple[str, ...] | None:
    """What y calls its columns: a DataFrame, or an array of fields; `None` where they have no names."""
    fields = getattr(getattr(y, "dtype", None), "names", None)
    return tuple(fields) if fields is not None else tuple(map(str, y.columns)) if is_frame(y) else None


def _columns(y: Any) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """The columns of y, each of a type of its own, and their names."""
    if np.ma.is_masked(y):
        raise InvalidInput(f"y must have no missing value, got {np.ma.getmaskarray(y).sum()} masked; drop those rows.")
    named = _names(y)
    if named is not None:
        names = named
        columns = [np.asarray(y.iloc[:, j] if is_frame(y) else y[name]) for j, name in enumerate(names)]
    else:
        values = np.asarray(y)
        columns = [values] if values.ndim == 1 else list(values.T) if values.ndim == 2 else []
        alone = str(getattr(y, "name", None) or "y")
        names = (alone,) if len(columns) == 1 else tuple(f"y{j}" for j in range(len(columns)))
    if not columns:
        column = f"{y!r:.60}; pass X.drop(columns={y!r:.60}) and X[{y!r:.60}]" if isinstance(y, str) else ""
        raise InvalidInput(
            "y must have one value per row, or one column per target, got "
            f"{column or f'the shape {np.shape(y)}; reshape it'}."
        )
    return columns, names


def _categorical(y: Any, count: int) -> list[bool]:
    """Which columns of y are of a type of categories."""
    dtypes = y.dtypes if is_frame(y) else [getattr(y, "dtype", None)] * count
    return [hasattr(dtype, "categories") for dtype in dtypes]


def _checked_column(values: NDArray[Any], n: int, what: str, counting: Rows) -> NDArray[Any]:
    if len(values) != n:
        raise InvalidInput(f"X and y must have as many rows, got {n} and {len(values)}; check how they were joined.")
    missing = is_missing(values)
    if missing.any():
        raise InvalidInput(f"{what} must have no missing value, got {missing.sum()}; drop those rows.")
    values = _as_typed(values)
    check_finite(values, what)
    if values.dtype.kind not in "fiubUT":
        hint = HINTS.get(values.dtype.kind, "convert it: y.astype(float), or y.astype(str) of labels")
        raise InvalidInput(f"{what} must hold numbers, booleans or class labels, got {values.dtype}; {hint}.")
    some = values[counting]
    if (some == some[0]).all():
        weighing = "every row" if len(some) == n else "every row that weighs anything"
        raise InvalidInput(
            f"{what} must vary, got {some.tolist()[0]!r} in {weighing}; there is nothing to learn from it."
        )
    return values


def _test_column(values: NDArray[Any], n: int, what: str, classes: NDArray[Any] | None) -> NDArray[Any]:
    if len(values) != n:
        raise InvalidInput(f"The test set must have as many rows in X as in y, got {n} and {len(values)}.")
    missing = is_missing(values)
    if missing.any():
        raise InvalidInput(f"{what} of the test set must have no missing value, got {missing.sum()}; drop those rows.")
    values = _as_typed(values)
    if classes is not None:
        unknown = values[~np.isin(values, classes)].tolist()
        if unknown:
            raise InvalidInput(
                f"The test set must have the classes of y, got {unknown[0]!r}; drop those rows.{count_hint(classes)}"
            )
        return np.asarray(np.searchsorted(classes, values))
    if values.dtype.kind not in "fiub":
        raise InvalidInput(f"{what} of the test set must be numbers as in y, got {values.dtype}; convert it.")
    check_finite(values, f"{what} of the test set")
    return values.astype(float)


def _as_typed(values: NDArray[Any]) -> NDArray[Any]:
    """Objects as an array of what they are."""
    if values.dtype.kind != "O":
        return values
    return values.astype(str) if isinstance(values[0], str) else np.array(values.tolist())


def _quantities(
    columns: list[NDArray[Any]], names: tuple[str, ...], task: Task | None, categorical: Sequence[bool]
) -> Array:
    """``[n, t]`` of columns that are all to be regressed on."""
    for j, column in enumerate(columns):
        found = task or infer_task(column, categorical[j])
        if found != "regression":
            raise InvalidInput(
                f"A y of several columns must be a regression, {called(names, j)} is of a {found} task "
                f"({len(np.unique(column))} distinct values, {column.dtype}). Say the task of each column for a net, "
                "task=['regression', 'binary', ...]; or run one study per column, decode one-hot columns with "
                "y.argmax(axis=1), or pass task='regression'."
            )
    return np.column_stack([_numbers(column, called(names, j)) for j, column in enumerate(columns)])


def _numbers(values: NDArray[Any], what: str) -> Array:
    if values.dtype.kind not in "fiub":
        texts = values.tolist()
        numbers = sum(map(_is_number, texts)) > len(texts) / 2
        typed = "pass a DataFrame, whose columns have types of their own, with pd.to_numeric(y[name])"
        fix = ("convert it, y = pd.to_numeric(y)" if what == "y" else typed) if numbers else "drop task='regression'"
        raise InvalidInput(f"Regression needs a numeric {what}, got {values.dtype}; {fix}.")
    return values.astype(float)


def _check_no_numbers(values: NDArray[Any]) -> None:
    """Refuse numbers that are text and too many to be labels, as a file read with one that is none among them has them.

    Raises
    ------
    InvalidInput
        When most of the texts are numbers.
    """
    texts = np.unique(values).tolist() if values.dtype.kind in "UT" else []
    others = [text for text in texts if not _is_number(text)]
    if len(texts) <= FEW_CLASSES or 2 * len(others) >= len(texts):
        return
    first, what = (others[0], "not all, got") if others else (texts[0], "too many for labels, such as")
    raise InvalidInput(
        f"y must hold numbers or class labels, {len(texts) - len(others)} of its {len(texts)} texts are numbers and "
        f"{what} {first!r:.40}; convert it, y = pd.to_numeric(y, errors='coerce'), drop the rows that become missing, "
        "or pass task='multiclass'."
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _classes(values: NDArray[Any], task: Task) -> NDArray[Any]:
    classes = np.unique(values)
    parts = classes[classes != np.rint(classes)].tolist() if classes.dtype.kind == "f" else []
    if parts:
        raise InvalidInput(
            f"Classes that are numbers must be whole, as scikit-learn takes others for quantities, got {parts[0]!r}; "
            "name them, y.astype(str), or pass task='regression'."
        )
    if task == "binary" and len(classes) != 2:
        raise InvalidInput(f"A binary task needs two classes, got {len(classes)}; use task='multiclass'.")
    if task == "multiclass" and len(classes) < 3:
        raise InvalidInput(f"A multiclass task needs at least three classes, got {len(classes)}; use task='binary'.")
    if len(classes) > len(values) // 2:
        raise InvalidInput(
            f"Classes must repeat, got {len(classes)} distinct values in {len(values)} rows; "
            "for a real-valued target pass task='regression'."
        )
    return classes
