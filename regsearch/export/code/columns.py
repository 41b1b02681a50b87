"""Linear models whose columns have penalties or limits of their own, which scikit-learn's estimators do not know.

The code has an estimator of numpy alone: proximal gradient descent, by the book.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.export.code.sources import CodeWriter
from regsearch.models.linear import Linear
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.scales import column_divisors
from regsearch.models.linear.solvers import Solvers
from regsearch.space.tree import number

EXCLUDED = 1e300  # a weight that no coefficient comes up to, written as a number
ESTIMATOR = '''class PenalizedColumns(BaseEstimator):
    """(1/n) sum of losses + sum_j (l1_j |w_j| + l2_j/2 w_j^2), low_j <= w_j <= high_j; squared error, or log-loss."""

    def __init__(self, l1, l2, low, high, classes=False, steps=100_000, tol=1e-9):
        self.l1, self.l2, self.low, self.high = l1, l2, low, high
        self.classes, self.steps, self.tol = classes, steps, tol

    def fit(self, X, y, sample_weight=None):
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        weight = weight / weight.sum()
        mean = weight @ X
        Z, targets = X - mean, np.asarray(y, dtype=float)[:, None] if not self.classes else self._codes(y)
        bend = 1.0 if not self.classes else 0.25 if targets.shape[1] == 1 else 0.5  # the largest curvature of a row
        step = 1 / (bend * max(np.linalg.eigvalsh((Z.T * weight) @ Z)[-1], 1.0))
        l1, l2, low, high = (np.reshape(one, (-1, 1)) for one in (self.l1, self.l2, self.low, self.high))
        point = last = np.zeros((1 + X.shape[1], targets.shape[1]))  # the intercepts, then the coefficients
        ahead, inertia = point, 1.0
        for _ in range(self.steps):
            residual = (self._mean(Z @ ahead[1:] + ahead[0]) - targets) * weight[:, None]
            moved = ahead[1:] - step * (Z.T @ residual)
            moved = np.sign(moved) * np.maximum(np.abs(moved) - step * l1, 0.0) / (1 + step * l2)
            point = np.vstack([ahead[0] - step * residual.sum(axis=0), np.clip(moved, low, high)])
            if np.sum((ahead - point) * (point - last)) > 0:  # it went too far: start anew from here
                inertia = 1.0
            if np.abs(point - last).max() <= self.tol * np.abs(point).max():
                break
            faster = (1 + np.sqrt(1 + 4 * inertia**2)) / 2
            ahead = point + (inertia - 1) / faster * (point - last)
            last, inertia = point, faster
        self.coef_, self.intercept_ = point[1:].T, point[0] - mean @ point[1:]
        return self

    def _codes(self, y):
        self.classes_, labels = np.unique(y, return_inverse=True)
        codes = np.eye(len(self.classes_))[labels]
        return codes[:, 1:] if len(self.classes_) == 2 else codes

    def _mean(self, eta):
        if not self.classes:
            return eta
        if eta.shape[1] == 1:
            return 1 / (1 + np.exp(-eta))
        odds = np.exp(eta - eta.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    @available_if(lambda self: self.classes)
    def predict_proba(self, X):
        p = self._mean(X @ self.coef_.T + self.intercept_)
        return np.hstack([1 - p, p]) if p.shape[1] == 1 else p

    def predict(self, X):
        if self.classes:
            return self.classes_[self.predict_proba(X).argmax(axis=1)]
        return (X @ self.coef_.T + self.intercept_)[:, 0]
'''


def estimator_of(config: Linear, problem: Problem, source: CodeWriter) -> str:
    """The call that makes the estimator of a config, its penalty and limits being those of scaled columns."""
    solvers = Solvers.of_all_rows(problem, offset=config.offset)
    terms = solvers.terms(config)
    assert isinstance(terms, Terms)  # a penalty that is plain
    p = solvers.design.shape[1]
    strength = number(config.lambda_) if config.penalty.path else 0.0
    fold = terms.of_fold(0, (p, 1))
    l1 = np.minimum(strength * fold.l1, EXCLUDED)  # a column of infinite weight is out
    parts: dict[str, Array] = {"l1": l1, "l2": strength * np.asarray(fold.l2)}
    parts |= {"low": np.asarray(fold.low), "high": np.asarray(fold.high)}
    if solvers.offset is not None:  # a coefficient between one and one, in units of the column
        at = solvers.offset.place
        column = np.asfortranarray(problem.encoded.matrix[:, [at]])
        one = column_divisors(column, np.arange(problem.rows), config.scale, solvers.design.weights, np.zeros(1))[0]
        parts = {name: np.array(np.broadcast_to(part, (p, 1))) for name, part in parts.items()}
        for name, part in parts.items():
            part[at] = (one or 1.0) if name in ("low", "high") else 0.0
    given = ", ".join(f"{name}={source.of(_one_or_all(part[:, 0]))}" for name, part in parts.items())
    return f"PenalizedColumns({given}{', classes=True' if problem.classes is not None else ''})"


def _one_or_all(values: Array) -> Any:
    """A number where all columns have the same."""
    return float(values[0]) if (values == values[0]).all() else values.tolist()
