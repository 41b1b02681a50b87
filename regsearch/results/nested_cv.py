"""Nested cross-validation: what the whole procedure, search and choice included, is worth on rows it never saw.

For each outer fold a study of its own searches the outer training rows; what its rule chooses is refitted on them and
scored on the outer test rows. The mean of those scores owes nothing to being the best of many.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch.data.folds import Folds, make_folds, runs_forward
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.metrics.averaging import Averaging, FoldWeights
from regsearch.metrics.scorer import Metric, check_test, label_of
from regsearch.numeric import format_number, is_whole, plain
from regsearch.progress import Progress
from regsearch.results.formatting import format_items, format_value, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.results import Results
from regsearch.results.rules import Rule, find_rule, rule_name
from regsearch.results.table import Table
from regsearch.storage.store import Store

FINDING = "nested"


@dataclass(frozen=True)
class OuterFold:
    """One outer fold that is finished.

    Attributes
    ----------
    scores
        On the outer test rows, by metric; the first decides.
    inner
        What the inner study gave its choice: the mean validation score.
    params
        The chosen config as a flat row.
    """

    scores: Mapping[str, float]
    inner: float
    params: Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class NestedResult(Presented):
    """What nested cross-validation found.

    Attributes
    ----------
    outer
        The number of outer folds; `folds` has fewer after Ctrl-C.
    averaging
        How the outer folds are averaged.
    perfect
        The best possible score, which no interval goes beyond; infinite when unknown.
    weighted
        Whether rows weigh in the scores.
    """

    metric: str
    outer: int
    rule: str
    averaging: Averaging
    perfect: float
    folds: tuple[OuterFold, ...]
    weighted: bool = False

    @property
    def label(self) -> str:
        """The deciding metric as it is shown."""
        return label_of(self.metric, self.weighted)

    @property
    def scores(self) -> tuple[float, ...]:
        """The deciding metric on the outer test rows, by fold."""
        return self.of(self.metric)

    def of(self, metric: str) -> tuple[float, ...]:
        """A metric on the outer test rows, by fold."""
        return tuple(fold.scores[metric] for fold in self.folds)

    @property
    def inner(self) -> tuple[float, ...]:
        """The mean validation scores of what was chosen, by fold: what the search believed."""
        return tuple(fold.inner for fold in self.folds)

    @property
    def params(self) -> tuple[Mapping[str, Any], ...]:
        """The chosen configs, by fold."""
        return tuple(fold.params for fold in self.folds)

    @property
    def _over(self) -> Averaging:
        """How the finished ones are averaged."""
        return self.averaging.some(np.arange(self.outer) < len(self.folds))

    @property
    def complete(self) -> bool:
        return len(self.folds) == self.outer

    @property
    def mean(self) -> float:
        """The mean outer score; NaN before the first fold."""
        return float(self._over.mean(np.array(self.scores)))

    @property
    def se(self) -> float:
        """Its standard error over outer folds."""
        return float(self._over.error(np.array(self.scores)))

    @property
    def optimism(self) -> float:
        """What the inner scores promised beyond the outer ones, mean over folds."""
        return float(self._over.mean(np.array(self.inner))) - self.mean

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, with the variance of Nadeau & Bengio (2003) for folds that share rows; NaN
        before the second fold, and where all say the same, which tells of no error.
        """
        if not self.folds:
            return math.nan, math.nan
        low, high = self._over.corrected(np.array(self.scores)).interval
        return low, min(high, self.perfect)

    def row(self) -> dict[str, Any]:
        """As one JSON object: what is stored as the finding ``nested``; what is not finite is null."""
        row: dict[str, Any] = json_safe({
            "metric": self.metric, "weighted": self.weighted, "outer": self.outer, "scores": self.scores,
            "inner": self.inner, "mean": self.mean, "se": self.se, "params": [dict(one) for one in self.params],
            "rule": self.rule,
        })  # fmt: skip
        return row

    @property
    def summary(self) -> str:
        """One sentence."""
        if not self.complete:
            return f"{len(self.folds)} of {self.outer} outer folds are finished; run it again to go on."
        low, high = self.interval
        between = f" (95 %: {format_number(low, 5)} to {format_number(high, 5)})" if math.isfinite(low) else ""
        return (
            f"Nested {self.label} {format_value(self.mean, self.se, digits=5)}{between}; the searches inside promised "
            f"{format_number(abs(self.optimism), 2)} {'more' if self.optimism >= 0 else 'less'}."
        )

    def blocks(self) -> Iterator[Block]:
        """The table, and a sentence."""
        head = ("outer fold", self.label, "inner", "config")
        rows = [
            (k, fold.scores[self.metric], fold.inner, format_items(fold.params)) for k, fold in enumerate(self.folds)
        ]
        yield Table(head, rows, words={"config"}, alike=(self.label, "inner"))
        yield self.summary


@dataclass(frozen=True)
class NestedCV:
    """What nested cross-validation needs.

    Attributes
    ----------
    metrics
        The first decides.
    search
        From an outer fold's number and its training rows to the results of a finished study of them.
    """

    store: Store
    problem: Problem
    metrics: tuple[Metric, ...]
    seed: int
    outer: Folds
    fold_weights: FoldWeights
    search: Callable[[int, Problem], Results]
    rule: str | Rule

    def run(self, progress: Progress) -> NestedResult:
        """Search, choose, refit and score in each outer fold; after Ctrl-C, those that are finished.

        Raises
        ------
        InvalidInput
            When the rule is none, or an outer fold's test rows cannot be scored; nothing has been fitted then.
        """
        if is_whole(self.rule):
            raise InvalidInput(
                f"A rule must be a name or a function of results, got the number {self.rule} of a trial: each outer "
                "fold searches trials of its own."
            )
        find_rule(self.rule)
        for test in self.outer.val:
            check_test(self.metrics, self.problem.take(test))
        found: list[OuterFold] = []
        try:
            for number in range(len(self.outer)):
                progress.end(f"{self.store.name}: outer fold {number} ({number + 1} of {len(self.outer)})")
                results = self.search(number, self.problem.part(self.outer.train[number]))
                if results.stopped == "interrupted":
                    break
                found.append(self._outer_fold(number, results))
        except KeyboardInterrupt:  # amid a refit: the inner study keeps its trials, so little is lost
            progress.end()
        name = self.rule if isinstance(self.rule, str) else rule_name(self.rule)
        averaging = Averaging.of(self.outer, self.problem.score_weight, self.fold_weights)
        perfect = math.inf if self.metrics[0].perfect is None else self.metrics[0].perfect
        nested = NestedResult(
            self.metrics[0].name,
            len(self.outer),
            name,
            averaging,
            perfect,
            tuple(found),
            self.problem.score_weight is not None,
        )
        if nested.complete:
            self.store.save_finding(FINDING, nested.row())
        progress.end(nested.summary)
        return nested

    def _outer_fold(self, number: int, results: Results) -> OuterFold:
        """What the rule chooses of an outer fold's study, refitted on its training rows, on its test rows."""
        chosen = results.choose(self.rule)
        seen, test = (self.problem.part(rows[number]) for rows in (self.outer.train, self.outer.val))
        fitted = chosen.config.scored(chosen.config.refit(seen, self.seed), seen)
        scores = {metric.name: metric.score(fitted, test) for metric in self.metrics}
        return OuterFold(scores, chosen.score, chosen.row()["config"])


def outer_folds(outer: Any, cv: Any, problem: Problem, seed: int) -> Folds:
    """The outer folds of a study with the folds `cv`: as many as asked, forward in time where those are.

    Raises
    ------
    InvalidInput
        When the study's folds are given as indices, which say nothing of how to split a part of the rows, when they run
        forward in time and cannot be had in another number, or the outer split is impossible.
    """
    cv, outer = plain(cv), plain(outer)
    if not isinstance(cv, int) and not hasattr(cv, "split"):
        raise InvalidInput(
            "Nested cross-validation splits each outer fold's training rows again, cv is a list of given folds; use a "
            "number or a splitter: study.replace(cv=5).nested()."
        )
    if not is_whole(outer) or not runs_forward(cv, problem.rows, problem.y, problem.groups):
        return make_folds(outer, problem, seed)
    if not hasattr(cv, "n_splits"):
        raise InvalidInput(
            f"The folds of {type(cv).__name__} run forward in time, {outer} shuffled outer folds would not; pass a "
            "splitter for the outer ones: study.nested(TimeSeriesSplit(5))."
        )
    cv = copy.copy(cv)
    cv.n_splits = outer
    return make_folds(cv, problem, seed)
