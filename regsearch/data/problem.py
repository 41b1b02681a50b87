"""The data of a study: X, y, the task, and optionally groups, sample weights and a held-out test set.

A `Problem` is checked once, before any fit: what cannot be searched is refused here in one sentence. Nothing is
learned from the data beyond its form (column kinds, classes); imputing, encoding and scaling belong to the folds.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows, Task
from regsearch.data.dataset import read_dataset
from regsearch.data.encoding import Encoded, encode, encoded_features, encoded_names
from regsearch.data.features import (
    check_varies,
    checked_groups,
    checked_weights,
    checked_X,
    is_frame,
    is_sparse,
    take_rows,
)
from regsearch.data.fingerprint import bytes_of
from regsearch.data.frames import index_of, paired
from regsearch.data.held_out import given_test, split_off
from regsearch.data.magnitudes import check_magnitudes
from regsearch.data.mapped import Place, PlacedFrame, frame_of, one_array, placed, written
from regsearch.data.row_table import BLOCK, WHOLE, RowTable
from regsearch.data.survival import SURVIVAL, events_and_times, signed_times
from regsearch.data.target_transforms import TargetTransform
from regsearch.data.targets import checked_y, in_order
from regsearch.data.tasks import CodedTarget, TargetTask, frame_of_values, strata_of
from regsearch.data.weights import weighing
from regsearch.numeric import plain

SAME = "same"  # of score_weight: what rows weigh in fits


@dataclass(frozen=True)
class Problem:
    """Checked data.

    Attributes
    ----------
    X
        ``[n, p]``: array, DataFrame of pandas or CSR matrix, as given (lists become arrays); or images ``[n, c, h,
        w]``, an array of the numbers that were given (``uint8`` stays that).
    y
        ``[n]``: float64 for regression, else class codes ``0 .. C-1`` (see `classes`); float64 ``[n, t]`` for a
        regression of several targets, or of tasks of their own, with codes in columns of classes; times of survival,
        negative where the event was not seen.
    task
        ``regression``, ``binary``, ``multiclass``, ``survival``, or ``mixed`` of targets with tasks of their own.
    classes
        The labels that the codes stand for; `None` for numbers.
    groups, sample_weight
        ``[n]`` or `None`.
    score_weight
        ``[n]``: what rows weigh in scores, or `None` where all weigh the same.
    test
        The held-out set, a problem of its own; no decision reads it.
    target_names
        What each target is called, for logs and errors.
    inferred
        Whether the task follows from y, as nobody said it; a type of categories does.
    transform
        What models are fitted to in place of y, undone in what they predict; `None` where that is y itself. Scores are
        of y all the same.
    tasks
        Of each target, where they are mixed; else empty.
    """

    X: Any
    y: NDArray[Any]
    task: Task
    classes: NDArray[Any] | None = None
    groups: NDArray[Any] | None = None
    sample_weight: Array | None = None
    score_weight: Array | None = None
    test: Problem | None = None
    target_names: tuple[str, ...] = ("y",)
    inferred: bool = False
    transform: TargetTransform | None = None
    tasks: tuple[TargetTask, ...] = ()

    @property
    def rows(self) -> int:
        return int(self.X.shape[0])

    @property
    def columns(self) -> int:
        """Numbers per row: of images, all pixels of all channels."""
        return math.prod(self.X.shape[1:])

    @property
    def grid(self) -> tuple[int, ...] | None:
        """The shape of every row where it is more than a list: of sequences, images, volumes; `None` for a table."""
        return tuple(self.X.shape[1:]) if self.X.ndim > 2 else None

    @property
    def targets(self) -> int:
        """The number of values to predict per row: t of a y ``[n, t]``, else 1."""
        return 1 if self.y.ndim == 1 else int(self.y.shape[1])

    @property
    def outputs(self) -> int:
        """m of a decision ``[n, m]``: one prediction per target, the log-odds of two classes, a logit per class."""
        if self.tasks:
            return sum(one.outputs for one in self.tasks)
        return len(self.classes) if self.classes is not None and len(self.classes) > 2 else self.targets

    @property
    def name(self) -> str:
        """What y is called, for logs."""
        return ", ".join(self.target_names)

    @property
    def labels(self) -> Any:
        """y as the user gave it; of survival a structured array of events and times, of mixed tasks a DataFrame."""
        if self.tasks:
            return frame_of_values(self.tasks, self.y, index_of(self.X))
        if self.task == SURVIVAL:
            return events_and_times(self.y)
        return self.y if self.classes is None else np.asarray(self.classes[self.y])

    def fit_labels(self, rows: Rows) -> Any:
        """`labels` of some rows, all of which weigh something, as a model that is fitted to them gets them."""
        if self.transform is None:
            return take_rows(self.labels, rows)
        return self.transform.fit(self.y, rows).transformed(self.y[rows])

    @property
    def coded(self) -> tuple[CodedTarget, ...]:
        """The targets that are classes."""
        if self.classes is not None:
            return (CodedTarget("", self.y, self.classes.tolist()),)
        pairs = enumerate(self.tasks)
        return tuple(
            CodedTarget(one.name, self.y[:, j].astype(np.intp), one.classes)
            for j, one in pairs
            if one.classes is not None
        )

    @property
    def strata(self) -> NDArray[Any]:
        """``[n]``: what folds have alike shares of, where they are stratified: classes, or events."""
        if self.tasks:
            return strata_of(self.tasks, self.y)
        return self.y > 0 if self.task == SURVIVAL else self.y

    @property
    def column_names(self) -> list[str]:
        """The names of a DataFrame, else numbered; an image's are in the order of ``X.reshape(len(X), -1)``."""
        if is_frame(self.X):
            return [str(column) for column in self.X.columns]
        return [f"x{j}" for j in range(self.columns)]

    def entries(self, feature: int) -> Array:
        """``[1, n]`` numbers of a column of X by its place, NaN where one is missing; ``[K, n]`` where folds differ."""
        if is_frame(self.X):
            return np.asarray(self.X.iloc[:, feature].to_numpy(dtype=float, na_value=np.nan))[None]
        column = self.X[:, [feature]]
        return np.array(column.toarray() if is_sparse(column) else column, dtype=np.float64).T

    @cached_property
    def encoded(self) -> Encoded:
        """X as one numeric matrix, made once; of a table.

        It lies by columns, but for several classes: those are multiplied with all columns at once, however they lie.
        """
        return encode(self.X, self.task != "multiclass")

    @cached_property
    def table(self) -> RowTable | None:
        """X where it is a table too large to be copied as `encoded`, which is read by blocks of rows; else `None`."""
        return RowTable.of(self.X)

    @property
    def has_holes(self) -> bool:
        """Whether entries are missing that folds fill."""
        if self.grid is not None:
            return False
        return (self.encoded if self.table is None else self.table).missing is not None

    @property
    def places(self) -> Mapping[str, Sequence[int]]:
        """The places among `column_names` of what is meant by the name of a column."""
        return {name: [j] for j, name in enumerate(self.column_names)}

    @property
    def encoded_names(self) -> list[str]:
        """The names of the columns of `encoded`."""
        return encoded_names(self.X) if is_frame(self.X) else self.column_names

    @property
    def encoded_features(self) -> Rows:
        """``[p]``: which column of X each column of `encoded` comes from, in the order of `column_names`."""
        return encoded_features(self.X) if is_frame(self.X) else np.arange(self.columns)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: an X in a mapped file by its place.

        Not `encoded`, which is as large as X and is written to by folds.
        """
        state = {name: value for name, value in vars(self).items() if name not in ("encoded", "table")}
        return state | {"X": placed(self.X) or self.X}

    def __setstate__(self, state: dict[str, Any]) -> None:
        X = state["X"]
        vars(self).update(state | {"X": X.open() if isinstance(X, (Place, PlacedFrame)) else X})

    def take(self, rows: Rows | slice) -> Problem:
        """The problem restricted to some rows, without its test set."""
        return self._of(rows, take_rows(self.X, rows))

    def part(self, rows: Rows) -> Problem:
        """The same as `take`, for long: rows of a large mapped X are written to a file of their own, and not copied."""
        place = placed(self.X)
        if place is None or len(rows) * self.columns <= WHOLE:
            return self.take(rows)
        values = one_array(self.X) if is_frame(self.X) else self.X
        assert values is not None
        if (np.diff(rows) == 1).all():
            return self.take(slice(int(rows[0]), int(rows[-1]) + 1))
        size = max(1, BLOCK // self.columns)
        blocks = (values[rows[start : start + size]] for start in range(0, len(rows), size))
        kept = written(blocks, values.dtype, values.shape[1:])
        return self._of(rows, frame_of(kept, self.X.columns, self.X.index[rows]) if is_frame(self.X) else kept)

    def _of(self, rows: Rows | slice, X: Any) -> Problem:
        """The problem of some rows, whose X is this."""
        return replace(
            self,
            X=X,
            y=self.y[rows],
            groups=None if self.groups is None else self.groups[rows],
            sample_weight=None if self.sample_weight is None else self.sample_weight[rows],
            score_weight=None if self.score_weight is None else self.score_weight[rows],
            test=None,
        )

    def without_weights(self) -> Problem:
        """The same with rows that all weigh alike, held-out ones too."""
        test = None if self.test is None else self.test.without_weights()
        return replace(self, sample_weight=None, score_weight=None, test=test)

    @property
    def scored_as_fitted(self) -> bool:
        """Whether rows weigh in scores what they weigh in fits."""
        fit, score = self.sample_weight, self.score_weight
        return fit is score or (fit is not None and score is not None and np.array_equal(fit, score))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any value, label, weight, group or column name."""
        digest = hashlib.sha256(f"{self.task}|{self.column_names}".encode())
        for one in self.tasks:
            digest.update(repr(one).encode())
        for part in (self.X, self.y, self.classes, self.groups, self.sample_weight):
            for piece in bytes_of(part):
                digest.update(piece)
        if not self.scored_as_fitted:
            for piece in (b"scored by", *bytes_of(self.score_weight)):
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
    score_weight: Any = SAME,
    test: Any = None,
    task: Any = None,
    targets: Sequence[str] | None = None,
    ordered: bool = False,
    seed: int = 0,
) -> Problem:
    """Check data and infer its task.

    Parameters
    ----------
    X
        ``[n, p]`` array, dataframe of any library (numeric, boolean, categorical, missing values; text and dates for
        the own pipeline of an `Estimator`) or scipy sparse matrix; images, a numeric array ``[n, channels, height,
        width]`` or ``[n, height, width]``; or a Parquet path or dataset of pyarrow, read as `read_dataset` says. Arrays
        are not copied, mapped or not. What belongs to rows is paired as `paired` says.
    y
        ``[n]``: real numbers for regression; booleans, strings, categories or at most 20 distinct whole numbers for
        classification (`task` overrides). ``[n, t]``: numbers, a regression of several targets. Or a dataset's column.
        Events and times of survival: a structured array, or with that task what `signed_times` takes. Of a list of
        tasks numbers and labels ``[n, t]``, a DataFrame or structured columns.
    groups
        ``[n]`` or `None`.
    sample_weight
        ``[n]`` or `None`: what rows weigh in fits, as if each were there so many times.
    score_weight
        ``[n]``: what rows weigh in scores; ``same`` as in fits, `None` for unweighted scores.
    test
        ``(X, y)`` or ``(X, y, score_weight)`` of a held-out set, or the fraction of rows to hold out: drawn at random,
        stratified by class, whole groups together, or, when the folds are `ordered` in time, the last rows, from where
        a group ends. Scores on ``(X, y)`` are unweighted; a fraction of the rows keeps their weights.
    targets
        The names of y's columns in the order to take them, where that is another's; see `in_order`.
    seed
        Of the draw of the test rows.

    Raises
    ------
    InvalidInput
        When the data cannot be searched; the message names the invariant, the value and the fix.
    """
    X, y = read_dataset(X, y)
    y, task = signed_times(y, task)
    named = {"groups": groups, "sample_weight": sample_weight, "score_weight": score_weight}
    X, y, groups, sample_weight, score_weight = paired(X, y, **named)
    X = checked_X(X)
    n = X.shape[0]
    weight, score, counting = _weights(sample_weight, score_weight, n)
    check_varies(X, counting)
    found = checked_y(y if targets is None else in_order(y, targets), n, task, counting)
    check_magnitudes(X, found.values if found.classes is None else None, weight, counting)
    of = found.values, found.task, found.classes, checked_groups(groups, n), weight, score
    problem = Problem(X, *of, target_names=found.names, inferred=found.inferred, tasks=found.tasks)
    return _with_test(problem, plain(test), ordered, seed)


def _with_test(problem: Problem, test: Any, ordered: bool, seed: int) -> Problem:
    """The problem with a held-out set as `make_problem` takes one."""
    if test is None or isinstance(test, float):
        return problem if test is None else split_off(problem, test, ordered, seed)
    return replace(problem, test=given_test(problem, test))


def _weights(sample_weight: Any, score_weight: Any, n: int) -> tuple[Array | None, Array | None, Rows]:
    """Weights in fits and in scores, and the rows that weigh anything: what is said of all rows is said of these."""
    weight = checked_weights(sample_weight, n)
    same = isinstance(score_weight, str) and score_weight == SAME
    score = weight if same else checked_weights(score_weight, n, "score_weight")
    everything = np.arange(n)
    return weight, score, everything if weight is None or score is None else weighing(everything, weight + score)
