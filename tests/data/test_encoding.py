"""Encoding: the matrix that is searched is the one that production's scikit-learn steps make."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import regression, study
from scipy import sparse
from sklearn.impute import SimpleImputer

from regsearch import spaces
from regsearch.data import problem as problems
from regsearch.data.encoding import Encoded, Missing, encode, transformer
from regsearch.data.problem import make_problem
from regsearch.models.base import Model


def imputed(encoded: Encoded) -> Any:
    """The matrix with missing entries as the mean of their column."""
    matrix = encoded.matrix.toarray() if sparse.issparse(encoded.matrix) else encoded.matrix.copy()
    if encoded.missing is not None:
        matrix[encoded.missing.rows, encoded.missing.columns] = np.nan
    return SimpleImputer(keep_empty_features=True).fit_transform(matrix)


def agrees(X: Any) -> Any:
    """Assert that both ways give one matrix; return it."""
    problem = make_problem(X, np.arange(float(X.shape[0])))
    expected = transformer(problem.X).fit_transform(problem.X)
    found = imputed(encode(problem.X))
    tolerance = 1e-6 if expected.dtype == np.float32 else 1e-12  # the imputer's own means are as precise as X
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return found


COLUMNS = st.sampled_from(
    ["float", "int", "bool", "Int64", "Float32", "boolean", "text", "numbers", "unsorted", "ordered", "unused", "truth"]
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Frames of columns of every kind, with holes where the kind has them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, holes = draw(st.integers(4, 12)), draw(st.sampled_from([0.0, 0.3, 1.0]))
    data = {}
    for j, kind in enumerate(draw(st.lists(COLUMNS, min_size=1, max_size=5))):
        gap = rng.random(n) < holes
        numbers, bits, codes = rng.normal(size=n), rng.random(n) < 0.5, np.where(gap, -1, rng.integers(0, 2, n))
        made = {
            "float": lambda x=numbers, g=gap: np.where(g, np.nan, x),
            "int": lambda x=codes: x,
            "bool": lambda x=bits: x,
            "Int64": lambda x=codes, g=gap: pd.arrays.IntegerArray(x.astype(np.int64), g),
            "Float32": lambda x=numbers, g=gap: pd.arrays.FloatingArray(x.astype(np.float32), g),
            "boolean": lambda x=bits, g=gap: pd.arrays.BooleanArray(x, g),
            "text": lambda x=codes: pd.Categorical.from_codes(x, ["u", "v"]),
            "numbers": lambda x=codes: pd.Categorical.from_codes(x, [10, 20]),
            "unsorted": lambda x=codes: pd.Categorical.from_codes(x, [2.5, -1.0]),
            "ordered": lambda x=codes: pd.Categorical.from_codes(x, ["small", "big"], ordered=True),
            "unused": lambda x=codes: pd.Categorical.from_codes(x, ["never", "v", "u"]),
            "truth": lambda x=codes: pd.Categorical.from_codes(x, [True, False]),
        }[kind]()
        data[f"c{j}"] = made
    return pd.DataFrame(data).assign(z=np.arange(n))


@pytest.mark.slow
@given(frames())
@settings(max_examples=150)
def test_frame_equals_transformer(X: pd.DataFrame) -> None:
    """Column by column, with imputation, `encode` is what `transformer` makes of a frame."""
    agrees(X)


@pytest.mark.slow
@given(frames())
def test_names_do_not_matter(X: pd.DataFrame) -> None:
    """Names that are no strings, in an order that could be taken for positions, give the same matrix."""
    renamed = X.set_axis(range(X.shape[1])[::-1], axis=1)
    np.testing.assert_array_equal(agrees(renamed), agrees(X))


@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, int, bool])
@pytest.mark.parametrize("order", ["C", "F"])
def test_array_equals_transformer(holes: float, dtype: type, order: Any) -> None:
    """Arrays of any dtype and order are passed through, imputed where NaN."""
    rng = np.random.default_rng(0)
    X = 3 * rng.normal(size=(15, 4))
    X = np.asarray(X > 0 if dtype is bool else X, dtype=dtype, order=order)
    if X.dtype.kind == "f":
        X[rng.random(X.shape) < holes] = np.nan
        X[:, 2] = np.nan if holes else 1.0
    agrees(X)


def test_empty_column_is_zero() -> None:
    """A column that is never observed is filled with zeros, as scikit-learn's imputer does when it keeps it."""
    X = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]])
    np.testing.assert_array_equal(agrees(X)[:, 1], 0)


def test_array_is_not_written_to() -> None:
    """Folds write their fills into a copy; a matrix without gaps is shared when its form allows."""
    X = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    assert np.shares_memory(encode(X).matrix, X)
    X[1, 1] = np.nan
    encoded = encode(X)
    encoded.matrix[:] = 7
    assert np.isnan(X[1, 1])
    assert X[0, 0] == 0


def test_a_problem_is_encoded_once() -> None:
    """A problem's matrix is made once, and stays behind when the problem travels to another process."""
    X = np.random.default_rng(0).normal(size=(200, 50))
    problem = make_problem(X, X[:, 0])
    assert problem.encoded is problem.encoded
    sent = pickle.dumps(problem)
    assert len(sent) < 1.5 * X.nbytes
    there = pickle.loads(sent)
    assert "encoded" not in vars(there)
    np.testing.assert_array_equal(there.encoded.matrix, problem.encoded.matrix)
    assert there.fingerprint == problem.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("space", [spaces.linear(), spaces.mlp((4,), max_epochs=2)], ids=["linear", "net"])
def test_a_study_encodes_once(space: Model, frame: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its check to the refit of its winner, a study encodes its matrix once, whatever it searches."""
    X, y = regression()
    X[3, 1] = np.nan
    made: list[Encoded] = []

    def counted(*of: Any) -> Encoded:
        made.append(encode(*of))
        return made[-1]

    monkeypatch.setattr(problems, "encode", counted)
    one = study(tmp_path, data=(pd.DataFrame(X) if frame else X, y), space=space)
    best = one.run(4, quiet=True).best
    assert len(made) == 1
    best.config.refit(one.problem, 0)
    assert len(made) == 1


def test_sparse_stays_sparse() -> None:
    """A sparse matrix becomes CSC with the same entries, repeated ones added up, and needs no transformer."""
    X = sparse.csr_array((np.array([1, 2, 3, 4]), np.array([0, 0, 1, 2]), np.array([0, 2, 3, 4])), shape=(3, 3))
    problem = make_problem(X, np.arange(3.0))
    encoded = encode(problem.X)
    assert encoded.matrix.format == "csc"
    assert encoded.matrix.nnz == 3
    assert encoded.missing is None
    np.testing.assert_array_equal(encoded.matrix.toarray(), [[3, 0, 0], [0, 3, 0], [0, 0, 4]])
    assert X.nnz == 4
    assert transformer(problem.X) is None


def test_unknown_categories_are_zeros() -> None:
    """In production a category that was never seen, or a hole where there was none, has all indicators at zero."""
    X = pd.DataFrame({"c": pd.Categorical(["u", "v"] * 4), "b": [True, False] * 4, "z": range(8)})
    fitted = transformer(make_problem(X, np.arange(8.0)).X).fit(X)
    other = pd.DataFrame({"z": [1, 2], "c": pd.Categorical(["w", None]), "b": pd.array([None, True], dtype="boolean")})
    np.testing.assert_array_equal(fitted.transform(other), [[1, 0.5, 0, 0], [2, 1, 0, 0]])


def test_missing_is_a_category() -> None:
    """Where a category is missing in the data, that is a category of its own, the last."""
    X = pd.DataFrame({"c": pd.Categorical(["u", None, "v", "u"]), "z": range(4)})
    np.testing.assert_array_equal(agrees(X)[:, 1:], [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]])


class Interrupted(np.ndarray):
    """A matrix that Ctrl-C hits when it is written to for the second time."""

    writes = 0

    def __setitem__(self, at: Any, value: Any) -> None:
        self.writes += 1
        if self.writes == 2:
            raise KeyboardInterrupt
        super().__setitem__(at, value)


def test_fills_cut_off_are_written_again() -> None:
    """A matrix whose filling Ctrl-C cut off is filled whole the next time, with the same fills too."""
    matrix = np.zeros((3, 2), order="F").view(Interrupted)
    missing, fills = Missing(np.array([0, 1]), np.array([0, 1])), np.array([5.0, 7.0])
    with pytest.raises(KeyboardInterrupt):
        missing.fill(matrix, fills)
    missing.fill(matrix, fills)
    assert np.asarray(matrix).tolist() == [[5, 0], [0, 7], [0, 0]]


def test_what_need_not_lie_by_columns_is_not_copied() -> None:
    """Rows or columns in one piece are read where they are; by columns, or of other numbers, they are copied."""
    X = np.arange(12.0).reshape(3, 4)
    for whole in (X, X[:, :2], X[::2], X.T):
        assert np.shares_memory(encode(whole, by_columns=False).matrix, whole)
        assert encode(whole).matrix.flags.f_contiguous
    for other in (X[:, ::2], X.astype(int)):
        found = encode(other, by_columns=False).matrix
        assert not np.shares_memory(found, other)
        np.testing.assert_array_equal(found, other)
