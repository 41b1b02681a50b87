"""A smooth loss of one fold as the proximal solver reads it: quadratic models of it, a Newton step each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.general import GeneralTerms, Quadratic, excess
from regsearch.models.linear.newton import Curvature
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.working_columns import ColumnsInPlay, columns_in_play

Correlate: TypeAlias = Callable[[list[int], list[Array], str], Array]
INNER = 0.01  # share of what a point is above its minimum that a quadratic model may leave unsolved
STEPS = 50  # Newton steps between two looks at all columns
HALVINGS = 30
ROUNDING = 1e-14  # relative increase of the objective that counts as none


@dataclass(frozen=True)
class LogPoint:
    """Coefficients ``[p, m]``, intercepts ``[m]``, and the decisions, fitted values ``[m, 1, n]`` and loss there."""

    w: Array
    b: Array
    eta: Array
    p: Array
    loss: float


class LogFold:
    """A smooth loss on a fold's training rows; see `regsearch.models.linear.proximal.FoldLoss`.

    Parameters
    ----------
    power
        ``[p]`` variances of the scaled columns.
    correlate
        Products of the scaled columns of some folds with weighted residuals.
    """

    def __init__(
        self, design: Design, k: int, scale: str, power: Array, sample: Sample, null: float, correlate: Correlate
    ) -> None:
        self.design, self.k, self.scale = design, k, scale
        self.sample, self.null, self.correlate = sample, null, correlate
        self.curvature = power * float(sample.null_curvatures.mean())
        self._some: Rows = np.arange(0)
        self._columns: ColumnsInPlay | None = None
        self._room = Room()

    @property
    def convexity(self) -> float:
        return 0.0  # rows whose class is certain have no curvature

    def origin(self) -> LogPoint:
        b = self.sample.null_intercept
        return self._at(np.zeros((self.design.shape[1], len(b))), b, np.zeros_like(self.sample.y) + b[:, None, None])

    def gradients(self, points: Sequence[LogPoint]) -> Array:
        residual = np.concatenate([self.sample.residual(point.p) for point in points], axis=1)
        return np.asarray(self.correlate([self.k], [residual], self.scale)[0].transpose(1, 2, 0))

    def blend(self, one: LogPoint, other: LogPoint, share: float) -> LogPoint:
        pairs = ((getattr(one, name), getattr(other, name)) for name in ("w", "b", "eta"))
        return self._at(*(share * first + (1 - share) * second for first, second in pairs))

    def descend(self, point: LogPoint, terms: GeneralTerms, some: Rows, lambda_: float, tolerance: float) -> LogPoint:
        for _ in range(STEPS):
            quadratic, slope, curvature = self._model(point, some)
            left = excess(terms.distance(point.w[some], slope, lambda_), point.w[some], self.curvature[some])
            if left <= tolerance:
                break
            inner = max(tolerance / 2, INNER * left)
            change = terms.minimise(quadratic, point.w[some], slope, lambda_, inner) - point.w[some]
            ahead = self._search(point, terms, some, change, curvature, lambda_)
            if ahead is None:
                break
            point = ahead
        return point

    def quadratic(self, point: LogPoint, some: Rows) -> Quadratic:
        return self._model(point, some)[0]

    def _of(self, some: Rows) -> ColumnsInPlay:
        """Those columns of the training rows, kept for as long as they are asked for."""
        if self._columns is None or not np.array_equal(some, self._some):
            design, inverse = self.design, self.design.inverse_scale(self.scale, self.k)[some]
            rows, means = design.train[self.k], design.mean(self.k, some)
            self._some = some
            self._columns = columns_in_play(design.fold(self.k), rows, some, means, inverse, self._room)
        return self._columns

    def _model(self, point: LogPoint, some: Rows) -> tuple[Quadratic, Array, Curvature]:
        """The curvature, and the negative gradient ``[e, m]``, with the intercepts fitted along."""
        columns, m = self._of(some), len(self.sample.y)
        mask = np.ones((m, len(some)), dtype=bool)
        curvature = Curvature.of(self.sample, point, columns, mask, Rooms())
        residual = self.sample.residual(point.p)[:, 0]
        slope = columns.correlate(residual).ravel() - curvature.couple @ residual.sum(axis=1)
        order = np.arange(mask.size).reshape(mask.shape).T.ravel()  # outputs of a column after another
        gram = np.ascontiguousarray(curvature.gram[np.ix_(order, order)])
        return Quadratic(gram), slope[order].reshape(len(some), m), curvature

    def _search(
        self, here: LogPoint, terms: GeneralTerms, some: Rows, change: Array, curvature: Curvature, lambda_: float
    ) -> LogPoint | None:
        """Halve a step until it does not raise the objective; `None` where there is no such step."""
        columns = self._of(some)
        drift = self.sample.residual(here.p)[:, 0].sum(axis=1)
        move = np.ascontiguousarray(change.T)
        shift = curvature.inverse @ drift - move.ravel() @ curvature.couple
        ahead = (columns.predict(move) + shift[:, None])[:, None]
        value = here.loss + float(terms.value(here.w[some], lambda_))
        for length in 0.5 ** np.arange(HALVINGS):
            w = here.w.copy()
            w[some] += length * change
            new = self._at(w, here.b + length * shift, here.eta + length * ahead)
            if new.loss + float(terms.value(w[some], lambda_)) <= value + ROUNDING * abs(value):
                return new
        return None

    def _at(self, w: Array, b: Array, eta: Array) -> LogPoint:
        shift, eta, p, loss = self.sample.settled(eta)
        return LogPoint(w, b + shift[:, 0], eta, p, float(loss[0]))
