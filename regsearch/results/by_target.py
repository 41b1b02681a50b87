"""What a choice scores on each of several targets."""

from __future__ import annotations

from dataclasses import replace

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.by_target import of_targets
from regsearch.metrics.scorer import metric_of_target
from regsearch.results.choice import Chosen
from regsearch.results.stored_study import Scoring, StoredStudy


def scores_by_target(study: StoredStudy, chosen: Chosen) -> dict[str, float]:
    """Mean validation scores by the names of targets: their mean is the score of the choice, of any metric that weighs
    targets alike.

    Empty for one target, and where stored predictions do not tell: at another point than the trial's best, and of rows
    that several folds validate; and without those that the scorer fails of, as one does that needs all targets.
    """
    scoring = study.scoring
    if scoring is None or scoring.problem.targets == 1:
        return {}
    own = next(trial for trial in study.all if trial.number == chosen.number)
    if own.step != chosen.step:
        return {}
    return of_decisions(scoring, study.averaging, study.decisions(chosen.number))


def of_decisions(scoring: Scoring, averaging: Averaging, decisions: Array | None) -> dict[str, float]:
    """The same of decisions ``[n, t]`` for rows outside training."""
    if decisions is None or scoring.problem.targets == 1 or scoring.folds.repeated:
        return {}

    def scored(alone: Problem, part: slice, j: int, failures: dict[str, str]) -> float:
        outside = [decisions[val, None, part] for val in scoring.folds.val]
        own = replace(scoring, problem=alone, metric=metric_of_target(scoring.metric, j))
        return float(averaging.mean(own.by_fold(outside, averaging, failures))[0])

    return dict(of_targets(scoring.problem, scored))
