"""A large table of classes is read by blocks of rows at every step, and says what a copy in memory does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from regsearch import Linear
from regsearch import Path as Along
from regsearch.data import problem as data_of_problem
from regsearch.data import row_table
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear import logistic, solvers
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.solvers import Solvers
from regsearch.space.sampling import default

ROWS, COLUMNS = 150, 5
TOL = 1e-11  # both ways are solved to, so that they end at the same


@pytest.fixture
def by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table is too large to be copied, blocks are of few rows, and lambdas are fitted two at a time."""
    for module in (row_table, data_of_problem):
        monkeypatch.setattr(module, "WHOLE", 0)
        monkeypatch.setattr(module, "BLOCK", 40)
    monkeypatch.setattr(solvers, "COPIED", 0)
    monkeypatch.setattr(logistic, "DECISIONS", 2 * 3 * ROWS)


def classes(count: int, holes: bool = False) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(count)
    X = (rng.normal(size=(ROWS, COLUMNS)) * 10.0 ** rng.integers(-2, 3, COLUMNS) + 3).astype(np.float32)
    score = X[:, :1] / X[:, :1].std() * np.arange(count) + rng.gumbel(size=(ROWS, count))
    if holes:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, score.argmax(axis=1)


def evaluated(config: Linear, problem: Problem) -> Outcome:
    folds = make_folds(3, problem, 0)
    setup = Setup(problem, folds, resolve(None, problem))
    backend = LinearBackend(setup)
    backend.solvers.tol = backend.solver.tol = TOL
    return backend.evaluate(Candidate(0, config))


@pytest.mark.slow(of="large tables of classes")
@pytest.mark.parametrize(
    ("penalty", "count"),
    [("mcp", 2), *((one, count) for one in ("l1", "elastic_net", "l2", "none", "adaptive_lasso") for count in (2, 3))],
)
def test_classes_by_blocks_of_rows_are_those_of_a_copy(
    request: pytest.FixtureRequest, penalty: str, count: int
) -> None:
    """Curves, decisions and the refit are those of the same numbers in memory, as far as both are solved."""
    X, y = classes(count, holes=penalty == "elastic_net")
    scale = {"l1": "robust", "elastic_net": "minmax"}.get(penalty, "standard")
    weight = np.arange(ROWS) % 3 * 1.0 if penalty in ("l1", "l2") else None
    config = default(Linear(penalty, Along(12, ratio=1e-2), scale, class_weight="balanced" if count == 3 else None))
    copy = make_problem(X.astype(float), y, sample_weight=weight)
    theirs, refitted = evaluated(config, copy), config.at(1e-2).refit(copy, 0).predict_proba(X)
    request.getfixturevalue("by_rows")
    table = make_problem(X, y, sample_weight=weight)
    assert isinstance(Solvers.of_all_rows(table).design.matrix, row_table.RowTable)
    ours = evaluated(config, table)
    assert (ours.state, ours.step) == (theirs.state, theirs.step) == ("complete", ours.step)
    assert ours.predictions is not None
    np.testing.assert_allclose(ours.trajectory.axis, theirs.trajectory.axis, rtol=1e-6)
    np.testing.assert_allclose(ours.trajectory.deciding.val, theirs.trajectory.deciding.val, rtol=1e-5)
    np.testing.assert_allclose(ours.predictions, theirs.predictions, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(config.at(1e-2).refit(table, 0).predict_proba(X), refitted, atol=1e-4)


@pytest.mark.usefixtures("by_rows")
def test_no_column_of_a_large_table_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the search nor the refit asks for a copy of X, nor for columns of a fold."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a copy")

    monkeypatch.setattr("regsearch.models.linear.working_columns.WorkingColumns.of", refused)
    monkeypatch.setattr("regsearch.data.problem.encode", refused)
    X, y = classes(2)
    config = Linear("l1", Along(5))
    assert evaluated(config, make_problem(X, y)).state == "complete"
    config.at(1e-2).refit(make_problem(X, y), 0)
