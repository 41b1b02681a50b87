"""The simplest of what is not significantly worse than the best."""

from __future__ import annotations

import math

import numpy as np

from regsearch._types import Array
from regsearch.metrics.statistics import ALPHA, Estimate
from regsearch.models.path import ROUNDING
from regsearch.results.ranking import score_tolerance
from regsearch.results.rules.points import least_cost, path_points
from regsearch.results.rules.registry import Pick, rule
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


@rule
def paired(results: StoredStudy) -> Pick:
    """The simplest trial, at its own best point, that is not significantly worse than the best, by a paired test.

    The test is the corrected resampled t-test of Nadeau & Bengio (2003), one-sided, at the level .05: training sets of
    folds overlap, so the variance of the mean difference of K folds is taken as (1/K + n_val/n_train) times that of
    the differences. Simplest means the least complexity (mean over folds: coefficients or weights that are not zero),
    among equals fitting the training folds least; where a trial does not know its complexity, the latter alone.

    Other points of paths are left out: where a path begins, folds differ so much that hardly any loss is significant.
    """
    from scipy.stats import t

    top = results.complete[0]
    score = results.curves(top.number).val[:, top.step]
    critical = float(t.isf(ALPHA, len(score) - 1)) if len(score) > 1 else 0.0
    lost = {trial.number: _lost(results, trial, score) for trial in results.complete}
    rivals = [trial for trial in results.complete if lost[trial.number].t <= critical]
    known = all(math.isfinite(trial.complexity) for trial in rivals)
    least = min(trial.complexity for trial in rivals)
    simplest = [trial for trial in rivals if not known or trial.complexity <= least * (1 + ROUNDING)]
    fits = [path_points(one, np.array([one.step]), np.array([results.point(one).train])) for one in simplest]
    number, step = least_cost(results, np.concatenate(fits))
    value = lost[number].p_greater
    said = f"p = {value:.2g}" if math.isfinite(value) else "with a single fold only an equal score counts"
    return Pick(
        number, step, f"It is the simplest of {len(rivals)} trials that are not significantly worse than the best "
        f"{results.metric_label} ({results.point(top).val:.5g}) in a paired test over folds ({said}).",
    )  # fmt: skip


def _lost(results: StoredStudy, trial: Trial, score: Array) -> Estimate:
    """How much worse a trial is, at its own best point, than the scores ``[K]`` of the best."""
    own = results.curves(trial.number).val[:, trial.step]
    return results.averaging.difference(score, own, score_tolerance(results.point(results.complete[0])))
