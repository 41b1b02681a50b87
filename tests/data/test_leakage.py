"""Preprocessing belongs to the folds: the oracle is a plain scikit-learn pipeline fitted on the training rows only."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from regsearch import L1, L2, AdaptiveLasso, ElasticNet, Linear, NoPenalty, Penalty
from regsearch.data.features import take_rows
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.convert import to_alpha, to_C, to_ridge_alpha
from regsearch.models.linear.decisions import decisions
from regsearch.models.linear.scales import SCALES

N = 72
TASKS = ["regression", "binary", "multiclass"]
SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler, "none": None}
PENALTIES = [L1(), L2(), ElasticNet(0.4)]


@cache
def data(seed: int = 0) -> tuple[pd.DataFrame, Any]:
    """Columns of every kind, with holes; one category and one filled column exist in few rows only."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(N, 4)) * [1, 10, 0.1, 1] + [0, 5, -1, 0]
    signal = numbers @ [1, 0.2, -5, 0]
    holes = rng.random((N, 4)) < 0.15
    holes[:, 3] = np.arange(N) > 8  # observed in a few rows, all of them in the first folds' validation parts
    bits, codes = rng.random(N) < 0.4, rng.integers(0, 3, N)
    codes[:3] = 3  # a category of three rows
    X = pd.DataFrame(np.where(holes, np.nan, numbers), columns=["a", "b", "c", "rare"])
    X["d"] = pd.arrays.BooleanArray(bits, rng.random(N) < 0.1)
    X["e"] = bits[::-1]
    X["f"] = pd.Categorical.from_codes(np.where(rng.random(N) < 0.1, -1, codes), ["u", "v", "w", "seldom"])
    return X, signal + bits + (codes == 1) + rng.normal(size=N)


def problem(task: str) -> Problem:
    X, signal = data()
    if task == "regression":
        return make_problem(X, signal)
    cuts = np.quantile(signal, [0.5] if task == "binary" else [0.33, 0.66])
    return make_problem(X, np.array(["low", "mid", "top"])[np.searchsorted(cuts, signal)])


def setup(p: Problem) -> Setup:
    """Blocks of rows, so that what is rare is in one validation part."""
    blocks = np.array_split(np.arange(N), 4)
    pairs = [(np.setdiff1d(np.arange(N), block), block) for block in blocks]
    return Setup(p, make_folds(pairs, p, 0), resolve(DEFAULTS[p.task], p))


def backend(p: Problem, tol: float = 1e-12) -> LinearBackend:
    made = LinearBackend(setup(p))
    made.solver.tol = tol  # type: ignore[attr-defined]
    return made


def pipeline(p: Problem, scale: str, penalty: Penalty, lambda_: float, n: int) -> Any:
    """What a careful user of scikit-learn would fit."""
    prepare = make_column_transformer(
        (SimpleImputer(keep_empty_features=True), ["a", "b", "c", "rare", "d", "e"]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["f"]),
    )
    scaler = SCALERS[scale]
    steps = [prepare] if scaler is None else [prepare, scaler()]
    ratio = penalty.l1_ratio  # type: ignore[attr-defined]
    if p.classes is not None:
        solver = "saga" if ratio else "lbfgs"
        steps.append(
            LogisticRegression(
                C=to_C(lambda_, n), l1_ratio=ratio, solver=solver, tol=1e-9, max_iter=100_000, random_state=0
            )
        )
    elif isinstance(penalty, NoPenalty):
        steps.append(LinearRegression())
    elif ratio:
        steps.append(SklearnElasticNet(alpha=to_alpha(lambda_), l1_ratio=ratio, tol=1e-12, max_iter=1_000_000))
    else:
        steps.append(Ridge(alpha=to_ridge_alpha(lambda_, n)))
    return make_pipeline(*steps)


def decided(model: Any, X: Any) -> Any:
    found = model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)
    return found.reshape(len(X), -1)


def centred(values: Any) -> Any:
    """Multinomial decisions are the same up to a shift of each row."""
    return values - values.mean(axis=1, keepdims=True) if values.shape[1] > 1 else values


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty.kind)
@pytest.mark.parametrize("task", TASKS)
def test_folds_equal_a_pipeline_on_training_rows(task: str, penalty: Penalty, scale: str) -> None:
    """Each fold's decisions and scores are those of a pipeline that has seen nothing but its training rows."""
    p = problem(task)
    made = backend(p)
    strength = 0.02 if scale in ("minmax", "none") else 0.1
    outcome = made.evaluate(Candidate(0, Linear(penalty, strength, scale)))
    (metric,) = made.setup.metrics
    floats = p.X.assign(d=p.X["d"].astype("Float64").astype(float), e=p.X["e"].astype(float))
    for k, (train, val) in enumerate(zip(made.setup.folds.train, made.setup.folds.val, strict=True)):
        model = pipeline(p, scale, penalty, strength, len(train)).fit(floats.iloc[train], p.labels[train])
        theirs = decided(model, floats)
        tolerance = 1e-4 if task == "regression" else 2e-3
        # indicators of all categories add up to the intercept: the lasso leaves open what an unseen category gets
        sure = val[p.X["f"].iloc[val].isin(p.X["f"].iloc[train])] if isinstance(penalty, L1) else val
        np.testing.assert_allclose(centred(outcome.predictions[sure]), centred(theirs[sure]), atol=tolerance)
        for rows, curve in (
            (train, outcome.trajectory.curves[metric.name].train),
            (val, outcome.trajectory.curves[metric.name].val),
        ):
            if rows is train or len(sure) == len(val):
                expected = metric.along(p, rows, theirs[rows][:, None])[0]
                assert curve[k, 0] == pytest.approx(expected, rel=tolerance, abs=tolerance)


def with_other_rows(p: Problem, rows: Any) -> Problem:
    """The problem with everything about some rows changed: numbers, holes, categories and targets."""
    X = p.X.copy()
    rng = np.random.default_rng(9)
    for name in ("a", "b", "c", "rare"):
        other = np.where(rng.random(len(rows)) < 0.3, np.nan, 100 * rng.normal(size=len(rows)))
        X.iloc[rows, X.columns.get_loc(name)] = other
    X.iloc[rows, X.columns.get_loc("d")] = ~X["d"].iloc[rows]
    X.iloc[rows, X.columns.get_loc("e")] = ~X["e"].iloc[rows]
    X.iloc[rows, X.columns.get_loc("f")] = pd.Categorical(["seldom"] * len(rows), categories=X["f"].cat.categories)
    y = p.y.copy()
    y[rows] = 1000 - 50 * y[rows] if p.classes is None else (y[rows] + 1) % len(p.classes)
    changed = make_problem(X, y if p.classes is None else p.classes[y])
    assert changed.fingerprint != p.fingerprint
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("task", "penalty"),
    [(task, penalty) for task in TASKS for penalty in (*PENALTIES, AdaptiveLasso(1.0))]
    + [("regression", NoPenalty())],  # separable classes have no finite maximum to compare
)
def test_held_out_rows_have_no_influence(task: str, penalty: Penalty, scale: str) -> None:
    """Whatever a fold's held-out rows hold, its coefficients and training scores stay, and the other folds' change."""
    p = problem(task)
    rows = setup(p).folds.val[1]
    fits = []
    for one in (p, with_other_rows(p, rows)):
        made = backend(one)
        config = Linear(penalty, 0.05, scale)
        terms = penalty.terms(lambda made=made: made.solver.initial(scale))
        lambdas = np.array([0.05 if penalty.path else 0.0])
        (piece,) = made.solver.path(terms, scale, lambdas)
        curves = made.evaluate(Candidate(0, config)).trajectory.deciding
        inside = decisions(made.design.fold(1)[setup(p).folds.train[1]], piece.coef[1, 0].T).T + piece.intercept[1, 0]
        fits.append((inside, curves.train[1], curves.train[0]))
    np.testing.assert_allclose(fits[0][0], fits[1][0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fits[0][1], fits[1][1], rtol=1e-5)
    assert not np.allclose(fits[0][2], fits[1][2])


def test_order_of_folds_does_not_matter() -> None:
    """A fold's scores are the same whichever folds are fitted beside it."""
    p = problem("regression")
    every = setup(p)
    alone = Setup(p, Folds(every.folds.train[2:3], every.folds.val[2:3], "one"), every.metrics)
    together, single = (LinearBackend(s).evaluate(Candidate(0, Linear("l1", 0.05))) for s in (every, alone))
    (name,) = together.trajectory.curves
    np.testing.assert_allclose(
        together.trajectory.curves[name].val[2], single.trajectory.curves[name].val[0], rtol=1e-6
    )
    rows = every.folds.val[2]
    np.testing.assert_allclose(together.predictions[rows], single.predictions[rows], atol=1e-5)
    assert np.isnan(single.predictions[every.folds.val[0]]).all()
    assert take_rows(p.X, rows).shape == (18, 7)
