"""Degrees of freedom along paths: against hat matrices written out, in one unit for every penalty and loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from regsearch.models.linear.design import Design
from regsearch.models.linear.gaussian import Gaussian
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.penalties import L1, L2, ElasticNet, NoPenalty
from regsearch.models.linear.penalty import Penalty

LAMBDAS = np.geomspace(0.5, 1e-3, 12)


def data(rows: int, columns: int, kind: str, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    if kind == "apart":
        return rng.normal(size=(rows, columns))
    factors = rng.normal(size=(rows, 3))
    return factors @ rng.normal(size=(3, columns)) + 0.7 * rng.normal(size=(rows, columns))


def design(X: Any, weights: Any = None) -> Design:
    rows = np.arange(len(X))
    weights = np.ones(len(X)) if weights is None else weights
    return Design(np.asfortranarray(X), (rows,), (rows[:0],), weights)


def path(solver: Any, penalty: Penalty, lambdas: Any = LAMBDAS) -> tuple[Any, Any]:
    """Coefficients ``[S, p, m]`` of the scaled columns and degrees of freedom ``[S]``."""
    terms = penalty.terms(lambda: solver.initial("standard"))
    pieces = list(solver.path(terms, "standard", lambdas))
    scales = solver.design.scales("standard")[0]
    coef = np.concatenate([piece.coef[0] for piece in pieces]) * scales[:, None]
    return coef, np.concatenate([piece.complexity[0] for piece in pieces])


def trace(Z: Any, share: Any, used: Any, strength: float) -> float:
    """``sum d / (d + strength)`` over the eigenvalues of the weighted columns in use."""
    if not len(used):
        return 0.0
    centred = (Z - share @ Z)[:, used]
    values = np.linalg.eigvalsh((centred * share[:, None]).T @ centred)
    values = values[values > 1e-12]
    return float((values / (values + strength)).sum())


@pytest.mark.parametrize("method", ["moments", "rows"])
@pytest.mark.parametrize("kind", ["apart", "factors"])
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_elastic_net_is_the_trace_from_above(method: Any, kind: str, shape: Any, share: float) -> None:
    """An elastic net's is no less than the trace of its columns in use, and no more than their number or the rank."""
    X = data(shape[0], shape[1], kind)
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    y = X[:, :3].sum(axis=1) + np.random.default_rng(2).normal(size=len(X))
    solver = Gaussian(design(X, weights), y[:, None], method=method)
    coef, freedom = path(solver, ElasticNet(share))
    Z = X / solver.design.scales("standard")[0]
    for lambda_, w, found in zip(LAMBDAS, coef[..., 0], freedom, strict=True):
        used = np.flatnonzero(w)
        exact = trace(Z, weights / weights.sum(), used, lambda_ * (1 - share))
        assert exact - 1e-6 <= found <= min(len(used), len(X) - 1) + 1e-9
        if kind == "apart" and shape[0] > shape[1]:
            assert found <= 1.1 * exact + 1e-9


def test_elastic_net_has_its_neighbours_as_limits() -> None:
    """Where all columns are in use it is ridge's trace; without an L2 part it is the lasso's count."""
    X = data(60, 8, "factors")
    y = (X[:, :3].sum(axis=1) + np.random.default_rng(2).normal(size=60))[:, None]
    for solver in (Gaussian(design(X), y), LogLoss(design(X), (y > 0).astype(float))):
        lambdas = np.array([1e-2, 1e-3])
        coef, nearly = path(solver, ElasticNet(1e-6), lambdas)
        _, ridge = path(solver, L2(), lambdas)
        assert coef.all()
        np.testing.assert_allclose(nearly, ridge, rtol=1e-3)
        coef, count = path(solver, L1(), LAMBDAS)
        np.testing.assert_array_equal(count, (coef != 0).sum(axis=(1, 2)))
        _, same = path(solver, ElasticNet(1.0), LAMBDAS)
        np.testing.assert_array_equal(count, same)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_without_a_penalty_it_is_the_rank(classes: int) -> None:
    """Of separable classes, whose fit has no curvature left, it is the rank all the same, for every class but one."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(50, 6))
    X = np.hstack([Z, Z @ rng.normal(size=(6, 9))])  # of rank 6
    labels = np.digitize(Z[:, 0], np.quantile(Z[:, 0], np.arange(1, classes) / classes))
    y = labels[:, None] if classes == 2 else np.eye(classes)[labels]
    solver = LogLoss(design(X), y.astype(float))
    _, (none,) = path(solver, NoPenalty(), np.zeros(1))
    assert none == 6 * (classes - 1)
    for penalty in (L2(), ElasticNet(0.3)):
        _, freedom = path(solver, penalty)
        assert (freedom <= none + 1e-6).all()


def test_logistic_elastic_net_is_nearly_the_trace() -> None:
    """Its bound holds nearly with each row's own curvature, of which the mean stands in."""
    X = data(200, 10, "apart")
    rng = np.random.default_rng(3)
    y = (rng.uniform(size=200) < expit(X[:, :3].sum(axis=1))).astype(float)
    solver = LogLoss(design(X), y[:, None])
    coef, freedom = path(solver, ElasticNet(0.5))
    Z = X / solver.design.scales("standard")[0]
    for lambda_, w, found in zip(LAMBDAS, coef[..., 0], freedom, strict=True):
        used = np.flatnonzero(w)
        if len(used):
            p = expit(X @ (w / solver.design.scales("standard")[0]))
            share = p * (1 - p)
            exact = trace(Z, share / share.sum(), used, lambda_ * 0.5 / share.mean())
            assert 0.85 * exact < found < 1.3 * exact
