"""Samplers of the user's: what they see of a study, and the names that they propose under."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from samples import finished, study
from sklearn.linear_model import ElasticNet as SklearnElasticNet

from regsearch import MLP, Choice, ElasticNet, Estimator, Float, Int, InvalidInput, Linear, Net
from regsearch import Path as Axis
from regsearch import nn_techniques as t
from regsearch.space.params import parameter_names
from regsearch.space.starts import initial_params
from regsearch.storage.searched import ROLE
from regsearch.study.history import History

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
SAMPLERS: dict[str, Callable[[], Any]] = {
    "gp": lambda: optuna.samplers.GPSampler(seed=0, n_startup_trials=8),
    "qmc": lambda: optuna.samplers.QMCSampler(seed=0),
    "tpe": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True, n_startup_trials=6),
    "grouped": lambda: optuna.samplers.TPESampler(seed=0, multivariate=True, group=True, n_startup_trials=6),
    "cmaes": lambda: optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=1),
    "nsga": lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=4),
}
PLAIN = Estimator(SklearnElasticNet(), {"alpha": Float(1e-3, 10, log=True), "l1_ratio": Float(0.05, 0.95)})
GRID: dict[str, Any] = {"alpha": (0.1, 1.0, 10.0), "l1_ratio": (0.2, 0.8)}
CONDITIONAL = Linear(penalty=Choice("l2", ElasticNet(Float(0.1, 0.9))), lambda_=Float(1e-3, 10.0, log=True))


def spied(sampler: Any) -> tuple[Any, dict[int, set[str]]]:
    """A sampler, and the parameters that it was asked for together, by the number of the trial."""
    seen: dict[int, set[str]] = {}
    infer = sampler.infer_relative_search_space

    def watched(study: optuna.Study, trial: Any) -> Any:
        found = infer(study, trial)
        seen[trial.number] = set(found)
        return found

    sampler.infer_relative_search_space = watched
    return sampler, seen


def as_optuna_sees(trials: list[Any]) -> optuna.Study:
    """A study of Optuna's own with some trials of one of ours."""
    plain = optuna.create_study(direction="maximize")
    plain.add_trials(trials)
    return plain


@pytest.mark.slow
@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_joint_samplers_sample_jointly(tmp_path: Path, make: Callable[[], Any]) -> None:
    """From the first finished start on, every ask is for all parameters together, also where the study is resumed."""
    sampler, seen = spied(make())
    study(tmp_path, space=PLAIN, sampler=sampler).run(6, quiet=True)
    again, later = spied(make())
    study(tmp_path, space=PLAIN, sampler=again).run(10, quiet=True)
    assert seen | later == {number: {"alpha", "l1_ratio"} for number in range(2, 10)}


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)
def test_conditional_spaces_are_what_optuna_makes_of_them(tmp_path: Path, make: Callable[[], Any]) -> None:
    """What a sampler takes together is what it would in a study of Optuna's that never had a reference."""
    sampler, seen = spied(make())
    results = study(tmp_path, space=CONDITIONAL, sampler=sampler).run(9, quiet=True)
    stored = optuna.load_study(study_name=results.name, storage=results.store.optuna())
    proposed = [frozen for frozen in stored.get_trials(deepcopy=False) if frozen.user_attrs.get(ROLE) != "reference"]
    for number, found in seen.items():
        before = [frozen for frozen in proposed if frozen.number < number]
        now = next(frozen for frozen in proposed if frozen.number == number)
        assert found == set(make().infer_relative_search_space(as_optuna_sees(before), now))
    assert list(seen) == list(range(1 + len(initial_params(CONDITIONAL)), 9))
    assert all(seen.values())


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    "sampler", [lambda: optuna.samplers.BruteForceSampler(seed=0), lambda: optuna.samplers.GridSampler(GRID, seed=0)]
)
def test_a_finite_space_is_walked_to_its_end(tmp_path: Path, sampler: Callable[[], Any], resumed: bool) -> None:
    """Every config of a finite space is tried once, and the study says that there is no other."""
    space = Estimator(SklearnElasticNet(), {name: Choice(*values) for name, values in GRID.items()})
    if resumed:
        study(tmp_path, space=space, sampler=sampler()).run(4, quiet=True)
    results = study(tmp_path, space=space, sampler=sampler()).run(30, quiet=True)
    configs = {tuple(trial.params[name] for name in GRID) for trial in finished(results) if trial.role != "reference"}
    assert configs == set(itertools.product(*GRID.values()))
    assert results.stopped == "all 6 configs of the space are evaluated"
    assert set(GRID) <= set(results.trials)


def test_a_grid_off_the_starts_is_walked_whole(tmp_path: Path) -> None:
    """A grid has its own points, however many starts came before, and ends the study."""
    sampler = optuna.samplers.GridSampler({"alpha": [0.5, 1.5], "l1_ratio": [0.3, 0.4, 0.5]}, seed=0)
    results = study(tmp_path, space=PLAIN, sampler=sampler).run(30, quiet=True)
    sampled = [(t.params["alpha"], t.params["l1_ratio"]) for t in finished(results) if not t.role]
    assert sorted(sampled) == sorted(itertools.product([0.5, 1.5], [0.3, 0.4, 0.5]))
    assert results.stopped == "the sampler has nothing left to propose"


def test_brute_force_goes_into_options(tmp_path: Path) -> None:
    """A conditional space is walked whole too: what an option holds counts below it."""
    penalty = Choice("l1", "l2", ElasticNet(Choice(0.3, 0.6)))
    space = Linear(penalty=penalty, lambda_=Axis(10), scale=Choice("standard", "none"))
    results = study(tmp_path, space=space, sampler=optuna.samplers.BruteForceSampler(seed=0)).run(40, quiet=True)
    assert len({trial.key for trial in finished(results) if trial.role != "reference"}) == 8
    assert results.stopped == "all 8 configs of the space are evaluated"


@pytest.mark.slow
def test_samplers_of_complete_trials_learn_from_pruned_ones(tmp_path: Path) -> None:
    """GPSampler, which never asks for pruned trials, leaves the region where all are pruned."""
    space = Estimator(SklearnElasticNet(), {"alpha": Float(1e-3, 1e6, log=True), "l1_ratio": Float(0.05, 0.95)})
    sampler = optuna.samplers.GPSampler(seed=0, n_startup_trials=3)
    results = study(tmp_path, space=space, sampler=sampler, prune=True).run(14, quiet=True)
    sampled = [trial for trial in finished(results) if not trial.role]
    assert "pruned" in {trial.state for trial in sampled}
    assert len({trial.key for trial in sampled}) == len(sampled)
    assert [trial.state for trial in sampled[-6:]].count("complete") >= 3
    stored = optuna.load_study(study_name="small", storage=study(tmp_path, space=space).store.optuna())
    assert len(stored.get_trials(states=[optuna.trial.TrialState.PRUNED])) == results.counts["pruned"]


def test_samplers_see_what_pruned_trials_would_have_scored(tmp_path: Path) -> None:
    """A pruned trial is complete to a sampler, with the score that complete ones make of it, also after a resume."""
    space = Estimator(SklearnElasticNet(), {"alpha": Float(1e-3, 1e6, log=True), "l1_ratio": Float(0.05, 0.95)})
    seen: list[dict[int, float]] = []

    class Watching(optuna.samplers.RandomSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            seen.append({one.number: one.value for one in complete})
            return {}

    for trials in (12, 13):
        results = study(tmp_path, space=space, sampler=Watching(seed=0), prune=True).run(trials, quiet=True)
    history = History(results.store, results.metric)
    for trial in finished(results)[:-1]:
        history.add(trial)
    pruned = {trial.number for trial in finished(results)[:-1] if trial.state == "pruned"}
    assert pruned
    assert history.expected.keys() == pruned
    assert {number: seen[-1][number] for number in pruned} == history.expected


@pytest.mark.slow
def test_samplers_see_what_is_on_its_way(tmp_path: Path) -> None:
    """A net that has passed a rung is complete to samplers before its end, not at the score that it has in the end."""
    space = Net(MLP(hidden=(4,)), lr=Float(1e-3, 1e-1, log=True), batch_size=8, early_stopping=t.FixedEpochs(40))
    seen: list[dict[int, float]] = []

    class Watching(optuna.samplers.RandomSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
            assert trial.number not in {one.number for one in complete}
            seen.append({one.number: one.value for one in complete})
            return {}

    results = study(tmp_path, space=space, sampler=Watching(seed=0), prune=True).run(60, quiet=True)
    ends = {one.number: one.point.val for one in finished(results) if one.state == "complete" and not one.role}
    assert any(value != ends.get(number, value) for shown in seen for number, value in shown.items())
    assert {number for shown in seen for number in shown} >= ends.keys() & set(range(20))
    assert all(seen[-1][number] == score for number, score in ends.items() if number < 20)


def test_a_sampler_under_other_names(tmp_path: Path) -> None:
    """A grid that lacks a parameter is told the names of all."""
    sampler = optuna.samplers.GridSampler({"params.alpha": [0.5, 1.5], "l1_ratio": [0.5]}, seed=0)
    with pytest.raises(InvalidInput, match=r"every parameter of the space \(alpha, l1_ratio\), GridSampler does not"):
        study(tmp_path, space=PLAIN, sampler=sampler).run(9, quiet=True)


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (PLAIN, ["alpha", "l1_ratio"]),
        (CONDITIONAL, ["penalty", "l1_ratio", "lambda"]),
        (Estimator(SklearnElasticNet(), {"max_iter": Int(5, 9)}), ["max_iter"]),
        (
            Linear(penalty=Choice(ElasticNet(), "adaptive_elastic_net")),
            ["penalty", "penalty.elastic_net.l1_ratio", "penalty.adaptive_elastic_net.l1_ratio", "gamma"],
        ),
    ],
)
def test_names(space: Any, names: list[str]) -> None:
    """Optuna knows a parameter by its column, and by the way to it where two options share one."""
    assert list(parameter_names(space).leaves.values()) == names
