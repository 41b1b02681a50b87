"""What `benchmarks/replay.py` replays is what a search does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from replays.rungs import SCHEDULES, Recorded, figures, replay

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.models.halving import SuccessiveHalving, first_fold, rung_epochs

FOLDS, EPOCHS, TOGETHER, UPDATES = 3, 40, 8, 10
OURS = next(schedule for schedule in SCHEDULES if schedule.name == "regsearch")


def curves(count: int, seed: int) -> Array:
    """``[count, K, E]`` curves that rise, each to a height and at a speed of its own, with noise."""
    random = np.random.default_rng(seed)
    height, speed = random.normal(size=(count, 1, 1)), random.uniform(1, 20, size=(count, 1, 1))
    rise = height - np.exp(-np.arange(1, EPOCHS + 1) / speed)
    return np.asarray(rise + 0.1 * random.normal(size=(count, FOLDS, EPOCHS)))


@pytest.mark.parametrize("seed", range(4))
def test_rungs_are_those_of_a_search(seed: int) -> None:
    """Who goes on to the end is who does where `SuccessiveHalving` judges the same trials."""
    val, halving = curves(64, seed), SuccessiveHalving((), Averaging.equal(FOLDS))
    complete: list[int] = []
    rungs = rung_epochs(EPOCHS, UPDATES)
    assert rungs == OURS.marks(EPOCHS, UPDATES)
    for start in range(0, len(val), TOGETHER):
        alive = list(range(start, start + TOGETHER))
        for i, rung in enumerate(rungs):
            seen = {number: val[number].copy() for number in alive}
            for number in seen if not i else ():
                seen[number][np.arange(FOLDS) != first_fold(number, FOLDS)] = np.nan
            verdicts = halving.judge(rung, seen)
            alive = [number for number in seen if verdicts[number].goes_on]
            for number in alive if not i else ():
                halving.complete(rung, number, val[number])
        complete += alive
    found = replay(Recorded.of(val, UPDATES, patience=EPOCHS), np.arange(64)[None], OURS, TOGETHER)
    assert np.flatnonzero(found.complete[0]).tolist() == complete
    assert 4 < len(complete) < 32


def test_what_gives_up_nothing_costs_all_and_loses_nothing() -> None:
    """A schedule that always goes on spends every epoch and finds every winner; regsearch's spends less."""
    recorded = Recorded.of(curves(60, 0), UPDATES)
    found = figures(recorded, replace(OURS, least=100), 40, TOGETHER, 20)
    assert found.cost == pytest.approx(1)
    assert found.lost == found.regret == 0
    assert figures(recorded, OURS, 40, TOGETHER, 20).cost < 0.6
