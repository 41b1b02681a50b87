"""The Gaussian process of the default sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from regsearch.study.proposals.gaussian_process import (
    BLOCK,
    FARTHEST,
    FITTED,
    GaussianProcess,
    Hyperparameters,
    Posterior,
    fit_hyperparameters,
    standardized,
)

HYPER = Hyperparameters(np.array([0.3, 0.8, 2.0]), 1.4, 0.05, 0.2, 0.3)
RANDOM = np.random.default_rng(0)
X, Y = RANDOM.random((20, 3)), RANDOM.standard_normal(20)
EXPECTED = (np.arange(20) % 3 == 0).astype(float)
ROWS = RANDOM.random((7, 3))


def process(running: np.ndarray = X[:0]) -> GaussianProcess:
    return GaussianProcess(HYPER, X, Y, EXPECTED).beside(running)


def sklearn(X: np.ndarray, y: np.ndarray, expected: np.ndarray) -> Callable[..., Any]:
    """Predicts complete scores; that a score is an expected one is a column more, of an exponential kernel."""
    none = 1e12  # a scale that leaves a column out
    apart = Matern([*np.full(3, none), 1 / HYPER.apart], nu=0.5)
    kernel = ConstantKernel(HYPER.signal) * Matern([*HYPER.scales, none], nu=2.5) * apart
    process = GaussianProcessRegressor(kernel, alpha=HYPER.noises(expected), optimizer=None)
    process.fit(np.column_stack([X, expected]), y)
    return lambda rows, **options: process.predict(np.column_stack([rows, np.zeros(len(rows))]), **options)


def test_means_are_those_of_scikit_learn() -> None:
    """Expected scores are those of scikit-learn's process with the same kernel and noises."""
    oracle = sklearn(X, Y, EXPECTED)
    assert process().mean(ROWS) == pytest.approx(oracle(ROWS), rel=1e-9)
    assert process().best == pytest.approx(oracle(X).max())


def test_improvements_are_integrals() -> None:
    """An expected improvement is the integral of what is gained over the density; running trials are at their means."""
    running = RANDOM.random((4, 3))
    everything = np.concatenate([X, running]), np.concatenate([Y, process().mean(running)])
    oracle = sklearn(*everything, np.concatenate([EXPECTED, np.zeros(4)]))
    found = np.exp(process(running).improvement(ROWS))
    for value, mean, deviation in zip(found, *oracle(ROWS, return_std=True), strict=True):
        gained, _ = quad(lambda s, m=mean, d=deviation: (s - process().best) * norm.pdf(s, m, d), process().best, 20)
        assert value == pytest.approx(gained, rel=1e-5)


@pytest.mark.parametrize("count", [0, 1, BLOCK, 2 * BLOCK + 7])
def test_rows_are_looked_at_each_by_itself(count: int) -> None:
    """What a row is expected to gain does not depend on the rows beside it, nor on their number."""
    rows = np.random.default_rng(count).random((count, 3))
    alone = [process().improvement(row[None])[0] for row in rows]
    assert process().improvement(rows) == pytest.approx(np.array(alone), rel=1e-9)


def test_running_trials_are_not_proposed_again() -> None:
    """Where a trial is running, less is expected to be gained than before, and nowhere more."""
    best = ROWS[np.argmax(process().improvement(ROWS))][None]
    after, before = process(best).improvement(ROWS), process().improvement(ROWS)
    assert process(best).improvement(best)[0] < process().improvement(best)[0] - 0.1
    assert np.all(after <= before + 1e-6)


def test_far_below_the_best_order_remains() -> None:
    """Improvements too small for a number still rise with the mean."""
    y = np.where(X[:, 0] > 0.5, 0.0, -60.0) + X[:, 0]
    found = GaussianProcess(Hyperparameters(np.full(3, 0.5), 1.0, 1e-3, 0.1, 0.1), X, y, np.zeros(20))
    low = X[X[:, 0] < 0.5]
    values = found.improvement(low)
    assert np.all(np.isfinite(values))
    assert values.min() < -300


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_that_of_the_density(seed: int) -> None:
    """The gradient of the posterior of scales and variances is what differences of its values say."""
    posterior = Posterior.of(X, Y, EXPECTED)
    logs = posterior.middle + 0.5 * np.random.default_rng(seed).standard_normal(len(posterior.middle))
    off = check_grad(lambda at: posterior(at)[0], lambda at: posterior(at)[1], logs)
    assert off < 1e-4 * np.linalg.norm(posterior(logs)[1])


def test_scores_that_have_nothing_in_common_are_no_error() -> None:
    """Where expected scores and others are so far apart that their correlation is no number above 0, all is finite."""
    posterior = Posterior.of(X, Y, EXPECTED)
    logs = posterior.middle.copy()
    logs[-1] = 8.0
    with np.errstate(all="raise", under="ignore"):
        loss, gradient = posterior(logs)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("seed", [263, *range(5)])
def test_hyperparameters_stay_where_they_are_believed_to_be(seed: int) -> None:
    """Where complete trials are all alike and expected scores are not, no step of the fit goes past all numbers."""
    random = np.random.default_rng(seed)
    count, columns = int(random.integers(8, 64)), int(random.integers(1, 12))
    rows = random.random((count, columns))
    expected = (random.random(count) < random.random()).astype(float)
    scores = standardized(np.where(expected == 1, rows[:, 0] + 3, 0.0))
    posterior = Posterior.of(rows, scores, expected)
    hyper = fit_hyperparameters(rows, scores, expected)
    logs = np.log([*hyper.scales, hyper.signal, hyper.noise, hyper.more_noise, hyper.apart])
    assert np.abs((logs - posterior.middle) / posterior.sd).max() <= FARTHEST + 1e-9


def test_columns_without_effect_get_long_scales() -> None:
    """Of two columns, the one that scores depend on has the shorter scale, also where only some trials are fitted."""
    random = np.random.default_rng(1)
    rows = random.random((2 * FITTED, 2))
    scores = standardized(np.sin(6 * rows[:, 1]) + 0.05 * random.standard_normal(len(rows)))
    scales = fit_hyperparameters(rows, scores, np.zeros(len(rows))).scales
    assert scales[0] > 2 * scales[1]


def test_expected_scores_that_mislead_have_little_say() -> None:
    """Where expected scores rise as complete ones fall, what is expected of a config follows the complete ones."""
    random = np.random.default_rng(0)
    rows, expected = random.random((60, 2)), (np.arange(60) % 4 > 0).astype(float)
    scores = standardized(np.where(expected == 1, -1.0, 1.0) * rows[:, 0] + 0.02 * random.standard_normal(60))
    hyper = fit_hyperparameters(rows, scores, expected)
    found = GaussianProcess(hyper, rows, scores, expected)
    assert found.mean(np.array([[0.9, 0.5]])) > found.mean(np.array([[0.1, 0.5]])) + 0.5
    agreeing = fit_hyperparameters(rows, standardized(rows[:, 0]), expected)
    assert hyper.apart > 5 * agreeing.apart


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_standardized_scores_keep_their_order(scores: list[float]) -> None:
    """Better scores stay better, all are finite, and their mean is 0."""
    found = standardized(np.array(scores))
    assert np.all(np.isfinite(found))
    assert found.mean() == pytest.approx(0, abs=1e-6 * max(1.0, np.abs(found).max()))
    assert np.all(np.diff(found[np.argsort(scores, kind="stable")]) >= -1e-9 * max(1.0, np.abs(found).max()))
