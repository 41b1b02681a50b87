"""Giving an estimator up between two folds: who is, and what that costs a search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from regsearch.metrics.averaging import Averaging
from regsearch.models.fold_rungs import MIN_COMPLETE, FoldRungs

FOLDS = 5


def search(scores: NDArray[np.float64]) -> tuple[float, int]:
    """The share of fits that a search over scores ``[trials, K]`` takes, and the trial that it finds."""
    rungs, fits, best = FoldRungs([], Averaging.equal(FOLDS)), 0, -1
    for number, own in enumerate(scores):
        order, why = rungs.order(number), ""
        for count in range(1, FOLDS + 1):
            fits += 1
            incumbent = None if best < 0 else scores[best]
            if count < FOLDS:
                why = rungs.why_given_up(number, own[order[:count]], order[:count], incumbent)
            if why:
                break
        rungs.end(number, np.where(np.isin(np.arange(FOLDS), order[:count]), own, np.nan))
        if not why:
            best = number if best < 0 or own.mean() > scores[best].mean() else best
    return fits / scores.size, best


def simulated(seed: int, spread: float, luck: float, trials: int = 60) -> NDArray[np.float64]:
    """Scores of configs that differ by a spread, in folds that are hard or easy for all, each with luck of its own."""
    random = np.random.default_rng(seed)
    true = -spread * random.exponential(size=(trials, 1))
    return np.asarray(true + random.normal(size=FOLDS) + luck * random.normal(size=(trials, FOLDS)))


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("luck", [0.05, 0.3])
def test_what_a_search_loses(spread: float, luck: float) -> None:
    """Folds that are hard for all configs hide none: few fits are needed, and the winner is lost in few searches."""
    found = [(scores, *search(scores)) for scores in (simulated(seed, spread, luck) for seed in range(40))]
    lost = [scores.mean(axis=1).max() - scores[best].mean() for scores, _, best in found]
    assert np.mean([share for _, share, _ in found]) < (0.75 if spread < luck * 4 else 0.5)
    assert np.mean(np.array(lost) > 0) <= 0.1
    assert max(lost) < luck


@given(st.integers(0, 10**6))
def test_the_best_so_far_is_never_given_up(seed: int) -> None:
    """A trial that is as good as the best on every fold, or better, is fitted on all of them."""
    random = np.random.default_rng(seed)
    past = [random.normal(size=(FOLDS, 1)) for _ in range(random.integers(0, 12))]
    rungs = FoldRungs(past, Averaging.equal(FOLDS))
    best = max(past, key=np.mean)[:, 0] if past else None
    own = random.normal(size=FOLDS) if best is None else best + np.abs(random.normal(size=FOLDS)) * (seed % 2)
    order = rungs.order(99)
    for count in range(1, FOLDS):
        assert rungs.why_given_up(99, own[order[:count]], order[:count], best) == ""


@pytest.mark.parametrize("number", [0, 8, 17, 39])
def test_the_hopeless_take_one_fit(number: int) -> None:
    """A trial that is far behind on its first fold is given up there, whichever it is, and is told so."""
    past: list[Any] = [np.arange(FOLDS)[:, None] + 0.01 * i for i in range(MIN_COMPLETE + 1)]
    rungs = FoldRungs(past, Averaging.equal(FOLDS))
    (first, *_) = rungs.order(number)
    why = rungs.why_given_up(number, np.array([first - 1.0]), [first], past[-1][:, 0])
    assert "behind the best after 1 of 5 folds" in why
    assert f"{len(past)} of the last {len(past) + 1} trials did better there" in why


@given(st.integers(0, 500), st.integers(0, 20), st.integers(0, 6))
def test_the_luck_of_a_fold_is_that_of_the_better_half(seed: int, known: int, copies: int) -> None:
    """As trials come in, the luck of a fold stays the deviation of what the better half of them loses to the best."""
    random = np.random.default_rng(seed)
    scores = random.integers(-2, 3, size=(known + 6, FOLDS)) + 0.25 * random.integers(0, 2, size=(known + 6, FOLDS))
    best = scores[scores.mean(axis=1).argmax()]
    scores = np.concatenate([scores, np.repeat(best[None], copies, axis=0)])[random.permutation(len(scores) + copies)]
    rungs = FoldRungs([val[:, None] for val in scores[:known]], Averaging.equal(FOLDS))
    for number in range(known, len(scores)):
        rungs.end(number, scores[number])
        others = [one for one in scores[: number + 1] if not np.array_equal(one, best)]
        others.sort(key=lambda one: -float(Averaging.equal(FOLDS).mean(one)))
        lost = best - np.array(others[: max(MIN_COMPLETE, len(others) // 2)]).reshape(-1, FOLDS)
        luck = rungs._luck_of_a_fold(best)
        if len(others) < MIN_COMPLETE:
            assert luck is None
        else:
            assert luck == pytest.approx(float(np.sqrt(lost.var(axis=1, ddof=1).mean())))


@given(st.integers(0, 10**6))
def test_who_is_given_up_does_not_depend_on_when_a_search_was_resumed(seed: int) -> None:
    """Trials that ended count alike whether this run or an earlier one saw them: given up on any fold, or failed."""
    random = np.random.default_rng(seed)
    past: list[NDArray[np.float64]] = []
    here, best = FoldRungs(past[:], Averaging.equal(FOLDS)), None
    for number in range(30):
        own, seen, fails = random.normal(size=FOLDS), np.full(FOLDS, np.nan), random.random() < 0.1
        resumed, why = FoldRungs(list(past), Averaging.equal(FOLDS)), ""
        for count, k in enumerate(here.order(number), 1):
            seen[k], folds = own[k], here.order(number)[:count]
            if count < FOLDS:
                why, again = (each.why_given_up(number, own[folds], folds, best) for each in (here, resumed))
                assert why == again
            if why or fails:
                break
        here.end(number, None if fails else seen)
        past += [] if fails else [seen[:, None]]
        if not why and not fails:
            best = own if best is None or own.mean() > best.mean() else best
