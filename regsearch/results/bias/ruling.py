"""Any rule asked again on each resample: the study as it would have come out on other rows.

Notation as in `regsearch.results.bias.resampling`, and K folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.per_row import of_mean
from regsearch.metrics.scorer import formula
from regsearch.models.path import Trajectory
from regsearch.results.bias.choosing import called_decisions, is_mean_of_rows, scores_of_parts
from regsearch.results.bias.resampling import Resampling
from regsearch.results.rules import Rule
from regsearch.storage.trial import Trial

RIVALS = 40  # trials, the best, that a rule is shown again, beside its choice and the references
ASKED = 200  # resamples at most, each of which a rule is asked on


def by_rule(rule: Rule, number: int, resampling: Resampling) -> tuple[Array, Array]:
    """Let a rule choose again: on each resample it reads the study with the scores that its trials have there.

    Parameters
    ----------
    number
        Of the trial that it chooses of all.
    """
    shown = resampling.contenders[:RIVALS]
    always = {number, *(one.number for one in resampling.study.references.values())}
    shown += tuple(one for one in resampling.contenders[RIVALS:] if one.number in always)
    resampling.contenders = shown
    resampling.at_most(ASKED)
    inside, outside = _scored(resampling)
    ask = _Asked(rule, resampling)
    usual = ask(inside[0])
    chosen = [ask(scores) for scores in inside[1:]]
    unknown = np.full(outside.shape[1], np.nan)
    return (
        unknown if usual is None else outside[usual],
        np.array([math.nan if place is None else outside[place, b] for b, place in enumerate(chosen)]),
    )


def _as_wide(scores: Array) -> Array:
    """Scores ``[K, P]`` of a resample whose folds lie as far apart as those of the study.

    Drawing rows adds to the variance of a fold's mean what it had: errors that a rule computes would be too large. A
    fold of which no row was drawn is as the others are on average.
    """
    known = np.asarray(np.isfinite(scores).any(axis=1))
    if not known.any():
        return scores
    mean = scores[known].mean(axis=0)
    return np.asarray(np.where(known[:, None], mean + (scores - mean) / math.sqrt(2), mean))


class _Asked:
    """A rule, and what it reads beside the scores on rows that are drawn.

    It reads whole paths, so that a step means what it means in the study: each has the figures of the nearest point
    whose decisions are stored, which also stands for it when it is picked.
    """

    def __init__(self, rule: Rule, resampling: Resampling) -> None:
        self.rule, self.study, self.contenders = rule, resampling.study, resampling.contenders
        trials = {trial.number: trial for trial in self.study.complete}
        self.trials = [trials[one.number] for one in self.contenders]
        self.nearest = [one.nearest(trial.steps) for one, trial in zip(self.contenders, self.trials, strict=True)]
        self.known = [
            _at_steps(self.study.trajectory(one.number), self.study.metric, one.steps[nearest])
            for one, nearest in zip(self.contenders, self.nearest, strict=True)
        ]
        starts = np.cumsum([0, *(len(one.steps) for one in self.contenders)])
        self.parts = [slice(*pair) for pair in pairwise(starts.tolist())]

    def __call__(self, scores: Array) -> int | None:
        """Which point the rule picks, given the scores ``[K, P]``; `None` where it has none to pick from."""
        if not np.isfinite(scores).all(axis=0).any():
            return None
        trials: list[Trial] = []
        trajectories = {}
        for trial, known, nearest, part in zip(self.trials, self.known, self.nearest, self.parts, strict=True):
            curves = replace(known.deciding, val=scores[:, part][:, nearest]).defined()
            if not np.isfinite(curves.mean()).any():
                continue
            trajectory = replace(known, curves={known.metric: curves})
            trajectories[trial.number] = trajectory
            trials.append(trial.on(trajectory, curves.best_step()))
        pick = self.rule(self.study.as_if(trials, trajectories))
        for one, nearest, part in zip(self.contenders, self.nearest, self.parts, strict=True):
            if one.number == pick.number and pick.step in range(len(nearest)):
                return int(part.start + nearest[pick.step])
        return None


def _at_steps(trajectory: Trajectory, metric: str, steps: NDArray[np.intp]) -> Trajectory:
    """The deciding metric of a trajectory at some of its steps."""
    curves = trajectory.curves[metric]
    unsolved = None if curves.unsolved is None else curves.unsolved[steps]
    at_steps = replace(curves, train=curves.train[:, steps], val=curves.val[:, steps], unsolved=unsolved)
    return Trajectory(trajectory.axis[steps], {metric: at_steps}, trajectory.complexity[:, steps])


def _scored(resampling: Resampling) -> tuple[Sequence[Array], Array]:
    """Scores ``[K, P]`` on all rows and then on each resample, and ``[P, B]`` outside them."""
    if resampling.scoring.metric.pooled:
        return _pooled(resampling)
    return (_by_means if is_mean_of_rows(resampling.scoring) else _by_scorer)(resampling)


def _by_means(resampling: Resampling) -> tuple[Sequence[Array], Array]:
    """Those of a mean over rows."""
    name = formula(resampling.scoring.metric)
    scores = np.concatenate([resampling.row_scores(decisions) for decisions in resampling.decisions()])
    inside, outside = resampling.shares()
    drawn = np.column_stack([resampling.weight, inside])
    folds = np.empty((drawn.shape[1], len(resampling.folds), len(scores)))
    for k, part in enumerate(resampling.folds):
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may have none of a fold's rows
            shares = drawn[part] / drawn[part].sum(axis=0)
        folds[:, k] = of_mean(name, scores[:, part] @ shares).T
    return [folds[0], *map(_as_wide, folds[1:])], of_mean(name, scores @ outside)


def _by_scorer(resampling: Resampling) -> tuple[Sequence[Array], Array]:
    """Those of any score that folds have."""
    whole, inside, outside = _called(resampling)
    over = resampling.left_averaging
    known = [np.asarray(np.isfinite(found).all(axis=1)) for found in outside]
    means = [over.some(folds).mean(found[folds]) for folds, found in zip(known, outside, strict=True)]
    return [whole, *map(_as_wide, inside)], np.array(means).T


def _pooled(resampling: Resampling) -> tuple[Sequence[Array], Array]:
    """Those of a score of all rows together: folds lie around it as those of the study do."""
    whole, inside, outside = _called(resampling)
    curves = [(resampling.study.curves(one.number), one.steps) for one in resampling.contenders]
    around = np.hstack([(one.val - one.mean())[:, steps] for one, steps in curves])
    return [scores[0] + around for scores in (whole, *inside)], np.array([scores[0] for scores in outside]).T


def _called(resampling: Resampling) -> tuple[Array, list[Array], list[Array]]:
    """Scores ``[parts, P]`` on all rows, inside each resample and outside, by calls of a scorer."""
    decisions = called_decisions(resampling)
    of_parts, of_left = (
        partial(scores_of_parts, resampling, parts, decisions) for parts in (resampling.parts, resampling.left)
    )
    counts = list(resampling.counts().T)
    outside = [of_left((times == 0).astype(np.int64)) for times in counts]
    return of_parts(np.ones(len(resampling.rows), dtype=np.int64)), [of_parts(times) for times in counts], outside
