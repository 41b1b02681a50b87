"""Decisions that a scorer is tried on before any fit.

Notation as in `regsearch.metrics.scorer`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing
from regsearch.metrics.by_target import of_target

SURE = 30.0  # log-odds of a prediction without doubt


def probes(problem: Problem, rows: NDArray[np.intp]) -> Iterator[Array]:
    """Decisions ``[len(rows), 1, m]``: one that is the same everywhere, the right one, and one that is neither."""
    yield np.ones((len(rows), 1, problem.outputs))
    perfect = two_extremes(problem, rows)[:, :1]
    yield perfect
    yield perfect * np.random.default_rng(0).uniform(0.5, 2.0, (len(rows), 1, 1))


def few_rows(problem: Problem) -> NDArray[np.intp]:
    """Enough rows to try a scorer on, some of each class."""
    every = weighing(np.arange(problem.rows), problem.score_weight)
    if problem.tasks:
        firsts = [np.unique(column, return_index=True)[1] for column in problem.y[every][:, _coded(problem)].T]
        return np.union1d(every[:500], every[np.concatenate(firsts)])
    if problem.classes is None:
        return every[:500]
    return np.union1d(every[:500], every[np.unique(problem.y[every], return_index=True)[1]])


def _coded(problem: Problem) -> list[int]:
    """The places of targets that are classes."""
    return [j for j, one in enumerate(problem.tasks) if one.classes is not None]


def two_extremes(problem: Problem, rows: NDArray[np.intp]) -> Array:
    """``[len(rows), 2, m]``: the decision that is right everywhere, and one that is the same everywhere."""
    y = problem.y[rows]
    if problem.tasks:
        parts = [two_extremes(of_target(problem, j), rows) for j in range(problem.targets)]
        return np.concatenate(parts, axis=2)
    if problem.classes is None:
        perfect = y.reshape(len(rows), -1).astype(float)
    else:
        perfect = SURE * (2.0 * y[:, None] - 1.0 if problem.outputs == 1 else np.eye(problem.outputs)[y])
    return np.stack([perfect, np.broadcast_to(perfect.mean(axis=0), perfect.shape)], axis=1)
