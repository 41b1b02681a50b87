"""The conformance suite of losses on every registered one, found by itself, and what scikit-learn comes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import GammaRegressor, PoissonRegressor, QuantileRegressor, TweedieRegressor

import regsearch
from regsearch import Choice, Linear, Poisson, Tweedie
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.errors import InvalidInput
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import Loss
from regsearch.models.linear.design import Design
from regsearch.models.linear.glm import Glm
from regsearch.models.linear.losses import Gamma, Huber, Quantile
from regsearch.models.linear.penalties import L1, L2, NoPenalty
from regsearch.space.registry import registered
from regsearch.space.sampling import default
from regsearch.space.tree import Float
from regsearch.testing.losses import SUITE
from regsearch.testing.suite import Check

SHIPPED = sorted(
    (cls for cls in registered().values() if issubclass(cls, Loss) and cls.__module__.startswith("regsearch.")),
    key=lambda cls: cls.kind,
)


LONG = {"gaps_bound_suboptimality", "fits_are_minima", "a_trial_is_complete"}
CHECKS = [
    pytest.param(check, id=check.name, marks=[pytest.mark.slow] if check.name in LONG else []) for check in SUITE.checks
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("cls", SHIPPED)
def test_conforms(cls: type[Loss], check: Check) -> None:
    """Every loss has every property of the suite."""
    check(cls)


@pytest.mark.parametrize("cls", SHIPPED)
def test_is_exported(cls: type[Loss]) -> None:
    """A loss is public in both places."""
    for module in (regsearch, regsearch.models.linear):
        assert cls.__name__ in module.__all__
        assert getattr(module, cls.__name__) is cls


def amounts(kind: str, n: int, p: int) -> tuple[Array, Array]:
    """Columns with their own means and scales, and counts, positive amounts or amounts with zeros."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p)) + 0.4 * rng.normal(size=(n, 1))
    mean = np.exp(x[:, ::2] @ rng.normal(size=(p + 1) // 2) / np.sqrt(p))
    counts = rng.poisson(mean)
    drawn: dict[str, Any] = {
        "poisson": counts, "gamma": rng.gamma(2, mean / 2), "tweedie": rng.gamma(2 * np.maximum(counts, 1), 0.5),
    }  # fmt: skip
    y = np.where(counts > 0, drawn[kind], 0.0) if kind == "tweedie" else drawn[kind]
    return np.asfortranarray(x * rng.uniform(0.5, 3.0, p) + rng.normal(size=p)), np.asarray(y, dtype=float)


@pytest.mark.parametrize(
    ("kind", "loss", "estimator"),
    [
        ("poisson", Poisson(), PoissonRegressor()),
        ("gamma", Gamma(), GammaRegressor()),
        ("tweedie", Tweedie(1.3), TweedieRegressor(power=1.3, link="log")),
        ("tweedie", Tweedie(1.8), TweedieRegressor(power=1.8, link="log")),
    ],
)
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_matches_scikit_learn(kind: str, loss: Loss, estimator: Any, shape: tuple[int, int]) -> None:
    """A weighted ridge path is scikit-learn's on the scaled training rows, with fewer or more columns than rows."""
    x, y = amounts(kind, *shape)
    rows = np.flatnonzero(np.arange(len(x)) % 3)
    d = Design(x, (rows,), (rows[:0],), np.random.default_rng(1).uniform(0.5, 2.0, len(x)))
    lambdas = np.array([1.0, 0.1, 0.01])
    (piece,) = Glm(d, y[:, None], loss, 1e-11).path(L2().terms(lambda: np.zeros(1)), "standard", lambdas)
    scales = d.scales("standard")[0]
    for step, lambda_ in enumerate(lambdas):
        theirs = estimator.set_params(alpha=lambda_, solver="newton-cholesky", tol=1e-10, max_iter=1000)
        theirs.fit((x[rows] - d.centers[0]) / scales, y[rows], sample_weight=d.weights[rows])
        np.testing.assert_allclose(piece.coef[0, step, :, 0] * scales, theirs.coef_, atol=2e-5)


@pytest.mark.parametrize(("seed", "quantile", "shape"), [(0, 0.1, (40, 40)), (1, 0.8, (60, 8)), (7, 0.1, (30, 45))])
def test_a_quantile_is_certified_where_rows_are_at_their_ends(
    seed: int, quantile: float, shape: tuple[int, int]
) -> None:
    """Also where the model without columns has the same rows at the same ends, so that rounding moves them beyond."""
    rng = np.random.default_rng(seed)
    x = np.asfortranarray(rng.normal(size=shape))
    y = rng.gamma(2.0, np.exp(0.5 * x[:, 0]))
    d = Design(x, (np.arange(len(x)),), (np.arange(0),), rng.uniform(0.5, 2.0, len(x)))
    solver, terms = Glm(d, y[:, None], Quantile(quantile), 1e-8), L1().terms(lambda: np.zeros(1))
    lambdas = np.array([0.9, 0.3, 0.05]) * terms.lambda_max(solver.gradient("standard"))
    (piece,) = solver.path(terms, "standard", lambdas)
    assert piece.gap.max() <= 1e-8


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_quantiles_are_those_of_a_linear_program(quantile: float, shape: tuple[int, int]) -> None:
    """A weighted L1 path is as good at every lambda as scikit-learn's linear program, with fewer or more columns."""
    x, y = amounts("gamma", *shape)
    d = Design(x, (np.arange(len(x)),), (np.arange(0),), np.random.default_rng(1).uniform(0.5, 2.0, len(x)))
    solver, terms = Glm(d, y[:, None], Quantile(quantile), 1e-9), L1().terms(lambda: np.zeros(1))
    lambdas = np.array([0.9, 0.3, 0.05]) * terms.lambda_max(solver.gradient("standard"))
    (piece,) = solver.path(terms, "standard", lambdas)
    assert piece.gap.max() <= 1e-8
    scaled = (x - d.centers[0]) / d.scales("standard")[0]

    def objective(w: Array, b: float, lambda_: float) -> float:
        residual = y - scaled @ w - b
        loss = np.maximum(quantile * residual, (quantile - 1) * residual)
        return float(np.average(loss, weights=d.weights) + lambda_ * np.abs(w).sum())

    for step, lambda_ in enumerate(lambdas):
        theirs = QuantileRegressor(quantile=quantile, alpha=lambda_, solver="highs")
        theirs.fit(scaled, y, sample_weight=d.weights / d.weights.mean())
        w = piece.coef[0, step, :, 0] * d.scales("standard")[0]
        b = piece.intercept[0, step, 0] + piece.coef[0, step, :, 0] @ d.centers[0]
        best = objective(theirs.coef_, float(theirs.intercept_), lambda_)
        assert objective(w, b, lambda_) == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize(
    ("penalty", "more"),
    [
        ("group_lasso", {}), (Choice("l1", "mcp"), {}), ("l1", {"unpenalized": ["x0"]}),
        ("l1", {"limits": Choice(None, {"x0": (0, None)})}), ("elastic_net", {"penalty_factors": {"x0": 0.5}}),
    ],
)  # fmt: skip
def test_quantiles_need_a_certified_penalty(penalty: Any, more: dict[str, Any]) -> None:
    """A loss without derivatives refuses what the proximal solver fits before any trial, and says what to choose."""
    problem = make_problem(*amounts("gamma", 60, 4))
    for space in (Linear(penalty, loss="quantile", **more), Linear(penalty, loss=Choice(None, "quantile"), **more)):
        setup = Setup(problem, make_folds(3, problem, 0), resolve("r2", problem))
        with pytest.raises(InvalidInput, match=r"quantile loss has no derivatives.*choose"):
            space.check(setup)
    with pytest.raises(InvalidInput, match="no derivatives"):
        Linear("l1", 0.1, loss="quantile", unpenalized=["x0"]).refit(problem, 0)


@pytest.mark.parametrize("penalty", ["none", "l1", "l2", "elastic_net", "adaptive_lasso", "adaptive_elastic_net"])
def test_quantiles_take_the_others(penalty: str) -> None:
    """What is let in is fitted, with a penalty factor where that leaves the penalty certified."""
    problem = make_problem(*amounts("gamma", 60, 4))
    more = {"penalty_factors": {"x0": 0.5}} if penalty == "l1" else {}
    space = Linear(penalty, 0.1, loss="quantile", **more)
    setup = Setup(problem, make_folds(2, problem, 0), resolve("r2", problem))
    space.check(setup)
    (outcome,) = space.backend(setup).stream([Candidate(0, default(space))])
    assert outcome.state == "complete", outcome.reason


def test_quantiles_without_a_penalty_are_certified() -> None:
    """The fit at lambda 0 keeps the dual that certifies it, with columns of a category that add to one as well."""
    x, y = amounts("gamma", 60, 4)
    x = np.asfortranarray(np.column_stack([x, np.eye(3)[np.arange(60) % 3]]))
    d = Design(x, (np.arange(60),), (np.arange(0),), np.ones(60))
    solver = Glm(d, y[:, None], Quantile(0.8))
    (piece,) = solver.path(NoPenalty().terms(lambda: np.zeros(1)), "standard", np.zeros(1))
    assert piece.gap.max() <= 1.5 * solver.tol


def test_huber_does_not_see_how_far_outliers_are() -> None:
    """Outliers that move ten times further change the fit by little beside what they do to least squares."""
    x, y = amounts("gamma", 60, 4)
    far = np.arange(60) % 15 == 0

    def fitted(loss: Loss | None, times: float) -> Array:
        problem = make_problem(x, np.where(far, times * (y + 10), y))
        return np.asarray(Linear("l2", 0.01, loss=loss).refit(problem, 0)[-1].coef_)

    moved = {loss: np.abs(fitted(loss, 100.0) - fitted(loss, 10.0)).max() for loss in (None, Huber())}
    assert moved[Huber()] < 1e-3 * moved[None]


@pytest.mark.parametrize("kind", ["poisson", "gamma", "tweedie"])
def test_task_is_inferred(kind: str) -> None:
    """A loss says the task and the score where nobody does: a few counts are no classes."""
    space = Linear(loss=kind)
    assert space.task == "regression"
    assert Linear().task is None
    assert Linear(loss=Choice(None, kind)).task == "regression"
    x, y = amounts(kind, 60, 4)
    problem = make_problem(x, np.ceil(y).astype(int), task=space.task)
    assert "deviance" in space.scoring(problem)
    assert Linear(loss=Choice(None, kind)).scoring(problem) == "neg_root_mean_squared_error"
    assert Linear(loss=Tweedie(Float(1.1, 1.9))).scoring(problem) == "neg_mean_poisson_deviance"


def test_targets_are_checked() -> None:
    """A loss refuses a target that it is not defined for, and a task that it is not of, before any fit."""
    x, y = amounts("gamma", 60, 4)

    def refused(loss: str, y: Array, task: Any = "regression") -> str:
        problem = make_problem(x, y, task=task)
        setup = Setup(problem, make_folds(3, problem, 0), resolve("r2" if task == "regression" else None, problem))
        with pytest.raises(InvalidInput) as said:
            Linear(loss=loss).check(setup)
        return str(said.value)

    assert "at least 0, got -" in refused("poisson", y - y.max())
    assert "above 0, got 0" in refused("gamma", y * (y > np.median(y)))
    assert "at least 0, got -" in refused("tweedie", y - y.max())
    assert "regression task, got a binary one" in refused("poisson", (y > np.median(y)).astype(int), None)
