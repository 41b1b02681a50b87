"""Rungs: where a trial may be given up, what it is compared with there, and who goes on."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from regsearch.metrics.averaging import Averaging
from regsearch.models.halving import (
    MIN_TRIALS,
    MIN_UPDATES,
    OUTLOOK_FACTOR,
    RECENT,
    REDUCTION_FACTOR,
    SAME_FOLD,
    SuccessiveHalving,
    first_fold,
    rung_epochs,
)

FOLDS = 3
scores = st.lists(st.floats(-10, 10), min_size=1, max_size=20)


def on(score: float, *folds: int, epochs: int = 1) -> NDArray[np.float64]:
    """A curve that stands at a score on some folds, on all where none is named."""
    val = np.full((FOLDS, epochs), np.nan)
    val[list(folds or range(FOLDS))] = score
    return val


def halving(*past: NDArray[np.float64]) -> SuccessiveHalving:
    return SuccessiveHalving(past, Averaging.equal(FOLDS), probes=0)


@given(st.integers(1, 2000), st.integers(1, 300))
def test_rungs_lie_before_the_end(horizon: int, updates: int) -> None:
    """Rungs are epochs in the first half, each later than the one before, and none before enough updates."""
    found = rung_epochs(horizon, updates)
    assert all(1 <= epoch <= max(1, horizon / 2) for epoch in found)
    assert all(epoch * updates >= MIN_UPDATES for epoch in found)
    assert all(b > a for a, b in pairwise(found))
    assert horizon > 1 or not found
    assert found or horizon == 1 or round(0.4 * horizon) * updates < MIN_UPDATES


@given(st.integers(1, 9))
def test_each_fold_has_its_turn(folds: int) -> None:
    """Trials with numbers in a row begin on one fold, and every fold comes as often as any other."""
    found = [first_fold(number, folds) for number in range(SAME_FOLD * folds)]
    assert sorted(found) == sorted(list(range(folds)) * SAME_FOLD)
    assert all(len(set(found[i : i + SAME_FOLD])) == 1 for i in range(0, len(found), SAME_FOLD))


@given(scores, st.integers(0, FOLDS - 1))
def test_the_best_go_on(values: list[float], fold: int) -> None:
    """Of enough trials that arrive together the best part goes on, rounded up, and whoever equals one of them."""
    verdicts = halving().judge(1, {i: on(value, fold) for i, value in enumerate(values)})
    bar = sorted(values, reverse=True)[math.ceil(len(values) / REDUCTION_FACTOR) - 1]
    few = len(values) < MIN_TRIALS
    assert [verdicts[i].goes_on for i in range(len(values))] == [few or value >= bar for value in values]
    assert [verdicts[i].better for i in range(len(values))] == [sum(a > b for a in values) for b in values]
    assert {verdict.compared for verdict in verdicts.values()} == {len(values)}


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=1, max_size=RECENT), st.floats(-10, 10))
def test_compared_on_the_same_folds(past: list[tuple[float, float]], score: float) -> None:
    """A trial on one fold is compared with the scores of others there, whatever they are elsewhere."""
    curves = [np.array([[a], [b], [b]]) for a, b in past]
    verdict = halving(*curves).judge(1, {0: on(score, 0)})[0]
    assert (verdict.better, verdict.compared) == (sum(a > score for a, _ in past), len(past) + 1)
    verdict = halving(*curves).judge(1, {0: on(score)})[0]
    assert verdict.better == sum(np.mean([a, b, b]) > np.mean([score] * 3) for a, b in past)


@given(st.lists(st.tuples(st.floats(-10, 0), st.floats(0, 5)), min_size=MIN_TRIALS, max_size=20))
def test_outlook(arriving: list[tuple[float, float]]) -> None:
    """What gains fastest goes on although it is behind, as many by their outlook as there is room for."""
    curves = {i: np.full((FOLDS, 1), early) + np.array([0.0, gain]) for i, (early, gain) in enumerate(arriving)}
    verdicts = halving().judge(2, curves)
    outlooks = {i: 2 * curve[0, 1] - curve[0, 0] for i, curve in curves.items()}
    ahead = sorted(outlooks, key=lambda i: -outlooks[i])[: math.ceil(len(arriving) / OUTLOOK_FACTOR)]
    assert all(verdicts[i].goes_on for i in ahead)
    behind = [i for i in curves if verdicts[i].better >= math.ceil(len(curves) / REDUCTION_FACTOR)]
    bar = min(outlooks[i] for i in ahead)
    assert all(verdicts[i].goes_on == (outlooks[i] >= bar - 1e-9) for i in behind if abs(outlooks[i] - bar) > 1e-6)


def test_given_up_elsewhere_counts_as_worse() -> None:
    """Who was given up on another fold counts as worse; who went on there counts once it has all folds."""
    made = halving()
    first = made.judge(1, {i: on(float(i), 0) for i in range(8)})
    gone = sum(not verdict.goes_on for verdict in first.values())
    assert gone == 8 - math.ceil(8 / REDUCTION_FACTOR)
    (verdict,) = made.judge(1, {8: on(-5.0, 1)}).values()
    assert (verdict.goes_on, verdict.better, verdict.compared) == (True, 0, gone + 1)
    for number, own in ((7, 9.0), (6, -9.0)):
        made.complete(1, number, on(own))
    (verdict,) = made.judge(1, {9: on(-6.0, 1)}).values()
    assert (verdict.better, verdict.compared) == (2, gone + 4)  # this one, the one before, and those two


@given(st.lists(st.floats(-10, 10), max_size=3 * RECENT), st.lists(st.floats(-10, 10), min_size=1, max_size=RECENT))
def test_compared_with_the_last(before: list[float], arriving: list[float]) -> None:
    """What got to a rung long ago has no say there, good or bad: only the last, and those that come now."""
    made = halving(*map(on, before[: len(before) // 2]))
    for i, score in enumerate(before[len(before) // 2 :]):
        made.judge(1, {i: on(score)})
    verdicts = made.judge(1, {100 + i: on(score) for i, score in enumerate(arriving)})
    fresh = halving(*map(on, before[-RECENT:])).judge(1, {100 + i: on(score) for i, score in enumerate(arriving)})
    assert verdicts == fresh


@given(st.lists(st.floats(-10, 10), min_size=MIN_TRIALS, max_size=30), st.integers(1, 7))
def test_probes_go_on_and_count_as_others_do(values: list[float], probes: int) -> None:
    """One trial in so many goes on however poor it is, and the others are compared with it as if it were none."""
    arriving = {i: on(value) for i, value in enumerate(values)}
    plain, probed = (
        SuccessiveHalving((), Averaging.equal(FOLDS), probes=some).judge(1, arriving) for some in (0, probes)
    )
    for i in arriving:
        assert (probed[i].better, probed[i].compared) == (plain[i].better, plain[i].compared)
        assert probed[i].goes_on == (plain[i].goes_on or i % probes == probes - 1)


def test_a_probe_that_was_behind_is_none_of_those_that_were_given_up() -> None:
    """Where a probe went on, others are compared with it on the folds that they have once it has them, too."""
    made = SuccessiveHalving((), Averaging.equal(FOLDS), probes=6)
    made.judge(1, {i: on(-float(i), 0) for i in range(6)})
    made.complete(1, 5, on(-5.0))
    (verdict,) = made.judge(1, {6: on(-6.0, 1)}).values()
    gone = 6 - math.ceil(6 / REDUCTION_FACTOR) - 1
    assert (verdict.better, verdict.compared) == (1, gone + 2)


def test_a_single_trial_goes_on() -> None:
    """The first trial at a rung has nobody to fall behind, even where its score is not defined."""
    assert halving().judge(1, {0: on(-1e9)})[0].goes_on
    assert halving().judge(1, {0: on(-np.inf, 2)})[0].goes_on


def test_an_undefined_score_is_the_worst() -> None:
    """A trial whose score is not defined does not pass for one of the best."""
    past = [on(float(score)) for score in range(12)]
    assert not halving(*past).judge(1, {99: on(-np.inf)})[99].goes_on


def test_the_past_counts() -> None:
    """An earlier trial counts at every rung that its curve reaches, with the best score it had by then."""
    rising, short, late = np.array([[1.0, 3.0, 2.0]]), np.array([[0.5]]), np.array([[np.nan, 4.0]])

    def judged(rung: int, score: float) -> tuple[int, int]:
        made = SuccessiveHalving([rising, short, late], Averaging.equal(1))
        verdict = made.judge(rung, {7: np.full((1, rung), score)})[7]
        return verdict.better, verdict.compared - 1

    assert judged(1, 0.9) == (1, 3)  # the third is not defined yet: no better
    assert judged(2, 2.5) == (2, 2)
    assert judged(3, 2.5) == (1, 1)
    assert judged(4, 0.0) == (0, 0)
