"""What trials would score at their end that have not come to it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regsearch.metrics.averaging import Averaging
from regsearch.models.path import Curves
from regsearch.study.expected_scores import MANY, ExpectedScores, best_seen, seen


def curves(folds: int, steps: int, seed: int) -> Curves:
    val = np.random.default_rng(seed).standard_normal((folds, steps))
    return Curves(val, val, Averaging.equal(folds))


def up_to(whole: Curves, folds: list[int], steps: int) -> Curves:
    """What is seen of curves on some folds in so many steps."""
    val = np.full((len(whole.val), steps), np.nan)
    val[folds] = whole.val[folds, :steps]
    return Curves(val, val, whole.averaging)


def ending(begins: float, ends: float) -> Curves:
    """Curves that stand at a score in the first step, and at another in the second."""
    val = np.tile([begins, ends], (3, 1))
    return Curves(val, val, Averaging.equal(3))


@given(st.integers(0, 1000), st.lists(st.integers(0, 3), min_size=1, unique=True), st.integers(1, 12))
def test_one_that_went_as_a_complete_one_did_is_expected_at_its_score(seed: int, folds: list[int], steps: int) -> None:
    """With one complete trial, what was given up on the same curve has that trial's score."""
    whole, found = curves(4, 12, seed), ExpectedScores()
    found.add_complete(0, whole, 7.5)
    found.add_seen(3, up_to(whole, folds, steps))
    assert found.values == {3: pytest.approx(7.5)}


def test_it_gains_the_median() -> None:
    """An expected score is the best so far and the median of what complete trials gained on these folds and steps."""
    complete = [curves(3, 10, seed) for seed in range(5)]
    pruned = up_to(curves(3, 10, 9), [1], 4)
    found = ExpectedScores()
    for number, one in enumerate(complete):
        found.add_complete(number, one, float(one.mean().max()))
    found.add_seen(9, pruned)
    gained = [one.mean().max() - one.val[1, :4].max() for one in complete]
    assert found.values[9] == pytest.approx(np.nanmax(pruned.val) + np.median(gained))


@given(st.permutations(range(8)))
def test_order_has_no_say(order: list[int]) -> None:
    """Whichever trial comes first, the expected scores are the same: those of a search that resumes, too."""
    found, usual = ExpectedScores(), ExpectedScores()
    for scores, numbers in ((found, order), (usual, list(range(8)))):
        for number in numbers:
            whole = curves(3, 10, number)
            if number % 2:
                scores.add_complete(number, whole, float(number))
            else:
                scores.add_seen(number, up_to(whole, [number % 3], 2 + number % 4))
    assert found.values == usual.values


@given(st.integers(0, 1000), st.lists(st.floats(-3, 3), min_size=2, max_size=9))
def test_what_is_ahead_is_expected_to_end_no_worse(seed: int, early: list[float]) -> None:
    """However trials end: of those that were given up at one place, who was ahead there is not expected behind."""
    found, random = ExpectedScores(), np.random.default_rng(seed)
    for number in range(MANY + 4):
        begins, ends = random.standard_normal(2)
        found.add_complete(100 + number, ending(begins, ends), ends)
    for number, begins in enumerate(early):
        found.add_seen(number, up_to(ending(begins, 0.0), [0, 1, 2], 1))
    expected = [found.values[number] for number in np.argsort(early, kind="stable")]
    assert all(b >= a - 1e-9 for a, b in pairwise(expected))


def test_where_beginnings_tell_nothing_all_are_expected_at_the_mean() -> None:
    """Where the slow end best, those that were ahead early are not expected to end ahead."""
    found, ends = ExpectedScores(), np.linspace(1.0, 2.0, 12)
    for number, score in enumerate(ends, 2):
        found.add_complete(number, ending(0.5 - 0.5 * (number - 2) / 11, score), score)
    found.add_seen(0, up_to(ending(0.05, 0.0), [0, 1, 2], 1))
    found.add_seen(1, up_to(ending(0.45, 0.0), [0, 1, 2], 1))
    assert found.values == {0: pytest.approx(ends.mean()), 1: pytest.approx(ends.mean())}


def test_beyond_what_is_known_the_gain_stays_what_it_was() -> None:
    """One that was further behind than any complete trial is expected further behind by as much."""
    found = ExpectedScores()
    for begins in range(MANY):
        found.add_complete(begins, ending(float(begins), begins + 1.0), begins + 1.0)
    found.add_seen(MANY, up_to(ending(-5.0, 0.0), [0, 1, 2], 1))
    assert found.values[MANY] == pytest.approx(-4.0)


def test_nothing_complete_is_nothing_gained() -> None:
    """Before a trial is complete, a score is expected to stay what it was."""
    found, pruned = ExpectedScores(), up_to(curves(3, 10, 0), [0, 2], 5)
    found.add_seen(1, pruned)
    assert found.values == {1: pytest.approx(pruned.val[[0, 2]].mean(axis=0).max())}


def test_the_most_that_is_seen_counts() -> None:
    """Folds that got less far than others are left out; what is not defined is no step."""
    val = np.array([[1.0, 2.0, 3.0, np.nan], [5.0, np.nan, np.nan, np.nan], [0.0, np.nan, 1.0, np.nan]])
    one = Curves(val, val)
    assert seen(one) == ((0, 2), 3)
    assert best_seen(one, ((0, 2), 3)) == 2.0
    assert best_seen(one, ((1,), 0)) == -np.inf


def test_the_last_that_was_seen_counts_and_the_end_most() -> None:
    """A trial on its way is expected at what it has shown last, and once it is complete, at nothing any more."""
    found = ExpectedScores()
    found.add_complete(0, ending(0.0, 1.0), 1.0)
    whole = ending(0.5, 3.0)
    found.add_seen(1, up_to(whole, [1], 1))
    assert found.values == {1: pytest.approx(1.5)}
    found.add_seen(1, up_to(whole, [0, 1, 2], 2))
    assert found.values == {1: pytest.approx(3.0)}
    found.add_complete(1, whole, 3.0)
    assert found.values == {}
