"""Log-loss along a path of lambdas, all folds in lockstep, every step certified by its duality gap.

Notation and shapes (classes first inside; `design.Piece` has them last)

=========  =============  ==================================================================================
symbol     shape          meaning
=========  =============  ==================================================================================
K, S       int            folds, steps
m, p       int            outputs (1 when there are two classes), columns
w          [K, m, S, p]   coefficients of the centred and scaled columns
b          [K, m, S]      intercepts of the centred columns
gradient   [K, m, S, p]   X'W(y - probability), the negative gradient of the loss
lambdas    [S]            descending
l1         [K, m, p]      penalty weights; infinite keeps a coefficient at zero
=========  =============  ==================================================================================

With an L1 part, each fold takes proximal Newton steps on the few coefficients it works on (`newton.py`), and
one matrix product checks all the others, for all folds and a chunk of lambdas (Tibshirani et al. 2012); where columns
are few beside the rows it works on all (`few_columns.py`). Without one, every coefficient counts, and all lambdas of a
chunk descend together (`glm_ridge.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.coefficients import Coefficients
from regsearch.models.linear.design import NOTHING, Design, Piece, of_fold
from regsearch.models.linear.few_columns import FewColumns, are_few
from regsearch.models.linear.freedom import column_power, column_powers, curved_freedom, most_freedom
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.glm_ridge import Basis, Ridge, dual_basis, primal_basis, primal_values, products
from regsearch.models.linear.krylov import MatrixFreeRidge, Products
from regsearch.models.linear.lambdas import CHUNK, WARM_UP_TOL, chunks, fit_path, warm_up_lambdas
from regsearch.models.linear.likelihood import LogSample
from regsearch.models.linear.log_fold import LogFold, LogPoint
from regsearch.models.linear.newton import Newton
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.proximal import Along, FoldPath, walk
from regsearch.models.linear.relaxed_path import KeptPaths
from regsearch.models.linear.ridge_fits import RidgeFits, WayDown
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.separable import at_fault, seen_apart, settle
from regsearch.models.linear.threads import all_threads, for_each
from regsearch.models.linear.working_columns import times
from regsearch.models.linear.working_sets import UsedColumns, WorkingSets

CLASSES_CHUNK = 2  # lambdas of several classes, whose coefficients are as many times more, for `CHUNK`
RIDGE_CHUNK = 20  # lambdas that descend together
FLAT = 1e-8  # the ridge that stands for none, relative to the largest curvature
DECISIONS = 2**24  # of all folds that are held at a time, where X itself is not
CERTAIN = 1e-9  # a null loss below this belongs to a fold that trains on one class alone


class LogLoss:
    """Log-loss on the folds of a design; see `regsearch.models.linear.design.Solver`.

    Parameters
    ----------
    design
        Matrix, weights and folds.
    y
        ``[n, m]`` targets, 0 or 1: one column for two classes; otherwise one for each class, and the softmax of all m
        decisions is modelled, all m vectors of coefficients penalised, intercepts summing to zero.
    tol
        Duality gap to reach, relative to the loss of each fold's null model.
    max_steps
        Newton or descent steps that one lambda may take; `Piece.gap` tells what they achieved.
    """

    newton: type[Newton] = Newton

    def __init__(self, design: Design, y: Array, tol: float = 1e-6, max_steps: int = 200) -> None:
        self.design, self.tol, self.max_steps = design, tol, max_steps
        self.spread = 1.0
        self.samples = [self._sample(of_fold(y, k), k) for k in range(design.folds)]
        self.null = np.array([max(sample.null_loss, CERTAIN) for sample in self.samples])
        self._paths = KeptPaths[LogPoint]()
        self._slopes: dict[str, Array] = {}
        self._initial: dict[str, Array] = {}
        self._ridges: dict[tuple[int, str], RidgeFits] = {}
        self._values: dict[tuple[int, str], Array] = {}  # eigenvalues of all columns

    def _sample(self, y: Array, k: int) -> Sample:
        rows = self.design.train[k]
        return LogSample(np.ascontiguousarray(y[rows].T[:, None]), self.design.fold_weights[k, rows])

    @property
    def matrix_free(self) -> bool:
        return self.design.many and self.newton is Newton

    @property
    def shape(self) -> tuple[int, int, int]:
        """Folds, outputs, columns."""
        return self.design.folds, len(self.samples[0].y), self.design.shape[1]

    def gradient(self, scale: str, terms: GeneralTerms | None = None) -> Array:
        if terms is not None and np.any(terms.unpenalised) and terms.sparse:
            return -self._at_top(terms, scale)
        return -self.null_slope(scale).transpose(0, 2, 1)

    def initial(self, scale: str) -> Array:
        """Ridge at the strength with the least GCV error of the null model's quadratic, fold by fold."""
        if scale not in self._initial:
            estimate = np.stack([self._estimate(k, scale) for k in range(self.design.folds)])
            varies = self.design.scales(scale) > 0
            self._initial[scale] = estimate * varies[:, :, None]  # a constant column has some rounding
        return self._initial[scale]

    def path(self, terms: GeneralTerms, scale: str, lambdas: Array, further: Array = NOTHING) -> Iterator[Piece]:
        lambdas = np.asarray(lambdas, dtype=np.float64)
        if not terms.certified:
            return self._proximal(terms, scale, lambdas, further)
        assert isinstance(terms, Terms)
        if not lambdas.any():
            scale = "standard"  # without a penalty the fit is the same in any units, and in these it is well posed
        descent, ridge = partial(self._descent, terms, scale), partial(self._ridge_path, float(terms.l2), scale)
        return fit_path(lambdas, further, terms, descent, ridge)

    def training_losses(self, point: Piece) -> Array:
        return np.array([sample.at(self.decisions(point, k))[1][0] for k, sample in enumerate(self.samples)])

    def decisions(self, point: Piece, k: int) -> Array:
        """``[m, 1, n]`` of a point, on the rows that a fold trains on."""
        coef = point.held.fold(k)[0]
        offset = point.intercept[k, 0] + self.design.shift @ coef
        along = np.asarray(self.design.fold(k) @ coef)[self.design.train[k]]
        return np.ascontiguousarray((along + offset).T[:, None])

    def tells_apart(self, point: Piece) -> bool:
        """By the first fold: its decisions, and, of two classes and dense columns, those that a few steps lead to."""
        eta, sample = self.decisions(point, 0)[:, 0], self.samples[0]
        if len(eta) > 1 or not isinstance(self.design.matrix, np.ndarray):
            return not at_fault(eta, sample.y[:, 0]).any()
        return seen_apart(self.design, 0, sample, eta[0])

    def predicted(self, eta: Array) -> Array:
        return eta

    def _chunks(self, lambdas: Array, most: int, further: Array = NOTHING) -> Iterator[Array]:
        """Lambdas that are fitted together: of a table of many rows so few that little is held of each row."""
        folds, m, _ = self.shape
        if self.design.by_rows:
            most = max(1, min(most, DECISIONS // (folds * m * self.design.shape[0])))
        return chunks(lambdas, most, further, min(most, CHUNK))

    def null_slope(self, scale: str) -> Array:
        """``[K, m, p]`` negative gradient of the null model."""
        if scale in self._slopes:
            return self._slopes[scale]
        groups = self.design.together(self.shape[1] * max(self.design.shape))
        pairs = ((list(some), [self.samples[k].null_residual for k in some]) for some in groups)
        made = np.concatenate([self.correlate(*pair, scale)[:, :, 0] for pair in pairs])
        if self.design.keeps_columns:
            self._slopes[scale] = made
        return made

    def correlate(self, folds: list[int], residuals: list[Array], scale: str) -> Array:
        """``[F, m, S, p]`` products of the scaled columns with weighted residuals ``[m, S, n]`` of each fold."""
        spread = np.zeros((len(folds), *residuals[0].shape[:2], self.design.shape[0]))
        for one, k, residual in zip(spread, folds, residuals, strict=True):
            one[..., self.design.train[k]] = residual
            for of_output, total in zip(one, residual.sum(axis=2, keepdims=True), strict=True):
                np.subtract(of_output, total * self.design.fold_weights[k], out=of_output)  # in place of the columns
        if self.design.shared:  # one pass over the matrix for all folds
            slopes = times(spread, self.design.matrix)
        else:
            slopes = np.stack([times(one, self.design.fold(k)) for one, k in zip(spread, folds, strict=True)])
        for i, k in enumerate(folds):
            slopes[i] *= self.design.inverse_scale(scale, k)
        return slopes

    def _proximal(self, terms: GeneralTerms, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        of = scale, lambdas.tobytes(), further.tobytes()
        folds = self._paths.folds(terms, of, lambda terms: self._folds(terms, scale))
        for chunk in self._chunks(lambdas, CHUNK, further):
            yield self._walked(scale, walk(folds, chunk))

    def _walked(self, scale: str, along: Along[LogPoint]) -> Piece:
        w = self._of_all([np.stack([point.w.T for point in points], axis=1) for points in along.points])
        b = np.array([[point.b for point in points] for points in along.points]).transpose(0, 2, 1)
        return self._piece(scale, w, b, along.gap * self.null[:, None], along.freedom)

    def _folds(self, terms: GeneralTerms, scale: str) -> list[FoldPath[LogPoint]]:
        made = []
        for k, power in enumerate(column_powers(self.design, scale)):
            loss = LogFold(self.design, k, scale, power, self.samples[k], float(self.null[k]), self.correlate)
            made.append(FoldPath.of(k, loss, terms, self.tol, False))
        return made

    def _at_top(self, terms: GeneralTerms, scale: str) -> Array:
        """``[K, p, m]`` negative gradient where only what is not penalised is fitted."""
        folds = self._folds(terms.at_top, scale)
        return np.stack([fold.loss.gradients([fold.advance(np.ones(1))[0].point])[0] for fold in folds])

    def _descent(self, terms: Terms, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        fits = FewColumns(self, terms, scale) if are_few(self) else WorkingSets(self, terms, scale)
        most = CHUNK if self.shape[1] == 1 else CLASSES_CHUNK
        for chunk in self._chunks(warm_up_lambdas(terms.lambda_max(self.gradient(scale)), lambdas[0]), most):
            fits.advance(chunk, max(WARM_UP_TOL, self.tol))
        for chunk in self._chunks(lambdas, most, further):
            yield self._descended(fits, terms, scale, chunk)

    def _descended(self, fits: FewColumns | WorkingSets, terms: Terms, scale: str, lambdas: Array) -> Piece:
        """The points of the next lambdas, of which nothing is held once they are given away."""
        w, b, gap = fits.advance(lambdas, self.tol)
        return self._piece(scale, w, b, gap, self._freedom(w, fits.curvature, lambdas * terms.l2, scale))

    def _ridge_path(self, l2: float, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        ways: list[WayDown | None] = [None] * self.design.folds
        most = max(1, min(CHUNK, self.design.room // math.prod(self.shape))) if self.matrix_free else RIDGE_CHUNK
        for strengths in self._chunks(lambdas * l2, most, further * l2):
            yield self._ridge_piece(scale, ways, strengths)

    def _ridge_piece(self, scale: str, ways: list[WayDown | None], strengths: Array) -> Piece:
        """The points of some strengths, on the ways of the folds; those that have none yet begin one."""

        def fit(k: int) -> _RidgeFit:
            ways[k] = way = ways[k] or self._way(k, scale)
            return self._ridge_fold(k, scale, way, strengths)

        if self.design.by_rows:  # each is formed on all threads of BLAS, whose number is that of the process
            for k in range(len(ways)):
                self._ridge(k, scale)
        fits = for_each(fit, range(len(ways)), self.design.by_rows)
        b, gap, freedom, separable = (np.stack(part) for part in list(zip(*fits, strict=True))[1:])
        own = (one.w.copy() if self.matrix_free else one.w for one in fits)  # ways hold on to theirs
        piece = self._piece(scale, self._of_all(own), b, gap, freedom)
        return replace(piece, separable=separable if separable.any() else None)

    def _way(self, k: int, scale: str) -> WayDown:
        """From the null model."""
        ridge = self._ridge(k, scale)
        return ridge.way(ridge.start(self.samples[k].null_intercept))

    def _of_all(self, w: Iterable[Array]) -> Iterator[UsedColumns]:
        """Coefficients ``[m, S, p]`` of each fold."""
        every = np.arange(self.shape[2])
        return (UsedColumns(every, one) for one in w)

    def _ridge_fold(self, k: int, scale: str, way: WayDown, strengths: Array) -> _RidgeFit:
        ridge = self._ridge(k, scale)
        held = strengths > 0
        strengths = np.where(held, strengths, FLAT * ridge.largest_curvature())
        target, separable = self.tol * self.null[k], False
        theta, gap, freedom = way.solve(strengths, target, self.max_steps)
        if not held.any():
            found = theta[:, :1]
            settled, separable = self._settled(ridge, found, strengths[0], self.null[k])
            if settled is not found:
                theta, gap, freedom = ridge.way(settled).solve(strengths, np.inf, 0)
        freedom = np.where(held, freedom, ridge.rank * max(len(theta) - 1, 1))  # the rank, by classes
        return _RidgeFit(ridge.coefficients(theta), theta[..., -1], gap, freedom, separable)

    def _settled(self, ridge: RidgeFits, theta: Array, strength: float, null: float) -> tuple[Array, bool]:
        """The fit without a penalty, and whether it is none, as classes are separable."""
        return settle(ridge, theta, strength, null, self.max_steps)

    def _estimate(self, k: int, scale: str) -> Array:
        strength = np.array([self._ridge(k, scale).gcv()])
        return self._ridge_fold(k, scale, self._way(k, scale), strength).w[:, 0].T

    def _ridge(self, k: int, scale: str) -> RidgeFits:
        """One fold's ridge problem; it reads the shared matrix, which therefore is filled for the fold."""
        if (k, scale) not in self._ridges:
            sample, count = self.samples[k], float(self.design.counts[k])
            if self.matrix_free:
                of, null = partial(self._products, k, scale), partial(self._null_of, k, scale)
                self._ridges[k, scale] = MatrixFreeRidge(of, sample, count, null)
                return self._ridges[k, scale]
            rows, columns = self.design.train[k], (self.design.means[k], self.design.inverse_scale(scale, k))
            matrix = self.design.fold(k)  # those may have filled it for other folds
            basis = primal_basis if self.design.shape[1] <= len(rows) else dual_basis
            with all_threads(matrix.shape[0] * matrix.shape[1] * min(matrix.shape)):
                made = basis(matrix, rows, *columns, sample.weights)
            self._ridges[k, scale] = self._ridge_in(made, sample, count)
        self.design.fold(k)
        return self._ridges[k, scale]

    def _products(self, k: int, scale: str) -> Products:
        made = products(
            self.design.fold(k), self.design.train[k], self.samples[k].weights, self.design.inverse_scale(scale, k)
        )
        return Products(*made, column_power(self.design, scale, k))

    def _null_of(self, k: int, scale: str) -> Array:
        """``[m, p]`` of one fold."""
        return np.asarray(self.correlate([k], [self.samples[k].null_residual], scale)[0, :, 0])

    def _ridge_in(self, basis: Basis, sample: Sample, rows: float) -> RidgeFits:
        return Ridge(basis, sample.y, sample.weights, rows)

    def _freedom(self, fits: list[UsedColumns], curvature: Array, strengths: Array, scale: str) -> Array:
        """``[K, S]`` of coefficients that an L1 part has chosen; see `regsearch.models.linear.freedom`."""
        count = np.stack([(one.w != 0).sum(axis=-1) for one in fits]).astype(np.float64)
        if not strengths.any():
            return np.asarray(count.sum(axis=1))
        powers = column_powers(self.design, scale)
        power = np.stack([(one.w != 0) @ of[one.columns] for one, of in zip(fits, powers, strict=True)]) * curvature
        rank = np.array([len(rows) - 1.0 for rows in self.design.train])[:, None, None]
        most = most_freedom(np.minimum(count, rank), power, strengths).sum(axis=1)
        if any(len(rows) < self.shape[2] for rows in self.design.train):
            return np.asarray(most)  # where a spectrum is not cheap
        whole = [self._freedom_of_all(k, scale, one, strengths) for k, one in enumerate(curvature)]
        return np.asarray(np.minimum(most, np.stack(whole)))

    def _freedom_of_all(self, k: int, scale: str, curvature: Array, strengths: Array) -> Array:
        """``[S]``: what all columns of a fold spend."""
        if self.matrix_free:
            return self._ridge(k, scale).freedom(curvature, strengths)
        if (k, scale) not in self._values:
            rows, columns = self.design.train[k], (self.design.means[k], self.design.inverse_scale(scale, k))
            matrix = self.design.fold(k)
            with all_threads(matrix.shape[0] * matrix.shape[1] ** 2):
                self._values[k, scale] = primal_values(matrix, rows, *columns, self.samples[k].weights)
        return curved_freedom(curvature, self._values[k, scale], strengths)

    def _piece(self, scale: str, fits: Iterable[UsedColumns], b: Array, gap: Array, complexity: Array) -> Piece:
        """Of coefficients that are written to, as they are large, and b ``[K, m, S]``."""
        intercept, used, values = b.copy(), list[Rows](), list[Array]()
        for k, (columns, w) in enumerate(fits):
            coef = np.multiply(w, self.design.inverse_scale(scale, k)[columns], out=w)
            intercept[k] -= coef @ (self.design.mean(k, columns) + self.design.shift[columns])
            used.append(columns)
            values.append(w.transpose(1, 2, 0))
        if intercept.shape[1] > 1:
            intercept -= intercept.mean(axis=1, keepdims=True)
        held = Coefficients(used, values, self.shape[2])
        return Piece(held, intercept.transpose(0, 2, 1), gap / self.null[:, None], complexity)


class _RidgeFit(NamedTuple):
    w: Array
    b: Array
    gap: Array
    freedom: Array
    separable: bool
