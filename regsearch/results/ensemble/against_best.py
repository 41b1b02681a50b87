"""An ensemble against the best trial: both are selected anew without each group of rows, and scored on those.

For each fold, trials, the steps of their paths and the picks are chosen on the rows that the fold does not validate,
and its rows score that ensemble, and beside it the trial that would have been the best alone. What one scores more than
the other is free of what either owes to being chosen, but for which configs were tried.

Many folds are left out in ten groups; of repeated folds those of the first repetition are, of folds that overlap
otherwise the first ten, one by one. A single fold is cut in five parts, groups of rows kept whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.blending import to_decisions
from regsearch.metrics.pooled import pooled_scores, repetitions
from regsearch.metrics.statistics import Estimate
from regsearch.results.ensemble.anew import SelectionAnew
from regsearch.results.ensemble.selection import Judge
from regsearch.results.stored_study import Scoring

GROUPS = 10  # of folds that are left out in turn
PARTS = 5  # of a single fold


@dataclass(frozen=True)
class HeldOut:
    """The rows that are left out of a selection in turn.

    Attributes
    ----------
    cells
        Rows that are scored together: of C folds, or parts of one.
    group
        ``[C]``: which cells are left out together.
    averaging
        How scores of cells are averaged.
    """

    cells: Sequence[Rows]
    group: NDArray[np.intp]
    averaging: Averaging

    @property
    def groups(self) -> list[list[int]]:
        """The cells of each."""
        return [np.flatnonzero(self.group == one).tolist() for one in np.unique(self.group)]

    def rows(self, group: Sequence[int]) -> Rows:
        """Those of some cells."""
        return np.unique(np.concatenate([self.cells[c] for c in group]))


def held_out(scoring: Scoring, averaging: Averaging) -> HeldOut:
    """What is left out in turn of the rows that score."""
    val = scoring.folds.val
    first = np.array(repetitions(val)[0])
    if len(first) == 1:
        parts = _parts(scoring, val[0])
        return HeldOut(parts, np.arange(len(parts)), Averaging.equal(len(parts)))
    apart = sum(len(val[k]) for k in first) == len(np.unique(np.concatenate([val[k] for k in first])))
    first = first if apart else first[:GROUPS]  # groups of folds that overlap would leave out all rows
    group = np.arange(len(first)) * min(GROUPS, len(first)) // len(first)
    return HeldOut([val[k] for k in first], group, averaging.some(np.isin(np.arange(len(val)), first)))


def _parts(scoring: Scoring, rows: Rows) -> list[Rows]:
    """A few parts of some rows, drawn at random; groups stay whole."""
    groups = scoring.problem.groups
    unit = np.unique(rows if groups is None else groups[rows], return_inverse=True)[1]
    count = int(unit.max()) + 1
    part = (np.random.default_rng(0).permutation(count) % PARTS)[unit]
    return [rows[part == one] for one in range(min(PARTS, count))]


def difference(anew: SelectionAnew, averaging: Averaging) -> Estimate:
    """The ensemble minus the best trial, each selected without the rows that score it; its error is `corrected`.

    It is not known where some rows are all that there are.
    """
    scoring = anew.resampling.scoring
    left = held_out(scoring, averaging)
    said = [np.full((len(rows), 2, scoring.problem.outputs), np.nan) for rows in left.cells]
    for group in left.groups:
        out = left.rows(group)
        rest = [np.setdiff1d(val, out) for val in scoring.folds.val]
        if not any(map(len, rest)):
            return Estimate(np.nan, np.nan, 1, 0.0)
        best, weights = anew.chosen(Judge(scoring, averaging, rest), [anew.of_rows(rows) for rows in rest])
        for cell in group:
            points = anew.of_rows(left.cells[cell])
            both = np.stack([anew.means(points, best, weights), points[:, best[0]]], axis=1)
            said[cell] = to_decisions(scoring.problem, both)
    found = _scores(scoring, left, said)
    return left.averaging.difference(found[:, 0], found[:, 1])


def _scores(scoring: Scoring, left: HeldOut, said: Sequence[Array]) -> Array:
    """``[C, S]`` scores of decisions ``[rows of a cell, S, m]``."""
    if scoring.metric.pooled:
        return pooled_scores(scoring.metric, scoring.problem, left.cells, said, left.averaging)
    return np.array([scoring.scores(rows, one) for rows, one in zip(left.cells, said, strict=True)])
