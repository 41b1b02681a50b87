"""Means with their errors: against scipy's tests."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from regsearch.metrics.averaging import Averaging
from regsearch.metrics.statistics import ALPHA, Estimate
from regsearch.models.path import Point
from regsearch.results.ablation import Change
from regsearch.results.formatting import Measured, format_estimate

SCORES = arrays(np.float64, st.integers(2, 12), elements=st.floats(-100, 100).map(lambda x: round(x, 3)))


@given(SCORES, st.floats(0.1, 3.0))
def test_against_scipy(values: np.ndarray, by: float) -> None:
    """Without a correction, p of both kinds and the interval are those of the paired t-test."""
    found = Averaging(len(values), len(values), 0.0).difference(values + by * np.arange(len(values)), values)
    expected = stats.ttest_1samp(by * np.arange(len(values)), 0.0)
    assert found.mean == pytest.approx(by * (len(values) - 1) / 2)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.p_greater == pytest.approx(expected.pvalue / 2, rel=1e-6)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-6, abs=1e-9)


@given(SCORES)
def test_turned_round(values: np.ndarray) -> None:
    """The difference the other way round has the other sign, the same error and the same p."""
    other = values[::-1]
    over = Averaging(len(values), len(values), 0.3)
    there, back = over.difference(values, other), over.difference(other, values)
    assert (back.mean, back.se, back.p) == (-there.mean, there.se, there.p)
    assert there.p_greater + back.p_greater == pytest.approx(1.0)
    assert not (there.certain and back.certain)


@pytest.mark.parametrize(
    ("estimate", "t", "p"),
    [
        (Estimate(0.0, 0.0, 3, 2), 0.0, 1.0),  # folds that do not differ
        (Estimate(0.2, 0.0, 3, 2), math.inf, 0.25),  # and differ by the same: two of eight draws of signs do
        (Estimate(-0.2, 1e-17, 3, 2), -0.2 / 1e-17, 0.25),
        (Estimate(1e-13, 0.0, 3, 2, rounding=1e-12), 0.0, 1.0),
        (Estimate(0.2, math.nan, 1, 0), math.inf, math.nan),  # a single fold: no test
    ],
)
def test_edges(estimate: Estimate, t: float, p: float) -> None:
    """What differs by rounding does not differ; folds that differ by the same prove little, a single one nothing."""
    assert estimate.t == t
    np.testing.assert_equal(estimate.p, p)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_rounding_is_no_difference_however_sure_the_folds_are_of_it(unit: float) -> None:
    """Scores that differ in their last digits, in every fold alike, are shown as equal and tested as equal."""
    scores = unit * np.array([-1.0, -1.2, -0.9, -1.1, -1.05])
    found = Averaging.equal(5).difference(scores, scores * (1 + 3e-15))
    assert found.mean > 2 * found.se > 0
    assert (found.p, found.p_greater, found.certain, found.beyond(2.0)) == (1.0, 0.5, False, False)
    assert format_estimate(found, "+") == "0 ± 0"
    assert Measured.of(found) == (0.0, 0.0, "")
    assert Change(Point(0.0, 0.0, 0.0, 0.0, 0.0), None, found, found).row()["score_change"] == 0.0


def test_few_folds_that_count_rows_find_no_difference_where_there_is_none() -> None:
    """Two classifiers that are as good are told apart at most as often as the level says, however few folds count."""
    rng = np.random.default_rng(0)
    for folds, rows in ((2, 40), (2, 60), (3, 60)):
        over = Averaging.equal(folds)
        counts = rng.binomial(rows // folds, 0.9, (2000, 2, folds)) / (rows // folds)
        found = [over.difference(first, second, 1e-12) for first, second in counts]
        assert np.mean([one.p < ALPHA for one in found]) <= ALPHA
        assert np.mean([one.beyond(2.0) for one in found]) <= 2 * ALPHA
    same = Averaging.equal(2).difference(np.array([0.9, 0.8]), np.array([0.8, 0.7]))
    assert same.unanimous
    assert not same.beyond(2.0)
    assert math.isnan(same.interval[0])


@pytest.mark.parametrize("value", [0.0, 0.2, -1e9])
@pytest.mark.parametrize("shares", [None, np.array([0.5, 0.3, 0.2])])
def test_folds_that_all_say_the_same_have_no_interval(value: float, shares: np.ndarray | None) -> None:
    """Whatever they say, that there is no difference included: it is not known how far off that is."""
    over = Averaging(3, 3.0, 0.5, shares)
    found = over.corrected(np.full(3, value))
    assert np.isnan(found.interval).all()
    scores = np.array([0.7, 0.8, 0.9])
    differ = over.difference(scores + value, scores)  # by the same but for rounding
    assert np.isnan(differ.interval).all()
    assert found.p == differ.p == (0.25 if abs(value) > 1e-9 else 1.0)
    assert np.isfinite(over.corrected(np.array([0.0, 0.0, 1.0])).interval).all()


def test_beyond() -> None:
    """A mean counts where it exceeds so many errors and rounding; never where the error is not known."""
    assert Estimate(0.3, 0.1, 3, 2).beyond(2.0)
    assert not Estimate(0.3, 0.1, 3, 2).beyond(3.5)
    assert not Estimate(0.3, 0.1, 3, 2, rounding=0.4).certain
    assert not Estimate(0.3, math.nan, 1, 0).certain
    assert str(Averaging.equal(3).estimate(np.array([0.1, 0.2, 0.3]))) == "0.2 ± 0.058"
    assert str(replace(Averaging.equal(1).estimate(np.array([0.1])), se=0.0)) == "0.1"
