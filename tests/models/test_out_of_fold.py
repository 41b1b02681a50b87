"""Which steps of a path are kept, and how much they take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regsearch.models.out_of_fold import BYTES, STEPS, PathDecisions, SpreadSteps, compact, spread_steps, steps_kept


@given(steps=st.integers(1, 300), count=st.integers(0, 40), data=st.data())
def test_steps_are_spread(steps: int, count: int, data: st.DataObject) -> None:
    """At most so many steps, in order, the chosen one left out; all others where there is room, else evenly spread."""
    chosen = data.draw(st.integers(0, steps - 1))
    found = spread_steps(steps, chosen, count)
    assert found == sorted(set(found) - {chosen})
    assert len(found) <= count
    assert all(0 <= step < steps for step in found)
    if count >= steps - 1:
        assert len(found) == steps - 1
    elif count:
        assert max(np.diff([0, *found, steps - 1])) <= 2 * (steps / (count + 1) + 1)


@given(most=st.integers(0, 30), steps=st.integers(1, 200))
def test_a_path_that_goes_on_is_thinned_as_it_does(most: int, steps: int) -> None:
    """Of a path of any length no more than so many steps are kept, evenly spread from the first, at least half as many
    as there is room for."""
    spread = SpreadSteps(most)
    for step in range(steps):
        spread.add(step, str(step))
        assert len(spread.kept) <= most
    assert all(value == str(step) for step, value in spread.kept.items())
    assert len(spread.kept) >= min(steps, most) // 2
    if most:
        assert set(np.diff(list(spread.kept)).tolist()) <= {spread.stride}


@pytest.mark.parametrize(("rows", "outputs"), [(60, 1), (442, 1), (20_000, 1), (20_000, 10), (10**6, 1)])
def test_what_is_kept_is_bounded(rows: int, outputs: int) -> None:
    """Small studies keep as many steps as there may be, large ones so few that they take no more than the bound."""
    kept = steps_kept(rows, outputs)
    decisions = PathDecisions.of(list(range(kept)), [np.zeros((rows, outputs))] * kept)
    assert kept == STEPS or (kept + 1) * rows * outputs * 4 > BYTES
    assert decisions is None or decisions.decisions.nbytes <= BYTES
    assert (decisions is None) == (kept == 0)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1.7e9, -1e12])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e5])
def test_differences_survive_storage(offset: float, spread: float) -> None:
    """However far from 0 decisions lie, they are rounded by far less than they differ; near 0 they take half."""
    decisions = np.random.default_rng(0).normal(offset, spread, (3, 50, 1))
    kept = PathDecisions.of([1, 2, 3], list(decisions))
    assert kept is not None
    np.testing.assert_allclose(kept.decisions, decisions, rtol=0, atol=1e-3 * spread)
    assert kept.decisions.dtype == (np.float32 if abs(offset) <= 100 * spread else kept.decisions.dtype)
    unknown = np.array([[np.nan], [1.0], [2.0]])  # rows that no fold validates
    assert compact(unknown).dtype == np.float32
