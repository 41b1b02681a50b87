"""Decisions of the rows that each fold asks for, against those of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from regsearch._types import Array
from regsearch.models.linear import decisions as module
from regsearch.models.linear.decisions import Parts, decisions, decisions_of_parts, decisions_of_rows


@pytest.fixture(params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled sums, and with those that take their place without numba."""
    if request.param == "plain":
        monkeypatch.setattr(module, "write_parts", module._write_all_parts)


def made(seed: int, n: int, p: int, folds: int, count: int) -> tuple[Array, Array, list[Any]]:
    """A matrix, coefficients most of which are zero, and parts of rows that overlap, or are empty."""
    random = np.random.default_rng(seed)
    coef = random.normal(size=(folds, count, p)) * (random.random((folds, count, p)) < 0.3)
    parts = [np.flatnonzero(random.random(n) < share) for share in random.choice([0.0, 0.2, 0.9], folds)]
    return np.asfortranarray(random.normal(size=(n, p))), coef, parts


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("kind", [np.asfortranarray, sparse.csc_array])
@pytest.mark.parametrize("shape", [(30, 9, 3, 5), (7, 40, 2, 1), (50, 4, 1, 8), (12, 3, 4, 2)])
def test_parts_of_rows_get_the_decisions_that_all_rows_would(kind: Any, shape: tuple[int, int, int, int]) -> None:
    """Whatever rows folds ask for, and however many columns are in use, none among them."""
    X, coef, parts = made(0, *shape)
    coef[0] = 0.0
    found = decisions_of_parts(kind(X), coef, Parts.of(parts))
    for one, own, rows in zip(found, coef, parts, strict=True):
        np.testing.assert_allclose(one, decisions(X, own)[:, rows], atol=1e-12)


@given(st.integers(0, 999), st.integers(1, 40), st.integers(1, 11), st.integers(1, 4), st.integers(1, 9))
def test_any_number_of_rows_columns_folds_and_decisions_will_do(
    seed: int, n: int, p: int, folds: int, count: int
) -> None:
    """Sums go eight columns and four decisions at a time, which no number needs to be a multiple of."""
    X, coef, parts = made(seed, n, p, folds, count)
    for one, own, rows in zip(decisions_of_parts(X, coef, Parts.of(parts)), coef, parts, strict=True):
        np.testing.assert_allclose(one, own @ X[rows].T, atol=1e-12)


@pytest.mark.usefixtures("either")
@pytest.mark.parametrize("shape", [(30, 9, 3, 5), (7, 40, 2, 1), (50, 4, 1, 8)])
def test_rows_of_one_part_each_get_its_decisions_and_others_none(shape: tuple[int, int, int, int]) -> None:
    """Rows that no part has are not a number."""
    X, coef, _ = made(1, *shape)
    owner, start = np.random.default_rng(2).integers(-1, len(coef), len(X)), coef.sum(axis=2)
    parts = Parts.of([np.flatnonzero(owner == k) for k in range(len(coef))])
    assert parts.apart
    expected = np.full((coef.shape[1], len(X)), np.nan)
    for k, (own, first) in enumerate(zip(coef, start, strict=True)):
        expected[:, owner == k] = first[:, None] + own @ X[owner == k].T
    np.testing.assert_allclose(decisions_of_rows(X, coef, start, parts), expected, atol=1e-12)
