"""One fold's squared error with an L1 part down the lambdas: a few points are solved, most others lie between them.

From one lambda to the next the support changes little, and on one support the path is nearly a line. So of a few
lambdas the last is solved first, from where the points before are heading, and those between start on the line between
their neighbours, where the tolerance mostly lets them stay. A point is solved by sweeps, by leaps of the whole support
(Newton steps) where these are slow, and by a search for its support where columns are too much alike.

Notation and shapes (see `regsearch.models.linear.kernels`)

=======  =====================  ===================================================================================
symbol   shape                  meaning
=======  =====================  ===================================================================================
N        int                    S + 2 points: two that were before, the older one first, and those of the lambdas
w        [N, e]                 coefficients
kept     [N, e] or [N, n]       what a descent keeps beside them, affine in w: the gradient, or the residuals
own      [N]                    whether a point is solved, or stays between two others
plan     [Q, 3]                 in which order points are solved, and the two between which, or past which, each starts
along    [Q]                    how far it is from the first of these to the other; negative on the other side
=======  =====================  ===================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg.lapack import dposv, sposv

from regsearch._types import Array, Reals, Rows
from regsearch.models.linear.kernels import descend, descend_rows, duality_gap, follow, objective
from regsearch.models.linear.leaps import among
from regsearch.models.linear.support import minimise_on_support
from regsearch.models.linear.walk_order import ONWARD, along, blends, plan

SWEEPS = 12  # over the columns at one lambda, before its support leaps, at least ...
SHARE = 0.02  # ... and of each column in use, as a leap costs more the more there are
MANY = 150  # columns in use from which a leap is by conjugate gradients, ...
CG_STEPS = 15  # ... of so many steps at most ...
NEAR = 0.05  # ... or until so much of the push is left
LEAPS = 4  # before the support is searched for
STEPS = 24  # of a search that one lambda took, up to which sweeps are not tried at the next
PATIENCE = 0.5  # sweeps over the rows for each column in use
FEW = 20  # columns that may join a support at a time, where it has fewer
ROUNDS = 100  # looks at all columns, each of which lets some join


class PathPoint(NamedTuple):
    """A point of the path; its lambda is infinite where it is not known from which on it is the solution."""

    lambda_: float
    w: Array
    kept: Array


def onward(older: PathPoint | None, last: PathPoint, lambda_: float) -> tuple[Array, Array]:
    """Coefficients, and what is kept, where two points before are heading at a lambda; of one alone, that itself."""
    share = 0.0 if older is None else (last.lambda_ - lambda_) / max(older.lambda_ - last.lambda_, 1e-300)
    if older is None or not 0.0 < share <= ONWARD:
        return last.w.copy(), last.kept.copy()
    return last.w + share * (last.w - older.w), last.kept + share * (last.kept - older.kept)


class Descent(Protocol):
    """The squared error of one fold on the columns in play."""

    @property
    def l1(self) -> Array:
        """``[e]``."""
        ...

    def node(self, whole: PathPoint, some: Rows | slice) -> PathPoint:
        """A point that has all columns, and their gradient, as it is of those in play."""
        ...

    def beside(self, w: Array) -> Array:
        """What is kept beside coefficients."""
        ...

    def patience(self, w: Array) -> int:
        """Sweeps at one lambda that are worth trying before anything else."""
        ...

    def follow(self, walk: Walk, at: int, limit: int) -> int:
        """Solve points by sweeps in the order of the walk's plan; the first place where so many are too few."""
        ...

    def swept(self, lambda_: float, target: float, w: Array, kept: Array, limit: int) -> bool:
        """Sweep in place, as often as is allowed at most; whether the gap is at most the target."""
        ...

    def leapt(self, lambda_: float, w: Array, kept: Array) -> tuple[Array, Array] | None:
        """About the minimum on the support, where that is better and at hand."""
        ...

    def solved(self, lambda_: float, target: float, start: Array) -> tuple[Array, bool, int]:
        """Coefficients by a search for the support, whether their gap is at most the target, and steps taken."""
        ...


class Walk:
    """The way of one fold down some lambdas.

    Parameters
    ----------
    targets
        ``[S]`` absolute duality gaps to reach.
    last, older
        The point before, and one before that, where there is one.
    guess
        Coefficients to start from at the last lambda, where they are known.
    max_sweeps
        What one lambda may take where all else fails.
    room
        Where w and kept are written to; by default arrays of its own.
    """

    def __init__(
        self, descent: Descent, lambdas: Array, targets: Array, last: PathPoint, older: PathPoint | None,
        guess: Array | None, max_sweeps: int, room: Array | None = None,
    ) -> None:  # fmt: skip
        steps, first = len(lambdas), older or last
        self.descent, self.max_sweeps, self.alike = descent, max_sweeps, False
        self.lambdas, self.targets = np.empty(steps + 2), np.zeros(steps + 2)
        self.lambdas[0], self.lambdas[1], self.lambdas[2:], self.targets[2:] = first[0], last[0], lambdas, targets
        widths = len(last.w), len(last.kept)
        self.w, self.kept = (room[i] if room is not None else np.empty((steps + 2, widths[i])) for i in range(2))
        self.w[0], self.w[1], self.kept[0], self.kept[1] = first.w, last.w, first.kept, last.kept
        self.plan, self.own = plan(steps), np.ones(steps + 2, dtype=bool)
        if guess is not None:
            self.w[-1], self.kept[-1] = guess, descent.beside(guess)
            self.plan = np.where(self.plan[:, :1] == steps + 1, steps + 1, self.plan)
        self.along = along(self.plan, self.lambdas)

    @property
    def shares(self) -> Array:
        """``[S, S + 1]``: what points of the lambdas have of the one before them all, and of each other."""
        return blends(self.plan, self.along, self.own)

    def go(self) -> None:
        """Solve all points."""
        at = 0
        while True:
            at = self.descent.follow(self, at, 0 if self.alike else self._patience())
            if at == len(self.plan):
                return
            self._solve(int(self.plan[at, 0]))
            at += 1

    def _patience(self) -> int:
        return min(self.descent.patience(self.w[1]), self.max_sweeps)

    def _solve(self, node: int) -> None:
        """Solve a point that sweeps alone have not solved, in place."""
        lambda_, target = float(self.lambdas[node]), float(self.targets[node])
        w, kept = self.w[node], self.kept[node]
        for _ in range(0 if self.alike else LEAPS):
            found = self.descent.leapt(lambda_, w, kept)
            if found is None:
                break
            w[:], kept[:] = found
            if self.descent.swept(lambda_, target, w, kept, self._patience()):
                return
        w[:], done, steps = self.descent.solved(lambda_, target, w)
        kept[:] = self.descent.beside(w)
        if not done:
            self.descent.swept(lambda_, target, w, kept, self.max_sweeps)
        self.alike = done and (not self.alike or steps <= STEPS)


@dataclass(frozen=True)
class GramDescent:
    """From a Gram matrix of the columns, as far as the way from a point goes whose gradient is known.

    Attributes
    ----------
    gram
        ``[e, e]``, or one with room for more; in single precision where that is enough for the way from there.
    near
        That point.
    moment
        ``[e]``.
    """

    gram: Array
    near: PathPoint
    moment: Array
    power: float
    convexity: float
    l1: Array
    l2: float

    def node(self, whole: PathPoint, some: Rows | slice) -> PathPoint:
        if isinstance(some, slice):
            return whole
        w = whole.w[some]
        return PathPoint(whole.lambda_, w, whole.kept[some] if self.gram.dtype == np.float32 else self.beside(w))

    @property
    def _own(self) -> Array:
        return self.gram[: len(self.moment), : len(self.moment)]

    def beside(self, w: Array) -> Array:
        away = w - self.near.w
        return np.asarray(self.near.kept - away.astype(self.gram.dtype) @ self._own) if away.any() else self.near.kept

    def patience(self, w: Array) -> int:
        return max(SWEEPS, int(SHARE * np.count_nonzero(w)))

    @property
    def _loss(self) -> tuple[Array, Array, Array, Array, float, float, Array, float]:
        near = self.near
        return self.gram, near.w, near.kept, self.moment, self.power, self.convexity, self.l1, self.l2

    def follow(self, walk: Walk, at: int, limit: int) -> int:
        order = walk.plan, walk.along, at
        return follow(*self._loss, walk.lambdas, walk.targets, *order, walk.w, walk.kept, walk.own, limit)

    def swept(self, lambda_: float, target: float, w: Array, kept: Array, limit: int) -> bool:
        return descend(*self._loss, lambda_, target, w, kept, limit)

    def leapt(self, lambda_: float, w: Array, kept: Array) -> tuple[Array, Array] | None:
        some, ridge = np.flatnonzero(w), lambda_ * self.l2
        curvature = among(self.gram, some)
        curvature.flat[:: len(some) + 1] += ridge
        push = kept[some] - ridge * w[some] - lambda_ * self.l1[some] * np.sign(w[some])
        move = _few_steps(curvature, push) if len(some) > MANY else _exactly(curvature, push)
        if move is None:
            return None
        new = w.copy()
        new[some] += move
        new[(new * w < 0.0) & (self.l1 > 0.0)] = 0.0
        gradient, rest = self.beside(new), (self.moment, self.l1, self.l2, lambda_)
        return (new, gradient) if objective(new, gradient, *rest) < objective(w, kept, *rest) else None

    def solved(self, lambda_: float, target: float, start: Array) -> tuple[Array, bool, int]:
        gram = self._own.astype(np.float64, copy=False)
        loss = gram, self.near.kept + self.near.w @ gram, self.power, self.convexity, self.l1, self.l2
        return minimise_on_support(*loss, lambda_, target, start)


def _exactly(curvature: Reals, push: Array) -> Array | None:
    """The move to the minimum of a quadratic ``[a, a]``, whose curvature is written to, where it has one."""
    solve = sposv if curvature.dtype == np.float32 else dposv
    _, move, failed = solve(curvature.T, push, lower=0, overwrite_a=1)
    return None if failed else np.asarray(move)


def _few_steps(curvature: Reals, push: Array) -> Reals:
    """About the same, by conjugate gradients."""
    left = push.astype(curvature.dtype)
    move, way, size = np.zeros_like(left), left.copy(), float(left @ left)
    most = NEAR**2 * size
    for _ in range(CG_STEPS):
        turn = curvature @ way
        length = size / float(way @ turn)
        move += length * way
        left -= length * turn
        before, size = size, float(left @ left)
        if size <= most:
            break
        way *= size / before
        way += left
    return move


@dataclass(frozen=True)
class RowDescent:
    """From more columns ``[e, n]`` than rows, and the target ``[n]``, both times the root of the rows' weights."""

    columns: Array
    target: Array
    l1: Array
    l2: float

    def node(self, whole: PathPoint, some: Rows | slice) -> PathPoint:
        return PathPoint(whole.lambda_, whole.w[some], self.beside(whole.w[some]))

    @cached_property
    def _moment(self) -> Array:
        return np.asarray(self.columns @ self.target)

    @cached_property
    def _squares(self) -> Array:
        return np.asarray(np.einsum("en,en->e", self.columns, self.columns))

    def beside(self, w: Array) -> Array:
        return np.asarray(self.target - w @ self.columns)

    def gap(self, lambda_: float, w: Array, kept: Array) -> float:
        power = float(self.target @ self.target)
        return duality_gap(w, self.columns @ kept, self._moment, power, 0.0, self.l1, self.l2, lambda_)

    def patience(self, w: Array) -> int:
        """The Gram matrix of a support of a columns costs what a / 2 sweeps over them do, and its factor more."""
        return max(2 * SWEEPS, int(PATIENCE * np.count_nonzero(w)))

    def follow(self, walk: Walk, at: int, limit: int) -> int:
        for q in range(at, len(walk.plan)):
            (node, first, other), share = walk.plan[q], walk.along[q]
            lambda_, target, w = walk.lambdas[node], walk.targets[node], walk.w[node]
            w[:] = (1.0 - share) * walk.w[first] + share * walk.w[other]
            if share < 0.0:
                w[(w * walk.w[first] <= 0.0) & (self.l1 > 0.0)] = 0.0
            walk.kept[node] = self.beside(w)
            if share >= 0.0 and self.gap(lambda_, w, walk.kept[node]) <= target:
                walk.own[node] = node == first
            elif not self.swept(lambda_, target, w, walk.kept[node], limit):
                return q
        return len(walk.plan)

    def swept(self, lambda_: float, target: float, w: Array, kept: Array, limit: int) -> bool:
        loss = self.columns, self.target, self._moment, self._squares, self.l1, self.l2
        return descend_rows(*loss, lambda_, target, w, kept, limit)

    def leapt(self, lambda_: float, w: Array, kept: Array) -> None:
        return None

    def solved(self, lambda_: float, target: float, start: Array) -> tuple[Array, bool, int]:
        """On the Gram matrix of a few columns, which others join."""
        w, taken = start.copy(), 0
        for _ in range(ROUNDS):
            residual = self.beside(w)
            if self.gap(lambda_, w, residual) <= target:
                return w, True, taken
            some = _worth_solving(w, self.columns @ residual, lambda_ * self.l1)
            few = self.columns[some]
            power = float(self.target @ self.target)
            loss = few @ few.T, self._moment[some], power, 0.0, self.l1[some], self.l2
            w[some], _, steps = minimise_on_support(*loss, lambda_, target / 2, w[some])
            taken += steps
        return w, False, taken


def _worth_solving(w: Array, gradient: Array, threshold: Array) -> Rows:
    """Columns in use, and of those that would be of use as many at most, or a few."""
    excess = np.abs(gradient) - threshold
    used, wanted = np.flatnonzero(w), np.flatnonzero((excess > 0) & (w == 0))
    most = max(FEW, len(used))
    return np.concatenate([used, wanted[np.argsort(-excess[wanted])[:most]]])
