"""Greedy selection of an ensemble, forward and with replacement.

Notation: T trials, best first; n rows; q numbers that are averaged (`regsearch.metrics.blending`).

References
----------
Caruana, Niculescu-Mizil, Crew & Ksikes (2004), "Ensemble selection from libraries of models", ICML.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.metrics.statistics import ROUNDING
from regsearch.results.stored_study import Scoring

PATIENCE = 10  # picks in a row that make nothing better, after which it ends


@dataclass(frozen=True)
class Judge:
    """Scores on some rows, by fold as the study's are.

    Attributes
    ----------
    scoring, averaging
        What scores, and how its folds are averaged.
    rows
        Of each fold, those that are scored; none in folds that say nothing.
    """

    scoring: Scoring
    averaging: Averaging
    rows: Sequence[Rows]

    def parts(self, decisions: Sequence[Array]) -> list[Array]:
        """What is averaged, ``[rows of a fold, T, q]`` for each fold, of the decisions ``[n, m]`` of T trials."""
        problem = self.scoring.problem
        return [to_average(problem, np.stack([one[rows] for one in decisions], axis=1)) for rows in self.rows]

    def scores(self, means: Sequence[Array]) -> Array:
        """``[S]`` scores of means ``[rows of a fold, S, q]`` of each fold; minus infinity where one is not defined."""
        scoring, problem = self.scoring, self.scoring.problem
        decisions = [to_decisions(problem, mean) for mean in means]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class may be missing from some of the rows
            if scoring.metric.pooled:
                rows = np.concatenate([*self.rows])
                found = scoring.metric.along(problem, rows, np.concatenate(decisions), {})
                return np.where(np.isfinite(found), found, -np.inf)
            some = [k for k, rows in enumerate(self.rows) if len(rows)]
            by_fold = np.array([scoring.metric.along(problem, self.rows[k], decisions[k], {}) for k in some])
        known = np.isfinite(by_fold).any(axis=1)  # the others are no fold's to compare by: they may lack a class
        if not known.any():
            return np.full(by_fold.shape[1], -np.inf)
        over = self.averaging.some(np.isin(np.arange(len(self.rows)), np.array(some)[known]))
        return over.mean(np.where(np.isfinite(by_fold), by_fold, -np.inf)[known])


@dataclass(frozen=True)
class Selection:
    """How an ensemble is selected.

    Attributes
    ----------
    size
        Picks at most.
    bags
        From how many random halves of the trials, their weights averaged; one stands for all trials.
    """

    size: int
    bags: int = 1

    @property
    def picks(self) -> int:
        """In all bags together."""
        return self.size * self.bags

    def weights(self, judge: Judge, parts: Sequence[Array]) -> Array:
        """``[T]`` that sum to one, of what `Judge.parts` gives of T trials."""
        count = parts[0].shape[1]
        draw = np.random.default_rng(0)
        total = np.zeros(count)
        for _ in range(self.bags):
            some = np.arange(count) if self.bags == 1 else np.sort(draw.permutation(count)[: (count + 1) // 2])
            counts = select(judge, [part[:, some] for part in parts], self.size)
            total[some] += counts / counts.sum()
        return total / self.bags


def select(judge: Judge, parts: Sequence[Array], size: int) -> NDArray[np.intp]:
    """``[T]``: how often each trial is picked, `size` times at most in all.

    It begins with as many of the best trials as have the best mean, half of `size` at most; then the trial is added,
    which may be there already, whose addition scores best, until ten in a row have made nothing better. Of all the
    ensembles on the way the best counts; of equal ones the first.

    Parameters
    ----------
    parts
        As `Judge.parts` gives them.
    """
    count = parts[0].shape[1]
    order = np.argsort(-judge.scores(parts), kind="stable")
    first = order[: max(1, min(count, size // 2))]
    begun = [part[:, first].cumsum(axis=1) / np.arange(1, len(first) + 1)[:, None] for part in parts]
    on_the_way = judge.scores(begun)
    start = _first_best(on_the_way)
    picks = [*first[: start + 1].tolist()]
    best, score, sums = list(picks), float(on_the_way[start]), [mean[:, start] * (start + 1) for mean in begun]
    while len(picks) < min(size, len(best) + PATIENCE):
        scores = judge.scores(
            [(sum_[:, None] + part) / (len(picks) + 1) for sum_, part in zip(sums, parts, strict=True)]
        )
        pick = _first_best(scores)
        picks.append(pick)
        sums = [sum_ + part[:, pick] for sum_, part in zip(sums, parts, strict=True)]
        if scores[pick] > score + ROUNDING * abs(score):
            best, score = list(picks), float(scores[pick])
    return np.bincount(best, minlength=count)


def _first_best(scores: Array) -> int:
    """The first of the best, those that differ from it by rounding among them."""
    top = float(scores.max())
    return int(np.flatnonzero(scores >= top - ROUNDING * abs(top))[0]) if np.isfinite(top) else 0
