"""Sums of products over blocks of rows, and triangles of what is kept, against products of everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch.models.linear.blocks import LEAST, Square, some_rows
from regsearch.models.linear.packed import packed, unpacked
from regsearch.models.linear.rooms import Room

SIZES = [0, 1, 2, 63, 64, 65, 130]  # around the edges of what is mirrored at a time


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_add_up_to_the_whole(size: int, order: str) -> None:
    """Whichever way blocks lie in memory, a row is counted once, and the sum is symmetric to the last bit."""
    rows = np.random.default_rng(0).normal(size=(2 * LEAST + 7, size))
    square = Square(size)
    for part in some_rows(len(rows), 10**9):
        square.add(np.array(rows[part], order=order))  # type: ignore[call-overload]
    found = square.whole()
    np.testing.assert_allclose(found, rows.T @ rows, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(found, found.T)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_packed_is_there_again(size: int) -> None:
    """Half of a symmetric matrix is enough."""
    half = np.random.default_rng(0).normal(size=(size, size))
    triangle = packed(half + half.T)
    assert len(triangle) == size * (size + 1) // 2
    np.testing.assert_array_equal(unpacked(triangle, Room()), half + half.T)
    single = packed(half + half.T, single=True)
    assert single.nbytes == triangle.nbytes / 2
    np.testing.assert_allclose(unpacked(single, Room()), half + half.T, rtol=1e-7)
