"""What is told of the points of a path in one compiled look at each of their coefficients."""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.kernels import summed


def _divide_all(w: Array, inverse: Array, centers: Array, coef: Array, offset: Array) -> None:
    np.multiply(w, inverse, out=coef)
    np.matmul(coef, centers, out=offset)


def _divide(w: Array, inverse: Array, centers: Array, coef: Array, offset: Array) -> None:
    """Write the coefficients ``[S, p]`` of columns by those of scaled ones, and what they make of centers, ``[S]``."""
    for step in range(w.shape[0]):
        here, there, total = w[step], coef[step], 0.0
        for j in range(w.shape[1]):
            value = here[j] * inverse[j]
            there[j] = value
            total += value * centers[j]
        offset[step] = total


divide = summed(_divide, plain=_divide_all)


@summed
def used_columns(w: Array, powers: Array) -> Array:
    """``[2, S]``: how many coefficients ``[S, p]`` are not zero, and the sum of the powers ``[p]`` of their columns."""
    found = np.empty((2, w.shape[0]))
    for step in range(w.shape[0]):
        count, power = 0.0, 0.0
        for j in range(w.shape[1]):
            used = 1.0 if w[step, j] != 0.0 else 0.0
            count += used
            power += used * powers[j]
        found[0, step], found[1, step] = count, power
    return found
