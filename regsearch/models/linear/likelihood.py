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
from regsearch.models.linear.blocks import some_rows
from regsearch.models.linear.freedom import mean_curvatures
from regsearch.models.linear.sample import Sample

AT_ONCE = 2**13  # numbers of distributions that are held at a time


def probabilities_and_losses(eta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Probabilities ``[m, S, n]`` and weighted mean log-losses ``[S]``."""
    if len(eta) == 1:
        odds = np.exp(-np.abs(eta))
        p = np.where(eta >= 0, 1.0, odds) / (1.0 + odds)
        total = np.maximum(eta[0], 0.0) + np.log(1.0 + odds[0])
    else:
        top = eta.max(axis=0)
        p = eta - top
        np.exp(p, out=p)
        mass = p.sum(axis=0)
        p /= mass
        total = top + np.log(mass)
    for own, decided in zip(y, eta, strict=True):  # without an array of all
        total = total - own * decided
    return p, total @ weights


def entropy(q: Array, weights: Array) -> Array:
    """``[S]`` weighted sum of the entropies of distributions ``[m, S, n]``: the conjugate of the log-loss, but for the
    sign.
    """
    total = np.zeros(q.shape[1:])
    for side in (q, 1.0 - q) if len(q) == 1 else (q,):
        share = np.clip(side, 0.0, 1.0)
        terms = np.maximum(share, 1e-300)
        np.log(terms, out=terms)
        terms *= share
        total += terms.sum(axis=0)
    return np.asarray(-(total @ weights))


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
    near = _Feasible.of(p, y, weights)
    size = (1 - near.share[:, None]) * gradient
    size += near.share[:, None] * null
    np.abs(size, out=size)
    np.copyto(size, 0.0, where=np.isinf(threshold))
    over = size > threshold
    shrink = np.divide(threshold, size, out=np.ones_like(size), where=over).min(axis=(0, 2), initial=1.0)
    ridged = bool(np.all(ridge > 0))
    shrunk, whole = np.zeros(len(value)), np.zeros(len(value))
    for rows in some_rows(p.shape[2], p.shape[0] * p.shape[1], AT_ONCE):
        q, truth = near.at(p[..., rows]), y[..., rows]
        whole += entropy(q, weights[rows]) if ridged else 0.0
        q -= truth
        q *= shrink[:, None]
        q += truth
        shrunk += entropy(q, weights[rows])
    gap = value - shrunk
    if ridged:
        np.subtract(size, threshold, out=size, where=over)
        np.copyto(size, 0.0, where=~over)
        excess = np.square(size, out=size).sum(axis=(0, 2))
        gap = np.minimum(gap, value - whole + excess / (2 * ridge))
    return np.maximum(gap, 0.0)


class _Feasible(NamedTuple):
    """How probabilities ``[m, S, n]`` are moved to have the means of y.

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
        if len(p) == 1:
            ratio = np.concatenate([ratio, -drift / np.maximum(1 - target, 1e-300)])
        worst = ratio.max(axis=0, initial=0.0)
        return cls(target, drift, worst / (1 + worst))

    def at(self, p: Array) -> Array:
        """The distributions of some rows."""
        q = p - self.drift[..., None]
        q *= 1 - self.share[:, None]
        q += self.share[:, None] * self.target[..., None]
        return q


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
        return np.broadcast_to(p, self.y.shape), loss  # every row has the same

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
