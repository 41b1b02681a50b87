"""Where parameters lie in a row, and how a module becomes one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from regsearch import InvalidInput
from regsearch.models.neural import CNN, MLP
from regsearch.models.neural.architectures import Custom
from regsearch.models.neural.layout import ROLES, Layout
from regsearch.models.neural.network.hooks import HiddenHooks
from regsearch.models.neural.network.network import make_network
from regsearch.testing.nets import IMAGE

found = st.lists(
    st.tuples(st.lists(st.integers(1, 4), max_size=3).map(tuple), st.sampled_from(ROLES)), min_size=1, max_size=8
).map(lambda pairs: [(f"p{i}.weight", shape, role) for i, (shape, role) in enumerate(pairs)])


@given(found)
def test_a_row_holds_everything_once(params: list[tuple[str, tuple[int, ...], str]]) -> None:
    """Every entry of a row belongs to one parameter, roles lie side by side, and what is trained comes first."""
    layout = Layout(params)  # type: ignore[arg-type]
    row = torch.arange(float(layout.length))[None]
    views = layout.views(row)
    assert {name: tuple(view.shape[1:]) for name, view in views.items()} == {name: shape for name, shape, _ in params}
    assert sorted(torch.cat([view.flatten() for view in views.values()]).tolist()) == row[0].tolist()
    assert layout.trainable == sum(math.prod(shape) for _, shape, role in params if role != "buffer")
    for role in ROLES:
        part = layout.part(role)
        assert [param.name for param in part.params] == [name for name, _, its in params if its == role]
        assert len(list(part.views(row))) == (1 if part.params else 0)


@given(found, st.data())
def test_parts_are_views(params: list[tuple[str, tuple[int, ...], str]], data: st.DataObject) -> None:
    """Writing to the views of a part changes its parameters in the row, all of them and no others."""
    layout = Layout(params)  # type: ignore[arg-type]
    chosen = data.draw(st.sampled_from(params))
    row = torch.zeros(2, layout.length)
    if chosen[2] == "buffer":
        with pytest.raises(InvalidInput, match="must match a parameter"):
            layout.matching(chosen[0])
        return
    for view in layout.matching(chosen[0]).views(row):
        view.add_(1)
    assert row.sum() == 2 * math.prod(chosen[1])
    assert layout.views(row)[chosen[0]].all()


def test_patterns() -> None:
    """A pattern names parameters as a shell names files; one that names none is answered with what there is."""
    layout = make_network(MLP((4, 3)), (5,), 1, "batch_norm", 0, 0).layout
    assert [param.name for param in layout.matching("linear*.weight").params] == ["linear0.weight", "linear1.weight"]
    assert [param.name for param in layout.matching("norm[1].*").params][:2] == ["norm1.weight", "norm1.bias"]
    assert len(list(layout.matching("*0.weight").views(torch.zeros(1, layout.length)))) == 2
    with pytest.raises(InvalidInput, match=r"got 'hidden\*'; it has linear0.weight, .*norm1.bias\.$"):
        layout.matching("hidden*")


ARCHITECTURES = [
    (MLP((4, 3)), (5,), 3, ""), (MLP((4, 3), "gelu"), (5,), 1, "batch_norm"),
    (MLP((4,), "tanh"), IMAGE, 2, "layer_norm"),
    (CNN((3, 4)), IMAGE, 3, ""), (CNN((3,), 5, "silu"), IMAGE, 1, "batch_norm"), (CNN((3, 2)), IMAGE, 2, "layer_norm"),
    (CNN((3,), 2), IMAGE, 2, ""),
    (Custom(lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 4), nn.Dropout(0.2), nn.Linear(4, 2))), IMAGE, 2, ""),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "inputs", "outputs", "norm"), ARCHITECTURES)
def test_forward_is_the_module(architecture: object, inputs: tuple[int, ...], outputs: int, norm: str) -> None:
    """The forward pass of many rows is the plain module's, in training and in evaluation, row by row."""
    network = make_network(architecture, inputs, outputs, norm, 3, 1)  # type: ignore[arg-type]
    kernels = network.layout.part("kernel").params
    assert all(len(param.shape) > 1 for param in kernels)
    assert network.theta.dtype == torch.float64
    rows = 3 if architecture.stacks else 1  # type: ignore[attr-defined]
    theta = network.theta * torch.linspace(1, 2, rows, dtype=torch.float64)[:, None]
    x = torch.randn(1, 7, *inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    met: list[int] = []

    class Watch(HiddenHooks):
        def mask(self, shape: Sequence[int], index: int) -> None:
            met.append(index)

    for training in (True, False):
        before = theta.clone()
        with torch.no_grad():
            out = network.make_forward()(network.layout.views(theta), x, Watch(network.hidden_layers), training)
        assert out.shape == (rows, outputs, 7)
        for row in range(rows):
            plain = architecture.module(inputs, outputs, norm).double()  # type: ignore[attr-defined]
            values = {name: view[row].clone() for name, view in network.layout.views(before).items()}
            plain.load_state_dict(values, strict=False)
            for child in plain.modules():
                if isinstance(child, nn.Dropout):
                    child.p = 0.0
            plain.train(training)
            with torch.no_grad():
                torch.testing.assert_close(out[row].T, plain(x[0]), rtol=1e-10, atol=1e-10)
            after = network.layout.views(theta)
            for name, value in plain.state_dict().items():
                if value.is_floating_point():
                    torch.testing.assert_close(after[name][row], value, rtol=1e-10, atol=1e-10)
    assert met == [*range(len(network.hidden_layers))] * 2


def test_a_start_depends_on_seed_and_fold() -> None:
    """Where a net starts depends on the seed and the fold alone, and torch's own generator is left as it was."""
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, again, fold, seed = (
        make_network(MLP((4,)), (3,), 1, "", s, k).theta for s, k in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, fold)
    assert not torch.equal(first, seed)
