"""Formulas of scores, vectorised along a path; see `regsearch.metrics.scorer` for the notation. Weights sum to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.deviance import neg_tweedie
from regsearch.metrics.predictions import log_sum_exp, winners
from regsearch.metrics.residuals import errors_of, over_targets, weighted

Kernel: TypeAlias = Callable[[NDArray[Any], Array, Array], Array]


def _mse(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    return -over_targets(_squares(y, decision, weights))


def _rmse(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    return -over_targets(np.sqrt(_squares(y, decision, weights)))


def _mae(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    errors = errors_of(y, decision)
    return -over_targets(weighted(np.abs(errors, out=errors), weights))


def _r2(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    return over_targets(r2_from_mse(_squares(y, decision, weights), weights @ (y - weights @ y) ** 2))


def _squares(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    """``[S]`` mean squared errors, ``[S, t]`` for several targets."""
    errors = errors_of(y, decision)
    errors *= errors
    return weighted(errors, weights)


def _log_loss(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    if decision.shape[2] == 1:
        margin = np.where(y[:, None] == 1, -decision[:, :, 0], decision[:, :, 0])
        return np.asarray(-(weights @ np.logaddexp(0.0, margin)))
    chosen = np.take_along_axis(decision, y[:, None, None], axis=2)[:, :, 0]
    return np.asarray(-(weights @ (log_sum_exp(decision) - chosen)))


def _accuracy(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    return np.asarray(weights @ (winners(decision) == y[:, None]))


def _roc_auc(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    """The share of (negative, positive) pairs in the right order, ties counting half."""
    scores = decision[:, :, 0]
    order = np.argsort(scores, axis=0)
    ranked = np.take_along_axis(scores, order, axis=0)
    positive, negative = (weights * y)[order], (weights * (1 - y))[order]
    below = np.cumsum(negative, axis=0)  # negatives up to and with each place
    first = np.concatenate([np.ones((1, scores.shape[1]), dtype=bool), ranked[1:] != ranked[:-1]])
    last = np.concatenate([first[1:], np.ones((1, scores.shape[1]), dtype=bool)])
    before = np.maximum.accumulate(np.where(first, below - negative, 0.0), axis=0)  # those below the place's tie
    through = np.minimum.accumulate(np.where(last, below, np.inf)[::-1], axis=0)[::-1]  # and those below or in it
    pairs = (weights * y).sum() * (weights * (1 - y)).sum()
    with np.errstate(invalid="ignore"):  # one class on a few rows: no finite score
        return np.asarray((positive * (before + through) / 2).sum(axis=0) / pairs)


def _poisson(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    return neg_tweedie(y, decision, weights, 1.0)


def _gamma(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    return neg_tweedie(y, decision, weights, 2.0)


def r2_from_mse(mse: Array, variance: Any) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):  # y may be constant on a few rows: no finite score
        return np.asarray(1.0 - mse / variance)


KERNELS: dict[str, Kernel] = {
    "neg_mean_squared_error": _mse,
    "neg_root_mean_squared_error": _rmse,
    "neg_mean_absolute_error": _mae,
    "r2": _r2,
    "neg_mean_poisson_deviance": _poisson,
    "neg_mean_gamma_deviance": _gamma,
    "neg_log_loss": _log_loss,
    "accuracy": _accuracy,
    "roc_auc": _roc_auc,
}


OF_CLASSES = frozenset({_log_loss, _accuracy, _roc_auc})


FROM_MSE: dict[str, Callable[[Array, Any], Array]] = {
    "neg_mean_squared_error": lambda mse, variance: -mse,
    "neg_root_mean_squared_error": lambda mse, variance: -np.sqrt(mse),
    "r2": r2_from_mse,
}
