"""What is asked of the ridge-penalised loss of one fold, however it is minimised; for symbols see `glm_ridge.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from regsearch._types import Array


class WayDown(Protocol):
    """The fits of a fold down its strengths, each of which begins where those before it lead to."""

    def solve(self, strength: Array, target: float, max_steps: int) -> tuple[Array, Array, Array]:
        """The next: theta ``[m, S, r+1]``, gaps ``[S]`` and nearly the effective degrees of freedom ``[S]``."""
        ...


class RidgeFits(Protocol):
    """The ridge-penalised loss of one fold."""

    @property
    def rank(self) -> int: ...

    def freedom(self, curvature: Array, strength: Array) -> Array:
        """``[S]``: what is spent at mean curvatures ``[m, S]``; see `regsearch.models.linear.freedom`."""
        ...

    def largest_curvature(self) -> float:
        """The largest curvature of the null model."""
        ...

    def gcv(self) -> float:
        """The strength with the least generalized cross-validation error."""
        ...

    def start(self, intercept: Array) -> Array:
        """``[m, 1, r+1]``: the null model, of intercepts ``[m]``."""
        ...

    def way(self, theta: Array) -> WayDown:
        """From ``[m, 1, r+1]``."""
        ...

    def coefficients(self, theta: Array) -> Array:
        """``[m, S, p]`` of the scaled columns."""
        ...

    def decisions(self, theta: Array) -> Array:
        """``[m, 1, n]`` of one strength, ``[m, 1, r+1]``."""
        ...


class FromLast:
    """A `WayDown` that begins with the last point: `solve` is given that before the strengths."""

    def __init__(self, solve: Callable[[Array, Array, float, int], tuple[Array, Array, Array]], theta: Array) -> None:
        self._solve, self._theta = solve, theta

    def solve(self, strength: Array, target: float, max_steps: int) -> tuple[Array, Array, Array]:
        found = self._solve(self._theta, strength, target, max_steps)
        self._theta = found[0][:, -1:].copy()
        return found
