"""Scores of targets with tasks of their own: the mean of one score for each.

By default a target scores what is explained of the deviance of its best constant, ``1 - loss / loss of the constant``:
R squared of numbers, the same of the log loss of classes. Both are 0 for the constant and 1 at best, so that no target
outweighs another by its units or its number of classes.

Notation as in `regsearch.metrics.scorer`; t targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.targets import columns_of
from regsearch.data.tasks import TargetTask, slices
from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.metrics.absent_classes import told_of_classes
from regsearch.metrics.kernels import KERNELS, Kernel
from regsearch.metrics.predictions import fixed_estimator

MEAN_D2, AND = "mean_d2", " and "  # the default, and what stands between the names of others
_OF_TASK = {"regression": "r2", "binary": "d2_log_loss_score", "multiclass": "d2_log_loss_score"}


def d2_log_loss(y: NDArray[Any], decision: Array, weights: Array) -> Array:
    """``[S]``: the share of the log loss of the classes' shares that is explained."""
    shares = np.bincount(y, weights)
    shares = shares[shares > 0]
    null = -(shares @ np.log(shares)) if len(shares) > 1 else 0.0  # a share of 1 is one only to rounding
    with np.errstate(divide="ignore", invalid="ignore"):  # one class on a few rows: no finite score
        return np.asarray(1 + KERNELS["neg_log_loss"](y, decision, weights) / null)


FORMULAS: Mapping[str, Kernel] = {"d2_log_loss_score": d2_log_loss}  # of scores that have none elsewhere


def each_scorer(scorer: Any, tasks: Sequence[TargetTask]) -> tuple[Any, ...] | None:
    """The scorers of targets that a score of all is the mean of; `None` for a function of all of them.

    Raises
    ------
    InvalidInput
        When a name is that of a score of one target.
    """
    if isinstance(scorer, tuple):
        return scorer
    if callable(scorer):
        return None
    if scorer == MEAN_D2:
        return tuple(_OF_TASK[one.task] for one in tasks)
    names = tuple(str(scorer).split(AND))
    if len(names) != len(tasks):
        usual = {one.name: _OF_TASK[one.task] for one in tasks}
        raise InvalidInput(
            f"A score of several tasks is the mean of one for each target, got {said(scorer)}; pass scoring={usual}, "
            f"or leave it out: {MEAN_D2}."
        )
    return names


def is_mixed_name(name: str, is_named: Callable[[str], bool]) -> bool:
    """Whether a score of several tasks has that name."""
    return name == MEAN_D2 or (AND in name and all(map(is_named, name.split(AND))))


def kernel_of(kernels: Sequence[Kernel | None], tasks: Sequence[TargetTask]) -> Kernel | None:
    """The formula of the mean of scores with these; `None` where one has none."""
    found = tuple(one for one in kernels if one is not None)
    return MeanKernel(tuple(tasks), found) if len(found) == len(kernels) else None


@dataclass(frozen=True)
class MeanKernel:
    """The formula of a mean of scores, one for each target: a `Kernel`."""

    tasks: tuple[TargetTask, ...]
    kernels: tuple[Kernel, ...]

    def __call__(self, y: NDArray[Any], decision: Array, weights: Array) -> Array:
        """``[S]`` of y ``[n, t]`` and decisions ``[n, S, m]``."""
        found = []
        for j, (one, part) in enumerate(zip(self.tasks, slices(self.tasks), strict=True)):
            target = y[:, j] if one.classes is None else y[:, j].astype(np.intp)
            found.append(self.kernels[j](target, decision[:, :, part], weights))
        with np.errstate(invalid="ignore"):  # targets without a finite score, of either sign
            return np.asarray(np.mean(found, axis=0))


@dataclass(frozen=True)
class MeanScorer:
    """The mean of scores, one for each target, of a model that predicts a DataFrame of them: a scorer."""

    scorers: tuple[Any, ...]

    def __call__(self, estimator: Any, X: Any, y: Any, **options: Any) -> float:
        """Of targets y ``[n, t]``, by their names where they have some, else in the order of the study's."""
        values, decisions, found = estimator.predict(X), estimator.decision_function(X), []
        targets = columns_of(y, values.columns)
        for name, target, scorer in zip(values.columns, targets, self.scorers, strict=True):
            classes = estimator.classes_.get(name)
            decision = np.asarray(values[name] if classes is None else decisions[name], dtype=float)
            alone = fixed_estimator(classes, decision.reshape(len(decision), -1))
            found.append(told_of_classes(scorer, classes, target)(alone, X, target, **options))
        return float(np.mean(found))
