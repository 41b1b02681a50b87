"""Penalties that are functions of a parameter, as the field writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from regsearch import Choice, Float, InvalidInput, Net
from regsearch.export.code.nets import net_code
from regsearch.models.base import Candidate
from regsearch.models.neural import techniques as t
from regsearch.models.neural.training.segment import Segment
from regsearch.models.neural.training.stack import Stack
from regsearch.space.config import digest, from_toml, to_toml
from regsearch.space.params import flat
from regsearch.space.tree import Node
from regsearch.testing import check_technique
from regsearch.testing.nets import net, setup, train

pytestmark = pytest.mark.usefixtures("_registry")


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines is forgotten after it."""
    monkeypatch.setattr(Node, "registry", dict(Node.registry))


def column_norms(w: torch.Tensor) -> torch.Tensor:
    return w.norm(dim=0).sum()


def weights(config: Net) -> torch.Tensor:
    """Of a single row, after its epochs."""
    segment: Segment = train(setup("regression"), [config])
    return torch.from_numpy(segment.weights[-1, 0])


@pytest.mark.slow
@pytest.mark.parametrize("function", [column_norms])
def test_conforms(function: Callable[[Any], Any]) -> None:
    """What holds of every technique holds of one that a function makes: rows are of no matter to each other."""
    check_technique(type(t.function_penalty(function)))


def test_it_is_a_term_of_the_loss() -> None:
    """Half the squares are weight decay where an optimizer has no memory; beside Adam they are not."""
    half = t.function_penalty(lambda w: w.square().sum() / 2, 0.3)
    for optimizer, same in ((t.SGD(0.05, 0.0), True), (t.Adam(0.05), False)):
        ours, theirs = (weights(net(optimizer=optimizer, **one)) for one in ({"penalty": half}, {"weight_decay": 0.3}))
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12) == same
        assert not torch.allclose(ours, weights(net(optimizer=optimizer)), rtol=1e-3)


def test_it_has_the_strength_of_its_schedule() -> None:
    """Half the squares under a schedule are decay under the same where an optimizer has no memory."""
    half = t.function_penalty(lambda w: w.square().sum() / 2, 0.3)
    options: dict[str, Any] = {"optimizer": t.SGD(0.05, 0.0)}
    falls, decays = t.Fall(0.0), {"weight_decay": 0.3, "weight_decay_schedule": t.Fall(0.0)}
    scheduled = net(**options, penalty=half, penalty_schedule=falls)
    scheduled.check(setup("regression"))
    torch.testing.assert_close(weights(scheduled), weights(net(**options, **decays)), rtol=1e-10, atol=1e-12)
    assert not torch.allclose(weights(scheduled), weights(net(**options, penalty=half)), rtol=1e-3)


def test_it_acts_on_each_parameter_of_its_slot() -> None:
    """A function sees kernels as the module has them, biases in their own slot, those of a pattern alone."""
    seen: dict[str, set[tuple[int, ...]]] = {}

    def watched(slot: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def function(w: torch.Tensor) -> torch.Tensor:
            seen.setdefault(slot, set()).add(tuple(w.shape))
            return w.square().sum()

        return function

    weights(net(penalty={"linear0.weight": watched("pattern")}, bias_penalty=watched("biases")))
    weights(net(penalty=watched("kernels")))
    assert {len(shape) for shape in seen["kernels"]} == {2}
    assert {len(shape) for shape in seen["biases"]} == {1}
    assert len(seen["pattern"]) == 1 < len(seen["kernels"])


def test_functions_are_told_apart_by_their_content() -> None:
    """The same code with the same values is the same penalty, anything else another; files have it by its name."""

    def scaled(by: float) -> Callable[[Any], Any]:
        return lambda w: by * w.abs().sum()

    first, again, other = (t.function_penalty(scaled(by)) for by in (0.1, 0.1, 0.2))
    assert first == again
    assert first != other
    config = net(penalty=t.function_penalty(column_norms, 0.01))
    assert from_toml(to_toml(config)) == config
    assert digest(from_toml(to_toml(config))) == digest(config)
    assert str(flat(config)["penalty"]).startswith("column_norms_")
    assert flat(config)["lambda"] == 0.01


def test_a_choice_takes_functions() -> None:
    """A bare function is an option like any technique, with a lambda of 1."""
    space = Net(
        penalty=Choice(None, "l1", lambda w: 0.01 * w.abs().sum(), t.function_penalty(column_norms, Float(0, 1)))
    )
    nothing, l1, bare, searched = space.techniques["penalty"].options
    assert nothing is None
    assert l1 == t.L1Penalty()
    assert bare.lambda_ == 1.0
    assert searched.lambda_ == Float(0, 1)


def test_it_has_no_plain_code() -> None:
    """What a script defines is refused by name where a training loop is written, in a slot of the package's own too."""
    with pytest.raises(InvalidInput, match=r"has no lambda_\w+ \(penalty\); export the net"):
        net_code(net(penalty=lambda w: w.abs().sum()), setup("regression").problem, 0)


@pytest.mark.slow
def test_it_is_the_same_in_other_processes() -> None:
    """Nets that forked processes train beside others are those that this one trains, to the bit."""
    configs = [net(penalty=t.function_penalty(lambda w: w.norm(), one)) for one in (0.01, 0.1)] + [net()]
    found = []
    for n_jobs in (1, 2):
        source = (Candidate(i, config) for i, config in enumerate(configs))
        outcomes = sorted(Stack(replace(setup(), n_jobs=n_jobs)).stream(source), key=lambda one: one.number)
        assert {one.state for one in outcomes} == {"complete"}
        found.append([one.measures["weights/norm"] for one in outcomes])
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda w: w.abs(), "must make one number of linear0.weight"),
        (lambda w: np.abs(w).sum(), "in operations of torch that have a gradient"),
        (lambda w: 1.0, "in operations of torch"),
        (lambda a, b: a.sum(), "raises TypeError"),
    ],
)
def test_what_is_no_penalty_is_refused(function: Callable[..., Any], said: str) -> None:
    """A function that makes no differentiable number of a parameter is refused when the study is made, by its name."""
    with pytest.raises(InvalidInput, match=said) as caught:
        Net(penalty=function).check(setup("regression"))
    assert "<lambda>" in str(caught.value)
