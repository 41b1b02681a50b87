"""Learning curves against the trial's own scores, separate fits, and the invariants of the parts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import study
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Linear, Loop, Net, SearchFailed
from regsearch import nn_techniques as t
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.averaging import Averaging
from regsearch.models.base import Candidate
from regsearch.results.learning_curve import SIZES, LearningCurve, training_subsets
from regsearch.results.results import Results
from regsearch.results.rules import Pick

DIABETES = load_diabetes(return_X_y=True)
WINE = load_wine(return_X_y=True)
TWELFTHS = np.arange(len(WINE[1])) % 12  # groups that each hold all classes
shares = st.lists(st.floats(0.08, 1.0), min_size=1, max_size=4, unique=True).map(sorted)


def test_last_size_is_the_trial(tmp_path: Path) -> None:
    """On all rows the curve has the fold scores of the chosen trial; on fewer, those of ridge fitted to these rows."""
    X, y = DIABETES
    one = study(tmp_path, data=DIABETES, space=Linear("l2", Float(0.01, 1.0, log=True)))
    results = one.run(3, quiet=True)
    chosen = results.choose(first_sampled)
    found = one.learning_curve(rule=first_sampled, quiet=True)
    curves = results.curves(chosen.number)
    np.testing.assert_allclose(found.val[:, -1], curves.val[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.train[:, -1], curves.train[:, 0], rtol=1e-9)
    for s, part in enumerate(training_subsets(one.problem, one.folds, SIZES, one.seed)):
        for k, (train, val) in enumerate(zip(part.train, part.val, strict=True)):
            model = make_pipeline(StandardScaler(), Ridge(chosen.lambda_ * len(train))).fit(X[train], y[train])
            assert found.val[k, s] == pytest.approx(-mean_squared_error(y[val], model.predict(X[val])), rel=1e-6)
    assert results.finding("learning_curve") == found.row()


def first_sampled(results: Results) -> Pick:
    trial = next(trial for trial in results.complete if trial.role != "reference")
    return Pick(trial.number, trial.step, "It has a penalty.")


@pytest.mark.slow
def test_last_size_of_a_net_is_the_trial(tmp_path: Path) -> None:
    """A net trained to its chosen epoch on all rows scores as it did in the search."""
    space = Net(
        MLP(hidden=(4,)), lr=0.05, weight_decay=Float(1e-4, 1e-2, log=True),
        early_stopping=t.EarlyStopping(max_epochs=6, patience=2),
    )  # fmt: skip
    one = study(tmp_path, data=WINE, space=space, cv=2, prune=False)
    best = one.run(2, quiet=True).best
    found = one.learning_curve((0.5, 1.0), quiet=True)
    assert found.val[:, -1].mean() == pytest.approx(best.score, rel=1e-5)
    assert found.sizes[1] == len(WINE[1]) / 2
    assert abs(found.sizes[0] - found.sizes[1] / 2) <= 1.5  # half a row for each class


@pytest.mark.slow
@pytest.mark.parametrize("kind", [t.FixedEpochs(6), t.EarlyStopping(max_epochs=6, patience=2)])
def test_a_net_trains_as_long_on_few_rows(kind: Any, tmp_path: Path) -> None:
    """On half of the rows a net has twice the epochs, its schedule as long; a linear model stays as it is."""
    space = Net(MLP(hidden=(4,)), lr=0.05, dropout=Float(0.01, 0.1), schedule=t.Cosine(), early_stopping=kind)
    one = study(tmp_path, data=WINE, space=space, cv=2, prune=False)
    chosen = one.run(2, quiet=True).best
    found = one.learning_curve((0.5, 1.0), quiet=True)
    share = found.sizes[0] / found.sizes[1]
    config = chosen.config.as_long_on(share)
    assert (config.last, config.horizon) == (round(chosen.value / share), round(chosen.config.horizon / share))
    assert config.last > 1.8 * chosen.value
    (part,) = training_subsets(one.problem, one.folds, (0.5,), one.seed)
    (outcome,) = config.backend(replace(one.setup, folds=part)).stream([Candidate(0, config)])
    np.testing.assert_allclose(found.val[:, 0], outcome.trajectory.curves[found.metric].val[:, outcome.step], rtol=1e-6)
    linear = Linear("l2", 0.1)
    assert linear.as_long_on(share) is linear


def test_a_loop_trains_as_long_on_few_rows(tmp_path: Path) -> None:
    """Where more rows bring nothing, a loop that passes them in batches is as good on few: it has more epochs there."""

    def train(config: Any, fold: Any) -> Any:
        b, schedule = 0.0, fold.max_epochs
        for _ in range(fold.epochs):
            for _ in range(len(fold.y) // 8):
                b += 0.02 * config["rate"] * (3.0 - b)
            yield fold.score(np.full(len(fold.y), b), np.full(len(fold.y_val), b))
        assert schedule >= fold.epochs

    X, y = np.arange(240.0).reshape(120, 2), np.full(120, 3.0) + np.tile([-1, 1], 60)
    one = study(tmp_path, data=(X, y), space=Loop(train, {"rate": Float(0.9, 1.0)}, epochs=10), cv=3)
    one.run(2, quiet=True)
    found = one.learning_curve((0.2, 0.5, 1.0), quiet=True)
    assert np.ptp(found.val, axis=1).max() < 1e-9


def test_what_cannot_be_fitted_is_told(tmp_path: Path) -> None:
    """A config that cannot be fitted to few rows says to how many, and no finding is kept."""
    space = Estimator(KNeighborsClassifier(20), {"n_neighbors": Choice(20, 25)})
    one = study(tmp_path, data=WINE, space=space, cv=2)
    one.run(2, quiet=True)
    with pytest.raises(SearchFailed, match=r"could not be fitted to 9 rows: ValueError: Expected n_neighbors"):
        one.learning_curve((0.1, 1.0), quiet=True)
    assert one.results().finding("learning_curve") is None
    one.learning_curve((0.5, 1.0), quiet=True)
    assert one.results().finding("learning_curve") is not None


def problem(groups: Any = None) -> Problem:
    return make_problem(*WINE, groups=groups)


@given(sizes=shares, seed=st.integers(0, 9), grouped=st.booleans())
def test_parts_are_nested(sizes: list[float], seed: int, grouped: bool) -> None:
    """Each part lies in the next and in the training rows, holds its share of them, and validation never changes."""
    wine = problem(TWELFTHS if grouped else None)
    folds = make_folds(3, wine, seed)
    found = training_subsets(wine, folds, sizes, seed)
    for size, part in zip(sizes, found, strict=True):
        for k, (train, val) in enumerate(zip(part.train, part.val, strict=True)):
            np.testing.assert_array_equal(val, folds.val[k])
            assert set(train) <= set(folds.train[k])
            slack = 16 if grouped else 2  # half a row for each class, or half a group
            assert abs(len(train) - size * len(folds.train[k])) <= slack
    for before, after in pairwise(found):
        assert all(set(a) <= set(b) for a, b in zip(before.train, after.train, strict=True))
    if sizes[-1] == 1.0:
        assert all(set(a) == set(b) for a, b in zip(found[-1].train, folds.train, strict=True))


@given(size=st.floats(0.01, 1.0), seed=st.integers(0, 9))
def test_parts_are_stratified(size: float, seed: int) -> None:
    """Every class keeps its share to within half a row, and at least one row however small the part."""
    wine = problem()
    folds = make_folds(3, wine, seed)
    (part,) = training_subsets(wine, folds, [size], seed)
    for train, whole in zip(part.train, folds.train, strict=True):
        counts, all_ = np.bincount(wine.y[train], minlength=3), np.bincount(wine.y[whole])
        assert (counts >= 1).all()
        assert (np.abs(counts - np.maximum(size * all_, 1)) <= 0.5 + 1e-9).all()


@given(size=st.floats(0.05, 1.0), seed=st.integers(0, 9))
def test_groups_stay_whole(size: float, seed: int) -> None:
    """A group's training rows are all in a part or none is."""
    wine = problem(TWELFTHS)
    folds = make_folds(3, wine, seed)
    (part,) = training_subsets(wine, folds, [size], seed)
    for train, whole in zip(part.train, folds.train, strict=True):
        inside = set(TWELFTHS[train])
        assert set(train) == {row for row in whole if TWELFTHS[row] in inside}


def test_groups_bring_every_class() -> None:
    """Groups of one class each: the smallest part has a group of every class."""
    X, y = WINE
    groups = y * 10 + np.arange(len(y)) % 5
    wine = make_problem(X, y, groups=groups)
    (part,) = training_subsets(wine, make_folds(3, wine, 0), [0.01], 0)
    for train in part.train:
        assert sorted(set(y[train])) == [0, 1, 2]
        assert len(set(groups[train])) == 3


def test_time_keeps_the_last_rows() -> None:
    """Where folds go forward in time, a part is the end of the training rows."""
    diabetes = make_problem(*DIABETES)
    folds = make_folds(TimeSeriesSplit(3), diabetes, 0)
    for part, size in zip(training_subsets(diabetes, folds, (0.3, 1.0), 0), (0.3, 1.0), strict=True):
        for train, whole in zip(part.train, folds.train, strict=True):
            np.testing.assert_array_equal(train, whole[len(whole) - round(size * len(whole)) :])


@pytest.mark.parametrize("sizes", [(), (0.0, 1.0), (0.5, 0.2), (0.5, 0.5), (0.5, 1.2), (math.nan,), (-0.1,)])
def test_sizes_are_checked(sizes: tuple[float, ...]) -> None:
    """Sizes that are no ascending shares are refused with what they must be."""
    diabetes = make_problem(*DIABETES)
    with pytest.raises(InvalidInput, match="ascending shares"):
        training_subsets(diabetes, make_folds(3, diabetes, 0), sizes, 0)


def test_too_small() -> None:
    """A size that leaves a fold a single row is refused by name."""
    diabetes = make_problem(*DIABETES)
    with pytest.raises(InvalidInput, match=r"The size 0\.001 leaves too little to train on"):
        training_subsets(diabetes, make_folds(3, diabetes, 0), (0.001, 1.0), 0)


@pytest.mark.parametrize(
    ("rises", "said"),
    [
        ((0.2, 0.21, 0.19), "More data would help: from 50 to 100 rows r2 changes by +0.2 ± 0.0091, which is +0.2 for "
         "each doubling."),
        ((0.0, 0.1, 0.05), "More data might help: from 50 to 100 rows r2 changes by +0.05 ± 0.046."),
        ((-0.1, 0.1, 0.01), "More data of this kind would hardly help: from 50 to 100 rows r2 changes by +0.00333 ± "
         "0.091."),
        ((-0.2, -0.2, -0.2), "More data of this kind would hardly help"),
        ((0.1,), "More data might help: from 50 to 100 rows r2 changes by +0.1."),
    ],
)  # fmt: skip
def test_summary(rises: tuple[float, ...], said: str) -> None:
    """The sentence goes by the rise over the last step and the standard error of its paired differences, corrected for
    overlapping training sets."""
    val = np.stack([np.full(len(rises), 0.1), np.full(len(rises), 0.2), 0.2 + np.array(rises)], axis=1)
    found = LearningCurve(4, 0, "best", "r2", (25, 50, 100), val + 0.1, val, Averaging(len(rises), len(rises), 0.5))
    head, *lines, summary = str(found).splitlines()
    assert summary.startswith(said)
    assert head.split() == ["rows", "r2", "train", "gap"]
    assert [line.split()[0] for line in lines] == ["25", "50", "100"]


def test_close_sizes_of_as_many_rows() -> None:
    """Sizes so close that their mean numbers of rows round to one make no claim about a doubling."""
    found = LearningCurve(
        4,
        0,
        "best",
        "r2",
        (24, 24),
        np.ones((3, 2)),
        np.array([[0.1, 0.2], [0.1, 0.2], [0.1, 0.21]]),
        Averaging(3, 3, 0.5),
    )
    assert found.summary == "More data might help: from 24 to 24 rows r2 changes by +0.103 ± 0.0053."


def test_one_size() -> None:
    """One size alone makes no claim."""
    found = LearningCurve(4, 0, "best", "r2", (25,), np.full((3, 1), 0.4), np.full((3, 1), 0.2), Averaging(3, 3, 0.5))
    assert found.summary.startswith("One size says nothing")


def test_row_is_json() -> None:
    """The finding has rows by size and scores by fold, and null where a metric was not defined."""
    train, val = np.array([[0.5, 0.6], [math.nan, 0.7]]), np.array([[0.1, 0.2], [0.3, 0.4]])
    found = LearningCurve(4, 0, "best", "r2", (25, 50), train, val, Averaging.equal(2))
    row = json.loads(json.dumps(found.row(), allow_nan=False))
    assert row == {
        "number": 4, "step": 0, "rule": "best", "metric": "r2", "sizes": [25, 50],
        "train": [[0.5, 0.6], [None, 0.7]], "val": [[0.1, 0.2], [0.3, 0.4]],
    }  # fmt: skip
