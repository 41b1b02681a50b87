"""Some rows in two, at random: what is left to learn from, and what is drawn to score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Rows


def split_in_two(problem: Any, rows: Rows, share: float, seed: int) -> tuple[Rows, Rows]:
    """Some rows of a problem without a share of them, and that share, both in order.

    It is drawn stratified by class, or whole groups together. No class is drawn as a whole: of one that would be, the
    first row that weighs anything in fits stays, or the first of its groups.

    Raises
    ------
    ValueError
        As scikit-learn does where there are too few rows, or where all that are drawn would have to stay.
    """
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    groups, strata = None if problem.groups is None else problem.groups[rows], problem.strata[rows]
    kind, free = ShuffleSplit, np.arange(len(rows))
    if groups is not None:
        kind = GroupShuffleSplit
    elif problem.task != "regression":
        kind, free = StratifiedShuffleSplit, _with_others(strata)
    splitter = kind(n_splits=1, test_size=share, random_state=seed)
    _, found = next(splitter.split(np.empty(len(free)), strata[free], groups))
    drawn = np.zeros(len(rows), dtype=bool)
    drawn[free[found]] = True
    drawn &= ~_needed(problem, rows, drawn)
    if not drawn.any():
        raise ValueError("no class could spare a row.")
    return rows[~drawn], rows[drawn]


def _with_others(strata: NDArray[Any]) -> Rows:
    """The places of rows that are not the only ones of their stratum, which a stratified splitter refuses."""
    _, code, count = np.unique(strata, return_inverse=True, return_counts=True)
    return np.flatnonzero(count[code] > 1)


def _needed(problem: Any, rows: Rows, drawn: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``[len(rows)]``: which of the rows that are drawn are to stay, for their classes to be learned from some."""
    groups = np.arange(len(rows)) if problem.groups is None else problem.groups[rows]
    needed = np.zeros(len(rows), dtype=bool)
    weighs = np.ones(len(rows), dtype=bool) if problem.sample_weight is None else problem.sample_weight[rows] > 0
    for one in problem.coded:
        codes = one.codes[rows]
        for code in np.setdiff1d(codes[drawn & weighs], codes[~(drawn & ~needed) & weighs]):
            first = int(np.flatnonzero(weighs & (codes == code))[0])
            needed |= groups == groups[first]
    return needed
