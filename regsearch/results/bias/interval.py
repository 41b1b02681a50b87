"""The interval of a score that was chosen: for the luck of its rows, and of the choice.

The two are independent, and their variances add. That of rows is `regsearch.results.bias.row_error`; the other is by
how much scores of choices made anew, on rows outside resamples, vary beyond those of the choice itself, which more rows
to score on do not lessen. Quantiles are those of t.

The spread of losses is in proportion to their size, as of squared errors: theirs is an interval of the logarithm, which
grows with the correction. Scores that count rows, or pairs of them, lie between two ends, and are the less spread the
nearer they are to one: theirs is Wilson's interval of a share, of as many rows as have its variance, whose distances
from the score are added to those of the choice in squares (Newcombe 1998). So a score without an error is not one that
is certain: of n rows that are all right, it reaches down to about 1 - 4 / n.

What no sample of so few rows shows is not in it: of squared errors whose tail is that of t with three degrees of
freedom, whose variance has no variance, some fifteen in a hundred intervals miss. Absolute errors have none of that.

References
----------
Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22. Newcombe (1998),
"Interval estimation for the difference between independent proportions", Statistics in Medicine 17.
"""

from __future__ import annotations

import math

from regsearch._types import Array
from regsearch.metrics.counting import lowest
from regsearch.metrics.scorer import Metric
from regsearch.metrics.statistics import ROUNDING
from regsearch.results.bias.row_error import RowError

LEVEL = 0.95
LARGEST = 3.0  # of what a ratio of losses is the exponential of: beyond, it says nothing


def interval_of(score: float, error: RowError, scores: tuple[Array, Array], metric: Metric) -> tuple[float, float]:
    """That of a corrected score.

    Parameters
    ----------
    error
        Of the score of the choice that comes of its rows; it is known.
    scores
        ``[B]`` each, outside resamples: of what all rows choose, and of what each resample does.
    """
    from scipy import stats

    usual, outside = scores
    choices = max(0.0, float(outside.var() - usual.var()))
    times = float(stats.t.isf((1 - LEVEL) / 2, error.freedom))
    ends = min(lowest(one.scorer) for one in metric.by_target or (metric,)), 1.0
    if metric.counts and ends[0] <= metric.exact(error.score) <= ends[1]:
        low, high = _of_share(score, error, times, ends)
        below, above = (math.hypot(end - score, times * math.sqrt(choices)) for end in (low, high))
        return max(score - below, ends[0]), min(score + above, ends[1])
    perfect = math.inf if metric.perfect is None else metric.perfect
    loss, own, others = perfect - score, perfect - error.score, perfect - float(outside.mean())
    if math.isfinite(perfect) and min(loss, own, others) > 0:
        exponent = times * math.sqrt(error.variance / own**2 + choices / others**2)
        if exponent < LARGEST:
            return perfect - loss * math.exp(exponent), perfect - loss / math.exp(exponent)
    half = times * math.sqrt(error.variance + choices)
    return score - half, min(score + half, perfect)


def _of_share(score: float, error: RowError, times: float, ends: tuple[float, float]) -> tuple[float, float]:
    """Wilson's for the luck of the rows, between two ends."""
    low, width = ends[0], ends[1] - ends[0]
    own, share = (min(1.0, max(0.0, (one - low) / width)) for one in (error.score, score))
    spread, variance = own * (1 - own), error.variance / width**2
    beyond = times**2 * variance / spread if spread > ROUNDING else times**2 / error.units
    middle = (share + beyond / 2) / (1 + beyond)
    half = math.sqrt(beyond * share * (1 - share) + beyond**2 / 4) / (1 + beyond)
    return low + width * (middle - half), low + width * (middle + half)
