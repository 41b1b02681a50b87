"""Amounts of which many are zero: the Tweedie deviance with a log link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.log_link import LogLinked, check_not_negative
from regsearch.space.domains import Between
from regsearch.space.tree import number, tunable

STEPS = 50  # of Newton's for a conjugate: it takes a handful


@dataclass(frozen=True)
class Tweedie(LogLinked):
    """Compound Poisson-gamma regression of amounts with zeros, such as claims, where the decision is ``log mu``.

    Parameters
    ----------
    power
        The variance is proportional to this power of the mean, between that of counts (1, `Poisson`) and that of
        positive amounts (2, `Gamma`).
    """

    power: Any = tunable(Between(1.01, 1.99), 1.5)
    dispersed: ClassVar[bool] = True

    @property
    def variance_power(self) -> float:
        return number(self.power)

    @property
    def scoring(self) -> str:
        """That of the power, and of a power that is searched the Poisson deviance, which knows the mean as well."""
        fixed = isinstance(self.power, (int, float))
        return f"neg_mean_tweedie_deviance_{self.power:g}" if fixed else "neg_mean_poisson_deviance"

    def check_target(self, y: Array) -> None:
        check_not_negative(y, "Tweedie")

    def _loss(self, eta: Array, y: Array, seen: Array, expected: Array) -> Array:
        power = self.variance_power
        return np.asarray(y ** (2 - power) / ((1 - power) * (2 - power)) + seen / (power - 1) + expected / (2 - power))

    def dual(self, residual: Array, y: Array) -> Array:
        eta = self._decision(residual, y)
        at_zero = (y == 0) & (residual >= 0)  # the decision is minus infinity, and costs nothing
        return np.where(at_zero, 0.0, self.value(eta, y) + residual * eta)

    def _decision(self, residual: Array, y: Array) -> Array:
        """The decision whose residual is given.

        Of ``y mu^(1 - power) = residual + mu^(2 - power)`` the negative residual is taken to the other side; of the
        logarithms of both sides one is linear and the other convex, so that Newton's steps end up on one side of the
        root and go there.
        """
        down, up = self.variance_power - 1, 2 - self.variance_power
        with np.errstate(divide="ignore"):
            target, over, under = np.log(y), np.log(np.maximum(residual, 0.0)), np.log(np.maximum(-residual, 0.0))
        eta = np.where(y > 0, np.where(y > 0, target, 0.0), np.where(residual < 0, under / up, 0.0))
        for _ in range(STEPS):
            rising, falling = np.logaddexp(up * eta, over), np.logaddexp(target - down * eta, under)
            with np.errstate(invalid="ignore"):  # y and residual are 0: no decision is the best
                slope = up * np.exp(up * eta - rising) + down * np.exp(target - down * eta - falling)
                step = np.where(np.isfinite(falling), (falling - rising) / slope, 0.0)
            eta = eta + step
            if np.abs(step).max(initial=0.0) <= 1e-13:
                break
        return eta

    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        from sklearn.linear_model import TweedieRegressor

        return TweedieRegressor(
            power=self.variance_power, link="log", alpha=lambda_ * (1 - l1_ratio), solver="newton-cholesky", tol=1e-8,
            max_iter=1000,
        )  # fmt: skip
