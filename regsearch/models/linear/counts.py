"""The Poisson loss of one fold's training rows: what formulas tell of each row is added up in one compiled look.

Newton's steps ask for decisions, residuals and their loss many times over, of so few rows that every pass of an array
counts. What a gap needs of y alone is formed once. Shapes are those of `row_loss.py`.
"""

from __future__ import annotations

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.kernels import summed
from regsearch.models.linear.log_link import SMALLEST, SMALLEST_NUMBER, times_log
from regsearch.models.linear.row_loss import BesideOffset, RowFormulas, RowSample
from regsearch.models.linear.sample import Settled

TINY = float(SMALLEST_NUMBER)


class CountSample(RowSample):
    """Counts on a fold's training rows.

    Parameters
    ----------
    loss
        The formulas, which say the same of each row.
    y, weights
        As of `RowSample`.
    offset
        ``[n]`` what is known of decisions; `None` for nothing.
    """

    def __init__(self, loss: RowFormulas, y: Array, weights: Array, offset: Array | None = None) -> None:
        super().__init__(loss if offset is None else BesideOffset(loss, offset), y, weights)
        self.offset = offset
        self._counts = self.target[0]
        least = times_log(self._counts) - self._counts
        self._mean, self._least = max(float(self._counts @ weights), SMALLEST), float(least @ weights)

    def settled(self, eta: Array) -> Settled:
        at = eta[0] if self.offset is None else eta[0] + self.offset
        moved, residual, (shift, loss) = np.empty_like(at), np.empty_like(at), np.empty((2, len(at)))
        settle(at, self._counts, self.weights, self._mean, moved, residual, shift, loss)
        moved = moved if self.offset is None else moved - self.offset
        return Settled(shift[None], moved[None], residual[None], loss + self._least)

    def total_curvature(self, eta: Array, p: Array) -> float:
        """Of every row it is what is expected of it, with intercepts at their best on average what is seen."""
        return self._mean

    def foretold(self, p: Array, rows: Array, ahead: Array) -> Array | None:
        told = np.empty_like(p)
        reached = tell(p[0, 0], rows[0], ahead[0, 0], self._inverse, self._counts, told[0, 0])
        return told if reached else None

    def _dual(self, residual: Array, shrink: Array) -> Array:
        dual = np.empty(len(residual))
        add_up_duals(residual, shrink, self._counts, self.weights, dual)
        known = 0.0 if self.offset is None else shrink * (residual @ (self.weights * self.offset))
        return np.asarray(dual + self._least - known)


def _all_settled(
    eta: Array, y: Array, weights: Array, mean: float, moved: Array, residual: Array, shift: Array, loss: Array
) -> None:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a step too far, which is taken back
        expected = np.exp(eta)
        shift[:] = np.log(mean) - np.log(expected @ weights)
        expected *= np.exp(shift)[:, None]
        moved[:] = eta + shift[:, None]
        residual[:] = y - expected
        loss[:] = (expected - y * moved) @ weights


def _settle(
    eta: Array, y: Array, weights: Array, mean: float, moved: Array, residual: Array, shift: Array, loss: Array
) -> None:
    """Write decisions whose means are those of y, their residuals, what they moved by, and what losses have beside y.

    Of decisions moved by a number the exponentials are those of before times one: they are what takes long.
    """
    for step in range(eta.shape[0]):
        total, value, expected = 0.0, 0.0, residual[step]
        for i in range(y.shape[0]):
            expected[i] = np.exp(eta[step, i])
            total += expected[i] * weights[i]
        by = np.log(mean) - np.log(total)
        times = np.exp(by)
        for i in range(y.shape[0]):
            there, mu = eta[step, i] + by, expected[i] * times
            value += (mu - y[i] * there) * weights[i]
            moved[step, i], expected[i] = there, y[i] - mu
        shift[step], loss[step] = by, value


def _all_duals(residual: Array, shrink: Array, y: Array, weights: Array, dual: Array) -> None:
    mean = np.maximum(y - shrink[:, None] * residual, 0.0)
    dual[:] = (mean - times_log(mean)) @ weights


def _add_up_duals(residual: Array, shrink: Array, y: Array, weights: Array, dual: Array) -> None:
    """Write what duals have beside y, at residuals shrunk by a number each."""
    for step in range(residual.shape[0]):
        total = 0.0
        for i in range(y.shape[0]):
            mean = max(y[i] - shrink[step] * residual[step, i], 0.0)
            total += (mean - mean * np.log(max(mean, TINY))) * weights[i]
        dual[step] = total


def _all_told(residual: Array, rows: Array, ahead: Array, inverse: Array, y: Array, told: Array) -> bool:
    told[:] = residual - rows * ahead * inverse
    return bool((told <= y).all())


def _tell(residual: Array, rows: Array, ahead: Array, inverse: Array, y: Array, told: Array) -> bool:
    """Write residuals that a model with curvatures of rows guesses ahead; whether the dual is defined there."""
    above = 0
    for i in range(y.shape[0]):
        told[i] = residual[i] - rows[i] * ahead[i] * inverse[i]
        above += not told[i] <= y[i]  # nor is it where there is none
    return above == 0


tell = summed(_tell, plain=_all_told)
settle = summed(_settle, plain=_all_settled, error_model="numpy")
add_up_duals = summed(_add_up_duals, plain=_all_duals, error_model="numpy")
