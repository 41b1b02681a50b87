"""The data as the linear solvers see it: one matrix shared by all folds, and what each fold learns about its columns.

Notation and shapes

=========  ==================  ================================================================================
symbol     shape               meaning
=========  ==================  ================================================================================
K          int                 number of folds
n, p, m    int                 rows, columns, outputs (m = 1 but for multinomial models)
matrix     [n, p]              float64; array (Fortran-ordered but for several classes), CSC, or a table that is read
                               by blocks of rows; shared, missing entries filled by `fold`
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
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from regsearch._types import Array, Matrix, Rows
from regsearch.data.encoding import Missing
from regsearch.data.row_table import RowHoles, RowTable
from regsearch.data.weights import effective_rows, weighing
from regsearch.models.linear.coefficients import Coefficients
from regsearch.models.linear.fold_groups import fold_groups
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.scales import MeasuredColumns, column_divisors, measured_folds, row_divisors
from regsearch.models.linear.shifts import shifted
from regsearch.models.linear.working_columns import times, weighted_sums

Made = TypeVar("Made")
NOTHING = np.empty(0)
BESIDE = 8  # times as much as what is little beside it
LITTLE = 2**15  # numbers that are little beside any data that are worth a thought
FEW = 400  # sparse columns, or rows, up to which an eigendecomposition is quick


@dataclass(frozen=True)
class Design:
    """The matrix, its weights and its folds.

    Parameters
    ----------
    matrix
        ``[n, p]`` float64, an array or CSC, or a `RowTable`. Where entries are missing an array is written to;
        the designs of a problem share it then, and `missing` knows whose fills it holds. The attribute is the matrix
        less `shift`.
    train, val
        Row indices of each fold's two parts; ``val`` may be empty (a refit trains on everything).
    weights
        ``[n]`` sample weights.
    missing
        Entries that each fold fills for itself.
    factors
        ``[K, n]`` multipliers of the weights in the loss, or `None`; columns are scaled and filled by `weights` alone.
    own
        The matrix of each fold, where these differ by more than what is filled in; `matrix` is the first then, and
        stands for what they have in common: shape, kind and columns.
    """

    matrix: Matrix
    train: tuple[Rows, ...]
    val: tuple[Rows, ...]
    weights: Array
    missing: Missing | RowHoles | None = None
    factors: Array | None = None
    own: tuple[Matrix, ...] = ()
    shift: Array = field(init=False, repr=False, compare=False)
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        matrices, shift = shifted(self.own or (self.matrix,))
        object.__setattr__(self, "train", tuple(weighing(rows, self.weights) for rows in self.train))
        object.__setattr__(self, "matrix", matrices[0])
        object.__setattr__(self, "own", matrices if self.own else ())
        object.__setattr__(self, "shift", shift)

    @property
    def folds(self) -> int:
        return len(self.train)

    @property
    def shape(self) -> tuple[int, int]:
        n, p = self.matrix.shape
        return int(n), int(p)

    @cached_property
    def sparse(self) -> bool:
        return bool(sparse.issparse(self.matrix))

    @cached_property
    def entries(self) -> int:
        """How many numbers the matrix stores."""
        return int(self.matrix.nnz) if self.sparse else math.prod(self.shape)

    @property
    def room(self) -> int:
        """How many numbers may be held, for a while, without being much beside the data."""
        return max(LITTLE, self.entries // BESIDE)

    def together(self, numbers: int) -> list[range]:
        """Folds in groups that leave so many numbers of each of their folds small beside the data; of a table all."""
        size = self.folds if self.by_rows else max(1, self.room // numbers)
        return [range(start, min(start + size, self.folds)) for start in range(0, self.folds, size)]

    @property
    def by_rows(self) -> bool:
        """Whether the matrix is read by blocks of rows, whenever it is used."""
        return isinstance(self.matrix, RowTable)

    @property
    def many(self) -> bool:
        """Whether products of all pairs of sparse columns, or rows, are too many to be formed."""
        return self.sparse and min(self.shape) > FEW

    def multiplied(self, factors: Array) -> Design:
        """The same with other factors ``[K, n]`` of the weights in the loss; what does not depend on them is shared."""
        made = copy.copy(self)
        for name in ("fold_weights", "means", "centers"):
            vars(made).pop(name, None)
        object.__setattr__(made, "factors", factors)
        return made

    @cached_property
    def count(self) -> float:
        """How many rows all rows stand for."""
        return effective_rows(self.weights)

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
        """The matrix with the missing entries filled for fold `k`; valid until the next call, of any design."""
        if self.own:
            return self.own[k]
        if (missing := self.missing) is None:
            return self.matrix
        fills = self._once(("fills", k), lambda: missing.fills(self.matrix, self.masks[k] * self.weights))
        return missing.fill(self.matrix, fills)

    @property
    def shared(self) -> bool:
        """Whether all folds see one matrix."""
        return self.missing is None and not self.own

    @property
    def views(self) -> list[range]:
        """The folds in groups that see the same matrix: all of them, or each alone where it has one of its own."""
        return [range(self.folds)] if self.shared else [range(k, k + 1) for k in range(self.folds)]

    @cached_property
    def means(self) -> Array:
        weights = self.fold_weights
        return np.concatenate([times(weights[view.start : view.stop], self.fold(view.start)) for view in self.views])

    def mean(self, k: int, columns: Rows) -> Array:
        """``[a]``, means of some columns in one fold; where those of all are much beside the data they are not kept."""
        if self.keeps_columns:
            return np.asarray(self.means[k, columns])
        return weighted_sums(self.fold(k), columns, self.fold_weights[k])

    @cached_property
    def centers(self) -> Array:
        return np.asarray(self.means + self.shift)

    def scales(self, how: str) -> Array:
        """``[K, p]`` divisors by the scaling `how`, one of `SCALES`; 0 where a column is constant in training.

        ``none`` divides by 1, and constant columns are marked all the same: they carry nothing beside the intercept.
        """
        if how == "none" and not self.keeps_columns:
            return (self.scales("standard") > 0).astype(np.float64)
        return self._once(("scales", how), lambda: np.concatenate([self._scales(view, how) for view in self.views]))

    def inverse_scales(self, how: str) -> Array:
        """``[K, p]`` one over the scales; 0, and so a zero coefficient, where a column is constant."""
        return self.kept(("inverse", how), partial(_inverse, self.scales(how)))

    def inverse_scale(self, how: str, k: int) -> Array:
        """``[p]``, those of one fold."""
        if self.keeps_columns:
            return np.asarray(self.inverse_scales(how)[k])
        return _inverse(self.scales("standard")[k] > 0 if how == "none" else self.scales(how)[k])

    @cached_property
    def keeps_columns(self) -> bool:
        """Whether what folds know of columns is little beside these, and so kept; of few or sparse rows it is not."""
        return self.by_rows or self.folds * self.shape[1] * BESIDE <= self.entries

    def _scales(self, folds: range, how: str) -> Array:
        """``[folds, p]`` of folds that see the same matrix."""
        matrix = self.fold(folds[0])
        if isinstance(matrix, RowTable):
            return row_divisors(matrix, self.masks[folds.start : folds.stop], how, self.weights)
        if isinstance(matrix, np.ndarray) and how != "robust":
            return np.stack([one.divisors(how) for one in self._measured(folds, matrix)])
        return np.stack([column_divisors(matrix, self.train[k], how, self.weights, self.shift) for k in folds])

    def _measured(self, folds: range, matrix: Array) -> list[MeasuredColumns]:
        """The columns in training, of folds that see the same array."""
        of = slice(folds.start, folds.stop)
        groups = fold_groups(self.masks[of], self.held[of])
        each = (one for group in groups for one in measured_folds(matrix, group, self.weights))
        return self._once(("measured", folds), lambda: list(each))

    def kept(self, what: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """Of columns, what is made once, where it is kept."""
        return self._once(what, make) if self.keeps_columns else make()

    def _once(self, what: tuple[Any, ...], make: Callable[[], Made]) -> Made:
        """What is made once and kept."""
        if what not in self._cache:
            self._cache[what] = make()
        return cast(Made, self._cache[what])


class Solver(Protocol):
    """What a loss needs to be fitted along a path, all folds in lockstep.

    A solver is made once for a study from the `Design` and a target ``[n, m]``, or ``[K, n, m]`` where folds are fitted
    to others, and keeps whatever can be shared between trials (moments, eigendecompositions, active sets). Its results
    never depend on what it kept.
    """

    design: Design
    tol: float  # duality gap to reach, relative to the loss of each fold's null model
    null: Array  # [K] half the mean squared error, log loss or half mean deviance of each fold's null model, over all y

    @property
    def spread(self) -> float | Array:
        """Unit of decisions, or of those of each output: the standard deviation of y, 1 for classes and logarithms."""
        ...

    @property
    def matrix_free(self) -> bool:
        """Whether degrees of freedom of ridge are estimated, as no product of all pairs of columns is formed."""
        ...

    def gradient(self, scale: str, terms: GeneralTerms | None = None) -> Array:
        """``[K, p, m]``: the loss gradient in the scaled coefficients at w = 0, intercept fitted; 0 at constants.

        Of columns that `terms` leave unpenalised, w is fitted as well.
        """
        ...

    def initial(self, scale: str) -> Array:
        """``[K, p, m]``: each fold's ridge estimate, the start of adaptive penalties."""
        ...

    def path(self, terms: GeneralTerms, scale: str, lambdas: Array, further: Array = NOTHING) -> Iterator[Piece]:
        """Fit every lambda (descending), warm-started; yields consecutive pieces, so that the caller can stop early.

        Those `further` on are fitted a few at a time, for as long as the caller asks; a piece ends where they begin.
        """
        ...

    def training_losses(self, point: Piece) -> Array:
        """``[K]`` losses of a point in training, as `null`, by the weights that it is fitted with."""
        ...

    def tells_apart(self, point: Piece) -> bool:
        """Whether classes are seen to be separable from a point: without a penalty there is no fit then."""
        ...

    def predicted(self, eta: Array) -> Array:
        """What scores take for a decision ``[..., m]``: that itself, or what a link makes of it."""
        ...


@dataclass(frozen=True)
class Piece:
    """Consecutive points of a path.

    Attributes
    ----------
    held
        Coefficients of the caller's columns.
    intercept
        ``[K, steps, m]`` beside the caller's columns; beside those of `Design.matrix` it is ``shift @ coef`` more.
    gap
        ``[K, steps]`` duality gap relative to the loss of the fold's null model: a bound on the suboptimality.
    complexity
        ``[K, steps]`` effective degrees of freedom; see `regsearch.models.linear.freedom`.
    losses
        ``(train, val)``, each ``[K, steps]``, of several targets ``[K, steps, t]``: mean squared errors where the
        solver knows them without reading the rows; else `None`.
    separable
        ``[K]``: at lambda 0, whether classes are separable, so that there is no fit without a penalty and this is one
        under a ridge next to none; `None` where they are in no fold.
    """

    held: Coefficients
    intercept: Array
    gap: Array
    complexity: Array
    losses: tuple[Array, Array] | None = None
    separable: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls, coef: Array, intercept: Array, gap: Array, complexity: Array, losses: tuple[Array, Array] | None = None
    ) -> Piece:
        """Of coefficients ``[K, steps, p, m]``."""
        return cls(Coefficients.whole(coef), intercept, gap, complexity, losses)

    @property
    def steps(self) -> int:
        return int(self.intercept.shape[1])

    @property
    def coef(self) -> Array:
        """``[K, steps, p, m]``, made anew."""
        return self.held.dense()

    def point(self, step: int) -> Piece:
        """One of its points."""
        return self.part(slice(step, step + 1))

    def part(self, steps: slice) -> Piece:
        """Some of its points."""
        losses = None if self.losses is None else (self.losses[0][:, steps], self.losses[1][:, steps])
        return Piece(
            self.held.part(steps), self.intercept[:, steps], self.gap[:, steps], self.complexity[:, steps], losses
        )

    def output(self, j: int) -> Piece:
        """The same of one of several targets."""
        losses = None if self.losses is None else (self.losses[0][..., j], self.losses[1][..., j])
        return Piece(self.held.output(j), self.intercept[..., j : j + 1], self.gap, self.complexity, losses)


def of_fold(y: Array, k: int) -> Array:
    """The targets ``[n, m]`` of a fold, of those ``[n, m]`` of all folds or of each, ``[K, n, m]``."""
    return y if y.ndim == 2 else np.asarray(y[k])


def _inverse(scales: Array) -> Array:
    return np.divide(1.0, scales, out=np.zeros(scales.shape), where=scales > 0)


def _masks(parts: tuple[Rows, ...], n: int) -> NDArray[np.bool_]:
    masks = np.zeros((len(parts), n), dtype=bool)
    for mask, rows in zip(masks, parts, strict=True):
        mask[rows] = True
    return masks
