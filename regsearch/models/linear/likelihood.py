"""The log-loss of one fold's training rows: probabilities, losses, and the duality gaps that certify a fit.

Notation and shapes (classes first, so that every reduction over them and every product with the matrix is contiguous)

============  ===========  ===================================================================================
symbol        shape        meaning
============  ===========  ===================================================================================
m, S, n, e    int          outputs (1 when there are two classes), steps, training rows, coefficients per output
eta           [m, S, n]    decisions: intercept + Xw
p             [m, S, n]    probabilities, logistic for m = 1 and softmax otherwise
y             [m, 1, n]    targets, 0 or 1
weights       [n]          row weights, summing to one
gradient      [m, S, e]    X'W(y - p), the *negative* gradient of the loss; columns centred by `weights`
============  ===========  ===================================================================================
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, cast

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.freedom import mean_curvatures
from regsearch.models.linear.log_kernels import all_entropies, logistic, shrinks, two_class_gaps
from regsearch.models.linear.sample import Sample


def probabilities_and_losses(eta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Probabilities ``[m, S, n]`` and weighted mean log-losses ``[S]``."""
    if len(eta) == 1:
        decided, own = np.broadcast_to(eta[0], (eta.shape[1], y.shape[2])), y[0, 0]
        p, loss = logistic(np.ascontiguousarray(decided), own, weights)
        return p[None], loss
    top = eta.max(axis=0)
    p = eta - top
    np.exp(p, out=p)
    mass = p.sum(axis=0)
    p /= mass
    total = top + np.log(mass)
    for own, decided in zip(y, eta, strict=True):  # without an array of all
        total = total - own * decided
    return p, total @ weights


def null_intercept(y: Array, weights: Array) -> Array:
    """``[m]`` intercept of the model without columns; a class that is absent gets odds of exp(-30)."""
    mean = np.clip((y @ weights)[:, 0], 1e-13, 1 - 1e-13)
    return np.asarray(np.log(mean / (1 - mean)) if len(mean) == 1 else np.log(mean) - np.log(mean).mean())


def duality_gaps(
    value: Array, p: Array, y: Array, weights: Array, gradient: Array, null: Array, threshold: Array, ridge: Array
) -> Array:
    """``[S]``: how far penalised losses can be above their minima.

    The dual of the log-loss is the entropy of distributions q whose weighted means are those of y (the intercept is
    free), less the penalty's conjugate P* at ``u = X'W(y - q)``. Probabilities p whose means are slightly off are
    first moved there, by a shift and a share of the null model's distribution. Then two choices are valid:
    ``y + s (q - y)`` with the largest s that makes P* vanish, and q itself where the ridge makes P* finite.

    Parameters
    ----------
    value
        ``[S]`` penalised losses.
    null
        ``[m, 1, e]`` gradient of the null model.
    threshold, ridge
        ``lambda l1`` ``[m, S, e]`` and ``lambda l2`` ``[S]``.
    """
    limits, starts = np.broadcast_to(threshold, gradient.shape), null[:, 0]
    each = [tuple(map(np.ascontiguousarray, of)) for of in zip(gradient, starts, limits, strict=True)]
    if len(p) == 1:
        ((slope, start, limit),) = each
        return two_class_gaps(value, np.ascontiguousarray(p[0]), y[0, 0], weights, slope, start, limit, ridge)
    near, ridged = _Feasible.of(p, y, weights), bool(np.all(ridge > 0))
    shrink, excess, whole = np.ones(len(value)), np.zeros(len(value)), np.ones(len(value))
    for slope, start, limit in each:
        allowed, over = shrinks(slope, start, limit, near.share)
        shrink, excess = np.minimum(shrink, allowed), excess + over
    gap = value - near.entropy(p, y, weights, shrink)
    if ridged:
        gap = np.minimum(gap, value - near.entropy(p, y, weights, whole) + excess / (2 * ridge))
    return np.maximum(gap, 0.0)


class _Feasible(NamedTuple):
    """How probabilities ``[m, S, n]`` of several classes are moved to have the means of y.

    Attributes
    ----------
    target, drift
        ``[m, 1]`` means of y, and ``[m, S]`` how far the others are above.
    share
        ``[S]`` of the null model in distributions that have them.
    """

    target: Array
    drift: Array
    share: Array

    @classmethod
    def of(cls, p: Array, y: Array, weights: Array) -> _Feasible:
        target = y @ weights
        drift = p @ weights - target
        present = target > 0
        ratio = np.divide(drift, target, out=np.zeros_like(drift), where=np.broadcast_to(present, drift.shape))
        worst = ratio.max(axis=0, initial=0.0)
        return cls(target, drift, worst / (1 + worst))

    def entropy(self, p: Array, y: Array, weights: Array, shrink: Array) -> Array:
        """``[S]`` weighted sum of the entropies of distributions a part of the way from y to those: the conjugate of
        the log-loss, but for the sign.
        """
        total, each = np.zeros(len(shrink)), zip(p, y[:, 0], self.drift, self.target[:, 0], strict=True)
        for own, truth, drift, target in each:
            total += all_entropies(own, truth, weights, drift, target, self.share, shrink, both=False)
        return total


class LogSample(Sample):
    """The log-loss: y is 0 or 1, and of several classes held in a byte each."""

    def __init__(self, y: Array, weights: Array) -> None:
        super().__init__(y, weights)
        self.null_intercept = null_intercept(self.y, weights)
        if len(self.y) > 1:
            self.y = cast(Array, self.y.astype(np.int8))

    @cached_property
    def _null(self) -> tuple[Array, Array]:
        p, loss = self.at(self.null_intercept[:, None, None])
        return np.broadcast_to(p[..., :1].copy(), self.y.shape), loss  # every row has the same

    def at(self, eta: Array) -> tuple[Array, Array]:
        return probabilities_and_losses(eta, self.y, self.weights)

    def hessian(self, eta: Array, p: Array) -> tuple[Array, Array | None]:
        """``diag(p) - pp'`` of every row, for m = 1 ``p(1 - p)``."""
        return (self.weights * p * (1 - p), None) if len(p) == 1 else (self.weights * p, np.sqrt(self.weights) * p)

    def bend(self, p: Array, ahead: Array) -> None:
        """Multiply decisions ``[m, n]`` by the curvatures of rows, of several classes, in place."""
        ahead -= np.einsum("mn,mn->n", p, ahead)
        ahead *= p
        ahead *= self.weights

    def mean_curvatures(self, eta: Array, p: Array) -> Array:
        return mean_curvatures(p, self.weights)

    def gaps(self, value: Array, p: Array, gradient: Array, null: Array, threshold: Array, ridge: Array) -> Array:
        return duality_gaps(value, p, self.y, self.weights, gradient, null, threshold, ridge)
