"""Cox's partial likelihood on one fold's training rows, certified by its dual.

Every term is the logarithm of a sum, whose dual is a distribution over the rows at risk; see `RiskSets` for the terms.
At decisions the distributions are what each row has of the sum. Mixed with those that are even over the rows whose
event it is, of which the loss is least, their residuals shrink in proportion: any share of the residuals is feasible.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from regsearch._types import Array
from regsearch.metrics.survival import RiskSets
from regsearch.models.linear.sample import Sample

LEAST = 1e-12  # of a mean curvature
TINY = 1e-300


class CoxSample(Sample):
    """The partial likelihood; y are signed times, p the decisions themselves, what is known of them among it.

    Parameters
    ----------
    efron
        Efron's way with events at one time, else Breslow's.
    offset
        ``[n]`` what is known of decisions, beside what the coefficients say.
    """

    def __init__(self, y: Array, weights: Array, efron: bool, offset: Array | float = 0.0) -> None:
        super().__init__(y, weights)
        self.offset = offset
        self.sets = RiskSets.of(self.y[0, 0], weights, efron)
        self.null_intercept = np.zeros(1)

    def at(self, eta: Array) -> tuple[Array, Array]:
        """A step too far has an infinite loss, and is taken back."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            at = self.sets.at(eta[0] + self.offset)
            return eta + self.offset, np.where(at.told, at.loss, np.inf)

    def residual(self, p: Array) -> Array:
        return np.asarray(self.sets.residual(p[0])[None])

    def hessian(self, eta: Array, p: Array) -> tuple[Array, Array | None]:
        """The curvature from above, without what is `between_rows`."""
        at = self.sets.at(eta + self.offset)
        return self.sets.in_order_of_y(at.size * self.sets.hazards(at)), None

    def between_rows(self, eta: Array) -> Callable[[Array], Array]:
        """The means of columns over the rows at risk, times the root of each term's share."""
        sets, at = self.sets, self.sets.at(eta + self.offset)
        factor = np.sqrt(sets.share) / at.total[0]
        return lambda columns: sets.at_risk(columns[:, sets.order] * at.size[0]) * factor

    def mean_curvatures(self, eta: Array, p: Array) -> Array:
        at = self.sets.at(eta[0] + self.offset)
        return np.asarray(np.maximum((at.size * self.sets.hazards(at)).sum(axis=1), LEAST)[None])

    def shift(self, eta: Array) -> Array:
        """To the mean decision zero: no intercept changes the loss."""
        return np.asarray(-(eta @ self.weights))

    def gaps(self, value: Array, p: Array, gradient: Array, null: Array, threshold: Array, ridge: Array) -> Array:
        size = np.where(np.isinf(threshold), 0.0, np.abs(gradient))[0]
        over = size > threshold[0]
        shrink = np.divide(threshold[0], size, out=np.ones_like(size), where=over).min(axis=1, initial=1.0)
        known = (self.residual(p)[0] * self.offset).sum(axis=1)  # which residuals weigh
        gap = value - self._dual(p[0], shrink) + shrink * known
        if np.all(ridge > 0):
            excess = (np.where(over, size - threshold[0], 0.0) ** 2).sum(axis=1)
            gap = np.minimum(gap, value - self._dual(p[0], np.ones_like(shrink)) + known + excess / (2 * ridge))
        return np.asarray(np.maximum(gap, 0.0))

    def _dual(self, eta: Array, share: Array) -> Array:
        """``[S]``: the dual at a share of the residuals; see the module."""
        sets, at = self.sets, self.sets.at(eta)
        share = share[:, None]
        log_total = np.log(at.total) + at.eta.max(axis=1, keepdims=True)
        weighted = np.cumsum((at.size * at.eta)[:, ::-1], axis=1)[:, ::-1][:, sets.first]
        own = at.size[:, sets.row] * (1 - sets.part[sets.term]) / at.total[:, sets.term]  # [S, E]
        decided = at.eta[:, sets.row]
        weighted = weighted - sets.part * sets.over_events(at.size[:, sets.row] * decided)
        entropy = weighted / at.total - log_total  # of the distribution as it is: sum_j q_j log(q_j / a_j)
        mass = sets.over_events(own)
        of_events = sets.over_events(own * (decided - log_total[:, sets.term]))
        others = share * (np.log(np.maximum(share, TINY)) * (1 - mass) + entropy - of_events)
        weight = sets.weights[sets.row]
        even = weight / np.bincount(sets.term, weight, minlength=len(sets.share))[sets.term]
        mixed = share * own + (1 - share) * even
        base = weight * (1 - sets.part[sets.term])
        events = sets.over_events(mixed * np.log(np.maximum(mixed, TINY) / base))
        return np.asarray(-((others + events) @ sets.share) - sets.least)
