"""Whose the learning rate is, and what goes with any optimizer: lookahead, SAM and decay by constraint."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from regsearch import Choice, InvalidInput, Net
from regsearch.models.neural import techniques as t
from regsearch.models.neural.layout import Layout
from regsearch.models.neural.technique import Columns
from regsearch.space.config import from_toml, to_toml
from regsearch.space.params import flat
from regsearch.space.sampling import default
from regsearch.testing.nets import EPOCHS, block, net, setup, train


def test_a_rate_is_said_once() -> None:
    """The rate of a net is that of an optimizer that has none of its own; none is Adam; two rates are refused."""
    assert Net(lr=0.1, optimizer="sgd") == Net(optimizer=t.SGD(0.1))
    assert Net(optimizer="sgd") == Net(optimizer=t.SGD())
    assert Net().optimizer == t.Adam(1e-3)
    searched = Net(optimizer=Choice(None, "sgd")).techniques["optimizer"].options
    assert searched == (t.Adam(1e-3), t.SGD())
    assert Net(optimizer=Choice(None, t.Adam())).techniques["optimizer"].options == (t.Adam(),)
    with pytest.raises(InvalidInput, match=r"said once, got Net\(lr=0\.1\) and SGD\(lr=0\.5\); leave one of them out"):
        Net(lr=0.1, optimizer=t.SGD(0.5))
    with pytest.raises(InvalidInput, match="needs an optimizer, got none"):
        Net(lr="optimizer")
    with pytest.raises(InvalidInput, match=r"SGD\(lr=\.\.\.\) must lie in"):
        Net(lr=1e3, optimizer="sgd")


def test_a_table_shows_the_rate_that_is_trained_with() -> None:
    """A filled config shows the optimizer's rate and not another, and comes back equal from a file."""
    config = default(Net(optimizer=Choice("sgd", None)))
    shown = flat(config)
    assert (shown["optimizer"], shown["optimizer.lr"], shown["lr"]) == ("sgd", 0.03, "optimizer")
    assert from_toml(to_toml(config)) == config
    assert train(setup(), [net(optimizer=t.SGD(0.03))], 1).weights.shape[1] == 1


def test_optimizers_train_apart_and_rates_together() -> None:
    """Rows of two optimizers have two structures; rows of one have one, whatever their rate and momentum."""
    of = setup()
    block(of, [net(optimizer=t.SGD(0.01, 0.5)), net(optimizer=t.SGD(0.1, 0.9, "nesterov"))])
    with pytest.raises(ValueError, match="too many values"):
        block(of, [net(optimizer=t.SGD(0.01)), net(optimizer=t.Lion(0.01))])


def test_lookahead_is_its_recursion() -> None:
    """Every k steps slow weights go part of the way and the fast ones start anew from there, in each row by its own."""
    rng = np.random.default_rng(0)
    start, moves = rng.normal(size=(2, 3)), rng.normal(size=(7, 2, 3))
    v = Columns(slow_step=torch.tensor([0.5, 0.8]).double(), steps=torch.tensor([2.0, 3.0]).double())
    theta = torch.tensor(start)
    t.Lookahead.init_state(v, theta)
    slow, fast = start.copy(), start.copy()
    for number, move in enumerate(moves, 1):
        theta += torch.tensor(move)
        t.Lookahead.on_stepped(v, theta, theta)
        fast = fast + move
        for row, (part, every) in enumerate([(0.5, 2), (0.8, 3)]):
            if number % every == 0:
                slow[row] += part * (fast[row] - slow[row])
                fast[row] = slow[row]
        np.testing.assert_allclose(theta.numpy(), fast, atol=1e-12)


def test_a_constraint_decays_only_what_is_above() -> None:
    """A kernel that grows is held near its bound, one that stays below is left alone to the bit, as is a free one."""
    kernels = Layout([("a", (2, 2), "kernel"), ("b", (1, 2), "kernel")]).part("kernel")
    v = Columns(kappa=torch.tensor([1.5, math.inf]).double(), warm_up=torch.zeros(2).double(), part=kernels)
    theta = torch.ones(2, 6, dtype=torch.float64)
    t.CPR.init_state(v, theta)
    below, squares = theta[:, 4:].clone(), []
    for _ in range(300):
        theta[:, :4] += 0.05
        t.CPR.on_stepped(v, theta, theta)
        squares.append(theta[0, :4].square().mean().item())
    assert 1.0 < np.mean(squares[100:]) < max(squares) < 1.6
    assert torch.equal(theta[:, 4:], below)
    assert theta[1, :4].tolist() == pytest.approx([16.0] * 4)


def test_a_bound_is_taken_after_the_warm_up() -> None:
    """Until its warm-up is over nothing decays, and the bound is a multiple of what has grown by then."""
    of = setup("multiclass")
    free, held, late = (
        train(of, [net(lr=0.1, **({"weight_decay": one} if one else {}))], EPOCHS)
        for one in (None, t.CPR(0.5, 0), t.CPR(0.5, 8))
    )  # fmt: skip
    steps = 4  # of an epoch
    assert len(range(0, len(of.folds.train[1]), 7)) == steps
    assert np.array_equal(free.weights[1], late.weights[1])
    assert not np.array_equal(free.weights[2], late.weights[2])
    size = [np.linalg.norm(found.weights[-1, 0, :75]) for found in (free, late, held)]
    assert size[0] > size[1] > size[2]


def test_decay_and_constraint_are_one_slot() -> None:
    """A bare number is decoupled decay still, and only one of the two can be had."""
    assert Net(weight_decay=0.1).techniques["weight_decay"] == t.WeightDecay(0.1)
    both: Any = [t.WeightDecay(0.1), t.CPR(2.0)]
    with pytest.raises(InvalidInput, match="takes one technique"):
        Net(weight_decay=both)
