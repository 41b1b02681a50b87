"""Ridge for the log-loss: all lambdas of a chunk descend together, in the basis of the fold's singular vectors.

Notation and shapes (one fold; A holds its training rows, centred, scaled and times the root of their weights)

=========  ============  =====================================================================
symbol     shape         meaning
=========  ============  =====================================================================
m, S, n    int           outputs, lambdas, training rows
r          int           rank: at most min(n, p)
values     [r]           eigenvalues of A'A, or equally of AA'
theta      [m, S, r+1]   coefficients in the basis of right singular vectors, then the intercept
strength   [S]           lambda l2
=========  ============  =====================================================================

There the Hessian is nearly diagonal, ``values * mean(p(1 - p)) + strength``: one decomposition preconditions every
lambda of every trial. Conjugate gradients (Polak & Ribiere 1969) see to the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import eigh, eigvalsh

from regsearch._types import Array, Matrix, Rows
from regsearch.models.linear.blocks import Square, copy_of_rows, some_rows
from regsearch.models.linear.freedom import curved_freedom, mean_curvatures
from regsearch.models.linear.kernels import Flags
from regsearch.models.linear.likelihood import duality_gaps, probabilities_and_losses
from regsearch.models.linear.ridge_fits import FromLast, WayDown
from regsearch.models.linear.rooms import Room
from regsearch.models.linear.spectrum import GCV_GRID, row_kernel
from regsearch.models.linear.working_columns import times

MAX_HALVINGS = 30
ROUNDING = 1e-14
IN_PLACE: dict[str, Any] = {"driver": "evd", "overwrite_a": True, "check_finite": False}  # of a matrix by columns


@dataclass(frozen=True)
class Basis:
    """A fold's columns in the basis of their right singular vectors.

    Attributes
    ----------
    values
        ``[r]`` eigenvalues.
    predict, correlate, lift
        ``[q, r] -> [q, n]`` decisions; ``[q, n] -> [q, r]`` gradients of residuals; ``[q, r] -> [q, p]`` coefficients.
    gram
        ``[n] -> [r, r]`` products of the columns, with weights of the rows that are not below 0.
    """

    values: Array
    predict: Callable[[Array], Array]
    correlate: Callable[[Array], Array]
    lift: Callable[[Array], Array]
    gram: Callable[[Array], Array]


def primal_basis(matrix: Matrix, rows: Rows, center: Array, inverse: Array, weights: Array) -> Basis:
    """From A'A: for no more columns than rows. `weights` are those of `rows`."""
    values, vectors = decompose(_gram(matrix, rows, center, inverse, weights))
    forward, backward = products(matrix, rows, weights, inverse)
    return Basis(
        values,
        predict=lambda theta: forward(theta @ vectors.T),
        correlate=lambda residual: backward(residual) @ vectors,
        lift=lambda theta: theta @ vectors.T,
        gram=lambda share: vectors.T @ _gram(matrix, rows, center, inverse, share) @ vectors,
    )


def dual_basis(matrix: Matrix, rows: Rows, center: Array, inverse: Array, weights: Array) -> Basis:
    """From AA': for more columns than rows. `weights` are those of `rows`."""
    root = np.sqrt(weights)
    values, vectors = decompose(row_kernel(matrix[rows], center, inverse, root))
    width = np.sqrt(values)
    back = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)  # a row without weight is never asked for
    _, backward = products(matrix, rows, weights, inverse)
    return Basis(
        values,
        predict=lambda theta: (theta * width) @ vectors.T * back,
        correlate=lambda residual: (residual * back) @ vectors * width,
        lift=lambda theta: backward((theta / width) @ vectors.T * root),
        gram=lambda share: _spanned(vectors, width, np.sqrt(share) * back),
    )


def gcv_strength(values: Array, slopes: Array, power: float, rows: float) -> float:
    """The strength with the least generalized cross-validation error, of a squared error of unit curvature.

    Parameters
    ----------
    values, slopes
        ``[r]`` eigenvalues, and squares of the gradient of the null model.
    power
        Weighted sum of the squares of its residuals.
    rows
        How many rows they stand for.
    """
    shares = slopes / values
    grid = values.max(initial=1e-300) * GCV_GRID
    lost = grid[:, None] / (values + grid[:, None])
    spare = max(rows - 1 - len(values), 0.0)  # the intercept is one degree
    outside = max(power - float(shares.sum()), 0.0) if spare else 0.0
    error = (outside + lost**2 @ shares) / np.maximum(spare + lost.sum(axis=1), 1e-300) ** 2
    return float(grid[np.argmin(error)])


@dataclass(frozen=True)
class Ridge:
    """The ridge-penalised log-loss of one fold.

    Parameters
    ----------
    basis
        The fold's columns.
    y, weights
        ``[m, 1, n]`` and ``[n]``.
    rows
        How many rows they stand for.
    """

    basis: Basis
    y: Array
    weights: Array
    rows: float

    @property
    def rank(self) -> int:
        return len(self.basis.values)

    def freedom(self, curvature: Array, strength: Array) -> Array:
        return curved_freedom(curvature, self.basis.values, strength)

    @property
    def null(self) -> Array:
        """``[m, 1, r]`` gradient of the null model."""
        mean = (self.y @ self.weights)[..., None]
        return self.slopes((self.y - mean) * self.weights)[..., :-1]

    @property
    def mean_curvature(self) -> float:
        """Mean curvature of the null model, over the outputs."""
        mean = (self.y @ self.weights)[:, 0]
        return float(max((mean * (1 - mean)).sum() / max(len(mean) - 1, 1), 1e-12))

    def largest_curvature(self) -> float:
        """The largest curvature of the null model."""
        return self.mean_curvature * float(self.basis.values.max(initial=1e-300))

    def gcv(self) -> float:
        """The strength with the least generalized cross-validation error (Golub, Heath & Wahba 1979).

        At the null model the loss is, to second order, `mean_curvature` times the squared error of y, for which the
        criterion is known in closed form; the classes are added up.
        """
        mean = (self.y @ self.weights)[:, 0]
        power = float((mean * (1 - mean)).sum())
        return self.mean_curvature * gcv_strength(self.basis.values, (self.null**2).sum(axis=(0, 1)), power, self.rows)

    def start(self, intercept: Array) -> Array:
        """``[m, 1, r+1]``: the null model, of intercepts ``[m]``."""
        theta = np.zeros((len(intercept), 1, len(self.basis.values) + 1))
        theta[:, 0, -1] = intercept
        return theta

    def way(self, theta: Array) -> WayDown:
        return FromLast(self._solve, theta)

    def _solve(self, theta: Array, strength: Array, target: float, max_steps: int) -> tuple[Array, Array, Array]:
        """Descend from ``[m, 1, r+1]`` until each gap is at most the target; see `WayDown`."""
        found = np.repeat(theta, len(strength), axis=1)
        gaps, freedom = np.empty(len(strength)), np.empty(len(strength))
        still = np.arange(len(strength))
        state = _State(self, found, strength)
        for step in range(max_steps + 1):
            gaps[still], freedom[still], found[:, still] = state.gap, state.freedom(), state.theta
            going = (state.gap > target) & (step < max_steps)
            if not going.any():
                break
            if not going.all():
                state.narrow(going)
                still = still[going]
            state.step()
        return found, gaps, freedom

    def coefficients(self, theta: Array) -> Array:
        """``[m, S, p]`` of the scaled columns."""
        m, steps, _ = theta.shape
        return self.basis.lift(theta[..., :-1].reshape(m * steps, -1)).reshape(m, steps, -1)

    def decisions(self, theta: Array) -> Array:
        """``[m, S, n]``."""
        m, steps, _ = theta.shape
        flat = self.basis.predict(theta[:, :, :-1].reshape(m * steps, -1))
        return flat.reshape(m, steps, -1) + theta[:, :, -1:]

    def slopes(self, residual: Array) -> Array:
        """``[m, S, r+1]`` negative gradients of weighted residuals ``[m, S, n]``."""
        m, steps, n = residual.shape
        flat = self.basis.correlate(residual.reshape(m * steps, n)).reshape(m, steps, -1)
        return np.concatenate([flat, residual.sum(axis=2, keepdims=True)], axis=2)


class _State:
    """Preconditioned conjugate gradients, one for each lambda, side by side.

    ``eta`` are the decisions at ``theta``; ``descent`` is the negative gradient of the objective, ``ahead`` the same
    preconditioned, and ``direction`` what was searched along last.
    """

    p: Array
    value: Array
    slope: Array
    gap: Array

    def __init__(self, ridge: Ridge, theta: Array, strength: Array) -> None:
        self.ridge, self.theta, self.strength = ridge, theta.copy(), strength
        self.penalty = np.broadcast_to(strength[:, None], theta.shape[1:]).copy()  # [S, r+1]
        self.penalty[:, -1] = 0.0
        self.values = np.append(ridge.basis.values, 1.0)
        self.eta = ridge.decisions(theta)
        self.null = ridge.null
        self.descent, self.direction = np.zeros_like(theta), np.zeros_like(theta)
        self.power = np.ones(len(strength))
        self._evaluate()

    def narrow(self, going: Flags) -> None:
        """Go on with some of the lambdas."""
        self.strength, self.penalty, self.power = self.strength[going], self.penalty[going], self.power[going]
        self.value, self.gap = self.value[going], self.gap[going]
        for name in ("theta", "eta", "p", "descent", "slope", "direction"):
            setattr(self, name, getattr(self, name)[:, going])

    def _evaluate(self) -> None:
        """Objective, gradient and gap at theta."""
        y, weights = self.ridge.y, self.ridge.weights
        self.p, loss = probabilities_and_losses(self.eta, y, weights)
        self.value = loss + self._cost(self.theta)
        self.slope = self.ridge.slopes((y - self.p) * weights)
        threshold = np.zeros((1, 1, len(self.values) - 1))
        inner = self.slope[..., :-1]
        self.gap = duality_gaps(self.value, self.p, y, weights, inner, self.null, threshold, self.strength)

    def step(self) -> None:
        """Search along the conjugate direction."""
        descent = self.slope - self.penalty * self.theta
        ahead = descent / (self.values * self._mean_curvatures()[..., None] + self.penalty)
        along = (ahead * (descent - self.descent)).sum(axis=(0, 2))
        self.direction = ahead + np.maximum(along / self.power, 0.0)[:, None] * self.direction
        self.descent, self.power = descent, np.maximum((ahead * descent).sum(axis=(0, 2)), 1e-300)
        move = self.ridge.decisions(self.direction)
        length = self._length(move)
        self.theta = self.theta + length[:, None] * self.direction
        self.eta = self.eta + length[:, None] * move
        self._evaluate()

    def freedom(self) -> Array:
        """``[S]``: nearly the effective degrees of freedom, with the mean curvature in place of each row's own.

        It costs nothing along a path, and may lie a fifth above the trace of the hat matrix, for which see
        `regsearch.models.linear.leverage`.
        """
        return curved_freedom(self._mean_curvatures(), self.values[:-1], self.strength)

    def _mean_curvatures(self) -> Array:
        return mean_curvatures(self.p, self.ridge.weights)

    def _cost(self, theta: Array) -> Array:
        return np.asarray((self.penalty * theta**2).sum(axis=(0, 2)) / 2)

    def _length(self, move: Array) -> Array:
        """``[S]``: Newton's step along the direction, halved where it would raise the objective."""
        weights, y = self.ridge.weights, self.ridge.y
        slope = (self.descent * self.direction).sum(axis=(0, 2))
        mean = (self.p * move).sum(axis=0)
        square = (self.p * move**2).sum(axis=0) if len(move) > 1 else mean * move[0]
        bend = (square - mean**2) @ weights + 2 * self._cost(self.direction)
        length = slope / np.maximum(bend, 1e-300)
        for _ in range(MAX_HALVINGS):
            _, loss = probabilities_and_losses(self.eta + length[:, None] * move, y, weights)
            worse = loss + self._cost(self.theta + length[:, None] * self.direction) > self.value * (1 + ROUNDING)
            if not worse.any():
                return np.asarray(length)
            length = np.where(worse, length / 2, length)
        return np.where(worse, 0.0, length)


def decompose(symmetric: Array) -> tuple[Array, Array]:
    """Eigenvalues of what is positive semidefinite, those above the rounding, and their vectors as columns.

    It is written to.
    """
    values, vectors = eigh(symmetric.T, **IN_PLACE)
    rounding = len(values) - int(_above_rounding(values).sum())  # they ascend
    return values[rounding:], vectors[:, rounding:]


def primal_values(matrix: Matrix, rows: Rows, center: Array, inverse: Array, weights: Array) -> Array:
    """The values of `primal_basis` alone, which cost a third of it."""
    values: Array = eigvalsh(_gram(matrix, rows, center, inverse, weights).T, **IN_PLACE)
    return values[_above_rounding(values)]


def _above_rounding(values: Array) -> Flags:
    cutoff = np.finfo(float).eps * len(values) * max(values.max(initial=0.0), np.finfo(float).tiny)
    return np.asarray(values > cutoff)


def _gram(matrix: Matrix, rows: Rows, center: Array, inverse: Array, weights: Array) -> Array:
    """Products of the centred and scaled columns, a few rows at a time."""
    p = matrix.shape[1]
    if sparse.issparse(matrix):
        gram, sums = np.zeros((p, p)), np.zeros(p)
        for part in some_rows(len(rows), p):
            some = matrix[rows[part]]
            sums += some.T @ weights[part]
            some = some.multiply(np.sqrt(weights[part, None])).tocsr()
            gram += (some.T @ some).toarray()
        across = np.outer(sums - weights.sum() / 2 * center, center)
        gram -= across + across.T
    else:
        square, room = Square(p), Room()
        for part in some_rows(len(rows), p):
            block = copy_of_rows(matrix, rows[part], room)
            block -= center
            block *= np.sqrt(weights[part, None])
            square.add(block)
        gram = square.whole()
    gram *= inverse[:, None]
    gram *= inverse
    return gram


def _spanned(vectors: Array, width: Array, factor: Array) -> Array:
    """Products of columns ``[n, r]``, times a width each and a factor of each row, a few rows at a time."""
    square = Square(len(width))
    for part in some_rows(len(factor), len(width)):
        square.add(vectors[part] * factor[part, None] * width)
    return square.whole()


def products(
    matrix: Matrix, rows: Rows, weights: Array, inverse: Array
) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """``[q, p] -> [q, n]`` and ``[q, n] -> [q, p]`` by the centred and scaled rows, read where they are.

    What is centred is what they say, and not the columns: `weights` are those of `rows`, and sum to one.
    """
    size = matrix.shape[0]

    def forward(w: Array) -> Array:
        made = (matrix @ (w * inverse).T)[rows]
        made -= weights @ made
        return np.asarray(made.T)

    def backward(residual: Array) -> Array:
        spread = np.zeros((len(residual), size))
        spread[:, rows] = residual - residual.sum(axis=1, keepdims=True) * weights
        slopes = times(spread, matrix)
        slopes *= inverse
        return slopes

    return forward, backward
