"""Scores that a mean over rows determines: the score of each row, and what becomes of a mean.

Notation: T configs, n rows, m outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.deviance import tweedie_deviance
from regsearch.metrics.predictions import log_sum_exp, winners


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
    if decisions.shape[2] == 1:
        return -np.logaddexp(0.0, np.where(y == 1, -decisions[:, :, 0], decisions[:, :, 0]))
    return np.asarray(decisions[:, np.arange(len(y)), y] - log_sum_exp(decisions))


def _right(y: NDArray[Any], decisions: Array) -> Array:
    return np.asarray(winners(decisions) == y, dtype=float)


def _rooted(mean: Array) -> Array:
    return np.asarray(-np.sqrt(-mean))


def _explained(mean: Array) -> Array:
    return 1 + mean


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
OF_A_MEAN: dict[str, Callable[[Array], Array]] = {  # those that are more than the mean
    "neg_root_mean_squared_error": _rooted,
    "r2": _explained,
}
OVER_VARIANCE = frozenset({"r2"})  # the score of a row is divided by the variance of y among those it is scored with


def of_mean(name: str, mean: Array) -> Array:
    """The score that a mean over rows determines, by the name of its formula."""
    return OF_A_MEAN[name](mean) if name in OF_A_MEAN else mean


def is_plain_mean(name: str) -> bool:
    """Whether a score is a mean over rows, and nothing else."""
    return name in OF_ROWS and name not in OF_A_MEAN
