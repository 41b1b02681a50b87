"""Spaces: what leaves and fields admit, and every way to walk a tree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC
from strategies import LEAVES, configs, spaces

from regsearch import L1, L2, AdaptiveLasso, Choice, ElasticNet, Estimator, Float, Int, InvalidInput, Linear, NotFound
from regsearch.space.config import digest
from regsearch.space.domains import Between, Family, PathField
from regsearch.space.fields import public_name
from regsearch.space.path import Path
from regsearch.space.registry import kind, registered
from regsearch.space.sampling import check_searched, default, distinct, fill, leaves, sample, size
from regsearch.space.starts import initial_params
from regsearch.space.tree import Leaf, Node, label, number, tunable


@dataclass(frozen=True)
class Bag(Node, abstract=True):
    """A node of this module's own: anything in two fields."""

    left: Any = 0
    right_: Any = 0


@dataclass(frozen=True)
class Deep(Node, abstract=True):
    left: Any = 0


def random_config(space: Any, seed: int) -> tuple[Any, dict[str, Any]]:
    """What a real Optuna trial makes of a space, and the parameters that it stored."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    config = sample(space, trial)
    study.tell(trial, 0.0)
    return config, study.trials[0].params


# --- leaves ----------------------------------------------------------------------------------------------------


def test_a_config_is_the_same_read_again() -> None:
    """A real number that was given as a whole one is the same config as asked for, and as read from a storage."""
    space = Bag(Float(0, 10, start=1), Float(1, 1000, log=True))
    starts = initial_params(space)
    assert {type(value) for params in starts for value in params.values()} == {float}
    for params in (*starts, {"left": 2, "right": 3}):
        study = optuna.create_study()
        study.enqueue_trial(params)
        asked = sample(space, study.ask())
        assert digest(asked) == digest(fill(space, study.trials[0].params)) == digest(Bag(*map(float, params.values())))


def test_a_leaf_in_a_list_is_refused() -> None:
    """A leaf that nothing would draw, as it is part of a list, is refused with the way to it."""
    for value in ((Int(2, 8), 8), Choice((8,), [(Int(2, 8),), 3])):
        with pytest.raises(InvalidInput, match=r"whole value of a parameter, got .*Int\(low=2, high=8.* for left"):
            check_searched(Bag(value, Float(0, 1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(2, 1), "low < high"),
        (lambda: Float(1, 1), "low < high"),
        (lambda: Float("a", 1), "two finite numbers"),
        (lambda: Float(None, 1), "two finite numbers"),
        (lambda: Float(False, True), "two finite numbers"),
        (lambda: Float(math.nan, 1), "two finite numbers"),
        (lambda: Float(0, math.inf), "two finite numbers"),
        (lambda: Float(0, 1, log=True), "low > 0"),
        (lambda: Float(-1, 1, log=True), "low > 0"),
        (lambda: Int(5, 2), "low < high"),
        (lambda: Int(0.5, 2), "whole bounds.*Float"),
        (lambda: Int(1.0, 2), "whole bounds.*Float"),
        (lambda: Int(0, 2, log=True), "low > 0"),
        (lambda: Float(0, 1, start=2), "must start between 0 and 1, got 2"),
        (lambda: Float(0, 1, start="a"), "must start between"),
        (lambda: Float(0, 1, start=math.nan), "must start between"),
        (lambda: Int(0, 5, start=1.5), "whole start"),
        (lambda: Choice("a", None, start="b"), "one of its options .a, None., got 'b'"),
        (Choice, "at least one option"),
        (lambda: Choice("a", "b", "a"), "differ by name, got a"),
        (lambda: Choice(1, True), "differ by name"),
        (lambda: Choice(ElasticNet(0.1), ElasticNet(0.2)), "differ by name, got elastic_net"),
        (lambda: Linear(penalty=Choice("l1", L1())), "differ by name, got l1"),
        (lambda: Path(1), "at least 2 points"),
        (lambda: Path(2.5), "at least 2 points"),
        (lambda: Path(ratio=0), "between 0 and 1"),
        (lambda: Path(ratio=1), "between 0 and 1"),
        (lambda: Path(ratio="small"), "between 0 and 1"),
    ],
)
def test_leaves_refuse(make: Callable[[], Leaf], message: str) -> None:
    """A leaf that no value can be drawn from is refused where it is written, in one sentence with the fix."""
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    text = str(caught.value)
    assert text.endswith(".")
    assert ";" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ElasticNet(1.5), r"l1_ratio=...\) must lie in \[0, 1\], got 1.5"),
        (lambda: ElasticNet(Float(0.5, 2)), r"must lie in \[0, 1\]"),
        (lambda: ElasticNet(Choice(0.5, 2.0)), r"must lie in \[0, 1\]"),
        (lambda: ElasticNet("half"), "must be a number"),
        (lambda: ElasticNet(math.nan), "must be a number"),
        (lambda: ElasticNet(Path()), "must be a number"),
        (lambda: Linear(lambda_=-1), "lambda=...\\) must lie in"),
        (lambda: Linear(lambda_=Float(-1, 1)), "lambda=...\\) must lie in"),
        (lambda: Linear(lambda_=Choice(0.1, "big")), "must be a number"),
        (lambda: Linear(scale="standart"), "one of standard, minmax, robust, none, got 'standart'"),
        (lambda: Linear(scale=Choice("standard", "max")), "got 'max'"),
        (lambda: Linear(scale=Float(0, 1)), "one of standard"),
        (lambda: Linear(penalty=3), "must be a Penalty.*known names:.*adaptive_lasso"),
        (lambda: Linear(penalty=Linear()), "must be a Penalty"),
        (lambda: Linear(penalty=["l1", "l2"]), r"Choice\('l1', 'l2'\) searches over several"),
        (lambda: check_searched(Estimator(SVC(), {"C": [1, 10]})), r"one value of C: Choice\(1, 10\) searches"),
    ],
)
def test_fields_refuse(make: Callable[[], Node], message: str) -> None:
    """A field takes values of its domain and leaves inside it, and names itself when it refuses."""
    with pytest.raises(InvalidInput, match=message):
        make()


def test_unknown_names() -> None:
    """A name that is not registered is answered with those that are."""
    with pytest.raises(NotFound, match=r"No penalty is called 'l3'; known: .*elastic_net"):
        Linear(penalty="l3")
    with pytest.raises(NotFound, match="No penalty is called 'linear'"):
        kind("linear", type(L1()).__mro__[1])


def test_names_stand_for_nodes() -> None:
    """A kind, as a string, is the node with its defaults, also below a choice."""
    assert Linear(penalty=Choice("l1", "elastic_net")) == Linear(penalty=Choice(L1(), ElasticNet()))
    assert label(ElasticNet(0.3)) == "elastic_net"
    assert label(SVC) == "sklearn.svm._classes.SVC"
    assert public_name("lambda_") == "lambda"


@given(leaf=st.one_of(*LEAVES.values()), seed=st.integers(0, 2**31 - 1))
def test_leaf_draws_inside(leaf: Leaf, seed: int) -> None:
    """What a leaf draws, and its usual value, lie inside it."""
    config, _ = random_config(Bag(leaf), seed)
    for value in (config.left, default(Bag(leaf)).left):
        if isinstance(leaf, Choice):
            assert any(value is option or value == option for option in leaf.options)
        elif isinstance(leaf, Path):
            assert value == leaf
        else:
            assert isinstance(value, int if isinstance(leaf, Int) else float)
            assert isinstance(leaf, Float | Int)
            assert leaf.low <= value <= leaf.high


# --- walking ---------------------------------------------------------------------------------------------------


@given(space=spaces(), seed=st.integers(0, 2**31 - 1))
def test_fill_gives_what_was_sampled(space: Any, seed: int) -> None:
    """The stored parameters of an Optuna trial give its config back, and a config has no leaf but paths."""
    config, params = random_config(space, seed)
    assert fill(space, params) == config
    assert type(config) is type(space)
    assert all(isinstance(leaf, Path) for leaf in leaves(config))


@given(config=configs(), seed=st.integers(0, 2**31 - 1))
def test_config_is_a_space_of_one(config: Any, seed: int) -> None:
    """A config stands for itself: nothing is drawn, nothing is counted, every walk gives it back."""
    assert random_config(config, seed) == (config, {})
    assert default(config) == config
    assert fill(config, {}) == config
    assert initial_params(config) == [{}]
    assert size(config) == 1


def test_fill_names_what_is_missing() -> None:
    """A parameter that is not stored is named, with those that are."""
    with pytest.raises(NotFound, match=r"'l1_ratio' is not stored; known: penalty"):
        fill(Linear(penalty=Choice("elastic_net")), {"penalty": "elastic_net"})


def test_size() -> None:
    """Sizes multiply over fields, add over options, and have no end with a Float."""
    assert size(Linear(penalty=Choice("l1", "l2"), scale=Choice("standard", "none"))) == 4
    assert size(Linear(penalty=Choice("l1", AdaptiveLasso(Choice(0.5, 1.0, 2.0))))) == 4
    assert size(Linear(lambda_=Float(0, 1))) is None
    assert size(Linear(penalty=Choice("l1", "elastic_net"))) is None
    assert size(Bag(Int(1, 10), Choice(None, 1))) == 20
    assert size(Estimator(SVC(), {"kernel": Choice("rbf", "linear"), "degree": Int(2, 4)})) == 6


@given(space=st.builds(Bag, LEAVES["choice"] | st.builds(Int, st.just(0), st.integers(1, 5)), LEAVES["choice"]))
def test_size_counts_configs(space: Bag) -> None:
    """A finite size is the number of configs that can be listed, those that differ are counted by what they are."""
    counts = [
        list(range(leaf.low, leaf.high + 1)) if isinstance(leaf, Int) else list(leaf.options)
        for leaf in (space.left, space.right_)
    ]
    assert size(space) == len(counts[0]) * len(counts[1])
    assert distinct(space, 1000) == len({digest(Bag(*both)) for both in itertools.product(*counts)})
    twice = Choice(one=space, other=space, third=Choice(space))
    assert (size(twice), distinct(Bag(twice), 1000)) == (3 * size(space), distinct(space, 1000))
    assert distinct(Bag(twice), 1) == 3 * size(space)


def test_leaves_lists_all() -> None:
    """Leaves below options, fields and mappings are all found."""
    gamma, c = Float(0.5, 1), Float(1, 2)
    penalty = Choice(L1(), AdaptiveLasso(gamma))
    assert list(leaves(Linear(penalty=penalty, lambda_=0.1))) == [penalty, gamma]
    assert list(leaves(Estimator(SVC(), {"C": c, "degree": 2}))) == [c]


@pytest.mark.parametrize("value", [Float(0, 1), None, "1", True, math.inf])
def test_number_needs_a_config(value: Any) -> None:
    """A leaf where a config needs a number is refused with the fix."""
    with pytest.raises(InvalidInput, match="fill the space first"):
        number(value)
    assert number(2) == 2.0


def test_kinds_are_snake_case() -> None:
    """A class is registered by the snake-case form of its name, abstract classes not at all."""
    assert registered()["adaptive_elastic_net"].__name__ == "AdaptiveElasticNet"
    assert Bag.kind == "bag"
    assert not {"bag", "node", "leaf", "penalty", "model"} & set(registered())


def test_domains() -> None:
    """Integers are numbers wherever a number is admitted, and an Int is a range."""
    assert Between(0, 10).admit(Int(1, 3), "here") == Int(1, 3)
    assert PathField(0.0).admit(1, "here") == 1
    assert Family(L2).admit("l2", "here") == L2()
    assert tunable(Between(0, 1), 0.5, off=0.0).metadata["off"] == 0.0


def test_numpy_numbers_are_numbers() -> None:
    """Bounds and values that numpy computed are as good as Python's."""
    assert Float(np.float64(0.1), np.float32(1.0)).high == 1.0
    assert Int(np.int64(1), np.int32(5)) == Int(1, 5)
    assert ElasticNet(np.float32(0.5)).l1_ratio == 0.5
