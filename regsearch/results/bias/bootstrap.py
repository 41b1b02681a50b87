"""What the best of many scores is worth: the bootstrap bias corrected score of the winner.

Notation: T configs (complete trials, each at its own chosen point), n rows that some fold validates, B bootstrap
resamples of them, m outputs. Everything is read from what is stored: nothing is fitted again.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.per_row import OF_A_MEAN, OF_ROWS, mean_itself
from regsearch.metrics.scorer import formula
from regsearch.models.path import ROUNDING
from regsearch.results.stored_study import Scoring, StoredStudy

RESAMPLES = 1000
LEAST = 10  # rows, or groups of rows, below which a bootstrap says nothing
CELLS = 20_000_000  # of an array [n, B]: fewer resamples of many rows
RANKED = 200_000_000  # T n B of a score that goes by the order of rows
CALLS = 2500  # of a scorer without a formula
CALLED = 25  # the best so many configs are scored by such a scorer
FEWEST = 20  # resamples, whatever the work
Single: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Corrected:
    """The winner's score without what it owes to being the best of many.

    Attributes
    ----------
    plain
        The best mean validation score, as the study reports it; NaN where there is none.
    score, optimism, interval
        The corrected score, ``plain - score``, and the 95 % interval of the winner's score, all in units of the metric;
        `None` where they cannot be known.
    configs, resamples
        T and B.
    why
        What was done, or why there is no corrected score, in one sentence.
    """

    metric: str
    plain: float
    score: float | None = None
    optimism: float | None = None
    interval: tuple[float, float] | None = None
    configs: int = 0
    resamples: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.score is None or self.interval is None:
            return self.why
        low, high = self.interval
        return f"{self.metric} {self.plain:.5g}, corrected {self.score:.5g} (95 %: {low:.5g} to {high:.5g}): {self.why}"


def corrected(study: StoredStudy, resamples: int = RESAMPLES, seed: int = 0) -> Corrected:
    """The bootstrap bias corrected score of the best trial (BBC-CV).

    Out-of-fold predictions of all configs are resampled by rows, whole groups together: the config that is best on a
    resample is scored on the rows outside it, and the mean of those scores is what choosing by score is worth. What it
    falls short of the mean that the best config of all rows has outside the same resamples is the optimism, which is
    taken off the score that the study reports. Of a mean of losses that other mean is the best score on all rows, as in
    the paper; scores such as R squared are lower on few rows whoever chose, which is no optimism.

    Scores that no mean over rows determines, such as areas under curves, are taken by fold and averaged, inside
    resamples and outside, as the study takes them: predictions of two folds have no common rank.

    The choice of a point along each path is not seen: predictions are stored at one point of each. Where rows are
    validated by several folds, their mean predictions are resampled; where folds run forward in time, rows count as
    independent.

    Parameters
    ----------
    resamples
        At most so many; fewer where rows are many or the metric is no mean of losses. By a metric without a formula
        here only the best 25 configs are scored, fewer where folds are many, and `Corrected.why` says so.

    References
    ----------
    Tsamardinos, Greasidou & Borboudakis (2018), "Bootstrapping the out-of-sample predictions for efficient and
    accurate cross-validation", Machine Learning 107.
    """
    if not study.complete:
        return Corrected(study.metric, math.nan, why="There is no complete trial yet.")
    plain = Corrected(study.metric, study.point(study.complete[0]).val)
    scoring = study.scoring
    if scoring is None:
        return replace(plain, why="The predictions cannot be scored here: their targets or the scorer are not stored.")
    rows = np.unique(np.concatenate(scoring.folds.val))
    units = rows if scoring.problem.groups is None else scoring.problem.groups[rows]
    if (found := len(np.unique(units))) < LEAST:
        what = "rows" if scoring.problem.groups is None else "groups"
        return replace(plain, why=f"A bootstrap needs at least {LEAST} {what} that are validated, there are {found}.")
    numbers = [trial.number for trial in study.complete]
    if _stored_decisions(study, numbers[0], scoring, rows) is None:
        return replace(plain, why="The best trial's predictions outside training are not stored.")
    resampling = _Resampling(study, scoring, rows, units, resamples, seed)
    method = _method(scoring)
    usual, outside, configs = method(resampling, numbers)
    known = np.isfinite(usual) & np.isfinite(outside)
    usual, outside = usual[known], outside[known]
    if 2 * len(outside) < resampling.resamples or not len(outside):
        return replace(plain, why=f"On most resamples {study.metric} is not defined: there are too few rows.")
    optimism = float((usual - outside).mean())
    optimism = optimism if abs(optimism) > ROUNDING * max(1.0, abs(plain.plain)) else 0.0
    low, high = np.percentile(outside, [2.5, 97.5]) + (plain.plain - float(usual.mean()))
    high = min(high, math.inf if scoring.metric.perfect is None else scoring.metric.perfect)
    among = f"the best {configs} of {len(numbers)}" if method is _by_scorer and configs < len(numbers) else str(configs)
    return replace(
        plain, score=plain.plain - optimism, optimism=optimism, interval=(float(low), float(high)), configs=configs,
        resamples=len(outside), why=f"being the best of {among} configs is worth {optimism:.2g} of it.",
    )  # fmt: skip


class _Resampling:
    """The rows, their resamples, and the configs' decisions."""

    def __init__(
        self,
        study: StoredStudy,
        scoring: Scoring,
        rows: NDArray[np.intp],
        units: NDArray[Any],
        resamples: int,
        seed: int,
    ) -> None:
        self.study, self.scoring, self.rows = study, scoring, rows
        self.parts = _parts(scoring, rows)
        self.averaging = study.averaging if len(self.parts) > 1 else Averaging.equal(1)
        self.units, self.seed = np.unique(units, return_inverse=True)[1], seed
        self.resamples = max(1, min(resamples, max(50, CELLS // len(rows))))
        weight = scoring.problem.score_weight
        self.weight = np.ones(len(rows)) if weight is None else weight[rows]

    def at_most(self, resamples: int) -> None:
        self.resamples = max(1, min(self.resamples, max(FEWEST, resamples)))

    def counts(self) -> NDArray[np.int64]:
        """``[n, B]``: how often each row is in each resample; those that leave no weight outside are left out."""
        units = int(self.units.max()) + 1
        drawn = np.random.default_rng(self.seed).integers(units, size=(self.resamples, units))
        places = (drawn + units * np.arange(self.resamples)[:, None]).ravel()
        counts = np.bincount(places, minlength=self.resamples * units).reshape(-1, units).T[self.units]
        return counts[:, self.weight @ (counts == 0) > 0]

    def shares(self) -> tuple[Single, Single]:
        """``[n, B]`` each: the rows' weights inside the resamples, and their shares outside, which sum to one.

        What is only compared is not divided: whole numbers stay exact, and equal configs equal.
        """
        counts, weight = self.counts(), self.weight[:, None]
        outside = (counts == 0) * weight
        return (counts * weight).astype(np.float32), (outside / outside.sum(axis=0)).astype(np.float32)

    def decisions(self, numbers: list[int]) -> Iterator[Array]:
        """Decisions ``[t, n, m]`` of a few configs at a time, without those that have none."""
        size = max(1, 4_000_000 // (len(self.rows) * self.scoring.problem.outputs))
        for start in range(0, len(numbers), size):
            found = [
                _stored_decisions(self.study, number, self.scoring, self.rows)
                for number in numbers[start : start + size]
            ]
            if any(one is not None for one in found):
                yield np.stack([one for one in found if one is not None])


def _parts(scoring: Scoring, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The places in `rows` of what is scored together: all by a mean over rows or as one score, else fold by fold."""
    if scoring.metric.pooled or formula(scoring.metric) in OF_ROWS:
        return [np.arange(len(rows))]
    return [np.searchsorted(rows, val) for val in scoring.folds.val]


def _stored_decisions(study: StoredStudy, number: int, scoring: Scoring, rows: NDArray[np.intp]) -> Array | None:
    """Decisions ``[n, m]`` of a trial on some rows; `None` where they are not stored, or in another form."""
    kept = study.predictions(number)
    fits = kept is not None and kept.shape[1] == scoring.problem.outputs and np.isfinite(kept[rows]).all()
    return kept[rows] if kept is not None and fits else None


# --- three ways to score outside resamples: [B] the best config of all rows, [B] their own winners, and T --------

Method: TypeAlias = Callable[[_Resampling, list[int]], tuple[Array, Array, int]]


def _method(scoring: Scoring) -> Method:
    name = formula(scoring.metric)
    if name == "roc_auc":
        return _by_ranks
    single = scoring.problem.targets == 1 or name not in OF_A_MEAN
    return _by_means if name in OF_ROWS and single else _by_scorer


def _by_means(resampling: _Resampling, numbers: list[int]) -> tuple[Array, Array, int]:
    """A score that a mean over rows determines: matrix products of ``[T, n]`` scores and ``[n, B]`` shares."""
    problem, name = resampling.scoring.problem, formula(resampling.scoring.metric)
    y, share = problem.y[resampling.rows], resampling.weight / resampling.weight.sum()
    inside, outside = resampling.shares()
    top, pooled, configs = np.full(inside.shape[1], -np.inf), -math.inf, 0
    winner, usual = np.full((2, inside.shape[1]), np.nan)
    for decisions in resampling.decisions(numbers):
        scores = OF_ROWS[name](y, decisions)
        single, whole = scores.astype(np.float32), scores @ share
        mine, theirs = single @ inside, single @ outside
        if whole.max() > pooled:
            pooled, usual = float(whole.max()), theirs[whole.argmax()].astype(float)
        first = mine.argmax(axis=0), np.arange(len(top))
        better = mine[first] > top
        top[better] = mine[first][better]
        winner[better] = theirs[first][better]
        configs += len(decisions)
    of_mean = OF_A_MEAN.get(name, mean_itself)
    return of_mean(usual, y, outside), of_mean(winner, y, outside), configs


def _by_ranks(resampling: _Resampling, numbers: list[int]) -> tuple[Array, Array, int]:
    """The area under the ROC curve, mean over folds: each config is sorted once for all resamples."""
    resampling.at_most(RANKED // (len(numbers) * len(resampling.rows)))
    positive = resampling.scoring.problem.y[resampling.rows] == 1
    inside, outside = resampling.shares()
    share = np.column_stack([inside, resampling.weight.astype(np.float32)])

    def areas(decision: Array, shares: Single) -> Array:
        found = np.array([_auc(decision[part, 0], positive[part], shares[part]) for part in resampling.parts])
        return _mean_of(found, resampling.averaging)

    found = np.array([areas(decision, share) for batch in resampling.decisions(numbers) for decision in batch])
    first = found[:, :-1].argmax(axis=0)
    usable = np.isfinite(found[first, np.arange(len(first))])
    best = int(found[:, -1].argmax())
    winner, usual = np.full((2, len(first)), np.nan)
    decisions = (d for batch in resampling.decisions(numbers) for d in batch)
    for place, decision in enumerate(decisions):
        mine = np.flatnonzero((first == place) & usable)
        if len(mine):
            winner[mine] = areas(decision, outside[:, mine])
        if place == best:
            usual = areas(decision, outside)
    return usual, winner, len(found)


def _mean_of(found: Array, averaging: Averaging) -> Array:
    """``[...]`` means of the scores ``[K, ...]`` of folds that have one; minus infinity where none has."""
    known = np.isfinite(found)
    share = averaging.mean(known.astype(float))
    total = averaging.mean(np.where(known, found, 0.0))
    return np.where(share > 0, total / np.where(share > 0, share, 1.0), -np.inf)


def _auc(scores: Array, positive: NDArray[np.bool_], shares: Single) -> Array:
    """``[B]`` weighted shares of (negative, positive) pairs in the right order, ties counting half."""
    above, negative = np.flatnonzero(positive), np.flatnonzero(~positive)
    negative = negative[np.argsort(scores[negative])]
    below = np.zeros((len(negative) + 1, shares.shape[1]))
    np.cumsum(shares[negative], axis=0, out=below[1:])
    first, last = (np.searchsorted(scores[negative], scores[above], side) for side in ("left", "right"))
    mine = shares[above]
    ordered = np.einsum("ib,ib->b", mine, below[first]) + np.einsum("ib,ib->b", mine, below[last])
    with np.errstate(invalid="ignore"):  # one class alone has no order
        return np.asarray(ordered / 2 / (mine.sum(axis=0) * below[-1]))


def _by_scorer(resampling: _Resampling, numbers: list[int]) -> tuple[Array, Array, int]:
    """Any other score, mean over folds: the metric on resampled rows, of the best configs and with few resamples."""
    called = min(CALLED, max(2, CALLS // (FEWEST * len(resampling.parts))))
    decisions = np.concatenate(list(resampling.decisions(numbers[:called]))).transpose(1, 0, 2)
    resampling.at_most(CALLS // (decisions.shape[1] * len(resampling.parts)))

    def scores(times: NDArray[np.int64], configs: Any = slice(None)) -> Array:
        """``[t]`` scores of some configs on rows that are there so many times."""
        drawn = (np.repeat(part, times[part]) for part in resampling.parts)
        found = np.array([_scores_of_rows(resampling, rows, decisions[rows][:, configs]) for rows in drawn])
        known = np.isfinite(found).any(axis=1)  # the others are no fold's to compare configs by
        if not known.any():
            return np.full(found.shape[1], -np.inf)
        return resampling.averaging.some(known).mean(np.where(np.isfinite(found), found, -np.inf)[known])

    best, outside = int(np.argmax(scores(np.ones(len(resampling.rows), dtype=np.int64)))), []
    for counts in resampling.counts().T:
        inside = scores(counts)
        own = [best, int(np.argmax(inside))] if inside.max() > -np.inf else []  # else no config is the best of it
        outside.append(np.full(2, np.nan) if not own else scores((counts == 0).astype(np.int64), own))
    usual, winner = np.array(outside).T
    return usual, winner, decisions.shape[1]


def _scores_of_rows(resampling: _Resampling, places: NDArray[np.intp], decisions: Array) -> Array:
    """``[t]`` scores of decisions ``[r, t, m]`` on the rows at some places; NaN where they cannot be scored."""
    unknown, problem = np.full(decisions.shape[1], np.nan), resampling.scoring.problem
    rows = resampling.rows[places]
    if not len(rows) or (problem.classes is not None and len(np.unique(problem.y[rows])) < 2):
        return unknown  # one class alone has no order
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class may be missing from a resample: nobody's mistake
            return resampling.scoring.scores(rows, decisions)
    except ValueError:  # anyone's scorer: it may not take rows that lack a class
        return unknown
