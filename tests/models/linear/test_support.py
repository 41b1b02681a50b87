"""Columns that are alike: copies, dummies, spectra, wide tables; every point against its own optimality conditions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.linear_model import lars_path

from regsearch._types import Array
from regsearch.models.linear import descent
from regsearch.models.linear.design import Design
from regsearch.models.linear.gaussian import Gaussian
from regsearch.models.linear.kept_support import Minimiser
from regsearch.models.linear.kernels import duality_gap
from regsearch.models.linear.penalties import L1, AdaptiveLasso, ElasticNet
from regsearch.models.linear.penalty import Penalty
from regsearch.models.linear.rooms import Room
from regsearch.models.linear.support import minimise_on_support


def spectra(n: int, p: int, seed: int) -> Array:
    """Smooth mixtures of a dozen peaks: columns beside each other are nearly the same."""
    rng, t = np.random.default_rng(seed), np.linspace(0, 1, p)
    peaks = np.exp(-(((t[:, None] - np.linspace(0, 1, 12)) / 0.25) ** 2))
    return np.asarray(rng.normal(size=(n, 12)) @ peaks.T + 1e-4 * rng.normal(size=(n, p)))


def dummies(n: int, p: int, seed: int) -> Array:
    """Indicators of every level of a few factors: those of one factor sum to one."""
    rng = np.random.default_rng(seed)
    return np.hstack([np.eye(4)[rng.integers(4, size=n)] for _ in range(-(-p // 4))])[:, :p]


def copies(n: int, p: int, seed: int) -> Array:
    """Few columns, each there several times, some with their signs turned."""
    rng = np.random.default_rng(seed)
    few = rng.normal(size=(n, -(-p // 3)))
    return few[:, rng.integers(few.shape[1], size=p)] * rng.choice([-1.0, 1.0], size=p)


def independent(n: int, p: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(n, p))


KINDS = [spectra, dummies, copies, independent]


@given(
    st.sampled_from(KINDS), st.sampled_from([(40, 12), (40, 36), (15, 40)]), st.integers(0, 1000),
    st.floats(1e-3, 0.9), st.sampled_from([0.0, 0.1]), st.sampled_from(["zero", "ridge", "far", "excluded"]),
    st.booleans(),
)  # fmt: skip
def test_minimum_on_support(
    kind: object, shape: tuple[int, int], seed: int, share: float, l2: float, begin: str, known: bool
) -> None:
    """From any start, with any columns, the gap closes, and no column with an infinite weight is used.

    Where the power is not known the gap is not either, but in the end it is as small.
    """
    n, p = shape
    rng = np.random.default_rng(seed)
    x = kind(n, p, seed)  # type: ignore[operator]
    x = (x - x.mean(axis=0)) / np.sqrt(n)
    y = x[:, :3] @ rng.normal(size=3) * np.sqrt(n) + 0.1 * rng.normal(size=n)
    y = (y - y.mean()) / np.sqrt(n)
    gram, moment, power = x.T @ x, x.T @ y, float(y @ y)
    l1 = rng.uniform(0.5, 2.0, p)
    if begin == "excluded":
        l1[::3] = np.inf
    start = {
        "zero": np.zeros(p), "excluded": np.zeros(p), "far": rng.normal(size=p) * (np.diagonal(gram) > 0),
        "ridge": np.linalg.lstsq(gram + 1e-3 * np.eye(p), moment, rcond=None)[0] * (np.diagonal(gram) > 0),
    }[begin]  # fmt: skip
    lambda_ = share * float(np.max(np.abs(moment) / l1))
    told = power if known else np.inf
    w, done, _ = minimise_on_support(gram, moment, told, 0.0, l1, l2, lambda_, 1e-9 * power, start)
    assert done or not known
    assert not w[np.isinf(l1)].any()
    assert duality_gap(w, moment - gram @ w, moment, power, 0.0, l1, l2, lambda_) <= 1e-9 * power


def folds(x: Array) -> Design:
    """Two folds, each of which trains on most rows."""
    n = len(x)
    val = (np.arange(0, n, 5), np.arange(1, n, 5))
    train = tuple(np.setdiff1d(np.arange(n), rows) for rows in val)
    return Design(np.asfortranarray(x), train, val, np.ones(n))


@pytest.mark.parametrize("penalty", [L1(), ElasticNet(0.7), AdaptiveLasso(1.0)])
@pytest.mark.parametrize("kind", [spectra, dummies, copies])
@pytest.mark.parametrize("shape", [(60, 30), (25, 90)])
@pytest.mark.parametrize("method", ["moments", "rows"])
def test_every_point_is_solved(kind: object, penalty: Penalty, shape: tuple[int, int], method: str) -> None:
    """However alike columns are, every point of a path reaches a tight tolerance, far from the limit of sweeps."""
    x = kind(*shape, 0)  # type: ignore[operator]
    y = x[:, [2, 5, 9]] @ np.array([3.0, -2.0, 1.0]) + 0.05 * np.random.default_rng(1).normal(size=len(x))
    solver = Gaussian(folds(x), y[:, None], tol=1e-9, max_sweeps=100, method=method)  # type: ignore[arg-type]
    terms = penalty.terms(lambda: solver.initial("standard"))
    top = terms.lambda_max(solver.gradient("standard"))
    gap = np.hstack([piece.gap for piece in solver.path(terms, "standard", np.geomspace(top, top * 1e-3, 20))])
    assert gap.max() <= 1.5e-9


@pytest.mark.parametrize("method", ["moments", "rows"])
@pytest.mark.parametrize("shape", [(120, 60), (40, 120)])
def test_path_is_that_of_least_angle_regression(shape: tuple[int, int], method: str) -> None:
    """On spectra the objective is that of the exact path, at every lambda and in every fold."""
    x = spectra(*shape, 0)
    y = 10 * (x[:, 12] - x[:, 15]) + 5 * (x[:, 36] - x[:, 40]) + 0.02 * np.random.default_rng(1).normal(size=len(x))
    design = folds(x)
    solver = Gaussian(design, y[:, None], tol=1e-9, method=method)  # type: ignore[arg-type]
    terms = L1().terms(lambda: x)
    lambdas = terms.lambda_max(solver.gradient("standard")) * np.geomspace(1.0, 1e-3, 10)
    coef = np.concatenate([piece.coef[..., 0] for piece in solver.path(terms, "standard", lambdas)], axis=1)
    for k, rows in enumerate(design.train):
        z, target = (x[rows] - x[rows].mean(axis=0)) / design.scales("standard")[k], y[rows] - y[rows].mean()
        for w, lambda_ in zip(coef[k] * design.scales("standard")[k], lambdas, strict=True):
            exact = lars_path(z, target, method="lasso", alpha_min=lambda_)[2][:, -1]
            mine, theirs = (((target - z @ v) ** 2).mean() / 2 + lambda_ * np.abs(v).sum() for v in (w, exact))
            assert mine <= theirs + 1e-9 * (target @ target) / len(rows)


def test_columns_that_are_not_alike_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sweeps are fast no support is solved for."""
    monkeypatch.setattr(descent, "minimise_on_support", None)
    x = independent(200, 20, 0)
    solver = Gaussian(folds(x), x[:, :1] + np.random.default_rng(1).normal(size=(200, 1)))
    lambdas = np.geomspace(1.0, 1e-3, 30) * L1().terms(lambda: x).lambda_max(solver.gradient("standard"))
    assert max(piece.gap.max() for piece in solver.path(L1().terms(lambda: x), "standard", lambdas)) <= 1.5e-7


@pytest.mark.slow
@given(
    st.sampled_from([spectra, dummies, copies]), st.sampled_from([0.0, 1e-3, 0.3]), st.booleans(), st.integers(0, 99)
)
@example(copies, 0.0, True, 73)  # of which a support alone finds some minima, one of them from where all is zero
def test_what_is_kept_of_a_support_changes_no_minimum(columns: Any, l2: float, slow: bool, seed: int) -> None:
    """Down a path, with jumps and starts from anywhere, every minimum is certified by its duality gap."""
    rng, X = np.random.default_rng(seed), columns(40, 24, seed)
    y = X @ (rng.normal(size=24) * (rng.random(24) < 0.3)) + 0.1 * rng.normal(size=40)
    gram, moment, power = X.T @ X / 40, X.T @ y / 40, float(y @ y) / 40
    top = np.abs(moment).max()
    minimiser, w = Minimiser(gram, slow, Room()), np.zeros(24)
    for share in (0.5, 0.3, 0.25, 0.23, 0.2, 0.02, 0.9, 0.15):
        start = rng.normal(size=24) if share == 0.2 else w
        threshold, target = np.full(24, share * top), 1e-9 * power
        w, _ = minimiser.minimum(start, moment - gram @ start, threshold, l2 * share * top, target)
        l1, lambda_ = np.ones(24), share * top
        gap = duality_gap(w, moment - gram @ w, moment, power, 0.0, l1, l2, lambda_)
        assert gap <= 30 * target
