"""Classes that are too rare for folds: their rows train in every fold, and score in none.

A class that a fold's training rows lack can neither be learned nor predicted there. So one with fewer rows than there
are folds is kept in the training rows of all of them, where scikit-learn warns and fits without it. Where rows come in
groups, whole groups are kept there: a row that scores has no other of its group in training. Of several targets that
are classes each is looked at by itself, and a row that one of them keeps in training scores for none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from regsearch._types import Rows
from regsearch.data.problem import Problem
from regsearch.data.targets import count_hint
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput

SHOWN = 5  # classes that a line names
Classes: TypeAlias = frozenset[tuple[int, int]]  # the places of targets among `Problem.coded`, each with a code


@dataclass(frozen=True)
class RareClass:
    """A class that is too rare.

    Attributes
    ----------
    label
        As text.
    rows
        How many it has.
    groups
        How many groups these are of; 0 where rows come in none.
    target
        Whose class it is; empty where there is no other target.
    """

    label: str
    rows: int
    groups: int = 0
    target: str = ""

    def __str__(self) -> str:
        whose = f" of target {self.target!r}" if self.target else ""
        among = f" in {_count(self.groups, 'group')}" if self.groups else ""
        return f"{self.label!r}{whose} ({_count(self.rows, 'row')}{among})"


@dataclass(frozen=True)
class RareClasses:
    """The classes of a problem that are too rare for its folds.

    Attributes
    ----------
    beside
        How many rows of other classes share a group with one of those, and train in every fold, too.
    """

    classes: tuple[RareClass, ...]
    beside: int = 0

    def __str__(self) -> str:
        """One sentence."""
        named = [*map(str, self.classes)]
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
        return {"classes": [asdict(one) for one in self.classes], "beside": self.beside}

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> RareClasses:
        return cls(tuple(RareClass(**one) for one in data["classes"]), int(data["beside"]))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def fewer_than(problem: Problem, folds: int) -> Classes:
    """The classes of which fewer rows weigh anything in fits than there are folds."""
    rows = weighing(np.arange(problem.rows), problem.sample_weight)
    return _fewer(problem, folds, rows)


def _fewer(problem: Problem, folds: int, units: Rows) -> Classes:
    """The classes that fewer than so many of some rows have."""
    counts = (np.bincount(one.codes[units], minlength=len(one.labels)) for one in problem.coded)
    return frozenset((j, int(code)) for j, own in enumerate(counts) for code in np.flatnonzero(own < folds))


def lacked(pairs: Sequence[tuple[Rows, Rows]], problem: Problem) -> Classes:
    """The classes that some fold's training rows lack."""
    train = [weighing(rows, problem.sample_weight) for rows, _ in pairs]
    found = ((j, int(code)) for j, one in enumerate(problem.coded) for rows in train for code in one.absent(rows))
    return frozenset(found)


def absent_in(pairs: Sequence[tuple[Rows, Rows]], problem: Problem) -> Classes:
    """The classes that some fold's training rows lack, and of which there are fewer rows than folds.

    Of folds that keep groups together fewer groups than folds. None of folds that run forward in time, which later rows
    must not train.
    """
    if all(len(train) and len(val) and train.max() < val.min() for train, val in pairs):
        return frozenset()
    found = lacked(pairs, problem)
    if not found:
        return found
    rows = weighing(np.arange(problem.rows), problem.sample_weight)
    few = _fewer(problem, len(pairs), rows)
    if not found <= few and _keep_groups(pairs, problem):
        few |= frozenset(one for one in found if _groups(problem, *one) < len(pairs))
    return found & few


def _keep_groups(pairs: Sequence[tuple[Rows, Rows]], problem: Problem) -> bool:
    """Whether no group is on both sides of a fold."""
    groups = problem.groups
    return groups is not None and not any(np.isin(groups[val], groups[train]).any() for train, val in pairs)


def _groups(problem: Problem, place: int, code: int) -> int:
    """How many groups the rows of a class are of; 0 where there are none."""
    return 0 if problem.groups is None else len(np.unique(problem.groups[problem.coded[place].codes == code]))


def always_training(problem: Problem, rare: Classes) -> tuple[Rows, RareClasses | None]:
    """The rows that train in every fold because of some rare classes, and what is to be said of it."""
    if not rare:
        return np.empty(0, dtype=np.intp), None
    coded, named = problem.coded, []
    own = np.zeros(problem.rows, dtype=bool)
    for place, code in sorted(rare):
        one, rows = coded[place], coded[place].codes == code
        named.append(RareClass(str(one.labels[code]), int(rows.sum()), _groups(problem, place, code), one.name))
        own |= rows
    kept = own if problem.groups is None else np.isin(problem.groups, problem.groups[own])
    return np.flatnonzero(kept), RareClasses(tuple(named), int(kept.sum() - own.sum()))


def check_left(problem: Problem, kept: Rows, folds: int) -> None:
    """Refuse folds that would score rows of fewer than two classes of a target, or of none.

    Raises
    ------
    InvalidInput
        Naming the rarest class.
    """
    for one in problem.coded if len(kept) else ():
        if len(np.unique(np.delete(one.codes, kept))) > 1:
            continue
        counts = np.bincount(one.codes, minlength=len(one.labels))
        rarest, units = int(counts.argmin()), "rows"
        if problem.groups is not None:
            units, counts[rarest] = "groups", len(np.unique(problem.groups[one.codes == rarest]))
        hint = "" if problem.classes is None else count_hint(problem.classes)
        raise InvalidInput(
            f"At least two classes{one.of} must score, for which they need as many {units} as there are folds "
            f"({folds}), class {one.labels[rarest]!r} has {counts[rarest]}; use fewer folds, or merge or drop the "
            f"class.{hint}"
        )
