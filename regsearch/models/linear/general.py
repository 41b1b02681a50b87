"""What the proximal solver asks of a penalty: any function of the coefficients that has a proximal operator.

Notation (shapes: p columns, m outputs; m = 1 but for multinomial models)

==========  ===========  ======================================================================================
symbol      shape        meaning
==========  ===========  ======================================================================================
w           [..., p, m]  coefficients of the scaled columns
gradient    [..., p, m]  X'W(y - prediction), the *negative* gradient of the loss, unless a docstring says else
lambda_     float        strength, on glmnet's scale
some        [e]          places of the columns that a fold works on
==========  ===========  ======================================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np

from regsearch._types import Array, Reals, Rows
from regsearch.errors import InvalidInput
from regsearch.models.linear.accelerated import accelerated
from regsearch.models.linear.spent import Bends

HALVINGS = 60
STEP = 1e-3  # of the largest coefficient, that a gradient is followed to see whether it leads anywhere
SAME = 1e-9  # of the largest coefficient: a difference that is rounding
TermsT = TypeVar("TermsT", bound="GeneralTerms")


@dataclass(frozen=True)
class PenalisedColumns:
    """What is known of the columns that a penalty acts on, beside their values.

    Attributes
    ----------
    places
        By name, which columns of X are meant; read when they are asked for, as of many columns they are large.
    features
        ``[p]``: the one of these that each comes from; those of a category have one number.
    factors
        ``[p]``: what the penalty of each is multiplied by; 0 leaves it out of the penalty.
    low, high
        ``[K, p]`` limits of w in each fold; infinite where there is none.
    powers
        Variances of the scaled columns ``[K, p]``, 0 of one that is constant; read when they are asked for.
    """

    places: Callable[[], Mapping[str, Sequence[int]]]
    features: Rows
    factors: Array
    low: Array
    high: Array
    powers: Callable[[], Array]

    @classmethod
    def plain(cls, features: Rows) -> PenalisedColumns:
        """Columns of which nothing else is known."""
        p, most = len(features), int(features.max(initial=-1)) + 1
        return cls(
            lambda: {f"x{j}": [j] for j in range(most)},
            features,
            np.ones(p),
            np.full((1, p), -np.inf),
            np.full((1, p), np.inf),
            lambda: np.ones((1, p)),
        )

    @property
    def alike(self) -> bool:
        """Whether nothing sets one column apart from another."""
        return bool((self.factors == 1).all()) and not self.limited

    @property
    def limited(self) -> bool:
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())


@dataclass(frozen=True)
class Quadratic:
    """A loss, or a model of it, on a fold's own columns: its curvature ``[e m, e m]``, column by column.

    The loss at w + d is less by ``slope d - d gram d / 2``.

    Attributes
    ----------
    products
        The curvature, of single precision where that is enough.
    convexity
        No more than the smallest eigenvalue of the curvature of columns of unit size; 0 is always right.
    """

    products: Reals
    convexity: float = 0.0

    @property
    def gram(self) -> Array:
        """The curvature, of double precision."""
        return np.asarray(self.products, dtype=np.float64)

    @cached_property
    def largest(self) -> float:
        """The largest eigenvalue."""
        return float(np.linalg.eigvalsh(self.gram)[-1]) if len(self.gram) else 0.0


class GeneralTerms(ABC):
    """A penalty as the proximal solver reads it.

    A subclass needs `value` and `prox`. What else is here follows from those, and is to be overridden
    where the penalty knows better: `distance` where it has a subgradient at hand, `restricted` where a few columns
    can be fitted without the others, `minimise` where there is a faster way than by its prox.
    """

    certified: bool = False  # whether the solvers of `Terms`, with their duality gaps, fit it
    convex: ClassVar[bool] = True
    elastic: ClassVar[bool] = False  # whether it is l1 |w| + l2/2 w^2, of which a prior is known
    rowwise: ClassVar[bool] = False  # whether it is the same of the norms of rows of w
    spends: ClassVar[str] = "coefficients that are not zero"  # what its degrees of freedom count
    sparse: bool = True  # whether some lambda makes every penalised coefficient zero

    @abstractmethod
    def value(self, w: Array, lambda_: float) -> Array:
        """Penalty of coefficients, summed over the last two axes."""

    @abstractmethod
    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        """A minimiser over u of ``|u - w|^2 / 2 + step value(u, lambda_)``."""

    def lambda_max(self, gradient: Array) -> float:
        """The smallest lambda at which w = 0 is optimal, given the gradient ``[K, p, m]`` of the loss there.

        By default found by halving: zero is optimal where the prox of a step from it stays there.
        """
        high = float(np.abs(gradient).max(initial=0.0))
        while high > 0 and self.prox(-gradient, 1.0, high).any():
            high *= 2
        low = 0.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.prox(-gradient, 1.0, middle).any() else (low, middle)
        return high

    def distance(self, w: Array, gradient: Array, lambda_: float) -> Array:
        """``[..., p, m]``: how far each coefficient's gradient is from the penalty's subgradients; 0 at a minimum.

        By default how far a step moves it, over its length: of a smooth penalty that is about the distance itself. It
        is long enough for its move not to be rounded off beside w, in whatever units that is.
        """
        size, steep = np.abs(w).max(initial=0.0), np.abs(gradient).max(initial=0.0)
        step = float(STEP * size / steep) if size > 0 and steep > 0 else 1.0
        step = step if self.convex else min(step, 1.0)
        return np.abs(w - self.prox(w + step * gradient, step, lambda_)) / step

    def score(self, w: Array, gradient: Array, lambda_: float) -> Array:
        """``[..., p]``: how much a column asks to be worked on; those above 0 are added to a fold's own."""
        return np.asarray(self.distance(w, gradient, lambda_).max(axis=-1))

    def restricted(self: TermsT, some: Rows) -> TermsT | None:
        """The penalty where all columns but some are zero; `None` where it cannot be fitted to a few of them."""
        return None

    def of_fold(self: TermsT, k: int, shape: tuple[int, ...]) -> TermsT:
        """The penalty of one fold, of coefficients ``[p, m]``."""
        return self

    def on(self, columns: PenalisedColumns) -> GeneralTerms:
        """The penalty on columns of which more is known.

        Raises
        ------
        InvalidInput
            Where columns have factors or limits that the penalty cannot heed.
        """
        if not columns.alike:
            raise InvalidInput(
                f"{type(self).__name__} penalises columns together and takes no penalty_factors, unpenalized or "
                "limits; leave them out, or choose l1, l2 or elastic_net."
            )
        return self

    @property
    def start(self) -> GeneralTerms | None:
        """The convex penalty whose fit a fit starts from; `None` where it starts from that at the last lambda."""
        return None

    def start_lambda(self, lambda_: float) -> float:
        """The lambda of that fit."""
        return lambda_

    @property
    def kept(self) -> float | None:
        """How much of the start's coefficients is kept, beside those of the fit without a penalty on its columns.

        `None` where a fit is one with the penalty.
        """
        return None

    @property
    def unpenalised(self) -> Array:
        """Which coefficients nothing is asked of, broadcastable to ``[K, p, m]``."""
        return np.zeros(1, dtype=bool)

    @property
    def weights(self) -> Array:
        """What coefficients weigh beside each other, broadcastable to ``[K, p, m]``; not as they are, but by far."""
        return np.ones(1)

    @property
    def at_top(self) -> GeneralTerms:
        """The penalty that keeps all others at zero, as the largest lambda does."""
        return self

    def ridge(self, shape: tuple[int, ...]) -> Array:
        """``[p, m]`` weights of ``w_j^2 / 2`` among it."""
        return np.zeros(shape)

    def faces(self, w: Array) -> Rows:
        """``[p, m]``: coefficients with one number move together; where it is below 0, one stays zero.

        There are as many degrees of freedom as numbers where the penalty is linear around w (Tibshirani & Taylor 2012).
        """
        return np.where(w != 0, np.arange(w.size).reshape(w.shape), -1)

    def bends(self, w: Array, own: Rows) -> Bends | None:
        """Second derivatives of the penalty by its coefficients ``w.ravel()[own]``, lambda being 1.

        By them degrees of freedom are held back (Vaiter et al. 2012); `None` where it has none.
        """
        ridge = self.ridge(w.shape).ravel()[own]
        return Bends.alone(ridge) if ridge.any() else None

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        """Coefficients ``[e, m]`` that minimise a quadratic with the penalty, from w, where it falls by `slope`.

        Parameters
        ----------
        tolerance
            How far above the minimum the result may be, as `excess` estimates it.
        """
        largest = quadratic.largest
        step = 1.0 / max(
            largest, 1.0
        )  # no longer than 1, at which every prox of a penalty that is not convex is defined
        prox: Callable[[Array], Array] = lambda u: self.prox(u, step, lambda_)  # noqa: E731 - a name for what follows
        return accelerated(quadratic.gram, w, slope, step, prox, lambda u: float(self.value(u, lambda_)), tolerance)


def excess(distance: Array, w: Array, curvature: Array, convexity: float = 0.0) -> float:
    """About how far a point with distances ``[p, m]`` is above its minimum; see `regsearch.models.linear.proximal`.

    It is a bound where there is a convexity: an objective which is as convex as ``convexity curvature`` can fall no
    further below the planes that its subgradients are.
    """
    spread = np.maximum(curvature, 1e-12)[:, None]
    promised = float((distance * (np.abs(w) + distance / spread)).sum())
    return min(promised, float((distance**2 / spread).sum()) / (2 * convexity)) if convexity > 0 else promised
