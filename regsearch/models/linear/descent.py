"""One fold's squared error with an L1 part down the lambdas: a few points are solved, most others lie between them.

From one lambda to the next the support changes little, and on one support the path is nearly a line. So of a few
lambdas the last is solved first, from where the points before are heading, and those between start on the line between
their neighbours, where the tolerance mostly lets them stay. A point is solved by sweeps, by leaps of the whole support
(Newton steps) where these are slow, and by a search for its support where columns are too much alike.

Notation and shapes (see `regsearch.models.linear.kernels`)

=======  =============  ================================================================================
symbol   shape          meaning
=======  =============  ================================================================================
w        [e]            coefficients
kept     [e] or [n]     what a descent keeps beside them, affine in w: the gradient, or the residuals
shares   [S, S + 1]     what each point is made of: of the point before them all, and of the points themselves
=======  =============  ================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg.lapack import dposv, sposv

from regsearch._types import Array, Rows
from regsearch.models.linear.kernels import descend, descend_rows, duality_gap, objective
from regsearch.models.linear.support import minimise_on_support

AHEAD = 5  # lambdas of which the last is solved first
FAR = 2.0  # times the way between the two points before that the next may be foretold
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


class Node(NamedTuple):
    """A point of the path; its lambda is infinite where it is not known from which on it is the solution."""

    lambda_: float
    w: Array
    kept: Array


def onward(older: Node | None, last: Node, lambda_: float) -> tuple[Array, Array]:
    """Coefficients, and what is kept, where two points before are heading at a lambda; of one alone, that itself."""
    share = 0.0 if older is None else (last.lambda_ - lambda_) / max(older.lambda_ - last.lambda_, 1e-300)
    if older is None or not 0.0 < share <= FAR:
        return last.w.copy(), last.kept.copy()
    return last.w + share * (last.w - older.w), last.kept + share * (last.kept - older.kept)


class Descent(Protocol):
    """The squared error of one fold on the columns in play."""

    @property
    def l1(self) -> Array:
        """``[e]``."""
        ...

    def node(self, whole: Node, some: Rows) -> Node:
        """A point that has all columns, and their gradient, as it is of those in play."""
        ...

    def beside(self, w: Array) -> Array:
        """What is kept beside coefficients."""
        ...

    def gap(self, lambda_: float, w: Array, kept: Array) -> float:
        """The duality gap."""
        ...

    def patience(self, w: Array) -> int:
        """Sweeps at one lambda that are worth trying before anything else."""
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
    max_sweeps
        What one lambda may take where all else fails.
    """

    def __init__(
        self, descent: Descent, lambdas: Array, targets: Array, last: Node, older: Node | None, max_sweeps: int
    ) -> None:  # fmt: skip
        self.descent, self.lambdas, self.targets, self.max_sweeps = descent, lambdas, targets, max_sweeps
        self.older, self.alike = older, False
        self.nodes = [last] * (len(lambdas) + 1)
        self.made = np.eye(len(lambdas) + 1)

    def go(self, guess: Array | None = None) -> tuple[Array, Array]:
        """Coefficients ``[S, e]`` and shares, the last ones from a guess where there is one."""
        steps = len(self.lambdas)
        for start in range(0, steps, AHEAD):
            end = min(start + AHEAD, steps)
            older = self.nodes[start - AHEAD] if start else self.older
            if guess is not None and end == steps:
                first = guess.copy(), self.descent.beside(guess)
            else:
                first = self._ahead(older, self.nodes[start], float(self.lambdas[end - 1]))
            self._solve(end, *first)
            self._between(start, end)
        return np.stack([node.w for node in self.nodes[1:]]), self.made[1:]

    def _ahead(self, older: Node | None, last: Node, lambda_: float) -> tuple[Array, Array]:
        """Where points before are heading: coefficients that change sign on the way are left at zero."""
        w, kept = onward(older, last, lambda_)
        turned = (w * last.w <= 0.0) & (w != 0.0) & (self.descent.l1 > 0.0)
        if not turned.any():
            return w, kept
        w[turned] = 0.0
        return w, self.descent.beside(w)

    def _between(self, start: int, end: int) -> None:
        """The points between two, that in the middle first."""
        middle = (start + end) // 2
        if middle == start:
            return
        first, last, lambda_ = self.nodes[start], self.nodes[end], float(self.lambdas[middle - 1])
        share = 1.0 if math.isinf(first.lambda_) else (first.lambda_ - lambda_) / (first.lambda_ - last.lambda_)
        share = min(max(share, 0.0), 1.0) if first.lambda_ > last.lambda_ else 1.0
        w, kept = ((1.0 - share) * one + share * other for one, other in zip(first[1:], last[1:], strict=True))
        if self.descent.gap(lambda_, w, kept) <= self.targets[middle - 1]:
            self.nodes[middle] = Node(lambda_, w, kept)
            self.made[middle] = (1.0 - share) * self.made[start] + share * self.made[end]
        else:
            self._solve(middle, w, kept)
        self._between(start, middle)
        self._between(middle, end)

    def _solve(self, at: int, w: Array, kept: Array) -> None:
        """Solve a point from somewhere, in place."""
        lambda_, target = float(self.lambdas[at - 1]), float(self.targets[at - 1])
        for _ in range(0 if self.alike else LEAPS):
            if self.descent.swept(lambda_, target, w, kept, min(self.descent.patience(w), self.max_sweeps)):
                self.nodes[at] = Node(lambda_, w, kept)
                return
            found = self.descent.leapt(lambda_, w, kept)
            if found is None:
                break
            w, kept = found
        w, done, steps = self.descent.solved(lambda_, target, w)
        kept = self.descent.beside(w)
        if not done:
            self.descent.swept(lambda_, target, w, kept, self.max_sweeps)
        self.alike = done and (not self.alike or steps <= STEPS)
        self.nodes[at] = Node(lambda_, w, kept)


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
    near: Node
    moment: Array
    power: float
    convexity: float
    l1: Array
    l2: float

    def node(self, whole: Node, some: Rows) -> Node:
        return Node(whole.lambda_, whole.w[some], whole.kept[some])

    @property
    def _own(self) -> Array:
        return self.gram[: len(self.moment), : len(self.moment)]

    def beside(self, w: Array) -> Array:
        return np.asarray(self.near.kept - (w - self.near.w).astype(self.gram.dtype) @ self._own)

    def gap(self, lambda_: float, w: Array, kept: Array) -> float:
        return duality_gap(w, kept, self.moment, self.power, self.convexity, self.l1, self.l2, lambda_)

    def patience(self, w: Array) -> int:
        return max(SWEEPS, int(SHARE * np.count_nonzero(w)))

    def swept(self, lambda_: float, target: float, w: Array, kept: Array, limit: int) -> bool:
        loss = (self.gram, *self.near[1:], self.moment, self.power, self.convexity, self.l1, self.l2)
        return descend(*loss, lambda_, target, w, kept, limit)

    def leapt(self, lambda_: float, w: Array, kept: Array) -> tuple[Array, Array] | None:
        some, ridge = np.flatnonzero(w), lambda_ * self.l2
        curvature = self.gram[some][:, some]  # rows first: they are copied whole
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


def _exactly(curvature: Array, push: Array) -> Array | None:
    """The move to the minimum of a quadratic ``[a, a]``, whose curvature is written to, where it has one."""
    solve = sposv if curvature.dtype == np.float32 else dposv
    _, move, failed = solve(curvature.T, push, lower=0, overwrite_a=1)
    return None if failed else np.asarray(move)


def _few_steps(curvature: Array, push: Array) -> Array:
    """About the same, by conjugate gradients."""
    left = push.astype(curvature.dtype)
    move, way, size = np.zeros_like(left), left.copy(), float(left @ left)
    most = NEAR**2 * size
    for _ in range(CG_STEPS):
        along = curvature @ way
        length = size / float(way @ along)
        move += length * way
        left -= length * along
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

    def node(self, whole: Node, some: Rows) -> Node:
        return Node(whole.lambda_, whole.w[some], self.beside(whole.w[some]))

    @cached_property
    def _moment(self) -> Array:
        return np.asarray(self.columns @ self.target)

    @cached_property
    def _squares(self) -> Array:
        return np.einsum("en,en->e", self.columns, self.columns)

    def beside(self, w: Array) -> Array:
        return np.asarray(self.target - w @ self.columns)

    def gap(self, lambda_: float, w: Array, kept: Array) -> float:
        power = float(self.target @ self.target)
        return duality_gap(w, self.columns @ kept, self._moment, power, 0.0, self.l1, self.l2, lambda_)

    def patience(self, w: Array) -> int:
        """The Gram matrix of a support of a columns costs what a / 2 sweeps over them do, and its factor more."""
        return max(2 * SWEEPS, int(PATIENCE * np.count_nonzero(w)))

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
