"""The conformance suite of losses on every registered one, found by itself, and what scikit-learn comes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor

import regsearch
from regsearch import Choice, Linear, Poisson, Tweedie
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.errors import InvalidInput
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Setup
from regsearch.models.linear import Loss
from regsearch.models.linear.design import Design
from regsearch.models.linear.glm import Glm
from regsearch.models.linear.losses import Gamma
from regsearch.models.linear.penalties import L2
from regsearch.space.registry import registered
from regsearch.space.tree import Float
from regsearch.testing.losses import SUITE
from regsearch.testing.suite import Check

SHIPPED = sorted(
    (cls for cls in registered().values() if issubclass(cls, Loss) and cls.__module__.startswith("regsearch.")),
    key=lambda cls: cls.kind,
)


@pytest.mark.parametrize("check", SUITE.checks, ids=lambda check: check.name)
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
    assert Linear(loss=Choice(None, kind)).scoring(problem) == "neg_mean_squared_error"
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
