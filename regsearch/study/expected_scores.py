"""What trials that were given up would have scored, had they gone on.

A trial was seen on some folds up to some step of its path, and had a best mean score there. Complete trials had one on
these folds up to that step, too, and reached the score that counts: by the median of what they gained, the trial would
have gained as much. K folds, S steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
class ExpectedScores:
    """Of trials that were given up, as complete ones come in.

    Attributes
    ----------
    values
        By number; a score so far where no trial is complete.
    """

    values: dict[int, float] = field(default_factory=dict)
    _complete: list[tuple[Curves, float]] = field(default_factory=list)
    _given_up: dict[Seen, dict[int, float]] = field(default_factory=dict)  # best scores by number
    _gains: dict[Seen, list[float]] = field(default_factory=dict)  # of the complete trials that were there

    def add_complete(self, curves: Curves, score: float) -> None:
        """Take note of a complete trial and the score that counts."""
        self._complete.append((curves, score))
        for part in self._given_up:
            self._gain(part, curves, score)
            self._update(part)

    def add_given_up(self, number: int, curves: Curves) -> None:
        """Take note of a trial that was given up."""
        part = seen(curves)
        if part not in self._given_up:
            self._given_up[part], self._gains[part] = {}, []
            for complete, score in self._complete:
                self._gain(part, complete, score)
        self._given_up[part][number] = best_seen(curves, part)
        self._update(part)

    def _gain(self, part: Seen, curves: Curves, score: float) -> None:
        gained = score - best_seen(curves, part)
        if np.isfinite(gained):
            self._gains[part].append(gained)

    def _update(self, part: Seen) -> None:
        gained = float(np.median(self._gains[part])) if self._gains[part] else 0.0
        self.values.update({number: best + gained for number, best in self._given_up[part].items()})
