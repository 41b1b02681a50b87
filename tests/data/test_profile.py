"""Profile: numbers about the data against those that numpy and pandas compute from all of it at once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from regsearch.data.problem import make_problem
from regsearch.data.profile import profile


def correlated(rows: int = 200, columns: int = 5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    X[:, 1] = X[:, 0] + 0.05 * X[:, 1]
    return X * 10.0 ** np.arange(columns) + 1000.0


def test_of_an_array() -> None:
    """Spread and condition number are those of the columns' standard deviations and of their correlation matrix."""
    X = correlated(rows=5000)  # more than one block of rows
    found = profile(make_problem(X, X[:, 0]))
    values = np.linalg.eigvalsh(np.corrcoef(X.T))
    assert (found["rows"], found["columns"], found["missing"], found["class_shares"]) == (5000, 5, 0.0, None)
    assert found["scale_spread"] == pytest.approx(X.std(axis=0).max() / X.std(axis=0).min())
    assert found["eigenvalues"] == pytest.approx([values[0], values[-1]])
    assert found["condition"] == pytest.approx(np.linalg.cond(np.corrcoef(X.T)))


@given(st.permutations(range(5)), arrays(float, 5, elements=st.floats(1e-3, 1e3)))
def test_the_condition_knows_no_units(order: list[int], units: Any) -> None:
    """Neither the order of the columns nor their units change the eigenvalues of standardised columns."""
    X = correlated()
    found = profile(make_problem(X[:, order] * units, X[:, 0]))
    assert found["eigenvalues"] == pytest.approx(profile(make_problem(X, X[:, 0]))["eigenvalues"], rel=1e-6)


@pytest.mark.parametrize("form", ["sparse", "frame"])
def test_every_form_has_the_same_facts(form: str) -> None:
    """A sparse matrix and a DataFrame of the same numbers say the same as the array."""
    X = np.where(np.abs(correlated() - 1000) > 1, correlated() - 1000, 0.0)
    other = sparse.csr_array(X) if form == "sparse" else pd.DataFrame(X, columns=list("abcde"))
    y = X[:, 0] + X[:, 1]
    plain, found = profile(make_problem(X, y)), profile(make_problem(other, y))
    assert found.pop("eigenvalues") == pytest.approx(plain.pop("eigenvalues"))
    assert found == pytest.approx(plain)


def test_weights_are_copies() -> None:
    """A row of weight two counts like two rows."""
    X = correlated(rows=30)
    weights = np.arange(30) % 3
    copied = np.repeat(X, weights, axis=0)
    found = profile(make_problem(X, X[:, 0], sample_weight=weights.astype(float)))
    twice = profile(make_problem(copied, copied[:, 0]))
    assert found["eigenvalues"] == pytest.approx(twice["eigenvalues"])
    assert found["scale_spread"] == pytest.approx(twice["scale_spread"])


def test_a_singular_matrix_has_no_condition_number() -> None:
    """A repeated column, or fewer rows than columns, leave a least eigenvalue of 0 and no finite condition number."""
    X = correlated()
    for singular in (np.column_stack([X, X[:, 0] * 3 - 7]), np.random.default_rng(0).normal(size=(20, 50))):
        found = profile(make_problem(singular, singular[:, 0]))
        assert found["eigenvalues"][0] == 0.0
        assert found["eigenvalues"][1] > 1.0
        assert found["condition"] is None


def test_what_is_not_there_is_not_counted() -> None:
    """Missing entries are no part of a column's spread, constant and empty columns have none, text is not numeric."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=100), "b": rng.normal(size=100) * 50, "c": 5.0, "d": np.nan})
    X["e"] = pd.Categorical(rng.choice(["u", "v"], 100))
    X.loc[:49, "b"] = np.nan
    found = profile(make_problem(X, rng.choice(["no", "yes"], 100, p=[0.3, 0.7])))
    seen = X["b"].dropna()
    assert found["scale_spread"] == pytest.approx(seen.std(ddof=0) / X["a"].std(ddof=0))
    assert found["missing"] == pytest.approx((100 + 50) / 500)
    assert sum(found["class_shares"].values()) == pytest.approx(1.0)
    assert set(found["class_shares"]) == {"no", "yes"}


def test_some_data_have_less_to_say() -> None:
    """Pixels are not scaled one by one, a column correlates with nothing, too much is not looked at; all is JSON."""
    rng = np.random.default_rng(0)
    images = profile(make_problem(rng.random((20, 1, 4, 4)), rng.integers(0, 2, 20)))
    assert (images["columns"], images["scale_spread"], images["eigenvalues"]) == (16, None, None)
    one = profile(make_problem(rng.normal(size=(20, 1)), rng.normal(size=20)))
    assert (one["scale_spread"], one["eigenvalues"], one["condition"]) == (1.0, None, None)
    wide = profile(make_problem(sparse.eye_array(20_000, 30_000, format="csr"), rng.normal(size=20_000)))
    assert (wide["columns"], wide["scale_spread"], wide["eigenvalues"]) == (30_000, None, None)
    text = profile(make_problem(pd.DataFrame({"a": ["u", "v"] * 10}), rng.normal(size=20)))
    assert (text["columns"], text["scale_spread"], text["eigenvalues"]) == (1, None, None)
    assert json.loads(json.dumps([images, one, wide, text], allow_nan=False)) == [images, one, wide, text]


def test_sparse_columns_are_not_written_out() -> None:
    """Of many sparse columns the spread is that of the dense ones, weighted or not."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((60, 3000), density=0.3, rng=rng, format="csr") * 10.0 ** rng.integers(-2, 3, 3000)
    y, weights = rng.normal(size=60), rng.integers(1, 4, 60).astype(float)
    for given_weights in (None, weights):
        found = profile(make_problem(X, y, sample_weight=given_weights))
        plain = profile(make_problem(X.toarray(), y, sample_weight=given_weights))
        assert found["scale_spread"] == pytest.approx(plain["scale_spread"], rel=1e-9)
