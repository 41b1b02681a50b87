"""What trials would score at their end: those that were given up, had they gone on, and those that are on their way.

A trial was seen on some folds up to some step of its path, and had a best mean score there. Complete trials had one on
these folds up to that step, too, and reached the score that counts. Of few of them, the trial would have gained the
median of what they gained. Of many it is learned how scores end from how they begin, on no other assumption than that
who is ahead does not end behind: where the slow end best, being ahead early is worth nothing. K folds, S steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from regsearch.models.path import Curves

MANY = 8  # complete trials, from which how scores end is learned from how they begin
Seen: TypeAlias = tuple[tuple[int, ...], int]  # folds, and steps of them


def seen(curves: Curves) -> Seen:
    """The folds of which the most is known, and how many steps that is."""
    steps = np.where(np.isfinite(curves.val), np.arange(1, curves.val.shape[1] + 1), 0).max(axis=1)
    most = int(steps.max())
    return tuple(np.flatnonzero(steps == most).tolist()), most


def best_seen(curves: Curves, part: Seen) -> float:
    """The best mean score over some folds in so many steps; minus infinity where none is defined."""
    folds, steps = part
    if not steps:
        return -np.inf
    which = np.isin(np.arange(len(curves.val)), folds)
    mean = curves.over(which).mean(curves.val[which, :steps])
    return float(np.nan_to_num(mean, nan=-np.inf).max())


@dataclass
class Alike:
    """Trials that are not complete of which as much is known, and complete ones that were there.

    Attributes
    ----------
    best
        By number, the best score so far of the trials that are not complete.
    found
        Of complete ones, the best score by then, and the score that counts.
    """

    best: dict[int, float] = field(default_factory=dict)
    found: list[tuple[float, float]] = field(default_factory=list)
    _fitted: tuple[int, Callable[[float], float]] | None = None
    _expected: dict[float, float] = field(default_factory=dict)  # of those that were asked for since: by best score

    def expected(self, best: float) -> float:
        """The score that one with this best score by then would have come to."""
        if self._fitted is None or self._fitted[0] != len(self.found):
            self._fitted = len(self.found), _relation(sorted(self.found))
            self._expected.clear()
        if best not in self._expected:
            self._expected[best] = self._fitted[1](best)
        return self._expected[best]


def _relation(found: Sequence[tuple[float, float]]) -> Callable[[float], float]:
    """From the best score by then to the score that counts: isotonic, of few with the slope 1, as beyond them."""
    if len(found) < MANY:
        gain = float(np.median([score - best for best, score in found])) if found else 0.0
        return lambda best: best + gain
    from scipy.optimize import isotonic_regression

    early, place, times = np.unique([best for best, _ in found], return_inverse=True, return_counts=True)
    alike = np.bincount(place, [score for _, score in found]) / times  # those that began alike count as their mean
    late = isotonic_regression(alike, weights=times).x

    def expected(best: float) -> float:
        return float(np.interp(best, early, late) + best - min(max(best, early[0]), early[-1]))

    return expected


class Scores(Mapping[int, float]):
    """Expected scores by number: each is reckoned when it is asked for, as one complete trial moves them all."""

    def __init__(self) -> None:
        self.alike: dict[int, Alike] = {}  # by the number of a trial that is not complete

    def __getitem__(self, number: int) -> float:
        found = self.alike[number]
        return found.expected(found.best[number])

    def __contains__(self, number: object) -> bool:
        return number in self.alike

    def __iter__(self) -> Iterator[int]:
        return iter(self.alike)

    def __len__(self) -> int:
        return len(self.alike)


@dataclass
class ExpectedScores:
    """Of trials that are not complete, as complete ones come in.

    Attributes
    ----------
    values
        By number; a score so far where no trial is complete.
    """

    values: Scores = field(default_factory=Scores)
    _complete: list[tuple[Curves, float]] = field(default_factory=list)
    _parts: dict[Seen, Alike] = field(default_factory=dict)

    def add_complete(self, number: int, curves: Curves, score: float) -> None:
        """Take note of a complete trial and the score that counts."""
        self._forget(number)
        self._complete.append((replace(curves, train=curves.val), score))  # the other half is never asked for
        for part, alike in self._parts.items():
            _add_gain(alike, part, curves, score)

    def add_seen(self, number: int, curves: Curves) -> None:
        """Take note of what is known of a trial that was given up, or that is on its way: from now on, this counts."""
        self._forget(number)
        part = seen(curves)
        if part not in self._parts:
            self._parts[part] = Alike()
            for complete, score in self._complete:
                _add_gain(self._parts[part], part, complete, score)
        self._parts[part].best[number] = best_seen(curves, part)
        self.values.alike[number] = self._parts[part]

    def _forget(self, number: int) -> None:
        alike = self.values.alike.pop(number, None)
        if alike is not None:
            del alike.best[number]


def _add_gain(alike: Alike, part: Seen, curves: Curves, score: float) -> None:
    best = best_seen(curves, part)
    if np.isfinite(score - best):
        alike.found.append((best, score))
