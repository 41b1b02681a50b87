"""Points of paths as rows, which of them costs least, and which trials are as good as the best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.models.path import Point
from regsearch.results.ranking import simplicity_key
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

FOLDS = 3  # from which on it says something to be worse in all of them


def near_best(results: StoredStudy) -> list[Trial]:
    """The candidates, best first, that are where they count as good as the best.

    As good means a mean score within one standard error of the best, and from three folds on at least its score in one
    of them: a fit that is unstable has scores that vary too much for any test to tell.
    """
    top = results.candidates[0]
    point, best = results.point(top), _fold_scores(results, top)
    return [
        trial for trial in results.candidates
        if results.point(trial).val >= point.floor and not _worse_everywhere(_fold_scores(results, trial), best, point)
    ]  # fmt: skip


def complexity_known(trials: Sequence[Trial]) -> bool:
    """Whether trials may be compared by degrees of freedom: they know theirs, and are of one family.

    Those of a linear model and the weights of a net that are not zero are not in one unit.
    """
    return len({trial.family for trial in trials}) == 1 and all(math.isfinite(trial.complexity) for trial in trials)


def _fold_scores(results: StoredStudy, trial: Trial) -> Array:
    """``[K]`` where the trial counts."""
    return results.curves(trial.number).val[:, trial.step]


def _worse_everywhere(own: Array, best: Array, point: Point) -> bool:
    return len(best) >= FOLDS and bool((own < best - point.tolerance).all())


def path_points(trial: Trial, steps: NDArray[np.intp], *costs: Array) -> Array:
    """``[steps, 2 + costs]``: number and step of some points of a trial, and what to have little of there."""
    return np.column_stack([np.full(len(steps), trial.number), steps, *costs])


def least_fitted(results: StoredStudy, floor: float) -> tuple[int, int, int]:
    """Number and step of the point, of those whose mean score reaches a floor, that fits the training folds least.

    Among points of different families that is the most regularized: the one order that holds for every penalty and
    model. Then how many there are.
    """
    near: list[Array] = []
    floor -= results.point(results.candidates[0]).tolerance  # means of the same scores are off by rounding
    for trial in results.candidates:
        curves = results.curves(trial.number)  # a trial need not count at the best point of its path
        steps, train = curves.reaching(floor), curves.average(curves.train)
        steps = steps[np.isfinite(train[steps])]
        near.append(path_points(trial, steps, train[steps]))
    rows = np.concatenate(near)
    return *least_cost(results, rows), len(rows)


def least_cost(results: StoredStudy, rows: Array) -> tuple[int, int]:
    """Number and step of the point of least cost, as `path_points` has them; an earlier cost counts for more.

    Costs are in units of the score, and what differs by rounding alone is equal. Of equal points of a path the first is
    the most regularized; of those of several trials the one that `regsearch.results.ranking.simplicity_key` says.
    Points of trials that no rule may choose, such as the reference, are left out.
    """
    rows = rows[np.isin(rows[:, 0], [trial.number for trial in results.candidates])]
    tolerance = results.point(results.candidates[0]).tolerance
    for column in range(2, rows.shape[1]):
        cost = rows[:, column]
        rows = rows[cost <= cost.min() + tolerance]
    steps = {int(number): int(step) for number, step in rows[::-1, :2]}
    found = [results.standing(trial, steps[trial.number]) for trial in results.candidates if trial.number in steps]
    chosen = min(found, key=lambda trial: simplicity_key(trial, results.references))
    return chosen.number, chosen.step
