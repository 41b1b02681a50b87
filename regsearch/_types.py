"""Types that every room uses."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Reals: TypeAlias = NDArray[np.floating[Any]]  # in either precision
Rows: TypeAlias = NDArray[np.intp]  # numbers of rows
Matrix: TypeAlias = Any  # np.ndarray or an array of scipy.sparse: both have @, .T and .shape
Task: TypeAlias = Literal["regression", "binary", "multiclass", "survival", "mixed"]
NUMBERS = ("regression", "survival")  # tasks without classes
MIXED: Final = "mixed"  # several targets, each of a task of its own
