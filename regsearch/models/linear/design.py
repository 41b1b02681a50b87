"""The data as the linear solvers see it: one matrix shared by all folds, and what each fold learns about its columns.

Notation and shapes

=========  ==================  ================================================================================
symbol     shape               meaning
=========  ==================  ================================================================================
K          int                 number of folds
n, p, m    int                 rows, columns, outputs (m = 1 but for multinomial models)
matrix     [n, p]              float64; Fortran-ordered array or CSC; shared, missing entries filled by `fold`
shift      [p]                 what was taken off the caller's columns to get those of `matrix`
weights    [n]                 sample weights, all one without; training rows of weight zero are left out
factors    [K, n]              what each fold multiplies the weights of the loss by, such as class weights
masks      [K, n]              True where the row trains in the fold; a row may be in neither part of a fold
held       [K, n]              True where the row validates in the fold
means      [K, p]              mean of each column over the fold's training rows (after filling), weighted as the loss
centers    [K, p]              the same of the caller's columns: means + shift
scales     [K, p]              what each centred column is divided by; 0 marks a column that is constant there
counts     [K]                 how many rows the fold's training rows stand for, by their weights
w          [..., p, m]         coefficients of the centred and scaled columns
coef       [..., p, m]         coefficients of the columns themselves: w / scales
=========  ==================  ================================================================================

Every scaling here is affine and the intercept is free, so only the divisor matters: min-max and robust scaling differ
from standardisation by `scales` alone, and a sparse matrix never gets dense. Only its fully stored columns are shifted,
once for all folds: one far from zero (a timestamp) would cancel in sums of products. A column with zeros left out
cannot be far from zero, measured by its spread.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regsearch._types import Array, Matrix, Rows
from regsearch.data.encoding import Missing
from regsearch.data.weights import ROUNDING, effective_rows, spread_of, weighing, weighted_quantiles
from regsearch.models.linear.penalty import Terms

SCALES = ("standard", "minmax", "robust", "none")
NOTHING = np.empty(0)


@dataclass(frozen=True)
class Design:
    """The matrix, its weights and its folds.

    Parameters
    ----------
    matrix
        ``[n, p]`` float64, Fortran-ordered or CSC. Where entries are missing it is written to; the designs of a
        problem share it then, and `missing` knows whose fills it holds. The attribute is the matrix less `shift`.
    train, val
        Row indices of each fold's two parts; ``val`` may be empty (a refit trains on everything).
    weights
        ``[n]`` sample weights.
    missing
        Entries that each fold fills for itself.
    factors
        ``[K, n]`` multipliers of the weights in the loss, or `None`; columns are scaled and filled by `weights` alone.
    """

    matrix: Matrix
    train: tuple[Rows, ...]
    val: tuple[Rows, ...]
    weights: Array
    missing: Missing | None = None
    factors: Array | None = None
    shift: Array = field(init=False, repr=False, compare=False)
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        matrix, shift = _shifted(self.matrix)
        object.__setattr__(self, "train", tuple(weighing(rows, self.weights) for rows in self.train))
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "shift", shift)

    @property
    def folds(self) -> int:
        return len(self.train)

    @property
    def shape(self) -> tuple[int, int]:
        n, p = self.matrix.shape
        return int(n), int(p)

    @property
    def sparse(self) -> bool:
        return bool(sparse.issparse(self.matrix))

    def multiplied(self, factors: Array) -> Design:
        """The same with other factors ``[K, n]`` of the weights in the loss; what does not depend on them is shared."""
        made = copy.copy(self)
        for name in ("fold_weights", "means", "centers"):
            vars(made).pop(name, None)
        object.__setattr__(made, "factors", factors)
        return made

    @cached_property
    def counts(self) -> Array:
        return np.array([effective_rows(self.weights[rows]) for rows in self.train])

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        return _masks(self.train, self.shape[0])

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        return _masks(self.val, self.shape[0])

    @cached_property
    def fold_weights(self) -> Array:
        """``[K, n]``: each fold's row weights in the loss, zero outside its training part, summing to one."""
        weights = self.masks * self.weights
        weights = weights if self.factors is None else weights * self.factors
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def fold(self, k: int) -> Matrix:
        """The shared matrix with the missing entries filled for fold `k`; valid until the next call, of any design."""
        if self.missing is not None:
            if ("fills", k) not in self._cache:
                self._cache["fills", k] = self.missing.fills(self.matrix, self.masks[k] * self.weights)
            self.missing.fill(self.matrix, self._cache["fills", k])
        return self.matrix

    @cached_property
    def means(self) -> Array:
        return np.stack([np.asarray(self.fold(k).T @ self.fold_weights[k]) for k in range(self.folds)])

    @cached_property
    def centers(self) -> Array:
        return np.asarray(self.means + self.shift)

    def scales(self, how: str) -> Array:
        """``[K, p]`` divisors by the scaling `how`, one of `SCALES`; 0 where a column is constant in training.

        ``none`` divides by 1, and constant columns are marked all the same: they carry nothing beside the intercept.
        """
        if ("scales", how) not in self._cache:
            self._cache[("scales", how)] = np.stack([self._fold_scales(k, how) for k in range(self.folds)])
        scales: Array = self._cache[("scales", how)]
        return scales

    def _fold_scales(self, k: int, how: str) -> Array:
        matrix, train = self.fold(k), self.train[k]
        scales = np.empty(self.shape[1])
        for part, rows in _column_blocks(matrix, train):
            scales[part] = _divisors(rows, how, self.weights[train], self.shift[part])
        return scales


class LinearConfig(Protocol):
    """What is read of a `Linear` config, which itself knows those who read it."""

    @property
    def penalty(self) -> Any: ...

    @property
    def lambda_(self) -> Any: ...

    @property
    def scale(self) -> Any: ...

    @property
    def class_weight(self) -> Any: ...


class Solver(Protocol):
    """What a loss needs to be fitted along a path, all folds in lockstep.

    A solver is made once for a study from the `Design` and a target ``[n, m]``, and keeps whatever can be shared
    between trials (moments, eigendecompositions, active sets). Its results never depend on what it kept.
    """

    design: Design
    tol: float  # duality gap to reach, relative to the loss of each fold's null model
    null: Array  # [K] mean squared error or log loss of each fold's null model

    def gradient(self, scale: str) -> Array:
        """``[K, p, m]``: the loss gradient in the scaled coefficients at w = 0, intercept fitted; 0 at constants."""
        ...

    def initial(self, scale: str) -> Array:
        """``[K, p, m]``: each fold's ridge estimate, the start of adaptive penalties."""
        ...

    def path(self, terms: Terms, scale: str, lambdas: Array, further: Array = NOTHING) -> Iterator[Piece]:
        """Fit every lambda (descending), warm-started; yields consecutive pieces, so that the caller can stop early.

        Those `further` on are fitted a few at a time, for as long as the caller asks; a piece ends where they begin.
        """
        ...


@dataclass(frozen=True)
class Piece:
    """Consecutive points of a path.

    Attributes
    ----------
    coef
        ``[K, steps, p, m]`` coefficients of the caller's columns.
    intercept
        ``[K, steps, m]`` beside the caller's columns; beside those of `Design.matrix` it is ``shift @ coef`` more.
    gap
        ``[K, steps]`` duality gap relative to the loss of the fold's null model: a bound on the suboptimality.
    complexity
        ``[K, steps]`` effective degrees of freedom; see `regsearch.models.linear.freedom`.
    losses
        ``(train, val)``, each ``[K, steps]``, mean squared errors where the solver knows them without reading the
        rows; else `None`.
    """

    coef: Array
    intercept: Array
    gap: Array
    complexity: Array
    losses: tuple[Array, Array] | None = None


def _shifted(matrix: Matrix) -> tuple[Matrix, Array]:
    """A matrix with its fully stored sparse columns shifted to their medians, and the shift ``[p]``.

    A median, because no few rows (a fold's held-out ones, say) can move it far.
    """
    n, p = matrix.shape
    shift = np.zeros(p)
    if not sparse.issparse(matrix):
        return matrix, shift
    matrix = matrix.tocsc()
    full = np.flatnonzero(np.diff(matrix.indptr) == n) if matrix.has_canonical_format else np.empty(0, dtype=np.intp)
    if not len(full):
        return matrix, shift
    data = matrix.data.copy()
    for j in full:
        column = data[matrix.indptr[j] : matrix.indptr[j + 1]]
        shift[j] = np.median(column)
        column -= shift[j]
    return sparse.csc_array((data, matrix.indices, matrix.indptr), shape=matrix.shape), shift


def _masks(parts: tuple[Rows, ...], n: int) -> NDArray[np.bool_]:
    masks = np.zeros((len(parts), n), dtype=bool)
    for mask, rows in zip(masks, parts, strict=True):
        mask[rows] = True
    return masks


def _column_blocks(matrix: Matrix, train: Rows, size: int = 64) -> Iterator[tuple[slice, Matrix]]:
    """Training rows, a few columns at a time: the copies stay small."""
    for start in range(0, matrix.shape[1], size):
        part = slice(start, start + size)
        yield part, matrix[:, part][train]


def _extent(block: Matrix) -> tuple[Array, Array]:
    if sparse.issparse(block):
        return np.asarray(block.min(axis=0).toarray()).ravel(), np.asarray(block.max(axis=0).toarray()).ravel()
    return np.asarray(block.min(axis=0)), np.asarray(block.max(axis=0))


def _divisors(block: Matrix, how: str, weights: Array, shift: Array) -> Array:
    """The divisor of each column of a block of training rows, 0 of a constant one.

    A column is constant where its weighted deviation is rounding beside its weighted size: one that varies in a row of
    next to no weight alone says nothing but that row's rounding.
    """
    lowest, highest = _extent(block)
    columns = spread_of(block, weights / weights.sum(), shift)
    varies = (highest > lowest) & columns.varies
    if how == "none":
        return np.where(varies, 1.0, 0.0)
    if how == "robust":
        quartiles = _interquartile(block, weights)
        return np.where(varies, np.where(quartiles > ROUNDING * columns.size, quartiles, 1.0), 0.0)
    return np.where(varies, highest - lowest if how == "minmax" else columns.deviation, 0.0)


def _interquartile(block: Matrix, weights: Array) -> Array:
    """The distance between the quartiles of each column."""
    dense = block.toarray() if sparse.issparse(block) else block
    if (weights == 1).all():
        low, high = np.percentile(dense, [25.0, 75.0], axis=0)
    else:
        low, high = weighted_quantiles(dense, weights, (0.25, 0.75))
    return np.asarray(high - low)
