"""Targets of tasks of their own, classes beside numbers: what each is, and where in a decision it is said.

Notation: n rows, t targets, m outputs: one for a number or two classes, C for C classes, target after target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows, Task
from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import plain

OF_A_TARGET: tuple[Task, ...] = ("regression", "binary", "multiclass")
LABELS = re.compile(r"|str|bool|object|u?int(8|16|32|64)|float(16|32|64|128)")  # names of types of labels
FEW = 20  # rows of a combination of classes below which it is no stratum of its own


@dataclass(frozen=True)
class TargetTask:
    """One of several targets.

    Attributes
    ----------
    name
        What it is called.
    task
        ``regression``, ``binary`` or ``multiclass``.
    classes
        Its labels, sorted, as Python has them; `None` for numbers.
    label_type
        numpy's name of their type; empty for numbers.
    """

    name: str
    task: Task
    classes: tuple[Any, ...] | None = None
    label_type: str = ""

    @classmethod
    def of(cls, name: str, task: Task, classes: NDArray[Any] | None) -> TargetTask:
        """That of checked labels."""
        if classes is None:
            return cls(name, task)
        kind = "str" if classes.dtype.kind in "UTO" else str(classes.dtype)
        return cls(name, task, tuple(classes.tolist()), kind)

    @property
    def outputs(self) -> int:
        """How many numbers of a decision are its own."""
        return len(self.classes) if self.classes is not None and len(self.classes) > 2 else 1

    @property
    def labels(self) -> NDArray[Any] | None:
        """Its labels as an array of their type; `None` for numbers."""
        return None if self.classes is None else np.array(self.classes, dtype=self.label_type)

    def values(self, column: Array) -> NDArray[Any]:
        """Of a column of y ``[n]`` numbers as they are, or labels of codes."""
        labels = self.labels
        return column if labels is None else np.asarray(labels[column.astype(np.intp)])

    def data(self) -> dict[str, Any]:
        """As plain data."""
        classes = None if self.classes is None else [*self.classes]
        return {"name": self.name, "task": self.task, "classes": classes, "label_type": self.label_type}

    @classmethod
    def read(cls, data: Any) -> TargetTask:
        """From plain data.

        Raises
        ------
        ValueError
            When they are none.
        """
        classes = data["classes"]
        made = cls(data["name"], data["task"], None if classes is None else tuple(classes), data["label_type"])
        few, are_plain = (
            made.task == "binary",
            all(isinstance(one, (bool, int, float, str)) for one in made.classes or ()),
        )
        if not isinstance(made.label_type, str) or not LABELS.fullmatch(made.label_type) or not are_plain:
            raise ValueError(f"labels are plain, of a type of numpy's, not {str(data)[:80]}")
        fits = made.classes is None if made.task == "regression" else bool(made.classes and len(made.classes) >= 2)
        if made.task not in OF_A_TARGET or not fits or (few and len(made.classes or ()) != 2):
            raise ValueError(
                f"a target of the task {str(made.task)[:40]!r} cannot have the classes {str(classes)[:80]}"
            )
        if not isinstance(made.name, str) or (made.labels is not None and len({*made.classes}) < len(made.labels)):  # type: ignore[misc]
            raise ValueError(f"a target has a name and distinct labels, not {str(data)[:80]}")
        return made


def said_task(task: Task, tasks: Sequence[TargetTask]) -> Any:
    """A task as it is given to a study: one, or a list of those of several targets."""
    return [one.task for one in tasks] if tasks else task


def slices(tasks: Sequence[TargetTask]) -> Iterator[slice]:
    """Which numbers of a decision are those of each target."""
    start = 0
    for one in tasks:
        yield slice(start, start + one.outputs)
        start += one.outputs


def frame_of_values(tasks: Sequence[TargetTask], y: Array, index: Any = None) -> Any:
    """A DataFrame ``[n, t]`` of numbers and labels, each column of its own type, of values and codes ``[n, t]``."""
    import pandas as pd

    return pd.DataFrame({one.name: one.values(y[:, j]) for j, one in enumerate(tasks)}, index=index)


def strata_of(tasks: Sequence[TargetTask], y: Array) -> NDArray[np.intp]:
    """``[n]``: which combination of classes a row has, of as many targets as have enough rows of it.

    The classes of the target with the rarest one are strata; each is split by those of the next target, and so on. What
    would have few rows stays together, or in the largest part, so that a class of the first is never one with another.
    """
    codes = [y[:, j].astype(np.intp) for j, one in enumerate(tasks) if one.classes is not None]
    codes = sorted(codes, key=lambda column: int(np.bincount(column).min()))
    found = codes[0] if codes else np.zeros(len(y), dtype=np.intp)
    for column in codes[1:]:
        split = found * (column.max() + 1)
        for stratum in np.unique(found):
            own = found == stratum
            counts = np.bincount(column[own])
            largest, few = counts.argmax(), counts < FEW
            together = int(few.argmax()) if counts[few].sum() >= FEW else int(largest)
            split[own] += np.where(few[column[own]], together, column[own])
        found = np.unique(split, return_inverse=True)[1].reshape(-1)
    return np.asarray(found)


class CodedTarget(NamedTuple):
    """A target that is classes.

    Attributes
    ----------
    name
        What it is called; empty where there is no other.
    codes
        ``[n]``.
    labels
        What the codes stand for.
    """

    name: str
    codes: NDArray[np.intp]
    labels: Sequence[Any]

    @property
    def of(self) -> str:
        """What is said behind a class of it."""
        return f" of target {self.name!r}" if self.name else ""

    def absent(self, rows: Rows) -> NDArray[np.intp]:
        """The codes that no row of some has."""
        return np.flatnonzero(np.bincount(self.codes[rows], minlength=len(self.labels)) == 0)


def is_by_target(task: Any) -> bool:
    """Whether a task is said of each target: in a list or an array, or in a dict by name."""
    return isinstance(task, (list, tuple, Mapping)) or (isinstance(task, np.ndarray) and task.ndim == 1)


def listed_tasks(tasks: Any, names: Sequence[str]) -> tuple[Task, ...]:
    """Tasks of targets, `is_by_target`, one for each target in the order of their names.

    Raises
    ------
    InvalidInput
        When it does not fit the targets.
    """
    if isinstance(tasks, Mapping):
        by_name = {str(name): task for name, task in tasks.items()}
        if {*by_name} != {*names}:
            raise InvalidInput(
                f"A dict of tasks has one for each column of y ({', '.join(names)}), got {', '.join(by_name)}; name "
                "each."
            )
        tasks = [by_name[name] for name in names]
    tasks = [plain(one) for one in tasks]
    unknown = [one for one in tasks if not (isinstance(one, str) and one in OF_A_TARGET)]
    if unknown:
        raise InvalidInput(
            f"Each of several tasks must be {', '.join(OF_A_TARGET)}, got {said(unknown[0])}; name one for each target."
        )
    if len(tasks) != len(names):
        raise InvalidInput(
            f"A list of tasks has one for each column of y, got {len(tasks)} tasks for {len(names)} columns "
            f"({', '.join(map(str, names))}); name one for each, in their order."
        )
    return tuple(tasks)


def check_not_mixed(task: str, who: str) -> None:
    """Refuse targets of tasks of their own for a model that has one loss.

    Raises
    ------
    InvalidInput
        Saying which model has several.
    """
    if task == "mixed":
        raise InvalidInput(
            f"{who} has one loss for all targets, got a list of tasks; search a Net, or run one study per target."
        )
