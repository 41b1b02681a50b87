"""Coefficients of a path, and what is kept of those that are mostly zero."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch.models.linear.coefficients import Coefficients, NonZero


@pytest.mark.parametrize(("share", "light"), [(0.0, True), (0.2, True), (0.9, False)])
def test_light_coefficients_are_those_of_every_point(share: float, light: bool) -> None:
    """Those that are mostly zero are kept without their zeros, others as they are, and each point has the same."""
    rng = np.random.default_rng(0)
    columns = [np.array([1, 4, 6]), np.array([0, 2, 3, 8, 9])]
    values = [rng.normal(size=(4, len(some), 3)) * (rng.random((4, len(some), 3)) < share) for some in columns]
    coef = Coefficients(columns, values, 10)
    kept = coef.light
    assert isinstance(kept, NonZero) == light
    for step in range(4):
        np.testing.assert_array_equal(kept.point(step), coef.dense()[:, step])


@pytest.mark.parametrize(("share", "whole"), [(0.3, False), (1.0, True)])
def test_columns_that_no_point_uses_are_left_out_where_these_are_more_than_a_few(share: float, whole: bool) -> None:
    """Every point has the same coefficients, and little else is held beside them."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(2, 5, 40, 1)) * (rng.random((2, 1, 40, 1)) < share)
    coef = Coefficients.whole(base[:, :4])
    kept = coef.packed
    np.testing.assert_array_equal(kept.dense(), coef.dense())
    assert all((values.shape[1] == 40) == whole for values in kept.values)
    last = Coefficients.whole(base[:, 4:]).packed
    np.testing.assert_array_equal(last.dense(), base[:, 4:])
    assert all(values.base is None or values.base.size <= 2 * values.size for values in last.values)
