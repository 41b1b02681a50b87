"""An ensemble against the best trial: both are selected anew without each group of rows, and scored on those.

For each fold, trials, the steps of their paths and the picks are chosen on the rows of the other folds alone, and the
fold's rows score that ensemble, and beside it the trial that would have been the best alone. What one scores more than
the other is free of what either owes to being chosen, but for which configs were tried.

Many folds are left out in ten groups; of repeated folds those of the first repetition are. A single fold is cut in
five parts, groups of rows kept whole, and steps stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.pooled import pooled_scores, repetitions
from regsearch.metrics.statistics import Estimate
from regsearch.models.path import ROUNDING
from regsearch.results.ensemble.library import Library, blended
from regsearch.results.ensemble.selection import Judge, Selection
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
    folds
        ``[C]`` of them, by number.
    group
        ``[C]``: which cells are left out together.
    averaging
        How scores of cells are averaged.
    """

    cells: Sequence[Rows]
    folds: NDArray[np.intp]
    group: NDArray[np.intp]
    averaging: Averaging

    @property
    def groups(self) -> int:
        return int(self.group.max()) + 1 if len(self.group) else 0

    def rows(self, group: int) -> Rows:
        """Those of a group."""
        return np.unique(np.concatenate([self.cells[c] for c in np.flatnonzero(self.group == group).tolist()]))


def held_out(scoring: Scoring, averaging: Averaging) -> HeldOut:
    """What is left out in turn of the rows that score."""
    val = scoring.folds.val
    if len(val) == 1:
        parts = _parts(scoring, val[0])
        every = np.arange(len(parts))
        return HeldOut(parts, np.zeros(len(parts), np.intp), every, Averaging.equal(len(parts)))
    first = np.array(repetitions(val)[0])
    group = np.arange(len(first)) * min(GROUPS, len(first)) // len(first)
    return HeldOut([val[k] for k in first], first, group, averaging.some(np.isin(np.arange(len(val)), first)))


def _parts(scoring: Scoring, rows: Rows) -> list[Rows]:
    """A few parts of some rows, drawn at random; groups stay whole."""
    groups = scoring.problem.groups
    unit = np.unique(rows if groups is None else groups[rows], return_inverse=True)[1]
    count = int(unit.max()) + 1
    part = (np.random.default_rng(0).permutation(count) % PARTS)[unit]
    return [rows[part == one] for one in range(min(PARTS, count))]


def difference(library: Library, averaging: Averaging, how: Selection) -> Estimate:
    """The ensemble minus the best trial, each selected without the rows that score it; its error is `corrected`."""
    scoring = library.scoring
    left = held_out(scoring, averaging)
    said = np.full((scoring.problem.rows, 2, scoring.problem.outputs), np.nan)
    for group in range(left.groups):
        out = left.rows(group)
        entries = library.best_over(_folds_without(scoring, left, group, out))
        judge = Judge(scoring, averaging, [np.setdiff1d(val, out) for val in scoring.folds.val])
        weights = how.weights(judge, judge.parts([one.decisions for one in entries]))
        said[out, 0] = blended(scoring, entries, weights, out)
        said[out, 1] = entries[0].decisions[out]
    found = _scores(scoring, left, said)
    return left.averaging.difference(found[:, 0], found[:, 1], ROUNDING)


def _folds_without(scoring: Scoring, left: HeldOut, group: int, out: Rows) -> NDArray[np.bool_]:
    """``[K]``: the folds that say nothing of the rows left out; where there are none, those that are not left out."""
    val = scoring.folds.val
    if len(val) == 1:
        return np.ones(1, dtype=bool)
    others = ~np.isin(np.arange(len(val)), left.folds[left.group == group])
    apart = others & np.array([not np.isin(rows, out).any() for rows in val])
    return apart if apart.any() else others


def _scores(scoring: Scoring, left: HeldOut, said: Array) -> Array:
    """``[C, S]`` scores of decisions ``[n, S, m]`` by cell."""
    parts = [said[rows] for rows in left.cells]
    if scoring.metric.pooled:
        return pooled_scores(scoring.metric, scoring.problem, left.cells, parts, left.averaging)
    return np.array([scoring.scores(rows, one) for rows, one in zip(left.cells, parts, strict=True)])
