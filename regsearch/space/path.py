"""The axis of a config that one trial walks as a whole."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from regsearch.errors import InvalidInput
from regsearch.numeric import is_number, is_whole, plain
from regsearch.space.levels import Levels
from regsearch.space.suggests import Suggests
from regsearch.space.tree import Leaf

POINTS = 10_000  # that a path may have


@dataclass(frozen=True)
class Path(Leaf):
    """The whole axis as one trial: every lambda from the smallest that zeroes all coefficients downwards.

    Parameters
    ----------
    points
        Number of lambdas, spaced evenly in their logarithm.
    ratio
        Smallest lambda over largest. `None` begins with 1e-4, or 1e-2 when there are fewer rows than columns, 1e-6 for
        ridge, and a hundredth of these for adaptive penalties; where the mean validation curve still rises there, the
        path goes on with the same spacing until it has turned, or down to lambda 0, the fit without a penalty, where
        that is the best. With an L1 part and more columns than rows it ends at the latest where it explains .999 of
        the loss in training, as glmnet's. A number is the end in any case.
    """

    points: int = 100
    ratio: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", plain(self.points))
        object.__setattr__(self, "ratio", plain(self.ratio))
        if not is_whole(self.points) or not 2 <= self.points <= POINTS:
            file = isinstance(self.points, str | os.PathLike)
            fix = "a place of a file is a pathlib.Path, this one an axis of lambdas" if file else "100 is usual"
            raise InvalidInput(f"A Path needs at least 2 points and at most {POINTS}, got {self.points!r:.80}; {fix}.")
        if self.ratio is not None and not (is_number(self.ratio) and 0 < self.ratio < 1):
            raise InvalidInput(f"A Path's ratio must lie between 0 and 1, got {self.ratio!r}; 1e-4 is usual.")

    def draw(self, trial: Suggests, name: str) -> Path:
        return self

    def levels(self, said: Levels | None = None) -> Levels:
        return Levels.same(self)

    def random(self, generator: np.random.Generator) -> Path:
        return self

    def count(self) -> int | None:
        return 1
