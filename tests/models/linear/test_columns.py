"""Penalty factors, unpenalised columns and limits: every fit against another library's of the same problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear, minimize
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge

from regsearch import Choice, InvalidInput, Linear, Path, SparseGroupLasso
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.export.code.pipelines import linear_code
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.solvers import Solvers
from regsearch.space.config import from_toml, to_toml
from regsearch.space.params import flat
from regsearch.testing.by_the_book import proximal_gradient

N, P = 80, 6
TASKS = ["regression", "binary", "multiclass"]


def problem(task: str = "regression", n: int = N, p: int = P) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p)) * rng.uniform(0.5, 3.0, p) + rng.normal(size=(n, 1))
    signal = x[:, :4] @ [1.0, -1.0, 0.5, -0.7] + rng.normal(size=n)
    cuts = {"regression": None, "binary": [0.5], "multiclass": [0.33, 0.66]}[task]
    return make_problem(x, signal if cuts is None else np.searchsorted(np.quantile(signal, cuts), signal))


def fitted(config: Linear, of: Problem, tol: float = 1e-12) -> tuple[Array, Array]:
    """Coefficients ``[p, m]`` and intercepts of all rows."""
    solvers = Solvers.of_all_rows(of)
    solver = solvers.of(None)
    solver.tol = tol
    lambda_ = config.lambda_ if config.penalty.path else 0.0
    *_, last = solver.path(solvers.terms(config), config.scale, np.array([lambda_]))
    assert last.gap.max() <= tol
    return last.coef[0, -1], last.intercept[0, -1]


def evaluated(config: Linear, of: Problem) -> Any:
    backend = LinearBackend(Setup(of, make_folds(3, of, 0), resolve(DEFAULTS[of.task], of)))
    outcome = backend.evaluate(Candidate(0, config))
    assert (outcome.state, outcome.reason) == ("complete", "")
    return outcome


# --- fits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [P, 120])
def test_unpenalised_columns_are_as_the_intercept(p: int) -> None:
    """A lasso that leaves columns out is that of y and the other columns less their fits on those."""
    of = problem(p=p)
    free, others = [1, 4], [j for j in range(p) if j not in (1, 4)]
    coef, _ = fitted(Linear("l1", 0.1, "none", unpenalized=["x1", "x4"]), of)
    y, rest = (
        part - LinearRegression().fit(of.X[:, free], part).predict(of.X[:, free]) for part in (of.y, of.X[:, others])
    )
    theirs = Lasso(0.1, tol=1e-12, max_iter=100_000).fit(rest, y).coef_
    np.testing.assert_allclose(coef[others, 0], theirs, atol=1e-5)
    assert np.all(coef[free] != 0)


def test_factors_are_other_units() -> None:
    """A factor f is the same fit of the column divided by f in the lasso, and by its root in ridge."""
    of, factors = problem(), np.array([1.0, 0.3, 2.0, 1.0, 5.0, 1.0])
    named = {f"x{j}": factor for j, factor in enumerate(factors)}
    lasso = Lasso(0.2, tol=1e-12).fit(of.X / factors, of.y).coef_ / factors
    coef, _ = fitted(Linear("l1", 0.2, "none", penalty_factors=named), of)
    np.testing.assert_allclose(coef[:, 0], lasso, atol=1e-6)
    ridge = Ridge(0.2 * N, tol=1e-12).fit(of.X / np.sqrt(factors), of.y).coef_ / np.sqrt(factors)
    coef, _ = fitted(Linear("l2", 0.2, "none", penalty_factors=named), of)
    np.testing.assert_allclose(coef[:, 0], ridge, atol=1e-6)


def test_limits_of_signs_and_boxes() -> None:
    """Non-negative elastic nets are scikit-learn's, and least squares within limits are scipy's."""
    of = problem()
    net = ElasticNet(0.1, l1_ratio=0.7, positive=True, tol=1e-12).fit(of.X, of.y).coef_
    penalty = Linear("elastic_net").penalty.replace(l1_ratio=0.7)
    coef, _ = fitted(Linear(penalty, 0.1, "none", limits={f"x{j}": (0, None) for j in range(P)}), of)
    np.testing.assert_allclose(coef[:, 0], net, atol=1e-6)
    assert 0 < np.count_nonzero(net) < P
    limits = {"x0": (-0.3, 0.3), "x1": (0, None), "x3": (None, 0)}
    low, high = np.full(P, -np.inf), np.full(P, np.inf)
    low[[0, 1]], high[[0, 3]] = [-0.3, 0.0], [0.3, 0.0]
    box = lsq_linear(of.X - of.X.mean(axis=0), of.y - of.y.mean(), (low, high), tol=1e-14).x
    for scale in ("none", "standard"):
        coef, _ = fitted(Linear("none", 0.0, scale, limits=limits), of)
        np.testing.assert_allclose(coef[:, 0], box, atol=1e-5)


def test_logistic_within_limits() -> None:
    """Where signs are limited the logistic elastic net is smooth, and L-BFGS-B finds the same fit."""
    of = problem("binary")
    penalty = Linear("elastic_net").penalty.replace(l1_ratio=0.6)
    factors = np.array([1.0, 0.0, 2.0, 1.0, 1.0, 0.5])
    named = {f"x{j}": float(factor) for j, factor in enumerate(factors)}
    limits = {f"x{j}": (0, None) for j in range(P) if j != 1}
    coef, intercept = fitted(Linear(penalty, 0.05, "none", penalty_factors=named, limits=limits), of)

    def objective(w: Array) -> tuple[float, Array]:
        eta = of.X @ w[:P] + w[P]
        residual = (1 / (1 + np.exp(-eta)) - of.y) / N
        value = float(np.mean(np.logaddexp(0, eta) - of.y * eta) + 0.05 * factors @ (0.6 * w[:P] + 0.2 * w[:P] ** 2))
        slope = of.X.T @ residual + 0.05 * factors * (0.6 + 0.4 * w[:P])
        return value, np.append(slope, residual.sum())

    bounds = [(None, None) if j in (1, P) else (0, None) for j in range(P + 1)]
    theirs = minimize(objective, np.zeros(P + 1), jac=True, bounds=bounds, options={"ftol": 1e-15, "gtol": 1e-10})
    np.testing.assert_allclose(np.append(coef, intercept), theirs.x, atol=1e-4)


@pytest.mark.parametrize("task", TASKS)
def test_all_at_once_by_the_book(task: str) -> None:
    """Factors, columns without a penalty and limits together give the decisions of slow proximal gradient descent."""
    of = problem(task)
    penalty = Linear("elastic_net").penalty.replace(l1_ratio=0.8)
    config = Linear(penalty, 0.05, penalty_factors={"x2": 3.0}, unpenalized=["x3"], limits={"x0": (0, 0.2)})
    coef, intercept = fitted(config, of)
    y = np.eye(3)[of.y] if task == "multiclass" else of.y[:, None]
    solvers = Solvers.of_all_rows(of)
    scales = solvers.design.scales("standard")[0]
    terms = solvers.terms(config).of_fold(0, coef.shape)
    theirs, _ = proximal_gradient(of.X / scales, y, terms, 0.05, of.task)
    ours = of.X @ coef + intercept
    if task == "multiclass":
        ours, theirs = (eta - eta.mean(axis=1, keepdims=True) for eta in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(coef[0], np.clip(coef[0], 0, 0.2))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("penalty", ["l1", SparseGroupLasso(mix=0.5)])
def test_a_path_starts_where_the_unpenalised_are_alone(task: str, penalty: Any) -> None:
    """At the top of a path only unpenalised columns have coefficients, and just below it another has."""
    of = problem(task)
    config = Linear(penalty, Path(2, 0.98), unpenalized=["x3"])
    solvers = Solvers.of_all_rows(of)
    terms, solver = solvers.terms(config), solvers.of(None)
    top = terms.lambda_max(solver.gradient("standard", terms))
    (piece,) = solver.path(terms, "standard", top * np.array([1.00001, 0.98]))
    first, second = np.any(piece.coef[0] != 0, axis=2)
    assert np.flatnonzero(first).tolist() == [3]
    assert second.sum() > 1


def test_one_lambda_agrees_with_the_path() -> None:
    """A trial at one lambda is the path's trial there, and its refit predicts what the solver fits."""
    of = problem()
    config = Linear("l1", Path(20), unpenalized=["x3"], limits={"x1": (0, None)})
    whole = evaluated(config, of)
    one = evaluated(whole.chosen_config, of)
    np.testing.assert_allclose(one.predictions, whole.predictions, atol=1e-3)
    assert whole.chosen_config.limits == config.limits
    coef, intercept = fitted(whole.chosen_config, of)
    model = whole.chosen_config.refit(of, 0)
    np.testing.assert_allclose(model.predict(of.X), of.X @ coef[:, 0] + intercept, atol=1e-3)


def test_a_category_is_weighed_alike_even_where_its_columns_add_up() -> None:
    """All columns of a category are left unpenalised, although they add up to the intercept."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"batch": pd.Categorical(rng.integers(0, 4, N).astype(str)), "dose": rng.normal(size=N)})
    X["age"] = rng.normal(size=N)
    y = X["batch"].cat.codes * 2.0 + X["dose"] + rng.normal(size=N)
    of = make_problem(X, y)
    coef, intercept = fitted(Linear("l1", 10.0, unpenalized=["batch"]), of, 1e-9)
    names = of.encoded_names
    assert [name for name, one in zip(names, coef[:, 0], strict=True) if one] == names[2:]
    means = y.groupby(X["batch"], observed=True).transform("mean")
    np.testing.assert_allclose(of.encoded.matrix @ coef[:, 0] + intercept, means, atol=1e-4)


# --- what is said of columns -----------------------------------------------------------------------------------

FULL = Linear("l1", 0.1, penalty_factors={"b": 2, "a": 0.5}, unpenalized=["c"], limits={"d": (0, None), "e": (-1, 1)})


def test_configs_keep_what_is_said_of_columns() -> None:
    """Factors and limits survive a file, do not depend on their order, and stand in a row only where there are any."""
    assert from_toml(to_toml(FULL)) == FULL
    assert FULL.replace(penalty_factors={"a": 0.5, "b": 2.0}, limits={"e": (-1, 1), "d": (0, np.inf)}) == FULL
    assert hash(FULL) == hash(from_toml(to_toml(FULL)))
    assert flat(FULL)["limits"] == (("d", 0, None), ("e", -1, 1))
    assert not {"penalty_factors", "unpenalized", "limits"} & set(flat(Linear("l1", 0.1, limits={}, unpenalized=[])))
    assert FULL.reference() == Linear("none", 0.0)
    assert FULL.without(FULL.reference())["limits"] == FULL.replace(limits=None)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"unpenalized": "age"}, r"write \['age', 'batch'\]"),
        ({"unpenalized": [3]}, "names of columns"),
        ({"penalty_factors": {"a": -1.0}}, "at least 0, got -1.0 for 'a'"),
        ({"penalty_factors": {"a": np.inf}}, "finite"),
        ({"penalty_factors": 2.0}, "dict from names"),
        ({"limits": {"a": (1, 2)}}, r"low <= 0 <= high.*got \(1, 2\) for 'a'"),
        ({"limits": {"a": 1}}, r"pairs \(low, high\)"),
        ({"limits": {"a": ("x", None)}}, "low <= 0 <= high"),
    ],
)
def test_what_cannot_be_said_of_columns(wrong: dict[str, Any], said: str) -> None:
    """What is no factor, name or limit is refused with what to write instead."""
    with pytest.raises(InvalidInput, match=said):
        Linear("l1", **wrong)


@pytest.mark.parametrize("field", ["penalty_factors", "unpenalized", "limits"])
def test_names_are_checked_against_the_columns(field: str) -> None:
    """A name that X does not have is refused with the one that was perhaps meant, in an option of a choice too."""
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["dose", "weight"])
    of = make_problem(X, X["dose"] + X["weight"])
    setup = Setup(of, make_folds(3, of, 0), resolve(DEFAULTS[of.task], of))
    values: dict[str, Any] = {
        "penalty_factors": {"dosis": 2.0},
        "unpenalized": ["dosis"],
        "limits": {"dosis": (0, None)},
    }
    for value in (values[field], Choice(None, tuple(Linear(**{field: values[field]}).fields()[field]))):
        with pytest.raises(InvalidInput, match=f"{field} must name columns of X, got 'dosis'; did you mean 'dose'?"):
            Linear("l1", **{field: value}).check(setup)
    with pytest.raises(InvalidInput, match="either unpenalized or has a penalty factor above 0, 'dose' is both"):
        Linear("l1", penalty_factors={"dose": 2.0}, unpenalized=["dose"]).check(setup)


def test_a_model_says_what_factors_and_limits_mean() -> None:
    """The sentences on a fit say that factors and limits change what the prior is."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N, 5)), columns=list("abcde"))
    of = make_problem(X, X.sum(axis=1) + rng.normal(size=N))
    lines = " ".join(FULL.explain(of, make_folds(3, of, 0), 0)["interpretation"]["lines"])
    assert "that of an unpenalised one is flat" in lines
    assert "no probability beyond their limits" in lines
    assert "unpenalised" not in " ".join(
        Linear("l1", 0.1).explain(of, make_folds(3, of, 0), 0)["interpretation"]["lines"]
    )


@pytest.mark.parametrize("task", TASKS)
def test_plain_code_fits_the_same(task: str) -> None:
    """The code of a config with factors and limits needs numpy and scikit-learn, and predicts what the refit does."""
    of = problem(task)
    penalty = Linear("elastic_net").penalty.replace(l1_ratio=0.8)
    limits = {"x0": (0, 0.2), "x1": (-0.1, None)}
    config = Linear(penalty, 0.05, penalty_factors={"x2": 3.0}, unpenalized=["x3"], limits=limits)
    made: dict[str, Any] = {}
    text = linear_code(config, of, 0)
    assert "regsearch" not in text
    exec(text, made)
    model, ours = made["model"].fit(of.X, of.labels), config.refit(of, 0)
    name = "predict" if task == "regression" else "predict_proba"
    np.testing.assert_allclose(getattr(model, name)(of.X), getattr(ours, name)(of.X), atol=1e-3)
    with pytest.raises(InvalidInput, match="no class_weight, and an adaptive one of two classes at most; export a"):
        linear_code(config.replace(class_weight="balanced"), of, 0)
