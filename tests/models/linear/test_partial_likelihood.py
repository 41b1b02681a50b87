"""The partial likelihood as solvers read it: its curvature is that of its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from regsearch import L2, MCP, SCAD, SLOPE, Cox, GroupLasso, Linear, Penalty, RelaxedLasso
from regsearch.data.problem import make_problem
from regsearch.models.linear.design import Design
from regsearch.models.linear.glm import Glm
from regsearch.models.linear.newton import Curvature, Newton
from regsearch.models.linear.partial_likelihood import CoxSample
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.solvers import Solvers
from regsearch.models.linear.working_columns import WorkingColumns


def survival(n: int, p: int, sample_weight: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, signed times of which many are equal, and weights that sum to one."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, p)) * (rng.random((n, p)) < 0.7)
    times = np.ceil(8 * rng.exponential(np.exp(-x[:, 0]))) / 8
    weights = rng.uniform(0.2, 2.0, n) if sample_weight else np.ones(n)
    return x, np.where(rng.random(n) < 0.7, times, -times), weights / weights.sum()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_array])
@pytest.mark.parametrize("efron", [False, True])
def test_curvature_is_the_change_of_the_gradient(kind: type, efron: bool) -> None:
    """The quadratic model's matrix is the derivative of the gradient, and no intercept moves along."""
    x, y, weights = survival(40, 4, not efron)
    sample, rows = CoxSample(y[None, None], weights, efron), np.arange(40)
    center = x.mean(axis=0)
    columns = WorkingColumns.of(kind(x), rows, np.arange(4), center, np.ones(4), Room())
    mask = np.array([[True, True, False, True]])
    newton = Newton(columns, mask, sample, np.zeros((1, 4)), np.zeros((1, 4)), 0.0)
    w = np.array([[0.5, -0.3, 0.0, 0.2]])
    found = Curvature.of(sample, newton.point(w, np.zeros(1)), columns, mask, Rooms())

    def gradient(move: np.ndarray) -> np.ndarray:
        eta = (x - center) @ (w[0] + move)
        return (x - center).T @ sample.residual(eta[None, None])[0, 0]

    by_differences = np.stack([(gradient(-1e-5 * e) - gradient(1e-5 * e)) / 2e-5 for e in np.eye(4)])
    np.testing.assert_allclose(found.gram, by_differences[np.ix_(mask[0], mask[0])], atol=1e-9)
    assert not found.couple.any()
    assert not found.inverse.any()


@pytest.mark.parametrize("kind", [np.asfortranarray, sparse.csc_array])
def test_ridge_is_at_the_minimum(kind: type) -> None:
    """The fit is the one that a general minimiser finds of the objective as it is defined."""
    x, y, weights = survival(60, 5, True)
    rows = np.arange(60)
    solver = Glm(Design(kind(x), (rows,), (rows[:0],), weights), y[:, None], Cox(ties="breslow"), tol=1e-12)
    (piece,) = solver.path(L2().terms(lambda: x), "none", np.array([0.01]))

    def objective(w: np.ndarray) -> float:
        eta, value = x @ w, 0.005 * w @ w
        for i in np.flatnonzero(y > 0):
            value += weights[i] * (np.log(weights[np.abs(y) >= y[i]] @ np.exp(eta[np.abs(y) >= y[i]])) - eta[i])
        return float(value)

    best = minimize(objective, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x
    np.testing.assert_allclose(piece.coef[0, 0, :, 0], best, atol=1e-6)


@pytest.mark.parametrize("penalty", [GroupLasso(), SLOPE(0.1), MCP(3.0), SCAD(3.7), RelaxedLasso(0.5)])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_array])
def test_a_penalty_may_leave_no_column(kind: type, penalty: Penalty) -> None:
    """Above the top of a path, whose folds have tops of their own, there is a fit without coefficients."""
    x, y, _ = survival(40, 4, False)
    solvers = Solvers.of_all_rows(make_problem(kind(x), (y > 0, np.abs(y)), task="survival"), Cox())
    terms = solvers.terms(Linear(penalty, 5.0, loss=Cox()))
    (piece,) = solvers.of(None, Cox()).path(terms, "standard", np.array([5.0]))
    assert not piece.coef.any()
    assert not piece.gap.any()


def test_a_step_too_far_is_taken_back() -> None:
    """Where no fit is the best, as each goes on to hazards that are nothing beside others, what is left says so."""
    rng = np.random.default_rng(0)
    X, time = rng.normal(size=(24, 12)), rng.exponential(size=24)
    solvers = Solvers.of_all_rows(make_problem(X, (rng.random(24) < 0.5, time), task="survival"), Cox())
    config = Linear("none", 0.0, loss=Cox(), limits={"x0": (0, None)})
    (piece,) = solvers.of(None, Cox()).path(solvers.terms(config), "standard", np.zeros(1))
    assert np.isfinite(piece.coef).all()
    assert np.isfinite(piece.gap).all()
