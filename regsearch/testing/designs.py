"""Small problems that penalties are checked on: one of columns that are little alike, one of columns that repeat."""

from __future__ import annotations

from functools import cache

import numpy as np

from regsearch._types import Array, Task
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Setup

FOLDS = 3
CUTS: dict[Task, list[float]] = {"binary": [0.5], "multiclass": [0.33, 0.66]}


@cache
def plain_setup(task: Task, n: int = 45, p: int = 6) -> Setup:
    """Columns of different units with a little in common, every other of which matters."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n, p)) * random.uniform(0.5, 2, p) + random.normal(size=(n, 1)) / 2
    return _of(X, X @ np.where(np.arange(p) % 2, 0.0, 1.0) + random.normal(size=n), task)


@cache
def collinear_setup(task: Task, n: int = 45) -> Setup:
    """Two columns and a copy of the first, and three dummies that add to one."""
    random = np.random.default_rng(0)
    X, dummies = random.normal(size=(n, 2)), np.eye(3)[np.arange(n) % 3]
    signal = X @ [1.0, -0.5] + dummies @ [0.0, 1.0, 2.0] + random.normal(size=n)
    return _of(np.column_stack([X, X[:, 0], dummies]), signal, task)


def _of(X: Array, signal: Array, task: Task) -> Setup:
    """The signal itself, or in classes of alike sizes."""
    y = np.searchsorted(np.quantile(signal, CUTS[task]), signal) if task in CUTS else signal
    problem = make_problem(X, y)
    return Setup(problem, make_folds(FOLDS, problem, 0), resolve(DEFAULTS[problem.task], problem))
