"""Scores of times to an event, against the formulas written out pair by pair and event by event."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from regsearch import InvalidInput
from regsearch._types import Array
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.metrics.survival import RiskSets, concordance_index

seeds = st.integers(0, 2**32 - 1)


def example(seed: int, n: int = 25) -> tuple[Array, Array, Array]:
    """Signed times, some of them equal, decisions and weights."""
    rng = np.random.default_rng(seed)
    y = np.ceil(rng.exponential(5, n)) * np.where(rng.random(n) < 0.6, 1, -1)
    y[0] = 3.0
    return y, rng.normal(size=n), rng.uniform(0.5, 2, n)


@given(seeds, st.booleans())
def test_the_loss_is_the_partial_likelihood(seed: int, efron: bool) -> None:
    """The loss is minus the log partial likelihood, event by event, less that of events which were certain."""
    y, eta, weights = example(seed)
    size, time = weights * np.exp(eta), np.abs(y)
    expected = 0.0
    for at in np.unique(time[y > 0]):
        own, risk = (time == at) & (y > 0), time >= at
        mass, count = weights[own].sum(), int(own.sum())
        for left in range(count) if efron else (0,):
            share, part = (mass / count, left / count) if efron else (mass, 0.0)
            expected += share * np.log((size[risk].sum() - part * size[own].sum()) / (mass * (1 - part)))
        expected -= weights[own] @ eta[own]
    assert RiskSets.of(y, weights, efron).at(eta[None]).loss[0] == pytest.approx(expected)


@given(seeds, st.booleans())
def test_decisions_may_be_as_far_apart_as_numbers_go(seed: int, efron: bool) -> None:
    """Where the rows at risk are next to nothing beside those before them, the loss is that of their own sums."""
    y, eta, weights = example(seed)
    eta, time, expected = 1000 * eta, np.abs(y), 0.0
    for at in np.unique(time[y > 0]):
        own, risk = (time == at) & (y > 0), time >= at
        mass, count = weights[own].sum(), int(own.sum())
        for left in range(count) if efron else (0,):
            share, part = (mass / count, left / count) if efron else (mass, 0.0)
            signed = weights * (risk - part * own)
            expected += share * (logsumexp(eta[risk], b=signed[risk]) - np.log(mass * (1 - part)))
        expected -= weights[own] @ eta[own]
    assert RiskSets.of(y, weights, efron).at(eta[None]).loss[0] == pytest.approx(expected)


@given(seeds)
def test_concordance_is_counted_by_pairs(seed: int) -> None:
    """Harrell's C is the weighted share of comparable pairs in the right order, equal log hazards counting half."""
    y, eta, weights = example(seed)
    eta = np.round(eta, 1)
    right = pairs = 0.0
    for i in np.flatnonzero(y > 0):
        for j in range(len(y)):
            if abs(y[i]) < abs(y[j]) or (abs(y[i]) == abs(y[j]) and y[j] < 0):
                pairs += weights[i] * weights[j]
                right += weights[i] * weights[j] * ((eta[i] > eta[j]) + 0.5 * (eta[i] == eta[j]))
    assert concordance_index(y, eta, sample_weight=weights) == pytest.approx(right / pairs)


@given(seeds)
def test_scorers_are_the_formulas(seed: int) -> None:
    """Along a path, and of a structured y, every score of survival is the same; equal hazards explain nothing."""
    y, eta, _ = example(seed)
    problem = make_problem(np.arange(50.0).reshape(25, 2), (y > 0, np.abs(y)), task="survival")
    rows, decision = np.arange(25), np.stack([eta, 0 * eta], axis=1)[:, :, None]
    for metric in resolve(["neg_cox_deviance", "d2_cox", "concordance_index"], problem):
        assert metric.along(problem, rows, decision) == pytest.approx(metric.by_scorer(problem, rows, decision))
    assert resolve("d2_cox", problem)[0].along(problem, rows, decision)[1] == pytest.approx(0, abs=1e-12)
    assert resolve("concordance_index", problem)[0].along(problem, rows, decision)[1] == pytest.approx(0.5)


def test_events_and_times_are_read() -> None:
    """A structured array, two columns, a dataframe, a pair and signed times are the same y; labels are structured."""
    event, time = np.array([True, False, True, True]), np.array([3.0, 1.0, 2.0, 5.0])
    both = np.array(list(zip(event, time, strict=True)), dtype=[("seen", bool), ("months", float)])
    X = np.arange(8.0).reshape(4, 2)
    forms = [
        np.column_stack([event, time]),
        pd.DataFrame({"e": event, "t": time}),
        (event, time),
        [3.0, -1.0, 2.0, 5.0],
    ]
    assert make_problem(X, both).task == "survival"
    for y in (both, *forms):
        problem = make_problem(X, y, task="survival")
        np.testing.assert_array_equal(problem.y, [3.0, -1.0, 2.0, 5.0])
        np.testing.assert_array_equal(problem.labels["event"], event)
        np.testing.assert_array_equal(problem.labels["time"], time)
    for wrong in ((event, time - 1), (time, event.astype(float)), [3.0, 0.0, 1.0, 2.0]):
        with pytest.raises(InvalidInput, match=r"above 0|true or false|not be 0"):
            make_problem(X, wrong, task="survival")
    with pytest.raises(InvalidInput, match="does not fit a survival task"):
        resolve("r2", make_problem(X, both))
    with pytest.raises(InvalidInput, match="does not fit a regression task"):
        resolve("concordance_index", make_problem(X, time))
