"""The default sampler."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regsearch import AdaptiveLasso, Choice, ElasticNet, Float, Int, Linear, Net, spaces
from regsearch import nn_techniques as t
from regsearch.space.config import digest
from regsearch.space.sampling import fill, random_params, sample, size
from regsearch.space.starts import initial_params
from regsearch.storage.optuna_study import searched_study
from regsearch.study.proposals.expected_improvement import FINISHED, ExpectedImprovement
from regsearch.study.proposals.sampler import DefaultSampler


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_same_seed_same_proposals() -> None:
    """Proposals are a function of the seed and of the trials before."""
    space = Linear(penalty=Choice(ElasticNet(Float(0.1, 0.9)), AdaptiveLasso(Float(0.5, 2))))
    assert proposals(space, 25, 1) == proposals(space, 25, 1)
    assert proposals(space, 25, 1) != proposals(space, 25, 2)


# --- where there are numbers to sample: a Gaussian process ---------------------------------------------------------

NUMBERS = Net(
    lr=Float(1e-4, 1e-1, log=True), dropout=Float(0.0, 0.9), input_noise=Float(1e-3, 1.0, log=True),
    penalty=Choice(None, t.L1Penalty(), t.ElasticNetPenalty()), batch_size=Int(8, 64),
)  # fmt: skip


def height(params: dict[str, Any]) -> float:
    """A smooth score, larger without a penalty."""
    away = [np.log10(params["lr"]) + 2.2, params["dropout"] - 0.3, 0.3 * (np.log10(params["input_noise"]) + 1)]
    return -float(np.square(away).sum()) - 0.3 * (params["penalty"] is not None)


@cache
def searched(trials: int, seed: int, resumed: bool = False, in_flight: int = 3) -> list[Any]:
    """The trials of a search that gives up every third one and has some running; a sampler made once, or each time."""
    study, known = optuna.create_study(direction="maximize"), []
    expected: dict[int, float] = {}
    view = searched_study(study, expected)
    sampler = DefaultSampler(NUMBERS, seed, lambda config: digest(config) in known)
    running: list[Any] = []
    for count in range(trials):
        if resumed:
            sampler = DefaultSampler(NUMBERS, seed, lambda config: digest(config) in known)
        view.sampler = sampler.at(count)
        trial = view.ask()
        known.append(digest(sample(NUMBERS, trial)))
        running.append(trial)
        if len(running) > in_flight:
            ended = running.pop(0)
            if ended.number % 3 == 2:
                ended.report(height(ended.params) - 1, step=1)
                study.tell(ended, state=optuna.trial.TrialState.PRUNED)
                expected[ended.number] = height(ended.params)
            else:
                study.tell(ended, height(ended.params))
    assert len(set(known)) == len(known)
    return study.get_trials(deepcopy=False)


def test_a_search_that_resumes_goes_on_alike() -> None:
    """Proposals are those of the trials alone: a sampler that is made anew for each has the same."""
    trials = searched(22, 0)
    assert [trial.params for trial in searched(22, 0, resumed=True)] == [trial.params for trial in trials]
    assert [trial.params for trial in searched(22, 1)] != [trial.params for trial in trials]
    for trial in trials:
        assert fill(NUMBERS, trial.params)


def test_what_is_on_its_way_is_known_by_what_it_has_shown() -> None:
    """A running trial is complete to samplers while a score is expected of it, is running before, and itself after."""
    study = optuna.create_study(direction="maximize")
    expected: dict[int, float] = {}
    view = searched_study(study, expected)
    trial = view.ask()
    trial.suggest_float("lr", 1e-4, 1e-1)
    states = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.RUNNING
    seen: list[Any] = []
    for score in (None, 1.5, 2.5, 7.0):
        if score == 7.0:
            study.tell(trial, score)
            expected.clear()
        elif score is not None:
            expected[0] = score
        together, by_state = view.get_trials(states=states), [view.get_trials(states=(one,)) for one in states]
        assert [one.number for one in together] == [one.number for found in by_state for one in found] == [0]
        assert [one.params for one in view.get_trials()] == [trial.params]
        seen.append((together[0].state.name, together[0].value, bool(together[0].intermediate_values)))
    known = ("COMPLETE", 1.5, True), ("COMPLETE", 2.5, True), ("COMPLETE", 7.0, False)
    assert seen == [("RUNNING", None, False), *known]


def test_pruned_trials_are_there_whatever_is_asked_for() -> None:
    """One that was given up is pruned to who asks for no complete ones, and else complete at what is known best."""
    study = optuna.create_study(direction="maximize")
    expected: dict[int, float] = {0: 1.5}
    view = searched_study(study, expected)
    for _ in range(2):
        trial = view.ask()
        trial.suggest_float("lr", 1e-4, 1e-1)
        trial.report(-2.0, step=3)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    complete, running, pruned = (getattr(optuna.trial.TrialState, name) for name in ("COMPLETE", "RUNNING", "PRUNED"))
    assert [one.state for one in view.get_trials(states=(running, pruned))] == [pruned, pruned]
    assert [(one.state, one.value) for one in view.get_trials(states=(complete, running))] == [
        (complete, 1.5), (complete, -2.0),
    ]  # fmt: skip


@pytest.mark.slow
def test_it_finds_more_than_chance() -> None:
    """After 40 trials of four numbers and choices it is closer to the best than the best of 400 at random."""
    found = [max(height(trial.params) for trial in searched(40, seed)) for seed in range(2)]
    random = np.random.default_rng(0)
    chance = [max(height(random_params(NUMBERS, random)) for _ in range(400)) for _ in range(2)]
    assert np.mean(found) > np.mean(chance)


@pytest.mark.slow
def test_it_proposes_around_what_is_good() -> None:
    """What comes late is better than what came first, in the median, and no option is left out of sight."""
    heights = [height(trial.params) for trial in searched(40, 0)]
    assert np.median(heights[25:]) > np.median(heights[:8]) + 0.2
    assert {trial.params["penalty"] for trial in searched(40, 0)} == {None, "l1", "elastic_net"}


def test_few_numbers_are_left_to_tpe() -> None:
    """Spaces of few numbers, or with leaves of one's own, have no process."""
    few = Linear(penalty=Choice(ElasticNet(Float(0.1, 0.9)), AdaptiveLasso(Float(0.5, 2))))
    assert ExpectedImprovement.of(few) is None
    assert ExpectedImprovement.of(NUMBERS) is not None


@example(scores=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1e300], running=0, different=0)
@example(scores=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1e300], running=0, different=0)
@given(
    st.lists(st.sampled_from([0.0, -0.0, 1.0, 1e-300, -1e300, 1e300, float("inf"), float("-inf")]), max_size=30),
    st.integers(0, 3), st.integers(0, 4),
)  # fmt: skip
def test_it_proposes_whatever_was_scored(scores: list[float], running: int, different: int) -> None:
    """After equal, huge, undefined or few scores, of equal configs or others, what is proposed is a config."""
    process, random = ExpectedImprovement.of(NUMBERS), np.random.default_rng(0)
    configs = [random_params(NUMBERS, random) for _ in range(different + 1)]
    study = optuna.create_study(direction="maximize")
    for i, score in enumerate([*scores, *[None] * running]):
        study.enqueue_trial(configs[i % len(configs)])
        trial = study.ask()
        sample(NUMBERS, trial)
        if score is not None:
            study.tell(trial, score)
    assert process is not None
    found = list(process.best(study.get_trials(), random, 3))
    assert len(found) == (3 if np.isfinite(scores).sum() >= FINISHED else 0)
    for params in found:
        fill(NUMBERS, params)
