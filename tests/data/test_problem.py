"""Data: what is refused before any fit, what is odd but legal, images, tasks, fingerprints and the held-out set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.model_selection import TimeSeriesSplit

from regsearch import InvalidInput
from regsearch.data.columns import column_kinds
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.data.table_checks import check_columns
from regsearch.data.targets import infer_task
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import Linear
from regsearch.models.linear.backend import LinearBackend

RNG = np.random.default_rng(0)
N = 24
X = RNG.normal(size=(N, 3))
Y = X @ [1.0, -1.0, 0.5] + RNG.normal(size=N)
LABELS = np.array(["cat", "dog"])[(np.median(Y) < Y).astype(int)]
IMAGES = RNG.integers(0, 256, size=(N, 3, 5, 4), dtype=np.uint8)
WIDE = np.column_stack([Y, X[:, 0], -Y])
RENTS = pd.DataFrame(WIDE, columns=["price", "rent", "tax"])


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], **columns})


DAYS = pd.Series(pd.date_range("2026-01-01", periods=N))


def with_value(array: Any, value: Any) -> Any:
    changed = array.copy()
    changed.flat[1] = value
    return changed


def fitted(problem: Problem, k: int = 3) -> Any:
    """The outcome of a short lasso path: what every legal problem must have."""
    setup = Setup(problem, make_folds(k, problem, 0), resolve(None, problem))
    (outcome,) = LinearBackend(setup).stream([Candidate(0, Linear(lambda_=0.05))])
    assert outcome.state == "complete"
    assert np.isfinite(outcome.predictions).all()
    return outcome


# --- refusals --------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN in y": (lambda: make_problem(X, with_value(Y, np.nan)), "y must have no missing value, got 1; drop"),
    "None in y": (lambda: make_problem(X, [None, *LABELS[1:]]), "y must have no missing value, got 1; drop"),
    "NA in y": (lambda: make_problem(X, pd.Series([pd.NA, *range(N - 1)], dtype="Int64")), "no missing value, got 1"),
    "inf in y": (lambda: make_problem(X, with_value(Y, np.inf)), "y must be finite, got 1 infinite values; clip"),
    "inf in categories": (
        lambda: make_problem(pd.DataFrame({"a": pd.Categorical([np.inf, *([1.5] * (N - 1))])}), Y),
        r"Categories of a column must be finite, 'a' has inf; convert it: X\['a'\].astype\(str\)",
    ),
    "y that is called": (
        lambda: make_problem(pd.DataFrame(X).rename(columns=str), "O"),
        "got 'O', and X has no column",
    ),
    "dates in y": (
        lambda: make_problem(X, pd.date_range("2024", periods=N)),
        r"datetime64.*count from a day: \(y - y.min",
    ),
    "X that is none": (lambda: make_problem(None, Y), "X must be a table, .* got None; pass the rows"),
    "X of records": (
        lambda: make_problem([{"a": 1.0}] * N, Y),
        r"X must be a table, .*make one of it, pd.DataFrame\(X\)",
    ),
    "short y": (lambda: make_problem(X, Y[:-1]), "as many rows, got 24 and 23; check"),
    "scalar y": (lambda: make_problem(X, 1.0), r"one value per row, or one column per target, got the shape \(\)"),
    "3-D y": (lambda: make_problem(X, WIDE[:, :, None]), r"one column per target, got the shape \(24, 3, 1\); reshape"),
    "y of no columns": (lambda: make_problem(X, WIDE[:, :0]), r"got the shape \(24, 0\); reshape"),
    "frame of no targets": (lambda: make_problem(X, RENTS[[]]), r"got the shape \(24, 0\); reshape"),
    "short targets": (lambda: make_problem(X, WIDE[1:]), "as many rows, got 24 and 23; check"),
    "masked targets": (
        lambda: make_problem(X, np.ma.masked_less(WIDE, -2)),
        "y must have no missing value, got .*mask",
    ),
    "constant target": (
        lambda: make_problem(X, RENTS.assign(rent=2.5)),
        "target 'rent' must vary, got 2.5 in every row; there is",
    ),
    "constant column of y": (
        lambda: make_problem(X, WIDE * [1, 1, 0]),
        "target 'y2' must vary, got -?0.0 in every row",
    ),
    "NaN in a target": (
        lambda: make_problem(X, RENTS.assign(rent=with_value(Y, np.nan))),
        "target 'rent' must have no missing value, got 1; drop",
    ),
    "NA in a target": (
        lambda: make_problem(X, RENTS.assign(rent=pd.array([pd.NA, *range(N - 1)], dtype="Int64"))),
        "target 'rent' must have no missing value, got 1; drop",
    ),
    "inf among objects": (
        lambda: make_problem(X, np.array([np.inf, *Y[1:]], dtype=object)),
        "y must be finite, got 1 infinite values; clip",
    ),
    "masked weights": (
        lambda: make_problem(X, Y, sample_weight=np.ma.masked_less(np.arange(N), 2)),
        "sample_weight must have no missing value, got 2 masked; fill",
    ),
    "masked groups": (
        lambda: make_problem(X, Y, groups=np.ma.masked_less(np.arange(N), 2)),
        "groups must have no missing value, got 2 masked; fill",
    ),
    "groups of no date": (
        lambda: make_problem(X, Y, groups=np.array(["NaT"] + ["2026-01-01"] * (N - 1), dtype="M8[D]")),
        "groups must have no missing value, got 1; give",
    ),
    "categories beside numbers": (
        lambda: make_problem(X, pd.DataFrame({"rent": Y, "kind": pd.Categorical(np.arange(N) / 2)})),
        "target 'kind' is of a multiclass task",
    ),
    "inf in a target": (
        lambda: make_problem(X, with_value(WIDE, np.inf)),
        "target 'y1' must be finite, got 1 inf.*clip",
    ),
    "complex target": (
        lambda: make_problem(X, RENTS.assign(tax=Y + 1j)),
        "target 'tax' must hold numbers.*got complex",
    ),
    "repeated targets": (
        lambda: make_problem(X, RENTS.set_axis(["a", "b", "a"], axis=1)),
        "Target names must be unique, got 'a' twice; rename",
    ),
    "text target": (
        lambda: make_problem(X, RENTS.assign(kind=LABELS)),
        "must be a regression, target 'kind' is of a binary task .2 distinct values, <U3.. Say the task of each",
    ),
    "text target to regress on": (
        lambda: make_problem(X, RENTS.assign(kind=LABELS), task="regression"),
        "Regression needs a numeric target 'kind', got <U3; drop",
    ),
    "one-hot labels": (
        lambda: make_problem(X, np.eye(3, dtype=int)[np.arange(N) % 3]),
        r"or run one study per column, decode one-hot columns with y.argmax\(axis=1\), or",
    ),
    "multilabel": (
        lambda: make_problem(X, X > 0),
        "target 'y0' is of a binary task .2 distinct values, bool.. Say the task",
    ),
    "classes of real targets": (
        lambda: make_problem(X, WIDE, task="multiclass"),
        "'y0' is of a multiclass task .24 dis",
    ),
    "unknown task of targets": (
        lambda: make_problem(X, WIDE, task="multilabel"),
        "task must be .*got 'multilabel'; leave",
    ),
    "one class": (lambda: make_problem(X, ["cat"] * N), "y must vary, got 'cat' in every row; there is"),
    "constant y": (lambda: make_problem(X, np.full(N, 2.5)), "y must vary, got 2.5 in every row; there is"),
    "dates as y": (lambda: make_problem(X, pd.date_range("2024", periods=N)), "numbers, booleans or class labels, got"),
    "complex y": (lambda: make_problem(X, Y + 1j), "got complex128; convert"),
    "rare class": (
        lambda: make_folds(5, make_problem(X, ["rare"] * 3 + ["often"] * (N - 3)), 0),
        r"two classes must score, .* as many rows as there are folds \(5\), class 'rare' has 3; use fewer folds",
    ),
    "rare count": (
        lambda: make_folds(5, make_problem(X, [0] * 18 + [1] * 4 + [2] * 2), 0),
        r"class 2 has 2; use fewer folds, .*\. The 3 whole numbers of y count as classes; pass task='regression' if",
    ),
    "classes that are no whole numbers": (
        lambda: make_problem(X, pd.Series([0.0, 1.5] * 12).astype("category")),
        r"must be whole, .* got 1.5; name them, y.astype\(str\)",
    ),
    "count that a fold lacks": (
        lambda: make_folds(TimeSeriesSplit(3), make_problem(X, [0, 1] * 10 + [0, 1, 2, 3]), 0),
        "2 is absent in fold 0; use .*; pass task='regression'",
    ),
    "count that only a test set has": (
        lambda: make_problem(X, [0, 1, 2] * 8, test=(X, [0, 1, 3] * 8)),
        "got 3; drop those rows.* pass task='regression'",
    ),
    "count too rare to hold out": (
        lambda: make_problem(X, [0, 1, 2] * 8, test=0.05),
        "cannot be split off: .* pass task='regression'",
    ),
    "distinct labels": (lambda: make_problem(X, [f"id{i}" for i in range(N)]), "Classes must repeat, got 24 distinct"),
    "numbers as text": (
        lambda: make_problem(X, [f"{i}.5" for i in range(N)]),
        r"24 of its 24 texts are numbers and too many for labels, such as '0\.5'; convert it, y = pd\.to_numeric",
    ),
    "a text among numbers": (
        lambda: make_problem(X, ["?", *(f"{i}" for i in range(N - 1))]),
        "23 of its 24 texts are numbers and not all, got '\\?'",
    ),
    "regression on text": (
        lambda: make_problem(X, [f"{i}.5" for i in range(N)], task="regression"),
        "numeric y, got .*; convert it, y = pd",
    ),
    "constant X": (lambda: make_problem(np.ones((N, 2)), Y), "X must vary, got the same row throughout; there is"),
    "constant frame": (lambda: make_problem(pd.DataFrame({"a": [1] * N}), Y), "X must vary"),
    "constant sparse": (lambda: make_problem(sparse.csr_array(np.ones((N, 2))), Y), "X must vary"),
    "all missing": (lambda: make_problem(np.full((N, 2), np.nan), Y), "X must vary"),
    "all missing frame": (lambda: make_problem(pd.DataFrame({"a": [np.nan] * N}), Y), "X must vary"),
    "object column": (
        lambda: make_problem(frame(c=[{}] * N), Y),
        r"got 1 of another type, the first being 'c' \(object\); convert it",
    ),
    "string column": (
        lambda: check_columns(make_problem(frame(c=["u", "v"] * (N // 2)), Y), "Linear"),
        "for Linear, got 1 .* 'c' .*astype",
    ),
    "date column": (
        lambda: check_columns(make_problem(frame(c=pd.date_range("2024", periods=N)), Y), "Net"),
        r"for Net, got 1 .* 'c' \(datetime64",
    ),
    "complex column": (lambda: make_problem(frame(c=X[:, 0] + 1j), Y), r"'c' \(complex128\); convert"),
    "bytes": (lambda: make_problem(X, np.where(Y > 0, b"yes", b"no")), r"got \|S3; decode it: y.astype\(str\)"),
    "object array": (lambda: make_problem(X.astype(object), Y), "X must hold numbers, got an array of object; use"),
    "string array": (lambda: make_problem(X.astype(str), Y), "X must hold numbers, got an array of <U32; use"),
    "complex array": (lambda: make_problem(X + 1j, Y), "X must hold numbers, got an array of complex128; use"),
    "complex sparse": (lambda: make_problem(sparse.csr_array(X + 1j), Y), "got a sparse array of complex128"),
    "inf in X": (lambda: make_problem(with_value(X, -np.inf), Y), "X must be finite, got 1 infinite values; clip"),
    "inf in frame": (lambda: make_problem(frame(c=with_value(Y, np.inf)), Y), "column 'c' of X must be finite, got 1"),
    "inf in sparse": (lambda: make_problem(sparse.csr_array(with_value(X, np.inf)), Y), "sparse X must be finite"),
    "NaN in sparse": (
        lambda: make_problem(sparse.csr_array(with_value(X, np.nan)), Y),
        "sparse X must have no NaN, got 1; impute",
    ),
    "duplicated names": (
        lambda: make_problem(pd.DataFrame(X, columns=["a", "b", "a"]), Y),
        "names of X must be unique, got 'a' twice; rename",
    ),
    "mixed names": (
        lambda: make_problem(pd.DataFrame(X, columns=["a", 1, 2]), Y),
        "names of X must be all strings or none, got 'a' and 1; rename",
    ),
    "1-D X": (lambda: make_problem(X[:, 0], Y), r"a table \[rows, columns\], .*, got 1 axis; reshape"),
    "series X": (lambda: make_problem(pd.Series(X[:, 0]), Y), "a table .*, got 1 axis; reshape"),
    "6-D X": (
        lambda: make_problem(IMAGES[:, None, None], Y),
        "sequences .rows, channels, length., images .rows, height, width. or .rows, channels, .*, got 6 axes",
    ),
    "1-D sparse X": (lambda: make_problem(sparse.coo_array(X[:, 0]), Y), "A sparse X must be a table .*, got 1 axes"),
    "constant images": (
        lambda: make_problem(np.ones_like(IMAGES), Y),
        "X must vary, got the same row throughout; there",
    ),
    "one image": (lambda: make_problem(X[None], [1.0]), "y must vary|X must vary"),
    "NaN in images": (
        lambda: make_problem(with_value(IMAGES.astype(np.float32), np.nan), Y),
        r"rows of the shape \(3, 5, 4\) must have no NaN, got 1; fill them, for example with np.nan_to_num\(X\)",
    ),
    "masked images": (
        lambda: make_problem(np.ma.masked_less(IMAGES, 9), Y),
        "must have no NaN, got .*; fill",
    ),
    "inf in images": (lambda: make_problem(with_value(IMAGES / 1.0, np.inf), Y), "X must be finite, got 1 inf.*; clip"),
    "complex images": (lambda: make_problem(IMAGES + 1j, Y), "X must hold numbers, got an array of complex128"),
    "object images": (lambda: make_problem(IMAGES.astype(object), Y), "X must hold numbers, got an array of object"),
    "images of no pixels": (lambda: make_problem(IMAGES[:, :, :0], Y), r"got the shape \(24, 3, 0, 4\); pass"),
    "short y of images": (lambda: make_problem(IMAGES, Y[1:]), "as many rows, got 24 and 23"),
    "ragged X": (lambda: make_problem([[1, 2], [3]], [0, 1]), "X must be a table"),
    "no rows": (lambda: make_problem(X[:0], Y[:0]), r"rows and columns, got the shape \(0, 3\); pass"),
    "no columns": (lambda: make_problem(X[:, :0], Y), r"rows and columns, got the shape \(24, 0\); pass"),
    "empty frame": (lambda: make_problem(pd.DataFrame(), Y), r"rows and columns, got the shape \(0, 0\); pass"),
    "negative weights": (
        lambda: make_problem(X, Y, sample_weight=with_value(np.ones(N), -2.0)),
        "sample_weight must be finite and not negative, got -2; fix",
    ),
    "NaN weights": (lambda: make_problem(X, Y, sample_weight=with_value(np.ones(N), np.nan)), "finite .* got nan; fix"),
    "zero weights": (
        lambda: make_problem(X, Y, sample_weight=np.zeros(N)),
        "got only zeros; leave",
    ),
    "short weights": (lambda: make_problem(X, Y, sample_weight=[1.0]), r"one value per row of X \(24\), got the shape"),
    "a word for weights": (
        lambda: make_problem(X, Y, sample_weight="balanced"),
        r"sample_weight must be one number per row .*class_weight='balanced'.*",
    ),
    "categories with a missing value of their own": (
        lambda: make_problem(pd.DataFrame({"odd": pd.Series([1, 2, None] * 8, dtype="Int64").astype("category")}), Y),
        r"must be of numpy's types or str, 'odd' has Int64; convert it",
    ),
    "text weights": (lambda: make_problem(X, Y, sample_weight=["heavy"] * N), "sample_weight must be numbers, got"),
    "short groups": (lambda: make_problem(X, Y, groups=[1, 2]), r"groups must have one value per row of X \(24\)"),
    "missing groups": (
        lambda: make_problem(X, Y, groups=[None, *"ab" * 11, "c"]),
        "groups must have no missing value, got 1",
    ),
    "unknown task": (lambda: make_problem(X, LABELS, task="classification"), "must be .*regression.*'classification'"),
    "text regression": (
        lambda: make_problem(X, LABELS, task="regression"),
        "needs a numeric y, got .*; drop",
    ),
    "three are not two": (lambda: make_problem(X, [0, 1, 2] * 8, task="binary"), "needs two classes, got 3; use"),
    "two are not many": (lambda: make_problem(X, LABELS, task="multiclass"), "at least three classes, got 2; use"),
    "test of none": (lambda: make_problem(X, Y, test=0.0), r"between 0 and 1 or a pair \(X, y\), got 0.0"),
    "test of all": (lambda: make_problem(X, Y, test=1.0), "between 0 and 1 or a pair"),
    "test too large": (lambda: make_problem(X, LABELS, test=0.99), "test=0.99 cannot be split off"),
    "ordered test too large": (lambda: make_problem(X, Y, test=0.99, ordered=True), "test=0.99 leaves"),
    "test count": (lambda: make_problem(X, Y, test=5), "a fraction or a pair .*, got 5"),
    "test name": (lambda: make_problem(X, Y, test="20"), "a fraction or a pair .*, got '20'"),
    "test width": (lambda: make_problem(X, Y, test=(X[:, :2], Y)), r"must have the columns of X \(3\), got 2"),
    "test type": (lambda: make_problem(X, Y, test=(pd.DataFrame(X), Y)), "must have the columns of X"),
    "test names": (lambda: make_problem(frame(), Y, test=(frame().add_suffix("2"), Y)), "'a' is missing"),
    "test flags as text": (
        lambda: make_problem(frame(c=Y > 0), Y, test=(frame(c=(Y > 0).astype(str)), Y)),
        "'c' is text .str. and there boolean .bool.; convert",
    ),
    "test numbers as text": (
        lambda: make_problem(frame(), Y, test=(frame().astype({"b": str}), Y)),
        "'b' is text .str. and there numeric .float64.; convert",
    ),
    "test dates as text": (
        lambda: make_problem(frame(c=DAYS), Y, test=(frame(c=DAYS.astype(str)), Y)),
        "'c' is text .* and there date",
    ),
    "test length": (lambda: make_problem(X, Y, test=(X, Y[1:])), "as many rows in X as in y, got 24 and 23"),
    "test labels": (lambda: make_problem(X, LABELS, test=(X, ["dogs"] * N)), "classes of y, got .*'dogs'.*; drop"),
    "test codes": (lambda: make_problem(X, [0, 1] * 12, test=(X, [0.5] * N)), "classes of y, got .*0.5.*; drop"),
    "NaN in test y": (lambda: make_problem(X, Y, test=(X, with_value(Y, np.nan))), "y of the test set must have no"),
    "text in test y": (lambda: make_problem(X, Y, test=(X, LABELS)), "y of the test set"),
    "inf in test y": (lambda: make_problem(X, Y, test=(X, with_value(Y, np.inf))), "y of the test set must be finite"),
    "wide test y": (lambda: make_problem(X, Y, test=(X, WIDE)), r"must have 1 target \(y\), got 3; pass"),
    "narrow test y": (lambda: make_problem(X, WIDE, test=(X, Y)), r"must have 3 targets \(y0, y1, y2\), got 1; pass"),
    "names in test y": (
        lambda: make_problem(X, RENTS, test=(X, RENTS.rename(columns={"tax": "toll"}))),
        "must have the targets price, rent, tax, 'tax' is missing; rename",
    ),
    "length of test targets": (lambda: make_problem(X, WIDE, test=(X, WIDE[1:])), "in X as in y, got 24 and 23"),
    "NaN in test targets": (
        lambda: make_problem(X, RENTS, test=(X, RENTS.assign(tax=with_value(Y, np.nan)))),
        "target 'tax' of the test set must have no missing value, got 1; drop",
    ),
    "text in test targets": (
        lambda: make_problem(X, RENTS, test=(X, RENTS.assign(rent=LABELS))),
        "target 'rent' of the test set must be numbers as in y, got <U3; convert",
    ),
    "test images": (
        lambda: make_problem(IMAGES, Y, test=(IMAGES[:, :, :4], Y)),
        r"must have the columns of X \(3 x 5 x 4\), got 3 x 4 x 4 in a ndarray",
    ),
    "turned test images": (
        lambda: make_problem(IMAGES, Y, test=(IMAGES.swapaxes(2, 3), Y)),
        "got 3 x 4 x 5 in a ndarray",
    ),
    "flat test images": (lambda: make_problem(IMAGES, Y, test=(IMAGES.reshape(N, -1), Y)), "got 60 in a ndarray"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses(case: str) -> None:
    """What cannot be searched is refused before any fit, in one sentence with the invariant, the value and the fix."""
    make, message = BAD[case]
    with pytest.raises(InvalidInput, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert str(caught.value)[-1] in ".)" or caught.value.__cause__ is not None


# --- odd but legal ---------------------------------------------------------------------------------------------

LEGAL: dict[str, Callable[[], Any]] = {
    "more columns than rows": lambda: RNG.normal(size=(N, 60)),
    "duplicate columns": lambda: np.hstack([X, X]),
    "constant columns": lambda: np.hstack([X, np.full((N, 2), 0.1)]),
    "empty column": lambda: np.hstack([X, np.full((N, 1), np.nan)]),
    "missing entries": lambda: np.where(RNG.random(X.shape) < 0.2, np.nan, X),
    "single column": lambda: X[:, :1],
    "float32": lambda: X.astype(np.float32),
    "float16": lambda: X.astype(np.float16),
    "integers": lambda: np.round(10 * X).astype(int),
    "unsigned": lambda: np.round(10 * X**2).astype(np.uint8),
    "booleans": lambda: X > 0,
    "lists": X.tolist,
    "C order": lambda: np.ascontiguousarray(X),
    "strided": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": lambda: frozen(X),
    "read-only with NaN": lambda: frozen(with_value(X, np.nan)),
    "csr": lambda: sparse.csr_array(np.where(X > 0, X, 0)),
    "csc matrix": lambda: sparse.csc_matrix(np.where(X > 0, X, 0)),
    "sparse integers": lambda: sparse.coo_array((X > 0).astype(int)),
    "sparse booleans": lambda: sparse.csr_array(X > 0),
    "frame": lambda: frame(c=pd.Categorical(["u", "v"] * 12), d=X[:, 2] > 0),
    "integer names": lambda: pd.DataFrame(X, columns=[2, 0, 1]),
    "integer names and categories": lambda: frame(c=pd.Categorical(["u", "v"] * 12)).set_axis([7, 2, 0], axis=1),
    "tuple names": lambda: pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])),
    "string index": lambda: frame().set_axis([f"row {i}" for i in range(N)]),
    "date index": lambda: frame().set_axis(pd.date_range("2024", periods=N)),
    "duplicated index": lambda: frame().set_axis([0] * N),
    "shuffled index": lambda: frame().set_axis(RNG.permutation(N)),
    "nullable": lambda: frame(
        i=pd.array([pd.NA, *range(N - 1)], dtype="Int64"),
        f=pd.array([pd.NA, *X[1:, 2]], dtype="Float32"),
        b=pd.array([pd.NA, *(X[1:, 2] > 0)], dtype="boolean"),
    ),
    "arrow": lambda: frame(i=pd.array([None, *range(N - 1)], dtype="int64[pyarrow]")),
    "missing category": lambda: frame(c=pd.Categorical([None, "u", "v"] * 8)),
    "numeric categories": lambda: frame(c=pd.Categorical([3, 1, 2] * 8, categories=[3, 1, 2])),
    "numeric categories with NaN": lambda: frame(c=pd.Categorical([3, np.nan, 2] * 8, categories=[3, 2])),
    "boolean categories": lambda: frame(c=pd.Categorical([True, False] * 12)),
    "ordered categories": lambda: frame(c=pd.Categorical(["u", "v"] * 12, categories=["v", "u"], ordered=True)),
    "unused categories": lambda: frame(c=pd.Categorical(["u", "v"] * 12, categories=["w", "v", "u"])),
    "only categories": lambda: frame(c=pd.Categorical(["u", "v", "w"] * 8))[["c"]],
    "only booleans": lambda: pd.DataFrame(X > 0, columns=list("abc")),
}


def frozen(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


@pytest.mark.parametrize("case", LEGAL)
def test_odd_but_legal(case: str) -> None:
    """Odd but legal data is fitted, left as it was given, and its refit predicts raw rows of the same kind."""
    given_X = LEGAL[case]()
    before = given_X.copy()
    problem = make_problem(given_X, Y)
    assert problem.task == "regression"
    assert (problem.rows, problem.columns) == np.shape(given_X)
    assert len(problem.column_names) == problem.columns
    outcome = fitted(problem)
    pipeline = outcome.candidate.config.refit(problem, 0)
    np.testing.assert_allclose(pipeline.predict(problem.X), pipeline.predict(problem.X[:]))
    again = make_problem(before, Y)
    assert again.fingerprint == problem.fingerprint
    np.testing.assert_array_equal(fitted(again).predictions, outcome.predictions)


TARGETS: dict[str, tuple[Callable[[], Any], str]] = {
    "floats": (lambda: Y, "regression"),
    "float32": (lambda: Y.astype(np.float32), "regression"),
    "whole floats": (lambda: np.array([0.0, 1.0] * 12), "regression"),
    "many integers": (lambda: np.arange(N), "regression"),
    "twenty integers": (lambda: np.repeat(np.arange(20), 2), "multiclass"),
    "twenty-one integers": (lambda: np.repeat(np.arange(21), 2), "regression"),
    "column": (lambda: Y[:, None], "regression"),
    "one-column frame": (lambda: pd.DataFrame({"name": Y}), "regression"),
    "list": (lambda: list(Y), "regression"),
    "two integers": (lambda: np.array([0, 1] * 12), "binary"),
    "signs": (lambda: np.array([-1, 1] * 12), "binary"),
    "booleans": (lambda: Y > 0, "binary"),
    "nullable booleans": (lambda: pd.array(Y > 0, dtype="boolean"), "binary"),
    "nullable integers": (lambda: pd.Series([0, 1, 2] * 8, dtype="Int64"), "multiclass"),
    "nullable floats": (lambda: pd.Series(Y, dtype="Float64"), "regression"),
    "strings": (lambda: LABELS, "binary"),
    "string series": (lambda: pd.Series(LABELS, index=range(5, N + 5)), "binary"),
    "objects": (lambda: np.array(["u", "vv", "w"] * 8, dtype=object), "multiclass"),
    "categories": (lambda: pd.Categorical(["u", "vv", "w"] * 8), "multiclass"),
    "number categories": (lambda: pd.Series(pd.Categorical([10, 20] * 12)), "binary"),
    "many number categories": (lambda: pd.Series(np.repeat(np.arange(25), 2)).astype("category"), "multiclass"),
    "float categories": (lambda: pd.Series([0.0, 1.0] * 12).astype("category"), "binary"),
    "object numbers": (lambda: np.array(list(Y), dtype=object), "regression"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_task_is_inferred(case: str) -> None:
    """The task follows from the values of y, and its labels come back as they were given."""
    make, task = TARGETS[case]
    y = make()
    problem = make_problem(np.resize(X, (len(y), 3)) + np.arange(len(y))[:, None], y)
    assert problem.task == task
    assert (problem.classes is None) == (task == "regression")
    assert problem.labels.tolist() == np.ravel(np.asarray(y)).tolist()


def test_a_test_set_may_have_other_types_of_the_same_kinds() -> None:
    """Flags as 0 and 1, categories as text, whole numbers as real ones, and a column of which no value is known."""
    known = frame(c=Y > 0, d=pd.Categorical(["u", "v"] * 12), e=np.arange(N), f=DAYS)
    other = known.assign(c=(Y > 0).astype(int), d=["u", "v"] * 12, e=np.arange(float(N)), f=np.nan)
    held = make_problem(known, Y, test=(other[[*"fedcba"]], Y)).test
    assert held is not None
    assert list(held.X.columns) == [*"abcdef"]


def test_task_can_be_given() -> None:
    """What the values suggest can be overruled."""
    assert make_problem(X, np.array([0, 1] * 12), task="regression").task == "regression"
    assert make_problem(X, np.array([0.0, 1.0] * 12), task="binary").classes.tolist() == [0.0, 1.0]
    assert infer_task(np.array([1, 2, 2, 3])) == "multiclass"
    counts = pd.Series([0, 2, 5] * 8)
    assert make_problem(X, counts).inferred
    assert not make_problem(X, counts.astype("category")).inferred  # it says that these are labels


def test_column_kinds() -> None:
    """Columns are numeric, boolean or categorical by their dtype alone."""
    data = frame(c=pd.Categorical(["u", "v"] * 12), d=X[:, 2] > 0, e=pd.array([True, None] * 12, dtype="boolean"))
    assert column_kinds(data) == (["a", "b"], ["d", "e"], ["c"])


# --- images and several targets --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, bool, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("gray", [True, False])
def test_images(dtype: Any, gray: bool) -> None:
    """Images of any numbers are taken as they are, without a copy, and so are their axes."""
    given_X = (IMAGES[:, 0] if gray else IMAGES).astype(dtype)
    problem = make_problem(given_X, LABELS)
    assert problem.X.dtype == dtype
    assert np.shares_memory(problem.X, given_X)
    assert problem.X.shape == (N, *problem.grid)
    assert problem.grid == ((5, 4) if gray else (3, 5, 4))
    assert (problem.rows, problem.columns) == (N, given_X[0].size)
    assert len(set(problem.column_names)) == problem.columns
    np.testing.assert_array_equal(problem.X.reshape(given_X.shape), given_X)
    assert make_problem(problem.X, LABELS).fingerprint == problem.fingerprint
    assert make_problem(given_X.tolist(), LABELS).grid == problem.grid


def test_a_table_is_no_image() -> None:
    """Tables of every form have no image shape."""
    for data in (X, X.astype(np.uint8), sparse.csr_array(X), frame(), X.tolist()):
        assert make_problem(data, Y).grid is None


def test_parts_of_images() -> None:
    """Parts and held-out sets of images are images with their rows' labels, given or drawn."""
    numbered = np.arange(N * 6, dtype=np.uint8).reshape(N, 2, 3)
    part = make_problem(numbered, Y).take(np.array([7, 1]))
    np.testing.assert_array_equal(part.X, numbered[[7, 1]])
    np.testing.assert_array_equal(part.y, Y[[7, 1]])
    drawn = make_problem(numbered, Y, test=0.25)
    rows = np.concatenate([drawn.X, drawn.test.X])[:, 0, 0] // 6
    assert (drawn.test.rows, drawn.test.grid) == (6, (2, 3))
    np.testing.assert_array_equal(np.concatenate([drawn.y, drawn.test.y]), Y[rows])
    for other in (numbered[:5], numbered[:5, None]):
        pair = make_problem(numbered, Y, test=(other, Y[:5])).test
        assert (pair.rows, pair.grid, pair.X.dtype) == (5, (2, 3), np.uint8)


@given(row=st.integers(0, N - 1), pixel=st.integers(0, 59), value=st.integers(0, 255))
def test_fingerprint_of_any_pixel(row: int, pixel: int, value: int) -> None:
    """Every pixel counts."""
    changed = IMAGES.copy()
    changed.reshape(N, -1)[row, pixel] = value
    same = make_problem(changed, Y).fingerprint == make_problem(IMAGES, Y).fingerprint
    assert same == np.array_equal(changed, IMAGES)


def test_fingerprint_of_shapes() -> None:
    """The same numbers in other shapes, or of another type, are other data; how they lie in memory is no matter."""
    shapes = [(N, 60), (N, 3, 5, 4), (N, 3, 4, 5), (N, 1, 15, 4), (N, 12, 5), (N, 5, 12)]
    assert len({make_problem(IMAGES.reshape(shape), Y).fingerprint for shape in shapes}) == len(shapes)
    assert make_problem(IMAGES.astype(int), Y).fingerprint != make_problem(IMAGES, Y).fingerprint
    last = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert make_problem(last, Y).fingerprint == make_problem(IMAGES, Y).fingerprint
    assert make_problem(frozen(IMAGES), Y).fingerprint == make_problem(IMAGES, Y).fingerprint


@given(row=st.integers(0, 999), column=st.integers(0, 2), kind=st.sampled_from([np.uint8, np.float64]))
def test_one_entry_is_enough_to_vary(row: int, column: int, kind: Any) -> None:
    """Wherever X has its only other entry, it varies; missing entries are equal to each other."""
    data = np.full((1000, 3), np.nan if kind is np.float64 else 7).astype(kind)
    data[row, column] = 3
    assert make_problem(data, np.arange(1000.0)).columns == 3


SEVERAL: dict[str, Callable[[], Any]] = {
    "array": lambda: WIDE,
    "float32": lambda: WIDE.astype(np.float32),
    "lists": WIDE.tolist,
    "F order": lambda: np.asfortranarray(WIDE),
    "frame": lambda: RENTS,
    "many integers": lambda: np.column_stack([np.arange(N), np.arange(N)[::-1]]),
    "mixed frame": lambda: RENTS.assign(count=np.arange(N), small=WIDE[:, 0].astype(np.float16)),
    "nullable frame": lambda: RENTS.assign(rent=pd.array(Y, dtype="Float64"), count=pd.array(range(N), dtype="Int64")),
    "objects": lambda: WIDE.astype(object),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_several_targets(case: str) -> None:
    """Columns of numbers are a regression of several targets, in double precision, in their order."""
    y = SEVERAL[case]()
    problem = make_problem(X, y)
    assert (problem.task, problem.classes) == ("regression", None)
    assert (problem.y.dtype, problem.y.shape) == (np.float64, np.shape(y))
    assert problem.targets == problem.outputs == len(problem.target_names) == np.shape(y)[1]
    np.testing.assert_array_equal(problem.y, np.asarray(y, dtype=float))
    np.testing.assert_array_equal(problem.labels, problem.y)
    np.testing.assert_array_equal(problem.take(np.array([3, 1])).y, problem.y[[3, 1]])


def test_few_whole_numbers_can_be_several_targets() -> None:
    """Columns that look like labels are regressed on when the task says so."""
    y = np.eye(3, dtype=int)[np.arange(N) % 3]
    for given_y in (y, y.astype(bool), pd.DataFrame(y)):
        np.testing.assert_array_equal(make_problem(X, given_y, task="regression").y, y)


@pytest.mark.parametrize(
    ("y", "outputs"), [(Y, 1), (Y[:, None], 1), (RENTS[["tax"]], 1), (LABELS, 1), ([0, 1, 2] * 8, 3)]
)
def test_one_target(y: Any, outputs: int) -> None:
    """A single column is a y of one axis; classes are one target, with a logit each when there are more than two."""
    problem = make_problem(X, y)
    assert (problem.y.shape, problem.targets, problem.outputs) == ((N,), 1, outputs)


def test_held_out_targets() -> None:
    """A held-out set has the targets of y: drawn with its rows, by place, or in a DataFrame by name."""
    drawn = make_problem(X, RENTS, test=0.25)
    assert (drawn.test.y.shape, drawn.test.name) == ((6, 3), "price, rent, tax")
    rows = np.concatenate([drawn.X, drawn.test.X])
    np.testing.assert_array_equal(np.concatenate([drawn.y, drawn.test.y])[:, 1], rows[:, 0])
    by_place = make_problem(X, RENTS, test=(X, WIDE)).test
    by_name = make_problem(X, RENTS, test=(X, RENTS[["tax", "price", "rent"]].astype(object))).test
    np.testing.assert_array_equal(by_place.y, WIDE)
    np.testing.assert_array_equal(by_name.y, WIDE)
    assert by_name.y.dtype == np.float64


@given(row=st.integers(0, N - 1), target=st.integers(0, 2), value=st.floats(-1e6, 1e6))
def test_fingerprint_of_any_target(row: int, target: int, value: float) -> None:
    """Every value of every target counts."""
    changed = WIDE.copy()
    changed[row, target] = value
    same = make_problem(X, changed).fingerprint == make_problem(X, WIDE).fingerprint
    assert same == (value == WIDE[row, target])


# --- fingerprint -----------------------------------------------------------------------------------------------


def mixed(**changes: Any) -> Problem:
    """A problem with everything that a fingerprint covers."""
    fields: dict[str, Any] = {
        "X": frame(c=pd.Categorical(["u", "v"] * 12), d=X[:, 2] > 0),
        "y": LABELS,
        "groups": np.arange(N) % 4,
        "sample_weight": np.arange(1.0, N + 1),
        "test": (frame(c=pd.Categorical(["u", "v"] * 12), d=X[:, 2] > 0), LABELS),
        **changes,
    }
    return make_problem(fields.pop("X"), fields.pop("y"), **fields)


def recategorised(*levels: str) -> pd.DataFrame:
    return mixed().X.assign(c=pd.Categorical.from_codes([0, 1] * 12, list(levels)))


@pytest.mark.parametrize(
    "changes",
    [
        {"X": mixed().X.assign(a=with_value(X[:, 0], 0.0))},
        {"X": mixed().X.assign(a=with_value(X[:, 0], np.nan))},
        {"X": mixed().X.assign(d=~mixed().X["d"])},
        {"X": mixed().X.rename(columns={"a": "z"}), "test": None},
        {"X": mixed().X[["b", "a", "c", "d"]]},
        {"X": mixed().X[::-1]},
        {"X": recategorised("u", "w")},
        {"y": with_value(LABELS, "cat" if LABELS[1] == "dog" else "dog")},
        {"y": np.char.replace(LABELS, "cat", "car"), "test": None},
        {"y": (LABELS == "cat").astype(int), "test": None},
        {"groups": np.arange(N) % 5},
        {"groups": None},
        {"sample_weight": np.arange(2.0, N + 2)},
        {"sample_weight": None},
        {"test": None},
        {"test": (mixed().X[::-1], LABELS)},
    ],
)
def test_fingerprint_changes(changes: dict[str, Any]) -> None:
    """A fingerprint changes with any value, label, weight, group, category or column name, and test data."""
    assert mixed(**changes).fingerprint != mixed().fingerprint
    without_test = {"test": None} | {key: value for key, value in changes.items() if key != "test"}
    assert len({mixed(**changes).fingerprint, mixed().fingerprint, mixed(**without_test).fingerprint}) >= 2


def test_fingerprint_of_names_with_bars() -> None:
    """Category names cannot be confused, whatever is in them."""
    first, second = recategorised("u|v", "w"), recategorised("u", "v|w")
    assert mixed(X=first, test=None).fingerprint != mixed(X=second, test=None).fingerprint


@given(row=st.integers(0, N - 1), column=st.integers(0, 2), value=st.floats(-1e6, 1e6), form=st.integers(0, 2))
def test_fingerprint_of_any_entry(row: int, column: int, value: float, form: int) -> None:
    """Whatever the form of X, every entry counts, and equal data has an equal fingerprint."""
    make = [np.asarray, sparse.csr_array, pd.DataFrame][form]
    changed = X.copy()
    changed[row, column] = value
    assert make_problem(make(X), Y).fingerprint == make_problem(make(X.copy()), Y).fingerprint
    same = make_problem(make(changed), Y).fingerprint == make_problem(make(X), Y).fingerprint
    assert same == (value == X[row, column])


@pytest.mark.slow
def test_fingerprint_is_stable_across_processes() -> None:
    """Another process, with another hash seed, gives the same data the same fingerprint."""
    script = (
        "import pandas as pd; from regsearch.data.problem import make_problem\n"
        "X = pd.DataFrame({'a': [1.5, 2, None, 4] * 3, 'b': pd.Categorical(['u', 'v', None] * 4)})\n"
        "made = make_problem(X, list('xyzzy') * 2 + ['x', 'y'], groups=list('abc') * 4, test=.25).fingerprint"
    )
    here: dict[str, Any] = {}
    exec(script, here)
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    command = [sys.executable, "-c", f"{script}; print(made)"]
    there = subprocess.check_output(command, env={"PYTHONHASHSEED": seed}, text=True).strip()
    assert len(there) == 16
    assert there == here["made"]


# --- the held-out set ------------------------------------------------------------------------------------------


def test_fraction_is_stratified() -> None:
    """A held-out fraction of a classification has its share of every class, and parts make up the whole."""
    y = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    data = np.arange(100.0)[:, None]
    problem = make_problem(data, y, sample_weight=np.arange(1.0, 101), test=0.2, seed=3)
    assert np.bincount(problem.test.y).tolist() == [12, 6, 2]
    assert problem.test.test is None
    rows = np.concatenate([problem.X[:, 0], problem.test.X[:, 0]]).astype(int)
    assert sorted(rows) == list(range(100))
    np.testing.assert_array_equal(np.concatenate([problem.labels, problem.test.labels]), y[rows])
    np.testing.assert_array_equal(problem.test.sample_weight, problem.test.X[:, 0] + 1)
    again, other = (make_problem(data, y, test=0.2, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(again.test.X, problem.test.X)
    assert not np.array_equal(other.test.X, problem.test.X)


@pytest.mark.parametrize("labels", [False, True])
def test_fraction_keeps_groups_together(labels: bool) -> None:
    """With groups, none is in both parts."""
    groups = np.arange(N) // 3
    problem = make_problem(X, LABELS if labels else Y, groups=groups, test=0.25)
    assert not set(problem.groups) & set(problem.test.groups)
    assert problem.rows + problem.test.rows == N


def test_ordered_fraction_is_the_last_rows() -> None:
    """Rows ordered in time are held out at the end."""
    problem = make_problem(X, Y, test=0.25, ordered=True)
    np.testing.assert_array_equal(problem.test.X, X[18:])
    np.testing.assert_array_equal(problem.y, Y[:18])
    assert make_problem(X, Y, test=0.001, ordered=True).test.rows == 1


def test_given_pair() -> None:
    """A given pair has its columns put in order and its labels coded as those of y."""
    other = frame(c=X[:, 2])[["c", "b", "a"]]
    problem = make_problem(frame(c=X[:, 2]), LABELS, test=(other, list(LABELS[::-1])))
    assert list(problem.test.X.columns) == ["a", "b", "c"]
    assert problem.test.labels.tolist() == LABELS[::-1].tolist()
    assert problem.test.groups is None
    one_class = make_problem(X, LABELS, test=(X, ["dog"] * N)).test
    assert one_class.labels.tolist() == ["dog"] * N
    column = make_problem(X, Y, test=(X, pd.DataFrame({"y": Y}))).test
    np.testing.assert_array_equal(column.y, Y)
    booleans = make_problem(X, Y > 0, test=(X, (Y > 0).astype(object))).test
    np.testing.assert_array_equal(booleans.labels, Y > 0)


def test_take() -> None:
    """A part has its own rows of everything, and no test set."""
    rows = np.array([5, 2, 7])
    part = mixed().take(rows)
    assert part.X.index.tolist() == [5, 2, 7]
    assert part.labels.tolist() == LABELS[rows].tolist()
    assert part.groups.tolist() == [1, 2, 3]
    assert part.sample_weight.tolist() == [6.0, 3.0, 8.0]
    assert part.test is None


def test_name() -> None:
    """The target is called what the user calls it."""
    assert make_problem(X, pd.Series(Y, name="price")).name == "price"
    assert make_problem(X, Y).name == "y"
    assert make_problem(X, RENTS).name == "price, rent, tax"
    assert make_problem(X, RENTS[["tax"]]).name == "tax"
    assert make_problem(X, WIDE).name == "y0, y1, y2"
