"""Updates in one pass: they are torch's operations, but for rounding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_wine

from regsearch import MLP, Net, nn_techniques
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.neural import one_pass
from regsearch.models.neural.dropout_masks import mask
from regsearch.models.neural.network.layers import relu_mlp
from regsearch.models.neural.network.streams import EpochGroup, RandomStream, RandomStreams
from regsearch.models.neural.penalty import Proximal
from regsearch.models.neural.technique import Columns
from regsearch.models.neural.techniques import Adam
from regsearch.models.neural.training.stack import Stack

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

PRECISIONS = st.sampled_from(["float32", "float64"])
ROWS, LENGTH, LONGER = 3, 37, 41  # a part of each row is updated: what lies behind it must stay


def both_ways(work: Callable[[], Any]) -> tuple[Any, Any]:
    """What a function makes, and what it makes where numba is not installed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(one_pass, "_has_numba", lambda: False)
        other = work()
    return work(), other


def drawn(seed: int, precision: str) -> Any:
    random = np.random.default_rng(seed)
    return lambda *shape: torch.tensor(random.normal(size=shape), dtype=getattr(torch, precision))


def near(one: Any, other: Any) -> bool:
    """Alike to some units in the last place, and alike where they are no numbers."""
    tolerance = 16 * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


@given(seed=st.integers(0, 99), precision=PRECISIONS, by_row=st.booleans())
def test_a_step_of_adam_is_that_of_torchs_operations(seed: int, precision: str, by_row: bool) -> None:
    """Rows, moments and rates after three steps agree, whether or not rows have made as many steps."""

    def stepped() -> list[Any]:
        draw = drawn(seed, precision)
        whole = draw(ROWS, LONGER)
        theta, v = whole[:, :LENGTH], Columns()
        Adam.init_state(v, theta)
        for step in range(1, 4):
            count = torch.tensor([[1.0], [5.0], [900.0]], dtype=whole.dtype) + step if by_row else float(step)
            rate = Adam.step(v, theta, draw(ROWS, LENGTH), draw(ROWS, 1).abs() / 100, count)
        return [whole, v.first, v.second, rate]

    assert all(near(one, other) for one, other in zip(*both_ways(stepped), strict=True))


@given(seed=st.integers(0, 99), precision=PRECISIONS, one_rate=st.booleans())
def test_a_penalty_shrinks_as_torchs_operations_do(seed: int, precision: str, one_rate: bool) -> None:
    """Zeros are the same, what is not a number stays none, a row without penalty keeps its bits, others' parts too."""
    draw = drawn(seed, precision)
    before, rate = draw(ROWS, LONGER) / 10, draw(ROWS, LENGTH).abs() + 0.1
    rate = rate[:, :1].expand(ROWS, LENGTH) if one_rate else rate  # as optimizers without moments have it
    before[1, 5] = torch.nan
    before[2, 6] = rate[2, 6] / 100  # small enough for a zero
    strengths = torch.tensor([0.0, 0.05, 0.2], dtype=before.dtype)
    part = SimpleNamespace(views=lambda rows: (rows[:, 5:20],))
    v = Columns(l1=strengths, l2=10 * strengths, on=SimpleNamespace(l1=True, l2=True), part=part)

    def shrunk() -> Any:
        rows = before.clone()
        Proximal.on_stepped(v, rows[:, :LENGTH], rate)
        return rows

    one, other = both_ways(shrunk)
    assert near(one, other)
    assert torch.equal(one == 0, other == 0)
    assert one[2, 6] == 0
    assert one[1, 5].isnan()
    assert torch.equal(one[0], before[0])
    assert torch.equal(one[2, :5], before[2, :5])
    assert torch.equal(one[2, 20:], before[2, 20:])


@given(seed=st.integers(0, 99), precision=PRECISIONS)
def test_masked_units_and_their_gradients_are_those_of_torchs_operations(seed: int, precision: str) -> None:
    """A perceptron with a mask of its own for each unit, with one for all rows, and with none."""
    draw, units = drawn(seed, precision), (4, 5, 5, 5, 2)
    x = draw(ROWS, 6, 4)
    shapes = [shape for size, wide in pairwise(units) for shape in ((ROWS, wide, size), (ROWS, wide))]
    weights = [draw(*shape).requires_grad_() for shape in shapes]
    masks = [2 * (draw(rows, 6, 5) > 0).to(x.dtype) for rows in (ROWS, 1)]

    def passed() -> list[Any]:
        out = relu_mlp(x, [*masks, None], *weights)
        return [out.detach(), *torch.autograd.grad(out.square().sum(), weights)]

    assert all(near(one / 1000, other / 1000) for one, other in zip(*both_ways(passed), strict=True))


def test_a_mask_is_drawn_for_each_group_of_rows_from_its_own_numbers() -> None:
    """Each row's mask is made of the numbers that its group's stream draws, to the bit."""
    groups = [EpochGroup(0, 3, 2), EpochGroup(1, 0, 1)]

    def streams() -> RandomStreams:
        return RandomStreams.of(lambda group: RandomStream(group.fold, torch.float32, torch.device("cpu")), groups)

    rate = torch.tensor([0.2, 0.0, 0.7])
    scale = 1 / (1 - rate)
    made = mask(rate, scale, streams(), 50, 4)
    expected = (streams().uniform(1, 50, 4) > rate.view(3, 1, 1)) * scale.view(3, 1, 1)
    assert torch.equal(made, expected)


def test_a_net_learns_the_same_without_numba() -> None:
    """Validation scores after forty epochs with everything that has a pass of its own agree, but not to the bit."""
    X, y = load_wine(return_X_y=True)
    net = Net(
        MLP(hidden=(8, 8)), lr=0.01, penalty=nn_techniques.ElasticNetPenalty(1e-3, 0.5), dropout=0.2,
        early_stopping=nn_techniques.FixedEpochs(40),
    )  # fmt: skip

    def learned() -> Any:
        problem = make_problem(X, y)
        setup = Setup(problem, make_folds(3, problem, 0), resolve(None, problem), 0, 1)
        (outcome,) = Stack(setup).stream([Candidate(0, net)])
        return outcome.trajectory.deciding.val

    one, other = both_ways(learned)
    assert one.shape[-1] == 40
    assert np.allclose(one, other, rtol=1e-3)
    assert not np.array_equal(one, other)  # or the two would be one
