"""Advice to take more folds keeps the kind of folds: it never shuffles time, and never tears groups apart."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import study
from sklearn import model_selection
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.results.advice.more_folds import more_folds

N = 120
RNG = np.random.default_rng(0)
X, Y, GROUPS = RNG.normal(size=(N, 3)), RNG.normal(size=N), np.arange(N) // 6
PROBLEM = make_problem(X, Y)
GROUPED = make_problem(X, Y, groups=GROUPS)
GROUPED_CLASSES = make_problem(X, Y > 0, groups=GROUPS)
CLASSES = make_problem(X, Y > 0.3)


def proposed(cv: Any, problem: Problem) -> tuple[Folds, Folds]:
    """The folds of a splitter, and those that are proposed for more."""
    folds = make_folds(cv, problem, 0)
    option = re.search(r"\(cv=(.*)\)$", more_folds(folds, problem))
    assert option is not None
    names = {**vars(model_selection), "X": problem.X, "y": problem.labels, "groups": problem.groups, "range": range}
    return folds, make_folds(eval(option[1], names), problem, 0)


@pytest.mark.parametrize(
    ("cv", "problem"),
    [
        (5, PROBLEM), (KFold(4, shuffle=True), PROBLEM), (KFold(4), PROBLEM), (5, CLASSES),
        (StratifiedKFold(3), CLASSES),
        (ShuffleSplit(4), PROBLEM), (5, GROUPED), (GroupKFold(3), GROUPED), (StratifiedGroupKFold(3), GROUPED_CLASSES),
        (GroupShuffleSplit(3), GROUPED), (TimeSeriesSplit(4), PROBLEM), (TimeSeriesSplit(5, test_size=4), PROBLEM),
    ],
)  # fmt: skip
def test_more_of_the_same_kind(cv: Any, problem: Problem) -> None:
    """What is proposed can be made, is more, and keeps time, groups and blocks apart as the folds do."""
    folds, more = proposed(cv, problem)
    assert len(more) > len(folds)
    for keeps in (forward, whole_groups, blocks, in_order):
        assert keeps(more, problem) or not keeps(folds, problem)


def forward(folds: Folds, problem: Problem) -> bool:
    return all(train.max() < val.min() for train, val in zip(folds.train, folds.val, strict=True))


def whole_groups(folds: Folds, problem: Problem) -> bool:
    if problem.groups is None:
        return False
    return all(
        not set(problem.groups[train]) & set(problem.groups[val])
        for train, val in zip(folds.train, folds.val, strict=True)
    )


def in_order(folds: Folds, problem: Problem) -> bool:
    """Whether each class is split where its rows stand: no row of a fold is behind one of the next fold."""
    labels = problem.y if problem.classes is not None else np.zeros(problem.rows)
    parts = [[val[labels[val] == label] for val in folds.val] for label in np.unique(labels)]
    return all(len(a) and len(b) and a.max() < b.min() for part in parts for a, b in pairwise(part))


def blocks(folds: Folds, problem: Problem) -> bool:
    return all((np.diff(val) == 1).all() for val in folds.val)


@pytest.mark.parametrize(
    ("cv", "problem", "said"),
    [
        (LeaveOneOut(), PROBLEM, ""),
        (LeaveOneGroupOut(), GROUPED, ""),
        (RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), PROBLEM, ""),
        (PredefinedSplit(np.arange(N) % 3), PROBLEM, ""),
        ([(np.arange(60), np.arange(60, N))], PROBLEM, "test on longer windows of time, none of them shuffled"),
        (TimeSeriesSplit(30), PROBLEM, "test on longer windows of time, none of them shuffled"),
    ],
)
def test_where_there_are_no_more(cv: Any, problem: Problem, said: str) -> None:
    """Folds of which there are no more, or of an unknown kind, get no splitter; those in time only what keeps time."""
    assert more_folds(make_folds(cv, problem, 0), problem) == said


@pytest.mark.parametrize("kind", ["time", "groups"])
def test_the_advice_of_a_noisy_study(kind: str, tmp_path: Path) -> None:
    """A study in time is told of more windows, one of groups of other draws of its groups; neither of repeated rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = X[:, 0] + rng.normal(0, 3, 200) * np.linspace(0.3, 3, 200)
    options: dict[str, Any] = {"time": {"cv": TimeSeriesSplit(5)}, "groups": {"groups": np.arange(200) // 40, "cv": 5}}
    results = study(tmp_path, data=(X, y), **options[kind]).run(12, quiet=True)
    (said,) = (advice.text for advice in results.advice if advice.topic == "noise")
    assert "RepeatedKFold" not in said
    expected = {"time": "cv=TimeSeriesSplit(10)", "groups": "in GroupKFold(5, shuffle=True, random_state=seed)"}
    assert expected[kind] in said
