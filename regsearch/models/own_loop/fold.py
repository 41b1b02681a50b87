"""One fold as a user's loop sees it, and what the loop tells of it after each epoch.

Notation: n rows to train on, v that validate, C classes, t targets, m outputs, M metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.features import take_rows
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput
from regsearch.inputs import said as shown
from regsearch.metrics.scorer import Metric
from regsearch.models.fitting import as_decisions

WHOLE = 1e-3  # that the probabilities of a row may be off from making 1 together
WAYS = "yield fold.score(predictions of fold.X, predictions of fold.X_val), or the pair (train_score, val_score)"


@dataclass(frozen=True)
class EpochScores:
    """What an epoch came to, by metric.

    Attributes
    ----------
    train, val
        ``[M]``; NaN where a score is computed on all folds together.
    decisions
        ``[v, m]`` of the rows that validate, as `regsearch.metrics.scorer` means them; `None` where they were not told.
    """

    train: Array
    val: Array
    decisions: Array | None = None


@dataclass(frozen=True)
class LoopFold:
    """What a user's loop trains on and is scored by.

    Attributes
    ----------
    X, y
        ``[n, ...]`` and ``[n]`` or ``[n, t]``: rows to train on, as they were given to the study.
    X_val, y_val
        The same of the rows that validate. Where a config is fitted to all rows, these are the training rows again:
        nothing is chosen by them then.
    sample_weight
        ``[n]`` of the training rows; `None` where all weigh the same.
    epochs
        How many epochs to train.
    max_epochs
        How many may be trained at most, whatever `epochs` is: what a schedule of the learning rate counts on.
    seed
        Of this fold: the generators of Python, numpy and torch have begun with it, and are this training's own.
    number
        Which fold it is, from 0; -1 where a config is fitted to all rows.
    """

    X: Any
    y: NDArray[Any]
    X_val: Any
    y_val: NDArray[Any]
    epochs: int
    max_epochs: int
    seed: int
    number: int
    sample_weight: Array | None = None
    _problem: Problem | None = field(default=None, repr=False)
    _rows: tuple[Rows, Rows] = field(default=(np.empty(0, np.intp),) * 2, repr=False)
    _metrics: tuple[Metric, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls, problem: Problem, rows: tuple[Rows, Rows], metrics: tuple[Metric, ...], epochs: tuple[int, int], seed: int,
        number: int,
    ) -> LoopFold:  # fmt: skip
        """The fold of some rows to train on and some that validate; the training rows without those of weight zero."""
        train = weighing(rows[0], problem.sample_weight)
        own = int(np.random.SeedSequence([seed, number + 1]).generate_state(1)[0])
        weight = None if problem.sample_weight is None else problem.sample_weight[train]
        inside, outside = (take_rows(problem.X, one) for one in (train, rows[1]))
        return cls(
            inside, problem.labels[train], outside, problem.labels[rows[1]], *epochs, own, number, weight, problem,
            (train, rows[1]), metrics,
        )  # fmt: skip

    def score(self, train: Any, val: Any) -> EpochScores:
        """Score predictions by the metrics of the study.

        Parameters
        ----------
        train, val
            Of the rows of `X` and of `X_val`. Numbers: ``[n]`` or ``[n, t]``. Classes: probabilities ``[n, C]`` in the
            order of sorted labels, those of the second of two classes ``[n]``, or labels ``[n]``.

        Raises
        ------
        InvalidInput
            When they are not one for each row, or no probabilities.
        """
        assert self._problem is not None
        problem = self._problem
        decisions = [
            decisions_of(said, len(rows), problem) for said, rows in zip((train, val), self._rows, strict=True)
        ]
        scores = [
            [
                math.nan if metric.pooled and part else _score(metric, problem, rows, found)
                for metric in self._metrics
            ]
            for part, (rows, found) in enumerate(zip(self._rows, decisions, strict=True))
        ]  # fmt: skip
        return EpochScores(np.array(scores[0]), np.array(scores[1]), decisions[1])


def decisions_of(said: Any, rows: int, problem: Problem) -> Array:
    """``[rows, m]`` of what a loop or its model says of some rows: numbers, probabilities or labels.

    Raises
    ------
    InvalidInput
        When it is not one for each row, or no probabilities.
    """
    found = np.asarray(said)
    if found.ndim not in (1, 2) or len(found) != rows:
        raise InvalidInput(f"fold.score needs one prediction for each of {rows} rows, got {_shape(found)}.")
    if problem.classes is None:
        if found.size != rows * problem.outputs:
            raise InvalidInput(f"fold.score needs {problem.outputs} numbers a row, got {_shape(found)}.")
        return as_decisions("predict", found, problem)
    if found.ndim == 1 and found.dtype.kind == "f" and problem.outputs == 1:
        found = np.stack([1 - found, found], axis=1)
    if found.ndim == 2:
        _check_probabilities(found, len(problem.classes))
        return as_decisions("predict_proba", found, problem)
    unknown = np.setdiff1d(found, problem.classes)
    if len(unknown):
        raise InvalidInput(f"fold.score needs labels of y, got {shown(unknown[0])}; or give probabilities.")
    return as_decisions("predict", found, problem)


def _score(metric: Metric, problem: Problem, rows: Rows, decisions: Array) -> float:
    """NaN where predictions are no numbers, as of a training that diverged."""
    if not np.isfinite(decisions).all():
        return math.nan
    return float(metric.along(problem, rows, decisions[:, None])[0])


def _check_probabilities(found: NDArray[Any], classes: int) -> None:
    if found.shape[1] != classes:
        raise InvalidInput(f"fold.score needs probabilities of {classes} classes, got {_shape(found)}.")
    known = found[np.isfinite(found).all(axis=1)]
    if len(known) and (known.min() < 0 or np.abs(known.sum(axis=1) - 1).max() > WHOLE):
        raise InvalidInput(
            f"fold.score needs probabilities, from 0 and 1 together in each row, got {shown(known[0].tolist())}; take "
            "the softmax or sigmoid of logits."
        )


def _shape(found: NDArray[Any]) -> str:
    return f"an array of {' x '.join(map(str, found.shape))}"


def told(yielded: Any, metrics: Sequence[Metric]) -> EpochScores:
    """What a loop yielded after an epoch, as scores.

    Raises
    ------
    InvalidInput
        When it is none of what can be yielded, or scores that the metrics cannot have.
    """
    if isinstance(yielded, EpochScores):
        return yielded
    if not metrics:  # of a model that is fitted to all rows, nothing is asked
        return EpochScores(np.empty(0), np.empty(0))
    names = [metric.name for metric in metrics]
    if not isinstance(yielded, Mapping):
        yielded = {names[0]: yielded}
    if set(yielded) != set(names):
        got = ", ".join(map(str, yielded))
        raise InvalidInput(
            f"A loop must tell every score of the study ({', '.join(names)}), got {got}; yield "
            "{name: (train_score, val_score), ...} or fold.score(...)."
        )
    pairs = [_pair(metric, yielded[metric.name]) for metric in metrics]
    return EpochScores(*np.array(pairs, dtype=float).T)


def _pair(metric: Metric, scores: Any) -> tuple[float, float]:
    """A training and a validation score of a metric."""
    found = [_number(score) for score in scores] if isinstance(scores, tuple | list) else []
    numbers = [number for number in found if number is not None]
    if not len(found) == len(numbers) == 2:
        raise InvalidInput(f"A loop must {WAYS}, got {shown(scores)} for {metric.name}.")
    if metric.pooled:
        raise InvalidInput(
            f"{metric.name} is one score of all rows outside training, which needs predictions; yield fold.score(...)."
        )
    train, val = numbers
    if metric.perfect is not None and max(train, val) > metric.perfect + WHOLE:
        raise InvalidInput(
            f"{metric.name} is at most {metric.perfect:g}, got {max(train, val):.4g}: larger is better; yield a "
            "loss with a minus."
        )
    return train, val


def _number(value: Any) -> float | None:
    """A number of Python's, numpy's or torch's, finite or not; `None` for anything else."""
    value = value.item() if hasattr(value, "item") and not getattr(value, "ndim", 0) else value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
