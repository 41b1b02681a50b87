"""Overtuning: whether a search went on improving its validation score at the cost of rows that it never read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch.chosen import told
from regsearch.metrics import Metric
from regsearch.path import ROUNDING
from regsearch.problem import Problem
from regsearch.table import Table
from regsearch.trials import takes_the_lead

PARTS = 10  # of the held-out rows, each left out once
CLEAR = 2.0  # standard errors that a loss must come to before a sentence calls it one


@dataclass(frozen=True)
class Overtuning:
    """The incumbents of a search, in order, and what became of them on the held-out set.

    Attributes
    ----------
    numbers
        Trials that were the best when they finished and have a held-out score.
    val, test
        Their mean validation and held-out scores; larger is better.
    lost
        The best held-out score among them minus that of the last: 0 when the search's choice is the best of them.
    lost_se
        Its standard error, of the two paired on the same held-out rows; NaN where it is not known.
    relative
        `lost` over the most that an incumbent gained on the first one, on the held-out set; above 1 the choice is
        worse there than where the search began. `None` where no incumbent gained anything.
    why
        The same in one sentence.
    """

    metric: str
    numbers: tuple[int, ...]
    val: tuple[float, ...]
    test: tuple[float, ...]
    lost: float
    lost_se: float
    relative: float | None
    why: str

    def __str__(self) -> str:
        return self.why


def overtuning(table: Table) -> Overtuning | None:
    """What the search lost on the held-out set by following the validation score; `None` without held-out scores.

    References
    ----------
    Schneider, Bischl & Feurer (2025), "Overtuning in hyperparameter optimization", AutoML 2025.
    """
    leader, found = None, []
    for trial in sorted(table.complete, key=lambda trial: (trial.end_ms, trial.number)):
        if takes_the_lead(trial, leader, table.reference, table.metric):
            leader = trial
            if table.metric in (trial.test or {}):
                score = table.point(trial).val
                found.append((trial.number, score, (trial.test or {})[table.metric], trial.test_parts))
    if not found:
        return None
    numbers, val, test, parts = zip(*found, strict=True)
    rounding = ROUNDING * max(1.0, abs(test[0]))
    lost, gained = max(test) - test[-1], max(test) - test[0]
    lost = lost if lost > rounding else 0.0
    relative = lost / gained if gained > rounding else None
    se = difference_se(parts[test.index(max(test))], parts[-1]) if lost else 0.0
    return Overtuning(
        table.metric, numbers, val, test, lost, se, relative, _sentence(table.metric, test, lost, se, relative)
    )


def _sentence(metric: str, test: tuple[float, ...], lost: float, se: float, relative: float | None) -> str:
    many = f"{len(test)} incumbents" if len(test) > 1 else "1 incumbent"
    if not lost:
        return f"No overtuning: the last of {many} has the best held-out {metric} ({test[-1]:.5g})."
    last = f"the last of {many} has a held-out {metric} of {test[-1]:.5g}, {told(lost, se, digits=2)} below the best"
    if not math.isfinite(se):
        return f"Whether the search overtuned is not known: {last} of them, with no error to weigh it by."
    if lost <= CLEAR * se:
        return f"No clear overtuning: {last} of them, which so few held-out rows cannot tell from none."
    if relative is None:
        return f"Overtuning: {last} of them, the first: the search only made it worse."
    return f"Overtuning: {last} of them, {relative:.0%} of what had been gained since the first."


# --- the error of a held-out score -----------------------------------------------------------------------------


def scores_without(metric: Metric, fitted: Any, test: Problem) -> list[float]:
    """Held-out scores of a fitted estimator without each tenth of the rows, the same tenths for every estimator.

    Groups stay whole. Empty where there are fewer than ten rows or groups, or a score is not defined without some.
    """
    units = np.arange(test.rows) if test.groups is None else np.unique(test.groups, return_inverse=True)[1]
    count = int(units.max()) + 1
    if count < PARTS:
        return []
    part = np.random.default_rng(0).permutation(count)[units] % PARTS
    try:
        scores = [metric.score(fitted, test.take(np.flatnonzero(part != one))) for one in range(PARTS)]
    except ValueError:  # anyone's scorer: it may not take rows that lack a class
        return []
    return scores if np.isfinite(scores).all() else []


def difference_se(first: Sequence[float], second: Sequence[float]) -> float:
    """Standard error of the difference of two scores on the same rows, of theirs without each part; NaN without those.

    References
    ----------
    The delete-a-group jackknife: Kott (2001), "The delete-a-group jackknife", Journal of Official Statistics 17.
    """
    if not first or len(first) != len(second):
        return math.nan
    without = np.subtract(first, second)
    return math.sqrt((len(without) - 1) * float(without.var()))
