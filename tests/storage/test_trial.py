"""The record of a trial: made from an outcome, it is the same read back, whatever Optuna keeps it in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from nets import PRUNED_AT, Dial
from samples import study

from regsearch import Choice, Linear
from regsearch import Path as Axis
from regsearch.models.base import Candidate, Outcome
from regsearch.models.path import Curves, Trajectory
from regsearch.space.params import parameter_names
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.trial import INTERRUPTED, Trial
from regsearch.study.history import History
from regsearch.study.limits import Limits
from regsearch.study.loop import SearchLoop

NAMES = parameter_names(Linear(Choice("l1", "adaptive_lasso")))  # gamma is neutral at 0


def outcome(state: str = "complete", number: int = 0) -> Outcome:
    """An outcome of a lambda path of five steps and three folds, the third step chosen."""
    rng = np.random.default_rng(number)
    curves = {name: Curves(rng.normal(size=(3, 5)), rng.normal(size=(3, 5))) for name in ("r2", "mae")}
    trajectory = Trajectory(np.geomspace(1, 1e-2, 5), curves, rng.integers(1, 9, (3, 5)).astype(float))
    candidate = Candidate(number, Linear("l1", Axis(5)), "start")
    return Outcome(candidate, state, trajectory, 2, seconds=0.25, measures={"norm": 2.0}, reason="")  # type: ignore[arg-type]


def opened(root: Path) -> OptunaStudy:
    one = study(root)
    one.store.prepare()
    return OptunaStudy.open(one.store, one._identity())


@pytest.mark.parametrize("state", ["complete", "pruned", "failed"])
def test_what_is_told_is_read_back(tmp_path: Path, state: str) -> None:
    """A trial that was told comes back as it was, in this process and in another."""
    kept = opened(tmp_path)
    asked = kept.ask(optuna.samplers.RandomSampler(0))
    asked.suggest_float("gamma", 0.5, 2.0)
    trial = Trial.from_outcome(outcome(state), asked.params, NAMES, start_ms=5, end_ms=9)
    kept.tell(trial, reached=15)
    (here,) = kept.trials()
    (again,) = opened(tmp_path).trials()
    assert here == again == trial
    assert json.loads(json.dumps(trial.to_attribute()))["key"] == trial.key
    assert kept.in_flight == 0


def test_a_trial_is_its_outcome_at_the_chosen_step() -> None:
    """Scores, complexity and params of a trial are those of the outcome's chosen step; what it lacks is neutral."""
    one = outcome()
    trial = Trial.from_outcome(one, {}, NAMES, 0, 0)
    lambda_ = float(one.trajectory.axis[2])
    assert (trial.metric, trial.point) == ("r2", one.trajectory.curves["r2"].point(2))
    assert trial.points["mae"] == one.trajectory.curves["mae"].point(2)
    assert trial.complexity == one.trajectory.complexity[:, 2].mean()
    assert (trial.value, trial.params["lambda"], trial.params["gamma"]) == (lambda_, lambda_, 0.0)
    assert (trial.step, trial.steps, trial.role) == (2, 5, "start")


def test_at_another_step_every_figure_is_that_steps() -> None:
    """A trial that stands elsewhere on its path has the figures of that step, and none that its own step alone has."""
    one = outcome()
    trial = Trial.from_outcome(one, {}, NAMES, 0, 0)
    there = trial.at(4, one.trajectory)
    assert there.point == one.trajectory.deciding.point(4)
    assert there.complexity == one.trajectory.complexity_at(4)
    assert there.value == there.params["lambda"] == one.trajectory.value(4)
    assert (there.measures, there.test, there.test_parts) == ({}, {}, ())
    assert trial.at(2, one.trajectory) is trial
    assert (there.key, there.config, there.number) == (trial.key, trial.config, trial.number)


def test_what_never_finished_says_so(tmp_path: Path) -> None:
    """A trial in flight has its state, role and draws; one that is given back waits under its number."""
    kept = opened(tmp_path)
    kept.enqueue("start", {"gamma": 1.5})
    asked = kept.ask(optuna.samplers.RandomSampler(0))
    assert asked.suggest_float("gamma", 0.5, 2.0) == 1.5
    kept.ask(optuna.samplers.RandomSampler(0))
    first, second = kept.trials()
    assert (first.state, first.role, first.draws, first.config, first.reason) == (
        "running", "start", {"gamma": 1.5}, None, INTERRUPTED,
    )  # fmt: skip
    assert kept.in_flight == 2
    kept.give_back(lambda params: False)
    assert [trial.state for trial in kept.trials()] == ["waiting", "interrupted"]
    assert kept.in_flight == 0
    assert second.number == 1


def test_a_search_reads_what_it_wrote(tmp_path: Path) -> None:
    """Every trial of a search, pruned ones too, is read back as the search made it."""
    made: list[Trial] = []
    one = study(tmp_path, space=Dial())
    one.store.prepare()
    kept = OptunaStudy.open(one.store, one._identity())
    history = History(one.store, one.setup.metrics[0].name)
    SearchLoop(one.setup, one.space, kept, one.store, history, None, lambda trial, _: made.append(trial)).run(
        Limits(10)
    )
    assert {trial.state for trial in made} == {"complete", "pruned"}
    assert {trial.steps for trial in made if trial.state == "pruned"} == {PRUNED_AT}
    assert [repr(vars(trial)) for trial in one.results().all] == [repr(vars(trial)) for trial in made]


def test_a_finished_trial_is_read_once(tmp_path: Path) -> None:
    """What is stored of a finished trial is read once, and again when it was evaluated again."""
    one = study(tmp_path)
    one.run(3, quiet=True)
    with OptunaStudy.load(one.store) as kept:
        first = kept.trials()[:3]
        assert all(again is trial for again, trial in zip(kept.trials(), first, strict=False))
        kept.tell_again(replace(first[1], reason="once more"))
        now = kept.trials()[:3]
        assert [trial.reason for trial in now] == ["", "once more", ""]
        assert now[0] is first[0]
        assert kept.trials()[1] is now[1]
