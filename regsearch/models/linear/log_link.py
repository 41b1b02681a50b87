"""Losses of positive means, of which the decision is the logarithm."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.models.linear.row_loss import RowLoss

SMALLEST = 1e-13  # of a mean
SMALLEST_NUMBER = np.finfo(float).tiny


class LogLinked(RowLoss, abstract=True):
    """Half the deviance of a Tweedie distribution whose mean is the exponential of the decision.

    ``y^(2-power) / ((1-power) (2-power)) - y mu^(1-power) / (1-power) + mu^(2-power) / (2-power)``, at powers 1 and 2
    its limits (Jorgensen 1987).
    """

    log_link: ClassVar[bool] = True

    @property
    @abstractmethod
    def variance_power(self) -> float:
        """The power of the mean that the variance is proportional to, in [1, 2]: otherwise it is not convex."""

    @abstractmethod
    def _loss(self, eta: Array, y: Array, seen: Array, expected: Array) -> Array:
        """`value` by the parts of the residual."""

    def _parts(self, eta: Array, y: Array) -> tuple[Array, Array]:
        """``y mu^(1 - power)`` and ``mu^(2 - power)``, of which the residual is the difference."""
        power = self.variance_power
        return y * np.exp((1 - power) * eta), np.exp((2 - power) * eta)

    def residual(self, eta: Array, y: Array) -> Array:
        seen, expected = self._parts(eta, y)
        return np.asarray(seen - expected)

    def curvature(self, eta: Array, y: Array) -> Array:
        seen, expected = self._parts(eta, y)
        return np.asarray((self.variance_power - 1) * seen + (2 - self.variance_power) * expected)

    def start(self, y: Array, weights: Array) -> float:
        return float(np.log(max(float(weights @ y), SMALLEST)))

    def shift(self, eta: Array, y: Array, weights: Array) -> Array:
        return self._best(*self._parts(eta, y), weights)

    def _best(self, seen: Array, expected: Array, weights: Array) -> Array:
        """`shift` by the parts of the residual."""
        return np.asarray(np.log(np.maximum(seen @ weights, SMALLEST)) - np.log(np.asarray(expected @ weights)))

    def settled(self, eta: Array, y: Array, weights: Array) -> tuple[Array, Array, Array, Array]:
        """Of decisions moved by a number the exponentials are those of before times one: they are what takes long."""
        power, (seen, expected) = self.variance_power, self._parts(eta, y)
        shift = self._best(seen, expected, weights)[:, None]
        seen, expected, eta = seen * np.exp((1 - power) * shift), expected * np.exp((2 - power) * shift), eta + shift
        return shift[:, 0], eta, seen - expected, self._loss(eta, y, seen, expected)

    def value(self, eta: Array, y: Array) -> Array:
        return self._loss(eta, y, *self._parts(eta, y))

    def predicted(self, eta: Array) -> Array:
        with np.errstate(over="ignore"):  # far outside training: no finite score
            return np.asarray(np.exp(eta))

    def spread(self, y: Array, weights: Array) -> float:
        return 1.0

    def fill(self, model: Any, y: Array, eta: Array, weights: Array, lambda_: float) -> None:
        model._base_loss = model._get_loss()  # which scikit-learn predicts with
        model.n_iter_ = 0


def check_not_negative(y: Array, who: str) -> None:
    """Refuse a negative target.

    Raises
    ------
    InvalidInput
        Naming the loss.
    """
    if y.min() < 0:
        raise InvalidInput(f"The {who} loss needs targets of at least 0, got {y.min():g}; choose another loss.")


def times_log(x: Array) -> Array:
    """``x log x`` of numbers of at least 0; the logarithm of many is quicker than `scipy.special.xlogy`."""
    return np.asarray(x * np.log(np.maximum(x, SMALLEST_NUMBER)))
