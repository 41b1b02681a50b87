"""What leaps and degrees of freedom are computed by."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch.models.linear.leaps import BLOCK, STRIPE, factorise
from regsearch.models.linear.proximal import trace_of_ratio


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, BLOCK + STRIPE + 3])
def test_factor_is_the_cholesky_factor(size: int) -> None:
    """Below the diagonal; a matrix that is not positive definite, in any block, has none."""
    x = np.random.default_rng(size).normal(size=(size + 5, size))
    gram = x.T @ x
    factor = gram.copy()
    assert factorise(factor)
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(gram), atol=1e-10)
    gram[-1, -1] = gram[-1, :-1] @ np.linalg.solve(gram[:-1, :-1], gram[:-1, -1]) - 1e-3
    assert not factorise(gram)


@pytest.mark.parametrize("least", [1.0, -3.0])
def test_trace_is_that_of_the_ratio(least: float) -> None:
    """Of a matrix that is positive definite, and of one that is not."""
    x = np.random.default_rng(0).normal(size=(30, 12))
    gram = x.T @ x
    held = gram + np.diag(np.append(least * gram[0, 0], np.ones(11)))
    assert trace_of_ratio(held, gram) == pytest.approx(np.trace(np.linalg.inv(held) @ gram), rel=1e-10)
    assert trace_of_ratio(held[:0, :0], gram[:0, :0]) == 0
