"""The figures that advice is weighed by: scores against a constant prediction, and differences fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.path import Array, Point, standard_error
from regsearch.problem import Problem
from regsearch.table import Table
from regsearch.trials import Trial

TINY = 1e-9  # share of the scores below which a difference of theirs is rounding


@dataclass(frozen=True)
class Scale:
    """What scores are measured against: those of a constant prediction, and of a perfect one."""

    constant: float
    perfect: float

    def learned(self, score: float) -> float:
        """Share of the way from the constant to the perfect score."""
        return (score - self.constant) / (self.perfect - self.constant)


def scale_of(table: Table) -> Scale | None:
    """The scale of a study's scores; `None` where its metric has no formula or no known optimum."""
    judge = table.judge
    if judge is None or judge.metric.kernel is None or judge.metric.perfect is None:
        return None
    folds = zip(judge.folds.train, judge.folds.val, strict=True)
    scores = [judge.scores(val, _constant(judge.problem, train, len(val)))[0] for train, val in folds]
    constant = float(np.mean(scores))
    return Scale(constant, judge.metric.perfect) if constant < judge.metric.perfect else None


def _constant(problem: Problem, train: NDArray[np.intp], rows: int) -> Array:
    """``[rows, 1, m]``: the decision that knows the training targets alone."""
    y = problem.y[train]
    weights = np.ones(len(y)) if problem.sample_weight is None else problem.sample_weight[train]
    if problem.classes is None:
        decision = np.atleast_1d(np.average(y, axis=0, weights=weights))
    else:
        logs = np.log(np.maximum(np.bincount(y, weights, len(problem.classes)) / weights.sum(), 1e-12))
        decision = logs if problem.outputs > 1 else logs[1:] - logs[:1]
    return np.broadcast_to(decision, (rows, 1, len(decision)))


@dataclass(frozen=True)
class Difference:
    """Mean difference of two trials over the folds, its standard error (0 for a single fold), and what is rounding."""

    mean: float
    se: float
    rounding: float

    @property
    def certain(self) -> bool:
        """Whether the first is better by more than one standard error."""
        return self.beyond(1.0)

    def beyond(self, errors: float) -> bool:
        """Whether the first is better by more than so many standard errors."""
        return self.mean > max(errors * self.se, self.rounding)

    def __str__(self) -> str:
        return f"{self.mean:.3g} ± {self.se:.2g}"


def difference(table: Table, first: Trial, second: Trial) -> Difference:
    """How much better the first trial is, each at its own chosen step, on the same folds."""
    values = _scores(table, first) - _scores(table, second)
    se = standard_error(values)
    rounding = max(rounding_of(table.point(first)), rounding_of(table.point(second)))
    return Difference(float(values.mean()), se if np.isfinite(se) else 0.0, rounding)


def rounding_of(point: Point) -> float:
    """What differences of such scores must exceed to be evidence of anything."""
    return TINY * max(abs(point.val), abs(point.train))


def nears(table: Table, trial: Trial) -> bool:
    """Whether a trial scores as the reference does, and fits as well: there is nothing between the two."""
    if table.reference is None or underfits(table, trial):
        return False
    return not any(difference(table, *pair).certain for pair in permutations((trial, table.reference)))


def underfits(table: Table, trial: Trial) -> bool:
    """Whether a trial gives up more of the reference's score on training rows than it overfits itself."""
    if table.reference is None:
        return False
    own, plain = table.point(trial), table.point(table.reference)
    return plain.train - own.train > max(own.gap, rounding_of(own))


def _scores(table: Table, trial: Trial) -> Any:
    return table.curves(trial.number).val[:, trial.step]


def sampled(table: Table) -> list[Trial]:
    """The complete trials but the reference, in the order in which they were made."""
    return sorted((trial for trial in table.complete if trial.role != "reference"), key=lambda trial: trial.number)
