"""Whatever cannot be searched is refused in one sentence, before any fit and before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from samples import outcomes, regression
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold

from regsearch import L1, Choice, Estimator, Float, InvalidInput, Linear, RegsearchError, Study, StudyMismatch, spaces

X, Y = regression()
LABELS = np.where(Y > 0, "up", "down")
HALVES = (np.arange(30), np.arange(30, 60))


class Forbidden(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose fit is a failed test."""

    def __init__(self, strength: float = 1.0) -> None:
        self.strength = strength

    def fit(self, X: Any, y: Any) -> Any:
        pytest.fail("something was fitted")


SPACE = Estimator(Forbidden(), {"strength": Float(0, 1)})
FRAME = pd.DataFrame(X[:, :2], columns=["a", "b"])


def changed(values: Any, place: Any, value: Any) -> Any:
    copy = np.array(values, dtype=object if isinstance(value, str) or value is None else float)
    copy[place] = value
    return copy


BAD_DATA = {
    "X of text": (X.astype(str), Y),
    "X of one axis": (X[:, 0], Y),
    "images for a model of tables": (X.reshape(60, 1, 3, 2), Y),
    "X of five axes": (X[:, :, None, None, None], Y),
    "images with NaN": (changed(X, (3, 2), np.nan).reshape(60, 3, 2), Y),
    "X without rows": (X[:0], Y[:0]),
    "X without columns": (X[:, :0], Y),
    "X constant": (np.ones_like(X), Y),
    "X infinite": (changed(X, (3, 2), np.inf), Y),
    "sparse X with NaN": (sparse.csr_array(changed(X, (3, 2), np.nan)), Y),
    "complex X": (X + 1j, Y),
    "frame with text": (FRAME.assign(name="x"), Y),
    "frame with dates": (FRAME.assign(day=pd.Timestamp("2020-01-01")), Y),
    "frame with two columns of one name": (pd.concat([FRAME, FRAME], axis=1), Y),
    "y too short": (X, Y[:-1]),
    "labels of two columns": (X, np.stack([LABELS, LABELS], axis=1)),
    "targets of which one is constant": (X, np.stack([Y, np.ones(60)], axis=1)),
    "y with NaN": (X, changed(Y, 0, np.nan)),
    "y infinite": (X, changed(Y, 0, -np.inf)),
    "y constant": (X, np.ones(60)),
    "y with a missing label": (X, changed(LABELS, 0, None)),
    "y all distinct labels": (X, np.array([f"row {i}" for i in range(60)])),
}
BAD_OPTIONS: dict[str, dict[str, Any]] = {
    "unknown scorer": {"scoring": "r3"},
    "scorer of another task": {"scoring": "accuracy"},
    "no scorer": {"scoring": []},
    "two scorers of one name": {"scoring": ["r2", "r2"]},
    "scorer that fails": {"scoring": lambda model, X, y: 1 / 0},
    "scorer that says NaN": {"scoring": lambda model, X, y: float("nan")},
    "scorer that says text": {"scoring": lambda model, X, y: "good"},
    "space of wrong type": {"space": {"penalty": "l1"}},
    "space that is a penalty": {"space": L1()},
    "space that is a class": {"space": Linear},
    "space that is an estimator": {"space": Ridge()},
    "space that is none": {"space": None},
    "space without a leaf": {"space": Estimator(Forbidden(), {"strength": 0.5})},
    "cv of one fold": {"cv": 1},
    "cv of more folds than rows": {"cv": 61},
    "cv of a name": {"cv": "kfold"},
    "cv that is true": {"cv": True},
    "cv that is none": {"cv": None},
    "cv without folds": {"cv": []},
    "cv of masks": {"cv": [(np.ones(60, bool), np.ones(60, bool))]},
    "cv of rows that are not there": {"cv": [(np.arange(30), np.arange(30, 61))]},
    "cv that leaks": {"cv": [(np.arange(31), np.arange(30, 60))]},
    "cv without validation": {"cv": [(np.arange(60), np.arange(0))]},
    "cv of triples": {"cv": [(*HALVES, HALVES[0])]},
    "splitter of groups without groups": {"cv": GroupKFold(3)},
    "splitter of more folds than rows": {"cv": KFold(99)},
    "groups too short": {"groups": np.arange(59)},
    "fewer groups than folds": {"groups": np.arange(60) % 2, "cv": 3},
    "negative weights": {"sample_weight": -np.ones(60)},
    "weights of nothing": {"sample_weight": np.zeros(60)},
    "weights too short": {"sample_weight": np.ones(59)},
    "weights with NaN": {"sample_weight": changed(np.ones(60), 4, np.nan)},
    "test of all rows": {"test": 1.0},
    "test below zero": {"test": -0.5},
    "test of a number": {"test": 12},
    "test of a table": {"test": X},
    "test with other columns": {"test": (X[:, :3], Y)},
    "test of unequal length": {"test": (X, Y[:-1])},
    "unknown task": {"task": "ranking"},
    "task that does not fit": {"task": "binary"},
    "seed of text": {"seed": "seven"},
    "seed below zero": {"seed": -1},
    "no seed": {"seed": None},
    "seed of a fraction": {"seed": 0.5},
    "sampler of a name": {"sampler": "tpe"},
    "sampler that is a class": {"sampler": optuna.samplers.TPESampler},
    "n_jobs of nothing": {"n_jobs": 0},
    "n_jobs of text": {"n_jobs": "two"},
    "tracking of a number": {"tracking": 3},
}
BAD_NAMES = ["a/b", "../up", "", ".", "two words", "-x", "x" * 101, None, 7]
BAD_LIMITS: list[dict[str, Any]] = [
    {"n_trials": 0}, {"n_trials": -3}, {"n_trials": 2.5}, {"n_trials": "10"}, {"n_trials": True}, {"timeout": 0},
    {"timeout": -1.0}, {"timeout": float("nan")}, {"timeout": "1h"}, {"patience": 0}, {"patience": -1},
    {"n_trials": 10, "patience": 0},
]  # fmt: skip


def refused(root: Path, error: pytest.ExceptionInfo[InvalidInput]) -> None:
    """One sentence on one line, and no root."""
    said = str(error.value)
    assert 10 < len(said) < 600
    assert "\n" not in said
    assert said.endswith((".", "?", ")")), said
    assert not root.exists()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=list(BAD_DATA))
@pytest.mark.parametrize("space", [SPACE, spaces.linear()], ids=["estimator", "linear"])
def test_data(root: Path, data: tuple[Any, Any], space: Any) -> None:
    """Data that cannot be searched are refused."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", *data, space=space, root=root)
    refused(root, error)


def test_several_targets_of_a_linear_model(root: Path) -> None:
    """A linear model fits one target: several are refused with what to do instead."""
    with pytest.raises(InvalidInput, match="fits one target, y has 2 columns; run one study per column, or") as error:
        Study("bad", X, np.stack([Y, X[:, 0]], axis=1), space=spaces.linear(), root=root)
    refused(root, error)


@pytest.mark.parametrize("space", [SPACE, spaces.linear()], ids=["estimator", "linear"])
def test_images_of_a_model_of_tables(root: Path, space: Any) -> None:
    """Images are refused, by name, with what makes a table of them."""
    with pytest.raises(
        InvalidInput, match=r"(Estimator|Linear) needs a table .*\(1, 3, 2\); .*X.reshape\(len\(X\), -1\)"
    ):
        Study("bad", X.reshape(60, 3, 2), Y, space=space, root=root)


@pytest.mark.parametrize("options", BAD_OPTIONS.values(), ids=list(BAD_OPTIONS))
def test_options(root: Path, options: dict[str, Any]) -> None:
    """Options that make no search are refused."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", X, Y, **({"space": SPACE, "root": root} | options))
    refused(root, error)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names(root: Path, name: Any) -> None:
    """A name that cannot name a folder is refused."""
    with pytest.raises(InvalidInput) as error:
        Study(name, X, Y, space=SPACE, root=root)
    refused(root, error)


@pytest.mark.parametrize("limits", BAD_LIMITS, ids=str)
def test_limits(root: Path, limits: dict[str, Any]) -> None:
    """A limit that is not a positive number, whole where trials are counted, is refused."""
    with pytest.raises(InvalidInput) as error:
        Study("bad", X, Y, space=SPACE, root=root).run(**limits, quiet=True)
    refused(root, error)


@pytest.mark.parametrize("storage", ["nonsense", "mysql+nodriver://x/y", ""])
def test_storage_urls(root: Path, storage: str) -> None:
    """A storage URL that opens nothing is refused."""
    with pytest.raises(InvalidInput, match="storage"):
        Study("bad", X, Y, space=SPACE, root=root, storage=storage).run(3, quiet=True)


def test_a_good_study_writes_nothing_before_it_runs(root: Path) -> None:
    """Making a study checks everything and touches no file."""
    Study("good", X, Y, space=spaces.linear(), root=root, test=0.2)
    assert not root.exists()


def test_the_stored_study_has_other_data(root: Path) -> None:
    """A name whose study has other data is refused before any fit, and the stored study stays as it was."""
    one = Study("one", X, Y, space=spaces.linear(), root=root, tracking=False)
    before = outcomes(one.run(3, quiet=True))
    files = {file for file in root.rglob("*") if file.is_file()}
    with pytest.raises(StudyMismatch, match="same data only"):
        Study("one", X, Y + 1, space=SPACE, root=root, tracking=False).run(5, quiet=True)
    assert outcomes(one.results()) == before
    assert {file for file in root.rglob("*") if file.is_file()} == files


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(penalty="l3"),
        lambda: Linear(penalty=3),
        lambda: Linear(lambda_=-1.0),
        lambda: Linear(lambda_="big"),
        lambda: Linear(scale="huge"),
        lambda: Linear(penalty=Choice()),
        lambda: Linear(penalty=Choice("l1", "l1")),
        lambda: Linear(lambda_=Float(1, 0)),
        lambda: Linear(lambda_=Float(0, 1, log=True)),
        lambda: Estimator(Ridge, {"alpha": Float(0, 1)}),
        lambda: Estimator("ridge", {"alpha": Float(0, 1)}),
        lambda: Estimator(Ridge(), {"alfa": Float(0, 1)}),
        lambda: Estimator(Ridge(), None),  # type: ignore[arg-type]
        lambda: Estimator(Ridge(), ["alpha"]),  # type: ignore[arg-type]
    ],
)
def test_spaces(make: Any) -> None:
    """A space that makes no sense cannot be made, and says why in one sentence."""
    with pytest.raises(RegsearchError) as error:
        make()
    assert "\n" not in str(error.value)
