"""The default sampler."""

import optuna
import pytest

from regsearch import AdaptiveLasso, Choice, ElasticNet, Float, Linear, spaces
from regsearch.space.config import digest
from regsearch.space.sampling import sample, size
from regsearch.space.starts import initial_params
from regsearch.study.sampler import DefaultSampler


def proposals(space: Linear, trials: int, seed: int = 0) -> list[str]:
    """Digests of the configs that a search of `space` proposes; the score favours the lasso."""
    study = optuna.create_study(direction="maximize")
    for params in initial_params(space):
        study.enqueue_trial(params)
    known: list[str] = []
    for count in range(trials):
        study.sampler = DefaultSampler(space, seed, lambda config: digest(config) in known).at(count)
        trial = study.ask()
        config = sample(space, trial)
        known.append(digest(config))
        study.tell(trial, float(config.penalty.kind == "l1"))
    return known


@pytest.mark.parametrize("seed", range(3))
def test_proposes_no_config_twice(seed: int) -> None:
    """Once every start is tried, no config comes up again, however much better than the rest it was."""
    space = spaces.linear()
    known = proposals(space, 60, seed)[len(initial_params(space)) :]
    assert len(set(known)) == len(known)


def test_exhausts_a_finite_space() -> None:
    """A finite space is proposed whole in as many trials as it has configs."""
    space = Linear(penalty=Choice("l1", "l2"), scale=Choice("standard", "minmax", "none"))
    known = proposals(space, 6)
    assert len(set(known)) == size(space) == 6


def test_same_seed_same_proposals() -> None:
    """Proposals are a function of the seed and of the trials before."""
    space = Linear(penalty=Choice(ElasticNet(Float(0.1, 0.9)), AdaptiveLasso(Float(0.5, 2))))
    assert proposals(space, 25, 1) == proposals(space, 25, 1)
    assert proposals(space, 25, 1) != proposals(space, 25, 2)
