"""MCP: a lasso whose large coefficients are not shrunk."""

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
class _MCPTerms(ConcaveTerms):
    """P of each coefficient: its slope falls from lambda at 0 to none at ``gamma lambda``."""

    def value(self, w: Array, lambda_: float) -> Array:
        size = np.minimum(np.abs(w), self.gamma * lambda_)
        return np.asarray((lambda_ * size - size**2 / (2 * self.gamma)).sum(axis=(-2, -1)))

    @property
    def bend(self) -> float:
        return 1 / self.gamma

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        """Of a step of at most 1, where it has one minimiser."""
        size = np.abs(w)
        firm = np.maximum(size - step * lambda_, 0.0) / (1.0 - step / self.gamma)
        return np.asarray(np.sign(w) * np.where(size <= self.gamma * lambda_, firm, size))


@dataclass(frozen=True)
class MCP(Penalty):
    """MCP, ``lambda |w| - w^2 / (2 gamma)`` up to ``|w| = gamma lambda``, constant beyond (Zhang 2010).

    It is not convex: a fit starts from the lasso's, which it is for a large gamma. Not for several classes: those of a
    column may all move by the same at no loss, and where all are large at no penalty either, so that no fit is the one.
    """

    plain: ClassVar[bool] = False
    tasks: ClassVar[tuple[Task, ...]] = ("regression", "binary", "survival")
    l1_ratio: ClassVar[float] = 1.0
    gamma: Any = tunable(Between(1.0 + 1e-3, 1e6), Float(1.5, 6.0), usual=3.0)

    def terms(self, initial: Callable[[], Array]) -> _MCPTerms:
        return _MCPTerms(number(self.gamma))
