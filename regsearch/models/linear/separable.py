"""Separable classes, whose likelihood has no maximum: whether they are, and the fit that stands for none there.

Classes are separable where some decision that is no constant is at fault in no row: then the likelihood of its
multiples rises for ever (Albert & Anderson 1984). The fit under a ridge next to none grows without end there as that
ridge goes to zero, and hardly moves elsewhere, which is what is looked at.

Notation and shapes: as in `glm_ridge.py`; columns ``[r + 1, n]`` are those of the basis, and ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg.lapack import dposv
from scipy.special import expit

from regsearch._types import Array
from regsearch.models.linear.blocks import Square, some_rows
from regsearch.models.linear.design import Design
from regsearch.models.linear.glm_ridge import Ridge
from regsearch.models.linear.kernels import Flags
from regsearch.models.linear.likelihood import probabilities_and_losses
from regsearch.models.linear.ridge_fits import RidgeFits
from regsearch.models.linear.sample import Sample

CERTAIN = 8.0  # lead of a class below which, in all rows, the likelihood is taken to have a maximum
WEAKER = 0.01  # share of the ridge that is left ...
GROWN = 1.0  # ... and the change of a lead that says that there is none
SIZE = 1000  # coefficients up to which Newton's steps are taken
NUMBERS = 2**27  # of the columns that are read to look for such a decision
TOL = 1e-10  # ... and the duality gap that others are solved to, relative to the loss of the null model
STEPS = 200
HALVINGS = 40
FAULTS = 0.05  # share of the rows that are at fault from which classes are not taken to be nearly separable
TRIED = 5  # Newton steps towards a decision that is at fault in none
ROUNDING = 1e-6  # lead of the right class that counts as none
HELD = 1e-8  # ridge beside them, relative to the mean curvature of a coefficient
SOLVED = 1e-15  # what a step promises, relative to the objective


def settle(ridge: RidgeFits, theta: Array, strength: float, null: float, max_steps: int) -> tuple[Array, bool]:
    """Of a fit ``[m, 1, r + 1]`` under a ridge next to none: the same, and whether without it there would be none.

    Where that may be, it is solved as well as numbers allow, so that it does not depend on what it was solved to.
    """
    if _leads(ridge, theta).max() <= CERTAIN:
        return theta, False

    def solved(start: Array, strength: float) -> Array:
        if isinstance(ridge, Ridge) and theta.size <= SIZE:
            return _maximised(ridge, start, strength)
        return ridge.way(start).solve(np.array([strength]), TOL * null, max_steps)[0]

    found = solved(theta, strength)
    further = solved(found, WEAKER * strength)
    return found, bool(_leads(ridge, further - found).max() > GROWN)


def seen_apart(design: Design, k: int, sample: Sample, eta: Array) -> bool:
    """Whether a few Newton steps lead from decisions ``[n]`` of a fold to one that is at fault in no row.

    Two classes are separable then; they may be all the same where it is not seen. Nobody looks where many rows are at
    fault, or columns are many.
    """
    y, weights = sample.y[0, 0], sample.weights
    faults = at_fault(eta[None], sample.y[:, 0])
    if not faults.any():
        return True
    if np.mean(faults) > FAULTS or design.shape[1] > SIZE or design.shape[1] * len(weights) > NUMBERS:
        return False
    eta = np.array(eta, dtype=np.float64)  # to be written to
    for _ in range(TRIED):
        step = _newton_step(design, k, weights, eta, y)
        if step is None:  # no curvature is left
            return False
        _decide(design, k, step, eta)
        if not at_fault(eta[None], sample.y[:, 0]).any():
            return True
    return False


def _decide(design: Design, k: int, step: Array, eta: Array) -> None:
    """Add what a step ``[p + 1]`` says of a fold's training rows to their decisions ``[n]``."""
    for part, columns in _some_rows(design, k):
        eta[part] += step @ columns


def _newton_step(design: Design, k: int, weights: Array, eta: Array, y: Array) -> Array | None:
    """``[p + 1]`` from decisions ``[n]`` of a fold; `None` where the likelihood has no curvature but rounding."""
    p = expit(eta)
    residual, bend = weights * (y - p), np.sqrt(weights * p * (1 - p))
    square, slope = Square(design.shape[1] + 1), np.zeros(design.shape[1] + 1)
    for part, columns in _some_rows(design, k):
        slope += columns @ residual[part]
        square.add(np.multiply(columns, bend[part], out=columns).T)
    hessian = square.whole()
    hessian.flat[:: len(hessian) + 1] += HELD * np.trace(hessian) / len(hessian)
    _, step, singular = dposv(hessian.T, slope, lower=1, overwrite_a=1)
    return None if singular else np.asarray(step)


def _some_rows(design: Design, k: int) -> Iterator[tuple[slice, Array]]:
    """Parts of a fold's training rows, with the columns ``[p + 1, r]`` of these, to be written to."""
    rows, p = design.train[k], design.shape[1]
    matrix, center, inverse = design.fold(k), design.means[k, :, None], design.inverse_scale("standard", k)[:, None]
    room = np.empty(0)
    for part in some_rows(len(rows), p + 1):
        some = rows[part]
        room = room if room.size else np.empty((p + 1) * len(some))  # of the first part, which is the largest
        made = room[: (p + 1) * len(some)].reshape(p + 1, -1)
        made[-1] = 1.0
        columns = np.take(matrix.T, some, axis=1, out=made[:-1], mode="clip")  # no other mode writes there itself
        columns -= center
        columns *= inverse
        yield part, made


def told_apart(columns: Array, y: Array) -> bool:
    """Whether some decision of a few columns ``[n, q]``, no constant, is at fault in no row of classes ``[n]``.

    A linear program says so: of decisions that put no class before a row's own, the largest sum of leads.
    """
    from scipy.optimize import linprog

    labels, codes = np.unique(y, return_inverse=True)
    spread = columns.std(axis=0)
    units = np.divide(columns - columns.mean(axis=0), spread, out=np.zeros_like(columns), where=spread > 0)
    units, m = np.column_stack([units, np.ones(len(y))]), len(labels)
    if len(units) * units.shape[1] * m * (m - 1) > NUMBERS:
        return False
    leads = []
    for c in range(m):
        rows = codes != c
        own = np.eye(m)[codes[rows]] - np.eye(m)[c]  # of a row's own class, against the other
        leads.append((own[:, :, None] * units[rows, None]).reshape(rows.sum(), -1))
    lead = np.vstack(leads)
    found = linprog(-lead.sum(axis=0), A_ub=-lead, b_ub=np.zeros(len(lead)), bounds=(-1, 1))
    return bool(found.success and -found.fun > ROUNDING * len(lead))


def at_fault(eta: Array, y: Array) -> Flags:
    """``[n]``: whether decisions ``[m, n]`` do not put a row's own class first, by classes ``[m, n]``."""
    if len(eta) == 1:
        return np.asarray((2 * y[0] - 1) * eta[0] <= ROUNDING)
    own = (y * eta).sum(axis=0)
    return np.asarray(own - np.max(eta, axis=0, initial=-np.inf, where=y == 0) <= ROUNDING)


def _leads(ridge: RidgeFits, theta: Array) -> Array:
    """``[n]``: how far the first class is ahead of the last."""
    eta = ridge.decisions(theta)[:, 0]
    return np.asarray(np.abs(eta[0]) if len(eta) == 1 else np.ptp(eta, axis=0))


def _maximised(ridge: Ridge, theta: Array, strength: float) -> Array:
    """Newton's steps from coefficients ``[m, 1, r + 1]``; rows are read where they are, a few at a time.

    Conjugate gradients end far from there, as rows differ by orders of magnitude in their curvature.
    """
    held = np.full(theta.shape[2], strength)
    held[-1] = 0.0
    here, eta = theta[:, 0], ridge.decisions(theta)[:, 0]
    for _ in range(STEPS):
        p, loss = probabilities_and_losses(eta[:, None], ridge.y, ridge.weights)
        value = float(loss[0]) + _cost(here, held)
        slope = _products(ridge, (ridge.y - p)[:, 0] * ridge.weights) - held * here
        _, step, singular = dposv(_hessian(ridge, p[:, 0], held).T, slope.ravel(), lower=1, overwrite_a=1)
        if singular:  # no curvature is left but rounding
            break
        step = step.reshape(here.shape)
        move = ridge.decisions(step[:, None])[:, 0]
        length = _length(ridge, held, (here, step), (eta, move), value)
        if length is None or slope.ravel() @ step.ravel() <= SOLVED * value:
            break
        here, eta = here + length * step, eta + length * move
    return here[:, None]


def _products(ridge: Ridge, residual: Array) -> Array:
    """``[q, r + 1]`` of ``[q, n]`` with the columns, the last of which is of ones."""
    return np.column_stack([ridge.basis.correlate(residual), residual.sum(axis=1)])


def _cost(theta: Array, held: Array) -> float:
    return float((held * theta**2).sum() / 2)


def _hessian(ridge: Ridge, p: Array, held: Array) -> Array:
    """``[m (r + 1), m (r + 1)]``; intercepts of several classes, of which only differences matter, are held in sum."""
    m, size = len(p), len(held)
    found = np.zeros((m, size, m, size))
    for a in range(m):
        for b in range(a + 1):
            share = ridge.weights * p[a] * ((1 - p[a]) if a == b else p[b])
            block = np.empty((size, size))
            block[:-1, :-1] = ridge.basis.gram(share)
            block[-1] = block[:, -1] = _products(ridge, share[None])[0]
            found[a, :, b] = found[b, :, a] = block if a == b else -block
        found[a, :, a] += np.diag(held)
    if m > 1:
        found[:, -1, :, -1] += 1.0
    return found.reshape(m * size, m * size)


def _length(
    ridge: Ridge, held: Array, theta: tuple[Array, Array], eta: tuple[Array, Array], value: float
) -> float | None:
    """How far to go along a step from coefficients and decisions, halved until the objective is lowered; `None` where
    rounding leaves nothing to be lowered.
    """
    for length in 0.5 ** np.arange(HALVINGS):
        there, decided = (here + length * step for here, step in (theta, eta))
        _, loss = probabilities_and_losses(decided[:, None], ridge.y, ridge.weights)
        if float(loss[0]) + _cost(there, held) < value:
            return float(length)
    return None
