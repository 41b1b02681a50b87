"""Coefficients of consecutive points of a path, of the columns alone that any of them uses.

Notation and shapes

=========  =============  ============================================
symbol     shape          meaning
=========  =============  ============================================
K, S       int            folds, points
p, m       int            columns, outputs
a          int            columns in use, of a fold
=========  =============  ============================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows

MOST = 0.9  # share of a fold's columns in use from which the others are not worth a copy without them


@dataclass(frozen=True)
class Coefficients:
    """Those ``[K, S, p, m]`` of a path; see the module.

    Attributes
    ----------
    columns
        By fold, the columns ``[a]`` that are in use, ascending.
    values
        By fold, their coefficients ``[S, a, m]``.
    p
        How many columns there are.
    """

    columns: Sequence[Rows]
    values: Sequence[Array]
    p: int

    @classmethod
    def whole(cls, coef: Array) -> Coefficients:
        """Of all columns ``[K, S, p, m]``."""
        return cls([np.arange(coef.shape[2])] * len(coef), list(coef), coef.shape[2])

    @property
    def used(self) -> list[NDArray[np.bool_]]:
        """By fold, which of its columns some point uses."""
        return [np.asarray(values.any(axis=(0, 2))) for values in self.values]

    @property
    def packed(self) -> Coefficients:
        """The same of columns that some point uses, where the last point does not use most of them in every fold."""
        if all(np.count_nonzero(values[-1].any(axis=1)) > MOST * len(values[-1]) for values in self.values):
            return self.alone  # as the last point tells, without a look at all
        used = self.used
        pairs = list(zip(used, self.columns, self.values, strict=True))
        kept = [values if some.all() else values[:, some] for some, _, values in pairs]
        return Coefficients([columns[some] for some, columns, _ in pairs], kept, self.p)

    def fold(self, k: int) -> Array:
        """``[S, p, m]``."""
        values = self.values[k]
        if values.shape[1] == self.p:
            return values
        made = np.zeros((len(values), self.p, values.shape[2]))
        made[:, self.columns[k]] = values
        return made

    def dense(self) -> Array:
        """``[K, S, p, m]``."""
        return np.stack([self.fold(k) for k in range(len(self.values))])

    def point(self, step: int) -> Array:
        """``[K, p, m]`` of one point."""
        made = np.zeros((len(self.values), self.p, self.values[0].shape[2]))
        for one, columns, values in zip(made, self.columns, self.values, strict=True):
            one[slice(None) if len(columns) == self.p else columns] = values[step]
        return made

    def together(self, folds: range) -> tuple[Rows, Array]:
        """Columns ``[u]``, ascending, among them all that some folds use, and their coefficients ``[F, S, u, m]``."""
        used = [self._used_of(k) for k in folds]
        if len(used) == 1:
            return used[0][0], used[0][1][None]
        some = np.zeros(self.p, dtype=bool)
        for columns, _ in used:
            some[columns] = True
        every = np.flatnonzero(some)
        made = np.zeros((len(folds), len(self.values[0]), len(every), self.values[0].shape[2]))
        for one, (columns, values) in zip(made, used, strict=True):
            one[:, np.searchsorted(every, columns)] = values
        return every, made

    def _used_of(self, k: int) -> tuple[Rows, Array]:
        """Columns that a fold uses, and their coefficients; all that it has, where it uses most."""
        columns, values = self.columns[k], self.values[k]
        mask = np.asarray(values.any(axis=(0, 2)))
        return (columns, values) if np.count_nonzero(mask) > MOST * len(mask) else (columns[mask], values[:, mask])

    def part(self, steps: slice) -> Coefficients:
        """Those of some points."""
        return Coefficients(self.columns, [values[steps] for values in self.values], self.p)

    def output(self, j: int) -> Coefficients:
        """Those of one output."""
        return Coefficients(self.columns, [values[..., j : j + 1] for values in self.values], self.p)

    @property
    def light(self) -> Coefficients | NonZero:
        """The same in as little memory, where that is far less."""
        count = sum(np.count_nonzero(one != 0) for one in self.values)  # which is quicker than of numbers
        few = 2 * count < sum(one.size for one in self.values)
        return NonZero.of(self) if few else self

    @property
    def alone(self) -> Coefficients:
        """The same, without what else is held where these lie, if that is much."""
        held = {id(one.base): one.base.size for one in self.values if one.base is not None}
        if sum(held.values()) < 2 * sum(one.size for one in self.values):
            return self
        own = [one if one.base is None or one.base.size < 2 * one.size else one.copy() for one in self.values]
        return Coefficients(self.columns, own, self.p)


@dataclass(frozen=True)
class NonZero:
    """Coefficients that are kept for later: of those that are zero, no more than where they are.

    Attributes
    ----------
    columns, p
        Those of `Coefficients`.
    shapes
        By fold, the shape of its values ``[S, a, m]``.
    places
        By fold, which of these are not zero, eight in a byte.
    values
        By fold, those that are not.
    """

    columns: Sequence[Rows]
    shapes: Sequence[tuple[int, ...]]
    places: Sequence[NDArray[np.uint8]]
    values: Sequence[Array]
    p: int

    @classmethod
    def of(cls, coef: Coefficients) -> NonZero:
        shapes, masks = [one.shape for one in coef.values], [one != 0 for one in coef.values]
        values = [one[mask] for one, mask in zip(coef.values, masks, strict=True)]
        return cls(coef.columns, shapes, [np.packbits(mask) for mask in masks], values, coef.p)

    def point(self, step: int) -> Array:
        """``[K, p, m]`` of one point."""
        made = np.zeros((len(self.values), self.p, self.shapes[0][2]))
        of_folds = zip(made, self.columns, self.shapes, self.places, self.values, strict=True)
        for one, columns, shape, places, values in of_folds:
            mask = np.unpackbits(places, count=math.prod(shape)).reshape(shape).astype(bool)
            start, some = int(mask[:step].sum()), np.zeros(shape[1:])
            some[mask[step]] = values[start : start + int(mask[step].sum())]
            one[columns] = some
        return made
