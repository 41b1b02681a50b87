"""Configs as rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from regsearch import MLP, Choice, Estimator, Float, Int, Linear, Net, spaces
from regsearch import nn_techniques as t
from regsearch.space.levels import Levels
from regsearch.space.sampling import fill, random_params
from regsearch.space.tree import Leaf
from regsearch.study.proposals.vectors import NEUTRAL, Vectors

SPACES: dict[str, Any] = {
    "mlp": spaces.mlp(),
    "linear": spaces.linear(),
    "whole": Net(MLP(hidden=Choice((8,), (16,))), batch_size=Int(8, 64, log=True), dropout=Float(0.0, 0.5)),
    "neighbours": Estimator(Ridge(), {"alpha": Float(1e-3, float(np.nextafter(1e-3, 1)), log=True)}),
    "nested": Net(penalty=Choice(None, t.L1Penalty(Choice(1e-3, 1e-2)), t.ElasticNetPenalty())),
}


def vectors(space: Any) -> Vectors:
    found = Vectors.of(space)
    assert found is not None
    return found


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(seed=st.integers(0, 2**32 - 1))
def test_rows_are_configs(space: Any, seed: int) -> None:
    """Parameters come back from their row, and those alone that the config has."""
    params = random_params(space, np.random.default_rng(seed))
    found = vectors(space)
    again = found.params(found.row(params))
    assert again.keys() == params.keys()
    for name, value in params.items():
        assert again[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_drawn_is_in_the_space(space: Any, seed: int) -> None:
    """Rows at random, and rows near others, are configs of the space, each number within its range."""
    found, random = vectors(space), np.random.default_rng(seed)
    base = np.array([found.row(random_params(space, random)) for _ in range(3)])
    for row in np.concatenate([found.draw(random, 5), found.draw_near(base, random, 5, 0.5)]):
        params = found.params(row)
        fill(space, params)
        for column in found.columns:
            if column.name in params and not isinstance(column.leaf, Choice):
                assert column.leaf.low <= params[column.name] <= column.leaf.high


@given(seed=st.integers(0, 2**32 - 1))
def test_what_has_no_effect_is_neutral(seed: int) -> None:
    """Configs with the same parameters have the same features, whatever stands in their rows for what they lack."""
    found, random = vectors(SPACES["mlp"]), np.random.default_rng(seed)
    rows = found.draw(random, 4)
    active = found.active(rows)
    other = np.where(active, rows, found.draw(random, 4))
    assert np.array_equal(found.features(rows), found.features(np.where(active, rows, other)))
    place = next(i for i, column in enumerate(found.columns) if column.name == "l1_ratio")
    numbers = found.features(rows)[:, int(np.maximum(found.options[:place], 1).sum())]
    assert np.all(numbers[~active[:, place]] == NEUTRAL)


def test_leaves_of_ones_own_have_no_vectors() -> None:
    """A space with a leaf of a kind that is not known has none."""

    @dataclass(frozen=True)
    class Powers(Leaf):
        def draw(self, trial: Any, name: str) -> Any:
            return 2 ** trial.suggest_int(name, 0, 3)

        def levels(self, said: Levels | None = None) -> Levels:
            return Levels(1, 1, 1)

        def random(self, generator: np.random.Generator) -> Any:
            return 1

        def count(self) -> int | None:
            return 4

    assert Vectors.of(Estimator(Ridge(), {"alpha": Powers()})) is None
    assert vectors(Linear(penalty=Choice("l1", "l2"))).numbers == 0
