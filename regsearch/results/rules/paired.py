"""The simplest of what is as good as the best."""

from __future__ import annotations

import math

import numpy as np

from regsearch._types import Array
from regsearch.metrics.statistics import ALPHA, ROUNDING, Estimate
from regsearch.numeric import format_number
from regsearch.results.rules.pick import Pick
from regsearch.results.rules.points import complexity_known, least_cost, near_best, path_points
from regsearch.results.rules.registry import rule
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


@rule
def paired(results: StoredStudy) -> Pick:
    """The simplest trial, at its own best point, that is as good as the best: by its error and by a paired test.

    It is at most one standard error of the best worse, no worse in every fold (of three or more), and its loss is not
    significant. The test is the corrected resampled t-test of Nadeau & Bengio (2003), one-sided, at the level .05:
    training sets of folds overlap, so the variance of the mean difference of K folds is taken as (1/K + n_val/n_train)
    times that of the differences. It alone would promise little: five folds of a fit that is unstable show nothing.
    On simulated studies 95 % of the choices are truly at most 1.25 standard errors worse than the best's
    (`benchmarks/rules.py`).

    Simplest means the fewest degrees of freedom (mean over folds; of nets, weights that are not zero), among equals
    fitting the training folds least; where a trial does not know them, or families differ, the latter alone. Other
    points of paths are left out: where a path begins, folds differ so much that hardly any loss is significant.
    """
    top = results.candidates[0]
    score = results.curves(top.number).val[:, top.step]
    freedom = results.averaging.effective - 1
    near = near_best(results)
    lost = {trial.number: _lost(results, trial, score) for trial in near}
    rivals = [trial for trial in near if _is_rival(lost[trial.number])]
    known = complexity_known(rivals)
    least = min(trial.complexity for trial in rivals)
    simplest = [trial for trial in rivals if not known or trial.complexity <= least * (1 + ROUNDING)]
    fits = [path_points(one, np.array([one.step]), np.array([results.point(one).train])) for one in simplest]
    number, step = least_cost(results, np.concatenate(fits))
    value = lost[number].p_greater
    said = f"p = {value:.2g}" if math.isfinite(value) else "with a single fold only an equal score counts"
    alike = "within one standard error of" if freedom > 0 else "as good as"
    many = len(rivals) > 1
    which = f"It is the simplest of {len(rivals)} trials that are" if many else "It is the only trial that is"
    return Pick(
        number, step, f"{which} {alike} the best "
        f"{results.metric_label} ({format_number(results.point(top).val, 5)}) and "
        f"not worse in a paired test over folds ({said}).",
    )  # fmt: skip


def _is_rival(lost: Estimate) -> bool:
    """Whether a test cannot tell that anything is lost; of a single fold, which has none, whether nothing is."""
    return lost.p_greater >= ALPHA if math.isfinite(lost.se) else lost.mean <= lost.rounding


def _lost(results: StoredStudy, trial: Trial, score: Array) -> Estimate:
    """How much worse a trial is, at its own best point, than the scores ``[K]`` of the best."""
    own = results.curves(trial.number).val[:, trial.step]
    return results.averaging.difference(score, own, results.point(results.candidates[0]).tolerance)
