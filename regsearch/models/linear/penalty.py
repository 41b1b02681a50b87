"""What a penalty of linear models is: one class in a file of `penalties`, or in a user's script, which says its terms.

Notation (shapes: K folds, p columns, m outputs; m = 1 but for multinomial models)

======  ===========  ==========================================================================
symbol  shape        meaning
======  ===========  ==========================================================================
w       [p, m]       coefficients of the *scaled* columns; intercepts are never penalised
lambda               strength, on glmnet's scale: the loss it is added to is a mean over rows
l1      [K, p, m]    weight of each |w_j| (broadcastable); infinite keeps w_j at zero
l2                   weight of w_j^2 / 2, one for all or one for each
======  ===========  ==========================================================================

Most penalties have the form ``lambda * sum_j (l1_j |w_j| + l2/2 w_j^2)``, and `Terms` says which; any other is a
`GeneralTerms` of its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array, Rows, Task
from regsearch.errors import InvalidInput
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns, Quadratic
from regsearch.space.tree import Node

ROUNDING = 1e-9  # relative, by which a coefficient in other units may be beyond its limit


@dataclass(frozen=True)
class Terms(GeneralTerms):
    """A penalty as the solvers read it: ``lambda * sum_j (l1_j |w_j| + l2/2 w_j^2)``.

    Attributes
    ----------
    l1
        Weights of the absolute values, broadcastable to ``[K, p, m]``.
    l2
        Weight of the halved squares; an array, broadcastable alike, where columns differ.
    low, high
        Limits of w, broadcastable alike, ``low <= 0 <= high``.
    """

    elastic: ClassVar[bool] = True
    l1: Array
    l2: float | Array
    low: float | Array = -np.inf
    high: float | Array = np.inf

    @cached_property
    def certified(self) -> bool:  # type: ignore[override]
        """Whether every column that is not held at zero is penalised, and by one L2 weight, and none has limits."""
        return not self.limited and np.ndim(self.l2) == 0 and bool(self.l2 or np.all(self.l1) or not self.sparse)

    @cached_property
    def sparse(self) -> bool:  # type: ignore[override]
        return bool(np.any(self.l1))

    @cached_property
    def limited(self) -> bool:
        """Whether any coefficient has limits."""
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    @property
    def unpenalised(self) -> Array:
        """Which columns nothing is asked of, broadcastable to ``[K, p, m]``."""
        return np.asarray((self.l1 == 0) & (np.asarray(self.l2) == 0))

    @property
    def weights(self) -> Array:
        return np.asarray(self.l1 if self.sparse else self.l2, dtype=np.float64)

    def value(self, w: Array, lambda_: float) -> Array:
        """Penalty of coefficients ``[..., p, m]``, summed over the last two axes."""
        absolute = np.abs(w)
        l1 = np.where(absolute > 0, self.l1, 0.0) * absolute  # 0 * inf is 0 here: an excluded column costs nothing
        inside = np.where(np.abs(w - np.clip(w, self.low, self.high)) <= ROUNDING * absolute, 0.0, np.inf)
        return np.asarray((lambda_ * (l1 + self.l2 / 2 * w**2) + inside).sum(axis=(-2, -1)))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        """The minimiser over u of ``|u - w|^2 / 2 + step value(u, lambda_)``."""
        step = step * lambda_
        u = np.sign(w) * np.maximum(np.abs(w) - step * self.l1, 0.0) / (1.0 + step * self.l2)
        return np.clip(u, self.low, self.high)

    def lambda_max(self, gradient: Array) -> float:
        """The smallest lambda at which w = 0 is optimal, given the loss gradient ``[K, p, m]`` there.

        What is not penalised is left out: the gradient is that of its fit. Without an L1 part there is no such lambda;
        glmnet's convention, an L1 share of 1e-3, gives the grid a top all the same.
        """
        if np.all(np.asarray(self.l1) > 0) and not self.limited:
            return float(np.max(np.abs(gradient) / self.l1, initial=0.0))
        l1 = np.broadcast_to(self.l1, gradient.shape)
        if not np.any(l1 > 0):
            l1 = (
                np.broadcast_to(1e-3 * np.asarray(self.l2), gradient.shape)
                if np.ndim(self.l2)
                else np.full(gradient.shape, 1e-3)
            )
        penalised = (l1 > 0) & (np.where(gradient < 0, self.high, np.negative(self.low)) > 0)
        return float(np.max(np.abs(gradient[penalised]) / l1[penalised], initial=0.0))

    def distance(self, w: Array, gradient: Array, lambda_: float) -> Array:
        push = gradient - lambda_ * self.l2 * w
        resting = np.sign(push) * np.maximum(np.abs(push) - lambda_ * self.l1, 0.0)
        moving = push - np.sign(w) * lambda_ * np.where(w == 0, 0.0, self.l1)
        left = np.where(w == 0, resting, moving)
        left = np.where(w >= self.high, np.minimum(left, 0.0), left)  # a limit takes whatever pushes against it
        return np.abs(np.where(w <= self.low, np.maximum(left, 0.0), left))

    def restricted(self, some: Rows) -> Terms:
        """Those of some columns, of terms of one fold."""
        return Terms(self.l1[some], np.asarray(self.l2)[some], np.asarray(self.low)[some], np.asarray(self.high)[some])

    def of_fold(self, k: int, shape: tuple[int, ...]) -> Terms:
        """Of coefficients ``[p, m]``, every weight and limit spelt out."""
        folds = max((np.shape(part)[0] for part in self._parts if np.ndim(part) == 3), default=1)
        parts = (np.broadcast_to(part, (folds, *shape))[k if folds > 1 else 0] for part in self._parts)
        return Terms(*parts)

    @property
    def _parts(self) -> tuple[float | Array, ...]:
        return self.l1, self.l2, self.low, self.high

    def of_output(self, j: int) -> Terms:
        """What it asks of the coefficients of one output."""
        own = (part if np.size(part) == 1 or np.shape(part)[-1] == 1 else part[..., j : j + 1] for part in self._parts)  # type: ignore[index]
        return Terms(*own)  # type: ignore[arg-type]

    def on(self, columns: PenalisedColumns) -> Terms:
        if columns.alike:
            return self
        factors = columns.factors[:, None]
        with np.errstate(invalid="ignore"):
            l1 = np.where(factors > 0, self.l1 * factors, 0.0)
        l2 = self.l2 * factors if np.any(self.l2) and np.ptp(factors) > 0 else self.l2 * factors[0, 0]
        weighed = replace(self, l1=l1, l2=l2)
        return (
            replace(weighed, low=columns.low[:, :, None], high=columns.high[:, :, None]) if columns.limited else weighed
        )

    @property
    def at_top(self) -> Terms:
        return replace(self, l1=np.where(self.unpenalised, 0.0, np.inf), l2=0.0)

    def ridge(self, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(self.l2, shape)

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        from regsearch.models.linear.bounded import Bounds, minimise

        parts = (lambda_ * self.l1, lambda_ * np.asarray(self.l2), self.low, self.high)
        flat = (np.ascontiguousarray(np.broadcast_to(part, w.shape), dtype=np.float64).ravel() for part in parts)
        return minimise(quadratic.gram, w.ravel(), slope.ravel(), Bounds(*flat), tolerance).reshape(w.shape)


class Penalty(Node, abstract=True):
    """A penalty on the coefficients of a linear model."""

    derived: ClassVar[tuple[str, ...]] = ("l1_ratio",)
    path: ClassVar[bool] = True  # whether lambda is an axis at all
    plain: ClassVar[bool] = True  # whether scikit-learn's ElasticNet has it: one weight for all columns
    by_column: ClassVar[bool] = False  # whether it is that but for a weight of its own for each column
    tasks: ClassVar[tuple[Task, ...]] = ("regression", "binary", "multiclass", "survival")  # that it can be fitted to
    other_losses: ClassVar[bool] = True  # than that of the task
    rowwise: ClassVar[bool] = False  # whether it is of the coefficients of a column in all targets together

    def names(self) -> tuple[str, ...]:
        """The columns of X that the penalty has something to say of."""
        return ()

    @property
    def l2_share(self) -> Any:
        """How much of the strength of a filled penalty is that of half the squared coefficients."""
        own: Any = self  # of a class, or a field
        return 1 - own.l1_ratio

    @abstractmethod
    def terms(self, initial: Callable[[], Array]) -> GeneralTerms:
        """What the solvers need; `initial()` gives each fold's ridge estimate ``[K, p, m]``, fitted on demand."""


def check_penalised(penalty: Penalty, loss: str | None, task: Task) -> None:
    """Refuse a penalty that is not for a task, or not for a loss other than the task's own, by its kind.

    Raises
    ------
    InvalidInput
        Naming the penalty, and what may be chosen.
    """
    if task not in penalty.tasks:
        raise InvalidInput(
            f"The penalty {penalty.kind} is for {' and '.join(penalty.tasks)} tasks, got a {task} one; choose another, "
            "such as l1, elastic_net or relaxed_lasso."
        )
    if loss is not None and not penalty.other_losses:
        raise InvalidInput(
            f"The penalty {penalty.kind} is for squared error alone, got the {loss} loss; choose another, such as l1 "
            "or elastic_net, or leave the loss out."
        )


def adaptive_weights(initial: Array, gamma: float) -> Array:
    """``(|w| / mean |w|)^-gamma`` of an initial estimate ``[K, p, m]``, the mean of each fold's that are not zero.

    A column whose initial estimate is zero (a constant one) gets an infinite weight, and changes no other; with
    ``gamma = 0`` all are one.
    """
    size = np.abs(initial)
    total, count = (of.sum(axis=(1, 2), keepdims=True) for of in (size, size > 0))
    mean = np.divide(total, count, out=np.ones_like(total), where=count > 0)
    with np.errstate(divide="ignore"):
        return np.asarray((size / mean) ** -gamma)
