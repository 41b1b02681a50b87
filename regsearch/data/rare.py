"""Classes that are too rare for folds: their rows train in every fold, and score in none.

A class that a fold's training rows lack can neither be learned nor predicted there. So one with fewer rows than there
are folds is kept in the training rows of all of them, where scikit-learn warns and fits without it. Where rows come in
groups, whole groups are kept there: a row that scores has no other of its group in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Rows
from regsearch.data.problem import Problem
from regsearch.data.targets import count_hint
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput

SHOWN = 5  # classes that a line names


@dataclass(frozen=True)
class RareClasses:
    """The classes of a problem that are too rare for its folds.

    Attributes
    ----------
    rows
        How many rows each class has, by its label as text.
    beside
        How many rows of other classes share a group with one of those, and train in every fold, too.
    """

    rows: Mapping[str, int]
    beside: int = 0

    def __str__(self) -> str:
        """One sentence."""
        named = [f"{label!r} ({count} row{'s' * (count != 1)})" for label, count in self.rows.items()]
        listed = named[:SHOWN] + [f"{len(named) - SHOWN} more"] * (len(named) > SHOWN)
        who = " and ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
        one = len(named) == 1
        others = f" and {self.beside} other{'s' * (self.beside != 1)} of the same groups" if self.beside else ""
        return (
            f"{'Class' if one else 'Classes'} {who} {'is' if one else 'are'} too rare for these folds: "
            f"{'its' if one else 'their'} rows{others} always train and never score."
        )

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"rows": dict(self.rows), "beside": self.beside}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> RareClasses:
        return cls({str(label): int(count) for label, count in data["rows"].items()}, int(data["beside"]))


def fewer_than(problem: Problem, folds: int) -> NDArray[np.intp]:
    """The codes of the classes of which fewer rows weigh anything in fits than there are folds."""
    if problem.classes is None:
        return np.empty(0, dtype=np.intp)
    rows = weighing(np.arange(problem.rows), problem.sample_weight)
    return np.flatnonzero(np.bincount(problem.y[rows], minlength=len(problem.classes)) < folds)


def absent_in(pairs: list[tuple[Rows, Rows]], problem: Problem) -> NDArray[np.intp]:
    """The codes of the classes that some fold's training rows lack, and of which there are fewer rows than folds.

    None of folds that run forward in time, which later rows must not train.
    """
    rare = fewer_than(problem, len(pairs))
    forward = all(len(train) and len(val) and train.max() < val.min() for train, val in pairs)
    if not len(rare) or forward:
        return rare[:0]
    present = [np.isin(rare, problem.y[weighing(train, problem.sample_weight)]) for train, _ in pairs]
    return np.asarray(rare[~np.all(present, axis=0)])


def always_training(problem: Problem, rare: NDArray[np.intp]) -> tuple[Rows, RareClasses | None]:
    """The rows that train in every fold because of some rare classes, and what is to be said of it."""
    if not len(rare):
        return np.empty(0, dtype=np.intp), None
    assert problem.classes is not None
    own = np.isin(problem.y, rare)
    kept = own if problem.groups is None else np.isin(problem.groups, problem.groups[own])
    labels, counts = problem.classes.tolist(), np.bincount(problem.y, minlength=len(problem.classes))
    found = RareClasses({str(labels[code]): int(counts[code]) for code in rare}, int(kept.sum() - own.sum()))
    return np.flatnonzero(kept), found


def check_left(problem: Problem, kept: Rows, folds: int) -> None:
    """Refuse folds that would score rows of fewer than two classes, or of none.

    Raises
    ------
    InvalidInput
        Naming the rarest class.
    """
    if not len(kept):
        return
    assert problem.classes is not None
    left = np.delete(problem.y, kept)
    if len(np.unique(left)) < 2:
        counts = np.bincount(problem.y, minlength=len(problem.classes))
        rarest = problem.classes.tolist()[counts.argmin()]
        raise InvalidInput(
            f"At least two classes must score, for which they need as many rows as there are folds ({folds}), class "
            f"{rarest!r} has {counts.min()}; use fewer folds, or merge or drop the class.{count_hint(problem.classes)}"
        )
