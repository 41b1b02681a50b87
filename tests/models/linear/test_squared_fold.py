"""Squared error of a fold as a quadratic: how convex it is, and in which precision it is kept."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch import SLOPE, GroupLasso, Linear
from regsearch._types import Array
from regsearch.data.problem import make_problem
from regsearch.models.linear.gaussian import Gaussian
from regsearch.models.linear.penalty import Penalty
from regsearch.models.linear.solvers import Solvers
from regsearch.models.linear.squared_fold import CONVEX, convex, minimum

ROWS, COLUMNS = 400, 60


def columns(least: float = 1.0) -> Array:
    """Columns of sizes of their own, which are nearer to dependent the smaller `least` is; one is constant."""
    rng = np.random.default_rng(0)
    x = np.sqrt(least) * rng.normal(size=(ROWS, COLUMNS)) + np.sqrt(1 - least) * rng.normal(size=(ROWS, 1))
    x[:, 7] = 0.0
    return np.asarray(x * np.geomspace(1e-6, 1e6, COLUMNS))


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("least", [1.0, 1e-3])
def test_convexity_is_a_bound_of_the_smallest_eigenvalue(least: float, single: bool) -> None:
    """And not far below it, whatever the units; only far from dependent columns are kept in single precision."""
    x = columns(least)
    gram = x.T @ x / ROWS
    found, used = convex(lambda precision: gram.astype(precision.kind), single), np.diag(gram) > 0
    size = np.sqrt(np.diag(gram)[used])
    smallest = np.linalg.eigvalsh(gram[np.ix_(used, used)] / np.outer(size, size))[0]
    assert 0.5 * smallest < found.convexity <= smallest
    assert (found.products.dtype == np.float32) == (single and smallest > CONVEX)
    np.testing.assert_allclose(found.gram, gram, rtol=1e-6 if single else 0)
    expected = np.zeros(COLUMNS)
    expected[used] = np.linalg.lstsq(x[:, used] / size, x[:, 3] / size[3], rcond=None)[0] * size[3] / size
    moment = gram[:, 3]
    np.testing.assert_allclose(
        minimum(found, moment) * np.sqrt(np.diag(gram)),
        expected * np.sqrt(np.diag(gram)),
        atol=1e-5 * np.sqrt(gram[3, 3]),
    )


def test_columns_that_repeat_are_not_convex() -> None:
    """A column and its copy leave nothing between them."""
    assert convex(lambda precision: np.ones((2, 2), precision.kind), single=True).convexity == 0
    assert convex(lambda precision: np.empty((0, 0), precision.kind)).convexity == 0


@pytest.mark.parametrize("penalty", [GroupLasso({"first": ["x0", "x1", "x2"], "last": ["x3", "x4"]}), SLOPE(0.1)])
def test_single_precision_is_enough_for_a_tolerance_that_allows_it(penalty: Penalty) -> None:
    """Points come as near to the minimum as their gaps say, by a penalty that reads it and by one that does not."""
    x = columns() / np.geomspace(1e-6, 1e6, COLUMNS)
    of = make_problem(x, x[:, :6].sum(axis=1) + np.random.default_rng(1).normal(size=ROWS))
    solvers, lambdas = Solvers.of_all_rows(of), np.geomspace(0.3, 0.003, 6)
    solver, terms = solvers.of(None), solvers.terms(Linear(penalty, scale="standard"))
    assert isinstance(solver, Gaussian)
    y = of.y - of.y.mean()

    def objectives(tol: float) -> Array:
        solver.tol = tol
        solver._quadratics.clear()
        found = list(solver.path(terms, "standard", lambdas))
        coef = np.concatenate([piece.coef[0, :, :, 0] for piece in found])
        assert max(piece.gap.max() for piece in found) <= tol
        size = solver.design.scales("standard")[0][:, None]
        costs = [terms.value(w[:, None] * size, float(at)) for w, at in zip(coef, lambdas, strict=True)]
        return ((y[:, None] - (x - x.mean(axis=0)) @ coef.T) ** 2).mean(axis=0) / 2 + costs

    best, near = objectives(1e-12), objectives(1e-5)
    assert solver._quadratics[0, "standard"].products.dtype == np.float32
    assert (near - best <= 1.1e-5 * y @ y / ROWS / 2).all()
    assert (near - best >= -1e-12).all()
