"""Losses that are the mean of one of each row, by the formulas of a row.

Notation (shapes: S steps, n rows; formulas are of arrays that broadcast)

========  =======  ================================================================================================
symbol    shape    meaning
========  =======  ================================================================================================
eta       [S, n]   decisions: intercept + Xw
y         [n]      targets
residual  [S, n]   minus the derivative of the loss of each row by its decision
weights   [n]      row weights, summing to one
========  =======  ================================================================================================

A loss is convex in eta, zero where the decision says y, and positive elsewhere: summed over rows it is half a deviance,
and relative to that of the model without columns it is one less what is explained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.sample import Sample, Settled

ROUNDS = 100  # of a search for an intercept
ROUNDING = 1e-15
LEAST = 1e-12  # of a mean curvature


class RowFormulas(ABC):
    """The formulas of a row; see the module."""

    @abstractmethod
    def value(self, eta: Array, y: Array) -> Array:
        """Losses."""

    @abstractmethod
    def residual(self, eta: Array, y: Array) -> Array:
        """Minus their derivatives."""

    @abstractmethod
    def curvature(self, eta: Array, y: Array) -> Array:
        """Their second derivatives, or what stands for them in a quadratic model."""

    def bent(self, eta: Array, y: Array, residual: Array) -> Array:
        """`curvature` of decisions whose residuals are known."""
        return self.curvature(eta, y)

    @abstractmethod
    def dual(self, residual: Array, y: Array) -> Array:
        """The least of ``value + residual * eta`` over all decisions: minus the conjugate of the loss."""

    def reached(self, residual: Array, y: Array) -> bool:
        """Whether `dual` is defined at residuals that are no decisions'; `False` where that is not known."""
        return False

    def settled(self, eta: Array, y: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
        """`shift`, and decisions moved by it, their residuals and losses."""
        shift = self.shift(eta, y, weights)
        eta = eta + shift[:, None]
        return shift, eta, self.residual(eta, y), self.value(eta, y)

    def start(self, y: Array, weights: Array) -> float:
        """The intercept of the model without columns."""
        mean = float(weights @ y)
        return mean + float(self.shift(np.full((1, len(y)), mean), y, weights)[0])

    def around(self, eta: Array, y: Array, weights: Array) -> tuple[Array, Array]:
        """``[S]`` twice: an interval that holds `shift`."""
        middle, width = np.mean(y - eta, axis=1), np.ptp(eta - y, axis=1)
        return middle - width, middle + width

    def shift(self, eta: Array, y: Array, weights: Array) -> Array:
        """``[S]``: what an intercept must be moved by to be at its best: residuals then have the mean zero.

        Newton's steps, halved into the interval that is known to hold it.
        """
        low, high = self.around(eta, y, weights)
        shift = np.zeros(len(eta))
        for _ in range(ROUNDS):
            moved = eta + shift[:, None]
            residual = self.residual(moved, y)
            drift, size = residual @ weights, np.abs(residual) @ weights
            if (np.abs(drift) <= ROUNDING * size).all():
                break
            low, high = np.where(drift > 0, shift, low), np.where(drift < 0, shift, high)
            bend = self.curvature(moved, y) @ weights
            ahead = shift + np.divide(drift, bend, out=np.full_like(drift, np.inf), where=bend > 0)
            ahead = np.where((ahead > low) & (ahead < high), ahead, (low + high) / 2)
            if (ahead == shift).all():
                break
            shift = np.where(drift == 0, shift, ahead)
        return shift


@dataclass(frozen=True)
class BesideOffset(RowFormulas):
    """Formulas of what is to be added to a decision that is known in part.

    Attributes
    ----------
    offset
        ``[n]`` that part.
    """

    formulas: RowFormulas
    offset: Array

    def value(self, eta: Array, y: Array) -> Array:
        return self.formulas.value(eta + self.offset, y)

    def residual(self, eta: Array, y: Array) -> Array:
        return self.formulas.residual(eta + self.offset, y)

    def curvature(self, eta: Array, y: Array) -> Array:
        return self.formulas.curvature(eta + self.offset, y)

    def bent(self, eta: Array, y: Array, residual: Array) -> Array:
        return self.formulas.bent(eta + self.offset, y, residual)

    def dual(self, residual: Array, y: Array) -> Array:
        return np.asarray(self.formulas.dual(residual, y) - residual * self.offset)

    def reached(self, residual: Array, y: Array) -> bool:
        return self.formulas.reached(residual, y)

    def start(self, y: Array, weights: Array) -> float:
        alone = self.formulas.start(y, weights)
        return alone + float(self.shift(np.full((1, len(y)), alone), y, weights)[0])

    def shift(self, eta: Array, y: Array, weights: Array) -> Array:
        return self.formulas.shift(eta + self.offset, y, weights)

    def settled(self, eta: Array, y: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
        shift, whole, residual, value = self.formulas.settled(eta + self.offset, y, weights)
        return shift, whole - self.offset, residual, value


class RowLoss(RowFormulas, Loss, abstract=True):
    """A loss that is the weighted mean of one of each row, by formulas that are the same in every fold."""

    def sample(self, y: Array, weights: Array) -> Sample:
        return RowSample(self, y, weights)

    def sample_beside(self, y: Array, weights: Array, offset: Array) -> Sample:
        return RowSample(BesideOffset(self, offset), y, weights)


class RowSample(Sample):
    """A loss of single numbers on a fold's training rows."""

    def __init__(self, loss: RowFormulas, y: Array, weights: Array) -> None:
        super().__init__(y, weights)
        self.loss, self.target = loss, self.y[0]
        self.null_intercept = np.array([self.loss.start(self.target[0], weights)])

    def at(self, eta: Array) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a step too far, which is taken back
            value, residual = self.loss.value(eta[0], self.target), self.loss.residual(eta[0], self.target)
        return residual[None], np.asarray(value @ self.weights)

    def hessian(self, eta: Array, p: Array) -> tuple[Array, Array | None]:
        return self.weights * self.loss.bent(eta, self.target, p), None

    def mean_curvatures(self, eta: Array, p: Array) -> Array:
        return np.maximum(self.loss.curvature(eta[0], self.target) @ self.weights, LEAST)[None]

    def shift(self, eta: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return self.loss.shift(eta[0], self.target, self.weights)[None]

    def settled(self, eta: Array) -> Settled:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            shift, eta, residual, value = self.loss.settled(eta[0], self.target, self.weights)
        return Settled(shift[None], eta[None], residual[None], value @ self.weights)

    def residual(self, p: Array) -> Array:
        return np.asarray(p * self.weights)

    @cached_property
    def _inverse(self) -> Array:
        """One over the weights, 0 of rows that have none."""
        return np.divide(1.0, self.weights, out=np.zeros_like(self.weights), where=self.weights > 0)

    @cached_property
    def foretells(self) -> bool:
        return self.loss.reached(np.zeros_like(self.target), self.target)

    def foretold(self, p: Array, rows: Array, ahead: Array) -> Array | None:
        residual = p - rows[:, None] * ahead * self._inverse
        return residual if self.loss.reached(residual[0], self.target) else None

    def gaps(self, value: Array, p: Array, gradient: Array, null: Array, threshold: Array, ridge: Array) -> Array:
        """By two points of the dual: the residuals, shrunk until the penalty allows them, or as they are.

        The dual is the mean of the rows' own at residuals with the mean zero, as the intercept is free, less the
        penalty's conjugate at ``X'W residual``: zero where no coefficient's exceeds its threshold, and the squares of
        what exceeds over twice the ridge where there is one.
        """
        size, over = np.abs(gradient)[0], (np.abs(gradient) > threshold)[0]
        shrink = np.divide(threshold[0], size, out=np.ones_like(size), where=over).min(axis=1, initial=1.0)
        gap = value - self._dual(p[0], shrink)
        if (ridge > 0).all():
            excess = (np.where(over, size - threshold[0], 0.0) ** 2).sum(axis=1)
            gap = np.minimum(gap, value - self._dual(p[0], np.ones_like(shrink)) + excess / (2 * ridge))
        return np.maximum(gap, 0.0)

    def _dual(self, residual: Array, shrink: Array) -> Array:
        """``[S]``: the mean of the rows' own, at residuals shrunk by a number each."""
        return np.asarray(self.loss.dual(shrink[:, None] * residual, self.target) @ self.weights)
