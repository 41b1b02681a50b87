"""Scores that a mean over rows determines: the score of each row, and what becomes of a mean under shares of rows.

Notation: T configs, n rows, m outputs, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.deviance import tweedie_deviance
from regsearch.metrics.predictions import winners


def _squares(y: NDArray[Any], decisions: Array) -> Array:
    return -_over_outputs((decisions - y.reshape(len(y), -1)) ** 2)


def _absolute(y: NDArray[Any], decisions: Array) -> Array:
    return -_over_outputs(np.abs(decisions - y.reshape(len(y), -1)))


def _poisson(y: NDArray[Any], decisions: Array) -> Array:
    return -tweedie_deviance(y, decisions[:, :, 0], 1.0)


def _gamma(y: NDArray[Any], decisions: Array) -> Array:
    return -tweedie_deviance(y, decisions[:, :, 0], 2.0)


def _over_outputs(errors: Array) -> Array:
    return np.asarray(errors.mean(axis=2))


def _log_likelihood(y: NDArray[Any], decisions: Array) -> Array:
    from scipy.special import logsumexp

    if decisions.shape[2] == 1:
        return -np.logaddexp(0.0, np.where(y == 1, -decisions[:, :, 0], decisions[:, :, 0]))
    return np.asarray(decisions[:, np.arange(len(y)), y] - logsumexp(decisions, axis=2))


def _right(y: NDArray[Any], decisions: Array) -> Array:
    return np.asarray(winners(decisions) == y, dtype=float)


def mean_itself(mean: Array, y: NDArray[Any], shares: NDArray[Any]) -> Array:
    """A score that is the mean of its rows'."""
    return mean


def _rooted(mean: Array, y: NDArray[Any], shares: NDArray[Any]) -> Array:
    return np.asarray(-np.sqrt(-mean))


def _r2(mean: Array, y: NDArray[Any], shares: NDArray[Any]) -> Array:
    """One minus the mean squared error over the variance of y, under shares ``[n, B]``."""
    centred = y - y.mean()
    variance = centred**2 @ shares - (centred @ shares) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # y may be constant on a few rows
        return np.asarray(1 + mean / variance)


OF_ROWS: dict[str, Callable[[NDArray[Any], Array], Array]] = {  # scores [T, n] of decisions [T, n, m]
    "neg_mean_squared_error": _squares,
    "neg_root_mean_squared_error": _squares,
    "neg_mean_absolute_error": _absolute,
    "r2": _squares,
    "neg_mean_poisson_deviance": _poisson,
    "neg_mean_gamma_deviance": _gamma,
    "neg_log_loss": _log_likelihood,
    "accuracy": _right,
}
OF_A_MEAN: dict[str, Callable[[Array, NDArray[Any], NDArray[Any]], Array]] = {  # those that are more than the mean
    "neg_root_mean_squared_error": _rooted,
    "r2": _r2,
}
