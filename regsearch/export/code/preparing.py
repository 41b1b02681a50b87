"""The steps in front of a model that make numbers of raw columns, as plain code has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch.data.encoding import transformer
from regsearch.data.problem import Problem
from regsearch.models.preparation import Prepare, behind, prepared


@dataclass(frozen=True)
class Front:
    """What stands in front of a model.

    Attributes
    ----------
    steps
        Unfitted, in their order.
    table
        The problem with what the first of them gives for X; of no own transformer, the problem.
    seen
        The same without holes and by the names of the columns, as linear models are fitted to it.
    """

    steps: tuple[Any, ...]
    table: Problem
    seen: Problem


def front_of(prepare: Prepare | None, problem: Problem) -> Front:
    """The steps in front of a model of a filled config."""
    if prepare is None:
        return Front(_present(transformer(problem.X)), problem, problem)
    everything = (np.arange(problem.rows),)
    made = prepared(prepare, problem, everything)
    table = made.problem(problem, 0)
    return Front(_present(prepare.build(), transformer(table.X)), table, behind(problem, made, everything))


def _present(*steps: Any) -> tuple[Any, ...]:
    return tuple(step for step in steps if step is not None)
