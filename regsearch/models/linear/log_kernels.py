"""The log-loss of two classes, and the dual of that of any number; compiled by numba where it is installed.

Notation and shapes: those of `regsearch.models.linear.likelihood`, of one output.

=================  ======  ==========================================================================================
symbol             shape   meaning
=================  ======  ==========================================================================================
eta, p             [S, n]  decisions, and probabilities
y, weights         [n]     targets and row weights
slope              [S, e]  negative gradients of the loss
null               [e]     that of the null model
threshold          [S, e]  lambda l1
drift, share       [S]     how probabilities are moved to have the mean `target` of y; see `likelihood.duality_gaps`
shrink             [S]     how far from y to these
=================  ======  ==========================================================================================
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.blocks import some_rows
from regsearch.models.linear.kernels import summed

BLOCK = 512  # rows that are summed at a time, which rounds less than one sum of all
AT_ONCE = 2**13  # numbers of distributions that are held at a time


def _all_logistic(eta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    odds = np.exp(-np.abs(eta))
    p = np.where(eta >= 0, 1.0, odds) / (1.0 + odds)
    total = np.maximum(eta, 0.0) + np.log(1.0 + odds)
    total -= y * eta
    return p, total @ weights


def _logistic(eta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Probabilities ``[S, n]`` and weighted mean log-losses ``[S]``; rows of the same weight share a logarithm."""
    p, loss = np.empty(eta.shape), np.zeros(len(eta))
    for s in range(len(eta)):
        for start in range(0, len(y), BLOCK):
            stop = min(start + BLOCK, len(y))
            for i in range(start, stop):  # in a loop of its own, which is twice as fast
                p[s, i] = math.exp(-abs(eta[s, i]))
            total, weight, product = 0.0, 0.0, 1.0
            for i in range(start, stop):
                odds = p[s, i]
                p[s, i] = (1.0 if eta[s, i] >= 0.0 else odds) / (1.0 + odds)
                total += weights[i] * (max(eta[s, i], 0.0) - y[i] * eta[s, i])
                if weights[i] != weight:
                    total += weight * math.log(product)
                    weight, product = weights[i], 1.0
                product *= 1.0 + odds
            loss[s] += total + weight * math.log(product)
    return p, loss


logistic = compiled(_logistic, plain=_all_logistic, nogil=True)


def _all_feasible(p: Array, y: Array, weights: Array) -> tuple[Array, float, Array]:
    target = float(y @ weights)
    drift = p @ weights - target
    below = drift / target if target > 0.0 else np.zeros(len(p))
    worst = np.maximum(np.maximum(below, -drift / max(1.0 - target, 1e-300)), 0.0)
    return drift, target, worst / (1.0 + worst)


def _feasible(p: Array, y: Array, weights: Array) -> tuple[Array, float, Array]:
    """``drift``, ``target`` and ``share``."""
    drift, share, target = np.zeros(len(p)), np.zeros(len(p)), 0.0
    for start in range(0, len(y), BLOCK):
        total = 0.0
        for i in range(start, min(start + BLOCK, len(y))):
            total += weights[i] * y[i]
        target += total
    for s in range(len(p)):
        for start in range(0, len(y), BLOCK):
            total = 0.0
            for i in range(start, min(start + BLOCK, len(y))):
                total += weights[i] * p[s, i]
            drift[s] += total
        drift[s] -= target
        worst = max(drift[s] / target if target > 0.0 else 0.0, -drift[s] / max(1.0 - target, 1e-300), 0.0)
        share[s] = worst / (1.0 + worst)
    return drift, target, share


feasible = summed(_feasible, plain=_all_feasible, nogil=True)


def all_entropies(
    p: Array, y: Array, weights: Array, drift: Array, target: float, share: Array, shrink: Array, both: bool = True
) -> Array:  # fmt: skip
    """The same as whole arrays, a few rows at a time; of one class among several without that of the others."""
    total = np.zeros(len(p))
    for rows in some_rows(len(y), len(p), AT_ONCE):
        q = (1.0 - share[:, None]) * (p[:, rows] - drift[:, None]) + share[:, None] * target
        q = np.clip(y[rows] + shrink[:, None] * (q - y[rows]), 0.0, 1.0)
        for side in (q, 1.0 - q) if both else (q,):
            total -= (side * np.log(np.maximum(side, 1e-300))) @ weights[rows]
    return total


def _entropies(
    p: Array, y: Array, weights: Array, drift: Array, target: float, share: Array, shrink: Array
) -> Array:  # fmt: skip
    """``[S]`` weighted sums of the entropies of what probabilities are moved to."""
    entropy = np.zeros(len(p))
    for s in range(len(p)):
        keep, rest = 1.0 - share[s], share[s] * target - (1.0 - share[s]) * drift[s]
        for start in range(0, len(y), BLOCK):
            total = 0.0
            for i in range(start, min(start + BLOCK, len(y))):
                q = y[i] + shrink[s] * (keep * p[s, i] + rest - y[i])
                if 0.0 < q < 1.0:
                    total -= weights[i] * (q * math.log(q) + (1.0 - q) * math.log(1.0 - q))
            entropy[s] += total
    return entropy


entropies = compiled(_entropies, plain=all_entropies, nogil=True)


def _all_shrinks(slope: Array, null: Array, threshold: Array, share: Array) -> tuple[Array, Array]:
    size = np.abs((1 - share[:, None]) * slope + share[:, None] * null)
    over = size > threshold
    shrink = np.divide(threshold, size, out=np.ones_like(size), where=over).min(axis=1, initial=1.0)
    excess = np.subtract(size, threshold, out=np.zeros_like(size), where=over)
    return shrink, np.square(excess, out=excess).sum(axis=1)


def _shrinks(slope: Array, null: Array, threshold: Array, share: Array) -> tuple[Array, Array]:
    """``[S]`` twice: the share of gradients that thresholds allow, and the sum of the squares of what exceeds them."""
    shrink, excess = np.ones(len(slope)), np.zeros(len(slope))
    for s in range(len(slope)):
        least, squares = 1.0, 0.0
        for j in range(len(null)):
            size = abs((1.0 - share[s]) * slope[s, j] + share[s] * null[j])
            if size > threshold[s, j]:
                least = min(least, threshold[s, j] / size)
                squares += (size - threshold[s, j]) ** 2
        shrink[s], excess[s] = least, squares
    return shrink, excess


shrinks = compiled(_shrinks, plain=_all_shrinks, nogil=True)


@partial(compiled, nogil=True)
def two_class_gaps(
    value: Array, p: Array, y: Array, weights: Array, slope: Array, null: Array, threshold: Array, ridge: Array
) -> Array:  # fmt: skip
    """``[S]``: see `regsearch.models.linear.likelihood.duality_gaps`."""
    drift, target, share = feasible(p, y, weights)
    shrink, excess = shrinks(slope, null, threshold, share)
    gap = value - entropies(p, y, weights, drift, target, share, shrink)
    if np.all(ridge > 0.0):
        whole = entropies(p, y, weights, drift, target, share, np.ones(len(value)))
        gap = np.minimum(gap, value - whole + excess / (2.0 * ridge))
    return np.maximum(gap, 0.0)
