"""A path while it is fitted: its points, their scores, and whether the rest of it is worth fitting.

A path goes down its lambdas until its mean curve has left its best point for good. Where they end, it goes on for as
long as the curve rises, or as the fit without a penalty, its limit, lies well above all that it has passed. It ends
early where the fit saturates (glmnet's rule) or the solver runs out of steps. The limit is its last point where that
is the best. A score that moves in steps, such as accuracy, stands still long before the path has reached its end: where
one decides, the loss must have turned, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.design import Piece
from regsearch.models.path import ROUNDING, Curves, choose_step

RISE = 0.03  # a path ends once its mean loss has been this much above its minimum ...
PATIENCE = 0.1  # ... for this share of the path's points (at least 10)
CLOSE = 1e-4  # of the range of a mean curve: how far below its limit a path may end, to be followed by the limit itself
FINE = 1e-7  # of that range: a rise that is no longer worth a fit
SATURATED = 0.999  # share of the null model's loss that a fit explains when it interpolates (glmnet's `devmax`)


@dataclass(frozen=True)
class FittedPiece:
    """Consecutive points with their scores, by metric: the first decides.

    Attributes
    ----------
    smooth
        Scores of the loss, where those that decide move in steps: one that stands still may have far to go.
    """

    piece: Piece
    curves: list[Curves]
    smooth: Curves | None = None

    @property
    def steps(self) -> int:
        return int(self.piece.coef.shape[1])


def no_limit(end: Piece) -> None:
    """Of a path that is not known to tend anywhere."""


@dataclass
class FittedPath:
    """The pieces of a path that have been fitted so far, with the scores of each.

    Parameters
    ----------
    lambdas
        Those that may be fitted, in their order.
    seek
        Of the last point, the fit at lambda 0, where the path tends to that; `None` where it does not, as with more
        columns than rows. It is asked for where a path ends, as it may cost more than the path.
    free
        Whether points cost next to nothing. Such a path ends neither where its fit saturates nor near to its limit by
        the range of its curve: of columns that are alike (spectra) the best lambda lies far below, where all but the
        last thousandth is explained.
    """

    lambdas: Array
    seek: Callable[[Piece], FittedPiece | None] = no_limit
    free: bool = False
    fitted: list[FittedPiece] = field(default_factory=list)
    at_limit: bool = False

    def add(self, one: FittedPiece) -> None:
        self.fitted.append(one)

    @cached_property
    def limit(self) -> FittedPiece | None:
        return self.seek(self.end)

    def close(self) -> None:
        """Let the limit be the last point, where that is the best."""
        if self.below_limit and self.limit is not None:
            self.add(self.limit)
            self.at_limit = True

    @property
    def axis(self) -> Array:
        """``[S]`` lambdas of the points so far, 0 being that of the limit."""
        ended = [0.0] if self.at_limit else []
        return np.append(self.lambdas[: self.steps - len(ended)], ended)

    @property
    def steps(self) -> int:
        return sum(one.steps for one in self.fitted)

    def scores(self) -> list[Curves]:
        """One `Curves` for each metric, over all steps so far."""
        return [_joined(along) for along in zip(*(one.curves for one in self.fitted), strict=True)]

    @property
    def read(self) -> list[Array]:
        """``[S]`` mean validation curves that tell where the path ends: the deciding one, and beside steps the loss."""
        smooth = [one.smooth for one in self.fitted if one.smooth is not None]
        return [self.scores()[0].mean(), *([_joined(smooth).mean()] if smooth else [])]

    def gap(self) -> Array:
        """``[K, S]`` relative duality gaps."""
        return np.hstack([one.piece.gap for one in self.fitted])

    def complexity(self) -> Array:
        return np.hstack([one.piece.complexity for one in self.fitted])

    def take(self, steps: list[int]) -> tuple[Array, Array]:
        """Coefficients ``[K, s, p, m]`` and intercepts ``[K, s, m]`` at some steps."""
        coef, intercept = zip(*(self.at(step) for step in steps), strict=True)
        return np.stack(coef, axis=1), np.stack(intercept, axis=1)

    def at(self, step: int) -> tuple[Array, Array]:
        """Coefficients ``[K, p, m]`` and intercepts ``[K, m]`` at a step."""
        for one in self.fitted:
            if step < one.steps:
                return one.piece.coef[:, step], one.piece.intercept[:, step]
            step -= one.steps
        raise IndexError(step)

    @property
    def end(self) -> Piece:
        """The last point."""
        last = self.fitted[-1]
        return last.piece.point(last.steps - 1)

    def past_best(self, perfect: tuple[float | None, ...], points: int) -> bool:
        """Whether every mean validation curve that is read, of such best possible scores, is past its best for good."""
        pairs = zip(perfect, self.read, strict=True)
        return all(best is not None and _turned(best - mean, points) for best, mean in pairs)

    @property
    def defined(self) -> bool:
        """Whether any point has a score."""
        return bool(np.isfinite(self.scores()[0].mean()).any())

    @property
    def rising(self) -> bool:
        """Whether the last point is the best so far, by any curve that is read."""
        known = (mean for mean in self.read if len(mean) > 1 and np.isfinite(mean).any())
        return any(choose_step(mean) == len(mean) - 1 for mean in known)

    @property
    def below_limit(self) -> bool:
        """Whether all points score worse than the limit, by more than rounding."""
        return self.left > ROUNDING * max(0.0 if self.free else 1.0, abs(self.limit_score))

    @property
    def limit_score(self) -> float:
        """The mean score of the limit; NaN where there is none."""
        return math.nan if self.limit is None else float(self.limit.curves[0].mean()[0])

    @property
    def left(self) -> float:
        """How much better the limit is than the best point; NaN where there is none."""
        mean = self.scores()[0].mean()
        return self.limit_score - float(np.max(mean, initial=-np.inf, where=np.isfinite(mean)))

    def tends_to_limit(self, perfect: float | None) -> bool:
        """Whether a curve that is below its limit is so near to it that it will hardly rise above it in between.

        Near the limit a curve is linear in lambda: it has as far to go as its last step foretells.

        Parameters
        ----------
        perfect
            The best possible score, if there is one.
        """
        mean = self.scores()[0].mean()
        known = mean[np.isfinite(mean)]
        span = max(float(known.max()), self.limit_score) - float(known.min())
        if self.free and perfect is not None:
            span = min(span, perfect - self.limit_score)
        ratio = float(self.lambdas[1] / self.lambdas[0])
        foretold = (float(mean[-1] - mean[-2]) if self.rising else 0.0) * ratio / (1 - ratio)
        return self.left <= CLOSE * span and foretold <= max(2 * self.left, FINE * span)


def _joined(along: Sequence[Curves]) -> Curves:
    """One of consecutive ones."""
    return Curves(np.hstack([one.train for one in along]), np.hstack([one.val for one in along]), along[0].averaging)


def _turned(loss: Array, points: int) -> bool:
    """Whether a loss ``[S]`` has left its best point for good."""
    tail = loss[-max(10, round(PATIENCE * points)) - 1 :]
    least = np.min(loss, initial=np.inf, where=np.isfinite(loss))
    return len(loss) > len(tail) and bool((tail > (1 + RISE) * least).all())
