"""The design and the solver of a problem: what the search, the refit and the interpretation fit with."""

from __future__ import annotations

import numpy as np

from regsearch._types import Rows
from regsearch.data.problem import Problem
from regsearch.models.linear.design import Design, Solver


def make_design(problem: Problem, train: tuple[Rows, ...], val: tuple[Rows, ...]) -> Design:
    """The matrix of a problem with the folds given."""
    weights = np.ones(problem.rows) if problem.sample_weight is None else problem.sample_weight
    return Design(problem.encoded.matrix, train, val, weights, problem.encoded.missing)


def make_solver(problem: Problem, design: Design) -> Solver:
    """The solver of the problem's task."""
    if problem.task == "regression":
        from regsearch.models.linear.gaussian import Gaussian

        return Gaussian(design, problem.y[:, None])
    from regsearch.models.linear import logistic

    if problem.task == "binary":
        return logistic.LogLoss(design, problem.y[:, None].astype(float))
    return logistic.LogLoss(design, np.eye(problem.y.max() + 1)[problem.y])
