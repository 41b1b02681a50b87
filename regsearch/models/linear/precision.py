"""Kinds of numbers that matrices are made of, and what solves with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import blas, lapack

from regsearch._types import Reals


class Precision(NamedTuple):
    """A kind of numbers, and what works on them.

    Attributes
    ----------
    apart
        Share of a column that those before do not explain, from which it tells six digits.
    """

    kind: type[np.floating[Any]]
    apart: float
    potrf: Callable[..., tuple[Reals, int]]
    potrs: Callable[..., tuple[Reals, int]]
    trmm: Callable[..., Reals]
    trsm: Callable[..., Reals]
    syrk: Callable[..., Reals]


SINGLE = Precision(np.float32, 1e-2, lapack.spotrf, lapack.spotrs, blas.strmm, blas.strsm, blas.ssyrk)
DOUBLE = Precision(np.float64, 0.0, lapack.dpotrf, lapack.dpotrs, blas.dtrmm, blas.dtrsm, blas.dsyrk)
