"""What trials that were given up would have scored, had they gone on.

A trial was seen on some folds up to some step of its path, and had a best mean score there. Complete trials had one on
these folds up to that step, too, and reached the score that counts: by the median of what they gained, the trial would
have gained as much. K folds, S steps.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from regsearch.models.path import Curves

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
    """Trials that were given up where as much was known of them, and what complete ones gained from there."""

    best: dict[int, float] = field(default_factory=dict)  # by number, of the trials that were given up
    gains: list[float] = field(default_factory=list)  # ascending, of the complete ones that were there

    @property
    def gain(self) -> float:
        """The median of the gains; 0 of none."""
        middle, odd = divmod(len(self.gains), 2)
        if not self.gains:
            return 0.0
        return self.gains[middle] if odd else (self.gains[middle - 1] + self.gains[middle]) / 2


class Scores(Mapping[int, float]):
    """Expected scores by number: each is reckoned when it is asked for, as one complete trial moves them all."""

    def __init__(self) -> None:
        self.alike: dict[int, Alike] = {}  # by the number of a trial that was given up

    def __getitem__(self, number: int) -> float:
        found = self.alike[number]
        return found.best[number] + found.gain

    def __iter__(self) -> Iterator[int]:
        return iter(self.alike)

    def __len__(self) -> int:
        return len(self.alike)


@dataclass
class ExpectedScores:
    """Of trials that were given up, as complete ones come in.

    Attributes
    ----------
    values
        By number; a score so far where no trial is complete.
    """

    values: Scores = field(default_factory=Scores)
    _complete: list[tuple[Curves, float]] = field(default_factory=list)
    _parts: dict[Seen, Alike] = field(default_factory=dict)

    def add_complete(self, curves: Curves, score: float) -> None:
        """Take note of a complete trial and the score that counts."""
        self._complete.append((replace(curves, train=curves.val), score))  # the other half is never asked for
        for part, alike in self._parts.items():
            _add_gain(alike, part, curves, score)

    def add_given_up(self, number: int, curves: Curves) -> None:
        """Take note of a trial that was given up."""
        part = seen(curves)
        if part not in self._parts:
            self._parts[part] = Alike()
            for complete, score in self._complete:
                _add_gain(self._parts[part], part, complete, score)
        self._parts[part].best[number] = best_seen(curves, part)
        self.values.alike[number] = self._parts[part]


def _add_gain(alike: Alike, part: Seen, curves: Curves, score: float) -> None:
    gained = score - best_seen(curves, part)
    if np.isfinite(gained):
        bisect.insort(alike.gains, gained)
