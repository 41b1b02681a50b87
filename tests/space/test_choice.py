"""Choices whose options have names of their own."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from samples import finished, regression, study
from sklearn.svm import SVC

from regsearch import Choice, ElasticNet, Estimator, Float, InvalidInput, Linear, NotFound
from regsearch.space.config import from_toml, to_data, to_toml
from regsearch.space.params import parameter_names
from regsearch.space.placing import params_for
from regsearch.space.sampling import fill


def ranges(**more: object) -> Linear:
    sparse, dense = ElasticNet(Float(0.8, 1.0)), ElasticNet(Float(0.01, 0.2))
    return Linear(Choice("l2", sparse=sparse, dense=dense, **more), lambda_=Float(1e-3, 1.0, log=True))


def test_two_options_of_one_kind(tmp_path: Path) -> None:
    """Options of one kind differ by name: each has its own range, in trials, in a file, and for a start."""
    space = ranges(start="dense")
    assert from_toml(to_toml(space)) == space
    assert space.penalty.first == ElasticNet(Float(0.01, 0.2))
    results = study(tmp_path, space=space).run(12, quiet=True)
    drawn = [
        (trial.draws["penalty"], trial.params["l1_ratio"]) for trial in finished(results) if trial.role != "reference"
    ]
    assert {name for name, _ in drawn} == {"l2", "sparse", "dense"}
    within = {"l2": (0.0, 0.0), "sparse": (0.8, 1.0), "dense": (0.01, 0.2)}
    assert all(within[name][0] <= ratio <= within[name][1] for name, ratio in drawn)
    placed = params_for(space, to_data(Linear(ElasticNet(0.9), lambda_=0.1)), None, "a config")
    assert (placed["penalty"], placed["penalty.sparse.l1_ratio"]) == ("sparse", 0.9)


def test_what_a_trial_does_not_have_is_not_shown(tmp_path: Path) -> None:
    """What is printed of a trial are parameters of its own, not the neutral value of another option's."""
    space = Linear(Choice("l2", ElasticNet(Float(0.1, 0.9)), "adaptive_lasso"), lambda_=Float(1e-3, 1.0, log=True))
    results = study(tmp_path, space=space).run(8, quiet=True)
    own = {"l2": set(), "elastic_net": {"l1_ratio"}, "adaptive_lasso": {"gamma"}, "none": set()}
    best = results.top(8)
    assert {one.params["penalty"] for one in best} == {*own}
    for one in best:
        assert {*one.settings} == {"penalty", "lambda", *own[one.params["penalty"]]}
        assert {*one.params} == {*one.row()["config"]} == {*one.settings, "scale"}
    table = results.trials.set_index("penalty")[["l1_ratio", "gamma"]].notna()
    assert all({name for name in row.index if row[name]} == own[kind] for kind, row in table.iterrows())
    assert all({"gamma", "l1_ratio"} <= {*trial.params} for trial in finished(results))  # of figures that compare them


def test_names_that_others_give() -> None:
    """A list in place of options, and what penalties are called elsewhere, are told at once, with what to write."""
    with pytest.raises(InvalidInput, match=re.escape("write Choice('l1', 'l2')")):
        Choice(["l1", "l2"])
    assert Choice([64, 64]).options == ([64, 64],)
    with pytest.raises(NotFound, match="did you mean 'l1'"):
        Linear("lasso")
    with pytest.raises(InvalidInput, match="give them names"):
        Choice(ElasticNet(Float(0.8, 1.0)), ElasticNet(Float(0.01, 0.2)))


def test_what_a_storage_gives_back_stands_for_its_option() -> None:
    """Every option is found by its label, read from JSON, that too which is not a number."""
    choice = Choice(math.nan, math.inf, -1.0, 1, "nan?", None, False, (8, 8), low=Float(0, 1))
    for label, option in choice.labelled:
        assert choice.stored(json.loads(json.dumps(label))) is option
    with pytest.raises(InvalidInput, match="more than once"):
        Choice(math.nan, np.nan)


def test_weights_of_classes_by_number(tmp_path: Path) -> None:
    """A parameter that is the weight of a class has the name of what weighs in front, in a whole study."""
    space = Estimator(SVC(), {"class_weight": Choice({0: 1, 1: Float(1.0, 20.0)}, None)})
    assert set(parameter_names(space).leaves.values()) == {"class_weight", "class_weight.1"}
    label = space.params["class_weight"].labels[0]
    config = fill(space, {"class_weight": label, "class_weight.1": 5.0})
    assert config.build().class_weight == {0: 1, 1: 5.0}
    X, _ = regression()
    results = study(tmp_path, space=space, data=(X, (X[:, 0] > 0).astype(int)), scoring="accuracy").run(5, quiet=True)
    assert {trial.state for trial in results.all} <= {"complete", "pruned"}
    assert all(map(str, results.advice))
    assert {"class_weight.0", "class_weight.1"} <= {*results.trials.columns}
