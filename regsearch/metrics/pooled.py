"""Scores that are computed once, on the decisions for all rows outside training, and how far off they may be.

Where a score is not defined for a fold alone (R squared of a single row, the area under the ROC curve of one class), or
few rows make it another score, all decisions outside training are scored together, as scikit-learn's
`cross_val_predict` gives them; of repeated folds, those of each repetition.

Notation: K folds; S steps; m outputs; G groups of folds, of one fold each where they are not many.

A pooled score is kept as one value a fold: the jackknife's pseudo-values (Tukey 1958), centred. With c the score of all
folds and c_g that without a group of folds, a fold of the group has

    c + sqrt((K - 1) (G - 1)) (mean of c_g - c_g).

Their mean over folds is c, and the standard error of the mean that of the delete-a-group jackknife: whatever reads
scores by fold (rules, paired differences, figures) is right for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import Metric, defined_on

MOST_GROUPS = 50  # of folds that are left out in turn: more make the error no better, and every trial slower


def pooled_metrics(
    metrics: tuple[Metric, ...], problem: Problem, folds: Folds, pooled: bool | None
) -> tuple[Metric, ...]:
    """The metrics, those marked that are computed on all decisions together.

    Parameters
    ----------
    pooled
        All of them or none; `None` for those that are not defined in every fold, whatever is predicted.
    """

    def wanted(metric: Metric) -> bool:
        if pooled is not None or metric.needs_fit:
            return bool(pooled)
        return not all(defined_on(metric, problem, rows) for rows in folds.val)

    return tuple(replace(metric, pooled=wanted(metric)) for metric in metrics)


def check_defined(metric: Metric, problem: Problem, folds: Folds) -> None:
    """Refuse a score that is not defined for all rows outside training together, as these lack a rare class.

    Raises
    ------
    InvalidInput
        Naming the scorer and the class.
    """
    if folds.rare is None or metric.needs_fit:
        return
    if not defined_on(metric, problem, np.unique(np.concatenate(folds.val))):
        raise InvalidInput(
            f"The scorer {metric.name!r} is not defined for rows that lack a class. {folds.rare} Use fewer folds, "
            "merge or drop the class, or take another scorer, such as 'neg_log_loss'."
        )


def pooled_scores(
    metric: Metric,
    problem: Problem,
    val: Sequence[Rows],
    decisions: Sequence[Array],
    averaging: Averaging,
    failures: dict[str, str] | None = None,
) -> Array:
    """``[K, S]``: the pseudo-values of a score of all decisions; see the module.

    Parameters
    ----------
    val
        Rows that each fold validates.
    decisions
        ``[rows, S, m]`` of each fold.
    averaging
        How the values of folds will be averaged.
    failures
        As of `regsearch.metrics.scorer.Metric.along`.
    """
    found = np.empty((len(val), decisions[0].shape[1]))
    for some in repetitions([weighing(rows, problem.score_weight) for rows in val]):
        rows = np.concatenate([val[k] for k in some])
        group = np.repeat(_groups(len(some)), [len(val[k]) for k in some])
        together = np.concatenate([decisions[k] for k in some])

        def score(kept: Array, rows: Rows = rows, together: Array = together) -> Array:
            return metric.along(problem, rows[kept], together[kept], failures)

        whole = score(np.ones(len(rows), dtype=bool))
        over = averaging.some(np.isin(np.arange(len(val)), some))
        found[some] = _pseudo_values(whole, [score(group != one) for one in range(group.max() + 1)], over)
    return found


def _pseudo_values(whole: Array, without: Sequence[Array], over: Averaging) -> Array:
    """``[K, S]`` of the score of all folds ``[S]`` and those without each group; one not defined counts as of all."""
    if len(without) < 2:
        return np.broadcast_to(whole, (over.folds, len(whole)))
    each = np.stack([np.where(np.isfinite(one), one, whole) for one in without])[_groups(over.folds)]
    return np.asarray(whole + np.sqrt((over.folds - 1) * (len(without) - 1)) * (over.mean(each) - each))


def _groups(folds: int) -> Rows:
    """``[K]``: the group of each fold."""
    return np.arange(folds) * min(folds, MOST_GROUPS) // folds


def repetitions(val: Sequence[Rows]) -> list[list[int]]:
    """The folds of each repetition, which validates every row that weighs once; all together where there are none."""
    found, seen = [list[int]()], [set[int]()]
    for k, rows in enumerate(val):
        own = set(rows.tolist())
        if own & seen[-1]:
            found.append([])
            seen.append(set())
        found[-1].append(k)
        seen[-1] |= own
    return found if all(rows == seen[0] for rows in seen) else [list(range(len(val)))]
