"""What an ensemble scores at least on the rows that its members were fitted to.

What trials say of these rows is not stored, one table for each fold. By scores that are concave in what is averaged, as
of squared errors in numbers and of the log loss in probabilities, a mean of predictions scores at least the mean of
their scores (Jensen's inequality), and those are stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from regsearch.metrics.mixed import MEAN_D2
from regsearch.metrics.scorer import known
from regsearch.results.choice import Chosen
from regsearch.results.stored_study import Scoring

CONCAVE = frozenset({
    "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error", "neg_mean_poisson_deviance",
    "neg_log_loss", "neg_brier_score", "r2", "d2_absolute_error_score", "d2_brier_score", "d2_log_loss_score",
    "d2_poisson", MEAN_D2,
})  # fmt: skip


def least_train_score(scoring: Scoring, members: Sequence[tuple[Chosen, float]]) -> float | None:
    """A bound from below, of members and their weights; `None` where none is known.

    That is by other scores, also where a user calls one by such a name; and where folds repeat: there a validation
    score is that of mean predictions.
    """
    metric = scoring.metric
    concave = metric.name in CONCAVE and not metric.pooled and not scoring.folds.repeated
    if not concave or known(metric.name, metric.identity, scoring.problem) is None:
        return None
    found = sum(weight * chosen.point.train for chosen, weight in members)
    return found if math.isfinite(found) else None
