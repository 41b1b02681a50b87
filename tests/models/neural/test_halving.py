"""Rungs: where a trial may be given up, and who goes on."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regsearch.models.neural.training.halving import MIN_TRIALS, REDUCTION_FACTOR, SuccessiveHalving, rung_epochs

scores = st.lists(st.floats(-10, 10), min_size=1, max_size=20)


@given(st.integers(1, 2000))
def test_rungs_lie_before_the_end(horizon: int) -> None:
    """Rungs are epochs in the first half, each `REDUCTION_FACTOR` times the one before it, none for a single epoch."""
    found = rung_epochs(horizon)
    assert all(1 <= epoch <= horizon / 2 for epoch in found)
    assert all(b == REDUCTION_FACTOR * a for a, b in pairwise(found))
    assert bool(found) == (horizon > 1)
    if found:
        assert found[-1] * REDUCTION_FACTOR > horizon / 2


@given(scores)
def test_a_third_goes_on(values: list[float]) -> None:
    """Of enough trials that arrive together the best third goes on, rounded up, and whoever equals one of them."""
    halving = SuccessiveHalving()
    for value in values:
        halving.add(1, value)
    bar = sorted(values, reverse=True)[math.ceil(len(values) / REDUCTION_FACTOR) - 1]
    few = len(values) < MIN_TRIALS
    assert [halving.promotes(1, value) for value in values] == [few or value >= bar for value in values]
    assert halving.promotes(1, max(values))


@given(scores, st.floats(-10, 10))
def test_rank(values: list[float], score: float) -> None:
    """A rank counts who did better and who got there, on that rung alone."""
    halving = SuccessiveHalving()
    for value in values:
        halving.add(3, value)
        halving.add(9, 99.0)
    assert halving.rank(3, score) == (sum(value > score for value in values), len(values))
    assert halving.rank(1, score) == (0, 0)


def test_a_single_trial_goes_on() -> None:
    """The first trial at a rung has nobody to fall behind."""
    halving = SuccessiveHalving()
    halving.add(1, -1e9)
    assert halving.promotes(1, -1e9)


def test_the_past_counts() -> None:
    """An earlier trial counts at every rung that its curve reaches, with the best score it had by then."""
    halving = SuccessiveHalving([np.array([1.0, 3.0, 2.0]), np.array([0.5]), np.array([np.nan, 4.0])])
    assert halving.rank(1, 0.9) == (1, 3)
    assert halving.rank(2, 2.5) == (2, 2)
    assert halving.rank(3, 2.5) == (1, 1)
    assert halving.rank(4, 0.0) == (0, 0)
