"""The most regularized of what is as good as the best within its standard error."""

from __future__ import annotations

import math

from regsearch.numeric import format_number
from regsearch.results.rules.pick import Pick
from regsearch.results.rules.points import least_fitted
from regsearch.results.rules.registry import rule
from regsearch.results.stored_study import StoredStudy


@rule
def one_se(results: StoredStudy) -> Pick:
    """The most regularized point whose mean score lies within one standard error of the best (Breiman et al. 1984).

    Among points of different families, more regularized means fitting the training folds less: the one order that holds
    for every penalty and model. On a single path it is the larger lambda, as in glmnet. Of points that fit alike the
    simplest is chosen. Its promise is that of the mean: the point may be a little worse in every fold.
    """
    top = results.point(results.candidates[0])
    number, step, count = least_fitted(results, top.floor)
    within = f"within one standard error ({format_number(top.val_se, 2)}) of"
    which = f"It fits the training folds least of all {count:,} points" if count > 1 else "It is the only point"
    return Pick(
        number, step, f"{which} "
        f"{within if math.isfinite(top.val_se) else 'as good, on a single fold, as'} the best {results.metric_label} "
        f"({format_number(top.val, 5)}).",
    )  # fmt: skip
