"""What a chosen score is worth: bias corrected, by making the choice again on bootstrap samples.

Notation: T configs (complete trials), P points of their paths whose decisions are stored, n rows that some fold
validates, B bootstrap resamples of them. Everything is read from what is stored: nothing is fitted again.

**The target** is the expected score, on new rows of the same kind, of the models that the folds fitted at the chosen
point, mean over folds: had the point been named before, the score that the study reports would have no bias for it,
and its rows would give an honest error (Bayle et al. 2020). The refit on all rows is usually a little better. Of scores
that are no mean over rows (R squared, average precision, F1) it is that on as many new rows as a fold has: what is
expected of few is not what many give, R squared of folds of ten rows is lower by some 3 / 7 of what it lacks to 1.

**The score.** Out-of-fold predictions of all configs, at steps all along their paths, are resampled by rows, whole
groups together. The point that the rule chooses on a resample is scored on the rows outside it; the mean of those
scores is what choosing so is worth (Tsamardinos et al. 2018). What it falls short of the mean that the choice of all
rows has outside the same resamples is the optimism (Tibshirani & Tibshirani 2009), which is taken off the score that
the study reports. Of a mean of losses that other mean is the score on all rows, as in the paper; scores such as F1 are
lower on few rows whoever chose, which is no optimism. R squared is a mean over rows of squared errors over the variance
of their fold, and stays so in resamples.

**The interval** is that of `regsearch.results.bias.interval`: for the luck of the rows and that of the choice.

Of each path some steps are kept (`regsearch.models.out_of_fold`), and stand for those between them; of one that was
stored without them, and of nets that count after a fixed number of epochs or pick the epoch on rows of their own, only
the trial's own point is seen, and a rule's choice of another has no corrected score. Where rows are validated by
several folds, their mean predictions are resampled; where folds run forward in time, rows count as independent. With
few rows, or nearly as many columns as rows, the errors of rows that one fold's model judges go together, and any
interval of one cross-validation is somewhat too narrow (Bates et al. 2023).

References
----------
Tsamardinos, Greasidou & Borboudakis (2018), "Bootstrapping the out-of-sample predictions for efficient and accurate
cross-validation", Machine Learning 107. Tibshirani & Tibshirani (2009), "A bias correction for the minimum error rate
in cross-validation", Annals of Applied Statistics 3. Bayle, Bayle, Janson & Mackey (2020), "Cross-validation
confidence intervals for test error", NeurIPS. Bates, Hastie & Tibshirani (2023), "Cross-validation: what does it
estimate and how well does it do it?", JASA.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.statistics import tolerance_of
from regsearch.numeric import format_number
from regsearch.results.bias.choosing import method_of
from regsearch.results.bias.interval import interval_of
from regsearch.results.bias.resampling import Resampling
from regsearch.results.bias.row_error import LEAST, row_error
from regsearch.results.bias.ruling import by_rule
from regsearch.results.rules import NAMED, OneTrial, Rule, find_rule
from regsearch.results.stored_study import Scoring, StoredStudy

RESAMPLES = 1000
UNSAID = (
    "What is chosen labels or ranks rows otherwise than its probabilities do, as with a threshold of its own: {metric} "
    "cannot be computed from them on other rows."
)


@dataclass(frozen=True)
class Corrected:
    """The score of a choice without what it owes to having been chosen.

    Attributes
    ----------
    plain
        The mean validation score of the choice, as the study reports it; NaN where there is none.
    score, optimism, interval
        The corrected score, ``plain - score``, and the 95 % interval, all in units of the metric; `None` where they
        cannot be known. A score may have no interval: where a fold has too few rows, or there are fewer than ten of a
        class, of scores that are no mean over rows.
    configs, points, resamples
        T, P and B.
    why
        What was done, or why there is no corrected score, in one sentence.
    """

    metric: str
    plain: float
    score: float | None = None
    optimism: float | None = None
    interval: tuple[float, float] | None = None
    configs: int = 0
    points: int = 0
    resamples: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.score is None:
            return self.why
        return f"{self.metric} {format_number(self.plain, 5)}, {self.shown}: {self.why}"

    @property
    def shown(self) -> str:
        """The corrected score with its interval, as far as they are known."""
        if self.score is None:
            return ""
        score = f"corrected {format_number(self.score, 5)}"
        if self.interval is None:
            return score
        low, high = (format_number(end, 5) for end in self.interval)
        return f"{score} (95 %: {low} to {high})"


def corrected(study: StoredStudy, rule: Rule | None = None, resamples: int = RESAMPLES, seed: int = 0) -> Corrected:
    """The bootstrap bias corrected score of what a rule chooses, by default the best (BBC-CV); see the module.

    Scores that no mean over rows determines, such as areas under curves, are taken by fold and averaged, inside
    resamples and outside, as the study takes them: predictions of two folds have no common rank.

    Parameters
    ----------
    rule
        From results to a `regsearch.results.rules.Pick`; another than the best is asked on at most 200 resamples of the
        40 best trials.
    resamples
        At most so many; fewer where rows are many or the metric is no mean of losses. By a metric without a formula
        here only the best 25 points are scored, fewer where folds are many, and `Corrected.why` says so.
    """
    if not study.complete:
        return Corrected(study.metric_label, math.nan, why="There is no complete trial yet.")
    rule = rule or find_rule("best")
    chosen, numbers = rule(study), [trial.number for trial in study.complete]
    trial = study.complete[numbers.index(chosen.number)]
    plain = Corrected(study.metric_label, study.point(study.standing(trial, chosen.step)).val)
    scoring, named = study.scoring, isinstance(rule, OneTrial)
    if scoring is None or named:
        unscored = "The predictions cannot be scored here: their targets or the scorer are not stored."
        luck = f"{NAMED} How much of its score is luck depends on what it was named for."
        return replace(plain, why=luck if named else unscored)
    scoring = scoring.of_rows_that_weigh()
    if why := UNSAID.format(metric=plain.metric) if trial.reads_more else too_few(scoring):
        return replace(plain, why=why)
    resampling = resampling_of(study, scoring, resamples, seed)
    if (said := resampling.said_at(chosen.number, chosen.step)) is None:
        return replace(plain, why="The chosen trial's predictions outside training are not stored at the chosen point.")
    choose: Callable[[Resampling], tuple[Array, Array]] = partial(by_rule, rule, chosen.number)
    if rule is find_rule("best"):
        numbers, choose = [trial.number for trial in study.candidates], method_of(scoring)
        resampling.contenders = tuple(one for one in resampling.contenders if one.number in numbers)
    scores = choose(resampling)  # which may leave some of them out

    def say(worth: float) -> str:
        return _why(worth, resampling, len(numbers), rule)

    return settled(plain, resampling, said, scores, say, len(resampling.contenders))


def too_few(scoring: Scoring) -> str:
    """Why a bootstrap of the rows that score says nothing; empty where it does."""
    if (found := len(np.unique(_units(scoring)))) >= LEAST:
        return ""
    what = "rows" if scoring.problem.groups is None else "groups"
    return f"A bootstrap needs at least {LEAST} {what} that are validated, there are {found}."


def resampling_of(study: StoredStudy, scoring: Scoring, resamples: int, seed: int = 0) -> Resampling:
    """Resamples of the rows that score; groups stay together."""
    return Resampling(study, scoring, _rows(scoring), _units(scoring), resamples, seed)


def _rows(scoring: Scoring) -> NDArray[np.intp]:
    return np.unique(np.concatenate(scoring.folds.val))


def _units(scoring: Scoring) -> NDArray[Any]:
    """``[n]``: what is drawn at a time of the rows that score."""
    rows = _rows(scoring)
    return rows if scoring.problem.groups is None else scoring.problem.groups[rows]


def settled(
    plain: Corrected, resampling: Resampling, said: Array, scores: tuple[Array, Array], say: Callable[[float], str],
    configs: int,
) -> Corrected:  # fmt: skip
    """The corrected score that follows from scores ``[B]`` outside resamples.

    Parameters
    ----------
    said
        ``[n, m]`` decisions of what all rows choose.
    scores
        Of what all rows choose, and of what each resample does.
    say
        What was done, given the optimism.
    configs
        How many were chosen from.
    """
    known = np.isfinite(scores[0]) & np.isfinite(scores[1])
    usual, outside = scores[0][known], scores[1][known]
    if 2 * len(outside) < resampling.resamples or not len(outside):
        why = f"On most resamples of the rows {resampling.study.metric} of what is chosen there is not known."
        return replace(plain, why=why)
    optimism = float((usual - outside).mean())
    optimism = optimism if abs(optimism) > tolerance_of(usual, outside) else 0.0
    score, error = plain.plain - optimism, row_error(resampling, said)
    interval = None if error.why else interval_of(score, error, (usual, outside), resampling.scoring.metric)
    return replace(
        plain, score=score, optimism=optimism, resamples=len(outside), points=resampling.points, interval=interval,
        configs=configs, why=" ".join(filter(None, [say(optimism), error.why])),
    )  # fmt: skip


def _why(optimism: float, resampling: Resampling, trials: int, rule: Rule) -> str:
    configs = len(resampling.contenders)
    among = f"the best {configs} of {trials}" if configs < trials else str(configs)
    points = resampling.points
    many = f"{among} config{'s' if trials > 1 else ''}"
    paths = "their paths" if configs > 1 else "its path"
    what = many if points == configs else f"{many}, and of {points:,} points of {paths},"
    alone = sum(not one.whole for one in resampling.contenders)
    unseen = f"; of {alone} of them the chosen point alone is stored" if alone else ""
    worth = f"is worth {format_number(optimism, 2)} of it{unseen}."
    return f"being the {'best' if rule is find_rule('best') else 'choice'} of {what} {worth}"
