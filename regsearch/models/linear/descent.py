"""One fold's squared error with an L1 part down the lambdas: by sweeps, or on the support where these are slow.

Shapes are those of `regsearch.models.linear.kernels`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.kernels import descend, descend_rows, duality_gap
from regsearch.models.linear.support import minimise_on_support

SWEEPS = 24  # over the columns at one lambda, before its support is solved for, at least ...
STEPS = 24  # ... and steps that one took, from that of the lambda before, up to which sweeps are not tried again
PATIENCE = 0.5  # sweeps over the rows for each column in use
FEW = 20  # columns that may join a support at a time, where it has fewer
ROUNDS = 100  # looks at all columns, each of which lets some join


class Descent(Protocol):
    """The squared error of one fold on the columns in play."""

    def patience(self, start: Array) -> int:
        """Sweeps at one lambda that are worth trying before its support is solved for, from coefficients ``[e]``."""
        ...

    def swept(self, lambdas: Array, targets: Array, start: Array, limit: int) -> tuple[Array, int]:
        """Coefficients ``[S, e]`` by sweeps, and how many are solved: the next one is where its sweeps ended."""
        ...

    def solved(self, lambda_: float, target: float, start: Array) -> tuple[Array, bool, int]:
        """Coefficients ``[e]`` by way of the support, whether their gap is at most the target, and steps taken."""
        ...


def go_down(descent: Descent, lambdas: Array, targets: Array, start: Array, max_sweeps: int) -> Array:
    """Coefficients ``[S, e]``, each lambda warm-started from the one before.

    Parameters
    ----------
    targets
        ``[S]`` absolute duality gaps to reach.
    max_sweeps
        What one lambda may take where all else fails.
    """
    path, step, w, alike = np.empty((len(lambdas), len(start))), 0, start, False
    while step < len(lambdas):
        most: float = STEPS
        if not alike:
            found, count = descent.swept(lambdas[step:], targets[step:], w, min(descent.patience(w), max_sweeps))
            path[step : step + count] = found[:count]
            step += count
            if step == len(lambdas):
                break
            w, most = found[count], math.inf
        w, done, steps = descent.solved(float(lambdas[step]), float(targets[step]), w)
        if not done:
            w = descent.swept(lambdas[step : step + 1], targets[step : step + 1], w, max_sweeps)[0][0]
        alike = done and steps <= most
        path[step] = w
        step += 1
    return path


@dataclass(frozen=True)
class GramDescent:
    """From the Gram matrix ``[e, e]`` and the moment ``[e]`` of the columns."""

    gram: Array
    moment: Array
    power: float
    convexity: float
    l1: Array
    l2: float

    def patience(self, start: Array) -> int:
        return SWEEPS

    def swept(self, lambdas: Array, targets: Array, start: Array, limit: int) -> tuple[Array, int]:
        loss = (self.gram, self.moment, self.power, self.convexity, self.l1, self.l2)
        return descend(*loss, lambdas, targets, start, limit)

    def solved(self, lambda_: float, target: float, start: Array) -> tuple[Array, bool, int]:
        loss = (self.gram, self.moment, self.power, self.convexity, self.l1, self.l2)
        return minimise_on_support(*loss, lambda_, target, start)


@dataclass(frozen=True)
class RowDescent:
    """From more columns ``[e, n]`` than rows, and the target ``[n]``, both times the root of the rows' weights."""

    columns: Array
    target: Array
    l1: Array
    l2: float

    def patience(self, start: Array) -> int:
        """The Gram matrix of a support of a columns costs what a / 2 sweeps over them do, and its factor more."""
        return max(SWEEPS, int(PATIENCE * np.count_nonzero(start)))

    def swept(self, lambdas: Array, targets: Array, start: Array, limit: int) -> tuple[Array, int]:
        return descend_rows(self.columns, self.target, self.l1, self.l2, lambdas, targets, start, limit)

    def solved(self, lambda_: float, target: float, start: Array) -> tuple[Array, bool, int]:
        """On the Gram matrix of a few columns, which others join."""
        moment, power = self.columns @ self.target, float(self.target @ self.target)
        w, taken = start.copy(), 0
        for _ in range(ROUNDS):
            gradient = self.columns @ (self.target - w @ self.columns)
            if duality_gap(w, gradient, moment, power, 0.0, self.l1, self.l2, lambda_) <= target:
                return w, True, taken
            some = _worth_solving(w, gradient, lambda_ * self.l1)
            few = self.columns[some]
            descent = GramDescent(few @ few.T, moment[some], power, 0.0, self.l1[some], self.l2)
            w[some], _, steps = descent.solved(lambda_, target / 2, w[some])
            taken += steps
        return w, False, taken


def _worth_solving(w: Array, gradient: Array, threshold: Array) -> Rows:
    """Columns in use, and of those that would be of use as many at most, or a few."""
    excess = np.abs(gradient) - threshold
    used, wanted = np.flatnonzero(w), np.flatnonzero((excess > 0) & (w == 0))
    most = max(FEW, len(used))
    return np.concatenate([used, wanted[np.argsort(-excess[wanted])[:most]]])
