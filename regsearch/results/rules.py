"""Rules: plain functions from results to the chosen trial and path point, each with its reason in one sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.errors import InvalidInput, NotFound
from regsearch.metrics.statistics import overlap, resampled_se
from regsearch.models.path import ROUNDING
from regsearch.results.ranking import merge_ties, score_tolerance, simplicity_key
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

ALPHA = 0.05  # the level at which `paired` calls a point worse


@dataclass(frozen=True)
class Pick:
    """What a rule returns: a trial, a step on its path, and the reason in one sentence."""

    number: int
    step: int
    why: str


Rule: TypeAlias = Callable[[Any], Pick]


class Folded(StoredStudy, Protocol):
    """A table that also knows its folds."""

    @property
    def folds(self) -> Folds | None: ...


def best(results: StoredStudy) -> Pick:
    """The trial with the best mean validation score, at the best point of its path; of equal ones the simplest."""
    trial = results.complete[0]
    return Pick(
        trial.number, trial.step, f"It has the best {results.metric} of {len(results.complete)} complete trials."
    )


def one_se(results: StoredStudy) -> Pick:
    """The most regularized point whose mean score lies within one standard error of the best (Breiman et al. 1984).

    Among points of different families, more regularized means fitting the training folds less: the one order that holds
    for every penalty and model. On a single path it is the larger lambda, as in glmnet. Of points that fit alike the
    simplest is chosen.
    """
    top = results.point(results.complete[0])
    near: list[Array] = []
    for trial in results.complete:
        if results.point(trial).val < top.floor:
            break  # complete trials come best first: no point of the rest reaches the floor
        curves = results.curves(trial.number)
        steps = curves.reaching(top.floor)
        near.append(_rows(trial, steps, curves.train.mean(axis=0)[steps]))
    rows = np.concatenate(near)
    number, step = _least(results, rows)
    within = f"within one standard error ({top.val_se:.2g}) of"
    return Pick(
        number, step, f"It fits the training folds least of all {len(rows)} points "
        f"{within if math.isfinite(top.val_se) else 'as good, on a single fold, as'} the best {results.metric} "
        f"({top.val:.5g}).",
    )  # fmt: skip


def _rows(trial: Trial, steps: NDArray[np.intp], *costs: Array) -> Array:
    """``[steps, 2 + costs]``: number and step of some points of a trial, and what to have little of there."""
    return np.column_stack([np.full(len(steps), trial.number), steps, *costs])


def _least(results: StoredStudy, rows: Array) -> tuple[int, int]:
    """Number and step of the point of least cost, as `_rows` has them; an earlier cost counts for more.

    Costs are in units of the score, and what differs by rounding alone is equal. Of equal points of a path the first is
    the most regularized; of those of several trials the one that `regsearch.results.ranking.simplicity_key` says.
    """
    tolerance = score_tolerance(results.point(results.complete[0]))
    for column in range(2, rows.shape[1]):
        cost = rows[:, column]
        rows = rows[cost <= cost.min() + tolerance]
    steps = {int(number): int(step) for number, step in rows[::-1, :2]}
    found = [results.standing(trial, steps[trial.number]) for trial in results.complete if trial.number in steps]
    chosen = min(found, key=lambda trial: simplicity_key(trial, results.reference))
    return chosen.number, chosen.step


# --- a limit on the gap ----------------------------------------------------------------------------------------


@cache
def gap_budget(budget: float) -> Rule:
    """A rule: the best score among all points of all paths whose mean gap is at most `budget`.

    Of equal scores the simplest point is chosen. Where no gap is so small it falls back to the smallest, and says so.

    Parameters
    ----------
    budget
        In units of the metric, zero or more.

    Raises
    ------
    InvalidInput
        When it is not such a number.
    """
    if isinstance(budget, bool) or not isinstance(budget, (int, float)) or not 0 <= budget < math.inf:
        raise InvalidInput(f"A gap budget must be a number of at least 0, got {budget!r}; try 0.05.")

    def rule(results: StoredStudy) -> Pick:
        rows = np.concatenate([_losses_and_gaps(results, trial) for trial in results.complete])
        within = rows[:, 3] <= budget + score_tolerance(results.point(results.complete[0]))
        number, step = _least(results, rows[within, :3] if within.any() else rows[:, [0, 1, 3, 2]])
        (gap,) = rows[(rows[:, 0] == number) & (rows[:, 1] == step), 3]
        if within.any():
            why = f"It has the best {results.metric} of all points with a gap of at most {budget:g}: {gap:.3g}."
        else:
            why = f"No point has a gap of at most {budget:g}; this one has the smallest: {gap:.3g}."
        return Pick(number, step, why)

    rule.__name__ = f"gap_budget={budget:g}"
    return rule


def _losses_and_gaps(results: StoredStudy, trial: Trial) -> Array:
    """``[steps, 4]``: number, step, lost score and gap of every point of a trial."""
    curves = results.curves(trial.number)
    val = curves.mean()
    gap = curves.train[curves.fitted].mean(axis=0) - val
    return _rows(trial, np.arange(len(val)), -val, gap)


# --- score, gap and complexity at once -------------------------------------------------------------------------


def front(results: StoredStudy) -> list[Pick]:
    """The trials, each at its own best point, that no other beats in score, gap and complexity alike; best score first.

    A gap below zero counts as none. Complexity is left out where some trial does not know its own. Of trials with the
    same three figures the first one stays.
    """
    trials, costs = _costs(results)
    return [
        Pick(trial.number, trial.step, f"No trial is better in one of {results.metric}, gap and complexity and as good "
             f"in the others: {_figures(results, trial)}.")
        for trial in _undominated(trials, costs)[0]
    ]  # fmt: skip


def pareto(results: StoredStudy) -> Pick:
    """The knee of the `front`: its member nearest to the point that has the best score, gap and complexity of them all.

    Each figure is scaled to run from 0 to 1 along the front (compromise programming, Zeleny 1973).
    """
    members, costs = _undominated(*_costs(results))
    low, high = costs.min(axis=0), costs.max(axis=0)
    scaled = (costs - low) / np.where(high > low, high - low, 1.0)
    trial = members[int(np.linalg.norm(scaled, axis=1).argmin())]
    return Pick(
        trial.number, trial.step, f"It is the best compromise of {results.metric}, gap and complexity "
        f"({_figures(results, trial)}) among the {len(members)} trials that no other beats in all of them.",
    )  # fmt: skip


def _costs(results: StoredStudy) -> tuple[list[Trial], Array]:
    """Trials, best first, and ``[T, 2 or 3]`` what to have little of: lost score, gap, and complexity where known."""
    trials = list(results.complete)
    points = [results.point(trial) for trial in trials]
    complexity = [trial.complexity for trial in trials]
    columns = [[-point.val for point in points], [max(point.gap, 0.0) for point in points]]
    costs = [merge_ties(np.array(column), score_tolerance(points[0])) for column in columns]
    if np.isfinite(complexity).all():
        costs.append(merge_ties(np.array(complexity), ROUNDING * max(complexity)))
    return trials, np.column_stack(costs)


def _undominated(trials: list[Trial], costs: Array) -> tuple[list[Trial], Array]:
    """Those that no other is at least as good as in everything; of equal ones the first."""

    def stays(i: int) -> bool:
        as_good = (costs <= costs[i]).all(axis=1)
        return not (costs[as_good] < costs[i]).any() and int(as_good.argmax()) == i

    kept = [i for i in range(len(trials)) if stays(i)]
    return [trials[i] for i in kept], costs[kept]


def _figures(results: StoredStudy, trial: Trial) -> str:
    point = results.point(trial)
    known = f", complexity {trial.complexity:.3g}" if math.isfinite(trial.complexity) else ""
    return f"{point.val:.5g}, gap {point.gap:.3g}{known}"


# --- not significantly worse -----------------------------------------------------------------------------------


def paired(results: Folded) -> Pick:
    """The simplest trial, at its own best point, that is not significantly worse than the best, by a paired test.

    The test is the corrected resampled t-test of Nadeau & Bengio (2003), one-sided, at the level .05: training sets of
    folds overlap, so the variance of the mean difference of K folds is taken as (1/K + n_val/n_train) times that of
    the differences. Simplest means the least complexity (mean over folds: coefficients or weights that are not zero),
    among equals fitting the training folds least; where a trial does not know its complexity, the latter alone.

    Other points of paths are left out: where a path begins, folds differ so much that hardly any loss is significant.
    """
    from scipy.stats import t

    top = results.complete[0]
    score = results.curves(top.number).val[:, top.step]
    ratio = overlap(results.folds, len(score))
    critical = float(t.isf(ALPHA, len(score) - 1)) if len(score) > 1 else 0.0
    statistics = {trial.number: _statistic(results, trial, score, ratio) for trial in results.complete}
    rivals = [trial for trial in results.complete if statistics[trial.number] <= critical]
    known = all(math.isfinite(trial.complexity) for trial in rivals)
    least = min(trial.complexity for trial in rivals)
    simplest = [trial for trial in rivals if not known or trial.complexity <= least * (1 + ROUNDING)]
    fits = [_rows(one, np.array([one.step]), np.array([results.point(one).train])) for one in simplest]
    number, step = _least(results, np.concatenate(fits))
    value = float(t.sf(statistics[number], len(score) - 1)) if len(score) > 1 else math.nan
    said = f"p = {value:.2g}" if math.isfinite(value) else "with a single fold only an equal score counts"
    return Pick(
        number, step, f"It is the simplest of {len(rivals)} trials that are not significantly worse than the best "
        f"{results.metric} ({results.point(top).val:.5g}) in a paired test over folds ({said}).",
    )  # fmt: skip


def _statistic(results: StoredStudy, trial: Trial, score: Array, ratio: float) -> float:
    """t of how much worse a trial is, at its own best point, than the scores ``[K]`` of the best."""
    lost = score - results.curves(trial.number).val[:, trial.step]
    mean, error = float(lost.mean()), float(resampled_se(lost, ratio))
    if abs(mean) <= score_tolerance(results.point(results.complete[0])):
        return 0.0
    return mean / error if error > 0 else math.copysign(math.inf, mean)


# --- by name ---------------------------------------------------------------------------------------------------

RULES: dict[str, Rule] = {rule.__name__: rule for rule in (best, one_se, paired, pareto)}
WITH_NUMBER: dict[str, Callable[[float], Rule]] = {"gap_budget": gap_budget}


def find(name: str) -> Rule:
    """The rule of that name, such as ``one_se``, or ``gap_budget=0.05`` for one that takes a number.

    Raises
    ------
    NotFound
        When there is none.
    InvalidInput
        When its number is missing or is none.
    """
    if name in RULES:
        return RULES[name]
    kind, _, number = name.partition("=")
    if kind not in WITH_NUMBER:
        known = ", ".join([*RULES, *(f"{factory}=NUMBER" for factory in WITH_NUMBER)])
        raise NotFound(f"No rule is called {name!r}; there are {known}, or pass a function.")
    try:
        value = float(number)
    except ValueError as error:
        raise InvalidInput(f"The rule {kind!r} needs a number, got {name!r}; write {kind}=0.05.") from error
    return WITH_NUMBER[kind](value)
