"""Ridge without decompositions: for columns that are mostly zeros and too many for a product of all pairs of them.

Newton's steps by conjugate gradients ask for products of the columns with vectors alone. What an eigendecomposition
would tell of degrees of freedom and of a strength to begin with, Lanczos' method estimates: started from random signs
it weighs all eigenvalues alike, started from the target as that lies in them (Golub & Meurant 2010; Ubaru, Chen & Saad
2017).

Notation: see `newton.py` and, of Lanczos' method, A is what `glm_ridge.py` has: AA' ``[n, n]`` is never formed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.freedom import curved_freedom
from regsearch.models.linear.newton import SURE_PAST, Iterate, Newton, leading
from regsearch.models.linear.ridge_fits import WayDown
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.spectrum import GCV_GRID

STEPS = 20  # of Lanczos' method
PROBES = 4  # vectors of random signs
NOTHING = 1e-10  # share of the largest eigenvalue that is rounding
STEP_LIMIT = 500  # conjugate gradients, for one of Newton's steps
FORCING = 0.1  # share of the gradient that such a step may leave
STILL, BALANCING = 1e-10, 5  # what may be left of the gradient of an intercept, and steps towards that
TINY = 1e-300
DOUBLINGS = 10  # of one of Newton's steps
LEAD, LEAD_TARGET = 0.1, 1e-2  # ratio of strengths that lead to a first one far down, and their target, relative


@dataclass(frozen=True)
class Products:
    """Products with the centred and scaled columns of a fold's training rows.

    Attributes
    ----------
    predict, correlate
        ``[q, p] -> [q, n]`` and ``[q, n] -> [q, p]``.
    power
        ``[p]`` variances of the columns.
    """

    predict: Callable[[Array], Array]
    correlate: Callable[[Array], Array]
    power: Array


class ConjugateNewton(Newton):
    """The ridge-penalised loss of one fold, every column in play; see `Newton`."""

    columns: Products  # type: ignore[assignment]

    def _renewed(self, point: Iterate, slow: bool) -> bool:
        self._rows = self.sample.hessian(point.eta[:, 0], point.p[:, 0])
        return True

    def _penalty(self, w: Array, lambda_: float) -> float:
        return lambda_ * self.l2 / 2 * float(np.vdot(w, w))

    def _gap(self, point: Iterate, gradient: Array, lambda_: float) -> float:
        """By the gradients' lengths, and along each other: the penalty is one of lengths."""
        length = float(np.sqrt(np.vdot(self.null, self.null)))
        along = float(np.vdot(gradient, self.null)) / max(length, TINY)
        across = float(np.sqrt(max(float(np.vdot(gradient, gradient)) - along**2, 0.0)))
        value = np.array([point.loss + self._penalty(point.w, lambda_)])
        slopes = np.array([[[along, across]]]), np.array([[[length, 0.0]]])
        none, ridge = np.zeros((1, 1, 2)), np.array([lambda_ * self.l2])
        return float(self.sample.gaps(value, point.p, *slopes, none, ridge)[0])

    def _step(self, point: Iterate, gradient: Array, lambda_: float, tolerance: float) -> Iterate | None:
        ridge = lambda_ * self.l2
        left, drift = gradient - ridge * point.w, self.residual(point).sum(axis=1)
        new = self._search(point, *self._descended(left, drift, ridge, tolerance), lambda_)
        return None if new is None else self._balanced(self._farther(point, new, lambda_))

    def _descended(self, left: Array, drift: Array, ridge: float, tolerance: float) -> tuple[Array, Array]:
        """How coefficients and intercepts move by conjugate gradients, the intercepts being coordinates of their own.

        What is left of the gradients of both is written to, as it is large; so is all else of many columns.
        """
        own, shares = self._rows
        total = np.maximum(own.sum(axis=1), TINY)
        scale, lone = 1.0 / (total[:, None] * self.columns.power + ridge), 1.0 / total
        allowed = max(FORCING**2 * float(np.vdot(left, left)), 2 * ridge * tolerance)
        still = max(FORCING**2 * float(drift @ (lone * drift)), tolerance)
        move, shift, way, turn = np.zeros_like(left), np.zeros_like(drift), scale * left, lone * drift
        along = float(np.vdot(left, way) + drift @ turn)
        for _ in range(STEP_LIMIT):
            if float(np.vdot(left, left)) <= allowed and float(drift @ (lone * drift)) <= still:
                break
            ahead = self.columns.predict(way) + turn[:, None]
            bent = own * ahead if shares is None else own * ahead - shares * (shares * ahead).sum(axis=0)
            bend, twist = self.columns.correlate(bent), bent.sum(axis=1)
            bend += ridge * way
            length = along / (float(np.vdot(way, bend)) + float(turn @ twist))
            move += length * way
            shift += length * turn
            left -= np.multiply(length, bend, out=bend)
            drift = drift - length * twist
            next_way, next_turn = np.multiply(scale, left, out=bend), lone * drift
            before, along = along, float(np.vdot(left, next_way) + drift @ next_turn)
            way *= along / before
            way += next_way
            del next_way, bend
            turn = next_turn + along / before * turn
        return move, shift

    def _farther(self, point: Iterate, new: Iterate, lambda_: float) -> Iterate:
        """Twice as far, for as long as that lowers the objective: far out, where classes separate, steps are short."""
        for _ in range(DOUBLINGS):
            parts = zip((point.w, point.b, point.eta), (new.w, new.b, new.eta), strict=True)
            double = self._at(*(2 * there - here for here, there in parts))
            if not self._value(double, lambda_) < self._value(new, lambda_):
                break
            new = double
        return new

    def _balanced(self, point: Iterate) -> Iterate:
        """With the intercepts at their best, which costs no product: of what they are off a gap is of first order."""
        for _ in range(BALANCING):
            drift = self.residual(point).sum(axis=1)
            if np.abs(drift).max() <= STILL:
                break
            own, shares = self.sample.hessian(point.eta[:, 0], point.p[:, 0])
            corner = np.diag(own.sum(axis=1)) - (0.0 if shares is None else shares @ shares.T)
            shift = np.linalg.pinv(corner, rcond=1e-12, hermitian=True) @ drift
            new = self._at(point.w, point.b + shift, point.eta + shift[:, None, None])
            if new.loss > point.loss:
                break
            point = new
        return point


@dataclass(frozen=True)
class Nodes:
    """What Lanczos' method knows of the eigenvalues of AA': numbers ``[r]``, and how many of those each stands for."""

    values: Array
    counts: Array


def lanczos(product: Callable[[Array], Array], starts: Array) -> list[tuple[Array, Array]]:
    """For each start ``[q, n]``: the nodes ``[r]``, and the weights of its direction in them, which sum to one."""
    size = np.linalg.norm(starts, axis=1, keepdims=True)
    here, before = starts / np.where(size > 0, size, 1.0), np.zeros_like(starts)
    diagonal, beside = [], [np.zeros(len(starts))]
    for _ in range(min(STEPS, starts.shape[1])):
        ahead = product(here) - beside[-1][:, None] * before
        diagonal.append((ahead * here).sum(axis=1))
        ahead -= diagonal[-1][:, None] * here
        beside.append(np.linalg.norm(ahead, axis=1))
        before, here = here, ahead / np.maximum(beside[-1], 1e-300)[:, None]
    found = []
    for own, next_to in zip(np.array(diagonal).T, np.array(beside).T, strict=True):
        count = _until_exhausted(own, next_to)
        values, vectors = np.linalg.eigh(
            np.diag(own[:count]) + np.diag(next_to[1:count], 1) + np.diag(next_to[1:count], -1)
        )
        found.append((np.maximum(values, 0.0), vectors[0] ** 2))
    return found


def _until_exhausted(own: Array, beside: Array) -> int:
    """How many steps a start has: its directions may be fewer than were asked for."""
    over = np.flatnonzero(beside[1:] <= 1e-10 * np.abs(own).max(initial=1e-300))
    return int(over[0]) + 1 if len(over) else len(own)


class MatrixFreeRidge:
    """The ridge-penalised loss of one fold; see `ridge_fits.RidgeFits`.

    Parameters
    ----------
    columns
        Makes them whenever they are asked for: beside columns that are mostly zeros they are large.
    rows
        How many rows the training rows stand for.
    null
        ``[m, p]`` gradient of the null model.
    """

    def __init__(
        self, columns: Callable[[], Products], sample: Sample, rows: float, null: Callable[[], Array]
    ) -> None:  # fmt: skip
        self.columns, self.sample, self.rows, self.null = columns, sample, rows, null

    @cached_property
    def nodes(self) -> Nodes:
        root, n = np.sqrt(self.sample.weights), len(self.sample.weights)
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(PROBES, n))
        found = lanczos(self._square(), signs - (signs @ root)[:, None] * root)  # columns are centred
        return Nodes(
            np.concatenate([values for values, _ in found]),
            np.concatenate([share for _, share in found]) * (n - 1) / PROBES,
        )

    def _square(self) -> Callable[[Array], Array]:
        """``[q, n] -> [q, n]``: products with AA'."""
        root, columns = np.sqrt(self.sample.weights), self.columns()
        return lambda rows: np.asarray(columns.predict(columns.correlate(rows * root)) * root)

    @property
    def rank(self) -> int:
        return int(min(len(self.sample.weights) - 1, (self.columns().power > 0).sum()))

    @property
    def _mean_curvature(self) -> float:
        return float(self.sample.null_curvatures.mean())

    def largest_curvature(self) -> float:
        return self._mean_curvature * float(self.nodes.values.max(initial=1e-300))

    def freedom(self, curvature: Array, strength: Array) -> Array:
        return curved_freedom(curvature, self.nodes.values, strength, self.nodes.counts)

    def gcv(self) -> float:
        root = np.sqrt(self.sample.weights)
        target = np.divide(
            self.sample.null_residual[:, 0], root, out=np.zeros((len(self.sample.y), len(root))), where=root > 0
        )
        values, counts = self.nodes.values, self.nodes.counts
        top = max(float(values.max(initial=0.0)), TINY)
        grid = top * GCV_GRID[:, None]
        above = values > NOTHING * top
        spare = max(self.rows - 1 - float(counts[above].sum()), 0.0)  # the intercept is one degree
        error = np.zeros(len(grid))
        for (nodes, share), power in zip(lanczos(self._square(), target), (target**2).sum(axis=1), strict=True):
            own = power * np.where((nodes > NOTHING * top) | (spare > 0), share, 0.0)
            error += (grid / (nodes + grid)) ** 2 @ own
        lost = grid / (values[above] + grid) @ counts[above]
        return self._mean_curvature * float(grid[np.argmin(error / np.maximum(lost + spare, TINY) ** 2), 0])

    def start(self, intercept: Array) -> Array:
        """``[m, 1, p+1]``: the null model, of intercepts ``[m]``."""
        start = np.zeros((len(intercept), 1, self.null().shape[1] + 1))
        start[:, 0, -1] = intercept
        return start

    def way(self, theta: Array) -> WayDown:
        return _Descent(self, theta)

    def coefficients(self, theta: Array) -> Array:
        return theta[..., :-1]

    def decisions(self, theta: Array) -> Array:
        """``[m, 1, n]`` of one strength."""
        return (self.columns().predict(theta[:, 0, :-1]) + theta[:, 0, -1:])[:, None]

    def newton(self) -> ConjugateNewton:
        of, every, none = self.columns(), np.ones((1, 1), dtype=bool), np.zeros((1, 1))
        return ConjugateNewton(of, every, self.sample, self.null(), none, 1.0)  # type: ignore[arg-type]


class _Descent:
    """The way down from ``[m, 1, p+1]``; see `ridge_fits.WayDown`.

    Further down from the null model than it is curved, strengths in between lead to the first.
    """

    def __init__(self, ridge: MatrixFreeRidge, theta: Array) -> None:
        self._ridge, self._first = ridge, [theta]  # which is let go of, as it is large
        self._past = list[tuple[float, Iterate]]()

    def solve(self, strength: Array, target: float, max_steps: int) -> tuple[Array, Array, Array]:
        sample, newton = self._ridge.sample, self._ridge.newton()
        gaps, curvature, found = np.empty(len(strength)), np.empty((len(sample.y), len(strength))), list[Array]()
        for step, one in enumerate(strength):
            starts = [self._start(newton, float(one), target, max_steps)]
            point = newton.solve(starts.pop(), float(one), target, max_steps)  # which lets go of it
            gaps[step] = newton.gap(point, float(one))
            curvature[:, step] = sample.mean_curvatures(point.eta, point.p)[:, 0]
            found.append(np.concatenate([point.w, point.b[:, None]], axis=1))
            self._past.append((float(np.log(one)), replace(point, w=found[-1][:, :-1])))  # of one point not held twice
        theta = found[0][:, None] if len(found) == 1 else np.stack(found, axis=1)
        return theta, gaps, self._ridge.freedom(curvature, strength)

    def _start(self, newton: ConjugateNewton, strength: float, target: float, max_steps: int) -> Iterate:
        """Where the last points lead to; those that the next ones do not ask for are dropped."""
        if not self._past:
            return self._led(newton, strength, target, max_steps)
        places, points = zip(*self._past, strict=True)
        self._past = self._past[1 - SURE_PAST :]
        return newton.ahead(points, leading(places, float(np.log(strength))), strength)

    def _led(self, newton: ConjugateNewton, first: float, target: float, max_steps: int) -> Iterate:
        """Where the way to a first strength begins."""
        theta = self._first.pop()
        point = newton.point(theta[:, 0, :-1], theta[:, 0, -1])
        if theta[..., :-1].any():
            return point
        top = self._ridge.largest_curvature()
        count = max(0, int(np.ceil(np.log(first / top) / np.log(LEAD))))
        for one in np.geomspace(top, first, count + 1)[:-1]:
            loose = max(target, LEAD_TARGET * newton.sample.null_loss)
            point = newton.solve(point, float(one), loose, max_steps)
        return point
