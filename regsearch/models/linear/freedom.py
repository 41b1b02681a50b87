"""Effective degrees of freedom along a path: what a fit spends beside the intercept, in one unit for every penalty.

============  ========================================================================================================
no penalty    the rank of the columns, of K classes K - 1 times: the limit of ridge as lambda goes to zero. A trace
              would say less where classes are separable, as rows of certain predictions weigh nothing
ridge         the trace of the hat matrix, ``sum_j d_j / (d_j + lambda_2)`` over the eigenvalues d of the loss's Hessian
L1            coefficients that are not zero (Zou, Hastie & Tibshirani 2007), of every class
elastic net   the trace of the hat matrix of the columns in use, from above: those cannot spend more than columns of
              their number and variance that do not correlate, nor more than all columns do at the same lambda_2. It is
              L1's number without an L2 part, and ridge's where every column is in use
============  ========================================================================================================

For the log-loss, rows have the mean curvature of all of them in place of their own: nearly the trace, for which see
`leverage.py`.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.design import Design


def most_freedom(count: Array, power: Array, strength: Array) -> Array:
    """``[...]``: the most that so many eigenvalues with the sum `power` can spend at an L2 strength above zero.

    ``d / (d + strength)`` is concave in d, so equal eigenvalues spend the most.
    """
    spent = count * power
    return np.divide(spent, power + count * strength, out=np.zeros_like(spent), where=power > 0)


def column_powers(design: Design, scale: str) -> Array:
    """``[K, p]`` variances of the scaled columns; 0 where one is constant."""

    def made() -> Array:
        scales = design.scales(scale)
        return np.divide(design.scales("standard"), scales, out=np.zeros_like(scales), where=scales > 0) ** 2

    return design.kept(("powers", scale), made)


def column_power(design: Design, scale: str, k: int) -> Array:
    """``[p]``, those of one fold."""
    return np.asarray((design.scales("standard")[k] * design.inverse_scale(scale, k)) ** 2)


def curved_freedom(curvature: Array, values: Array, strength: Array, counts: float | Array = 1.0) -> Array:
    """``[S]``: what all columns spend whose rows have the mean curvatures ``[m, S]``, by eigenvalues ``[r]``.

    Each counts as one, or as `counts` says.
    """
    m, spread = len(curvature), curvature[..., None] * values
    classes = (m - 1) / m if m > 1 else 1.0  # one of the m vectors is free to be anything
    return np.asarray(classes * (counts * spread / (spread + strength[:, None])).sum(axis=(0, 2)))


def mean_curvatures(p: Array, weights: Array) -> Array:
    """``[m, S]`` mean curvature of each output, of probabilities ``[m, S, n]``.

    Of m > 1 outputs on the subspace where they sum to zero.
    """
    m = len(p)
    spread = (p * (1 - p)) @ weights * (m / (m - 1) if m > 1 else 1.0)
    return np.asarray(np.maximum(spread, 1e-12))
