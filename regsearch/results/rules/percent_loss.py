"""The most regularized of what is worse than the best by no more than a share."""

from __future__ import annotations

from functools import cache

from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import format_number, is_number, plain
from regsearch.results.rules.pick import Pick
from regsearch.results.rules.points import least_fitted
from regsearch.results.rules.registry import Rule, rule_with_number
from regsearch.results.stored_study import StoredStudy


@rule_with_number
@cache
def percent_loss(percent: float) -> Rule:
    """A rule: the most regularized point whose mean score is at most so many percent worse than the best.

    As caret's `tolerance` (Kuhn 2008, "Building predictive models in R using the caret package"), over all points of
    all paths. More regularized means fitting the training folds less, as for `one_se`. Its promise is the percentage
    alone, whatever the folds can tell apart; of a best score of 0 it is nothing.

    Parameters
    ----------
    percent
        Of the best score's size, from 0 to below 100.

    Raises
    ------
    InvalidInput
        When it is not such a number.
    """
    percent = plain(percent)
    if not is_number(percent) or not 0 <= percent < 100:
        raise InvalidInput(f"A loss must be a percentage from 0 to below 100, got {said(percent)}; try percent_loss=2.")

    def within_percent(results: StoredStudy) -> Pick:
        best = results.point(results.candidates[0]).val
        number, step, count = least_fitted(results, best - percent / 100 * abs(best))
        return Pick(
            number, step, f"It fits the training folds least of all {count:,} points within {percent:g} % of the best "
            f"{results.metric_label} ({format_number(best, 5)}).",
        )  # fmt: skip

    within_percent.__name__ = f"percent_loss={percent:g}"
    return within_percent
