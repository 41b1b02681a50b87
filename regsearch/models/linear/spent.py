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
inverse    [a, a]    the inverse of the lower Cholesky factor of unit
=========  ========  ===============================================================================

``(gram + held)^-1 gram`` is the unit matrix less what the penalty takes, ``(gram + held)^-1 held``, whose trace is read
off the columns of the inverse of a Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg.lapack import dpotrf, dtrtri, spotrf, strtri

from regsearch._types import Array, Rows

FLAT = 1e-6  # the ridge that stands for none
APART = 1e-2  # share of a column that those before do not explain, from which single precision tells six digits
AT_ONCE = 64  # rows that are rounded to it
SMALL = 64  # columns of a triangle that is inverted at once
MANY = 100  # coefficients in use, from which a trace takes longer than what it is read from
Reals: TypeAlias = NDArray[np.floating[Any]]  # in either precision
FORETOLD = 1e-3  # relative error of the trace that three before foretell, up to which those between are told by four


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
    def _order(self) -> Rows:
        """The coefficients group by group."""
        return np.argsort(self.group, kind="stable")

    @cached_property
    def _starts(self) -> Rows:
        """Where each group begins there."""
        return np.flatnonzero(np.diff(self.group[self._order], prepend=-1))

    @property
    def turned(self) -> Array:
        """``[a]``: what is left of them where groups are turned, along the first axis of each and the others."""
        along = self._order[self._starts]
        found = self.every + self.across
        found[along] = self.every[along]
        return found

    @property
    def turns(self) -> bool:
        """Whether that is other axes for any group."""
        return len(self._starts) < len(self.group) and bool(self.across.any())

    def turn(self, gram: Array) -> None:
        """Turn a symmetric ``[a, a]`` in place: a reflection of each group moves its direction to its first axis.

        Householder's, ``1 - v v' / (1 + |u|)``, u being the first number of the direction and v that direction with a
        one of the sign of u added to it there.
        """
        order, first = self._order, self._order[self._starts]
        v, ahead = self.direction.copy(), self.direction[first]
        v[first] += np.where(ahead < 0, -1.0, 1.0)
        bounds = np.append(self._starts, len(order))
        place = np.empty_like(order)
        place[order] = np.repeat(np.arange(len(first)), np.diff(bounds))
        share = v / (1.0 + np.abs(ahead))[place]
        sums = sparse.csr_array((v[order], order, bounds), (len(first), len(order)))
        taken = sums @ gram
        taken -= (sums @ taken.T).T[:, place] * (share / 2)  # as it is taken off from either side
        across = np.ascontiguousarray(taken.T)
        for part in _parts(len(order)):
            gram[part] -= share[part, None] * taken[place[part]]
            gram[part] -= across[part][:, place] * share


def spent(gram: Array, bends: Bends, lambda_: float, own: Rows | None = None) -> float:
    """The trace of ``(gram + lambda bends)^-1 gram``, of some coefficients alone where `own` says which."""
    own = np.arange(len(gram)) if own is None else own
    if not len(own):
        return 0.0
    if bends.turns:
        gram = gram[np.ix_(own, own)]
        bends.turn(gram)
        own = np.arange(len(gram))
    size = np.diag(gram)[own]
    held = lambda_ * bends.turned + FLAT * size  # columns without a penalty may repeat
    square = size + held
    if (square > 0).all():
        root, held = np.sqrt(square), held / square
        inverse = _single(gram, held, root, own)
        inverse = _double(gram[np.ix_(own, own)], held, root) if inverse is None else inverse
        if inverse is not None:
            columns = inverse.T
            return len(own) - float(held @ np.einsum("ij,ij->i", columns, columns))
        gram, own = gram[np.ix_(own, own)] / np.outer(root, root), np.arange(len(own))
    gram = gram[np.ix_(own, own)]
    return float(np.trace(np.linalg.solve(gram + np.diag(held), gram)))  # of a penalty that is not convex


def _parts(count: int) -> list[slice]:
    return [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]


def _single(gram: Array, held: Array, root: Array, own: Rows) -> Reals | None:
    """The inverse in single precision; `None` where that is not enough."""
    shrink = (1.0 / root).astype(np.float32)
    unit = np.empty((len(own), len(own)), dtype=np.float32)
    for part in _parts(len(own)):
        unit[part] = gram[own[part]].take(own, axis=1)
    unit *= shrink[:, None]
    unit *= shrink
    unit.flat[:: len(unit) + 1] += held
    factor, indefinite = spotrf(unit.T, lower=1, clean=1, overwrite_a=1)
    if indefinite or (np.diag(factor) ** 2).min() < APART:
        return None
    return lower_inverse(factor, strtri)


def _double(gram: Array, held: Array, root: Array) -> Reals | None:
    """The inverse; `None` where there is no Cholesky factor."""
    unit = gram / np.outer(root, root)
    unit.flat[:: len(unit) + 1] += held
    factor, indefinite = dpotrf(unit.T, lower=1, clean=1, overwrite_a=1)
    return None if indefinite else lower_inverse(factor, dtrtri)


def lower_inverse(factor: Reals, small: Callable[..., tuple[Reals, int]]) -> Reals:
    """The inverse of a lower triangle, from those of its halves: products of matrices are what is fast."""
    count = len(factor)
    if count <= SMALL:
        return small(factor, lower=1)[0]
    half = count // 2
    inverse = np.zeros((count, count), factor.dtype, order="F")
    inverse[:half, :half] = lower_inverse(factor[:half, :half], small)
    inverse[half:, half:] = lower_inverse(factor[half:, half:], small)
    inverse[half:, :half] = -(inverse[half:, half:] @ (factor[half:, :half] @ inverse[:half, :half]))
    return inverse


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
    """

    used: Array = field(default_factory=lambda: np.empty(0))
    known: list[tuple[float, float]] = field(default_factory=list)

    def of(self, used: Sequence[Array], lambdas: Array, exact: Callable[[int], float]) -> list[float]:
        """Those of the next points, of which `exact` tells one by its number."""
        if not lambdas.all():  # which has no logarithm
            self.used, self.known = used[-1], []
            return [exact(i) for i in range(len(used))]
        count, steps, at = float(used[-1].sum()), len(used), np.log(lambdas)
        since = next((i for i in range(steps, 0, -1) if not np.array_equal(used[i - 1], used[-1])), 0)
        lasting = since == 0 and np.array_equal(used[-1], self.used) and len(self.known) == 3
        self.used = used[-1]
        last = exact(steps - 1)
        if lasting and steps > 2 and count >= MANY:
            told = count * _share(_told(self.known, at[-1:]))[0]
            if 0 < last < count and abs(told - last) <= FORETOLD * last:
                known = [*self.known, (float(at[-1]), _logit(last / count))]
                self.known = known[1:]
                return [*(count * _share(_told(known, at[:-1]))), last]
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


def _told(known: list[tuple[float, float]], at: Array) -> Array:
    """The polynomial through some points, at others (Lagrange)."""
    places = [place for place, _ in known]
    total = np.zeros(len(at))
    for i, (place, value) in enumerate(known):
        others = (one for j, one in enumerate(places) if j != i)
        total += value * np.prod([(at - one) / (place - one) for one in others], axis=0)
    return total
