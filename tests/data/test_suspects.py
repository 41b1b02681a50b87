"""What is said of columns before a search: of each kind of suspect, and nothing of columns that are in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from samples import study
from scipy import sparse
from sklearn import datasets

from regsearch import Linear
from regsearch.data.problem import make_problem
from regsearch.data.suspects import Suspects, suspects

N = 240
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
CLASS = Y > 0
THREE = np.array(["u", "v", "w"])[np.digitize(Y, [-0.4, 0.4])]
PLAIN = pd.DataFrame(
    {"x": Y + RNG.normal(size=N), "z": RNG.normal(size=N), "kind": pd.Categorical(THREE[RNG.permutation(N)])}
)
HOLES = RNG.random(N) < 0.1

SUSPECT: dict[str, dict[str, Callable[[], Any]]] = {
    "empty": {
        "NaN": lambda: np.nan,
        "None": lambda: [None] * N,
        "no category": lambda: pd.Categorical([None] * N, categories=["a", "b"]),
        "no flag": lambda: pd.array([None] * N, dtype="boolean"),
    },
    "constant": {
        "number": lambda: 2.5,
        "flag": lambda: True,
        "category": lambda: pd.Categorical(["a"] * N, categories=["a", "b"]),
    },
    "ids": {
        "row numbers": lambda: np.arange(N),
        "shuffled": lambda: RNG.permutation(N) + 1000.0,
        "falling": lambda: -np.arange(N),
        "categories": lambda: pd.Categorical([f"row {i}" for i in range(N)]),
    },
    "disguised": {
        "y": lambda: Y,
        "another unit": lambda: -1000 * Y + 7,
        "rounded": lambda: Y.round(2),
        "y to the power of e": lambda: np.exp(3 * Y),
        "with holes": lambda: np.where(HOLES, np.nan, Y),
        "a little noise": lambda: Y + RNG.normal(size=N) / 100,
    },
}  # fmt: skip


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, cases in SUSPECT.items() for case in cases])
def test_suspects_are_named(kind: str, case: str) -> None:
    """A column of each kind is named as that, alone, in a line that says what to do."""
    found = suspects(make_problem(PLAIN.assign(odd=SUSPECT[kind][case]()), Y))
    assert found == Suspects(**{kind: ("odd",)})
    (line,) = found.lines()
    assert "'odd'" in line
    assert "drop them" in line


CLASSES: dict[str, tuple[Callable[[], Any], Any]] = {
    "the label": (lambda: pd.Categorical(THREE), THREE),
    "another label": (lambda: pd.Categorical(np.where(CLASS, "good", "bad")), CLASS),
    "a flag": (lambda: CLASS, CLASS),
    "codes": (lambda: np.where(CLASS, 7, 3), CLASS),
    "codes in another order": (lambda: np.select([THREE == "u", THREE == "v"], [5, 1], 3), THREE),
    "what the classes were cut from": (lambda: Y, THREE),
    "a number": (lambda: Y, CLASS),
}


@pytest.mark.parametrize("case", CLASSES)
def test_disguised_classes(case: str) -> None:
    """A column that has each class in values of its own is named."""
    made, y = CLASSES[case]
    assert suspects(make_problem(PLAIN[["x", "z"]].assign(odd=made()), y)) == Suspects(disguised=("odd",))


def test_names_of_ids() -> None:
    """Distinct whole numbers are an id where their name says so, and measurements where it does not."""
    numbers = RNG.permutation(10**6)[:N]
    for name in ("id", "ID", "customer_id", "PassengerId", "order no", "Unnamed: 0"):
        assert suspects(make_problem(PLAIN.assign(**{name: numbers}), Y)).ids == (name,)
    for name in ("area", "paid", "income", "grid", "period"):
        assert suspects(make_problem(PLAIN.assign(**{name: numbers}), Y)) == Suspects()


@pytest.mark.parametrize(
    "load", [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer, datasets.load_diabetes]
)
@pytest.mark.parametrize("as_frame", [True, False])
def test_known_data_are_in_order(load: Callable[..., Any], as_frame: bool) -> None:
    """Nothing is said of scikit-learn's data, but for the pixels of its digits that are always white."""
    assert suspects(make_problem(*load(return_X_y=True, as_frame=as_frame))) == Suspects()


def test_known_data_with_constant_columns() -> None:
    """Pixels that are white in every digit are constant, dense or sparse; its ten classes are no count."""
    X, y = datasets.load_digits(return_X_y=True)
    constant = tuple(f"x{j}" for j in np.flatnonzero(np.ptp(X, axis=0) == 0))
    for rows in (X, sparse.csr_array(X)):
        assert suspects(make_problem(rows, y)) == Suspects(constant=constant)
    assert suspects(make_problem(*datasets.load_linnerud(return_X_y=True))) == Suspects()


@pytest.mark.parametrize("seed", range(6))
def test_chance_is_no_suspect(seed: int) -> None:
    """Columns that know much of y, few rows, distinct sentences, dates and a single column are in order."""
    rng = np.random.default_rng(seed)
    made = [
        datasets.make_regression(60, 8, n_informative=3, noise=1.0, random_state=seed),
        datasets.make_classification(80, 8, n_informative=3, class_sep=3.0, random_state=seed),
        (*(hastie := datasets.make_hastie_10_2(120, random_state=seed))[:1], hastie[1].astype(int)),
        (rng.normal(size=(12, 6)), rng.integers(0, 2, 12)),
        (np.arange(60.0)[:, None], rng.normal(size=60)),
        (PLAIN.assign(day=pd.date_range("2024", periods=N), said=[f"it was {i}" for i in range(N)]), Y),
        (PLAIN.assign(day=pd.date_range("2024", periods=N).strftime("%d/%m/%Y")), Y),
        (PLAIN.assign(said=[None if hole else f"it was {i}" for i, hole in enumerate(HOLES)]), Y),
        (PLAIN.assign(said=[f"it was {i // 2}" for i in range(N)]), np.repeat(Y[::2], 2)),
    ]
    for X, y in made:
        assert suspects(make_problem(X, y)) == Suspects()


def test_rows_without_weight_are_not_looked_at() -> None:
    """A column that varies in rows of weight zero alone is constant, and two of weight one are not told apart."""
    weights = np.where(np.arange(N) < N // 2, 1.0, 0.0)
    X = PLAIN[["x", "z"]].assign(odd=np.where(weights > 0, 3.0, Y))
    assert suspects(make_problem(X, Y, sample_weight=weights)) == Suspects(constant=("odd",))
    assert suspects(make_problem(X, Y)) == Suspects()


@pytest.mark.parametrize(
    ("y", "task", "count"),
    [
        (RNG.poisson(2, N).clip(0, 6), None, 7),
        (np.arange(N) % 12, None, 12),
        (np.array([0, 1, 2, 4])[np.arange(N) % 4], None, 4),
        (np.arange(N) % 5, None, 0),
        (np.arange(N) % 2 * 2, None, 0),
        (RNG.poisson(2, N).clip(0, 6), "multiclass", 0),
        (RNG.poisson(2, N).clip(0, 6), "regression", 0),
    ],
)
def test_counts_that_look_like_classes(y: Any, task: Any, count: int) -> None:
    """Whole numbers with gaps, many of them or some rare, are asked about, unless the task was given."""
    found = suspects(make_problem(PLAIN[["x"]], y, task=task))
    assert found.count == count
    assert bool(found.lines()) == bool(count)
    assert all("pass task='regression'" in line for line in found.lines())


def test_many_are_cut() -> None:
    """A line names a few columns, and says how many more there are."""
    (line,) = Suspects(constant=tuple(f"x{j}" for j in range(40))).lines()
    assert "'x0', 'x1'" in line
    assert "and 34 more" in line


def test_a_study_says_it_before_its_first_trial(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, before the search, and again when the study goes on; quiet says none."""
    X = PLAIN.assign(row=np.arange(N), empty=np.nan, price=Y * 3)
    one = study(tmp_path, data=(X, Y), space=Linear())
    for trials in (1, 2):
        one.run(trials)
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(":")[0] for line in lines[1:4]] == [
            "Columns without any value",
            "Columns that number or name the rows, such as an id",
            "Columns that tell y alone",
        ]
    one.run(3, quiet=True)
    assert capsys.readouterr().err == ""
    assert "Begin with 'price', which tells y alone." in one.results().advice[0].text


def test_labels_that_were_read_as_numbers_are_told() -> None:
    """Two or three whole numbers as floats are searched as quantities, and a line says how to have them as classes."""
    X, labels = datasets.make_hastie_10_2(120, random_state=0)
    found = suspects(make_problem(X, labels))
    assert found == Suspects(labels=2)
    assert "pass task='binary' if they are labels" in found.lines()[0]
    thirds = np.arange(120.0) % 3
    assert "task='multiclass'" in suspects(make_problem(X, thirds)).lines()[0]
    for y, task in ((labels, "regression"), (labels, "binary"), (labels + 0.5, None), (np.arange(120.0) % 4, None)):
        assert suspects(make_problem(X, y, task=task)) == Suspects()
