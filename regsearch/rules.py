"""Rules: plain functions from results to the chosen trial and path point, each with its reason in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from regsearch.errors import NotFound
from regsearch.table import Table


@dataclass(frozen=True)
class Pick:
    """What a rule returns: a trial, a step on its path, and the reason in one sentence."""

    number: int
    step: int
    why: str


Rule: TypeAlias = Callable[[Any], Pick]


def best(results: Table) -> Pick:
    """The trial with the best mean validation score, at the best point of its path."""
    trial = results.complete[0]
    return Pick(
        trial.number, trial.step, f"It has the best {results.metric} of {len(results.complete)} complete trials."
    )


def one_se(results: Table) -> Pick:
    """The most regularized point whose mean score lies within one standard error of the best (Breiman et al. 1984).

    Among points of different families, more regularized means fitting the training folds less: the one order that holds
    for every penalty and model. On a single path it is the larger lambda, as in glmnet.
    """
    top = results.point(results.complete[0])
    picks: list[tuple[float, int, int]] = []
    for trial in results.complete:
        if results.point(trial).val < top.floor:
            break  # complete trials come best first: no point of the rest reaches the floor
        curves = results.curves(trial.number)
        train = curves.train.mean(axis=0)
        picks += [(float(train[step]), trial.number, int(step)) for step in curves.reaching(top.floor)]
    _, number, step = min(picks)
    return Pick(
        number, step, f"It fits the training folds least of all {len(picks)} points within one standard error "
        f"({top.val_se:.2g}) of the best {results.metric} ({top.val:.5g}).",
    )  # fmt: skip


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (best, one_se)}


def find(name: str) -> Rule:
    """The rule of that name.

    Raises
    ------
    NotFound
        When there is none.
    """
    if name not in RULES:
        raise NotFound(f"No rule is called {name!r}; there are {', '.join(RULES)}, or pass a function.")
    return RULES[name]
