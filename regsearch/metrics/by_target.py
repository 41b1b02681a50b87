"""Scores of each of several targets alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from regsearch.data.problem import Problem

Scored = TypeVar("Scored")


def of_targets(
    problem: Problem, score: Callable[[Problem, int, dict[str, str]], Scored]
) -> Iterator[tuple[str, Scored]]:
    """What each target scores, by its name; nothing of one that the scorer fails of, as one does that needs them all.

    Parameters
    ----------
    score
        Of the problem with one target alone, its place, and the failures of `regsearch.metrics.scorer.Metric.along`.
    """
    for place, name in enumerate(problem.target_names):
        failures: dict[str, str] = {}
        found = score(replace(problem, y=problem.y[:, place], target_names=(name,)), place, failures)
        if not failures:
            yield name, found
