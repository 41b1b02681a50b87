"""Whether estimators can be fitted to rows that weigh: known before any trial is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.fitting import asks_for_weights

WEIGHT = "sample_weight"


def check_weighted(estimators: Iterable[Any], problem: Problem) -> None:
    """Refuse weights of rows where the fit of an estimator takes none.

    What hands them on to estimators inside does not say whether those take them: it is fitted to a few rows, with
    weights and without.

    Parameters
    ----------
    estimators
        Unfitted; of a pipeline its last step gets the weights.

    Raises
    ------
    InvalidInput
        Naming the estimator.
    """
    if problem.sample_weight is None:
        return
    tried = set[frozenset[type]]()
    for estimator in estimators:
        last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        if last is not estimator and (asks_for_weights(estimator) or not hasattr(last, "fit")):
            continue
        known = inspect.signature(last.fit).parameters
        kinds = frozenset(type(part) for part in (last, *last.get_params().values()) if hasattr(part, "fit"))
        if WEIGHT in known and len(kinds) == 1:
            continue
        if not (WEIGHT in known or _hands_on(known)) or (kinds not in tried and _fails_weighted(estimator, problem)):
            raise InvalidInput(
                "The fit of an estimator must take sample_weight where rows have weights, and that of "
                f"{type(last).__name__} does not; take another estimator, or leave sample_weight out: score_weight= "
                "weighs rows in scores alone."
            )
        tried.add(kinds)


def _hands_on(known: Mapping[str, inspect.Parameter]) -> bool:
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())


def _fails_weighted(estimator: Any, problem: Problem) -> bool:
    """Whether it is fitted to a few rows without weights alone."""
    from sklearn.base import clone

    from regsearch.models.default_columns import DefaultColumns

    plain = replace(problem, sample_weight=None, score_weight=None)
    with_weights, without = (DefaultColumns(one).taken_by([lambda: clone(estimator)]) for one in (problem, plain))
    return without and not with_weights
