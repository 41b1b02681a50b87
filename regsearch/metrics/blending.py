"""The scale on which predictions of several models are averaged: class probabilities, or numbers as they are.

Notation: n rows, S models or means of them, m outputs of a decision (see `regsearch.metrics.scorer`), q numbers that
are averaged: one for each target, or each class.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.metrics.predictions import probabilities

LEAST = 1e-300  # a probability that has a logarithm


def to_average(problem: Problem, decisions: Array) -> Array:
    """``[..., q]`` of decisions ``[..., m]``."""
    if problem.classes is None:
        return decisions
    if decisions.shape[-1] > 1:
        return probabilities(decisions)
    from scipy.special import expit

    return np.concatenate([expit(-decisions), expit(decisions)], axis=-1)  # both exact, however small


def to_decisions(problem: Problem, mean: Array) -> Array:
    """``[..., m]`` decisions that say a mean ``[..., q]``; of one model alone its own, but for what logits share."""
    if problem.classes is None:
        return mean
    logs = np.log(np.maximum(mean, LEAST))
    return logs[..., 1:] - logs[..., :1] if problem.outputs == 1 else np.asarray(logs)
