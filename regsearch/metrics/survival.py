"""Times to an event, some of which were not seen to their end: the partial likelihood, and the share of ordered pairs.

A time is positive where the event was seen and negative where it was censored, which is how y has them. A decision is
the log hazard: larger where the event comes sooner.

Notation and shapes

========  =======  ===================================================================================================
symbol    shape    meaning
========  =======  ===================================================================================================
n, S      int      rows, steps; rows are in the order of their times here
T, E      int      terms of the likelihood, and pairs of a term and a row whose event it is
eta       [S, n]   decisions
weights   [n]      of rows
share     [T]      weight of each term; they sum to that of all events
part      [T]      how much of its events a term leaves out of the rows at risk (Efron); 0 for all (Breslow)
total     [S, T]   ``sum_j weight_j exp(eta_j)`` of the rows at risk, less `part` of those whose event it is
========  =======  ===================================================================================================

The loss is ``sum_t share_t log total_t - sum_i weight_i event_i eta_i``, less the least that it can be: half a
deviance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows

PAIRS = 2**22  # that are compared at once
LEAST = 1e-290  # of a total that is not rounding, and that something may be divided by


class RiskSets(NamedTuple):
    """The terms of a partial likelihood; see the module.

    Attributes
    ----------
    order
        ``[n]`` rows by their times.
    events
        ``[n]`` 1 where the event was seen, in that order.
    first
        ``[T]`` place of the first row at risk.
    last
        ``[n]`` number of terms up to each row's time.
    term, row
        ``[E]`` pairs of a term and a row whose event it is.
    """

    order: Rows
    weights: Array
    events: Array
    first: Rows
    last: Rows
    share: Array
    part: Array
    term: Rows
    row: Rows
    least: float

    @classmethod
    def of(cls, y: Array, weights: Array, efron: bool = False) -> RiskSets:
        """Those of signed times ``[n]``; events of weight zero are none."""
        order = np.argsort(np.abs(y), kind="stable")
        times, weights = np.abs(y)[order], weights[order]
        events = ((y[order] > 0) & (weights > 0)).astype(float)
        starts = np.flatnonzero(np.concatenate([[True], times[1:] != times[:-1]]))
        group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(times))))
        count = np.bincount(group, events).astype(int)
        mass = np.bincount(group, events * weights)
        terms = np.where(count > 0, count if efron else 1, 0)
        of_group = np.repeat(np.arange(len(starts)), terms)
        number = np.arange(len(of_group)) - np.repeat(np.cumsum(terms) - terms, terms)
        part = number / np.maximum(count[of_group], 1) if efron else np.zeros(len(of_group))
        share = mass[of_group] / terms[of_group]
        seen = np.flatnonzero(events)
        before = np.cumsum(terms) - terms
        row = np.repeat(seen, terms[group[seen]])
        term = np.concatenate([before[g] + np.arange(terms[g]) for g in group[seen]]) if len(seen) else seen
        least = float(share @ np.log(mass[of_group] * (1 - part)))
        return cls(order, weights, events, starts[of_group], np.cumsum(terms)[group], share, part, term, row, least)

    def at(self, eta: Array) -> AtRisk:
        """The terms at decisions ``[S, n]`` in the order of y."""
        eta = eta[:, self.order]
        top = eta.max(axis=1, keepdims=True)
        size = self.weights * np.exp(eta - top)
        total = self.at_risk(size)
        log_total = np.log(total) + top if (total > LEAST).all() else self._log_total(eta)
        return AtRisk(eta, size, total, log_total @ self.share - eta @ (self.weights * self.events) - self.least)

    def _log_total(self, eta: Array) -> Array:
        """``[S, T]`` where decisions are so far apart that some totals are rounded to nothing; slow."""
        with np.errstate(divide="ignore"):  # rows of no weight
            each = np.log(self.weights) + eta
        found = np.logaddexp.accumulate(each[:, ::-1], axis=1)[:, ::-1][:, self.first]
        left_out = self.part * self.over_events(np.exp(each[:, self.row] - found[:, self.term]))
        return np.asarray(found + np.log1p(-left_out))

    def at_risk(self, values: Array) -> Array:
        """``[S, T]`` sums over the rows at risk, less what a term leaves out, of values ``[S, n]`` by time."""
        total = np.cumsum(values[:, ::-1], axis=1)[:, ::-1][:, self.first]
        return np.asarray(total - self.part * self.over_events(values[:, self.row]) if self.part.any() else total)

    def over_events(self, values: Array) -> Array:
        """``[S, T]`` sums over the rows whose event a term is, of values ``[S, E]``."""
        return np.stack([np.bincount(self.term, one, minlength=len(self.share)) for one in values])

    def hazards(self, at: AtRisk) -> Array:
        """``[S, n]``: what each row's weighted ``exp(eta)`` is multiplied by for the derivative of the terms."""
        rates = self.share / at.total
        reached = np.concatenate([np.zeros((len(rates), 1)), np.cumsum(rates, axis=1)], axis=1)[:, self.last]
        if self.part.any():
            less = (rates * self.part)[:, self.term]
            reached = reached - np.stack([np.bincount(self.row, one, minlength=reached.shape[1]) for one in less])
        return np.asarray(reached)

    def in_order_of_y(self, values: Array) -> Array:
        """``[S, n]`` in the order of y."""
        found = np.empty_like(values)
        found[:, self.order] = values
        return found

    def residual(self, eta: Array) -> Array:
        """``[S, n]`` minus the derivatives of the loss by decisions, in the order of y."""
        at = self.at(eta)
        return self.in_order_of_y(self.weights * self.events - at.size * self.hazards(at))


class AtRisk(NamedTuple):
    """Decisions and their sizes ``[S, n]`` by time, totals ``[S, T]`` and losses ``[S]``."""

    eta: Array
    size: Array
    total: Array
    loss: Array

    @property
    def told(self) -> NDArray[np.bool_]:
        """``[S]``: whether no total is rounded to nothing, so that the loss has derivatives."""
        return np.asarray((self.total > LEAST).all(axis=1))


def neg_cox_deviance(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    """``[S]`` minus the mean deviance of the partial likelihood of some rows (Breslow's)."""
    with np.errstate(all="ignore"):
        return np.asarray(-2 * RiskSets.of(y, weights).at(np.ascontiguousarray(decision[:, :, 0].T)).loss)


def d2_cox(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    """``[S]``: the share of the deviance of equal hazards that is explained."""
    null = neg_cox_deviance(y, np.zeros((len(y), 1, 1)), weights)[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - neg_cox_deviance(y, decision, weights) / null)


def concordance_index(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Harrell's C: the share of comparable pairs whose log hazards are in the order of their events.

    A pair is comparable where the earlier of two times was seen, or of equal times one alone; equal log hazards count
    half; a pair weighs the product of its weights.
    """
    y, risk = signed(y_true), np.asarray(y_pred, dtype=float)
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    time, seen = np.abs(y), np.flatnonzero(y > 0)
    right = pairs = 0.0
    size = max(1, PAIRS // max(len(y), 1))
    for start in range(0, len(seen), size):
        rows = seen[start : start + size]
        later = (time[rows, None] < time) | ((time[rows, None] == time) & (y < 0))
        weight = weights[rows, None] * np.where(later, weights, 0.0)
        pairs += float(weight.sum())
        ordered = (risk[rows, None] > risk) + 0.5 * (risk[rows, None] == risk)
        right += float((weight * ordered).sum())
    return right / pairs if pairs else float("nan")


def cox_deviance(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """The mean deviance of the partial likelihood of some rows, log hazards being predicted."""
    return -float(neg_cox_deviance(*_scored(y_true, y_pred, sample_weight))[0])


def d2_cox_score(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """What is explained of that of equal hazards."""
    return float(d2_cox(*_scored(y_true, y_pred, sample_weight))[0])


def _scored(y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Array, Array, Array]:
    y = signed(y_true)
    weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    return y, np.asarray(y_pred, dtype=float)[:, None, None], weights / weights.sum()


def signed(y: Any) -> Array:
    """Times ``[n]``, negative where censored, of those or of a structured array of events and times."""
    given = np.asarray(y)
    if given.dtype.names is None:
        return np.asarray(given, dtype=float)
    event, time = (given[name] for name in given.dtype.names)
    return np.where(event, time, -np.asarray(time, dtype=float))
