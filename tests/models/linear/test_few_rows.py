"""Products of a few rows with a matrix as it lies, against those of BLAS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regsearch.models.linear import few_rows
from regsearch.models.linear.few_rows import FEW, LEAST, LENGTH, are_few, few_times
from regsearch.models.linear.working_columns import times


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, FEW), st.integers(1, 9), st.integers(1, 40))
def test_any_number_of_rows_columns_and_their_length_will_do(seed: int, rows: int, columns: int, length: int) -> None:
    """Products go three rows and four columns at a time, which no number needs to be a multiple of."""
    random = np.random.default_rng(seed)
    few, turned = random.normal(size=(rows, length)), random.normal(size=(columns, length))
    np.testing.assert_allclose(few_times(few, turned), few @ turned.T, atol=1e-12)


def test_rows_longer_than_what_stays_in_the_cache_are_summed_over_their_parts() -> None:
    """With the compiled sums, and with those that take their place without numba."""
    random = np.random.default_rng(0)
    few, turned = random.normal(size=(3, 2 * LENGTH + 5)), random.normal(size=(6, 2 * LENGTH + 5))
    for made in (few_times, few_rows._all_times):
        np.testing.assert_allclose(made(few, turned), few @ turned.T, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (FEW,), (FEW + 1,)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_product_with_a_matrix_is_the_same_whichever_way_it_is_formed(shape: tuple[int, ...], order: str) -> None:
    """Of many rows, of one, and of a matrix that lies by rows, BLAS forms it."""
    random = np.random.default_rng(0)
    matrix, spread = np.asarray(random.normal(size=(LEAST, 7)), order=order), random.normal(size=(*shape, LEAST))
    np.testing.assert_allclose(times(spread, matrix), spread @ matrix, atol=1e-12)
    assert are_few(spread.reshape(-1, LEAST), matrix) == (order == "F" and 1 < spread.size // LEAST <= FEW)
