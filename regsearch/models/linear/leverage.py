"""The trace of the hat matrix of a ridge-penalised fit, with each row's own curvature.

Near its minimum the fit is a weighted least-squares fit of a working response (McCullagh & Nelder 1989, section 4.4):
row i has the weight ``w_i (diag(p_i) - p_i p_i')``, of two classes ``w_i p_i (1 - p_i)``, and otherwise ``w_i`` times
the second derivative of its loss. The trace of that fit's hat
matrix, less the free intercepts, is ``sum d / (d + lambda)`` over the eigenvalues d of the loss's Hessian in the
coefficients, the intercepts profiled out.

Notation and shapes

=========  ==========  =========================================================================================
symbol     shape       meaning
=========  ==========  =========================================================================================
n, m, r    int         rows, outputs (1 when there are two classes), coordinates of a row
own        [m, n]      second derivatives of the rows' losses, ``shares shares'`` still to be taken off
z          [B, r+1]    some rows: 1, then the centred and scaled columns; with fewer rows than columns, as penalties
                       of squares do not change when coordinates are turned, those along the right singular vectors
=========  ==========  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from regsearch._types import Array
from regsearch.models.linear.blocks import some_rows
from regsearch.models.linear.design import Design, Piece
from regsearch.models.linear.glm_ridge import decompose
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.spectrum import row_kernel
from regsearch.models.linear.threads import all_threads

MOST = 3e11  # multiplications: seconds; two classes take no more than their fit did


def hat_trace(solver: LogLoss, point: Piece, scale: str, strength: float) -> float | None:
    """Effective degrees of freedom of a fit to the first fold's training rows, the intercepts left out.

    Parameters
    ----------
    point
        The fit.
    strength
        lambda l2; 0 gives the rank.

    Returns
    -------
    float | None
        `None` where several classes would make it too dear.
    """
    design, sample, eta = solver.design, solver.samples[0], solver.decisions(point, 0)
    m, _, n = eta.shape
    width = m * min(design.shape[1], n)
    work = float(width**2) * (n + width)
    if m > 1 and work > MOST:
        return None
    own, shares = sample.hessian(eta[:, 0], sample.at(eta)[0][:, 0])
    with all_threads(work):
        values, _ = decompose(_profiled(_hessian(design, scale, own, shares)))
    return float((values / (values + strength)).sum())


def _hessian(design: Design, scale: str, own: Array, shares: Array | None) -> Array:
    """``[m, r+1, m, r+1]`` of rows with the second derivatives ``diag(own) - shares shares'``."""
    m, hessian = len(own), np.zeros(())
    for part, z in _rows(design, scale):
        bend = np.eye(m)[:, :, None] * own[:, part]
        if shares is not None:
            bend = bend - shares[:, None, part] * shares[:, part]
        grams = [[z.T @ (bend[c, d, :, None] * z) for d in range(c + 1)] for c in range(m)]
        hessian = hessian + np.array([[grams[max(c, d)][min(c, d)] for d in range(m)] for c in range(m)])
    return hessian.transpose(0, 2, 1, 3)


def _rows(design: Design, scale: str) -> Iterator[tuple[slice, Array]]:
    """The rows, a few at a time."""
    rows, p = design.train[0], design.shape[1]
    matrix, center, inverse = design.fold(0), design.means[0], design.inverse_scale(scale, 0)
    if p > len(rows):
        values, vectors = decompose(row_kernel(matrix[rows], center, inverse, np.ones(len(rows))))
        yield slice(None), np.insert(vectors * np.sqrt(values), 0, 1.0, axis=1)
        return
    for part in some_rows(len(rows), p):
        block = matrix[rows[part]]
        dense = block if isinstance(block, np.ndarray) else block.toarray()
        yield part, np.insert((dense - center) * inverse, 0, 1.0, axis=1)


def _profiled(hessian: Array) -> Array:
    """``[m r, m r]``: the Hessian in the coefficients, where the intercepts follow them."""
    m, across = len(hessian), hessian.shape[1] - 1
    cross = hessian[:, 0, :, 1:].reshape(m, m * across)
    own = hessian[:, 1:, :, 1:].reshape(m * across, m * across)
    return np.asarray(own - cross.T @ np.linalg.pinv(hessian[:, 0, :, 0], hermitian=True) @ cross)
