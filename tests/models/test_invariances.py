"""What must not change a result: the order of columns, their units, and columns that hold nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from regsearch import Linear, Path
from regsearch._types import Task
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Model, Outcome, Setup
from regsearch.models.linear.penalty import Penalty
from regsearch.models.linear.scales import SCALES
from regsearch.models.neural import MLP, Net
from regsearch.models.neural import techniques as t
from regsearch.space.registry import kinds
from regsearch.space.sampling import default
from regsearch.testing.penalty_examples import tasks

ROWS, COLUMNS = 72, 5
TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
PENALTIES = kinds(Penalty)
SCALED = tuple(scale for scale in SCALES if scale != "none")
TOLERANCE = 1e-3  # of scores: fits end within a tolerance of their own, wherever they start

Matrix: TypeAlias = NDArray[np.float64]


def data(task: Task) -> tuple[Matrix, NDArray[Any]]:
    """Columns of several sizes that are not independent, and a y that some of them explain in part."""
    rng = np.random.default_rng(TASKS.index(task))
    X = rng.normal(size=(ROWS, COLUMNS)) @ (np.eye(COLUMNS) + 0.3) * np.array([1, 3, 0.2, 10, 1]) + 2
    signal = X[:, 0] - 0.4 * X[:, 1] + 0.1 * X[:, 3] + 1.5 * rng.normal(size=ROWS)
    if task == "regression":
        return X, signal
    return X, np.argsort(np.argsort(signal)) * (2 if task == "binary" else 3) // ROWS


def evaluated(model: Model, X: Any, y: NDArray[Any], task: Task) -> Outcome:
    """What a model scores on four folds of the rows."""
    problem: Problem = make_problem(X, y, task=task)
    setup = Setup(problem, make_folds(4, problem, 0), resolve(DEFAULTS[task], problem))
    (outcome,) = model.backend(setup).stream([Candidate(0, model)])
    assert outcome.state == "complete", outcome.reason
    return outcome


def same(found: Outcome, expected: Outcome) -> None:
    """Scores, the point that is chosen, and decisions agree but for what a solver's tolerance leaves."""
    steps = min(found.trajectory.steps, expected.trajectory.steps)
    np.testing.assert_allclose(found.trajectory.axis[:steps], expected.trajectory.axis[:steps], rtol=1e-9)
    for part in ("train", "val"):
        ours, theirs = (getattr(of.trajectory.deciding, part)[:, :steps] for of in (found, expected))
        np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    assert found.point.val == pytest.approx(expected.point.val, rel=TOLERANCE)


def reordered(X: Matrix) -> Matrix:
    return X[:, [3, 0, 4, 2, 1]]


def in_other_units(X: Matrix) -> Matrix:
    """From metres to millimetres, from degrees Celsius to Fahrenheit, with another sign."""
    return X * np.array([1e3, 1.8, -1.0, 1e-4, 7.0]) + np.array([0.0, 32.0, 5.0, 0.0, -1.0])


def with_constants(X: Matrix) -> Matrix:
    return np.column_stack([np.full(ROWS, 0.1), X[:, :2], np.zeros(ROWS), X[:, 2:], np.full(ROWS, 1e6 / 3)])


# where a penalty goes by the neighbours of a column, or by how many columns there are, another one is asked for
ANOTHER = {("fused_lasso", reordered), ("fused_lasso", with_constants), ("slope", with_constants)}


def cases(*changes: Callable[[Matrix], Matrix], scales: tuple[str, ...]) -> list[Any]:
    return [
        pytest.param(change, penalty, scale, task, id=f"{change.__name__}-{penalty}-{scale}-{task}")
        for task in TASKS
        for scale in scales
        for penalty, cls in PENALTIES.items()
        for change in changes
        if task in tasks(cls) and (penalty, change) not in ANOTHER
    ]


def linear(penalty: str, scale: str) -> Model:
    config = Linear(default(PENALTIES[penalty]()), Path(15, 0.01), scale)
    return default(config)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "penalty", "scale", "task"),
    cases(reordered, with_constants, scales=tuple(SCALES)) + cases(in_other_units, scales=SCALED),
)
def test_a_linear_path(change: Callable[[Matrix], Matrix], penalty: str, scale: str, task: Task) -> None:
    """Columns in another order, in other units where they are scaled, or beside constant ones have the same paths."""
    X, y = data(task)
    model = linear(penalty, scale)
    same(evaluated(model, change(X), y, task), evaluated(model, X, y, task))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_net(task: Task) -> None:
    """Columns in other units of the same sign give a net the same scores."""
    X, y = data(task)
    net = default(Net(MLP(hidden=(8,)), early_stopping=t.FixedEpochs(6)))
    units = np.array([1e3, 1.8, 0.01, 1e-4, 7.0])
    same(evaluated(net, X * units + 3 * units, y, task), evaluated(net, X, y, task))
