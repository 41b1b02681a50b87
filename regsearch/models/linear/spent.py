"""Degrees of freedom of penalties of general form: the trace of the hat matrix of the coefficients in use.

A norm is curved across its direction and not along it, the more so the smaller it is: its second derivatives are a
large number less nearly the same. So groups are turned first, to where their first axis is that direction: what is left
of any penalty is a diagonal.

Notation and shapes

=========  ========  ===============================================================================
symbol     shape     meaning
=========  ========  ===============================================================================
a          int       coefficients in use
gram       [a, a]    curvature of the loss along them
held       [a]       what lambda times the penalty adds to its diagonal
root       [a]       square roots of the diagonal of both
unit       [a, a]    the sum in units in which its diagonal is one
lower      [a, a]    the inverse of the lower Cholesky factor of unit
=========  ========  ===============================================================================

``(gram + held)^-1 gram`` is the unit matrix less what the penalty takes, ``(gram + held)^-1 held``, whose trace is read
off the columns of the inverse of a Cholesky factor: of those that are held, and come last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Reals, Rows
from regsearch.models.linear.blocks import mirrored
from regsearch.models.linear.precision import DOUBLE, SINGLE, Precision

FLAT = 1e-6  # the ridge that stands for none
SMALL = 128  # columns of a triangle that is inverted at once
MANY = 100  # coefficients in use, from which a trace takes longer than what it is read from
FORETOLD = 1e-3  # relative error of the trace that three before foretell, up to which four tell those between ...
SURE = 1e-4  # ... and that of those further on, up to which three tell them, once in a row


class Turns(NamedTuple):
    """The reflections that turn groups; see `turned.py`."""

    first: Rows
    normal: Array
    share: Array

    @classmethod
    def to(cls, direction: Array, first: Rows) -> Turns:
        """Those that move unit vectors ``[a]``, group by group, to the first axes."""
        start, normal = first[:-1], direction.copy()
        normal[start] += np.where(direction[start] < 0, -1.0, 1.0)
        return cls(first, normal, normal / np.repeat(1.0 + np.abs(direction[start]), np.diff(first)))

    def ordered(self, order: Rows) -> tuple[NDArray[np.uint32], Array, Array]:
        """The group, the normal and the share of each axis, in some order."""
        group = np.repeat(np.arange(len(self.first) - 1, dtype=np.uint32), np.diff(self.first))
        return group[order], self.normal[order], self.share[order]


@dataclass(frozen=True)
class Bends:
    """Second derivatives of a penalty: one for each coefficient, and more for those of a group across its direction.

    Attributes
    ----------
    every
        ``[a]`` whichever way; the same in all of a group.
    across
        ``[a]`` on top of it, across; the same in all of a group.
    direction
        ``[a]`` unit vectors, group by group; of a group that has none, any.
    group
        ``[a]`` numbers.
    """

    every: Array
    across: Array
    direction: Array
    group: Rows

    @classmethod
    def alone(cls, every: Array) -> Bends:
        """Of coefficients that do not bend together."""
        return cls(every, np.zeros_like(every), np.ones_like(every), np.arange(len(every)))

    @cached_property
    def order(self) -> Rows:
        """The coefficients group by group."""
        return np.argsort(self.group, kind="stable")

    @cached_property
    def turns(self) -> Turns:
        """What moves the direction of each group to its first axis, in that order."""
        return Turns.to(self.direction[self.order], np.append(self._starts, len(self.order)))

    @property
    def turned(self) -> Array:
        """``[a]``: what is left of them there, along the first axis of each group and the others."""
        found = (self.every + self.across)[self.order]
        found[self._starts] = self.every[self.order][self._starts]
        return found

    @cached_property
    def _starts(self) -> Rows:
        """Where each group begins."""
        return np.flatnonzero(np.diff(self.group[self.order], prepend=-1))


def spent(gram: Reals, bends: Bends, lambda_: float, own: Rows | None = None) -> float:
    """The trace of ``(gram + lambda bends)^-1 gram``, of some coefficients alone where `own` says which."""
    own = np.arange(len(gram)) if own is None else own
    if not len(own):
        return 0.0
    turned = TurnedGram(gram, own[bends.order], bends.turns)
    held = lambda_ * bends.turned
    ridge = held + FLAT * turned.size  # columns without a penalty may repeat
    if (turned.size + ridge > 0).all():
        taken = turned.taken(held, SINGLE)
        taken = turned.taken(ridge, DOUBLE) if taken is None else taken
        if taken is not None:
            return len(own) - taken
    return turned.left(ridge)  # of a penalty that is not convex


@dataclass(frozen=True)
class TurnedGram:
    """Some rows and columns of the curvature of a loss, group by group, in axes of the groups' own; see `turned.py`."""

    gram: Reals
    some: Rows
    turns: Turns

    @cached_property
    def size(self) -> Array:
        """``[a]``: its diagonal."""
        from regsearch.models.linear.turned import turned_diagonal  # which loads what compiles

        return turned_diagonal(self.gram, self.some, *self.turns)

    def taken(self, held: Array, precision: Precision) -> float | None:
        """What `held` takes of the degrees of freedom; `None` where that is not to be told in a precision."""
        square, free = self.size + held, min(int(np.count_nonzero(held == 0)), len(held) - 1)
        last = np.argsort(held != 0, kind="stable")
        lower = self._scaled(square, last, precision.kind)
        np.fill_diagonal(lower, 1.0)
        inverse = lower[free:, free:]
        if (free and _explained(lower, free, precision) is None) or not invert_factor(inverse, precision):
            return None
        if precision.apart * np.diag(lower).max() ** 2 > 1:
            return None
        return float((held / square)[last[free:]] @ np.einsum("ij,ij->j", inverse, inverse))

    def left(self, held: Array) -> float:
        """What it leaves of them, wherever there is one answer."""
        square = np.abs(self.size + held)
        square[square == 0] = 1.0
        unit = mirrored(np.asarray(self._scaled(square, np.arange(len(held)), np.float64), np.float64).T)
        return float(np.trace(np.linalg.solve(unit + np.diag(held / square), unit)))

    def _scaled(self, square: Array, order: Rows, kind: type[np.floating[Any]]) -> Reals:
        """Its lower triangle in some order and in units of roots, and zeros."""
        from regsearch.models.linear.turned import write_turned

        made, scale = np.zeros((len(order), len(order)), kind), 1.0 / np.sqrt(square[order])
        write_turned(self.gram, self.some[order].astype(np.uint32), *self.turns.ordered(order), scale, made)
        return made


def invert_factor(lower: Reals, precision: Precision) -> bool:
    """Make a matrix, of which the lower triangle is there, the inverse of its Cholesky factor; whether it has one.

    By halves, whose inverses make products of matrices of all that is left: these are what is fast.
    """
    count = len(lower)
    if count <= SMALL:
        factor, indefinite = precision.potrf(lower.T, lower=0, clean=0) if count else (lower, 0)
        unit = np.eye(count, dtype=precision.kind, order="F")
        lower[:] = precision.trsm(1.0, factor, unit, lower=0, overwrite_b=1).T if count else lower
        return not indefinite
    half = count // 2
    between = _explained(lower, half, precision)
    if between is None or not invert_factor(lower[half:, half:], precision):
        return False
    between = precision.trmm(-1.0, lower[:half, :half].T, between, overwrite_b=1)
    lower[half:, :half] = precision.trmm(1.0, lower[half:, half:].T, between, side=1, overwrite_b=1).T
    return True


def _explained(lower: Reals, first: int, precision: Precision) -> Reals | None:
    """Invert the factor of the first columns, and take what these explain off the others: the factor between them."""
    if not invert_factor(lower[:first, :first], precision):
        return None
    between = precision.trmm(1.0, lower[:first, :first].T, lower[first:, :first].T, trans_a=1)
    lower[first:, first:] = precision.syrk(-1.0, between, 1.0, lower[first:, first:].T, trans=1).T
    return between


@dataclass
class FreedomAlong:
    """Degrees of freedom along a path, whose points use the same coefficients for a while.

    A direction of curvature d spends ``d / (d + lambda)``: on a logit scale that is linear in log lambda, and the share
    that all spend nearly so. Where four points foretell each other, they tell those between.

    Attributes
    ----------
    used
        Which coefficients the last point has.
    known
        Log lambda and the logit of the share spent, of three points that have the same.
    missed
        By how much three points missed the last two that were asked for, relative to these: of three that are as far
        from it as one unit each, to whose product that is proportional.
    told
        Whether the next few after that were told without asking.
    """

    used: Array = field(default_factory=lambda: np.empty(0))
    known: list[tuple[float, float]] = field(default_factory=list)
    missed: tuple[float, float] = (np.inf, np.inf)
    told: bool = False

    def of(self, used: Sequence[Array], lambdas: Array, exact: Callable[[int], float]) -> list[float]:
        """Those of the next points, of which `exact` tells one by its number."""
        if not lambdas.all():  # which has no logarithm
            self.used, self.known = used[-1], []
            return [exact(i) for i in range(len(used))]
        count, steps, at = float(used[-1].sum()), len(used), np.log(lambdas)
        since = next((i for i in range(steps, 0, -1) if not np.array_equal(used[i - 1], used[-1])), 0)
        lasting = since == 0 and np.array_equal(used[-1], self.used) and len(self.known) == 3
        self.used, lasting = used[-1], lasting and steps > 2 and count >= MANY
        if lasting and not self.told and max(self.missed) * _apart(self.known, at[-1]) <= SURE:
            self.told = True
            return [*(count * _share(_told(self.known, at)))]
        last = exact(steps - 1)
        if lasting:
            off = abs(float(count * _share(_told(self.known, at[-1:]))[0]) - last)
            if 0 < last < count and off <= FORETOLD * last:
                known = [*self.known, (float(at[-1]), _logit(last / count))]
                self.missed = self.missed[1], off / last / _apart(self.known, at[-1])
                self.known, self.told = known[1:], False
                return [*(count * _share(_told(known, at[:-1]))), last]
        self.missed, self.told = (np.inf, np.inf), False
        found = [*(exact(i) for i in range(steps - 1)), last]
        some = sorted({since, (since + steps - 1) // 2, steps - 1})
        shares = [found[i] / count if count else 1.0 for i in some]
        inside = len(some) == 3 and all(0 < share < 1 for share in shares)
        self.known = [(float(at[i]), _logit(share)) for i, share in zip(some, shares, strict=True)] if inside else []
        return found


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _share(logit: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logit)))


def _apart(known: list[tuple[float, float]], at: float) -> float:
    """The product of the distances from some points."""
    return float(np.prod([abs(at - place) for place, _ in known]))


def _told(known: list[tuple[float, float]], at: Array) -> Array:
    """The polynomial through some points, at others (Lagrange)."""
    places = [place for place, _ in known]
    total = np.zeros(len(at))
    for i, (place, value) in enumerate(known):
        others = (one for j, one in enumerate(places) if j != i)
        total += value * np.prod([(at - one) / (place - one) for one in others], axis=0)
    return total
