"""Columns to look at before a search: without a value, constant, an id, or y in disguise; and a y that may be a count.

None is named for being unusual: what is said holds of the rows exactly, and what to think of it is the reader's.

Notation: n rows, p columns, C classes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.column_roles import is_date_text
from regsearch.data.columns import kinds_of
from regsearch.data.features import is_frame, is_sparse
from regsearch.data.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

LEAST = 20  # rows with a value from which a column is looked at: fewer are distinct, or in the order of y, by chance
SAME = 0.999  # correlation from which a column is y but for its unit and rounding
APART = 200  # rows from which it is no chance that a column of numbers has each class in a range of its own
SMALLEST = 20  # rows of each class then
FEW = 20  # rows per category at the least, where the categories tell the class ...
AGAIN = 3  # ... and where there are as many of them as values of y: fewer are of one by chance, as of rows that repeat
NAMED = re.compile(r"(?i:(.*[_\W])?(id|uuid|guid|index|row|key|no|nr|number)|unnamed: 0)|.*[a-z](Id|ID|UUID)")
ENTRIES, WIDEST = 2e8, 5_000  # of X, and columns, up to which columns are looked at one by one
AT_ONCE = 2**20  # numbers of an array that are copied together, some columns at a time
PROBED = 64  # rows that tell whether all of them are worth sorting
SHOWN = 6  # columns that a line names
LABELS = 3  # distinct whole numbers at most, as which a quantity is hardly measured
COUNTS = 10  # classes that are whole numbers up to which they are hardly a count
RARE = 10  # how much larger than the smallest class the largest is, where whole numbers are hardly labels


@dataclass(frozen=True)
class Suspects:
    """Columns by what is the matter with them, and whether y may be a count, or labels that were read as numbers."""

    empty: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    disguised: tuple[str, ...] = ()
    count: int = 0
    labels: int = 0

    def lines(self) -> list[str]:
        """One line for each kind that there is."""
        said = {
            "without any value: {}; nothing is learned from them, drop them.": self.empty,
            "of one value throughout: {}; nothing is learned from them, drop them.": self.constant,
            "that number or name the rows, such as an id: {}; drop them, unless their order means something.": self.ids,
            "that tell y alone: {}; drop them, unless they are known before y is.": self.disguised,
        }
        lines = [f"Columns {text.format(_listed(names))}" for text, names in said.items() if names]
        if self.count:
            lines.append(
                f"y has {self.count} distinct whole numbers, which are searched as classes; pass task='regression' if "
                "they count or measure something."
            )
        if self.labels:
            lines.append(
                f"y has {self.labels} distinct values, whole numbers that are searched as quantities; pass "
                f"task={'binary' if self.labels == 2 else 'multiclass'!r} if they are labels."
            )
        return lines

    def data(self) -> dict[str, Any]:
        """As plain data, with the lines."""
        columns = {name: list(found) for name, found in asdict(self).items() if name not in ("count", "labels")}
        return {**columns, "count": self.count, "labels": self.labels, "lines": self.lines()}


def suspects(problem: Problem) -> Suspects:
    """What is to be looked at in the rows of a table that weigh anything."""
    if problem.sample_weight is not None and not problem.sample_weight.all():
        problem = problem.take(np.flatnonzero(problem.sample_weight))
    found: dict[str, list[str]] = {kind: [] for kind in ("empty", "constant", "ids", "disguised")}
    if problem.grid is None and problem.columns <= WIDEST and problem.rows * problem.columns <= ENTRIES:
        for name, kind in _found(problem):
            found[kind].append(name)
    columns = {kind: tuple(names) for kind, names in found.items()}
    return Suspects(**columns, count=_count(problem), labels=_labels(problem))


def _found(problem: Problem) -> Iterator[tuple[str, str]]:
    """(name, what it is) of each suspect column."""
    X, alone = problem.X, problem.columns == 1
    if is_sparse(X):
        columns = X.tocsc()
        low, high = (getattr(columns, end)(axis=0).toarray().ravel() for end in ("min", "max"))
        yield from ((problem.column_names[j], "constant") for j in np.flatnonzero(low == high))
        return
    for name, kind, values in _columns(X, problem.column_names):
        if kind in ("numeric", "boolean"):
            what = _of_numbers(values, name, problem, alone)
        else:
            what = _of_levels(values, name, kind, problem, alone)
        if what:
            yield name, what


def _columns(X: Any, names: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Name, kind and values of each column, numbers as float64 with NaN where one is missing."""
    if is_frame(X):
        for j, (name, kind) in enumerate(zip(names, kinds_of(X).values(), strict=True)):
            column = X.iloc[:, j]
            numbers = kind in ("numeric", "boolean")
            yield name, kind, column.to_numpy(dtype=float, na_value=np.nan) if numbers else column
        return
    size = max(1, AT_ONCE // len(X))
    for start in range(0, X.shape[1], size):
        block = np.ascontiguousarray(X[:, start : start + size].T, dtype=float)
        yield from zip(names[start : start + size], ["numeric"] * len(block), block, strict=True)


def _of_numbers(x: Array, name: str, problem: Problem, alone: bool) -> str:
    known = ~np.isnan(x)
    count = int(np.count_nonzero(known))
    if not count:
        return "empty"
    whole = count == len(x)
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    if low == high:
        return "constant" if whole else ""
    if count < LEAST:
        return ""
    x, y = (x, problem.y) if whole else (x[known], problem.y[known])
    if not alone and whole and (high - low == count - 1 or NAMED.fullmatch(name)) and _numbers_rows(x):
        return "ids"
    return "disguised" if _tells(x, y, problem) else ""


def _numbers_rows(x: Array) -> bool:
    """Whether numbers are whole and all distinct."""
    return bool((x == np.rint(x)).all()) and len(np.unique(x)) == len(x)


def _tells(x: Array, y: NDArray[Any], problem: Problem) -> bool:
    """Whether numbers say y exactly, or but for rounding."""
    if problem.classes is not None:
        return _tells_class(x, y)
    return any(_tells_number(x, target) for target in y.reshape(len(y), -1).T)


def _tells_number(x: Array, y: Array) -> bool:
    own, other = x - x.mean(), y - y.mean()
    spread = math.sqrt(own @ own) * math.sqrt(other @ other)
    if 0 < spread < math.inf and abs(float(own @ other)) >= SAME * spread:
        return True
    probe = slice(None, None, -(-len(x) // PROBED))
    return _one_way(x[probe], y[probe]) and _one_way(x, y) and len(np.unique(x)) > FEW


def _one_way(x: Array, y: Array) -> bool:
    """Whether y only rises or only falls with x, and is the same where x is."""
    order = np.argsort(x, kind="stable")
    steps, tied = np.diff(y[order]), np.diff(x[order]) == 0
    return bool((steps >= 0).all() or (steps <= 0).all()) and not steps[tied].any()


def _tells_class(x: Array, y: NDArray[Any]) -> bool:
    """Whether each class has a range of numbers of its own: as many values as classes, or more than chance explains."""
    probe = slice(None, None, -(-len(x) // PROBED))
    if not (_in_ranges(x[probe], y[probe]) and _in_ranges(x, y)):
        return False
    sizes = np.unique(y, return_counts=True)[1]
    enough = len(x) >= APART and sizes.min() >= SMALLEST
    return len(sizes) > 1 and (len(np.unique(x)) == len(sizes) or bool(enough))


def _in_ranges(x: Array, y: NDArray[Any]) -> bool:
    """Whether the numbers of each class lie together, apart from those of the others."""
    order = np.argsort(x, kind="stable")
    changes = np.flatnonzero(np.diff(y[order]))
    return len(changes) == len(np.unique(y)) - 1 and not (np.diff(x[order])[changes] == 0).any()


def _of_levels(column: pd.Series[Any], name: str, kind: str, problem: Problem, alone: bool) -> str:
    import pandas as pd

    codes, levels = pd.factorize(column)
    known, count = codes >= 0, len(levels)
    if not count:
        return "empty"
    if count == 1:
        return "constant" if known.all() else ""
    if kind == "date" or known.sum() < LEAST:
        return ""
    if count == known.sum() and not alone:  # each is another, and so tells nothing of y
        sentences = (
            kind == "text" and column.astype(str).str.contains(r"\s").any()
        )  # distinct, and no ids; as dates are
        return "" if not known.all() or sentences or (kind == "text" and is_date_text(column)) else "ids"
    return "disguised" if _levels_tell(codes[known], count, problem.y[known], problem) else ""


def _levels_tell(codes: NDArray[Any], count: int, y: NDArray[Any], problem: Problem) -> bool:
    """Whether each category has one value of y: as many categories as values, or each with many rows."""
    values = y if y.ndim == 1 else np.unique(y, axis=0, return_inverse=True)[1]
    distinct = len(np.unique(values))
    pairs = len(np.unique(np.column_stack([codes, np.unique(values, return_inverse=True)[1]]), axis=0))
    many = AGAIN * count if count == distinct else max(APART, FEW * count)
    return distinct > 1 and pairs == count and len(codes) >= many


def _count(problem: Problem) -> int:
    """How many classes a y has whose whole numbers may count something; 0 where they are hardly a count."""
    classes = problem.classes
    if not problem.inferred or classes is None or classes.dtype.kind not in "iu" or len(classes) < 3:
        return 0
    sizes = np.bincount(problem.y)
    gaps = int(classes[-1]) - int(classes[0]) >= len(classes)
    return len(classes) if gaps or len(classes) > COUNTS or sizes.max() >= RARE * sizes.min() else 0


def _labels(problem: Problem) -> int:
    """How many distinct values a y has that may be labels: floats, as a column is read that had a missing value."""
    y = problem.y
    if not problem.inferred or problem.task != "regression" or y.ndim > 1 or len(y) < LEAST:
        return 0
    values = np.unique(y[:: max(1, len(y) // PROBED)])
    if len(values) > LABELS or not (values == np.rint(values)).all():
        return 0
    values = np.unique(y)
    return len(values) if len(values) <= LABELS and (values == np.rint(values)).all() else 0


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
