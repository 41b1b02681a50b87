"""What a choice scores on each of several targets."""

from __future__ import annotations

from dataclasses import replace

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.results.choice import Chosen
from regsearch.results.stored_study import Scoring, StoredStudy


def scores_by_target(study: StoredStudy, chosen: Chosen) -> dict[str, float]:
    """Mean validation scores by the names of targets: their mean is the score of the choice, of any usual metric.

    Empty for one target, and where stored predictions do not tell: at another point than the trial's best, and of rows
    that several folds validate.
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
    found = {}
    for j, name in enumerate(scoring.problem.target_names):
        problem = replace(scoring.problem, y=scoring.problem.y[:, j], target_names=(name,))
        outside = [decisions[val, j][:, None, None] for val in scoring.folds.val]
        scores = replace(scoring, problem=problem).by_fold(outside, averaging)
        found[name] = float(averaging.mean(scores)[0])
    return found
