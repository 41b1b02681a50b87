"""Mean squared errors along a path from moments, compiled: few of its points are multiplied by a matrix.

Of a point that lies between two others the products do so, too, and of one that uses few columns they are sums of few.

Notation and shapes (see `regsearch.models.linear.moment_source`, and `descent.py` for the points N and their plan)

=========  =============  ==========================================================================
symbol     shape          meaning
=========  =============  ==========================================================================
F, K       int            folds asked for, and all folds
w          [F, N, p]      coefficients of the scaled columns
coef       [..., p]       coefficients of the columns themselves
gram       [K, p, p]      covariances of the columns in validation; further columns may follow
product    [..., p]       coef gram
=========  =============  ==========================================================================
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled
from regsearch.models.linear.kernels import Flags, Places, summed, take_four_off, take_off

FEW = 4  # as many columns as one that a point uses, from which on its product is left to BLAS


@summed
def used_count(w: Array) -> float:
    """How many coefficients are not zero; sums of numbers are vector instructions."""
    count = 0.0
    for j in range(len(w)):
        count += 1.0 if w[j] != 0.0 else 0.0
    return count


@compiled
def dense_points(w: Array, own: Flags, folds: Places, inverse: Array) -> tuple[Places, Places, Array]:
    """Points of their own that use many columns: where each fold's begin, the places of all, and their coef ``[B, p]``.

    The places ``[F, N]`` are -1 of other points.
    """
    places, starts, p = np.full(own.shape, -1), np.zeros(len(w) + 1, dtype=np.intp), w.shape[2]
    for f in range(len(w)):
        starts[f + 1] = starts[f]
        for i in range(w.shape[1]):
            if own[f, i] and FEW * used_count(w[f, i]) > p:
                places[f, i] = starts[f + 1]
                starts[f + 1] += 1
    coef = np.empty((starts[-1], p))
    for f in range(len(w)):
        for i in range(w.shape[1]):
            if places[f, i] >= 0:
                coef[places[f, i]] = w[f, i] * inverse[folds[f]]
    return starts, places, coef


@compiled
def multiply(w: Array, inverse: Array, gram: Array, product: Array, used: Places) -> None:
    """Write the product of a point that uses few columns, which have their places written to `used` ``[p + 1]``."""
    product[:] = 0.0
    count = 0
    for j in range(len(w)):
        used[count] = j
        count += w[j] != 0.0
    fours = count // 4 * 4
    for i in range(0, fours, 4):
        j, k, m, q = used[i], used[i + 1], used[i + 2], used[i + 3]
        a, b, c, d = -w[j] * inverse[j], -w[k] * inverse[k], -w[m] * inverse[m], -w[q] * inverse[q]
        take_four_off(product, gram, j, a, k, b, m, c, q, d)
    for i in range(fours, count):
        take_off(product, -w[used[i]] * inverse[used[i]], gram[used[i]])


@summed
def path_losses(
    w: Array, gradient: Array, folds: Places, moment: Array, power: Array, inverse: Array, gram: Array,
    val_moment: Array, drift: Array, apart: Array, val_power: Array, plan: Places, along: Array, own: Flags,
    places: Places, products: Array,
) -> Array:  # fmt: skip
    """``[2, F, N]`` mean squared errors in training and validation.

    Parameters
    ----------
    moment, power
        ``[K, p]`` of the scaled columns, and ``[K]``, as `val_moment` and `val_power` are in validation, of the columns
        themselves.
    drift, apart
        ``[K, p]`` and ``[K]``: the means of columns and target in validation, less those in training.
    along, own
        ``[F, Q]`` and ``[F, N]``.
    places, products
        Those of `dense_points`, and their products.
    """
    count, p = w.shape[1], w.shape[2]
    found, made, used = np.empty((2, len(w), count)), np.empty((count, p)), np.empty(p + 1, dtype=np.intp)
    for f in range(len(w)):
        k = folds[f]
        for i in range(count):
            if places[f, i] >= 0:
                made[i] = products[places[f, i]]
            elif own[f, i]:
                multiply(w[f, i], inverse[k], gram[k], made[i], used)
        for q in range(len(plan)):
            node, first, other, share = plan[q, 0], plan[q, 1], plan[q, 2], along[f, q]
            if not own[f, node]:
                for j in range(p):
                    made[node, j] = (1.0 - share) * made[first, j] + share * made[other, j]
        aim, val_aim, away, inverse_scale = moment[k], val_moment[k], drift[k], inverse[k]
        for i in range(count):
            train, val, bias = 0.0, 0.0, 0.0
            here, slope, product = w[f, i], gradient[f, i], made[i]
            for j in range(p):
                coef = here[j] * inverse_scale[j]
                train += here[j] * (aim[j] + slope[j])
                val += coef * (2.0 * val_aim[j] - product[j])
                bias += coef * away[j]
            found[0, f, i] = power[k] - train
            found[1, f, i] = (apart[k] - bias) ** 2 + val_power[k] - val
    return found
