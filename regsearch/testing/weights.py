"""Rows that weigh something as the rows that the weights stand for: what sample weights are held to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from regsearch._types import Rows
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.models.base import Setup


def repeated(weighted: Setup) -> tuple[Setup, Rows]:
    """The same without weights: each row as often as it weighs in fits, a whole number, in the same part of each fold.

    Returns
    -------
    tuple
        The setup, and the row of the weighted problem that each of its rows is a copy of.
    """
    weight = weighted.problem.sample_weight
    assert weight is not None, "a problem without weights is its own"
    copies = np.repeat(np.arange(weighted.problem.rows), weight.astype(int))
    return _with_rows(weighted, replace(weighted.problem.take(copies), sample_weight=None, score_weight=None), copies)


def without_weightless(weighted: Setup) -> tuple[Setup, Rows]:
    """The same without the rows of weight zero, and the rows that are left."""
    weight = weighted.problem.sample_weight
    assert weight is not None, "a problem without weights has no rows of weight zero"
    left = np.flatnonzero(weight > 0)
    return _with_rows(weighted, weighted.problem.take(left), left)


def _with_rows(of: Setup, problem: Problem, copies: Rows) -> tuple[Setup, Rows]:
    """A setup of copies of rows, folded as the rows are."""

    def places(part: tuple[Rows, ...]) -> tuple[Rows, ...]:
        return tuple(np.flatnonzero(np.isin(copies, rows)) for rows in part)

    folds = Folds(places(of.folds.train), places(of.folds.val), of.folds.name)
    return replace(of, problem=problem, folds=folds), copies
