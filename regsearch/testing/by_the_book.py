"""Proximal gradient descent by the book: what a penalty's fits are compared with.

Shapes: n rows, p columns, m outputs; decisions eta ``[n, m]``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from regsearch._types import Array, Task
from regsearch.models.linear.general import GeneralTerms

BY_THE_BOOK = 30_000  # steps


def _identity(eta: Array) -> Array:
    return eta


def _logistic(eta: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-eta)))


def _softmax(eta: Array) -> Array:
    e = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


MEANS: dict[Task, tuple[Callable[[Array], Array], float]] = {  # with the largest curvature of the loss in eta
    "regression": (_identity, 1.0), "binary": (_logistic, 0.25), "multiclass": (_softmax, 0.5),
}  # fmt: skip


def mean_loss(eta: Array, y: Array, task: Task) -> float:
    """Half the mean squared error, or the mean log-loss, of targets ``[n, m]`` that are numbers or 0 and 1."""
    if task == "regression":
        return float(((eta - y) ** 2).mean() / 2)
    total = np.logaddexp(0, eta[:, 0]) if task == "binary" else np.logaddexp.reduce(eta, axis=1)
    return float((total - (y * eta).sum(axis=1)).mean())


def proximal_gradient(
    x: Array, y: Array, terms: GeneralTerms, lambda_: float, task: Task, still: float = 1e-11
) -> tuple[Array, Array]:
    """Decisions ``[n, m]`` and coefficients ``[p, m]`` of slow proximal gradient descent on one fold, by the book.

    FISTA with restarts (O'Donoghue & Candes 2015) by `GeneralTerms.prox` alone, until no step moves more than `still`.
    """
    n, p = x.shape
    x = x - x.mean(axis=0)
    mean, curvature = MEANS[task]
    step = 1 / (curvature * max(np.linalg.eigvalsh(x.T @ x / n).max(), 1.0))
    w, b = np.zeros((p, y.shape[1])), np.zeros(y.shape[1])
    last_w, last_b, t = w, b, 1.0
    for _ in range(BY_THE_BOOK):
        residual = (mean(x @ w + b) - y) / n
        new_w = terms.prox(w - step * x.T @ residual, step, lambda_)
        new_b = b - step * residual.sum(axis=0)
        moved = max(np.abs(new_w - last_w).max(), np.abs(new_b - last_b).max())
        if np.sum((w - new_w) * (new_w - last_w)) + np.sum((b - new_b) * (new_b - last_b)) > 0:
            t = 1.0
        faster = (1 + np.sqrt(1 + 4 * t * t)) / 2
        w, b = new_w + (t - 1) / faster * (new_w - last_w), new_b + (t - 1) / faster * (new_b - last_b)
        last_w, last_b, t = new_w, new_b, faster
        if moved < still:
            break
    return np.asarray(x @ last_w + last_b), last_w
