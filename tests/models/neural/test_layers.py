"""Layers of many rows against torch's own, a row at a time."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from regsearch.models.neural.network.layers import normalised

EPS = 1e-5


@given(
    rows=st.integers(1, 3), samples=st.integers(2, 6), units=st.integers(1, 5), over=st.sampled_from([1, 2]),
    far=st.sampled_from([0.0, 1e3]), seed=st.integers(0, 2**31),
)  # fmt: skip
def test_normalised_rows_and_their_gradients_are_torchs(
    rows: int, samples: int, units: int, over: int, far: float, seed: int
) -> None:
    """Rows are normalised as each alone by torch's batch or layer norm, also far from 0, and so are gradients."""
    torch.manual_seed(seed)
    options = {"dtype": torch.float64}
    h = (torch.randn(rows, samples, units, **options) + far).requires_grad_()
    weight, bias = (torch.randn(rows, 1, units, **options).requires_grad_() for _ in range(2))
    other = torch.randn(rows, samples, units, **options)
    made, mean, var = normalised(h, weight, bias, over, EPS)
    found = torch.autograd.grad((made * other).sum(), [h, weight, bias])
    for r in range(rows):
        if over == 1:
            theirs = functional.batch_norm(h[r], None, None, weight[r, 0], bias[r, 0], training=True, eps=EPS)
        else:
            theirs = functional.layer_norm(h[r], (units,), weight[r, 0], bias[r, 0], EPS)
        gradients = torch.autograd.grad((theirs * other[r]).sum(), [h, weight, bias])
        torch.testing.assert_close(made[r], theirs, rtol=1e-9, atol=1e-9)
        for mine, its in zip(found, gradients, strict=True):
            torch.testing.assert_close(mine[r], its[r], rtol=1e-8, atol=1e-8 * float(its.abs().max() + 1))
    torch.testing.assert_close(mean, h.mean(over, keepdim=True))
    torch.testing.assert_close(var, h.var(over, correction=0, keepdim=True), rtol=1e-9, atol=1e-12)
