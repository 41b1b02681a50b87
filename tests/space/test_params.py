"""Names of parameters: short where they are alone, and the same in every trial of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC
from strategies import configs, spaces

from regsearch import L1, Choice, ElasticNet, Estimator, Linear, Net
from regsearch import nn_techniques as t
from regsearch.space.fields import public_name
from regsearch.space.params import ParameterNames, flat
from regsearch.space.sampling import fill, random_params
from regsearch.space.tree import Leaf, Node, label


@dataclass(frozen=True)
class Bag(Node, abstract=True):
    """A node of this module's own: anything in two fields."""

    left: Any = 0
    right_: Any = 0


@dataclass(frozen=True)
class Deep(Node, abstract=True):
    left: Any = 0


def test_flat_names() -> None:
    """Names are short where they are alone and full where two values would share one; nodes show their kind."""
    assert flat(Linear(penalty=ElasticNet(0.3), lambda_=0.1, scale="none")) == {
        "penalty": "elastic_net",
        "l1_ratio": 0.3,
        "lambda": 0.1,
        "scale": "none",
    }
    assert flat(Bag(Deep(1), 2)) == {"left": "deep", "left.left": 1, "right": 2}
    assert flat(Bag({"a": 1, "b": {"a": 2}}, 3)) == {"left.a": 1, "left.b.a": 2, "right": 3}
    row = flat(Estimator(SVC(), {"C": 2.0}))
    assert row == {"estimator": "SVC", "C": 2.0}


@given(configs())
def test_flat_keeps_every_value(config: Any) -> None:
    """A row shows the numbers of every field, and no value hides another."""
    row = flat(config)
    for name, value in config.fields().items():
        if isinstance(value, Mapping):
            assert {label(option) for option in value.values()} <= set(row.values())
            continue
        if isinstance(value, Node) and not isinstance(value, Leaf):
            value = getattr(value, value.main) if value.main else value.kind  # noqa: PLW2901
        assert row.get(public_name(name)) == value  # what a config lacks may be left out


def test_neutral_values() -> None:
    """A row shows, for every field that a config may lack, the value at which it is off."""
    space = Linear(penalty=Choice("l1", "adaptive_lasso", "adaptive_elastic_net"))
    assert ParameterNames.of(space).offs == {"": {"lambda": 0.0, "gamma": 0.0}}
    assert ParameterNames.of(Linear()).offs == {"": {"lambda": 0.0}}
    assert ParameterNames.of(space).row(Linear(L1())) == {
        "penalty": "l1", "l1_ratio": 1.0, "scale": "standard", "lambda": 0.0, "gamma": 0.0,
    }  # fmt: skip


def test_an_ambiguous_name_is_whole_in_every_trial() -> None:
    """Two techniques with fields of one name keep them apart also in a trial that has one of them."""
    space = Net(
        penalty=Choice(None, t.L1Penalty()),
        activity_penalty=Choice(None, t.L2Penalty()),
        augment=Choice(None, t.Augment()),
    )
    names = ParameterNames.of(space, space.reference())
    one = names.row(Net(penalty=t.L1Penalty(0.1), activity_penalty=None, augment=None))
    assert {key: value for key, value in one.items() if "lambda" in key or "scale" in key} == {
        "scale": "standard", "penalty.lambda": 0.1, "activity_penalty.lambda": 0.0, "augment.scale": 0.0,
    }  # fmt: skip
    assert set(names.row(space.reference())) >= {"penalty.lambda", "activity_penalty.lambda"}


@given(space=spaces(), seeds=st.lists(st.integers(0, 2**31 - 1), min_size=2, max_size=5))
def test_a_name_means_one_thing(space: Any, seeds: list[int]) -> None:
    """In all configs of a study, a name is of one parameter, each parameter has one name, and no value is lost."""
    trees = [space, *([space.reference()] if hasattr(space, "reference") else [])]
    names = ParameterNames.of(*trees)
    assert len(set(names.names.values())) == len(names.names)
    for config in [*(fill(space, random_params(space, np.random.default_rng(seed))) for seed in seeds), *trees[1:]]:
        alone = flat(config)
        row = names.flat(config)
        assert list(map(repr, row.values())) == list(map(repr, alone.values()))
        assert set(row) <= set(names.names.values())
        for short, whole in zip(alone, row, strict=True):
            assert whole == short or whole.endswith(f".{short}")
