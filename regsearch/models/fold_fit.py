"""One fold of an estimator: fitted, and scored as a whole or after each of its rounds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.features import take_rows
from regsearch.data.fold_targets import FoldTargets
from regsearch.data.problem import Problem
from regsearch.errors import FOREIGN
from regsearch.metrics.predictions import probabilities, winners
from regsearch.metrics.scorer import Metric
from regsearch.models.fitting import as_decisions, decisions_of, fitted_on, seeded, whole
from regsearch.models.rounds import RANKING, walk

SAME = 1e-9  # difference of probabilities that is rounding


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
    ranks
        ``[n_val, S, m]``: the decision function of several classes, where a score may rank rows by it and there is one.
        It ranks otherwise than probabilities do, each of which is one of several.
    """

    train: Array
    val: Array
    predictions: Array
    error: str = ""
    failures: dict[str, str] = field(default_factory=dict)
    labels: Array | None = None
    ranks: Array | None = None

    def told_to(self, metric: Metric) -> Array:
        """The decisions that a pooled score is made from."""
        read = self.labels if _reads_labels(metric) else self.ranks if _ranks_rows(metric) else None
        return self.predictions if read is None else read

    def kept(self, metric: Metric) -> Array:
        """The decisions to keep, where that score decides: they say what it reads, if any do."""
        return self.ranks if self.ranks is not None and self._ranked(metric) else self.predictions

    def reads_more(self, metric: Metric) -> bool:
        """Whether a score may be of labels, or of an order of rows, that the decisions that are kept do not say."""
        if self.labels is not None and _may_read_labels(metric):
            return True
        return self.ranks is not None and _may_rank_rows(metric) and not self._ranked(metric)

    def _ranked(self, metric: Metric) -> bool:
        """Whether a score may rank rows by the decision function, and that says the probabilities as well."""
        return self.ranks is not None and _may_rank_rows(metric) and _same_probabilities(self.ranks, self.predictions)

    @classmethod
    def failed(cls, why: str) -> FoldFit:
        return cls(np.empty((0, 1)), np.empty((0, 1)), np.empty((0, 1, 1)), why)


def _reads_labels(metric: Metric) -> bool:
    """Whether a metric is one of scikit-learn's that reads the labels that are predicted, and nothing else."""
    return getattr(metric.scorer, "_response_method", None) == "predict"


def _ranks_rows(metric: Metric) -> bool:
    """Whether a metric of scikit-learn's reads the decision function rather than probabilities."""
    asked = getattr(metric.scorer, "_response_method", None)
    return asked == RANKING or (isinstance(asked, tuple | list) and asked[0] == RANKING)


def _may_read_labels(metric: Metric) -> bool:
    """Whether it does, or is the user's own, which may."""
    return _reads_labels(metric) or _may_read_all(metric)


def _may_rank_rows(metric: Metric) -> bool:
    """Whether it does, or is the user's own, which may."""
    return _ranks_rows(metric) or _may_read_all(metric)


def _may_read_all(metric: Metric) -> bool:
    """Whether it is the user's own; one that reads the fitted estimator is never computed anew."""
    return not (metric.needs_fit or hasattr(metric.scorer, "_response_method"))


def _same_probabilities(one: Array, other: Array) -> bool:
    return bool(np.allclose(probabilities(one), probabilities(other), rtol=0.0, atol=SAME))


def fit_fold(config: Buildable, problem: Problem, metrics: Any, seed: int, fold: tuple[Rows, Rows]) -> FoldFit:
    """Fit and score one fold; an estimator's own error is reported, not raised."""
    failures: dict[str, str] = {}
    kept = [None, *[failures] * (len(metrics) - 1)]  # without the one that decides there is no score: it is raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator = seeded(config.build(), seed)
            if config.rounds is None:
                fit = _measured(estimator, problem, metrics, fold, kept)
            else:
                fit = _measured_along(estimator, config.rounds, problem, metrics, fold, kept)
        except FOREIGN as error:  # anyone's code: the trial fails with its words, the search goes on
            return FoldFit.failed(f"{type(error).__name__}: {error}")
    if not np.isfinite(fit.train[0] if metrics[0].pooled else [fit.train[0], fit.val[0]]).all():
        return FoldFit.failed(f"{metrics[0].name} was not finite in a fold")
    return replace(fit, failures=failures)


def _measured(estimator: Any, problem: Problem, metrics: Any, fold: tuple[Rows, Rows], kept: Sequence[Any]) -> FoldFit:
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
    labels = ranks = None
    if problem.classes is not None and _is_read(metrics, _may_read_labels, _reads_labels):
        said = as_decisions("predict", fitted.predict(X), problem)
        labels = None if np.array_equal(winners(said), winners(found)) else said[:, None]
    if problem.classes is not None and problem.outputs > 1 and _is_read(metrics, _may_rank_rows, _ranks_rows):
        ranks = _ranks_of(fitted, X, found)
    inner, outer = (np.array(part)[:, None] for part in scores)
    return FoldFit(inner, outer, found[:, None], labels=labels, ranks=ranks)


def _is_read(metrics: Any, of_deciding: Callable[[Metric], bool], of_pooled: Callable[[Metric], bool]) -> bool:
    return of_deciding(metrics[0]) or any(metric.pooled and of_pooled(metric) for metric in metrics)


def _ranks_of(fitted: Any, X: Any, found: Array) -> Array | None:
    """``[n, 1, m]``: the decision function of several classes, of which these are decisions; `None` without one."""
    if not hasattr(fitted, RANKING):
        return None
    try:
        said = np.asarray(fitted.decision_function(X), dtype=float)
    except FOREIGN:  # a scorer that ranks has asked for it, and would have failed
        return None
    ranks = said.reshape(len(found), -1)
    return ranks[:, None] if ranks.shape == found.shape else None  # else it is one of pairs of classes


def _measured_along(
    estimator: Any, path: str, problem: Problem, metrics: Any, fold: tuple[Rows, Rows], kept: Sequence[Any]
) -> FoldFit:
    """One fit, scored after each of its rounds by what it says."""
    scores: tuple[list[Any], list[Any]] = [], []
    decisions, ranks, targets = list[Array](), list[Array](), FoldTargets.of(problem, fold[:1])
    asked = problem.outputs > 1 and any(map(_may_rank_rows, metrics))
    for eta in walk(estimator, path, problem, fold[0], [take_rows(problem.X, rows) for rows in fold], asked):
        said, ranked = [targets.undone(0, one) for one in eta[:2]], eta[-2:] if len(eta) > 2 else [None, None]
        for rows, found, order, part, measured in zip(fold, said, ranked, (False, True), scores, strict=True):
            told = [found if order is None or not _told_ranks(m, order, found) else order for m in metrics]
            measured.append([
                math.nan if m.pooled and part else float(m.along(problem, rows, one[:, None], of)[0])
                for m, one, of in zip(metrics, told, kept, strict=True)
            ])  # fmt: skip
        decisions.append(said[1])
        ranks += [] if ranked[1] is None else [ranked[1]]
    inner, outer = (np.array(part).T for part in scores)
    return FoldFit(inner, outer, np.stack(decisions, axis=1), ranks=np.stack(ranks, axis=1) if ranks else None)


def _told_ranks(metric: Metric, ranks: Array, found: Array) -> bool:
    """Whether a score along a path is made from the decision function."""
    return _ranks_rows(metric) or (_may_rank_rows(metric) and _same_probabilities(ranks, found))
