"""One fold of an estimator: fitted, and scored as a whole or after each of its rounds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.features import take_rows
from regsearch.data.fold_targets import FoldTargets
from regsearch.data.problem import Problem
from regsearch.errors import FOREIGN
from regsearch.metrics.predictions import winners
from regsearch.metrics.scorer import Metric
from regsearch.models.fitting import as_decisions, decisions_of, fitted_on, seeded, whole
from regsearch.models.rounds import RANKING, walk


class Buildable(Protocol):
    """A config of an estimator; `rounds` is the parameter that counts its rounds, where they are walked."""

    @property
    def rounds(self) -> str | None: ...

    def build(self) -> Any:
        """The unfitted estimator."""


@dataclass(frozen=True)
class FoldFit:
    """Scores of one fold ``[M, S]``, by metric and step, and its decisions on the validation rows ``[n_val, S, m]``.

    Attributes
    ----------
    error
        Why there are none.
    failures
        What scorers raised that decide nothing, by metric: their scores are NaN.
    labels
        Decisions ``[n_val, 1, m]`` of the labels that are predicted, where the deciding or a pooled score may read
        these and they are not those of `predictions`, as of a classifier with a threshold of its own.
    """

    train: Array
    val: Array
    predictions: Array
    error: str = ""
    failures: dict[str, str] = field(default_factory=dict)
    labels: Array | None = None

    def told_to(self, metric: Metric) -> Array:
        """The decisions that a pooled score is made from."""
        return self.predictions if self.labels is None or not _reads_labels(metric) else self.labels

    def relabels(self, metric: Metric) -> bool:
        """Whether a score may be of other labels than those that `predictions` make likeliest."""
        return self.labels is not None and _may_read_labels(metric)

    @classmethod
    def failed(cls, why: str) -> FoldFit:
        return cls(np.empty((0, 1)), np.empty((0, 1)), np.empty((0, 1, 1)), why)


def _reads_labels(metric: Metric) -> bool:
    """Whether a metric is one of scikit-learn's that reads the labels that are predicted, and nothing else."""
    return getattr(metric.scorer, "_response_method", None) == "predict"


def _ranks_rows(metric: Metric) -> bool:
    """Whether a metric of scikit-learn's reads the decision function rather than probabilities."""
    asked = getattr(metric.scorer, "_response_method", None)
    return isinstance(asked, tuple | list) and asked[0] == RANKING


def _may_read_labels(metric: Metric) -> bool:
    """Whether it does, or is the user's own, which may; one that reads the fitted estimator is never computed anew."""
    return _reads_labels(metric) or not (metric.needs_fit or hasattr(metric.scorer, "_response_method"))


def fit_fold(config: Buildable, problem: Problem, metrics: Any, seed: int, fold: tuple[Rows, Rows]) -> FoldFit:
    """Fit and score one fold; an estimator's own error is reported, not raised."""
    failures: dict[str, str] = {}
    kept = [None, *[failures] * (len(metrics) - 1)]  # without the one that decides there is no score: it is raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator = seeded(config.build(), seed)
            if config.rounds is None:
                train, val, predictions, labels = _measured(estimator, problem, metrics, fold, kept)
            else:
                train, val, predictions, labels = _measured_along(
                    estimator, config.rounds, problem, metrics, fold, kept
                )
        except FOREIGN as error:  # anyone's code: the trial fails with its words, the search goes on
            return FoldFit.failed(f"{type(error).__name__}: {error}")
    if not np.isfinite(train[0] if metrics[0].pooled else [train[0], val[0]]).all():
        return FoldFit.failed(f"{metrics[0].name} was not finite in a fold")
    return FoldFit(train, val, predictions, failures=failures, labels=labels)


# scores of training and validation rows, decisions on the latter, and those of labels where they say something else
Measured: TypeAlias = tuple[Array, Array, Array, Array | None]


def _measured(estimator: Any, problem: Problem, metrics: Any, fold: tuple[Rows, Rows], kept: Sequence[Any]) -> Measured:
    """One fit, scored as a whole: a scorer may read what it likes of it."""
    train, val = fold
    fitted = whole(fitted_on(estimator, problem, train), problem, train)
    inside, outside = problem.take(train), problem.take(val)
    scores = [
        [metric.score(fitted, inside, of) for metric, of in zip(metrics, kept, strict=True)],
        [math.nan if m.pooled else m.score(fitted, outside, of) for m, of in zip(metrics, kept, strict=True)],
    ]
    X = take_rows(problem.X, val)
    found = decisions_of(fitted, X, problem)
    labels = None
    read = _may_read_labels(metrics[0]) or any(m.pooled and _reads_labels(m) for m in metrics)
    if problem.classes is not None and read:
        said = as_decisions("predict", fitted.predict(X), problem)
        labels = None if np.array_equal(winners(said), winners(found)) else said[:, None]
    return np.array(scores[0])[:, None], np.array(scores[1])[:, None], found[:, None], labels


def _measured_along(
    estimator: Any, path: str, problem: Problem, metrics: Any, fold: tuple[Rows, Rows], kept: Sequence[Any]
) -> Measured:
    """One fit, scored after each of its rounds by what it says."""
    scores: tuple[list[Any], list[Any]] = [], []
    decisions, targets = [], FoldTargets.of(problem, fold[:1])
    ranks = problem.outputs > 1 and any(map(_ranks_rows, metrics))
    for eta in walk(estimator, path, problem, fold[0], [take_rows(problem.X, rows) for rows in fold], ranks):
        said, ranked = [targets.undone(0, one) for one in eta[:2]], eta[-2:]
        for rows, found, order, part, measured in zip(fold, said, ranked, (False, True), scores, strict=True):
            told = [order if ranks and _ranks_rows(m) else found for m in metrics]
            measured.append([
                math.nan if m.pooled and part else float(m.along(problem, rows, one[:, None], of)[0])
                for m, one, of in zip(metrics, told, kept, strict=True)
            ])  # fmt: skip
        decisions.append(said[1])
    return np.array(scores[0]).T, np.array(scores[1]).T, np.stack(decisions, axis=1), None
