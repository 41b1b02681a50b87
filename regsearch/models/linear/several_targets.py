"""Squared error of several targets along a path of lambdas, all folds in lockstep: the sum of that of each.

Penalties of single coefficients are fitted target by target, on what is known of the columns once; those of rows, by
`row_sets.py`. Notation as in `gaussian.py`, with t targets as outputs: ``w [K, S, p, t]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.design import NOTHING, Design, Piece, Solver
from regsearch.models.linear.freedom import column_powers
from regsearch.models.linear.gaussian import WHOLE, Gaussian, chosen_method, make_sources, too_many
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.lambdas import CHUNK, WARM_UP_TOL, chunks, warm_up_lambdas
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.row_norms import RowTerms
from regsearch.models.linear.row_sets import RowFits, RowSets, row_freedom
from regsearch.models.linear.sources import Source
from regsearch.models.linear.squares import Squares

MOST_SWEEPS = 10_000


class SeveralTargets:
    """Squared error of targets on the folds of a design; see `regsearch.models.linear.design.Solver`.

    Targets are ``[n, t]``, or ``[K, n, t]`` where folds are fitted to others.
    `tol` is relative to the loss of all targets' null models together.
    """

    def __init__(self, design: Design, y: Array) -> None:
        self.design, self.y = design, y
        if too_many(design):
            self.solvers: list[Solver] = [Squares(design, y[..., [j]]) for j in range(y.shape[-1])]
        else:
            self.solvers = [Gaussian(design, y[..., [j]], source=source) for j, source in enumerate(self.sources)]
        self.spread = np.array([solver.spread for solver in self.solvers])
        self._nulls = np.stack([solver.null for solver in self.solvers], axis=1)  # [K, t]
        self.null = self._nulls.sum(axis=1)

    @cached_property
    def sources(self) -> Sequence[Source]:
        """Of each target."""
        return make_sources(self.design, self.y, "rows" if too_many(self.design) else chosen_method(self.design))

    @property
    def tol(self) -> float:
        return self.solvers[0].tol

    @tol.setter
    def tol(self, tol: float) -> None:
        for solver in self.solvers:
            solver.tol = tol

    @property
    def matrix_free(self) -> bool:
        return self.solvers[0].matrix_free

    def gradient(self, scale: str, terms: GeneralTerms | None = None) -> Array:
        if terms is not None and terms.rowwise and np.any(terms.unpenalised):
            assert isinstance(terms, RowTerms)
            top = self._sets(terms.at_top, scale)
            top.advance(np.ones(1), self.tol)
            return -top.gradient
        parts = (solver.gradient(scale, self._own(terms, j)) for j, solver in enumerate(self.solvers))
        return np.concatenate(list(parts), axis=-1)

    def initial(self, scale: str) -> Array:
        return np.concatenate([solver.initial(scale) for solver in self.solvers], axis=-1)

    def training_losses(self, point: Piece) -> Array:
        columns = [point.output(j) for j in range(len(self.solvers))]
        return np.asarray(sum(solver.training_losses(one) for solver, one in zip(self.solvers, columns, strict=True)))

    def tells_apart(self, point: Piece) -> bool:
        return False

    def predicted(self, eta: Array) -> Array:
        return eta

    def path(self, terms: GeneralTerms, scale: str, lambdas: Array, further: Array = NOTHING) -> Iterator[Piece]:
        lambdas = np.asarray(lambdas, dtype=np.float64)
        if terms.rowwise and lambdas.all():
            assert isinstance(terms, RowTerms)
            return self._by_rows(terms, scale, lambdas, further)
        solved = (solver.path(self._own(terms, j), scale, lambdas, further) for j, solver in enumerate(self.solvers))
        return self._together([_Rest(pieces) for pieces in solved])

    def _own(self, terms: GeneralTerms | None, j: int) -> GeneralTerms:
        """What a penalty of single coefficients asks of those of one target; of rows, of those that are free."""
        if terms is None or terms.rowwise:
            return Terms(np.zeros(1), 0.0)
        assert isinstance(terms, Terms)
        return terms.of_output(j)

    def _together(self, rests: list[_Rest]) -> Iterator[Piece]:
        """Pieces of all targets, as long as the shortest of those at hand."""
        while all([rest.filled() for rest in rests]):  # noqa: C419 - every one is filled
            steps = min(rest.steps for rest in rests)
            pieces = [rest.take(steps) for rest in rests]
            share = self._nulls / np.where(self.null > 0, self.null, 1.0)[:, None]
            gap = sum(piece.gap * share[:, j, None] for j, piece in enumerate(pieces))
            losses = [piece.losses for piece in pieces]
            both = None
            if all(one is not None for one in losses):
                both = tuple(np.stack([one[part] for one in losses if one is not None], axis=-1) for part in (0, 1))
            coef = np.concatenate([piece.coef for piece in pieces], axis=-1)
            intercept = np.concatenate([piece.intercept for piece in pieces], axis=-1)
            freedom = np.asarray(sum(piece.complexity for piece in pieces))
            yield Piece.of(coef, intercept, np.asarray(gap), freedom, None if both is None else (both[0], both[1]))

    def _sets(self, terms: RowTerms, scale: str) -> RowSets:
        powers, first = column_powers(self.design, scale), self.solvers[0]
        convexity = first.convexity(scale) if isinstance(first, Gaussian) else np.zeros(self.design.folds)
        whole = self.design.shape[1] <= WHOLE
        return RowSets(self.sources, terms, scale, powers, convexity, whole, MOST_SWEEPS)

    def _by_rows(self, terms: RowTerms, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        sets = self._sets(terms, scale)
        towards = warm_up_lambdas(terms.lambda_max(self.gradient(scale, terms)), lambdas[0])
        for chunk in chunks(towards, CHUNK):
            sets.advance(chunk, max(WARM_UP_TOL, self.tol))
        for chunk in chunks(lambdas, CHUNK, further):
            fits = sets.advance(chunk, self.tol)
            yield self._piece(scale, fits, row_freedom(fits.w, chunk, terms, sets.powers))

    def _piece(self, scale: str, fits: RowFits, freedom: Array) -> Piece:
        coef = fits.w * self.design.inverse_scales(scale)[:, None, :, None]
        centers = self.sources[0].centers + self.design.shift
        means = np.stack([source.target for source in self.sources], axis=-1)
        intercept = means[:, None] - np.einsum("kspt,kp->kst", coef, centers)
        gap = np.divide(fits.gap, self.null[:, None], out=np.zeros_like(fits.gap), where=self.null[:, None] > 0)
        ranks = np.array([[len(rows) - 1.0] for rows in self.design.train]) * len(self.sources)
        return Piece.of(coef, intercept, gap, np.minimum(freedom, ranks), (fits.train, fits.val))


class _Rest:
    """The pieces of one target that others have not come to yet."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self.pieces, self.piece = pieces, next(pieces, None)

    def filled(self) -> bool:
        """Whether there is anything left."""
        if self.piece is None:
            self.piece = next(self.pieces, None)
        return self.piece is not None

    @property
    def steps(self) -> int:
        assert self.piece is not None
        return self.piece.steps

    def take(self, steps: int) -> Piece:
        """Its next points."""
        assert self.piece is not None
        taken, rest = self.piece.part(slice(0, steps)), self.piece.part(slice(steps, None))
        self.piece = rest if rest.steps else None
        return taken
