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

With an L1 part, each fold takes proximal Newton steps on the few coefficients it works on (`regsearch.linear.newton`), and
one matrix product checks all the others, for all folds and a chunk of lambdas (Tibshirani et al. 2012). Without one, every
coefficient counts, and all lambdas of a chunk descend together (`regsearch.linear.glm_ridge`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from regsearch.errors import InvalidInput
from regsearch.linear.design import Array, Design, Piece
from regsearch.linear.glm_ridge import Basis, Ridge, dual_basis, primal_basis
from regsearch.linear.likelihood import duality_gaps, link, null_intercept
from regsearch.linear.newton import Block, Newton
from regsearch.linear.penalties import Terms

CHUNK = 5  # lambdas between two looks at all columns
RIDGE_CHUNK = 20  # lambdas that descend together
APPROACH = 0.6  # ratio of the lambdas that lead to the first one asked for
APPROACH_TOL = 1e-3
FLAT = 1e-8  # the ridge that stands for none, relative to the largest curvature


class LogLoss:
    """Log-loss on the folds of a design; see `regsearch.linear.design.Solver`.

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

    def __init__(self, design: Design, y: Array, tol: float = 1e-6, max_steps: int = 200) -> None:
        self.design, self.tol, self.max_steps = design, tol, max_steps
        self.rows = design.train
        self.weights = [np.ascontiguousarray(design.fold_weights[k, rows]) for k, rows in enumerate(self.rows)]
        self.y = [np.ascontiguousarray(y[rows].T[:, None]) for rows in self.rows]
        self.offset = np.stack([null_intercept(y, w) for y, w in zip(self.y, self.weights, strict=True)])  # [K, m]
        nulls = [link(b[:, None, None] + 0 * y, y, w) for b, y, w in zip(self.offset, self.y, self.weights, strict=True)]
        self.null = np.array([loss[0] for _, loss in nulls])  # [K]
        self._residual = [(y - p) * w for y, w, (p, _) in zip(self.y, self.weights, nulls, strict=True)]
        self._slopes: dict[str, Array] = {}
        self._bases: dict[tuple[int, str], Basis] = {}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Folds, outputs, columns."""
        return self.design.folds, self.offset.shape[1], self.design.shape[1]

    def gradient(self, scale: str) -> Array:
        return -self.slope(scale)[:, :, 0].transpose(0, 2, 1)

    def initial(self, scale: str) -> Array:
        """Ridge at the strength with the least GCV error of the null model's working response, fold by fold."""
        if ("initial", scale) not in self._slopes:
            strengths = [np.array([self._basis(k, scale).gcv(len(rows))]) for k, rows in enumerate(self.rows)]
            w = [self._ridge(k, scale).solve(strength).lifted() for k, strength in enumerate(strengths)]
            self._slopes["initial", scale] = np.stack(w)[:, :, 0].transpose(0, 2, 1)
        return self._slopes["initial", scale]

    def path(self, terms: Terms, scale: str, lambdas: Array) -> Iterator[Piece]:
        lambdas = np.asarray(lambdas, dtype=np.float64)
        if not np.any(terms.l1):
            return self._ridge_path(terms.l2, scale, lambdas)
        if not np.all(lambdas > 0):
            raise InvalidInput(f"An L1 penalty needs lambda > 0, got {lambdas.min()}; use NoPenalty for lambda = 0.")
        return self._descent(terms, scale, lambdas)
