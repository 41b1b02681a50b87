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
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from regsearch._types import Array
from regsearch.metrics.statistics import ROUNDING
from regsearch.models.linear.design import Piece
from regsearch.models.linear.kept_points import KeptPoints
from regsearch.models.path import Curves, choose_step

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
    kept
        What later predictions are made of.
    gap, complexity
        ``[K, S]``, those of a `Piece`.
    smooth
        Scores of the loss, where those that decide move in steps: one that stands still may have far to go.
    last
        The last point, while it is that of a path.
    """

    kept: KeptPoints
    gap: Array
    complexity: Array
    curves: list[Curves]
    smooth: Curves | None = None
    last: Piece | None = None

    @classmethod
    def of(cls, piece: Piece, kept: KeptPoints, curves: list[Curves], smooth: Curves | None = None) -> FittedPiece:
        """Of a piece, of which no more than the last point is held."""
        last = piece if piece.steps == 1 else piece.point(piece.steps - 1)
        return cls(kept, piece.gap, piece.complexity, curves, smooth, replace(last, held=last.held.alone))

    @property
    def steps(self) -> int:
        return int(self.gap.shape[1])

    @property
    def end(self) -> Piece:
        """The last point."""
        assert self.last is not None, "other points have followed"
        return self.last


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
        self.go_on()
        for known in ("read", "joined"):
            vars(self).pop(known, None)
        self.fitted.append(one)

    def go_on(self) -> None:
        """Let go of the last point, which is none of the path's end: of many columns it is large."""
        if self.fitted:
            self.fitted[-1] = replace(self.fitted[-1], last=None)

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
        return self.joined

    @cached_property
    def joined(self) -> list[Curves]:
        """Those of the pieces, one after another."""
        return [_joined(along) for along in zip(*(one.curves for one in self.fitted), strict=True)]

    @cached_property
    def read(self) -> list[ReadCurve]:
        """Those that tell where the path ends: the deciding one, and beside steps the loss."""
        smooth = [one.smooth for one in self.fitted if one.smooth is not None]
        along = [self.scores()[0], *([_joined(smooth)] if smooth else [])]
        return [ReadCurve(curves.mean(), self.free) for curves in along]

    @property
    def read_limits(self) -> list[float]:
        """The mean scores of the limit, by each of them; NaN where there is none."""
        if self.limit is None:
            return [math.nan] * len(self.read)
        ends = (self.limit.curves[0], self.limit.smooth)
        return [float(curves.mean()[0]) for curves in ends if curves is not None]

    def gap(self) -> Array:
        """``[K, S]`` relative duality gaps."""
        return _joined_arrays([one.gap for one in self.fitted])

    def complexity(self) -> Array:
        return _joined_arrays([one.complexity for one in self.fitted])

    def place(self, step: int) -> tuple[KeptPoints, int]:
        """Where a step is kept, and at which place there."""
        for one in self.fitted:
            if step < one.steps:
                return one.kept, step
            step -= one.steps
        raise IndexError(step)

    @property
    def end(self) -> Piece:
        """The last point."""
        return self.fitted[-1].end

    def past_best(self, perfect: Sequence[float | None], points: int) -> bool:
        """Whether every curve that is read, of such best possible scores, is past its best for good."""
        pairs = zip(perfect, self.read, strict=True)
        return all(best is not None and _turned(best - curve.mean, points) for best, curve in pairs)

    @property
    def defined(self) -> bool:
        """Whether any point has a score."""
        return self.read[0].defined

    @property
    def rising(self) -> bool:
        """Whether the last point is the best so far, by any curve that is read."""
        return any(curve.rising for curve in self.read)

    @property
    def below_limit(self) -> bool:
        """Whether all points score worse than the limit, by more than rounding."""
        return self.read[0].below(self.read_limits[0])

    def unsettled(self, perfect: Sequence[float | None]) -> bool:
        """Whether a curve that is read, of such best possible scores, rises or is below its limit, and not near to it.

        What stands still, as steps do, is settled, however far another has to go.
        """
        ratio = float(self.lambdas[1] / self.lambdas[0])
        each = zip(self.read, self.read_limits, perfect, strict=True)
        return any(curve.unsettled(limit, best, ratio) for curve, limit, best in each)


@dataclass(frozen=True)
class ReadCurve:
    """A mean validation curve ``[S]`` that tells where its path ends; `free` as of the path."""

    mean: Array
    free: bool

    @cached_property
    def defined(self) -> bool:
        return bool(np.isfinite(self.mean).any())

    @cached_property
    def rising(self) -> bool:
        """Whether the last point is the best so far."""
        return len(self.mean) > 1 and self.defined and choose_step(self.mean) == len(self.mean) - 1

    def below(self, limit: float) -> bool:
        """Whether all points score worse than a limit, by more than rounding."""
        size = 0.0 if self.free else float(np.max(np.abs(self.mean), initial=0.0, where=np.isfinite(self.mean)))
        return self._left(limit) > ROUNDING * max(size, abs(limit))

    def unsettled(self, limit: float, perfect: float | None, ratio: float) -> bool:
        """Whether it rises, or is below its limit, and has further to go than is worth it.

        Parameters
        ----------
        limit
            NaN where there is none.
        perfect
            The best possible score, if there is one.
        ratio
            Of each lambda to the one before.
        """
        below = self.below(limit)
        return (below or self.rising) and not (below and self._is_near(limit, perfect, ratio))

    def _left(self, limit: float) -> float:
        """How much better the limit is than the best point; NaN where there is none."""
        return limit - self._best

    @cached_property
    def _best(self) -> float:
        return float(self.mean[choose_step(self.mean)]) if self.defined else -math.inf

    def _is_near(self, limit: float, perfect: float | None, ratio: float) -> bool:
        """Whether it is so near to its limit that it will hardly rise above it in between.

        Near the limit a curve is linear in lambda: it has as far to go as its last step foretells.
        """
        known = self.mean[np.isfinite(self.mean)]
        span = max(float(known.max()), limit) - float(known.min())
        if self.free and perfect is not None:
            span = min(span, perfect - limit)
        foretold = (float(self.mean[-1] - self.mean[-2]) if self.rising else 0.0) * ratio / (1 - ratio)
        left = self._left(limit)
        return left <= CLOSE * span and foretold <= max(2 * left, FINE * span)


def _joined_arrays(along: Sequence[Array]) -> Array:
    """``[K, S]`` of consecutive points."""
    return along[0] if len(along) == 1 else np.hstack(along)


def _joined(along: Sequence[Curves]) -> Curves:
    """One of consecutive ones."""
    if len(along) == 1:
        return along[0]
    return Curves(np.hstack([one.train for one in along]), np.hstack([one.val for one in along]), along[0].averaging)


def _turned(loss: Array, points: int) -> bool:
    """Whether a loss ``[S]`` has left its best point for good."""
    tail = loss[-max(10, round(PATIENCE * points)) - 1 :]
    least = np.min(loss, initial=np.inf, where=np.isfinite(loss))
    return len(loss) > len(tail) and bool((tail > (1 + RISE) * least).all())
