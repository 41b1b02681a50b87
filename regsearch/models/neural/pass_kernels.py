"""What `one_pass` compiles: rows are stretches of memory, so that neighbours in a row are so to the compiler.

Importing this module imports numba.
"""

from __future__ import annotations

import math

import numpy as np

from regsearch._types import Array
from regsearch.models.compiling import compiled_elementwise


@compiled_elementwise
def adam(
    theta: Array, theta_stride: int, first: Array, first_stride: int, second: Array, second_stride: int,
    gradient: Array, gradient_stride: int, rate: Array, rate_stride: int,
    scale: Array, floor: Array, factor: Array, share1: float, keep2: float, share2: float, length: int,
) -> None:  # fmt: skip
    """Adam's step on rows of a length; arrays are flat, with the distance of rows after each."""
    for i in range(len(scale)):
        w = theta[i * theta_stride : i * theta_stride + length]
        m = first[i * first_stride : i * first_stride + length]
        v = second[i * second_stride : i * second_stride + length]
        g = gradient[i * gradient_stride : i * gradient_stride + length]
        r = rate[i * rate_stride : i * rate_stride + length]
        for j in range(length):
            mean = m[j] + share1 * (g[j] - m[j])
            square = v[j] * keep2 + share2 * g[j] * g[j]
            step = scale[i] / (np.sqrt(square) + floor[i])
            m[j], v[j], r[j] = mean, square, step
            w[j] += factor[i] * mean * step


@compiled_elementwise
def shrunk(rows: Array, rows_stride: int, rate: Array, rate_stride: int, l1: Array, l2: Array, length: int) -> None:
    """Rows of a length are soft-thresholded and shrunk; what is not a number stays none."""
    none, one = rows.dtype.type(0), rows.dtype.type(1)
    for i in range(len(l1)):
        w = rows[i * rows_stride : i * rows_stride + length]
        r = rate[i * rate_stride : i * rate_stride + length]
        for j in range(length):
            left = abs(w[j]) - r[j] * l1[i]
            left = none if left < none else left
            w[j] = math.copysign(left, w[j]) / (r[j] * l2[i] + one)


@compiled_elementwise
def rectified(h: Array, factor: Array) -> None:
    """What is above 0 times its factor, else 0, in place; what is not a number stays none. Both are flat."""
    none = h.dtype.type(0)
    for i in range(len(h)):
        h[i] = none if h[i] < none else h[i] * factor[i]


@compiled_elementwise
def rectified_back(gradient: Array, out: Array, factor: Array) -> None:
    """The gradient by what `rectified` was given, in place of that by what it made, which is `out`; all are flat."""
    none = out.dtype.type(0)
    for i in range(len(out)):
        gradient[i] = gradient[i] * factor[i] if out[i] > none else none
