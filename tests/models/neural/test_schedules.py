"""Rates of dropout and weight decay that rise or fall."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from regsearch import Choice, InvalidInput, Net
from regsearch.models.neural import techniques as t
from regsearch.models.neural.dropout_masks import scheduled, survival
from regsearch.models.neural.technique import Columns
from regsearch.testing.nets import EPOCHS, block, net, setup, train


def test_rates_run_evenly_between_their_ends() -> None:
    """A rate rises from its part to all of it, or falls from all to its part, in each row by its own horizon."""
    horizon = torch.tensor([4.0, 8.0]).double()
    parts = torch.tensor([0.5, 1.0]).double()
    for epoch, rise, fall in ((0.0, 0.5, 1.0), (2.0, 0.75, 0.75), (4.0, 1.0, 0.5)):
        assert t.Rise.on_strength(Columns(initial=parts), epoch, horizon).tolist() == [rise, 1.0]
        assert t.Fall.on_strength(Columns(final=parts), epoch, horizon).tolist() == [fall, 1.0]


def test_dropout_at_a_part_of_its_rate() -> None:
    """A rate that is scheduled scales up by what it leaves; a factor of 1 changes no bit of rate and scale."""
    found = survival([0.3, 0.6])
    v = Columns(**{name: torch.tensor([value, value], dtype=torch.float32) for name, value in found.items()})
    v.strength = torch.tensor([1.0, 0.5])
    rate, scale = scheduled(v, 1)
    assert (rate[0], scale[0]) == (v.rate[0, 1], v.scale[0, 1])
    torch.testing.assert_close((rate[1], scale[1]), (torch.tensor(0.3), torch.tensor(1 / 0.7)))


def test_decay_is_the_sum_of_its_schedule() -> None:
    """Of a net whose gradient is nothing, what is left of its kernels is the product of each step's decay."""
    of, lr, rate = setup(), 0.02, 2.0
    options: dict[str, Any] = {"weight_decay": rate, "gradient_clipping": 1e-6, "lr": lr}
    made = block(of, [net(**options, weight_decay_schedule=one) for one in (t.Rise(0.0), t.Fall(0.25), None)])
    start, batches = made.theta[0, :65].clone(), -(-len(of.folds.train[1]) // 7)
    for v in (made.techniques.optimizer.v,):
        v.second.fill_(1e12)  # steps of no size
    made.advance(EPOCHS, measure=False)
    at = np.arange(EPOCHS * batches) / batches / EPOCHS
    for row, factor in enumerate((at, 1 - 0.75 * at, np.ones_like(at))):
        left = np.prod(1 - lr * rate * factor)
        torch.testing.assert_close(made.theta[row, :65], start * left, rtol=1e-6, atol=1e-6)


def test_a_schedule_needs_a_rate() -> None:
    """A schedule of what is not there, or has no rate, is refused; of one that a trial has off it has no effect."""
    with pytest.raises(InvalidInput, match=r"rate of weight_decay, got no weight_decay; give it a rate"):
        net(weight_decay_schedule="rise").check(setup())
    with pytest.raises(InvalidInput, match=r"rate of weight_decay, got CPR; give it a rate"):
        net(weight_decay="cpr", weight_decay_schedule="rise").check(setup())
    with pytest.raises(InvalidInput, match=r"rate of weight_decay, got CPR; give it a rate"):
        net(weight_decay=Choice(t.WeightDecay(), t.CPR()), weight_decay_schedule="rise").check(setup())
    net(weight_decay=Choice(None, t.WeightDecay()), weight_decay_schedule=t.Rise(0.1)).check(setup())
    off, plain = (train(setup(), [net(**one)], 2) for one in ({"weight_decay_schedule": t.Rise(0.1)}, {}))
    assert np.array_equal(off.weights, plain.weights)
    config = Net(weight_decay=0.1, weight_decay_schedule=t.Fall(0.1))
    assert set(config.without()) >= {"weight_decay", "weight_decay_schedule"}
