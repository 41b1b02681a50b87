"""SCAD: a lasso whose large coefficients are not shrunk, and small ones as by the lasso."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array, Task
from regsearch.models.linear.concave import ConcaveTerms
from regsearch.models.linear.penalty import Penalty
from regsearch.space.domains import Between
from regsearch.space.tree import Float, number, tunable


@dataclass(frozen=True)
class _SCADTerms(ConcaveTerms):
    """P of each coefficient: its slope is lambda up to lambda, and falls to none at ``gamma lambda``."""

    def value(self, w: Array, lambda_: float) -> Array:
        small = np.minimum(np.abs(w), lambda_)
        middle = np.clip(np.abs(w), lambda_, self.gamma * lambda_) - lambda_
        bent = lambda_ * middle - middle**2 / (2 * (self.gamma - 1))
        return np.asarray((lambda_ * small + bent).sum(axis=(-2, -1)))

    @property
    def bend(self) -> float:
        return 1 / (self.gamma - 1)

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        """Of a step of at most 1, where it has one minimiser."""
        size, scale = np.abs(w), self.gamma - 1
        soft = np.maximum(size - step * lambda_, 0.0)
        bent = (scale * size - self.gamma * step * lambda_) / (scale - step)
        inner = np.where(size <= (1 + step) * lambda_, soft, bent)
        return np.asarray(np.sign(w) * np.where(size <= self.gamma * lambda_, np.minimum(inner, size), size))


@dataclass(frozen=True)
class SCAD(Penalty):
    """SCAD, the slope lambda up to ``|w| = lambda``, from there falling to none at ``gamma lambda`` (Fan & Li 2001).

    It is not convex: a fit starts from the lasso's, which it is for a large gamma. Not for several classes: those of a
    column may all move by the same at no loss, and where all are large at no penalty either, so that no fit is the one.
    """

    plain: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("regression", "binary", "survival")
    l1_ratio: ClassVar[float] = 1.0
    gamma: Any = tunable(Between(2.0 + 1e-3, 1e6), Float(2.5, 6.0), usual=3.7)

    def terms(self, initial: Callable[[], Array]) -> _SCADTerms:
        return _SCADTerms(number(self.gamma))
