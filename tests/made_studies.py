"""Studies as they would be stored, whose configs decided what a test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.pooled import pooled_metrics
from regsearch.metrics.scorer import resolve
from regsearch.models.path import Curves, Trajectory
from regsearch.results.results import Results
from regsearch.results.stored_study import Scoring
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial

K = 5


def stored(root: Path, problem: Problem, scoring: str, decisions: NDArray[Any], cv: Any = K) -> Results:
    """A study as it would be stored whose configs made these decisions ``[T, n, m]``."""
    folds = make_folds(cv, problem, 0)
    metric = pooled_metrics(resolve(scoring, problem), problem, folds, None)[0]
    store = Store(root, "made")
    store.prepare()
    store.save_folds(folds, Averaging.of(folds))
    store.save_targets(problem)
    trials = []
    for number, decision in enumerate(decisions.astype(np.float32)):
        kept = decision[:, None].astype(float)
        val = Scoring(problem, folds, metric).by_fold([kept[rows] for rows in folds.val], Averaging.of(folds))
        curves = Curves(val, val)
        store.save(number, Trajectory(np.full(1, np.nan), {scoring: curves}), decision)
        trials.append(Trial(number, "complete", key=str(number), points={scoring: curves.point(0)}, end_ms=number))
    identity = {
        "study": "made", "task": problem.task, "cv": "made", "scoring": [metric.identity], "metric": scoring,
        "metrics": [scoring], "fingerprint": problem.fingerprint, "folds_hash": folds.digest,
        "folds": len(folds),
    }  # fmt: skip
    return Results(store, identity, tuple(trials))
