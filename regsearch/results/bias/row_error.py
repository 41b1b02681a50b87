"""How far off a mean score may be for the luck of the rows that it was computed on.

Notation: n rows that some fold validates, in units that are drawn whole: groups, or single rows; K folds, fold k with a
score s_k and a share a_k of the mean; m outputs.

**A mean over rows** is a weighted mean of units, whose variance their scores tell. **Any other score** is a function
of the rows of a fold: one over the variance of the targets, a share of pairs, a mean of classes. How much it varies is
told by leaving rows out: with s_k(j) the score of fold k without part j of its G parts, a part j is worth

    d_j = sum_k a_k sqrt((G - 1) / G) (mean of s_k(.) - s_k(j))

and the variance of the mean is the sum of their squares: the jackknife, of single units where they are few, of more at
a time where they are many. It sees what the spread of a few folds does not, and it is as wide as so few rows are. Folds
of a single unit, as of one group, are compared with each other. Where folds repeat, it is the mean predictions that are
scored, on the folds of the first repetition; of folds that overlap otherwise, those of the first ten.

A variance that few rows make up, as of squared errors with a long tail, is not known as well as one of as many that
are alike. Its degrees of freedom are those of a chi-square with its mean and variance, at most those of the sum of the
folds' variances (Satterthwaite 1946).

References
----------
Efron & Stein (1981), "The jackknife estimate of variance", Annals of Statistics 9. Satterthwaite (1946), "An
approximate distribution of estimates of variance components", Biometrics Bulletin 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.per_row import is_plain_mean
from regsearch.metrics.pooled import repetitions
from regsearch.metrics.scorer import formula
from regsearch.results.bias.choosing import scores_of_rows
from regsearch.results.bias.resampling import Resampling

LEAST = 10  # rows, or groups of rows, below which nothing is said; of each class, where the score is no mean of rows
LEFT_OUT = 300  # scores of some of the rows: of many rows several are left out at a time
FEWEST = 10  # parts of a fold, however many folds there are
OVERLAPPING = 10  # folds, of those that overlap

RARE = "Its interval is not known: {count} {what} of a class are validated, and fewer than {least} say nothing."
UNDEFINED = "Its interval is not known: a fold has so few rows that without some of them its score is not defined."
ALONE = "Its interval is not known: there is nothing to tell how far a score of one group may be off."


@dataclass(frozen=True)
class RowError:
    """The error of a mean score that comes of its rows.

    Attributes
    ----------
    score
        The mean score of the decisions; where folds repeat, of mean predictions.
    variance, freedom
        Of that mean, and its degrees of freedom; NaN where they are not known.
    units
        How many units of one weight the rows are worth.
    why
        Why it is not known; usually empty.
    """

    score: float
    variance: float = math.nan
    freedom: float = math.nan
    units: float = math.nan
    why: str = ""


def row_error(resampling: Resampling, decisions: Array) -> RowError:
    """That of the mean score of decisions ``[n, m]``."""
    plain = is_plain_mean(formula(resampling.scoring.metric))
    return _of_a_mean(resampling, decisions) if plain else _Parts(resampling, decisions).error()


def _of_a_mean(resampling: Resampling, decisions: Array) -> RowError:
    scores = resampling.row_scores(decisions[None])[0]
    share = resampling.weight / resampling.weight.sum()
    score, units = float(share @ scores), _units(resampling)
    worth = np.bincount(resampling.units, share * (scores - score)).astype(float)
    return RowError(score, float(worth @ worth) * units / (units - 1), _freedom(worth, units - 1), units)


def _freedom(worth: Array, most: float) -> float:
    """The degrees of freedom of the sum of the squares of what each is worth."""
    squares = worth**2
    unlike = float(squares @ squares - squares.sum() ** 2 / len(squares))
    return max(1.0, min(most, 2 * float(squares.sum()) ** 2 / unlike if unlike > 0 else most))


def _units(resampling: Resampling) -> float:
    """How many units of one weight they are worth (Kish 1965, "Survey sampling")."""
    counted = np.bincount(resampling.units, resampling.weight)
    return float(counted.sum() ** 2 / (counted @ counted))


class _Parts:
    """Folds whose rows are left out, a part at a time.

    Attributes
    ----------
    folds, averaging
        Rows that are scored together, and how their scores are averaged.
    part
        ``[n]``: the part that a row is in; parts are counted over all folds.
    fold
        ``[P]``: the fold that each part is one of; where folds overlap, the first that has it.
    """

    def __init__(self, resampling: Resampling, decisions: Array) -> None:
        self.resampling = resampling
        self.score = partial(_score, resampling, decisions[:, None])
        parts, averaging = resampling.scored_parts()
        first = np.array(repetitions(parts)[0])
        apart = sum(len(parts[k]) for k in first) == len(np.unique(np.concatenate([parts[k] for k in first])))
        first = first if apart else first[:OVERLAPPING]
        self.folds = [parts[k] for k in first]
        self.averaging = averaging.some(np.isin(np.arange(len(parts)), first))
        self.part, self.fold = self._divided(max(FEWEST, LEFT_OUT // len(first) ** (1 if apart else 2)))

    def _divided(self, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Each fold's own units in so many parts at most, at random."""
        draw, units = np.random.default_rng(0), self.resampling.units
        place, fold = np.full(self.resampling.count_of_units, -1), list[int]()
        for k, rows in enumerate(self.folds):
            own = np.unique(units[rows])
            own = draw.permutation(own[place[own] < 0])
            place[own] = len(fold) + np.arange(len(own)) % most
            fold += [k] * min(len(own), most)
        return place[units], np.array(fold)

    def error(self) -> RowError:
        """That of the mean score."""
        scores = np.array([self.score(rows) for rows in self.folds])
        found = RowError(float(self.averaging.mean(scores)), units=_units(self.resampling))
        if why := self._too_few():
            return RowError(found.score, why=why)
        if any(len(np.unique(self.part[rows])) < 2 for rows in self.folds):
            error = float(self.averaging.error(scores))
            why = "" if math.isfinite(error) else ALONE
            return RowError(found.score, error**2, self.averaging.effective - 1, found.units, why)
        worth = self._worth()
        if not np.isfinite(worth).all():
            return RowError(found.score, why=UNDEFINED)
        each = np.bincount(self.fold, worth**2)
        free = np.maximum(np.bincount(self.fold) - 1.0, 1.0)
        variance, unlike = float(each.sum()), float((each**2 / free).sum())
        most = variance**2 / unlike if unlike > 0 else found.units - 1
        return RowError(found.score, variance, _freedom(worth, most), found.units)

    def _worth(self) -> Array:
        """What each part is worth in the mean score; NaN where a fold has no score without it."""
        worth = np.zeros(len(self.fold))
        for rows, share in zip(self.folds, self.averaging.weights, strict=True):
            there = np.unique(self.part[rows])
            without = np.array([self.score(rows[self.part[rows] != one]) for one in there])
            if not np.isfinite(without).all():
                return np.full(len(worth), np.nan)
            worth[there] += share * math.sqrt((len(there) - 1) / len(there)) * (without.mean() - without)
        return worth

    def _too_few(self) -> str:
        """Why so few of a class say nothing; empty where they do."""
        problem = self.resampling.scoring.problem
        if problem.classes is None or problem.y.ndim > 1:
            return ""
        y, units = problem.y[self.resampling.rows], self.resampling.units
        count = min(len(np.unique(units[y == one])) for one in np.unique(y))
        what = "rows" if problem.groups is None else "groups"
        return RARE.format(count=count, what=what, least=LEAST) if count < LEAST else ""


def _score(resampling: Resampling, decisions: Array, places: NDArray[np.intp]) -> float:
    return float(scores_of_rows(resampling, places, decisions[places])[0])
