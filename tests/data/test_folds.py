"""Folds: any scikit-learn splitter, checked so that every fold can be fitted and scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from regsearch import InvalidInput, Linear, Study
from regsearch.data.folds import Folds, make_folds, runs_forward
from regsearch.data.problem import Problem, make_problem

N = 30
X = np.random.default_rng(0).normal(size=(N, 2))
Y = X[:, 0] + np.arange(N)
LABELS = np.array(["a", "b", "b"] * 10)
GROUPS = np.arange(N) // 3


def problem(y: Any = Y, **options: Any) -> Problem:
    return make_problem(X[: len(y)], y, **options)


SPLITTERS = [
    KFold(4),
    KFold(4, shuffle=True, random_state=1),
    StratifiedKFold(5),
    GroupKFold(3),
    StratifiedGroupKFold(3),
    LeaveOneGroupOut(),
    LeaveOneOut(),
    TimeSeriesSplit(4),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
    ShuffleSplit(3, test_size=0.3, random_state=0),
    PredefinedSplit(np.arange(N) // 10),
]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda splitter: type(splitter).__name__)
def test_splitters_are_taken_as_they_are(splitter: Any) -> None:
    """A splitter's folds are exactly those that scikit-learn makes of the same labels and groups."""
    groups = GROUPS if "Group" in type(splitter).__name__ else None
    folds = make_folds(splitter, problem(LABELS, groups=groups), 0)
    expected = list(splitter.split(X, LABELS, groups))
    assert len(folds) == len(expected)
    for train, val, (theirs, other) in zip(folds.train, folds.val, expected, strict=True):
        np.testing.assert_array_equal(train, theirs)
        np.testing.assert_array_equal(val, other)
    assert folds.name == type(splitter).__name__


@pytest.mark.parametrize(
    ("y", "groups", "splitter"),
    [
        (Y, None, KFold),
        (LABELS, None, StratifiedKFold),
        (Y, GROUPS, GroupKFold),
        (LABELS, GROUPS, StratifiedGroupKFold),
    ],
)
def test_a_number_of_folds(y: Any, groups: Any, splitter: Any) -> None:
    """A number is the shuffled splitter that task and groups call for, seeded by the study."""
    folds = make_folds(5, problem(y, groups=groups), 7)
    expected = splitter(5, shuffle=True, random_state=7).split(X, y, groups)
    for train, val, (theirs, other) in zip(folds.train, folds.val, expected, strict=True):
        np.testing.assert_array_equal(train, theirs)
        np.testing.assert_array_equal(val, other)
    assert folds.name == f"5-fold {splitter.__name__}"
    assert make_folds(np.int64(5), problem(y, groups=groups), 7).digest == folds.digest
    assert make_folds(5, problem(y, groups=groups), 8).digest != folds.digest


@given(n=st.integers(6, 60), k=st.integers(2, 6), seed=st.integers(0, 10), grouped=st.booleans(), labels=st.booleans())
def test_partition(n: int, k: int, seed: int, grouped: bool, labels: bool) -> None:
    """Validation parts of a number of folds share out the rows; no row or group is in both parts of a fold."""
    y = np.arange(n) % 2 if labels else np.random.default_rng(seed).normal(size=n)
    groups = np.random.default_rng(seed).integers(0, n, n) if grouped else None
    p = make_problem(np.arange(float(n))[:, None], y, groups=groups)
    try:
        folds = make_folds(k, p, seed)
    except InvalidInput:
        assert (labels and np.bincount(y).min() < k) or grouped
        return
    assert np.sort(np.concatenate(folds.val)).tolist() == list(range(n))
    for train, val in zip(folds.train, folds.val, strict=True):
        assert np.sort(np.concatenate([train, val])).tolist() == list(range(n))
        if groups is not None:
            assert not set(groups[train]) & set(groups[val])
        if labels:
            assert set(y[train]) == {0, 1}


@pytest.mark.parametrize("cv", [5, KFold(3), GroupKFold(3), TimeSeriesSplit(3)], ids=str)
def test_several_targets_are_split_as_one(cv: Any) -> None:
    """How many targets there are does not matter to the folds."""
    groups = GROUPS if isinstance(cv, GroupKFold) else None
    one, several = (make_folds(cv, problem(y, groups=groups), 3) for y in (Y, np.column_stack([Y, -Y])))
    assert one.digest == several.digest


def test_pairs() -> None:
    """Pairs of index lists, arrays or a generator of them are folds; rows may be in neither part."""
    pairs = [([0, 1, 2, 3], [4, 5]), (np.arange(6, 20), np.array([0]))]
    folds = make_folds(pairs, problem(), 0)
    assert [rows.tolist() for rows in folds.train] == [[0, 1, 2, 3], list(range(6, 20))]
    assert folds.name == "2 given folds"
    assert make_folds(iter(pairs), problem(), 0).digest == folds.digest
    assert make_folds(list(KFold(3).split(X)), problem(), 0).digest == make_folds(KFold(3), problem(), 0).digest


def test_digest() -> None:
    """A digest changes with any index, with what part it is in, and with nothing else."""

    def of(train: Any, val: Any, name: str = "") -> str:
        return Folds(tuple(map(np.array, train)), tuple(map(np.array, val)), name).digest

    first = of([[0, 1], [2, 3]], [[2], [0]], "name")
    assert first == of([[0, 1], [2, 3]], [[2], [0]])
    others = [
        of([[0, 1], [2, 4]], [[2], [0]]),
        of([[0, 1, 2], [3]], [[2], [0]]),
        of([[1, 0], [2, 3]], [[2], [0]]),
        of([[0, 1], [2, 3]], [[0], [2]]),
    ]
    assert len({first, *others}) == 5


def late() -> Any:
    """Labels of which one comes only at the end."""
    return np.array(["a", "b"] * 12 + ["c"] * 6)


@pytest.mark.parametrize("cv", [KFold(3), RepeatedKFold(n_splits=6, n_repeats=2, random_state=0), LeaveOneOut()])
def test_folds_that_validate_rows_of_weight_zero_alone_are_left_out(cv: Any) -> None:
    """The folds of a splitter that are left are those that validate a row of a positive weight, and train on such."""
    weight = np.r_[np.zeros(10), np.ones(20)]
    folds, every = make_folds(cv, problem(sample_weight=weight), 0), make_folds(cv, problem(), 0)
    kept = [k for k, val in enumerate(every.val) if weight[val].any()]
    assert folds.weightless == len(every) - len(kept)
    for train, val, k in zip(folds.train, folds.val, kept, strict=True):
        assert train.tolist() == [row for row in every.train[k].tolist() if weight[row]]
        assert val.tolist() == every.val[k].tolist()


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "one fold": (lambda: make_folds(1, problem(), 0), "at least 2 folds, got 1; 5 or 10"),
    "negative": (lambda: make_folds(-3, problem(), 0), "at least 2 folds, got -3"),
    "too many folds": (lambda: make_folds(31, problem(), 0), r"number of rows \(30\), got 31; use fewer"),
    "too many for a splitter": (lambda: make_folds(KFold(31), problem(), 0), "KFold cannot split these 30 rows: .*31"),
    "rare class": (lambda: make_folds(11, problem(LABELS), 0), r"folds \(11\), class 'a' has 10; use fewer"),
    "too few groups": (lambda: make_folds(11, problem(groups=GROUPS), 0), r"number of groups \(10\), got 11; use"),
    "no groups": (
        lambda: make_folds(GroupKFold(3), problem(), 0),
        "GroupKFold splits by groups, got none; pass groups=",
    ),
    "no groups to leave out": (
        lambda: make_folds(LeaveOneGroupOut(), problem(), 0),
        "splits by groups, got none; pass",
    ),
    "no groups to stratify": (
        lambda: make_folds(StratifiedGroupKFold(3), problem(LABELS), 0),
        "groups, got none; pass",
    ),
    "True": (lambda: make_folds(True, problem(), 0), "cv must be an int, .* got True; cv=5"),
    "None": (lambda: make_folds(None, problem(), 0), "cv must be an int, .* got None; cv=5"),
    "a float": (lambda: make_folds(5.0, problem(), 0), "cv must be an int, .* got 5.0; cv=5"),
    "a name": (lambda: make_folds("kfold", problem(), 0), "cv must be an int, .* got 'kfold'; cv=5"),
    "nothing": (lambda: make_folds([], problem(), 0), "at least one fold, got none; cv=5"),
    "no pairs": (lambda: make_folds([[0, 1, 2]], problem(), 0), r"must be a pair of index arrays"),
    "masks": (lambda: make_folds([(Y > 3, Y <= 3)], problem(), 0), "one-dimensional row indices, got bool"),
    "floats": (lambda: make_folds([([0.0, 1.0], [2.0])], problem(), 0), "one-dimensional row indices, got float64"),
    "no training rows": (lambda: make_folds([([], [1])], problem(), 0), "got float64|two training rows"),
    "one training row": (lambda: make_folds([([0], [1])], problem(), 0), "fold 0 has 1 and 1; use"),
    "no validation": (
        lambda: make_folds([(np.arange(3), np.arange(0))], problem(), 0),
        "one validation row, fold 0 has 3 and 0; use",
    ),
    "outside": (lambda: make_folds([([0, 1], [30])], problem(), 0), "Fold 0 has the row 30, X has rows 0 to 29; mend"),
    "negative row": (lambda: make_folds([([0, 1], [-1])], problem(), 0), "Fold 0 has the row -1, X has rows 0 to 29"),
    "leak": (lambda: make_folds([([0, 1, 2], [2, 3])], problem(), 0), "fold 0 repeats some; training would leak"),
    "repeated": (lambda: make_folds([([0, 0, 1], [2, 3])], problem(), 0), "must be distinct, fold 0 repeats"),
    "class comes late": (
        lambda: make_folds(TimeSeriesSplit(3), problem(late()), 0),
        "'c' is absent in fold 0; use a stratified",
    ),
    "class not in training": (
        lambda: make_folds(LeaveOneGroupOut(), problem(LABELS, groups=LABELS), 0),
        "as many groups as there are folds .2., class 'a' has 1; use fewer",
    ),
    "constant in training": (
        lambda: make_folds(TimeSeriesSplit(3), problem(np.r_[np.zeros(20), Y[20:]]), 0),
        "constant in fold 0; shuffle",
    ),
    "target constant in training": (
        lambda: make_folds(TimeSeriesSplit(3), problem(np.column_stack([Y, np.r_[np.zeros(20), Y[20:]]])), 0),
        "target 'y1' must vary in every fold's training rows, it is constant in fold 0; shuffle",
    ),
    "several targets cannot be stratified": (
        lambda: make_folds(StratifiedKFold(3), problem(np.column_stack([Y, -Y])), 0),
        "StratifiedKFold cannot split these 30 rows: .*continuous-multioutput",
    ),
    "weightless training": (
        lambda: make_folds(TimeSeriesSplit(3), problem(sample_weight=np.r_[np.zeros(9), np.ones(21)]), 0),
        "needs weight, fold 0 has none in one; use",
    ),
    "weightless validation of given folds": (
        lambda: make_folds(list(KFold(3).split(X)), problem(sample_weight=np.r_[np.zeros(10), np.ones(20)]), 0),
        "needs weight, fold 0 has none in one; use",
    ),
    "given folds of held-out rows": (
        lambda: make_folds(list(KFold(3).split(X)), make_problem(X, Y, test=0.2), 0),
        "the row 29, X has rows 0 to 23 without those of the test set, which folds of your own do not count; mend",
    ),
    "one fold of weight": (
        lambda: make_folds(KFold(3), problem(sample_weight=np.r_[np.zeros(20), np.ones(10)]), 0),
        "At least two folds must validate rows of a positive weight, 1 of 3 does; shuffle the rows, or drop those",
    ),
    "no fold whose scores weigh": (
        lambda: make_folds(KFold(3), problem(score_weight=np.r_[np.zeros(29), 1.0]), 0),
        "positive weight, 1 of 3 does; shuffle",
    ),
}


class Eras:
    """Trains on the groups so far and validates on the next, which it must be told, like the targets."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        assert len(y) == len(X)
        for era in np.unique(groups)[1:]:
            yield np.flatnonzero(groups < era), np.flatnonzero(groups == era)


def test_time_runs_forward_in_splitters_that_need_y_or_groups() -> None:
    """A splitter is asked with the rows' targets and groups, so that one that goes by them is known to run forward."""
    eras = np.repeat(np.arange(5), 6)
    assert runs_forward(Eras(), 30, Y, eras)
    assert not runs_forward(Eras(), 30, Y, eras[::-1])
    assert not runs_forward(GroupKFold(3), 30, Y, eras)
    assert not runs_forward(Eras(), 30)
    ordered = list(TimeSeriesSplit(3).split(X))
    assert runs_forward(ordered, 30)
    assert runs_forward(tuple(ordered), 30)
    held = Study("eras", np.c_[Y], Y, space=Linear(), cv=Eras(), groups=eras, test=0.2, tracking=False).problem.test
    assert held is not None
    np.testing.assert_array_equal(held.y, Y[24:])


@pytest.mark.parametrize(("share", "first"), [(0.25, 24), (0.35, 18), (0.01, 24), (0.95, 6)])
def test_the_last_rows_are_whole_groups_where_these_follow_each_other(share: float, first: int) -> None:
    """A held-out set of ordered rows parts no era; groups that are mixed in time are no reason to leave its order."""
    eras = np.repeat(np.arange(5), 6)
    made = make_problem(X, Y, groups=eras, test=share, ordered=True)
    assert made.test is not None
    np.testing.assert_array_equal(made.test.y, Y[first:])
    mixed = make_problem(X, Y, groups=np.arange(N) % 4, test=share, ordered=True)
    assert mixed.test is not None
    assert mixed.test.rows == max(1, round(N * share))


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str) -> None:
    """Folds that could not be fitted or scored are refused in one sentence with the invariant, the value, the fix."""
    make, message = BAD[case]
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
