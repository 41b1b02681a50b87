"""The scale on which predictions of several models are averaged: class probabilities, or numbers as they are.

Notation: n rows, S models or means of them, m outputs of a decision (see `regsearch.metrics.scorer`), q numbers that
are averaged: one for each target, or each class.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.data.tasks import slices
from regsearch.metrics.predictions import probabilities

LEAST = 1e-300  # a probability that has a logarithm


def to_average(problem: Problem, decisions: Array) -> Array:
    """``[..., q]`` of decisions ``[..., m]``."""
    if problem.tasks:
        parts = zip(problem.tasks, slices(problem.tasks), strict=True)
        return np.concatenate([_shares(one.classes is None, decisions[..., part]) for one, part in parts], axis=-1)
    return _shares(problem.classes is None, decisions)


def to_decisions(problem: Problem, mean: Array) -> Array:
    """``[..., m]`` decisions that say a mean ``[..., q]``; of one model alone its own, but for what logits share."""
    if problem.tasks:
        counts = [max(len(one.classes or ()), 1) for one in problem.tasks]
        means = np.split(mean, np.cumsum(counts)[:-1], axis=-1)
        return np.concatenate(
            [_logs(len(part.classes or ()), one) for part, one in zip(problem.tasks, means, strict=True)], axis=-1
        )
    return _logs(0 if problem.classes is None else len(problem.classes), mean)


def _shares(numbers: bool, decisions: Array) -> Array:
    """Decisions of one target: numbers as they are, or probabilities."""
    if numbers:
        return decisions
    if decisions.shape[-1] > 1:
        return probabilities(decisions)
    from scipy.special import expit

    return np.concatenate([expit(-decisions), expit(decisions)], axis=-1)  # both exact, however small


def _logs(classes: int, mean: Array) -> Array:
    """Decisions of one target of so many classes, 0 for numbers."""
    if not classes:
        return mean
    logs = np.log(np.maximum(mean, LEAST))
    return logs[..., 1:] - logs[..., :1] if classes == 2 else np.asarray(logs)
