"""Statistics over folds: against their formulas, and against scipy's tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.statistics import Estimate, mean_over_folds, overlap, paired_difference, standard_error

SCORES = arrays(np.float64, st.integers(2, 12), elements=st.floats(-100, 100).map(lambda x: round(x, 3)))


def test_corrected_standard_error() -> None:
    """If training sets share nothing the corrected error is the plain one; of K-fold it is wider by a known part."""
    values = np.random.default_rng(0).normal(size=(10, 3))
    plain = values.std(axis=0, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(standard_error(values, 0.0), plain)
    np.testing.assert_allclose(standard_error(values, 1 / 9), plain * np.sqrt(1 + 10 / 9))
    assert paired_difference(values[:, 0], np.zeros(10), None).se == standard_error(values, 1 / 9)[0]
    assert np.isnan(standard_error(values[:1], 0.1)).all()


def test_overlap() -> None:
    """The overlap is that of the folds' own numbers of rows; of none it is not known."""
    problem = make_problem(np.arange(30.0)[:, None], np.arange(30.0))
    assert overlap(make_folds(5, problem, 0)) == pytest.approx(6 / 24)
    assert overlap(None) is None


@given(SCORES, st.floats(0.1, 3.0))
def test_against_scipy(values: np.ndarray, by: float) -> None:
    """Without a correction, p of both kinds and the interval are those of the paired t-test."""
    found = paired_difference(values + by * np.arange(len(values)), values, 0.0)
    expected = stats.ttest_1samp(by * np.arange(len(values)), 0.0)
    assert found.mean == pytest.approx(by * (len(values) - 1) / 2)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.p_greater == pytest.approx(expected.pvalue / 2, rel=1e-6)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-6, abs=1e-9)


@given(SCORES)
def test_turned_round(values: np.ndarray) -> None:
    """The difference the other way round has the other sign, the same error and the same p."""
    other = values[::-1]
    there, back = paired_difference(values, other, 0.3), paired_difference(other, values, 0.3)
    assert (back.mean, back.se, back.p) == (-there.mean, there.se, there.p)
    assert there.p_greater + back.p_greater == pytest.approx(1.0)
    assert not (there.certain and back.certain)


@pytest.mark.parametrize(
    ("estimate", "t", "p"),
    [
        (Estimate(0.0, 0.0, 3), 0.0, 1.0),  # folds that do not differ
        (Estimate(0.2, 0.0, 3), math.inf, 0.0),  # and differ by the same
        (Estimate(-0.2, 0.0, 3), -math.inf, 0.0),
        (Estimate(1e-13, 0.0, 3, rounding=1e-12), 0.0, 1.0),
        (Estimate(0.2, math.nan, 1), math.inf, math.nan),  # a single fold: no test
    ],
)
def test_edges(estimate: Estimate, t: float, p: float) -> None:
    """What differs by rounding does not differ; without any spread a difference is sure, of one fold it has no p."""
    assert estimate.t == t
    np.testing.assert_equal(estimate.p, p)


def test_beyond() -> None:
    """A mean counts where it exceeds so many errors and rounding; never where the error is not known."""
    assert Estimate(0.3, 0.1, 3).beyond(2.0)
    assert not Estimate(0.3, 0.1, 3).beyond(3.5)
    assert not Estimate(0.3, 0.1, 3, rounding=0.4).certain
    assert not Estimate(0.3, math.nan, 1).certain
    assert str(mean_over_folds(np.array([0.1, 0.2, 0.3]))) == "0.2 ± 0.058"
