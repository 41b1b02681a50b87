"""Penalties of groups of columns, which are in use together or not at all.

``lambda sum_g (mix f_g |w_g|_1 + (1 - mix) f_g sqrt(d_g) |w_g|_2)``: d_g the number of a group's coefficients, in all
classes, and f_g its penalty factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns, Quadratic
from regsearch.models.linear.spent import Bends

if TYPE_CHECKING:
    from regsearch.models.linear.group_kernels import Groups


@dataclass(frozen=True)
class ColumnGroups:
    """A field that holds names of columns of X by the group that they form, kept as pairs ``(group, names)``.

    `None`: every column of X is a group, of all its columns if it is a category.
    """

    def admit(self, value: Any, where: str) -> Any:
        pairs = [] if value is None else list(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(pairs, (list, tuple)) or not all(map(_is_group, pairs)):
            raise InvalidInput(
                f"{where} must be a dict from groups to names of columns, got {said(value)}; "
                "write {'blood': ['bp', 'glucose']}."
            )
        every = [name for _, names in pairs for name in names]
        repeated = [name for name in every if every.count(name) > 1]
        if repeated:
            raise InvalidInput(f"{where} must have each column once, got {repeated[0]!r} again; remove it.")
        return tuple(sorted((str(group), tuple(sorted(names))) for group, names in pairs)) or None


def _is_group(pair: Any) -> bool:
    whole = isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[1], (list, tuple))
    return whole and all(isinstance(name, str) for name in pair[1])


@dataclass(frozen=True)
class GroupTerms(GeneralTerms):
    """See the module.

    Attributes
    ----------
    mix
        The share of the absolute values.
    named
        Groups by name, as `ColumnGroups` keeps them; columns that none has are groups of their own.
    group
        ``[p]`` number of each column's group.
    factors
        ``[G]`` penalty factors.
    counts
        ``[G]`` columns of each group, those that are left out included.
    """

    spends = "coefficients that are not zero, held back by the norms of their groups"
    mix: float
    named: Any = None
    group: Rows = field(default_factory=lambda: np.arange(0))
    factors: Array = field(default_factory=lambda: np.empty(0))
    counts: Array = field(default_factory=lambda: np.empty(0))

    def on(self, columns: PenalisedColumns) -> GroupTerms:
        if columns.limited:
            raise InvalidInput("Limits of coefficients need a penalty of each alone, got groups; choose elastic_net.")
        of_feature = np.arange(int(columns.features.max(initial=-1)) + 1)
        known = columns.places() if self.named else {}
        for _, names in self.named or ():
            places = [place for name in names for place in known[name]]
            of_feature[places] = min(places)
        _, first, group, counts = np.unique(
            of_feature[columns.features], return_index=True, return_inverse=True, return_counts=True
        )
        factors = columns.factors[first]
        if (factors[group] != columns.factors).any():
            raise InvalidInput("The columns of a group must have one penalty factor, got several; give them the same.")
        return GroupTerms(self.mix, self.named, group, factors, counts.astype(float))

    def value(self, w: Array, lambda_: float) -> Array:
        norms = self._norms(w)
        with np.errstate(invalid="ignore"):
            alone = np.where(w != 0, self._alone * np.abs(w), 0.0).sum(axis=(-2, -1))
            together = np.where(norms > 0, self._together(w) * norms, 0.0).sum(axis=-1)
        return np.asarray(lambda_ * (alone + together))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        soft = self._soft(w, step * lambda_)
        norms = self._norms(soft)
        left = np.maximum(norms - step * lambda_ * self._together(w), 0.0)
        share = np.divide(left, norms, out=np.zeros_like(norms), where=norms > 0)
        return np.asarray(soft * share[..., self.group, None])

    def distance(self, w: Array, gradient: Array, lambda_: float) -> Array:
        from regsearch.models.linear.group_kernels import distances

        return distances(w.ravel(), gradient.ravel(), *self._groups(w, lambda_)).reshape(w.shape)

    def score(self, w: Array, gradient: Array, lambda_: float) -> Array:
        """Whole groups."""
        asked = self.distance(w, gradient, lambda_)
        return np.asarray(self._norms(asked)[..., self.group])

    def restricted(self, some: Rows) -> GroupTerms:
        kept, group = np.unique(self.group[some], return_inverse=True)
        return GroupTerms(self.mix, self.named, group, self.factors[kept], self.counts[kept])

    @property
    def unpenalised(self) -> Array:
        return np.asarray(self.factors[self.group] == 0)[:, None]

    @property
    def weights(self) -> Array:
        return np.asarray(self.factors[self.group])[:, None]

    @property
    def at_top(self) -> GroupTerms:
        return replace(self, factors=np.where(self.factors > 0, np.inf, 0.0))

    def lambda_max(self, gradient: Array) -> float:
        return super().lambda_max(np.where(self.unpenalised, 0.0, gradient))

    def bends(self, w: Array, own: Rows) -> Bends:
        """A norm is curved across its direction: ``(1 - w w' / |w|^2) / |w|``."""
        norms = self._norms(w)
        group = self.group[own // w.shape[1]]
        across, direction = self._together(w)[group] / norms[group], w.ravel()[own] / norms[group]
        return Bends(np.zeros_like(across), across, direction, group)

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        from regsearch.models.linear.group_kernels import minimise

        return minimise(quadratic, w.ravel(), slope.ravel(), self._groups(w, lambda_), tolerance).reshape(w.shape)

    def _groups(self, w: Array, lambda_: float) -> Groups:
        """Those of the coefficients ``[p, m]``, flat, at a lambda."""
        from regsearch.models.linear.group_kernels import Groups

        m, (columns, starts) = w.shape[1], self._sorted
        members = (columns[:, None] * m + np.arange(m)).ravel()
        alone = np.ascontiguousarray(np.broadcast_to(lambda_ * self._alone, w.shape)).ravel()
        return Groups(members, np.append(starts * m, w.size), alone, lambda_ * self._together(w))

    @cached_property
    def _alone(self) -> Array:
        """``[p, 1]`` weights of the absolute values."""
        return self.mix * self.factors[self.group, None] if self.mix else np.zeros((len(self.group), 1))

    @cached_property
    def _roots(self) -> Array:
        return (1 - self.mix) * self.factors * np.sqrt(self.counts) if self.mix < 1 else np.zeros(len(self.counts))

    def _together(self, w: Array) -> Array:
        """``[G]`` weights of the norms."""
        return np.asarray(self._roots * np.sqrt(w.shape[-1]))

    def _norms(self, w: Array) -> Array:
        """``[..., G]``."""
        order, starts = self._sorted
        squares = (w**2).sum(axis=-1)[..., order]
        return np.sqrt(np.add.reduceat(squares, starts, axis=-1)) if len(starts) else squares

    @cached_property
    def _sorted(self) -> tuple[Rows, Rows]:
        """The columns group by group, and where each group begins."""
        order = np.argsort(self.group, kind="stable")
        return order, np.flatnonzero(np.diff(self.group[order], prepend=-1))

    def _soft(self, w: Array, threshold: float) -> Array:
        return np.asarray(np.sign(w) * np.maximum(np.abs(w) - threshold * self._alone, 0.0)) if self.mix else w
