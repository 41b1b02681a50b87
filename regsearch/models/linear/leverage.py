"""The trace of the hat matrix of a ridge-penalised log-loss fit, with each row's own curvature.

Near its minimum the fit is a weighted least-squares fit of a working response (McCullagh & Nelder 1989, section 4.4):
row i has the weight ``w_i (diag(p_i) - p_i p_i')``, of two classes ``w_i p_i (1 - p_i)``. The trace of that fit's hat
matrix, less the free intercepts, is ``sum d / (d + lambda)`` over the eigenvalues d of the loss's Hessian in the
coefficients, the intercepts profiled out.

Notation and shapes

=========  ==========  =========================================================================================
symbol     shape       meaning
=========  ==========  =========================================================================================
n, m, r    int         rows, outputs (1 when there are two classes), coordinates of a row
eta        [n, m]      decisions
z          [B, r+1]    some rows: 1, then the centred and scaled columns; with fewer rows than columns, as penalties
                       of squares do not change when coordinates are turned, those along the right singular vectors
=========  ==========  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special

from regsearch._types import Array
from regsearch.models.linear.design import Design
from regsearch.models.linear.glm_ridge import ROWS_AT_ONCE, decompose
from regsearch.models.linear.sources import inverse_scales
from regsearch.models.linear.spectrum import row_kernel
from regsearch.models.linear.threads import all_threads

MOST = 3e11  # multiplications: seconds; two classes take no more than their fit did


def hat_trace(design: Design, scale: str, eta: Array, strength: float) -> float | None:
    """Effective degrees of freedom of a fit to the first fold's training rows, the intercepts left out.

    Parameters
    ----------
    eta
        ``[n, m]`` decisions of the fit on all rows.
    strength
        lambda l2; 0 gives the rank.

    Returns
    -------
    float | None
        `None` where several classes would make it too dear.
    """
    eta = eta[design.train[0]]
    n, m = eta.shape
    width = m * min(design.shape[1], n)
    work = float(width**2) * (n + width)
    if m > 1 and work > MOST:
        return None
    with all_threads(work):
        values, _ = decompose(_profiled(_hessian(design, scale, eta)))
    return float((values / (values + strength)).sum())


def _hessian(design: Design, scale: str, eta: Array) -> Array:
    """``[m, r+1, m, r+1]``."""
    weights = design.fold_weights[0, design.train[0]]
    m, hessian = eta.shape[1], np.zeros(())
    for part, z in _rows(design, scale):
        bend = _curvature(eta[part], weights[part])
        grams = [[z.T @ (bend[:, c, d, None] * z) for d in range(c + 1)] for c in range(m)]
        hessian = hessian + np.array([[grams[max(c, d)][min(c, d)] for d in range(m)] for c in range(m)])
    return hessian.transpose(0, 2, 1, 3)


def _rows(design: Design, scale: str) -> Iterator[tuple[slice, Array]]:
    """The rows, a few at a time."""
    rows, p = design.train[0], design.shape[1]
    matrix, center, inverse = design.fold(0), design.means[0], inverse_scales(design, scale)[0]
    if p > len(rows):
        values, vectors = decompose(row_kernel(matrix[rows], center, inverse, np.ones(len(rows))))
        yield slice(None), np.insert(vectors * np.sqrt(values), 0, 1.0, axis=1)
        return
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        block = matrix[rows[part]]
        dense = block if isinstance(block, np.ndarray) else block.toarray()
        yield part, np.insert((dense - center) * inverse, 0, 1.0, axis=1)


def _curvature(eta: Array, weights: Array) -> Array:
    """``[B, m, m]`` second derivatives of the rows' losses in their decisions."""
    if eta.shape[1] == 1:
        p = special.expit(eta)
        return np.asarray((weights[:, None] * p * special.expit(-eta))[..., None])
    p = special.softmax(eta, axis=1)
    return np.asarray(weights[:, None, None] * (p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]))


def _profiled(hessian: Array) -> Array:
    """``[m r, m r]``: the Hessian in the coefficients, where the intercepts follow them."""
    m, across = len(hessian), hessian.shape[1] - 1
    cross = hessian[:, 0, :, 1:].reshape(m, m * across)
    own = hessian[:, 1:, :, 1:].reshape(m * across, m * across)
    return np.asarray(own - cross.T @ np.linalg.pinv(hessian[:, 0, :, 0], hermitian=True) @ cross)
