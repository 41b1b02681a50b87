"""Score, gap and degrees of freedom at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from regsearch._types import Array
from regsearch.metrics.statistics import ROUNDING
from regsearch.models.axes import path_axis
from regsearch.numeric import format_number
from regsearch.results.ranking import merge_ties
from regsearch.results.rules.pick import Pick
from regsearch.results.rules.points import complexity_known, near_best
from regsearch.results.rules.registry import rule
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


def front(results: StoredStudy) -> list[Pick]:
    """The trials, each at its own best point, that no other beats in score, gap and degrees of freedom alike.

    The best score comes first. A gap below zero counts as none. Degrees of freedom (of nets, weights that are not zero)
    are left out where some trial does not know its own, or families differ. Of trials with the same three figures the
    first one stays.
    """
    trials = results.candidates
    return [
        Pick(trial.number, trial.step, f"No trial is better in one of {_compared(results, trials)} and as good in the "
             f"rest: {_figures(results, trial)}.")
        for trial in _undominated(trials, _costs(results, trials))[0]
    ]  # fmt: skip


@rule
def pareto(results: StoredStudy) -> Pick:
    """The knee of the front of trials that are as good as the best: nearest to the best score, gap and freedom of all.

    As good means within one standard error of the best and not worse in every fold (of three or more): what scores far
    worse is no compromise. Each figure is scaled to run from 0 to 1 along the front (compromise programming, Zeleny
    1973), which is made as `front` makes that of all trials.
    """
    near = near_best(results)
    members, costs = _undominated(near, _costs(results, near))
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    trial = members[int(np.linalg.norm(scaled, axis=1).argmin())]
    if len(near) == 1:
        return Pick(trial.number, trial.step, "It is the only trial within one standard error of the best.")
    return Pick(
        trial.number, trial.step, f"It is the best compromise of {_compared(results, near)} "
        f"({_figures(results, trial)}) among {len(members)} of the {len(near)} trials within one standard error of the "
        "best, which no other of them beats in all.",
    )  # fmt: skip


def _costs(results: StoredStudy, trials: Sequence[Trial]) -> Array:
    """``[T, 2 or 3]`` what to have little of: lost score, gap, and freedom where known; of trials, best first."""
    points = [results.point(trial) for trial in trials]
    complexity = [trial.complexity for trial in trials]
    columns = [[-point.val for point in points], [max(point.gap, 0.0) for point in points]]
    costs = [merge_ties(np.array(column), points[0].tolerance) for column in columns]
    if complexity_known(trials):
        costs.append(merge_ties(np.array(complexity), ROUNDING * max(complexity)))
    return np.column_stack(costs)


def _undominated(trials: Sequence[Trial], costs: Array) -> tuple[list[Trial], Array]:
    """Those that no other is at least as good as in everything; of equal ones the first."""

    def stays(i: int) -> bool:
        as_good = (costs <= costs[i]).all(axis=1)
        return not (costs[as_good] < costs[i]).any() and int(as_good.argmax()) == i

    kept = [i for i in range(len(trials)) if stays(i)]
    return [trials[i] for i in kept], costs[kept]


def _compared(results: StoredStudy, trials: Sequence[Trial]) -> str:
    """What trials are compared by."""
    if not complexity_known(trials):
        return f"{results.metric_label} and gap"
    return f"{results.metric_label}, gap and {path_axis(trials[0].axis).counted}"


def _figures(results: StoredStudy, trial: Trial) -> str:
    point = results.point(trial)
    known = f", {trial.complexity:.3g} {path_axis(trial.axis).counted}" if math.isfinite(trial.complexity) else ""
    return f"{format_number(point.val, 5)}, gap {format_number(point.gap, 3)}{known}"
