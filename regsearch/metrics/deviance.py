"""Deviances and what is explained of them, as scores: formulas along a path, and scorers under names of their own.

``d2_*`` is one less the deviance over that of the best constant (McCullagh & Nelder 1989): R squared, of another loss.
A number at the end of a name is what scikit-learn's function has as an argument: ``neg_mean_tweedie_deviance_1.5`` has
the power 1.5, and ``d2_huber_2`` counts residuals beyond 2, in the units of y, as they are and not squared.

Notation as in `regsearch.metrics.scorer`; weights sum to one. Predictions of a deviance must be positive: at others it
is infinite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.weights import weighted_quantiles
from regsearch.metrics.huber import d2_huber, d2_huber_score, huber_center, mean_huber_loss, neg_huber
from regsearch.metrics.residuals import errors_of, over_targets, weighted
from regsearch.metrics.survival import (
    concordance_index,
    cox_deviance,
    d2_cox,
    d2_cox_score,
    neg_cox_deviance,
)  # fmt: skip

TINY = 1e-300  # a distance above 0


def tweedie_deviance(y: NDArray[Any], mean: Array, power: float) -> Array:
    """Unit deviances of predicted means, shapes that broadcast; Poisson's at power 1, gamma's at 2."""
    from scipy.special import xlogy

    with np.errstate(all="ignore"):
        if power == 1:
            half = xlogy(y, y / mean) - y + mean
        elif power == 2:
            half = np.log(mean / y) + y / mean - 1
        else:
            apart = y ** (2 - power) / ((1 - power) * (2 - power)) - y * mean ** (1 - power) / (1 - power)
            half = apart + mean ** (2 - power) / (2 - power)
    return np.where((mean > 0) & np.isfinite(half), 2 * half, np.inf)


def neg_tweedie(y: NDArray[Any], decision: Array, weights: Array, power: float) -> Array:
    """``[S]`` minus the mean deviance."""
    return np.asarray(-(weights @ tweedie_deviance(y[:, None], decision[:, :, 0], power)))


def d2_tweedie(y: NDArray[Any], decision: Array, weights: Array, power: float) -> Array:
    """``[S]``: the share of the deviance of the mean that is explained."""
    null = weights @ tweedie_deviance(y, np.full(len(y), weights @ y), power)
    with np.errstate(divide="ignore", invalid="ignore"):  # y may be constant on a few rows: no finite score
        return np.asarray(1 + neg_tweedie(y, decision, weights, power) / null)


@dataclass(frozen=True)
class NamedScore:
    """A score that regsearch has a name for.

    Attributes
    ----------
    scorer
        ``(estimator, X, y) -> float``, as scikit-learn makes it.
    kernel
        Its formula along a path; `None` where only the scorer knows.
    center
        Of targets and their weights, ``[n]``, the constant prediction that it likes best; `None` is the mean.
    """

    scorer: Callable[..., float]
    kernel: Callable[[NDArray[Any], Array, Array], Array] | None
    center: Callable[[Array, Array], float] | None = None


def _tweedie(power: float) -> NamedScore:
    from sklearn.metrics import make_scorer, mean_tweedie_deviance

    scorer = make_scorer(mean_tweedie_deviance, power=power, greater_is_better=False)
    return NamedScore(scorer, partial(neg_tweedie, power=power))


def _d2_tweedie(power: float) -> NamedScore:
    from sklearn.metrics import d2_tweedie_score, make_scorer

    return NamedScore(make_scorer(d2_tweedie_score, power=power), partial(d2_tweedie, power=power))


def neg_pinball(y: NDArray[Any], decision: Array, weights: Array, quantile: float) -> Array:
    """``[S]`` minus the mean pinball loss."""
    error = errors_of(y, decision)
    return -over_targets(weighted(np.maximum((1 - quantile) * error, -quantile * error), weights))


def quantile_of(y: Array, weights: Array, quantile: float) -> float:
    """Of targets ``[n]``: the constant with the least mean pinball loss."""
    return float(weighted_quantiles(y[:, None], weights, (quantile,))[0, 0])


def _pinball(quantile: float) -> NamedScore:
    from sklearn.metrics import make_scorer, mean_pinball_loss

    scorer = make_scorer(mean_pinball_loss, alpha=quantile, greater_is_better=False)
    return NamedScore(scorer, partial(neg_pinball, quantile=quantile), partial(quantile_of, quantile=quantile))


def _d2_pinball(quantile: float) -> NamedScore:
    from sklearn.metrics import d2_pinball_score, make_scorer

    center = partial(quantile_of, quantile=quantile)
    return NamedScore(make_scorer(d2_pinball_score, alpha=quantile), None, center)


def _huber(distance: float) -> NamedScore:
    from sklearn.metrics import make_scorer

    scorer = make_scorer(mean_huber_loss, distance=distance, greater_is_better=False)
    return NamedScore(scorer, partial(neg_huber, distance=distance), partial(huber_center, distance=distance))


def _d2_huber(distance: float) -> NamedScore:
    from sklearn.metrics import make_scorer

    scorer = make_scorer(d2_huber_score, distance=distance)
    return NamedScore(scorer, partial(d2_huber, distance=distance), partial(huber_center, distance=distance))


_WITH_A_NUMBER: dict[str, tuple[Callable[[float], NamedScore], tuple[float, float]]] = {
    "neg_mean_tweedie_deviance": (_tweedie, (1.0, 2.0)),
    "d2_tweedie": (_d2_tweedie, (1.0, 2.0)),
    "neg_mean_pinball_loss": (_pinball, (0.0, 1.0)),
    "d2_pinball": (_d2_pinball, (0.0, 1.0)),
    "neg_mean_huber_loss": (_huber, (TINY, math.inf)),
    "d2_huber": (_d2_huber, (TINY, math.inf)),
}


def _cox_deviance() -> NamedScore:
    from sklearn.metrics import make_scorer

    return NamedScore(make_scorer(cox_deviance, greater_is_better=False), neg_cox_deviance)


def _d2_cox() -> NamedScore:
    from sklearn.metrics import make_scorer

    return NamedScore(make_scorer(d2_cox_score), d2_cox)


def _concordance() -> NamedScore:
    from sklearn.metrics import make_scorer

    return NamedScore(make_scorer(concordance_index), None)


MEDIAN: frozenset[str] = frozenset(  # names of scikit-learn whose best constant is the median
    {"neg_mean_absolute_error", "neg_median_absolute_error", "d2_absolute_error_score"}
)
OF_SURVIVAL: dict[str, Callable[[], NamedScore]] = {
    "neg_cox_deviance": _cox_deviance, "d2_cox": _d2_cox, "concordance_index": _concordance,
}  # fmt: skip
_WITHOUT: dict[str, Callable[[], NamedScore]] = OF_SURVIVAL | {
    "d2_poisson": partial(_d2_tweedie, 1.0),
    "d2_gamma": partial(_d2_tweedie, 2.0),
}
NAMES = (*_WITHOUT, *(f"{name}_NUMBER" for name in _WITH_A_NUMBER))


def named_score(name: str) -> NamedScore | None:
    """The score of that name; `None` where regsearch has none of its own."""
    if name in _WITHOUT:
        return _WITHOUT[name]()
    found = re.fullmatch(r"(\w+?)_(\d+(?:\.\d+)?)", name)
    if found is None or found[1] not in _WITH_A_NUMBER:
        return None
    made, (low, high) = _WITH_A_NUMBER[found[1]]
    number = float(found[2])
    return made(number) if low <= number <= high else None


def center_of(name: str) -> Callable[[Array, Array], float] | None:
    """The constant that a score of scikit-learn likes best; `None` is the mean."""
    return partial(quantile_of, quantile=0.5) if name in MEDIAN else None
