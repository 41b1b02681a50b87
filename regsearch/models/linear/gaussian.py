"""Squared error along a path of lambdas, all folds in lockstep, every step certified by its duality gap.

Notation and shapes

=========  =============  =====================================================================
symbol     shape          meaning
=========  =============  =====================================================================
K, S, p    int            folds, steps, columns
w          [K, S, p]      coefficients of the centred and scaled columns
gradient   [K, S, p]      X'W(y - Xw), the negative gradient of the loss
lambdas    [S]            descending
l1         [K, p]         penalty weights; infinite keeps a coefficient at zero
=========  =============  =====================================================================

The loss is half the weighted mean squared error. Ridge and least squares come from one eigendecomposition per fold and
scaling; everything else from coordinate descent on Gram matrices, and on supports where that is slow. Where the
columns are many, each fold works on a few of them, and one matrix product checks all the others, for all folds and a
chunk of lambdas (Tibshirani et al. 2012).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.active_sets import ActiveSets
from regsearch.models.linear.design import NOTHING, Design, Piece
from regsearch.models.linear.freedom import column_powers, most_freedom
from regsearch.models.linear.general import GeneralTerms, Quadratic
from regsearch.models.linear.lambdas import CHUNK, WARM_UP_TOL, chunks, fit_path, warm_up_lambdas
from regsearch.models.linear.moment_source import FromMoments
from regsearch.models.linear.newton import QUICK
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.points import divide, used_columns
from regsearch.models.linear.precision import DOUBLE
from regsearch.models.linear.proximal import FoldPath, walk
from regsearch.models.linear.relaxed_path import KeptPaths
from regsearch.models.linear.sources import FromRows, Source
from regsearch.models.linear.spectrum import Spectrum
from regsearch.models.linear.squared_fold import SquaredFold, SquaredPoint, convex, minimum
from regsearch.models.linear.threads import all_threads

WHOLE = 400  # columns up to which working on few of them gains nothing
APART = 1e-6  # convexity from which rounding does not matter to a linear solve
GRAMS = 2  # times the room of the data that Gram matrices of all columns may take, to work on all
SMALL = 200  # columns up to which the memory for moments never matters, nor the time for an exact solution
SINGLE = 1e-6  # tolerance from which products of columns may be of single precision ...
TINY = 1e-20  # ... where the powers of columns, and their inverses, are no smaller
TOL = {"moments": 6e-8, "rows": 1e-5}


def by_moments(folds: int, n: int, p: int, entries: int) -> bool:
    """Whether moments of the folds are the better choice for rows ``[n, p]`` with so many entries.

    Three matrices of them per fold should not need more memory than three copies of the data.
    """
    return folds * p**2 <= entries or p <= SMALL < n


def too_many(design: Design) -> bool:
    """Whether columns that are mostly zeros are too many for the products of all pairs of them; see `squares.py`."""
    return design.many and not by_moments(design.folds, *design.shape, design.entries)


def chosen_method(design: Design) -> Literal["moments", "rows"]:
    """What costs less on a design; see `Gaussian`."""
    return "moments" if by_moments(design.folds, *design.shape, design.entries) else "rows"


def make_sources(design: Design, y: Array, method: Literal["moments", "rows"]) -> Sequence[Source]:
    """One source for each of the targets ``[n, t]``, or ``[K, n, t]``."""
    if method == "moments":
        return FromMoments.of(design, y)
    return [FromRows(design, np.ascontiguousarray(y[..., j])) for j in range(y.shape[-1])]


class Gaussian:
    """Squared error on the folds of a design; see `regsearch.models.linear.design.Solver`.

    Parameters
    ----------
    design
        Matrix, weights and folds.
    y
        ``[n, 1]`` target, or ``[K, n, 1]``.
    tol
        Duality gap to reach, relative to the loss of each fold's null model. By default 6e-8 from moments or for few
        columns, where it costs little, and 1e-5 where every look at many columns reads the rows; glmnet ends up alike.
    max_sweeps
        Passes of coordinate descent over the columns that one lambda may take; `Piece.gap` tells what they achieved.
    method
        Read the rows once, for moments of the folds, or at every chunk of lambdas; by default what costs less.
    source
        What was made of the target by this method, where it is at hand.
    """

    matrix_free = False

    def __init__(
        self,
        design: Design,
        y: Array,
        tol: float | None = None,
        max_sweeps: int = 10_000,
        method: Literal["auto", "moments", "rows"] = "auto",
        source: Source | None = None,
    ) -> None:
        self.design, self.max_sweeps = design, max_sweeps
        p = design.shape[1]
        method = chosen_method(design) if method == "auto" else method
        self.tol = tol or TOL["moments" if p <= SMALL else method]
        self.source: Source = source or make_sources(design, y, method)[0]
        self.null = self.source.power / 2
        self.spread = spread_of(design, y)
        self.whole = p <= WHOLE
        room = 0 if design.sparse else GRAMS * design.entries
        self.every = self.whole or (design.folds * p**2 <= room and p < design.counts.min())
        self.chunk = None if self.whole and method == "moments" else CHUNK
        self._spectra: dict[tuple[int, str], Spectrum] = {}
        self._quadratics: dict[tuple[int, str], Quadratic] = {}
        self._convexities: dict[str, Array] = {}
        self._paths = KeptPaths[SquaredPoint]()

    def gradient(self, scale: str, terms: GeneralTerms | None = None) -> Array:
        if terms is not None and np.any(terms.unpenalised) and terms.sparse:
            return -self._at_top(terms, scale)
        return -self.source.moment(scale)[:, :, None]

    def initial(self, scale: str) -> Array:
        spectra = (self._spectrum(k, scale) for k in range(self.design.folds))
        estimate = np.stack([spectrum.ridge(np.array([spectrum.gcv()]))[0] for spectrum in spectra])
        return (estimate * (self.design.scales(scale) > 0))[:, :, None]  # a constant column has some rounding

    def training_losses(self, point: Piece) -> Array:
        assert point.losses is not None
        return point.losses[0][:, 0] / 2

    def tells_apart(self, point: Piece) -> bool:
        return False

    def predicted(self, eta: Array) -> Array:
        return eta

    def path(self, terms: GeneralTerms, scale: str, lambdas: Array, further: Array = NOTHING) -> Iterator[Piece]:
        lambdas = np.asarray(lambdas, dtype=np.float64)
        if not terms.certified:
            return self._proximal(terms, scale, lambdas, further)
        assert isinstance(terms, Terms)
        scale = scale if lambdas.any() or self._independent(scale) else self._well_posed(scale)
        descent, ridge = partial(self._descent, terms, scale), partial(self._ridge, float(terms.l2), scale)
        return fit_path(lambdas, further, terms, descent, ridge)

    def _well_posed(self, scale: str) -> str:
        """The scaling to find least squares in: with fewer columns than rows it is the same fit in any units.

        Eigenvalues tell rank from rounding only where columns are of one size.
        """
        return "standard" if self.design.shape[1] < self.design.counts.min() else scale

    def _spectrum(self, k: int, scale: str) -> Spectrum:
        if (k, scale) not in self._spectra:
            n, p = self.design.shape
            with all_threads(n * p * min(n, p)):
                self._spectra[k, scale] = self.source.spectrum(k, scale)
        return self._spectra[k, scale]

    def convexity(self, scale: str) -> Array:
        """``[K]`` a lower bound of the eigenvalues of X'WX, which sharpens the duality gap; 0 where it is not cheap."""
        if isinstance(self.source, FromRows):
            return np.zeros(self.design.folds)
        if scale not in self._convexities:
            columns = (self.design.scales(scale) > 0).sum(axis=1)
            least = [self._spectrum(k, scale).least(count) for k, count in enumerate(columns)]
            self._convexities[scale] = np.array(least)
        return self._convexities[scale]

    def _ridge(self, l2: float, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        if not (l2 * np.append(lambdas, further)).any() and self._independent(scale):
            yield from (self._least_squares(scale, len(some)) for some in (lambdas, further) if len(some))
            return
        spectra = [self._spectrum(k, scale) for k in range(self.design.folds)]
        for strengths in chunks(lambdas * l2, self.chunk and 4 * self.chunk, further * l2):
            w = np.stack([spectrum.ridge(strengths) for spectrum in spectra])
            state = self.source.evaluate(range(len(spectra)), w, scale)
            slack = ((state.gradient - strengths[:, None] * w) ** 2).sum(axis=-1)
            least = np.array([[spectrum.values.min(initial=np.inf)] for spectrum in spectra])
            gap = slack / (2 * np.where(strengths > 0, strengths, least))  # strong convexity
            freedom = np.stack([spectrum.freedom(strengths) for spectrum in spectra])
            yield self._piece(scale, w, gap, freedom, (state.train, state.val))

    def _independent(self, scale: str) -> bool:
        """Whether it is cheap to say that no column depends on others, in any fold."""
        if not self.every or isinstance(self.source, FromMoments):
            return False
        return all(self._quadratic(k, scale).convexity > APART for k in range(self.design.folds))

    def _least_squares(self, scale: str, steps: int) -> Piece:
        """The fit without a penalty, at so many points, of columns that do not depend on each other."""
        folds, moment = range(self.design.folds), self.source.moment(scale)
        w = np.repeat(np.stack([minimum(self._quadratic(k, scale), moment[k]) for k in folds])[:, None], steps, axis=1)
        state, powers = self.source.evaluate(folds, w, scale), column_powers(self.design, scale)
        left = np.divide(state.gradient**2, powers[:, None], out=np.zeros_like(w), where=powers[:, None] > 0)
        convexity = np.array([[self._quadratic(k, scale).convexity] for k in folds])
        freedom = np.repeat((powers > 0).sum(axis=1)[:, None].astype(float), steps, axis=1)
        return self._piece(scale, w, left.sum(axis=-1) / (2 * convexity), freedom, (state.train, state.val))

    def _proximal(self, terms: GeneralTerms, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        of = scale, lambdas.tobytes(), further.tobytes()
        folds = self._paths.folds(terms, of, lambda terms: self._folds(terms, scale))
        for chunk in chunks(lambdas, CHUNK, further):
            along = walk(folds, chunk)
            w = np.array([[point.w[:, 0] for point in points] for points in along.points])
            losses = self.source.losses(range(len(folds)), w, scale)
            yield self._piece(scale, w, along.gap * self.source.power[:, None] / 2, along.freedom, losses)

    def _folds(self, terms: GeneralTerms, scale: str) -> list[FoldPath[SquaredPoint]]:
        folds, powers = range(self.design.folds), column_powers(self.design, scale)
        every = [self._quadratic(k, scale) if self.every else None for k in folds]
        losses = [SquaredFold(self.source, k, scale, powers[k], every[k]) for k in folds]
        return [FoldPath.of(k, loss, terms, self.tol, self.every) for k, loss in enumerate(losses)]

    def _quadratic(self, k: int, scale: str) -> Quadratic:
        """Of all columns; a fit that is kept does not ask how convex it is, for its coefficients to be exact, too."""
        if (k, scale) not in self._quadratics:
            every = np.arange(self.design.shape[1])
            form = partial(self.source.square, k, every, scale)
            quick = self.tol >= QUICK
            self._quadratics[k, scale] = convex(form, self._single(scale)) if quick else Quadratic(form(DOUBLE))
        return self._quadratics[k, scale]

    def _at_top(self, terms: GeneralTerms, scale: str) -> Array:
        """``[K, p, 1]`` negative gradient where only what is not penalised is fitted."""
        folds = self._folds(terms.at_top, scale)
        return np.stack([fold.loss.gradients([fold.advance(np.ones(1))[0].point])[0] for fold in folds])

    def _descent(self, terms: Terms, scale: str, lambdas: Array, further: Array) -> Iterator[Piece]:
        fits = ActiveSets(
            self.source, terms, scale, self.convexity(scale), self.whole, self._single(scale), self.max_sweeps
        )
        top = max(point.lambda_ for point in fits.last)  # infinite where something is not penalised
        top = top if top < np.inf else terms.lambda_max(self.gradient(scale))
        towards = warm_up_lambdas(top, lambdas[0])
        asked = -len(towards)
        for chunk in chunks(np.concatenate([towards, lambdas]), self.chunk, further):
            leading = np.arange(asked, asked + len(chunk)) < 0
            w, gap, state = fits.advance(chunk, np.where(leading, max(WARM_UP_TOL, self.tol), self.tol))
            skip = max(0, -asked)
            asked += len(chunk)
            if asked > 0:
                w, gap = w[:, skip:], gap[:, skip:]
                losses = state.train[:, skip:], state.val[:, skip:]
                yield self._piece(scale, w, gap, self._freedom(w, chunk[skip:] * terms.l2, scale), losses)

    def _single(self, scale: str) -> bool:
        """Whether products of columns may be of single precision."""
        if self.tol < SINGLE:
            return False
        power = column_powers(self.design, scale)
        return bool(power[power > 0].min(initial=1.0) > TINY and power.max(initial=1.0) < 1 / TINY)

    def _freedom(self, w: Array, strengths: Array, scale: str) -> Array:
        """``[K, S]`` of coefficients that an L1 part has chosen; see `regsearch.models.linear.freedom`."""
        powers = column_powers(self.design, scale)
        count, power = np.stack([used_columns(*of) for of in zip(w, powers, strict=True)], axis=1)
        if not strengths.any():
            return np.asarray(count)
        rank = np.array([[len(rows) - 1.0] for rows in self.design.train])
        most = most_freedom(np.minimum(count, rank), power, strengths)
        if isinstance(self.source, FromRows):
            return most  # where a spectrum is not cheap
        whole = [self._spectrum(k, scale).freedom(strengths) for k in range(self.design.folds)]
        return np.minimum(most, np.stack(whole))

    def _piece(
        self, scale: str, w: Array, gap: Array, complexity: Array, losses: tuple[Array, Array]
    ) -> Piece:  # fmt: skip
        coef, offset, inverse = np.empty(w.shape), np.empty(w.shape[:2]), self.design.inverse_scales(scale)
        centers = self.source.centers + self.design.shift
        for of in zip(w, inverse, centers, coef, offset, strict=True):
            divide(*of)
        intercept = self.source.target[:, None] - offset
        null = self.null[:, None]
        relative = np.divide(gap, null, out=np.zeros_like(gap), where=null > 0)
        return Piece.of(coef[..., None], intercept[..., None], relative, complexity, losses)


def spread_of(design: Design, y: Array) -> float:
    """The standard deviation of a target ``[n, 1]``; of one ``[K, n, 1]`` that of the rows of each fold, on average."""
    if y.ndim == 2:
        share = design.weights / design.weights.sum()
        return float(np.sqrt(share @ (y[:, 0] - share @ y[:, 0]) ** 2))
    of_folds = zip(y[..., 0], design.fold_weights, strict=True)
    return float(np.mean([np.sqrt(share @ (one - share @ one) ** 2) for one, share in of_folds]))
