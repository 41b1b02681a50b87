"""Degrees of freedom of penalties of general form: the trace of the hat matrix of the coefficients in use.

Notation and shapes

=========  ========  ===============================================================================
symbol     shape     meaning
=========  ========  ===============================================================================
a          int       coefficients in use
gram       [a, a]    curvature of the loss along them
held       [a, a]    the same of the objective, lambda times the penalty's added; symmetric
root       [a]       square roots of the diagonal of held
unit       [a, a]    held in units in which its diagonal is one
inverse    [a, a]    the inverse of the lower Cholesky factor of unit
=========  ========  ===============================================================================

``held^-1 gram`` is the unit matrix less what the penalty takes, ``held^-1 (held - gram)``, whose trace is read off the
columns of the inverse of a Cholesky factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    """Second derivatives of a penalty: a diagonal, less a square for each group of coefficients.

    Attributes
    ----------
    diagonal
        ``[a]``.
    along
        ``[a]``; ``along_i along_j`` is taken off where i and j are of one group.
    group
        ``[a]`` numbers.
    """

    diagonal: Array
    along: Array
    group: Rows

    @classmethod
    def alone(cls, diagonal: Array) -> Bends:
        """Of coefficients that do not bend together."""
        return cls(diagonal, np.zeros_like(diagonal), np.arange(len(diagonal)))

    def times(self, factor: float) -> Bends:
        """Those of a multiple of the penalty."""
        return Bends(factor * self.diagonal, np.sqrt(factor) * self.along, self.group)

    def of_units(self, root: Array) -> Bends:
        """Those of the coefficients times so much."""
        return Bends(self.diagonal / root**2, self.along / root, self.group)

    def added_to(self, gram: Reals) -> Reals:
        """The sum of both."""
        order = np.argsort(self.group, kind="stable")
        group, held = self.group[order], gram.copy()
        size = np.bincount(group)[group]
        row = np.repeat(order, size)
        start = np.repeat(np.searchsorted(group, group), size)
        column = order[start + np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)]
        held[row, column] -= self.along[row] * self.along[column]
        held.flat[:: len(held) + 1] += self.diagonal
        return held

    def trace(self, inverse: Reals) -> float:
        """Of ``inverse bends inverse'``."""
        columns = inverse.T
        total = float(self.diagonal @ np.einsum("ij,ij->i", columns, columns))
        if not self.along.any():
            return total
        order = np.argsort(self.group, kind="stable")
        first = np.append(np.flatnonzero(np.diff(self.group[order], prepend=-1)), len(order))
        along = self.along[order].astype(columns.dtype)
        sums = sparse.csr_array((along, order, first), (len(first) - 1, len(order))) @ columns
        return total - float(np.vdot(sums, sums))


def spent(gram: Array, bends: Bends, lambda_: float, own: Rows | None = None) -> float:
    """The trace of ``(gram + lambda bends)^-1 gram``, of some coefficients alone where `own` says which."""
    own = np.arange(len(gram)) if own is None else own
    if not len(own):
        return 0.0
    size, bends = np.diag(gram)[own], bends.times(lambda_)
    bends = Bends(bends.diagonal + FLAT * size, bends.along, bends.group)  # columns without a penalty may repeat
    square = size + bends.diagonal - bends.along**2
    if (square > 0).all():
        root = np.sqrt(square)
        bends = bends.of_units(root)
        inverse = _single(gram, bends, root, own)
        inverse = _double(gram[np.ix_(own, own)], bends, root) if inverse is None else inverse
        if inverse is not None:
            return len(own) - bends.trace(inverse)
        gram, own = gram[np.ix_(own, own)] / np.outer(root, root), np.arange(len(own))
    gram = gram[np.ix_(own, own)]
    return float(np.trace(np.linalg.solve(bends.added_to(gram), gram)))  # of a penalty that is not convex


def _single(gram: Array, bends: Bends, root: Array, own: Rows) -> Reals | None:
    """The inverse in single precision; `None` where that is not enough."""
    shrink = (1.0 / root).astype(np.float32)
    unit = np.empty((len(own), len(own)), dtype=np.float32)
    for part in (slice(start, start + AT_ONCE) for start in range(0, len(own), AT_ONCE)):
        unit[part] = gram[own[part]].take(own, axis=1)
    unit *= shrink[:, None]
    unit *= shrink
    unit = bends.added_to(unit)
    factor, indefinite = spotrf(unit.T, lower=1, clean=1, overwrite_a=1)
    if indefinite or (np.diag(factor) ** 2).min() < APART:
        return None
    return lower_inverse(factor, strtri)


def _double(gram: Array, bends: Bends, root: Array) -> Reals | None:
    """The inverse; `None` where there is no Cholesky factor."""
    factor, indefinite = dpotrf(bends.added_to(gram / np.outer(root, root)).T, lower=1, clean=1, overwrite_a=1)
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
