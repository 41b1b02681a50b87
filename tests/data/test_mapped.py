"""Data larger than memory: a mapped file is searched as the array in it is, and never copied."""

from __future__ import annotations

import gc
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from regsearch import MLP, ElasticNet, Estimator, Float, Linear, Net, Study
from regsearch import nn_techniques as t
from regsearch.data import mapped, problem, row_table
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.errors import InvalidInput
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.penalties import L1, L2
from regsearch.models.linear.scales import SCALES
from regsearch.models.linear.solvers import Solvers
from regsearch.models.neural.network import data
from regsearch.models.neural.network.data import SCALES as NET_SCALES
from regsearch.testing.nets import fold, setup_for

pytestmark = pytest.mark.slow(of="mapped data")

SPACES: dict[str, Any] = {
    "linear": lambda: Linear(ElasticNet(Float(0.0, 1.0))),
    "net": lambda: Net(MLP(hidden=(4,)), dropout=Float(0, 0.5), early_stopping=t.EarlyStopping(max_epochs=3)),
    "embedded net": lambda: Net(
        MLP(hidden=(4,)),
        scale="robust",
        embedding=t.PiecewiseLinear(4),
        dropout=Float(0, 0.5),
        early_stopping=t.FixedEpochs(2),
    ),
    "estimator": lambda: Estimator(Ridge(alpha=1.0), {"alpha": Float(0.1, 10.0, log=True)}),
}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table is too large to be copied, and blocks are of a few rows."""
    for module in (row_table, problem, data):
        monkeypatch.setattr(module, "WHOLE", 0)
    for module in (row_table, problem):
        monkeypatch.setattr(module, "BLOCK", 40)


def rows(n: int = 90, p: int = 6, holes: bool = False, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(n, p)) * 10.0 ** rng.integers(-2, 3, p) + rng.normal(size=p) * 5).astype(np.float32)
    X[:, -1] = 1e3 + rng.normal(size=n)  # far from zero, as to its spread
    y = X[:, 0] / X[:, 0].std() - X[:, 1] / X[:, 1].std() + rng.normal(size=n)
    if holes:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, y.astype(np.float32)


def on_disk(folder: Path, X: NDArray[Any], offset: int = 24) -> np.memmap[Any, Any]:
    """The same numbers in a mapped file, which begins with something else."""
    made = np.memmap(folder / "X.dat", X.dtype, "w+", offset, X.shape)
    made[:] = X
    made.flush()
    return np.memmap(folder / "X.dat", X.dtype, "r", offset, X.shape)


def found(X: Any, y: Any, space: Any, root: Path, **options: Any) -> list[Any]:
    """What a study finds of each trial: scores and decisions."""
    study = Study("mapped", X, y, space=space, cv=3, root=root, tracking=False, **options)
    results = study.run(4, quiet=True)
    made = []
    for trial in results.all:
        decisions = study.store.predictions(trial.number)
        assert decisions is not None
        made.append((trial.draws, trial.step, trial.point.val, trial.point.gap, trial.test, decisions.tobytes()))
    return made


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("kind", SPACES)
def test_a_mapped_file_is_searched_as_its_array_is(tmp_path: Path, kind: str, holes: bool) -> None:
    """Scores, decisions and held-out scores are the same to the last bit."""
    if holes and kind == "estimator":
        pytest.skip("a Ridge takes no missing values")
    X, y = rows(holes=holes)
    ours = found(on_disk(tmp_path, X), y, SPACES[kind](), tmp_path / "ours", test=0.2)
    theirs = found(X, y, SPACES[kind](), tmp_path / "theirs", test=0.2)
    assert ours == theirs
    assert len(ours) == 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("scale", SCALES)
def test_blocks_of_single_precision_say_what_doubles_in_memory_do(
    request: pytest.FixtureRequest, scale: str, holes: bool, weighted: bool
) -> None:
    """Moments, scales and decisions by blocks of rows are those of the same numbers as float64, but for rounding."""
    X, y = rows(holes=holes)
    weight = np.arange(len(y)) % 3 * 1.0 if weighted else None
    doubles = make_problem(X.astype(float), y, sample_weight=weight)
    folds = make_folds(4, doubles, 0)
    theirs = path_of(Solvers(doubles, folds.train, folds.val), scale)
    refitted = [Linear(penalty, 0.1, scale).refit(doubles, 0).predict(X) for penalty in (L1(), L2())]
    request.getfixturevalue("large")
    single = make_problem(X, y, sample_weight=weight)
    solvers = Solvers(single, folds.train, folds.val)
    assert isinstance(solvers.design.matrix, row_table.RowTable)
    for ours, other in zip(path_of(solvers, scale), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-11, atol=1e-12 * np.abs(other).max())
    for penalty, other in zip((L1(), L2()), refitted, strict=True):
        predicted = Linear(penalty, 0.1, scale).refit(single, 0).predict(X)
        np.testing.assert_allclose(predicted, other, rtol=1e-4 if holes else 1e-5)  # rows are predicted in float32


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("scale", NET_SCALES)
def test_a_net_sees_blocks_of_rows_as_it_sees_them_in_memory(
    request: pytest.FixtureRequest, scale: str, holes: bool, weighted: bool
) -> None:
    """What a fold says of columns by blocks is what it says of the same numbers in memory, but for rounding."""
    X, y = rows(holes=holes)
    weight = np.arange(len(y)) % 3 * 1.0 if weighted else None
    seen = []
    for make in (lambda: None, lambda: request.getfixturevalue("large")):
        make()
        where = fold(setup_for(make_problem(X, y, sample_weight=weight)), scale=scale)
        seen.append(where.scaling.apply(where.data.take(torch.arange(len(y))))[0].numpy())
    np.testing.assert_allclose(*seen, rtol=1e-5, atol=1e-5)


def path_of(solvers: Solvers, scale: str) -> list[NDArray[Any]]:
    """What the folds know of the columns, and a path of ridge."""
    solver: Any = solvers.of(None)
    (piece,) = solver.path(L2().terms(lambda: np.empty(0)), scale, np.array([1.0, 0.1]))
    assert piece.losses is not None
    source = solver.source
    moments = [source.moment(scale), source.gram(scale), source.power, *source._val]
    return [solvers.design.scales(scale), *moments, source.centers, piece.coef, *piece.losses]


def test_an_array_and_a_mapped_file_are_one_study(tmp_path: Path) -> None:
    """The same numbers have the same fingerprint, wherever and in whatever order of memory they lie."""
    X, y = rows()
    X = X[:, :5]
    given = [X, np.asfortranarray(X), on_disk(tmp_path, X), np.concatenate([X, X], axis=1)[:, :5]]
    assert len({make_problem(each, y).fingerprint for each in given}) == 1


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("view", [np.s_[:], np.s_[10:50], np.s_[::2, 1:]])
def test_a_mapped_problem_travels_by_its_place(tmp_path: Path, view: Any, frame: bool) -> None:
    """A pickle of it has none of its numbers, and what is made of it has them all, in the same file."""
    X, y = rows(3000)
    given = on_disk(tmp_path, X)[view]
    columns = [f"c{j}" for j in range(given.shape[1])]
    made = make_problem(pd.DataFrame(given, columns=columns, copy=False) if frame else given, y[: len(given)])
    sent = pickle.dumps(made, protocol=5)
    assert len(sent) < X.nbytes / 1.5  # y is there, and 8 bytes a row
    came = pickle.loads(sent)
    assert place_of(came.X) == place_of(made.X)
    np.testing.assert_array_equal(np.asarray(came.X), X[view])
    assert came.fingerprint == made.fingerprint


def place_of(X: Any) -> Any:
    found = mapped.placed(X)
    return found.place if isinstance(found, mapped.PlacedFrame) else found


def test_what_was_changed_in_memory_alone_travels_by_its_numbers(tmp_path: Path) -> None:
    """A file mapped to be changed without being written to is not what its array says."""
    X, y = rows()
    on_disk(tmp_path, X)
    changed = np.memmap(tmp_path / "X.dat", X.dtype, "c", 24, X.shape)
    changed[0] = 7.0
    assert (pickle.loads(pickle.dumps(make_problem(changed, y))).X[0] == 7.0).all()


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("frame", [False, True])
def test_rows_of_a_mapped_file_are_a_file_as_long_as_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: bool
) -> None:
    """Rows that are held out lie in files of their own in the folder for such files, which end with the problem."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    X, y = rows()
    given = on_disk(tmp_path, X)
    made = make_problem(pd.DataFrame(given, copy=False) if frame else given, y, test=0.25)
    plain = make_problem(pd.DataFrame(X) if frame else X, y, test=0.25)
    assert made.test is not None
    assert plain.test is not None
    assert made.fingerprint == plain.fingerprint
    assert made.test.fingerprint == plain.test.fingerprint
    assert len(os.listdir(scratch)) == 2
    del made
    gc.collect()
    assert not os.listdir(scratch)


def test_rows_that_find_no_room_are_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that takes no file is named, with what to do."""
    monkeypatch.setattr(mapped, "scratch_folder", lambda: "/proc")
    monkeypatch.setattr(mapped, "FULL", (*mapped.FULL, 2))
    with pytest.raises(InvalidInput, match="let TMPDIR name a folder"):
        mapped.written(iter([np.ones((2, 2))]), np.dtype(float), (2,))


def test_no_copy_of_a_mapped_file_is_made(tmp_path: Path) -> None:
    """From the checks of the data to the findings, a linear search holds less than half of the file beside it."""
    rng = np.random.default_rng(0)
    n, p = 120_000, 96
    X = np.memmap(tmp_path / "X.dat", np.float32, "w+", shape=(n, p))
    for start in range(0, n, 10_000):
        X[start : start + 10_000] = rng.normal(size=(10_000, p))
    y = (X[:, 0] - X[:, 1] + rng.normal(size=n)).astype(np.float32)
    X.flush()
    X = np.memmap(tmp_path / "X.dat", np.float32, "r", shape=(n, p))
    space = Linear(ElasticNet(Float(0.0, 1.0)))
    found(*rows(), space, tmp_path / "first")  # what is imported is no matter here
    tracemalloc.start()
    try:
        found(X, y, space, tmp_path / "root")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes / 2


@pytest.mark.usefixtures("large")
def test_what_rows_are_read_for_is_said(tmp_path: Path) -> None:
    """Between two trials one hears what rows are read for, how many have been, and that it is over."""
    X, y = rows()
    made = make_problem(on_disk(tmp_path, X), y)
    said: list[str] = []
    setup = Setup(made, make_folds(3, made, 0), resolve(None, made), notice=said.append)
    LinearBackend(setup).evaluate(Candidate(0, Linear(L1())))
    assert {text.partition(":")[0] for text in said} == {"forming moments", "measuring columns", "predicting rows", ""}
    assert "forming moments: 53% of 90 rows" in said
    assert not said[-1]
