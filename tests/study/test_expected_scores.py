"""What trials that were given up would have scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regsearch.metrics.averaging import Averaging
from regsearch.models.path import Curves
from regsearch.study.expected_scores import ExpectedScores, best_seen, seen


def curves(folds: int, steps: int, seed: int) -> Curves:
    val = np.random.default_rng(seed).standard_normal((folds, steps))
    return Curves(val, val, Averaging.equal(folds))


def up_to(whole: Curves, folds: list[int], steps: int) -> Curves:
    """What is seen of curves on some folds in so many steps."""
    val = np.full((len(whole.val), steps), np.nan)
    val[folds] = whole.val[folds, :steps]
    return Curves(val, val, whole.averaging)


@given(st.integers(0, 1000), st.lists(st.integers(0, 3), min_size=1, unique=True), st.integers(1, 12))
def test_one_that_went_as_a_complete_one_did_is_expected_at_its_score(seed: int, folds: list[int], steps: int) -> None:
    """With one complete trial, what was given up on the same curve has that trial's score."""
    whole, found = curves(4, 12, seed), ExpectedScores()
    found.add_complete(whole, 7.5)
    found.add_given_up(3, up_to(whole, folds, steps))
    assert found.values == {3: pytest.approx(7.5)}


def test_it_gains_the_median() -> None:
    """An expected score is the best so far and the median of what complete trials gained on these folds and steps."""
    complete = [curves(3, 10, seed) for seed in range(5)]
    pruned = up_to(curves(3, 10, 9), [1], 4)
    found = ExpectedScores()
    for one in complete:
        found.add_complete(one, float(one.mean().max()))
    found.add_given_up(0, pruned)
    gained = [one.mean().max() - one.val[1, :4].max() for one in complete]
    assert found.values[0] == pytest.approx(np.nanmax(pruned.val) + np.median(gained))


@given(st.permutations(range(8)))
def test_order_has_no_say(order: list[int]) -> None:
    """Whichever trial comes first, the expected scores are the same: those of a search that resumes, too."""
    found, usual = ExpectedScores(), ExpectedScores()
    for scores, numbers in ((found, order), (usual, list(range(8)))):
        for number in numbers:
            whole = curves(3, 10, number)
            if number % 2:
                scores.add_complete(whole, float(number))
            else:
                scores.add_given_up(number, up_to(whole, [number % 3], 2 + number % 4))
    assert found.values == usual.values


def test_nothing_complete_is_nothing_gained() -> None:
    """Before a trial is complete, a score is expected to stay what it was."""
    found, pruned = ExpectedScores(), up_to(curves(3, 10, 0), [0, 2], 5)
    found.add_given_up(1, pruned)
    assert found.values == {1: pytest.approx(pruned.val[[0, 2]].mean(axis=0).max())}


def test_the_most_that_is_seen_counts() -> None:
    """Folds that got less far than others are left out; what is not defined is no step."""
    val = np.array([[1.0, 2.0, 3.0, np.nan], [5.0, np.nan, np.nan, np.nan], [0.0, np.nan, 1.0, np.nan]])
    one = Curves(val, val)
    assert seen(one) == ((0, 2), 3)
    assert best_seen(one, ((0, 2), 3)) == 2.0
    assert best_seen(one, ((1,), 0)) == -np.inf
