"""What takes the place of compiled loops where numba is not installed, against these."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch.models.linear import fold_rows, kernels, leaps, scales

pytest.importorskip("numba", reason="without it there is nothing else")
RANDOM = np.random.default_rng(0)
TURNED = RANDOM.normal(3.0, 2.0, (7, 30))


def test_what_ridge_spends_is_the_same() -> None:
    """Degrees of freedom at several strengths, one of them zero."""
    values, strengths = RANDOM.uniform(0.1, 5.0, 9), np.array([0.0, 0.3, 10.0])
    np.testing.assert_allclose(kernels.ridge_freedom(values, strengths), kernels._all_freedom(values, strengths))


def test_the_curvature_of_those_that_move_is_the_same() -> None:
    """Rows and columns of a matrix in an order of their own, in its precision."""
    some = np.array([4, 0, 2])
    for kind in (np.float32, np.float64):
        gram = (TURNED @ TURNED.T).astype(kind)
        found = leaps.among(gram, some)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, leaps._all_among(gram, some))


def test_columns_of_a_fold_are_the_same_in_either_precision() -> None:
    """Centred, scaled and weighted, to the rounding of what is asked for."""
    some, rows = np.array([5, 1, 6]), np.array([3, 4, 9, 20])
    of = some, rows, TURNED.mean(axis=1)[some], RANDOM.uniform(size=3), RANDOM.uniform(size=4)
    for kind in (np.float32, np.float64):
        found, expected = np.empty((3, 4), kind), np.empty((3, 4), kind)
        fold_rows.write_columns(TURNED, *of, found)
        fold_rows._write_all(TURNED, *of, expected)
        np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(kind).eps)


def test_columns_are_measured_alike_in_blocks_some_of_which_are_empty() -> None:
    """Means, squares and ends of blocks of rows, by shares."""
    order, edges = RANDOM.permutation(30)[:25], np.array([0, 10, 10, 11, 25])
    share = np.concatenate([weights / weights.sum() for weights in (RANDOM.uniform(size=n) for n in (10, 1, 14))])
    found, expected = np.zeros((5, 4, 7)), np.zeros((5, 4, 7))
    scales.measure_blocks(TURNED, order, edges, share, found)
    scales._measure_all(TURNED, order, edges, share, expected)
    np.testing.assert_allclose(found[:, [0, 2, 3]], expected[:, [0, 2, 3]], rtol=1e-12, atol=1e-14)
