"""The loss on one fold's training rows, without their columns: what solvers of smooth losses ask of it.

Notation and shapes

========  ===========  =====================================================================================
symbol    shape        meaning
========  ===========  =====================================================================================
m, S, n   int          outputs (1 but for several classes), steps, training rows
eta       [m, S, n]    decisions: intercept + Xw
p         [m, S, n]    fitted values: y plus the derivative of the row's loss by its decision, so that
                       ``weights (y - p)`` is the negative gradient; probabilities, of the log-loss
gradient  [m, S, e]    ``X'W(y - p)`` of e columns centred by `weights`
========  ===========  =====================================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from regsearch._types import Array


class Settled(NamedTuple):
    """What intercepts were moved by ``[m, S]``; decisions and fitted values ``[m, S, n]`` and losses ``[S]`` there."""

    shift: Array
    eta: Array
    p: Array
    loss: Array


class Sample(ABC):
    """A loss on the training rows of a fold.

    Attributes
    ----------
    y
        ``[m, 1, n]`` targets.
    weights
        ``[n]``, summing to one.
    null_intercept
        ``[m]`` intercepts of the model without columns.
    """

    null_intercept: Array

    def __init__(self, y: Array, weights: Array) -> None:
        self.y, self.weights = np.asarray(y, dtype=np.float64), weights

    @abstractmethod
    def at(self, eta: Array) -> tuple[Array, Array]:
        """Fitted values ``[m, S, n]`` and weighted mean losses ``[S]``."""

    @abstractmethod
    def hessian(self, eta: Array, p: Array) -> tuple[Array, Array | None]:
        """The curvature in the decisions ``[m, n]`` of one step: ``diag(own) - shares shares'`` of every row.

        ``own`` and ``shares`` are ``[m, n]``, the rows' weights in them; `None` for no shares.
        """

    def total_curvature(self, eta: Array, p: Array) -> float:
        """The sum of ``own`` of `hessian`."""
        return float(self.hessian(eta, p)[0].sum())

    def between_rows(self, eta: Array) -> Callable[[Array], Array] | None:
        """What is still to be taken off the curvature of the rows, of a loss that compares them; `None` of others.

        A function that makes ``[q, r]`` of columns ``[q, n]``: the products of these are what is to be taken off those
        of the columns. The loss has one output, and no intercept changes it.
        """
        return None

    @property
    def compares(self) -> bool:
        """Whether the loss compares rows with each other."""
        return self.between_rows(np.zeros_like(self.y[:, 0])) is not None

    @abstractmethod
    def mean_curvatures(self, eta: Array, p: Array) -> Array:
        """``[m, S]`` mean curvature of each output."""

    @abstractmethod
    def gaps(self, value: Array, p: Array, gradient: Array, null: Array, threshold: Array, ridge: Array) -> Array:
        """``[S]``: how far penalised losses `value` can be above their minima.

        Parameters
        ----------
        null
            ``[m, 1, e]`` gradient of the null model.
        threshold, ridge
            ``lambda l1`` ``[m, S, e]`` and ``lambda l2`` ``[S]``.
        """

    @property
    def foretells(self) -> bool:
        """Whether `foretold` ever tells."""
        return False

    def foretold(self, p: Array, rows: Array, ahead: Array) -> Array | None:
        """Fitted values ``[m, 1, n]`` that a model guesses of decisions so far ahead, by curvatures ``[m, n]`` of rows.

        `None` of a loss whose dual is not known to be defined there.
        """
        return None

    def shift(self, eta: Array) -> Array:
        """``[m, S]``: what intercepts are moved by wherever the gaps need them at their best."""
        return np.zeros(eta.shape[:2])

    def settled(self, eta: Array) -> Settled:
        """What is at decisions once intercepts are moved."""
        shift = self.shift(eta)
        eta = eta + shift[..., None] if shift.any() else eta
        return Settled(shift, eta, *self.at(eta))

    def residual(self, p: Array) -> Array:
        """``[m, S, n]`` weighted, of fitted values."""
        found = self.y - p
        found *= self.weights
        return np.asarray(found)

    @cached_property
    def _null(self) -> tuple[Array, Array]:
        return self.at(np.broadcast_to(self.null_intercept[:, None, None], self.y.shape))

    @property
    def null_loss(self) -> float:
        """The loss of the model without columns."""
        return float(self._null[1][0])

    @property
    def null_curvatures(self) -> Array:
        """``[m]`` mean curvatures of the model without columns."""
        at = np.broadcast_to(self.null_intercept[:, None, None], self.y.shape)
        return self.mean_curvatures(at, self._null[0])[:, 0]

    @property
    def null_residual(self) -> Array:
        """``[m, 1, n]`` weighted, of the model without columns."""
        return self.residual(self._null[0])
