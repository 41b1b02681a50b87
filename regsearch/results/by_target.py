"""What a choice scores on each of several targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from regsearch.results.choice import Chosen
from regsearch.results.stored_study import StoredStudy


def scores_by_target(study: StoredStudy, chosen: Chosen) -> dict[str, float]:
    """Mean validation scores by the names of targets: their mean is the score of the choice, of any usual metric.

    Empty for one target, and where stored predictions do not tell: at another point than the trial's best, and of rows
    that several folds validate.
    """
    scoring = study.scoring
    if scoring is None or scoring.problem.targets == 1:
        return {}
    own = next(trial for trial in study.all if trial.number == chosen.number)
    decisions, held = study.predictions(chosen.number), np.concatenate(scoring.folds.val)
    if decisions is None or own.step != chosen.step or len(np.unique(held)) < len(held):
        return {}
    found = {}
    for j, name in enumerate(scoring.problem.target_names):
        problem = replace(scoring.problem, y=scoring.problem.y[:, j], target_names=(name,))
        outside = [decisions[val, j][:, None, None] for val in scoring.folds.val]
        scores = replace(scoring, problem=problem).by_fold(outside, study.averaging)
        found[name] = float(study.averaging.mean(scores)[0])
    return found
