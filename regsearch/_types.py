"""Types that every room uses."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.intp]  # numbers of rows
Matrix: TypeAlias = Any  # np.ndarray or an array of scipy.sparse: both have @, .T and .shape
Task: TypeAlias = Literal["regression", "binary", "multiclass", "survival"]
NUMBERS = ("regression", "survival")  # tasks without classes
