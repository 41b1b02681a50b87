"""What leaps are computed by."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch.models.linear.leaps import BLOCK, STRIPE, factorise


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
