"""Skip connections: what they add, what drops it, and where there can be none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regsearch import CNN, MLP, Choice, InvalidInput
from regsearch.models.neural import techniques as t
from regsearch.models.neural.columns import ActiveTechnique
from regsearch.models.neural.network.hooks import HiddenHooks
from regsearch.models.neural.network.skip import Skip
from regsearch.models.neural.network.streams import RandomStream
from regsearch.models.neural.technique import Columns, ProblemInfo
from regsearch.testing.nets import block, net, problem, setup, train

INFO = ProblemInfo("regression", 1, ("a", "b", "c"), (5,))


def test_a_skip_adds_what_comes_in() -> None:
    """What comes in is added, filled up by zeros or cut; of images it is pooled."""
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    for size in (2, 3, 5):
        layer = nn.Linear(3, size)
        added = Skip(layer)(x) - layer(x)
        torch.testing.assert_close(added[:, : min(size, 3)], x[:, : min(size, 3)])
        assert not (added[:, 3:].abs() > 1e-6).any()
    images = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    pooled = Skip(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2))
    torch.testing.assert_close((pooled(images) - pooled[1](pooled[0](images)))[:, :1], nn.MaxPool2d(2)(images))


def hooks(*rows: Any, samples: int = 4000) -> HiddenHooks:
    numbers = [one.numbers(INFO) for one in rows]
    v = Columns(**{name: torch.tensor([one[name] for one in numbers], dtype=torch.float64) for name in numbers[0]})
    key = ("skip", "", "it")
    stream = RandomStream(0, torch.float64, torch.device("cpu"))
    return HiddenHooks(INFO.hidden_layers, branches=[ActiveTechnique(key, type(rows[0]), v)], streams={key: stream})


@pytest.mark.parametrize("cls", [t.StochasticDepth, t.ShakeDrop])
def test_what_is_added_keeps_its_mean(cls: Any) -> None:
    """Rates rise evenly to the last layer; what is added is dropped whole and keeps its mean; off it is not touched."""
    at, made = torch.zeros(2, 4000, 3).double(), torch.ones(2, 4000, 3).double()
    of = hooks(cls(0.5), cls(0.0))
    for index, rate in ((1, 0.25), (2, 0.5)):
        added = of.added(at, made, index)
        assert torch.equal(added[1], made[1])
        assert (added[0] == added[0, :, :1]).all()
        whole = (added[0, :, 0] - 1 / (1 - rate)).abs() < 1e-9
        assert whole.double().mean() == pytest.approx(1 - rate, abs=0.04)
        assert added[0].mean() == pytest.approx(1.0, abs=0.06)


def test_a_shaken_branch_has_another_gradient() -> None:
    """What is shaken is multiplied by a number from [-1, 1] forward, and its gradient by another from [0, 1]."""
    made = torch.ones(1, 500, 1, dtype=torch.float64, requires_grad=True)
    added = hooks(t.ShakeDrop(0.8)).added(torch.zeros_like(made), made, 2)
    (gradient,) = torch.autograd.grad(added.sum(), made)
    forward, back = (values.detach().flatten() * 0.2 for values in (added, gradient))
    shaken = (forward - 1).abs() > 1e-9
    assert -1 <= forward.min() < -0.5
    assert 0 <= back.min() < 0.1
    assert torch.equal(shaken, (back - 1).abs() > 1e-9)
    assert abs(np.corrcoef(forward[shaken], back[shaken])[0, 1]) < 0.2


def test_both_passes_of_a_step_drop_the_same() -> None:
    """The second gradient of SAM is of the same branches and units: with a tiny rho it is the first."""
    of = setup("regression")
    options: dict[str, Any] = {"module": MLP((6, 6, 5)), "skip": t.ShakeDrop(0.5)}
    for more in ({}, {"dropout": 0.3}):
        plain, again = (train(of, [net(**options, **more, **sam)], 2) for sam in ({}, {"sam": 1e-9}))
        np.testing.assert_allclose(plain.weights, again.weights, atol=1e-6)


def test_rows_of_all_kinds_of_skips_train_together() -> None:
    """Skip connections that are dropped, shaken or left alone are one structure; without them is another."""
    module = MLP((6, 6, 5))
    made = block(
        setup(), [net(module, skip=one) for one in ("skip_connection", t.StochasticDepth(0.4), t.ShakeDrop(0.4))]
    )
    alone = [train(setup(), [net(module, skip=row)], 2) for row in ("skip_connection", t.StochasticDepth(0.4))]
    found = made.advance(2)
    for row, one in enumerate(alone):
        np.testing.assert_allclose(found.weights[:, row], one.weights[:, 0], atol=1e-12)
    with pytest.raises(ValueError, match="too many values"):
        block(setup(), [net(module), net(module, skip="skip_connection")])


@pytest.mark.parametrize(("module", "said"), [
    (MLP((6,)), r"two hidden layers at least, got hidden=\(6,\); add one"), (CNN((3,)), "got channels"),
    (CNN((3, 3), kernel=2), "odd kernel, got 2; use 3"), (lambda: nn.Linear(5, 1), "Your own module has its own"),
])  # fmt: skip
def test_where_there_can_be_none(module: Any, said: str) -> None:
    """Too few layers, even kernels and modules of one's own are refused before anything trains, with the fix."""
    of = setup(image=isinstance(module, CNN))
    with pytest.raises(InvalidInput, match=said):
        net(module, skip=Choice(None, "skip_connection")).check(of)


def test_a_bundle_knows_of_skips(tmp_path: Path) -> None:
    """A refitted net with skip connections is read back from its files and says the same."""
    from regsearch.models.neural.predictor import load_net

    made = problem("regression")
    fitted = net(MLP((6, 6)), skip=t.StochasticDepth(0.3), norm="batch_norm").refit(made, 0)
    fitted.ship(tmp_path)
    np.testing.assert_array_equal(load_net(tmp_path).predict(made.X), fitted.predict(made.X))
