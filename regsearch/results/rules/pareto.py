"""Score, gap and complexity at once."""

from __future__ import annotations

import math

import numpy as np

from regsearch._types import Array
from regsearch.models.path import ROUNDING
from regsearch.results.ranking import merge_ties, score_tolerance
from regsearch.results.rules.registry import Pick, rule
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


def front(results: StoredStudy) -> list[Pick]:
    """The trials, each at its own best point, that no other beats in score, gap and complexity alike; best score first.

    A gap below zero counts as none. Complexity is left out where some trial does not know its own. Of trials with the
    same three figures the first one stays.
    """
    trials, costs = _costs(results)
    return [
        Pick(trial.number, trial.step, f"No trial is better in one of {results.metric_label}, gap and complexity and "
             f"as good in the others: {_figures(results, trial)}.")
        for trial in _undominated(trials, costs)[0]
    ]  # fmt: skip


@rule
def pareto(results: StoredStudy) -> Pick:
    """The knee of the `front`: its member nearest to the point that has the best score, gap and complexity of them all.

    Each figure is scaled to run from 0 to 1 along the front (compromise programming, Zeleny 1973).
    """
    members, costs = _undominated(*_costs(results))
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    trial = members[int(np.linalg.norm(scaled, axis=1).argmin())]
    return Pick(
        trial.number, trial.step, f"It is the best compromise of {results.metric_label}, gap and complexity "
        f"({_figures(results, trial)}) among the {len(members)} trials that no other beats in all of them.",
    )  # fmt: skip


def _costs(results: StoredStudy) -> tuple[list[Trial], Array]:
    """Trials, best first, and ``[T, 2 or 3]`` what to have little of: lost score, gap, and complexity where known."""
    trials = list(results.complete)
    points = [results.point(trial) for trial in trials]
    complexity = [trial.complexity for trial in trials]
    columns = [[-point.val for point in points], [max(point.gap, 0.0) for point in points]]
    costs = [merge_ties(np.array(column), score_tolerance(points[0])) for column in columns]
    if np.isfinite(complexity).all():
        costs.append(merge_ties(np.array(complexity), ROUNDING * max(complexity)))
    return trials, np.column_stack(costs)


def _undominated(trials: list[Trial], costs: Array) -> tuple[list[Trial], Array]:
    """Those that no other is at least as good as in everything; of equal ones the first."""

    def stays(i: int) -> bool:
        as_good = (costs <= costs[i]).all(axis=1)
        return not (costs[as_good] < costs[i]).any() and int(as_good.argmax()) == i

    kept = [i for i in range(len(trials)) if stays(i)]
    return [trials[i] for i in kept], costs[kept]


def _figures(results: StoredStudy, trial: Trial) -> str:
    point = results.point(trial)
    known = f", complexity {trial.complexity:.3g}" if math.isfinite(trial.complexity) else ""
    return f"{point.val:.5g}, gap {point.gap:.3g}{known}"
