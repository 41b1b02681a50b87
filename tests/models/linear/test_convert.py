"""Strengths on other libraries' scales, both ways, and against what those libraries fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from regsearch.models.linear import convert

STRENGTHS = st.floats(1e-8, 1e8)
PAIRS: list[tuple[Callable[[float, float], float], Callable[[float, float], float]]] = [
    (lambda value, n: convert.to_alpha(value), lambda value, n: convert.from_alpha(value)),
    (convert.to_ridge_alpha, convert.from_ridge_alpha),
    (convert.to_C, convert.from_C),
]


@pytest.mark.parametrize("pair", PAIRS, ids=["alpha", "ridge_alpha", "C"])
@given(lambda_=STRENGTHS, n=st.floats(1, 1e7))
def test_there_and_back(pair: tuple[Callable[..., float], Callable[..., float]], lambda_: float, n: float) -> None:
    """Either direction undoes the other."""
    to, back = pair
    assert back(to(lambda_, n), n) == pytest.approx(lambda_)
    assert to(back(lambda_, n), n) == pytest.approx(lambda_)


def slope(model: Any, X: Any, y: Any, weights: Any, lambda_: float, l1_ratio: float) -> Any:
    """The gradient of ``sum w_i loss_i / sum w_i + lambda * penalty`` at the coefficients in use."""
    coef = np.ravel(model.coef_)
    eta = X @ coef + model.intercept_
    mean = 1 / (1 + np.exp(-eta)) if isinstance(model, LogisticRegression) else eta
    gradient = X.T @ (weights * (mean - y)) / weights.sum()
    return (gradient + lambda_ * (l1_ratio * np.sign(coef) + (1 - l1_ratio) * coef))[coef != 0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("lambda_", [0.03, 1.0])
def test_fits_are_stationary(lambda_: float, weighted: bool) -> None:
    """What scikit-learn fits at a converted strength is stationary for the objective at lambda."""
    rng = np.random.default_rng(0)
    X, weights = rng.normal(size=(50, 3)), rng.uniform(0.2, 3, 50) if weighted else np.ones(50)
    y = X @ [2.0, -1.0, 0.0] + rng.normal(size=50)
    n = weights.sum()
    models = [
        (Ridge(alpha=convert.to_ridge_alpha(lambda_, n)), y, 0.0),
        (ElasticNet(alpha=convert.to_alpha(lambda_), l1_ratio=0.4, tol=1e-12, max_iter=100_000), y, 0.4),
        (LogisticRegression(C=convert.to_C(lambda_, n), tol=1e-10), (y > 0).astype(float), 0.0),
    ]
    for model, target, l1_ratio in models:
        model.fit(X, target, sample_weight=weights)
        left = slope(model, X, target, weights, lambda_, l1_ratio)
        assert len(left) > 0
        np.testing.assert_allclose(left, 0, atol=1e-6)
