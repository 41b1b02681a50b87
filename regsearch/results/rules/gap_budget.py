"""The best score under a limit on the gap."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.numeric import format_number, plain
from regsearch.results.rules.pick import Pick
from regsearch.results.rules.points import least_cost, path_points
from regsearch.results.rules.registry import Rule, rule_with_number
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


@rule_with_number
@cache
def gap_budget(budget: float) -> Rule:
    """A rule: the best score among all points of all paths whose mean gap is at most `budget`.

    Its promise is the budget alone: the score is whatever it is there. Of equal scores the simplest point is chosen.
    Where no gap is so small it falls back to the smallest, and says so.

    Parameters
    ----------
    budget
        In units of the metric, zero or more.

    Raises
    ------
    InvalidInput
        When it is not such a number.
    """
    budget = plain(budget)
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 <= budget < math.inf:
        raise InvalidInput(f"A gap budget must be a number of at least 0, got {budget!r}; try 0.05.")

    def within_budget(results: StoredStudy) -> Pick:
        rows = np.concatenate([_losses_and_gaps(results, trial) for trial in results.candidates])
        rows = rows[np.isfinite(rows[:, 3])]  # the score of a point may be undefined in a fold
        within = rows[:, 3] <= budget + results.point(results.candidates[0]).tolerance
        number, step = least_cost(results, rows[within, :3] if within.any() else rows[:, [0, 1, 3, 2]])
        (gap,) = rows[(rows[:, 0] == number) & (rows[:, 1] == step), 3]
        if within.any():
            best = f"the best {results.metric_label} of all points"
            why = f"It has {best} with a gap of at most {budget:g}: {format_number(gap, 3)}."
        else:
            why = f"No point has a gap of at most {budget:g}; this one has the smallest: {format_number(gap, 3)}."
        return Pick(number, step, why)

    within_budget.__name__ = f"gap_budget={budget:g}"
    return within_budget


def _losses_and_gaps(results: StoredStudy, trial: Trial) -> Array:
    """``[steps, 4]``: number, step, lost score and gap of every point of a trial that may be chosen."""
    curves = results.curves(trial.number)
    val = curves.mean()
    gap = curves.average(curves.train) - val
    steps = np.flatnonzero(curves.choosable)
    return path_points(trial, steps, -val[steps], gap[steps])
