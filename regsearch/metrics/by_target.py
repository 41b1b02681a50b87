"""Scores of each of several targets alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np

from regsearch.data.problem import Problem
from regsearch.data.tasks import slices

Scored = TypeVar("Scored")


def of_target(problem: Problem, place: int) -> Problem:
    """The problem with one of several targets alone, of its own task."""
    name, y = problem.target_names[place], problem.y[:, place]
    if not problem.tasks:
        return replace(problem, y=y, target_names=(name,))
    one = problem.tasks[place]
    y = y if one.classes is None else y.astype(np.intp)
    return replace(problem, y=y, task=one.task, classes=one.labels, target_names=(name,), tasks=(), test=None)


def part_of_target(problem: Problem, place: int) -> slice:
    """Which numbers of a decision are those of one of several targets."""
    return [*slices(problem.tasks)][place] if problem.tasks else slice(place, place + 1)


def of_targets(
    problem: Problem, score: Callable[[Problem, slice, int, dict[str, str]], Scored]
) -> Iterator[tuple[str, Scored]]:
    """What each target scores, by its name; nothing of one that the scorer fails of, as one does that needs them all.

    Parameters
    ----------
    score
        Of the problem with one target alone, which numbers of a decision are that target's, its place, and the
        failures of `regsearch.metrics.scorer.Metric.along`.
    """
    for place, name in enumerate(problem.target_names):
        failures: dict[str, str] = {}
        found = score(of_target(problem, place), part_of_target(problem, place), place, failures)
        if not failures:
            yield name, found
