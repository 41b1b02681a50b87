"""What `benchmarks/replay.py` replays is what a search does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from replays.estimators import search
from replays.rungs import SCHEDULES, Recorded, figures, replay
from replays.searching import Replay
from samples import regression
from sklearn.linear_model import Ridge

from regsearch import Estimator, Float, Loop
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.halving import SuccessiveHalving, first_fold, rung_epochs
from regsearch.space.sampling import fill, random_params

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


@dataclass
class Leading:
    """The history of a search, as far as who leads."""

    best_folds: Array | None = None
    curves: tuple[Array, ...] = ()

    def of(self, family: str) -> Leading:
        return self


@pytest.mark.slow
def test_estimators_are_given_up_as_in_a_search() -> None:
    """Configs are given up in the folds in which a backend gives them up, and what is spent are its fits."""
    X, y = regression(80, 4)
    problem = make_problem(X, y)
    setup = Setup(problem, make_folds(FOLDS, problem, 0), resolve(None, problem), 0, prune=False, n_jobs=1)
    space, random = Estimator(Ridge(), {"alpha": Float(1e-2, 1e4, log=True)}), np.random.default_rng(0)
    configs = [fill(space, random_params(space, random)) for _ in range(40)]
    candidates = [Candidate(number, config) for number, config in enumerate(configs)]
    whole = [one.trajectory.deciding.val[:, 0] for one in space.backend(setup).stream(candidates)]
    history, pruned = Leading(), []
    for outcome in space.backend(replace(setup, prune=True, history=history)).stream(candidates):
        pruned.append(outcome)
        if outcome.state == "complete":
            own = outcome.trajectory.deciding.val[:, 0]
            history.best_folds = max(own, own if history.best_folds is None else history.best_folds, key=np.mean)
    found = search(np.array(whole), np.arange(len(configs)))
    assert np.isinf(found.scores).tolist() == [outcome.state == "pruned" for outcome in pruned]
    assert found.fits == sum(np.isfinite(outcome.trajectory.deciding.val).sum() for outcome in pruned)
    assert 0 < np.isinf(found.scores).sum() < len(configs)


@pytest.mark.slow
def test_searches_find_what_learns_slowly_and_ends_best() -> None:
    """Where stronger is slower and ends better, as of regularization, what fast learners show early misleads nobody.

    The best strength is .82; what is ahead at every rung has none, and ends .2 worse.
    """

    def loss(strength: float) -> Array:
        epochs = np.arange(1, EPOCHS + 1)
        return np.asarray(0.5 - 0.3 * strength + np.exp(-epochs * (0.25 - 0.2 * strength)))

    def curve(params: dict[str, float]) -> Array:
        strength, *others = (params[name] for name in names)
        noise = np.random.default_rng(int(1e6 * strength)).normal(size=(FOLDS, 1))
        return np.asarray(-loss(strength) - sum((one - 0.5) ** 2 for one in others) + 0.005 * noise)

    names = ("strength", "a", "b", "c")
    space = Loop(lambda config, fold: (yield 0.0, 0.0), {name: Float(0.0, 1.0) for name in names}, epochs=EPOCHS)
    found = [
        Replay(space, curve, lambda made, count: made.default.at(count), seed, updates=UPDATES * 4).run(120).scores
        for seed in range(8)
    ]
    best = min(float(loss(strength)[-1]) for strength in np.linspace(0, 1, 101))
    assert -np.mean([max(scores) for scores in found]) < best + 0.03
