"""Means over folds and their errors: against glmnet's formulas, by simulation, and however often folds are repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

from regsearch.data.folds import Folds
from regsearch.metrics.averaging import Averaging

ROWS = 60
GROUPS = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 9, 12, 18])
APART = [
    KFold(5), KFold(7, shuffle=True, random_state=0), StratifiedKFold(4), GroupKFold(4), TimeSeriesSplit(5),
    TimeSeriesSplit(3, test_size=7), LeaveOneOut(), PredefinedSplit(np.repeat([0, 1, 2, -1], [31, 14, 5, 10])),
]  # fmt: skip


def folds_of(cv: Any, rows: int = ROWS) -> Folds:
    groups = GROUPS[:rows] if "Group" in type(cv).__name__ else None
    pairs = list(cv.split(np.zeros((rows, 1)), np.arange(rows) % 3, groups))
    train, val = zip(*pairs, strict=True)
    return Folds(train, val, type(cv).__name__)


@pytest.mark.parametrize("cv", APART, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_that_count_alike(cv: Any, weighted: bool) -> None:
    """The mean of folds that share no rows is plain, and its error the deviation over the root of their number."""
    folds = folds_of(cv)
    weight = np.random.default_rng(1).uniform(0.2, 3, ROWS) if weighted else None
    over, scores = Averaging.of(folds, weight), np.random.default_rng(0).normal(size=(len(folds), 4))
    assert (over.effective, over.folds) == (len(folds), len(folds))
    np.testing.assert_array_equal(over.mean(scores), scores.mean(axis=0))
    np.testing.assert_allclose(over.error(scores), scores.std(axis=0, ddof=1) / np.sqrt(len(folds)), rtol=1e-14)


@pytest.mark.parametrize("cv", APART, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("weighted", [False, True])
def test_folds_by_size_are_glmnets(cv: Any, weighted: bool) -> None:
    """By size, the mean and its error are glmnet's cvm and cvsd: weighted means by the folds' sums of weights."""
    folds = folds_of(cv)
    weight = np.random.default_rng(1).uniform(0.2, 3, ROWS) if weighted else np.ones(ROWS)
    scores = np.random.default_rng(0).normal(size=(len(folds), 4))
    sums = np.array([weight[val].sum() for val in folds.val])
    cvm = (sums @ scores) / sums.sum()  # cv.glmnet: apply(cvstuff$cvraw, 2, weighted.mean, w = cvstuff$weights)
    cvsd = np.sqrt(sums @ (scores - cvm) ** 2 / sums.sum() / (len(folds) - 1))
    over = Averaging.of(folds, weight, by="size")
    np.testing.assert_allclose(over.mean(scores), cvm, rtol=1e-13)
    np.testing.assert_allclose(over.error(scores), cvsd, rtol=1e-9)
    assert over.effective == len(folds)


@pytest.mark.parametrize(
    ("cv", "worth"),
    [
        (RepeatedKFold(n_splits=5, n_repeats=20, random_state=0), 5),
        (RepeatedStratifiedKFold(n_splits=3, n_repeats=4, random_state=0), 3),
        (LeavePOut(2), ROWS / 2),
        (ShuffleSplit(400, test_size=0.25, random_state=0), 4),
        (GroupShuffleSplit(200, test_size=0.3, random_state=0), 3),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_repeated_folds_are_worth(cv: Any, worth: float) -> None:
    """Folds that share rows are worth as many as they would be without: the rows over those of one of them."""
    over = Averaging.of(folds_of(cv))
    assert over.effective == pytest.approx(worth, rel=0.02 if "Shuffle" not in repr(cv) else 0.35)
    assert over.effective < over.folds


@pytest.mark.slow
@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 2**32 - 1), st.sampled_from(["equal", "size"]))
def test_the_same_folds_again_tell_nothing(count: int, times: int, seed: int, by: Any) -> None:
    """Folds that are repeated as they are change no mean, no error and no degrees of freedom, and hardly a test."""
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(count), rng.integers(count, size=ROWS - count))
    val = tuple(np.flatnonzero(labels == k) for k in range(count))
    train = tuple(np.flatnonzero(labels != k) for k in range(count))
    scores = rng.normal(size=count)
    once, again = Averaging.of(Folds(train, val, ""), by=by), Averaging.of(Folds(train * times, val * times, ""), by=by)
    one, many = once.estimate(scores), again.estimate(np.tile(scores, times))
    assert (many.mean, many.se, many.freedom) == pytest.approx((one.mean, one.se, one.freedom), rel=1e-6)
    assert once.corrected(scores).freedom == pytest.approx(again.corrected(np.tile(scores, times)).freedom, rel=1e-6)
    assert again.corrected(np.tile(scores, times)).se > 0.45 * once.corrected(scores).se


def test_folds_that_all_validate_the_same() -> None:
    """Where every fold validates the same rows, how far their score is off is not known."""
    folds = Folds(tuple(np.arange(k, 40) for k in range(4)), (np.arange(40, 60),) * 4, "one test set")
    over = Averaging.of(folds)
    assert over.effective == 1
    assert np.isnan(over.estimate(np.arange(4.0)).se)
    assert np.isnan(over.corrected(np.arange(4.0)).p)
    assert np.isnan(Averaging.equal(1).error(np.zeros((1, 3)))).all()


@pytest.mark.parametrize("by", ["equal", "size"])
@pytest.mark.parametrize("cv", [KFold(5), RepeatedKFold(n_splits=4, n_repeats=3, random_state=1), TimeSeriesSplit(4)])
def test_weights_of_rows(cv: Any, by: Any) -> None:
    """A row of weight zero is not there, and a row of weight two counts as two rows do."""
    folds, times = folds_of(cv), np.random.default_rng(0).integers(0, 3, ROWS)
    places = [np.flatnonzero(np.repeat(np.arange(ROWS), times) == row) for row in range(ROWS)]

    def repeated(parts: tuple[NDArray[np.intp], ...]) -> tuple[NDArray[np.intp], ...]:
        return tuple(np.concatenate([places[row] for row in part]) for part in parts)

    weighted = Averaging.of(folds, times.astype(float), by)
    rows = Averaging.of(Folds(repeated(folds.train), repeated(folds.val), ""), None, by)
    assert (weighted.effective, weighted.overlap) == pytest.approx((rows.effective, rows.overlap), rel=1e-9)
    np.testing.assert_allclose(weighted.mean(np.eye(len(folds))), rows.mean(np.eye(len(folds))), rtol=1e-12)


def test_corrected_error() -> None:
    """If training sets share nothing the corrected error is the plain one; of K-fold it is wider by a known part."""
    values = np.random.default_rng(0).normal(size=10)
    plain = values.std(ddof=1) / np.sqrt(10)
    assert Averaging(10, 10, 0.0).corrected(values).se == pytest.approx(plain)
    assert Averaging(10, 10, 1 / 9).corrected(values).se == pytest.approx(plain * np.sqrt(1 + 10 / 9))
    assert Averaging.equal(10).difference(values, np.zeros(10)).se == pytest.approx(plain * np.sqrt(1 + 10 / 9))
    assert np.isnan(Averaging.equal(1).corrected(values[:1]).se)
    assert Averaging.of(folds_of(KFold(5))).overlap == pytest.approx(12 / 48)


def test_some_of_the_folds() -> None:
    """Of some folds the shares sum to one again, and they are worth no more than they are."""
    over = Averaging.of(folds_of(PredefinedSplit(np.repeat([0, 1, 2], [30, 20, 10]))), by="size")
    part = over.some(np.array([True, False, True]))
    np.testing.assert_allclose(part.shares, [0.75, 0.25])
    assert (part.folds, part.effective) == (2, 2)
    assert over.some(np.ones(3, dtype=bool)) is over
    none = over.some(np.zeros(3, dtype=bool))
    assert np.isnan(none.mean(np.empty((0,))))


@pytest.mark.slow
@pytest.mark.parametrize(
    "cv",
    [
        KFold(5), RepeatedKFold(n_splits=5, n_repeats=10, random_state=0), ShuffleSplit(20, random_state=0),
        ShuffleSplit(8, test_size=0.4, random_state=0), PredefinedSplit(np.repeat([0, 1, 2, 3], [6, 12, 18, 24])),
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
@pytest.mark.parametrize("by", ["equal", "size"])
def test_the_error_is_that_of_the_mean(cv: Any, by: Any) -> None:
    """Over many data sets the cross-validated loss of least squares varies by the error that is stated."""
    rng, folds, columns = np.random.default_rng(0), folds_of(cv), 3
    over, means, errors = Averaging.of(folds, by=by), [], []
    for _ in range(300):
        X = rng.normal(size=(ROWS, columns))
        y = X[:, 0] + rng.normal(size=ROWS)
        losses = []
        for train, val in zip(folds.train, folds.val, strict=True):
            coef = np.linalg.lstsq(X[train], y[train], rcond=None)[0]
            losses.append(((y[val] - X[val] @ coef) ** 2).mean())
        means.append(float(over.mean(np.array(losses))))
        errors.append(float(over.error(np.array(losses))))
    stated = np.sqrt(np.mean(np.square(errors)))
    assert 0.8 < stated / np.std(means) < 1.25
