"""Points of paths as rows, and which of them costs least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.results.ranking import score_tolerance, simplicity_key
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


def path_points(trial: Trial, steps: NDArray[np.intp], *costs: Array) -> Array:
    """``[steps, 2 + costs]``: number and step of some points of a trial, and what to have little of there."""
    return np.column_stack([np.full(len(steps), trial.number), steps, *costs])


def least_cost(results: StoredStudy, rows: Array) -> tuple[int, int]:
    """Number and step of the point of least cost, as `path_points` has them; an earlier cost counts for more.

    Costs are in units of the score, and what differs by rounding alone is equal. Of equal points of a path the first is
    the most regularized; of those of several trials the one that `regsearch.results.ranking.simplicity_key` says.
    """
    tolerance = score_tolerance(results.point(results.complete[0]))
    for column in range(2, rows.shape[1]):
        cost = rows[:, column]
        rows = rows[cost <= cost.min() + tolerance]
    steps = {int(number): int(step) for number, step in rows[::-1, :2]}
    found = [results.standing(trial, steps[trial.number]) for trial in results.complete if trial.number in steps]
    chosen = min(found, key=lambda trial: simplicity_key(trial, results.reference))
    return chosen.number, chosen.step
