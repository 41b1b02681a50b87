"""Proximal Newton steps for the loss of one fold, on the coefficients that it works on.

Notation and shapes

========  =========  ==================================================================================
symbol    shape      meaning
========  =========  ==================================================================================
m, a, n   int        outputs, columns in play, training rows of the fold
mask      [m, a]     the e coefficients in play; a column may be in play for some outputs only
w         [m, a]     coefficients; flat ``[e]`` ones are ``w[mask]``
b         [m]        intercepts
corner    [m, m]     curvature of the intercepts
edge      [e, m]     curvature between coefficients and intercepts
gram      [e, e]     curvature of the coefficients, the intercepts fitted along
========  =========  ==================================================================================

The curvature is kept from step to step and from lambda to lambda while the duality gap shrinks fast enough: it changes
slowly, and forming it costs far more than a step. A step that does not lower the objective is shortened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from regsearch._types import Array
from regsearch.models.linear.kept_support import Minimiser
from regsearch.models.linear.kernels import FAR, penalty
from regsearch.models.linear.packed import packed, unpacked
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.working_columns import ColumnsInPlay

SLOW = 0.25  # a step that leaves more of the gap than this was taken with a curvature too old
INNER = 0.05  # share of the target, or of a gap far from it, that a quadratic model may leave unsolved ...
STRICTER = 0.3  # ... and how it is lowered whenever a step was slow
TOLD = 0.01  # share of the target that a gap of second order must be below, for decisions to be as exact as by another
QUICK = 1e-8  # share of the null model's loss from which fits are those of a search, of which most are not kept
CHANGED = 4.0  # how much smaller or larger a curvature that is kept may be said to have become
PAST = 3  # points of a path that tell where it leads to ...
SURE_PAST = 2  # ... or those where a model tells the rest: fewer are less at odds where coefficients join
MAX_HALVINGS = 30
ROWS_AT_ONCE = 64  # of a Gram matrix that are changed at a time
ROUNDING = 1e-14  # relative increase of the objective that counts as none


@dataclass(frozen=True)
class Iterate:
    """Coefficients ``[m, a]``, intercepts ``[m]``, and the decisions, fitted values ``[m, 1, n]`` and loss there.

    Attributes
    ----------
    told, slope
        Fitted values ``[m, 1, n]`` where the quadratic model that led there had its minimum, and the negative gradient
        ``[m, a]`` of the loss that they would have.
    """

    w: Array
    b: Array
    eta: Array
    p: Array
    loss: float
    told: Array | None = None
    slope: Array | None = None

    @property
    def alone(self) -> Iterate:
        """The point without what was foretold of it."""
        return self if self.told is None else Iterate(self.w, self.b, self.eta, self.p, self.loss)

    @property
    def passed(self) -> Iterate:
        """The point where no more is asked of it than where a path leads to."""
        return Iterate(self.w, self.b, self.eta, self.p[..., :0].copy(), self.loss)

    @property
    def bare(self) -> Iterate:
        """The point without what is of every row: to be made anew."""
        return Iterate(self.w, self.b, self.eta[..., :0].copy(), self.p[..., :0].copy(), self.loss)

    @property
    def dual(self) -> Array:
        """Fitted values whose residuals certify the point: its own, or what the model that led there foretold of them.

        The duality gap of those is of second order in what the point is from the minimum, of its own of first.
        """
        return self.p if self.told is None else self.told


class Decided(Protocol):
    """A point whose decisions and fitted values ``[m, 1, n]`` are known."""

    @property
    def eta(self) -> Array: ...

    @property
    def p(self) -> Array: ...


@dataclass(frozen=True)
class Curvature:
    """The quadratic model of the loss: see the module; `couple` is ``edge corner^+``.

    `rows` ``[m, n]`` are the curvatures of rows, where the Hessian has nothing else.
    """

    gram: Array
    couple: Array
    inverse: Array
    rows: Array | None = None

    @classmethod
    def of(cls, sample: Sample, point: Decided, columns: ColumnsInPlay, mask: Array, rooms: Rooms) -> Curvature:
        """The Hessian of a loss at a point, whose Gram matrix is in its room."""
        eta = point.eta[:, 0]
        between = sample.between_rows(eta)
        if between is None:
            own, shares = sample.hessian(eta, point.p[:, 0])
            return replace(cls.at(own, shares, columns, mask, rooms), rows=own if shares is None else None)
        means, some = columns.mapped(between)[mask[0]], mask[0]  # what rows share is of one output, without intercept
        gram = columns.gram(sample.hessian(eta, point.p[:, 0])[0][0], some, rooms)
        gram -= means @ means.T
        return cls(gram, np.zeros((len(gram), 1)), np.zeros((1, 1)))

    @classmethod
    def at(cls, own: Array, shares: Array | None, columns: ColumnsInPlay, mask: Array, rooms: Rooms) -> Curvature:
        """The Hessian ``X' (diag(own) - shares shares') X``; see `regsearch.models.linear.sample.Sample.hessian`."""
        alone = len(own) == 1 and shares is None  # else their room holds the products of all outputs
        each = [columns.gram(one, some, rooms if alone else Rooms()) for one, some in zip(own, mask, strict=True)]
        edge = block_diag(*(columns.sums(one)[some, None] for one, some in zip(own, mask, strict=True)))
        corner = np.diag(own.sum(axis=1))
        if shares is None:
            gram = block_diag(*each) if len(each) > 1 else each[0]
        else:
            gram, edge_of_means = columns.products(shares, mask, rooms)
            np.negative(gram, out=gram)
            for block, end in zip(each, np.cumsum([len(one) for one in each]), strict=True):
                gram[end - len(block) : end, end - len(block) : end] += block
            edge -= edge_of_means
            corner -= shares @ shares.T
        inverse = np.linalg.pinv(corner, rcond=1e-12, hermitian=True)
        shift = np.broadcast_to(columns.shift, mask.shape)[mask]
        outputs, across = np.nonzero(mask)[0], inverse @ edge.T
        for start in range(0, len(gram), ROWS_AT_ONCE):  # in place: it is the largest thing that is held
            gram[start : start + ROWS_AT_ONCE] -= edge[start : start + ROWS_AT_ONCE] @ across
        return cls(gram, (edge - shift[:, None] * corner[outputs]) @ inverse, inverse)

    def kept(self, single: bool = False) -> KeptCurvature:
        """The same with half the numbers, single or not: a model of single precision leads to the same point."""
        return KeptCurvature(packed(self.gram, single), self.couple, self.inverse, self.rows)


@dataclass(frozen=True)
class KeptCurvature:
    """A `Curvature` that waits for its fold's turn, half of its Gram matrix left out."""

    triangle: NDArray[np.floating[Any]]
    couple: Array
    inverse: Array
    rows: Array | None

    def whole(self, room: Room) -> Curvature:
        return Curvature(unpacked(self.triangle, room), self.couple, self.inverse, self.rows)

    def grown(self, columns: ColumnsInPlay, old: Array, room: Room) -> Curvature | None:
        """That of more columns, by the same curvatures of rows; `old` ``[a]`` tells those that it is of.

        `None` where that is not cheap, or outputs or rows have to do with each other.
        """
        kept, new = np.flatnonzero(old), np.flatnonzero(old == 0)
        block = None if self.rows is None or len(self.rows) > 1 else columns.across(self.rows[0], new, room)
        if self.rows is None or block is None:
            return None
        total, edge = 1 / float(self.inverse[0, 0]), np.empty(len(old))
        edge[kept], edge[new] = total * self.couple[:, 0], columns.sums(self.rows[0])[new]
        block -= np.outer(edge[new], edge) / total
        gram = unpacked(self.triangle, room, kept, len(old))
        gram[new], gram[:, new] = block, block.T
        return Curvature(gram, edge[:, None] / total, self.inverse, self.rows)


class Newton:
    """The penalised loss of one fold as a function of the coefficients in play.

    Parameters
    ----------
    columns, mask
        Columns in play, and for which outputs.
    sample
        The loss on the fold's training rows.
    null
        ``[m, a]`` gradient of the null model.
    l1, l2
        Penalty weights ``[m, a]`` and their ridge.
    rooms
        Of what is large.
    """

    def __init__(
        self, columns: ColumnsInPlay, mask: Array, sample: Sample, null: Array, l1: Array, l2: float,
        rooms: Rooms | None = None,
    ) -> None:  # fmt: skip
        self.columns, self.mask, self.sample = columns, mask, sample
        self.null, self.l1, self.l2 = null, np.where(mask, l1, np.inf), l2
        self.rooms = rooms or Rooms()
        self._lasso = self.l1[mask]
        self._finite = np.where(np.isinf(self._lasso), 0.0, self._lasso)  # of those that are not always zero
        self._curvature: Curvature | None = None
        self._bent: Array | None = None  # the curvature of rows that it is of, where nothing else is in it
        self._minimiser: Minimiser | None = None  # of its Gram matrix
        self.slow = False  # whether sweeps over all coordinates are known to be
        self._known: tuple[Iterate, float, float] | None = None  # a point, its lambda and its gap

    @property
    def curvature(self) -> Curvature | None:
        """That of the last step; to be taken up where the same coefficients are in play again."""
        return self._curvature

    @curvature.setter
    def curvature(self, known: Curvature | None) -> None:
        self._curvature, self._bent = known, None if known is None else known.rows

    def parting(self) -> Curvature | None:
        """That of the last step, where no more are taken: what its minima were found with is let go."""
        self._minimiser = None
        self.rooms.work.let_go()
        return self._curvature

    @property
    def past(self) -> int:
        """How many points of a path tell where the next is about."""
        return SURE_PAST if self.sample.foretells else PAST

    def point(self, w: Array, b: Array) -> Iterate:
        return self._at(w, b, (self.columns.predict(w) + b[:, None])[:, None])

    def behind(self, w: Array, b: Array) -> Iterate:
        """A point of which no more is asked than where a path leads to."""
        return self.passed(self.point(w, b))

    def passed(self, point: Iterate) -> Iterate:
        """The same of a point where the path was."""
        return point.passed

    def ahead(self, points: Sequence[Iterate], shares: Sequence[float], lambda_: float) -> Iterate:
        """Where such shares of the last points of a path lead to, if that is better than staying.

        Coefficients that would change their signs become zero.
        """
        here = points[-1]
        if len(points) < 2:
            return here
        w, b = mixed(shares, [one.w for one in points]), mixed(shares, [one.b for one in points])
        turned = (w * here.w <= 0) & (w != here.w) & (self.l1 > 0)
        w[turned] = 0.0
        near = sum(map(abs, shares)) < FAR
        known = near and not turned.any() and all(one.eta.size for one in points)
        new = self._at(w, b, mixed(shares, [one.eta for one in points])) if known else self.point(w, b)
        return new if self._value(new, lambda_) < self._value(here, lambda_) else here

    def solve(self, point: Iterate, lambda_: float, target: float, max_steps: int) -> Iterate:
        """Newton steps from a point until the gap, over the coefficients in play, is at most the target."""
        before, inner, gap, point = np.inf, INNER, np.inf, point.alone
        for step in range(max_steps):
            self._known = None  # which may hold the point before
            gradient = self.columns.correlate(self.residual(point))
            if not self._foretells(target) or (step and gap == np.inf):
                gap = self._gap(point, gradient, lambda_)
                self._known = point, lambda_, gap
                if gap <= target:
                    break
            slow = gap > SLOW * before
            inner *= STRICTER if slow else 1.0
            fresh = self._renewed(point, slow)
            aim = TOLD * target if self._foretells(target) else max(target, INNER * gap)
            before, gap, ahead = gap, np.inf, self._step(point, gradient, lambda_, inner * aim)
            if ahead is None and fresh:
                break  # the objective cannot be lowered any more within rounding
            point, before = (point, 0.0) if ahead is None else (ahead, before)
            if point.slope is not None and self._foretells(target):
                gap = self._gap(point, point.slope, lambda_)
                if gap <= TOLD * target:
                    self._known = point, lambda_, gap
                    return point
            point = point.alone
        return point

    def _foretells(self, target: float) -> bool:
        """Whether the minimum of a model may certify the point that it leads to, and so is worth solving for.

        Not where the fit is one that is kept: another step makes its coefficients as exact as its objective.
        """
        quick = target >= QUICK * self.sample.null_loss
        return quick and self._bent is not None and self.sample.foretells

    def _renewed(self, point: Iterate, slow: bool) -> bool:
        """Form the curvature at a point, where there is none or the last step was slow; whether it was formed."""
        if self._curvature is not None and not slow:
            return False
        self._curvature = self._minimiser = None  # they are large, and make room for the next
        self._curvature = Curvature.of(self.sample, point, self.columns, self.mask, self.rooms)
        self._bent = self._curvature.rows
        return True

    def coefficients(self, point: Iterate) -> Array:
        """``[m, a]`` of a point, to be kept."""
        return point.w

    def gap(self, point: Iterate, lambda_: float) -> float:
        """The duality gap of a point, over the coefficients in play."""
        if self._known is None or self._known[0] is not point or self._known[1] != lambda_:
            gradient = self.columns.correlate(self.sample.residual(point.dual)[:, 0])
            self._known = point, lambda_, self._gap(point, gradient, lambda_)
        return self._known[2]

    def residual(self, point: Iterate) -> Array:
        """``[m, n]`` weighted."""
        return self.sample.residual(point.p)[:, 0]

    def _at(self, w: Array, b: Array, eta: Array) -> Iterate:
        shift, eta, p, loss = self.sample.settled(eta)
        return Iterate(w, b + shift[:, 0], eta, p, float(loss[0]))

    def _penalty(self, w: Array, lambda_: float) -> float:
        return float(penalty(w.ravel(), self.l1.ravel(), self.l2, lambda_))

    def _gap(self, point: Iterate, gradient: Array, lambda_: float) -> float:
        value = np.array([point.loss + self._penalty(point.w, lambda_)])
        threshold, ridge = lambda_ * self.l1[:, None], np.array([lambda_ * self.l2])
        slopes = gradient[:, None], self.null[:, None]
        return float(self.sample.gaps(value, point.dual, *slopes, threshold, ridge)[0])

    def _step(self, point: Iterate, gradient: Array, lambda_: float, tolerance: float) -> Iterate | None:
        """The next point, or None if the model promised a decrease that no step length delivers."""
        assert self._curvature is not None
        model, w = self._curvature, point.w[self.mask]
        if self._minimiser is None:
            self._minimiser = Minimiser(model.gram, self.slow, self.rooms.work)
        drift = self.residual(point).sum(axis=1)
        slope = gradient[self.mask] - model.couple @ drift
        threshold, ridge = lambda_ * self._lasso, lambda_ * self.l2
        share = self._share(point, model)
        self._bent = None if model.rows is None else share * model.rows
        asked = slope / share, threshold / share, ridge / share, tolerance / share
        found, slope = self._minimiser.minimum(w, *asked)
        self.slow = self._minimiser.slow
        change, move, there = found - w, np.zeros_like(point.w), np.zeros_like(point.w)
        move[self.mask], there[self.mask] = change, share * slope
        shift = model.inverse @ drift / share - change @ model.couple
        return self._search(point, move, shift, lambda_, there)

    def _share(self, point: Iterate, model: Curvature) -> float:
        """What the curvatures of rows are of those of a model, on average: most of what changes along a path."""
        if model.rows is None:
            return 1.0
        now, then = self.sample.total_curvature(point.eta[:, 0], point.p[:, 0]), float(model.rows.sum())
        return min(max(now / then, 1 / CHANGED), CHANGED) if then > 0 and math.isfinite(now) else 1.0

    def _search(
        self, point: Iterate, move: Array, shift: Array, lambda_: float, slope: Array | None = None
    ) -> Iterate | None:
        """Halve a step until it does not raise the objective; the model foretells such a slope at its end."""
        ahead = (self.columns.predict(move) + shift[:, None])[:, None]
        value = self._value(point, lambda_)
        for length in 0.5 ** np.arange(MAX_HALVINGS):
            new = self._moved(point, move, shift, ahead, length)
            if self._value(new, lambda_) <= value * (1 + ROUNDING):
                return self._with_told(new, point, ahead, slope) if length == 1 else new
        return None

    def _with_told(self, new: Iterate, point: Iterate, ahead: Array, slope: Array | None) -> Iterate:
        """A point, with what the model foretold of it."""
        told = None if self._bent is None else self.sample.foretold(point.p, self._bent, ahead)
        return new if told is None else Iterate(new.w, new.b, new.eta, new.p, new.loss, told, slope)

    def _moved(self, point: Iterate, move: Array, shift: Array, ahead: Array, length: float) -> Iterate:
        eta = point.eta + (ahead if length == 1 else length * ahead)
        return self._at(point.w + length * move, point.b + length * shift, eta)

    def _value(self, point: Iterate, lambda_: float) -> float:
        return point.loss + self._penalty(point.w, lambda_)


def mixed(shares: Sequence[float], arrays: Sequence[Array]) -> Array:
    """The sum of such shares of some arrays."""
    total = shares[0] * arrays[0]
    for share, array in zip(shares[1:], arrays[1:], strict=True):
        total += share * array
    return total


def leading(numbers: Sequence[float], to: float) -> list[float]:
    """The shares that values at some different numbers have in that of a polynomial through them at another."""
    return [math.prod((to - other) / (at - other) for other in numbers if other != at) for at in numbers]
