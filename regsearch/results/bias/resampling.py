"""Rows of a study drawn anew, and what its trials said of them outside training.

Notation: T trials, P points of their paths whose decisions are stored, n rows that some fold validates, B resamples of
them, m outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.per_row import OF_ROWS, OVER_VARIANCE
from regsearch.metrics.scorer import formula, known
from regsearch.results.stored_study import Scoring, StoredStudy

CELLS = 20_000_000  # of an array [n, B]: fewer resamples of many rows
FEWEST = 20  # resamples, whatever the work
BATCH = 4_000_000  # decisions that are held at a time
DIGITS = 12  # of what a row counts: beyond them it is rounding, and folds that count by their size count rows alike
Single: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Contender:
    """A trial at the points of its path whose decisions are stored.

    Attributes
    ----------
    steps
        ``[k]``, ascending, all of which may be chosen; the trial's own is among them.
    whole
        Whether the path has no point beside them that was compared with these, or too many to keep all.
    """

    number: int
    steps: NDArray[np.intp]
    whole: bool = True

    def stands_for(self, step: int) -> bool:
        """Whether the decisions at one of the points tell those at a step of the path."""
        return self.whole or step in self.steps

    def nearest(self, count: int) -> NDArray[np.intp]:
        """``[count]``: of every step of a path of so many, the place of the point that is nearest to it."""
        return np.asarray(np.abs(np.arange(count)[:, None] - self.steps).argmin(axis=1))


class Resampling:
    """The rows, their resamples, and the trials' decisions.

    Attributes
    ----------
    weight
        ``[n]``: what each row counts in the mean over folds. Of folds of one size that is its weight in scores.
    parts, averaging
        Rows inside a resample that are scored together, and how such scores are averaged.
    left, left_averaging
        The same of rows outside a resample, which are few. Where predictions of folds have a common scale, and it is
        known that the score goes by it, all are scored together: a ratio of two or three rows says nothing.
    over
        ``[n]``: what the score of a row is divided by. Of R squared that is the variance of y in its fold: so the mean
        over folds is one over rows, and a resample does not change by which of them folds were scored.
    """

    def __init__(
        self,
        study: StoredStudy,
        scoring: Scoring,
        rows: NDArray[np.intp],
        units: NDArray[Any],
        resamples: int,
        seed: int,
    ) -> None:
        self.study, self.scoring, self.rows = study, scoring, rows
        self.folds: list[NDArray[np.intp]] = [np.searchsorted(rows, val) for val in scoring.folds.val]
        together = scoring.metric.pooled or formula(scoring.metric) in OF_ROWS
        self.parts = [np.arange(len(rows))] if together else self.folds
        self.averaging = study.averaging if len(self.parts) > 1 else Averaging.equal(1)
        self.left, self.left_averaging = self.parts, self.averaging
        if not together and _has_common_scale(scoring):
            self.left, self.left_averaging = [np.arange(len(rows))], Averaging.equal(1)
        self.units, self.seed = np.unique(units, return_inverse=True)[1], seed
        self.resamples = max(1, min(resamples, max(50, CELLS // len(rows))))
        self.weight, self.over = self._counting()
        self.contenders = self._contenders()

    def _counting(self) -> tuple[Array, Array]:
        """What rows count in the mean over folds, and what their scores are divided by."""
        problem, metric = self.scoring.problem, self.scoring.metric
        weight = np.ones(len(self.rows)) if problem.score_weight is None else problem.score_weight[self.rows]
        parts, averaging = self.scored_parts()
        share, over = np.zeros((2, len(weight)))
        for part, own in zip(parts, averaging.weights, strict=True):
            each = own / weight[part].sum()
            share[part] += each
            if formula(metric) in OVER_VARIANCE and problem.targets == 1:
                over[part] += each / _variance(problem.y[self.rows[part]], weight[part])
        counted = weight * np.round(share / share.max(), DIGITS)
        return counted, share / over if over.any() else np.ones(len(weight))

    def scored_parts(self) -> tuple[Sequence[NDArray[np.intp]], Averaging]:
        """The rows that the study scores together, and how it averages such scores."""
        if self.scoring.metric.pooled:
            return [np.arange(len(self.rows))], Averaging.equal(1)
        return self.folds, self.study.averaging

    # --- rows --------------------------------------------------------------------------------------------------

    @property
    def count_of_units(self) -> int:
        """How many rows, or groups of rows, are drawn at a time."""
        return int(self.units.max()) + 1

    def at_most(self, resamples: int) -> None:
        self.resamples = max(1, min(self.resamples, max(FEWEST, resamples)))

    def score_together(self) -> None:
        """Score all rows at once, whatever the metric: a scorer is called once in place of once for each fold."""
        self.parts, self.averaging = [np.arange(len(self.rows))], Averaging.equal(1)
        self.left, self.left_averaging = self.parts, self.averaging

    def counts(self) -> NDArray[np.int64]:
        """``[n, B]``: how often each row is in each resample; those that leave no weight outside are left out."""
        units = self.count_of_units
        drawn = np.random.default_rng(self.seed).integers(units, size=(self.resamples, units))
        places = (drawn + units * np.arange(self.resamples)[:, None]).ravel()
        counts = np.bincount(places, minlength=self.resamples * units).reshape(-1, units).T[self.units]
        return counts[:, self.weight @ (counts == 0) > 0]

    def shares(self) -> tuple[Single, Single]:
        """``[n, B]`` each: the rows' weights inside the resamples, and their shares outside, which sum to one.

        What is only compared is not divided: whole numbers stay exact, and equal configs equal.
        """
        counts, weight = self.counts(), self.weight[:, None]
        outside = (counts == 0) * weight
        return (counts * weight).astype(np.float32), (outside / outside.sum(axis=0)).astype(np.float32)

    # --- decisions ---------------------------------------------------------------------------------------------

    def row_scores(self, decisions: Array) -> Array:
        """``[P, n]`` scores of rows, of decisions ``[P, n, m]``, by a metric that a mean of them determines."""
        return OF_ROWS[formula(self.scoring.metric)](self.scoring.problem.y[self.rows], decisions) / self.over

    @property
    def points(self) -> int:
        """P."""
        return sum(len(one.steps) for one in self.contenders)

    def _contenders(self) -> tuple[Contender, ...]:
        """The trials whose decisions are stored and say what they score, best first, with their points."""
        found = []
        for trial in self.study.complete:
            if not trial.reads_more and self._fits(self.study.decisions(trial.number)):
                along = self.study.along(trial.number)
                others = np.empty(0, np.intp) if along is None else self._choosable(trial.number, along.steps)
                steps = np.sort(np.append(others, trial.step))
                found.append(Contender(trial.number, steps, along is not None or trial.steps == 1))
        return tuple(found)

    def _choosable(self, number: int, steps: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of some steps that the study itself may choose: the score of another is not defined for every row."""
        return steps[self.study.curves(number).choosable[steps]]

    def _fits(self, kept: Array | None) -> bool:
        outputs = self.scoring.problem.outputs
        return kept is not None and kept.shape[1] == outputs and bool(np.isfinite(kept[self.rows]).all())

    def keep_best(self, points: int) -> None:
        """Go on with so many points at most: of each trial its own and some others, those with the best scores."""
        if self.points <= points:
            return
        each = max(3, points // len(self.contenders))
        rated = []
        for one in self.contenders[:points]:
            mean, own = self.study.curves(one.number).mean(), self._trial(one.number).step
            spread = one.steps[np.linspace(0, len(one.steps) - 1, min(each, len(one.steps))).round().astype(int)]
            rated += [(-mean[step], one.number, step) for step in {own, *spread.tolist()} if np.isfinite(mean[step])]
        kept = [(number, step) for _, number, step in sorted(rated)[:points]]
        steps = {one.number: sorted(step for number, step in kept if number == one.number) for one in self.contenders}
        self.contenders = tuple(
            Contender(one.number, np.array(steps[one.number], np.intp), one.whole)
            for one in self.contenders
            if steps[one.number]
        )

    def _trial(self, number: int) -> Any:
        return next(trial for trial in self.study.complete if trial.number == number)

    def decisions(self) -> Iterator[Array]:
        """Decisions ``[some, n, m]`` of all points in their order, a few trials at a time."""
        for batch in self._batches():
            yield np.concatenate([self.decisions_at(one) for one in batch])

    def _batches(self) -> Iterator[Sequence[Contender]]:
        batch: list[Contender] = []
        cells = 0
        for one in self.contenders:
            size = len(one.steps) * len(self.rows) * self.scoring.problem.outputs
            if batch and cells + size > BATCH:
                yield batch
                batch, cells = [], 0
            batch.append(one)
            cells += size
        if batch:
            yield batch

    def said_at(self, number: int, step: int) -> Array | None:
        """``[n, m]`` decisions of a trial at a step; `None` where they are not stored."""
        one = next((one for one in self.contenders if one.number == number and one.stands_for(step)), None)
        if one is None:
            return None
        return np.asarray(self.decisions_at(one)[int(np.abs(one.steps - step).argmin())])

    def decisions_at(self, one: Contender) -> Array:
        """``[k, n, m]`` of a trial's points."""
        chosen, along = self.study.decisions(one.number), self.study.along(one.number)
        assert chosen is not None, "a contender has predictions"
        places = {} if along is None else {int(step): i for i, step in enumerate(along.steps)}
        found = [
            along.decisions[places[step]][self.rows] if along is not None and step in places else chosen[self.rows]
            for step in one.steps.tolist()
        ]
        return np.stack(found).astype(float)


def _has_common_scale(scoring: Scoring) -> bool:
    """Whether a score is known to go by predictions that are numbers or probabilities, and not by their order."""
    metric, problem = scoring.metric, scoring.problem
    ordered = metric.counts or problem.task == "survival"
    return not ordered and known(metric.name, metric.identity, problem) is not None


def _variance(y: Array, weight: Array) -> float:
    share = weight / weight.sum()
    return float(share @ (y - share @ y) ** 2)
