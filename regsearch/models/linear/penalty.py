"""What a penalty of linear models is: one class in a file of `penalties`, or in a user's script, which says its terms.

Notation (shapes: K folds, p columns, m outputs; m = 1 but for multinomial models)

======  ===========  ==========================================================================
symbol  shape        meaning
======  ===========  ==========================================================================
w       [p, m]       coefficients of the *scaled* columns; intercepts are never penalised
lambda               strength, on glmnet's scale: the loss it is added to is a mean over rows
l1      [K, p, m]    weight of each |w_j| (broadcastable); infinite keeps w_j at zero
l2                   weight of w_j^2 / 2
======  ===========  ==========================================================================

Every penalty here has the form ``lambda * sum_j (l1_j |w_j| + l2/2 w_j^2)``; its `terms` say which.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.space.tree import Node


@dataclass(frozen=True)
class Terms:
    """A penalty as the solvers read it: ``lambda * sum_j (l1_j |w_j| + l2/2 w_j^2)``.

    Attributes
    ----------
    l1
        Weights of the absolute values, broadcastable to ``[K, p, m]``.
    l2
        Weight of the halved squares.
    """

    l1: Array
    l2: float

    def value(self, w: Array, lambda_: float) -> Array:
        """Penalty of coefficients ``[..., p, m]``, summed over the last two axes."""
        absolute = np.abs(w)
        l1 = np.where(absolute > 0, self.l1, 0.0) * absolute  # 0 * inf is 0 here: an excluded column costs nothing
        return np.asarray(lambda_ * (l1 + self.l2 / 2 * w**2).sum(axis=(-2, -1)))

    def prox(self, w: Array, step: float) -> Array:
        """The minimiser over u of ``|u - w|^2 / 2 + value(u, step)``."""
        return np.asarray(np.sign(w) * np.maximum(np.abs(w) - step * self.l1, 0.0) / (1.0 + step * self.l2))

    def lambda_max(self, gradient: Array) -> float:
        """The smallest lambda at which w = 0 is optimal, given the loss gradient ``[K, p, m]`` there.

        Without an L1 part there is none; glmnet's convention, an L1 share of 1e-3, gives the grid a top all the same.
        """
        l1 = np.broadcast_to(self.l1, gradient.shape)
        if not np.any(l1 > 0):
            l1 = np.full(gradient.shape, 1e-3)
        penalised = l1 > 0
        return float(np.max(np.abs(gradient[penalised]) / l1[penalised], initial=0.0))


class Penalty(Node, abstract=True):
    """A penalty on the coefficients of a linear model."""

    derived: ClassVar[tuple[str, ...]] = ("l1_ratio",)
    path: ClassVar[bool] = True  # whether lambda is an axis at all
    plain: ClassVar[bool] = True  # whether scikit-learn's ElasticNet has it: one weight for all columns

    @abstractmethod
    def terms(self, initial: Callable[[], Array]) -> Terms:
        """What the solvers need; `initial()` gives each fold's ridge estimate ``[K, p, m]``, fitted on demand."""


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
