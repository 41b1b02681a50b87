"""A stored config as a point of a space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import SVC
from strategies import spaces

from regsearch import L1, Choice, ElasticNet, Estimator, Float, Int, InvalidInput, Linear, Net, Path
from regsearch.space.config import digest, to_data
from regsearch.space.placing import params_for
from regsearch.space.sampling import fill, random_params

MACHINE = SVC()


@given(spaces(), st.integers(0, 2**31 - 1))
def test_what_a_space_gives_lies_in_it(space: Any, seed: int) -> None:
    """Every config of a space has its place there: the parameters that are found give it again."""
    config = fill(space, random_params(space, np.random.default_rng(seed)))
    assert fill(space, params_for(space, to_data(config), None, "it")) == config


@pytest.mark.parametrize(
    ("space", "config"),
    [
        (Linear(L1(), Choice(Float(0.1, 1.0), 0.0)), Linear(L1(), 0.0)),
        (Linear(L1(), Choice(Path(5), 0.0)), Linear(L1(), 0.0)),
        (Linear(class_weight=Choice(None, "balanced", {"a": 2.0})), Linear(class_weight={"a": 2.0})),
        (Linear(L1(), Choice(Float(0.1, 1.0), 0.0)), Linear(L1(), 0.5)),
        (Linear(ElasticNet(Choice(Float(0.1, 0.3), 0.5, 0.9)), 0.1), Linear(ElasticNet(0.9), 0.1)),
        (Net(batch_size=Choice(Int(8, 16), "auto")), Net(batch_size="auto")),
        (Net(batch_size=Choice(Int(8, 16), 64)), Net(batch_size=64)),
        (Net(dropout=Choice(Float(0.1, 0.5), None)), Net(dropout=None)),
        (
            Estimator(MACHINE, {"gamma": Choice(Float(0.1, 1.0), "scale", "auto")}),
            Estimator(MACHINE, {"gamma": "auto"}),
        ),
        (Estimator(MACHINE, {"C": Choice(Choice(Float(0.1, 1.0), 2.0), 3.0)}), Estimator(MACHINE, {"C": 2.0})),
        (Estimator(MACHINE, {"C": Choice(1, Float(0.1, 1.0))}), Estimator(MACHINE, {"C": 1.0})),
        (
            Estimator(MACHINE, {"class_weight": {0: 1.0, 1: Float(1.0, 20.0)}}),
            Estimator(MACHINE, {"class_weight": {0: 1.0, 1: 3.0}}),
        ),
        (
            Estimator(MACHINE, {"C": Choice(np.nan, 2.0), "tol": np.nan}),
            Estimator(MACHINE, {"C": np.nan, "tol": np.nan}),
        ),
    ],
)
def test_a_range_before_a_plain_option(space: Any, config: Any) -> None:
    """The option that holds a value is found wherever it stands among the options."""
    found = fill(space, params_for(space, to_data(config), None, "it"))
    assert found == config
    assert digest(found) == digest(config)


def test_what_no_option_holds() -> None:
    """Where no option holds it, what is said is of the option of its kind."""
    space = Linear(Choice("l2", ElasticNet(Float(0.1, 0.5))), 0.1)
    with pytest.raises(InvalidInput, match=r"penalty.elastic_net.l1_ratio is 0.9, the space has 0.1 to 0.5"):
        params_for(space, to_data(Linear(ElasticNet(0.9), 0.1)), None, "it")
    with pytest.raises(InvalidInput, match="penalty is l1, the space has l2 or elastic_net"):
        params_for(space, to_data(Linear("l1", 0.1)), None, "it")
