"""The lambdas of a path, and in which order and company solvers fit them: what every loss has in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.models.linear.design import NOTHING, Design, Piece, Solver
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.linear_config import LinearConfig
from regsearch.models.linear.penalty import Terms
from regsearch.space.path import Path
from regsearch.space.tree import number

CHUNK = 5  # lambdas between two looks at all columns
WARM_UP = 0.6  # ratio of the lambdas that lead to the first one asked for
WARM_UP_TOL = 1e-3
RIDGE_RATIO = 1e-6  # smallest lambda over largest on a path without an L1 part
ADAPTIVE_SHARE = 1e-2  # how much further a path goes down whose weights span orders of magnitude
ABOVE = 1e-12  # how much above the lambda that zeroes all: at it, rounding would decide which coefficient is zero
LOWEST = 1e-20  # smallest lambda of a path that goes on for as long as it rises, over that which zeroes one alone ...
FURTHEST = 1e-100  # ... and how much less that of another coefficient may be
FitLambdas: TypeAlias = Callable[[Array, Array], Iterator[Piece]]


def lambda_grid(config: LinearConfig, solver: Solver, terms: GeneralTerms, design: Design) -> Array:
    """The lambdas of a trial, descending: one when it is sampled or the penalty has none.

    The top is glmnet's: the smallest lambda that zeroes every coefficient, and that rounding does not undo. Without an
    L1 part no lambda does, and what counts is lambda against the variance of the columns; glmnet's convention (an L1
    share of 1e-3 on unit columns and unit y) is kept for columns and y of any unit by converting the gradient. Such a
    path costs the same at any length, so it reaches further down.
    """
    if not config.penalty.path:
        return np.zeros(1)
    if not isinstance(config.lambda_, Path):
        return np.array([number(config.lambda_)])
    gradient = solver.gradient(config.scale, terms)
    ridge = not terms.sparse
    if ridge:
        gradient = gradient * _units(design, config.scale)[:, :, None] / solver.spread
    highest = terms.lambda_max(gradient) * (1 + ABOVE)
    if not 0 < highest < np.inf:
        allowed = " that its limits allow" if config.limits else ""
        raise InvalidInput(f"No column has any relation to y{allowed} in training, so that no lambda is worth trying.")
    usual = RIDGE_RATIO if ridge else 1e-4 if design.count > design.shape[1] else 1e-2
    ratio = config.lambda_.ratio or (usual if config.penalty.plain else ADAPTIVE_SHARE * usual)
    return np.geomspace(highest, highest * ratio, config.lambda_.points)


def _units(design: Design, scale: str) -> Array:
    """``[K, p]`` deviations of the scaled columns, 0 of constant ones."""
    scales = design.scales(scale)
    return np.asarray(design.scales("standard") / np.where(scales > 0, scales, 1.0))


def further_lambdas(config: LinearConfig, lambdas: Array, terms: GeneralTerms, design: Design) -> Array:
    """Where a path goes on below its lambdas, as closely spaced: nowhere where its ratio says where it ends.

    It may go as far below the lambda at which the last coefficient joins as below the largest: where columns differ in
    their units or weights, the first may be all that is seen of the path for many orders of magnitude.
    """
    if len(lambdas) < 2 or not isinstance(config.lambda_, Path) or config.lambda_.ratio is not None:
        return np.empty(0)
    step = float(np.log(lambdas[0] / lambdas[-1]) / (len(lambdas) - 1))
    lowest = LOWEST * max(_last_to_join(terms, _units(design, config.scale)), FURTHEST)
    left = float(np.log(lambdas[-1] / lambdas[0]) - np.log(lowest))
    return np.asarray(lambdas[-1] * np.exp(-step * np.arange(1, int(left / step) + 1)))


def _last_to_join(terms: GeneralTerms, units: Array) -> float:
    """About the lambda at which the last coefficient is used over that of the first, were columns equally related to y.

    Their gradients go by their units ``[K, p]``, and so does what a ridge part takes off them.
    """
    weights, units = np.broadcast_arrays(terms.weights, units[:, :, None])
    held = (weights > 0) & np.isfinite(weights) & (units > 0)
    tops = (units if terms.sparse else units**2)[held] / weights[held]
    return float(tops.min() / tops.max()) if len(tops) else 1.0


def fit_path(lambdas: Array, further: Array, terms: Terms, descent: FitLambdas, ridge: FitLambdas) -> Iterator[Piece]:
    """Fit by `descent` where a penalty has an L1 part, and by `ridge` where it has none: always so at lambda 0."""
    count = int((lambdas > 0).sum()) if np.any(terms.l1) else 0
    if count:
        yield from descent(lambdas[:count], further)
    if count < len(lambdas):
        yield from ridge(lambdas[count:], further if not count else further[:0])


def warm_up_lambdas(top: float, first: float) -> Array:
    """Lambdas that lead from the top to the first one asked for, without either."""
    if first >= WARM_UP * top:
        return np.empty(0)
    count = int(np.ceil(np.log(first / top) / np.log(WARM_UP)))
    return np.geomspace(top, first, count + 1)[1:-1]


def chunks(values: Array, size: int | None, further: Array = NOTHING, later: int = CHUNK) -> Iterator[Array]:
    """Consecutive values, at most so many at a time; those further on in chunks of their own, as few may be wanted."""
    for some, most in ((values, size or max(len(values), 1)), (further, later)):
        yield from (some[start : start + most] for start in range(0, len(some), most))
