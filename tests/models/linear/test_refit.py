"""Refits: scikit-learn pipelines that hold the certified solution, and that scikit-learn fits again to the same."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from regsearch import L1, L2, AdaptiveLasso, ElasticNet, InvalidInput, Linear, NoPenalty
from regsearch.data import row_table
from regsearch.data.features import take_rows
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.gaussian import Gaussian
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.scales import SCALES
from regsearch.models.linear.solvers import FINAL_TOL, Solvers

N = 60
TASKS = ["regression", "binary", "multiclass"]
FORMS = ["array", "frame", "sparse"]
PLAIN = [L1(), L2(), ElasticNet(0.3), ElasticNet(0.0)]


def problem(task: str = "regression", form: str = "array", weighted: bool = False) -> Problem:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(N, 4)) * [1, 5, 0.3, 1] + [0, 3, 0, -1]
    signal = numbers @ [1, -0.2, 2, 0] + rng.normal(size=N)
    weights = np.arange(N) % 4 * 1.0 if weighted else None
    X: Any = numbers
    if form == "sparse":
        X = sparse.csr_array(np.where(np.abs(numbers) > 0.7, numbers, 0))
    if form == "array":
        X = np.where(rng.random(numbers.shape) < 0.1, np.nan, numbers)
    if form == "frame":
        X = pd.DataFrame(np.where(rng.random(numbers.shape) < 0.1, np.nan, numbers), columns=list("abcd"))
        X["e"] = signal + rng.normal(size=N) > 0
        X["f"] = pd.Categorical.from_codes(rng.integers(-1, 3, N), ["u", "v", "w"])
    cuts = {"regression": None, "binary": [0.5], "multiclass": [0.33, 0.66]}[task]
    y = signal if cuts is None else np.array(["low", "mid", "top"])[np.searchsorted(np.quantile(signal, cuts), signal)]
    return make_problem(X, y, sample_weight=weights)


def outputs(model: Any, X: Any) -> Any:
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def weights_for(pipeline: Any, p: Problem) -> dict[str, Any]:
    """How a user passes sample weights to the steps that take them."""
    if p.sample_weight is None:
        return {}
    taking = [name for name, _ in pipeline.steps if name == "standardscaler" or name == pipeline.steps[-1][0]]
    return {f"{name}__sample_weight": p.sample_weight for name in taking}


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_scikit_learn_fits_the_same(task: str, form: str, scale: str, weighted: bool) -> None:
    """Cloned and fitted by scikit-learn as it is, a pipeline with a plain penalty predicts what the refit does.

    Of weights, it is fitted to as many copies of each row; where no step needs more of them, to the weights as well.
    """
    p = problem(task, form, weighted)
    for penalty in PLAIN if task == "regression" else PLAIN[:3]:
        ours = Linear(penalty, 0.05, scale).refit(p, 0)
        check_is_fitted(ours)
        theirs = clone(ours)
        X: Any = p.X
        if form == "sparse" and scale == "minmax":  # scikit-learn has no such scaler to fit again
            theirs.steps.pop(0)
            X = ours[0].transform(X).toarray()
        counts = np.ones(N, dtype=int) if p.sample_weight is None else p.sample_weight.astype(int)
        repeated = np.repeat(np.arange(N), counts)  # scikit-learn's imputers and ranges know no weights
        theirs.fit(take_rows(X, repeated), p.labels[repeated])
        slow = getattr(theirs[-1], "solver", "") == "saga"  # stops once all weights are zero, whatever the intercept
        if form == "sparse" and scale in ("standard", "none") and not slow:
            again = clone(theirs).fit(X, p.labels, **weights_for(theirs, p))
            np.testing.assert_allclose(outputs(again, X), outputs(theirs, X), atol=2e-3)
        np.testing.assert_allclose(outputs(theirs, X), outputs(ours, p.X), atol=4e-3 if slow else 2e-3)


HALF = ElasticNet(0.5)
WEAK = {
    "l2": (load_breast_cancer, L2(), 1e-5),
    "no_penalty": (load_wine, NoPenalty(), 0.0),
    "two_l1": (load_breast_cancer, L1(), 1e-4),
    "two_elastic": (load_breast_cancer, HALF, 1e-3),
    "three_l1": (load_wine, L1(), 1e-3),
    "ridge": (load_diabetes, L2(), 1e-6),
    "lasso": (load_diabetes, L1(), 1e-3),
    "elastic": (load_diabetes, HALF, 1e-5),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WEAK)
def test_a_weak_penalty_is_fitted_to_the_end(case: str) -> None:
    """Where a penalty hardly helps a solver, the pipeline still ends at the refit's predictions, without a warning."""
    load, penalty, lambda_ = WEAK[case]
    p = make_problem(*load(return_X_y=True))
    ours = Linear(penalty, lambda_).refit(p, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs, again = (clone(ours).fit(p.X, p.labels) for _ in range(2))
    spread = 1.0 if p.classes is not None else p.y.std()
    np.testing.assert_allclose(outputs(theirs, p.X) / spread, outputs(ours, p.X) / spread, atol=1e-3)
    np.testing.assert_array_equal(outputs(again, p.X), outputs(theirs, p.X))  # no draw of its own


def test_unscaled_columns_are_fitted_to_the_end() -> None:
    """Without an L1 part, columns in units of their own make no difference to how close scikit-learn comes."""
    p = make_problem(*load_breast_cancer(return_X_y=True))
    ours = Linear("l2", 1e-4, "none").refit(p, 0)
    np.testing.assert_allclose(outputs(clone(ours).fit(p.X, p.labels), p.X), outputs(ours, p.X), atol=1e-4)


@pytest.mark.slow
def test_what_cannot_be_fitted_to_the_end_says_so() -> None:
    """An L1 part of classes that saga does not get to the end of stops at its limit with a warning."""
    p = make_problem(*load_breast_cancer(return_X_y=True))
    ours = Linear(HALF, 1e-5).refit(p, 0)
    with pytest.warns(ConvergenceWarning, match="max_iter was reached"):
        clone(ours).fit(p.X, p.labels)


@pytest.mark.parametrize("task", TASKS)
def test_an_adaptive_penalty_is_fitted_again_without_its_weights(task: str) -> None:
    """scikit-learn has no adaptive weights: fitted again, the pipeline has the same penalty on all columns alike."""
    p = problem(task)
    adaptive, plain = (Linear(penalty, 0.05).refit(p, 0) for penalty in (AdaptiveLasso(1.0), L1()))
    assert abs(outputs(adaptive, p.X) - outputs(plain, p.X)).max() > 1e-3
    assert repr(clone(adaptive)) == repr(clone(plain))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("task", "penalty"),
    [(task, penalty) for task in TASKS for penalty in (L1(), AdaptiveLasso(1.0))] + [("regression", NoPenalty())],
)
def test_refit_is_the_backend_on_all_rows(task: str, form: str, scale: str, penalty: Any) -> None:
    """The pipeline predicts, from raw rows, what the backend decides when it trains on all of them."""
    p = problem(task, form)
    everything = np.arange(N)
    made = LinearBackend(Setup(p, Folds((everything,), (everything,), "all"), resolve(DEFAULTS[p.task], p)))
    made.solver.tol = FINAL_TOL
    outcome = made.evaluate(Candidate(0, Linear(penalty, 0.05, scale)))
    pipeline = outcome.chosen_config.refit(p, 0)  # type: ignore[attr-defined]
    found = pipeline.predict(p.X) if task == "regression" else pipeline.decision_function(p.X)
    np.testing.assert_allclose(found.reshape(N, -1), outcome.predictions, atol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("unit", "origin"), [(1.0, 1e8), (1e-6, 1.0), (1e60, 0.0), (1e-12, 0.0)])
def test_units_do_not_matter(unit: float, origin: float, scale: str) -> None:
    """Columns far from zero and in any unit are refitted as well as others."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(N, 3))
    y = plain[:, 0] + rng.normal(size=N)
    X = origin + unit * plain
    lambda_ = 0.05 * (unit if scale == "none" else 1.0)
    expected = Linear("l1", 0.05, scale).refit(make_problem(plain, y), 0).predict(plain)
    np.testing.assert_allclose(
        Linear("l1", lambda_, scale).refit(make_problem(X, y), 0).predict(X), expected, atol=1e-5
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_pipeline_is_scikit_learns(task: str, form: str) -> None:
    """Labels, shapes, feature names and single rows are as from any fitted scikit-learn pipeline, without a warning."""
    p = problem(task, form)
    model = Linear("l1", 0.05).refit(p, 0)
    whole = model.predict(p.X)
    rows = p.X.iloc[[3, 1]] if form == "frame" else p.X[[3, 1]]
    part = model.predict(rows)
    assert part.tolist() == (pytest.approx(whole[[3, 1]]) if task == "regression" else whole[[3, 1]].tolist())
    assert whole.shape == (N,)
    assert np.isfinite(model.score(p.X, p.labels))
    assert {step.__class__.__module__.split(".")[0] for _, step in model.steps} == {"sklearn"}
    if task == "regression":
        assert model[-1].coef_.shape == (model[-1].n_features_in_,)
        return
    assert set(whole) <= set(p.classes)
    assert model.classes_.tolist() == p.classes.tolist()
    np.testing.assert_allclose(model.predict_proba(p.X).sum(axis=1), 1)
    assert model[-1].coef_.shape == (1 if task == "binary" else 3, model[-1].n_features_in_)


def test_frame_columns_are_found_by_name() -> None:
    """Production may have the columns in another order, or more of them."""
    p = problem("regression", "frame")
    model = Linear("l2", 0.1).refit(p, 0)
    shuffled = p.X[list(p.X.columns[::-1])].assign(more=1)
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(p.X))


@pytest.mark.parametrize("scale", SCALES)
def test_constant_columns_stay_out(scale: str) -> None:
    """A column that is constant in the data has the coefficient zero, whatever it holds later."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(N, 2)), np.full(N, 0.1)])
    model = Linear("l2", 0.1, scale).refit(make_problem(X, X[:, 0] + rng.normal(size=N)), 0)
    other = X + np.array([0, 0, 100])
    np.testing.assert_allclose(model.predict(other), model.predict(X))


@pytest.mark.parametrize("task", TASKS)
def test_no_penalty(task: str) -> None:
    """The reference is refitted as scikit-learn's estimator without a penalty, and warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Linear("none", 0.0).refit(problem(task), 0)
    kind = type(model[-1]).__name__
    assert kind == ("LinearRegression" if task == "regression" else "LogisticRegression")
    assert np.isfinite(outputs(model, problem(task).X)).all()


def test_path_cannot_be_refitted() -> None:
    """A path has many fits: one lambda has to be chosen first."""
    with pytest.raises(InvalidInput, match="needs one lambda, got a Path; take the chosen point"):
        Linear("l1").refit(problem(), 0)


@pytest.mark.parametrize("penalty", ["l1", "elastic_net", "l2"])
@pytest.mark.parametrize("classes", [False, True])
def test_refit_has_ten_digits(penalty: str, classes: bool) -> None:
    """The objective of what is exported is within ten digits of its least: coefficients have five or more."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)) + rng.normal(size=(80, 1))
    y = X[:, 0] - X[:, 1] / 2 + rng.normal(size=80)
    given = make_problem(X, (y > 0).astype(int) if classes else y)
    config = Linear(penalty if penalty != "elastic_net" else ElasticNet(0.5), 0.05)
    found = np.ravel(config.refit(given, 0)[-1].coef_)
    solvers = Solvers.of_all_rows(given)
    make = LogLoss if classes else Gaussian
    solver = make(solvers.design, given.y[:, None].astype(float), tol=1e-14)
    *_, exact = solver.path(solvers.terms(config), "standard", np.array([0.05]))
    np.testing.assert_allclose(found, exact.coef[0, -1, :, 0] * solvers.design.scales("standard")[0], atol=2e-5)


@pytest.mark.parametrize("form", ["array", "sparse", "rows"])
def test_a_constant_column_changes_nothing_under_any_weights(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weighted variance of a date's year may round to below 0: no warning, and predictions as without it."""
    monkeypatch.setattr(row_table, "WHOLE", 0 if form == "rows" else row_table.WHOLE)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        weights, numbers = rng.uniform(0.5, 2, N // 2), rng.normal(size=(N // 2, 2))
        target, whole = numbers[:, 0] + rng.normal(size=N // 2), np.column_stack([numbers, np.full(N // 2, 2026.0)])
        X = sparse.csr_array(whole) if form == "sparse" else whole
        fitted, bare = (
            Linear("l2", 0.1).refit(make_problem(one, target, sample_weight=weights), 0) for one in (X, X[:, :2])
        )
        np.testing.assert_allclose(fitted.predict(X), bare.predict(X[:, :2]), rtol=1e-9)
