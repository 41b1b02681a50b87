"""What a penalty means: the prior, the radius and the degrees of freedom against independent derivations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import linalg, optimize, sparse, special
from sklearn.linear_model import LogisticRegression

from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import Linear, Penalty, leverage
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.interpretation import fit_all, interpret
from regsearch.models.linear.penalties import L1, L2, AdaptiveLasso, ElasticNet, NoPenalty

PENALTIES: list[Penalty] = [L1(), L2(), ElasticNet(0.4)]


def problem(task: str = "regression", weighted: bool = False, rows: int = 80, columns: int = 4) -> Problem:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns)) * np.arange(1, columns + 1) + 3
    signal = (X - 3) @ np.linspace(1, -0.3, columns) + rng.normal(size=rows)
    weight = rng.integers(1, 4, rows).astype(float) if weighted else None
    cuts = {"regression": [], "binary": [0.5], "multiclass": [0.3, 0.7]}[task]
    y = np.searchsorted(np.quantile(signal, cuts), signal).astype(str) if cuts else signal
    return make_problem(X, y, sample_weight=weight)


def interpretation(config: Linear, p: Problem) -> Any:
    return interpret(config, p, make_folds(4, p, 0))["interpretation"]


def standardised(p: Problem) -> Any:
    share = np.ones(p.rows) / p.rows if p.sample_weight is None else p.sample_weight / p.sample_weight.sum()
    centred = p.X - share @ p.X
    return centred / np.sqrt(share @ centred**2)


def minus_log_likelihood(p: Problem, noise: float) -> Any:
    """Of coefficients and intercept (its last entry): what a statistician writes down, row by row."""
    Z, weight = standardised(p), np.ones(p.rows) if p.sample_weight is None else p.sample_weight

    def value(b: Any) -> Any:
        eta = Z @ b[:-1] + b[-1]
        if p.classes is None:
            return weight @ (p.y - eta) ** 2 / (2 * noise)
        return weight @ -np.where(p.y == 1, special.log_expit(eta), special.log_expit(-eta))

    return value


def minimise(smooth: Any, scales: Any, p: int) -> Any:
    """The minimiser of ``smooth(b) + sum_j |b_j| / scale``: b as a difference of positives, which has a gradient."""

    def value(split: Any) -> Any:
        b = np.append(split[:p] - split[p : 2 * p], split[-1])
        return smooth(b) + (split[: 2 * p].sum() / scales if scales is not None else 0.0)

    bounds = [(0, None)] * (2 * p) + [(None, None)]
    found = optimize.minimize(value, np.full(2 * p + 1, 0.1), method="L-BFGS-B", bounds=bounds,
                              options={"maxiter": 20_000, "maxfun": 500_000, "ftol": 1e-15, "gtol": 1e-8})  # fmt: skip
    return found.x[:p] - found.x[p : 2 * p]


@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda one: one.kind)
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_the_fit_is_the_mode_of_the_posterior(task: str, penalty: Penalty, weighted: bool) -> None:
    """Under the prior that is named, with its scale and the noise, the most probable coefficients are the fit's."""
    p = problem(task, weighted)
    config = Linear(penalty, 0.05)
    found = interpretation(config, p)["prior"]
    likelihood = minus_log_likelihood(p, found["noise_variance"])
    sd = found["gaussian_sd"]

    def smooth(b: Any) -> Any:
        return likelihood(b) + (0.0 if sd is None else (b[:-1] ** 2).sum() / (2 * sd**2))

    w = fit_all(config, p)
    np.testing.assert_allclose(minimise(smooth, found["laplace_scale"], 4), w.w[w.chosen, :, 0], atol=2e-3)


@pytest.mark.slow
def test_noise_is_estimated_without_bias() -> None:
    """Noise of a known variance is found again on average, by ridge and lasso; of classes there is none to find."""
    rng = np.random.default_rng(1)
    for penalty in (L1(), L2()):
        found = []
        for _ in range(40):
            X = rng.normal(size=(60, 10))
            p = make_problem(X, X[:, 0] * 5 + rng.normal(size=60) * 3)
            found.append(interpretation(Linear(penalty, 0.01), p)["prior"]["noise_variance"])
        assert np.mean(found) == pytest.approx(9.0, rel=0.1)
    assert interpretation(Linear(L1(), 0.01), problem("binary"))["prior"]["noise_variance"] == 1.0


@pytest.mark.parametrize("penalty", [L1(), L2()], ids=["lasso", "ridge"])
def test_the_radius_constrains_to_the_same_fit(penalty: Penalty) -> None:
    """Least squares within the radius, solved as a constrained problem, has the coefficients of the penalised one."""
    p = problem(columns=3)
    config = Linear(penalty, 0.3)
    found, fit = interpretation(config, p), fit_all(config, p)
    Z, y = standardised(p), p.y - p.y.mean()
    norm: Any = {"l1": lambda s: s.sum(), "l2": lambda s: np.sqrt(((s[:3] - s[3:]) ** 2).sum() + 1e-18)}[penalty.kind]
    radius = found["radius"][penalty.kind]
    solved = optimize.minimize(
        lambda s: ((y - Z @ (s[:3] - s[3:])) ** 2).mean() / 2, np.full(6, 0.05), bounds=[(0, None)] * 6, method="SLSQP",
        constraints={"type": "ineq", "fun": lambda s: radius - norm(s)}, options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    assert solved.success
    np.testing.assert_allclose(solved.x[:3] - solved.x[3:], fit.w[fit.chosen, :, 0], atol=1e-3)
    assert any(f"{radius:.4g}" in line for line in found["lines"])


@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
def test_ridge_spends_the_trace_of_its_hat_matrix(weighted: bool) -> None:
    """Effective degrees of freedom are ``tr Z (Z'SZ + lambda I)^-1 Z'S``, S the rows' shares of the weight."""
    p = problem(weighted=weighted)
    weight = np.ones(p.rows) if p.sample_weight is None else p.sample_weight
    Z, S = standardised(p), np.diag(weight / weight.sum())
    hat = Z @ np.linalg.solve(Z.T @ S @ Z + 0.7 * np.eye(4), Z.T @ S)
    assert interpretation(Linear(L2(), 0.7), p)["degrees_of_freedom"] == pytest.approx(np.trace(hat))


def logistic_hat(p: Problem, lambda_: float) -> Any:
    """The hat matrix ``[n m, n m]`` of the last step of iteratively reweighted least squares, at scikit-learn's fit."""
    Z, weight = standardised(p), np.ones(p.rows) if p.sample_weight is None else p.sample_weight
    model = LogisticRegression(C=1 / (lambda_ * weight.sum()), tol=1e-12, max_iter=10_000)
    eta = model.fit(Z, p.y, sample_weight=weight).decision_function(Z).reshape(p.rows, -1)
    m, share = eta.shape[1], weight / weight.sum()
    chances = special.softmax(eta, axis=1) if m > 1 else special.expit(eta)
    bends = [np.diag(q) - np.outer(q, q) for q in chances]
    W = linalg.block_diag(*(w * bend for w, bend in zip(share, bends, strict=True)))
    A = np.kron(np.column_stack([np.ones(p.rows), Z]), np.eye(m))
    D = np.kron(np.diag([0.0] + [lambda_] * Z.shape[1]), np.eye(m))
    return A @ np.linalg.pinv(A.T @ W @ A + D, hermitian=True) @ A.T @ W


@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
@pytest.mark.parametrize("columns", [4, 60], ids=["few columns", "more columns than rows"])
@pytest.mark.parametrize("lambda_", [1.0, 0.01])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_logistic_ridge_spends_the_trace_of_its_hat_matrix(
    task: str, lambda_: float, columns: int, weighted: bool
) -> None:
    """Each row counts with its own curvature, and the free intercepts are left out: one, or one less than classes."""
    p = problem(task, weighted, rows=40, columns=columns)
    free = 1 if task == "binary" else 2
    found = interpretation(Linear(L2(), lambda_), p)
    assert found["degrees_of_freedom"] == pytest.approx(np.trace(logistic_hat(p, lambda_)) - free, rel=2e-3)
    assert any("(trace of the hat matrix)" in line for line in found["lines"])


@pytest.mark.parametrize("scale", ["standard", "minmax", "none"])
def test_sparse_columns_spend_what_dense_ones_do(scale: str) -> None:
    """Degrees of freedom of logistic ridge do not depend on how the columns are stored, whatever they are scaled by."""
    p = problem("multiclass")
    stored = make_problem(sparse.csr_array(p.X), p.labels)
    dense, thin = (interpretation(Linear(L2(), 0.05, scale), one)["degrees_of_freedom"] for one in (p, stored))
    assert thin == pytest.approx(dense, rel=1e-4)


def test_what_is_too_dear_is_called_nearly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the trace would take too long, the solver's own measure is told, and that it is one: it lies above."""
    p, config = problem("multiclass"), Linear(L2(), 0.05)
    exact = interpretation(config, p)["degrees_of_freedom"]
    monkeypatch.setattr(leverage, "MOST", 0.0)
    found = interpretation(config, p)
    assert exact < found["degrees_of_freedom"] < 1.3 * exact
    assert any("nearly the trace of the hat matrix" in line for line in found["lines"])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_without_a_penalty_classes_spend_every_column(task: str) -> None:
    """Without a penalty the hat matrix is a projection: its trace is the columns, once for each class but one."""
    spent = interpretation(Linear(NoPenalty(), 0.0), problem(task, rows=200, columns=3))["degrees_of_freedom"]
    assert spent == pytest.approx(3.0 if task == "binary" else 6.0)


@pytest.mark.slow
def test_lasso_spends_its_coefficients_that_are_not_zero() -> None:
    """Degrees of freedom of a lasso, its kept features and its coefficients are one count."""
    found = interpretation(Linear(L1(), 0.6), problem())
    kept = [one for one in found["features"] if one["coef"] != 0]
    assert 0 < len(kept) < 4
    assert found["degrees_of_freedom"] == found["kept"] == len(kept)
    assert found["radius"]["l1"] == pytest.approx(sum(abs(one["coef"]) for one in kept))


@pytest.mark.slow
@pytest.mark.parametrize(("task", "lambda_"), [("regression", 0.7), ("multiclass", 0.15)])
def test_stability_is_counted_over_the_folds_of_the_study(task: str, lambda_: float) -> None:
    """A feature is kept in as many folds as fits to their training rows alone give it a coefficient."""
    p = problem(task, columns=8)
    config = Linear(L1(), lambda_)
    folds = make_folds(5, p, 0)
    found = {one["name"]: one["kept_in"] for one in interpret(config, p, folds)["interpretation"]["features"]}
    alone = [fit_all(config, p.take(rows)) for rows in folds.train]
    kept = sum((fit.w[fit.chosen] != 0).any(axis=-1).astype(int) for fit in alone)
    assert len(set(found.values())) > 1
    assert [found[f"x{j}"] for j in range(8)] == list(kept)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [*PENALTIES, AdaptiveLasso(1.0)], ids=lambda one: one.kind)
def test_the_coefficients_pass_the_chosen_lambda(penalty: Penalty) -> None:
    """The path descends through the chosen lambda, where it is the fit that a trial on all rows makes."""
    p = problem(columns=6)
    config = Linear(penalty, 0.1, "minmax")
    found = interpret(config, p, make_folds(4, p, 0))["coefficients"]
    everything = np.arange(p.rows)
    backend = LinearBackend(Setup(p, Folds((everything,), (everything,), "all"), resolve(DEFAULTS[p.task], p)))
    outcome = backend.evaluate(Candidate(0, config))
    coef = np.array(found["coef"])
    assert coef.shape == (6, len(found["values"]))
    assert len(found["values"]) <= 100
    assert sorted(found["values"], reverse=True) == found["values"]
    here = coef[:, found["values"].index(found["chosen"])] / np.ptp(p.X, axis=0)[[int(n[1:]) for n in found["names"]]]
    by_name = dict(zip(found["names"], here, strict=True))
    assert outcome.predictions is not None
    made = p.X @ [by_name[f"x{j}"] for j in range(6)]
    decided = outcome.predictions[:, 0]
    np.testing.assert_allclose(made - made.mean(), decided - decided.mean(), atol=1e-4 * np.ptp(decided))


def test_at_most_the_largest_are_kept_for_drawing() -> None:
    """Of many columns, the twenty with the largest coefficients at the chosen lambda are drawn."""
    p = problem(rows=150, columns=30)
    found = interpret(Linear(L2(), 0.1), p, make_folds(3, p, 0))
    sizes = [abs(one["coef"]) for one in found["interpretation"]["features"]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 30
    assert found["coefficients"]["names"] == [one["name"] for one in found["interpretation"]["features"][:20]]


@pytest.mark.parametrize("config", [Linear(NoPenalty(), 0.0), Linear(L1(), 0.0)], ids=["none", "zero"])
def test_without_a_penalty_there_is_no_prior(config: Linear) -> None:
    """A fit without a penalty has a flat prior, all its columns, their number as degrees of freedom, and no path."""
    p = problem()
    found = interpret(config, p, make_folds(4, p, 0))
    assert found["interpretation"]["prior"] == {
        "family": "flat", "laplace_scale": None, "gaussian_sd": None,
        "noise_variance": pytest.approx(found["interpretation"]["prior"]["noise_variance"]),
    }  # fmt: skip
    assert found["interpretation"]["degrees_of_freedom"] == pytest.approx(4.0)
    assert found["coefficients"]["coef"] == []
    assert found["coefficients"]["chosen"] is None


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("penalty", [*PENALTIES, AdaptiveLasso(1.0), NoPenalty()], ids=lambda one: one.kind)
def test_a_frame_of_every_kind_is_explained(task: str, penalty: Penalty) -> None:
    """Categories and missing entries are columns by name, and what is found can be kept as JSON."""
    plain = problem(task)
    X = pd.DataFrame(plain.X, columns=list("abcd"))
    X.loc[::7, "b"] = np.nan
    X["e"] = pd.Categorical(np.where(X["a"] > 3, "up", "down"))
    X["f"] = X["c"] > 8
    p = make_problem(X, plain.labels)
    found = interpret(Linear(penalty, 0.02, "robust"), p, make_folds(3, p, 0))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {one["name"] for one in found["interpretation"]["features"]} == {"a", "b", "c", "d", "f", "e=down", "e=up"}
