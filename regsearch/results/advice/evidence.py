"""The figures that advice is weighed by: scores against a constant prediction, and differences fold by fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.problem import Problem
from regsearch.data.survival import SURVIVAL
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.by_target import of_target
from regsearch.metrics.scorer import Metric
from regsearch.metrics.statistics import Estimate
from regsearch.metrics.survival import neg_cox_deviance
from regsearch.models.path import Point
from regsearch.results.stored_study import StoredStudy, comparable
from regsearch.storage.trial import Trial

LOST = 0.5  # share of what is learned on training rows that does not carry over, to speak of overfitting
CLEAR = 2.0  # standard errors by which something must differ for a verdict


@dataclass(frozen=True)
class Scale:
    """What scores are measured against.

    Shares are of the squared error of a constant prediction, so that they say the same of a model whether its errors
    are scored squared or as they are.

    Attributes
    ----------
    averaging
        How folds are averaged.
    constants
        ``[K]`` scores of a constant prediction.
    perfect
        The best possible score.
    degree
        The power of the errors that the loss goes by: 1 where it has the units of y. It stays 2 for classes and times.
    information
        Of a partial likelihood the deviance of equal hazards for each event. No model comes near its perfect score, and
        what is learned is the explained variation (Kent & O'Quigley 1988); 0 for any other score.
    """

    averaging: Averaging
    constants: Array
    perfect: float
    degree: float = 2.0
    information: float = 0.0

    @property
    def constant(self) -> float:
        """The score of a constant prediction."""
        return float(self.averaging.mean(self.constants))

    def learned(self, score: float) -> float:
        """Share of the way from the constant to the perfect score."""
        left = max(self.perfect - score, 0.0) / (self.perfect - self.constant)
        if self.information:
            return float(np.expm1(self.information * (left - 1.0)) / np.expm1(-self.information))
        return float(1.0 - left ** (2.0 / self.degree))

    def lost(self, point: Point) -> float:
        """Share of what is learned on training rows that does not carry over; 0 where nothing is learned."""
        learned = self.learned(point.train)
        return (learned - self.learned(point.val)) / learned if learned > 0 else 0.0


def scale_of(study: StoredStudy) -> Scale | None:
    """The scale of a study's scores; `None` where its metric has no known optimum, or a constant reaches it."""
    scoring = study.scoring
    if scoring is None or scoring.metric.perfect is None:
        return None
    folds = list(zip(scoring.folds.train, scoring.folds.val, strict=True))
    probes = [_probes(scoring.problem, train, val, scoring.metric) for train, val in folds]
    scores = scoring.by_fold(probes, study.averaging)
    losses = scoring.metric.perfect - study.averaging.mean(scores)
    if not np.isfinite(losses).all() or not losses.min() > 0:
        return None
    degree = float(np.log2(losses[0] / losses[1])) if len(losses) > 1 else 2.0
    likelihood = scoring.problem.task == SURVIVAL and scoring.metric.kernel is not None
    information = study.averaging.mean(_deviances(scoring.problem, scoring.folds.val)) if likelihood else 0.0
    return Scale(study.averaging, scores[:, 0], scoring.metric.perfect, degree, float(information))


def _deviances(problem: Problem, parts: Sequence[Rows]) -> Array:
    """``[K]`` deviances of equal hazards for each event, of the rows that folds validate."""
    found = []
    for rows in parts:
        y = problem.y[rows]
        weights = np.ones(len(y)) if problem.score_weight is None else problem.score_weight[rows]
        found.append(-neg_cox_deviance(y, np.zeros((len(y), 1, 1)), weights)[0] / weights[y > 0].sum())
    return np.array(found)


def _probes(problem: Problem, train: Rows, val: Rows, metric: Metric) -> Array:
    """``[rows, 1 or 2, m]``: the constant decision; of a regression, also the one that halves each of its errors."""
    constant = np.broadcast_to(_constant(problem, train, metric), (len(val), problem.outputs))
    if problem.task != "regression":
        return constant[:, None]
    return np.stack([constant, (constant + problem.y[val].reshape(len(val), -1)) / 2], axis=1)


def _constant(problem: Problem, train: Rows, metric: Metric) -> Array:
    """``[m]``: the decision that knows the training targets alone, of those the best by the metric."""
    y = problem.y[train]
    weights = np.ones(len(y)) if problem.sample_weight is None else problem.sample_weight[train]
    if problem.task == SURVIVAL:
        return np.zeros(1)
    if problem.tasks:
        alone = [of_target(problem, j) for j in range(problem.targets)]
        each = metric.by_target or (metric,) * len(alone)
        return np.concatenate([_constant(one, train, own) for one, own in zip(alone, each, strict=True)])
    if problem.classes is None:
        if metric.center is None:
            return np.atleast_1d(np.average(y, axis=0, weights=weights))
        return np.array([metric.center(target, weights) for target in y.reshape(len(y), -1).T])
    logs: Array = np.log(np.maximum(np.bincount(y, weights, len(problem.classes)) / weights.sum(), 1e-12))
    return logs if problem.outputs > 1 else logs[1:] - logs[:1]


def difference(study: StoredStudy, first: Trial, second: Trial) -> Estimate:
    """How much better the first trial is, each at its own chosen step, on the same folds, with its corrected error."""
    rounding = max(study.point(first).least_difference, study.point(second).least_difference)
    return study.averaging.difference(_scores(study, first), _scores(study, second), rounding)


def lead_on_constant(study: StoredStudy, trial: Trial, scale: Scale) -> Estimate:
    """How much better than a constant prediction a trial is, on the same folds."""
    values = _scores(study, trial) - scale.constants
    return study.averaging.estimate(values, study.point(trial).least_difference)


def no_better_than_constant(study: StoredStudy, scale: Scale | None) -> bool:
    """Whether the winner's score is a constant prediction's, as far as the folds can tell."""
    return scale is not None and not may_be_gain(lead_on_constant(study, study.candidates[0], scale))


def may_be_gain(found: Estimate) -> bool:
    """Whether a difference lies above zero as far as can be told: on a single fold, which tells of no error, by more
    than rounding. That is no evidence of one, but nothing to deny it by, and enough to try further in its direction.
    """
    return found.certain if np.isfinite(found.se) else found.mean > found.rounding


def equals_reference(study: StoredStudy, trial: Trial) -> bool:
    """Whether a trial scores as the reference does, and fits as well: there is nothing between the two."""
    reference = comparable(study, trial.family)
    if reference is None or underfits(study, trial):
        return False
    return not any(may_be_gain(difference(study, *pair)) for pair in permutations((trial, reference)))


def underfits(study: StoredStudy, trial: Trial) -> bool:
    """Whether a trial gives up more of the reference's score on training rows than it overfits itself."""
    reference = comparable(study, trial.family)
    if reference is None:
        return False
    own, plain = study.point(trial), study.point(reference)
    return plain.train - own.train > max(own.gap, own.least_difference)


def overfits(study: StoredStudy, scale: Scale | None) -> bool:
    """Whether the winner loses most of what it learns on training rows, by more than the noise of the folds."""
    point = study.point(study.candidates[0])
    return scale is not None and scale.lost(point) >= LOST and has_gap(point)


def has_gap(point: Point) -> bool:
    """Whether train and validation scores differ by more than the noise of the folds and rounding."""
    noise = CLEAR * point.gap_se if np.isfinite(point.gap_se) else 0.0
    return point.gap > max(noise, point.least_difference)


def _scores(study: StoredStudy, trial: Trial) -> Array:
    return study.curves(trial.number).val[:, trial.step]


def sampled(study: StoredStudy) -> list[Trial]:
    """The complete trials but the reference, in the order in which they were made."""
    return sorted((trial for trial in study.complete if trial.role != "reference"), key=lambda trial: trial.number)
