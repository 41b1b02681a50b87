"""A transformed y: what models are fitted to, and what is scored, in the units of y."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path as Folder
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Lasso, MultiTaskLasso, Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from regsearch import MLP, Choice, Estimator, Float, Linear, Net, Path, RegSearchCV, Study, load, load_config, spaces
from regsearch import nn_techniques as t
from regsearch import open as open_study
from regsearch.data.fold_targets import aimed
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.data.target_transforms import NAMES, TargetTransform
from regsearch.errors import InvalidInput, StudyMismatch
from regsearch.export.bundle.files import sha256
from regsearch.export.code import code
from regsearch.export.retrain import retrain
from regsearch.export.serving.onnx import to_onnx
from regsearch.export.verify import Evidence, verify
from regsearch.metrics.scorer import Metric, resolve
from regsearch.models.base import Candidate, Model, Outcome, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.convert import to_alpha, to_ridge_alpha
from regsearch.models.target import transform_of
from regsearch.study.options import StudyOptions

SCORERS = ["neg_mean_squared_error", "neg_mean_absolute_error", "r2"]
CV = KFold(3, shuffle=True, random_state=1)
N = 60
NET = Net(MLP((4,)), precision="float64", early_stopping=t.FixedEpochs(4))
RIDGE = Estimator(Ridge(), {"alpha": Float(0.1, 0.5)})


def amounts(p: int, targets: int = 1, n: int = N) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(n, p))
    y = np.exp(0.5 * X[:, : 2 * targets].reshape(n, targets, 2).sum(axis=2) + 0.3 * random.normal(size=(n, targets)))
    return X, y[:, 0] if targets == 1 else y


def setup_of(X: Any, y: Any, target: Any, **of: Any) -> Setup:
    problem = make_problem(X, y, task="regression", **of)
    problem = aimed(problem, transform_of(target, problem.rows))
    return Setup(problem, make_folds(CV, problem, 0), resolve(SCORERS, problem))


def outcome(config: Model, setup: Setup) -> Outcome:
    (found,) = config.backend(setup).stream([Candidate(0, config)])
    assert found.state == "complete", found.reason
    return found


def solved(config: Linear, setup: Setup) -> Outcome:
    """The outcome of a linear config, nearer to the optimum than a search needs it."""
    backend = LinearBackend(setup, (config.loss,))
    backend.solver.tol = 1e-12
    return backend.evaluate(Candidate(0, config))


TRANSFORMERS = {
    "log": FunctionTransformer(np.log, np.exp),
    "log1p": FunctionTransformer(np.log1p, np.expm1),
    "quantile": QuantileTransformer(n_quantiles=N, output_distribution="normal"),
}


def cross_validated(model: Any, transformer: Any, X: Any, y: Any) -> dict[str, Any]:
    """What scikit-learn comes to."""
    whole = TransformedTargetRegressor(model, transformer=transformer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold has fewer rows than quantiles
        found: dict[str, Any] = cross_validate(whole, X, y, cv=CV, scoring=SCORERS, return_train_score=True)
    return found


def agree(found: Outcome, theirs: dict[str, Any], rtol: float = 1e-5) -> None:
    for name in SCORERS:
        curves = found.trajectory.curves[name]
        np.testing.assert_allclose(curves.val[:, found.step], theirs[f"test_{name}"], rtol=rtol)
        np.testing.assert_allclose(curves.train[:, found.step], theirs[f"train_{name}"], rtol=rtol)


@pytest.mark.parametrize("target", ["log", "log1p", "quantile", PowerTransformer()], ids=str)
@pytest.mark.parametrize("p", [4, 90])
def test_scores_of_a_linear_model_are_those_of_scikit_learns_transformed_target(target: Any, p: int) -> None:
    """At the same lambda and folds every score, in training too, is that of TransformedTargetRegressor."""
    X, y = amounts(p)
    setup = setup_of(X, y, target)
    found = solved(Linear("l1", lambda_=0.1), setup)
    alone = solved(Linear("l1", lambda_=0.1), replace(setup, metrics=setup.metrics[:1]))  # which moments tell
    np.testing.assert_allclose(alone.trajectory.deciding.val, found.trajectory.deciding.val)
    lasso = make_pipeline(StandardScaler(), Lasso(alpha=to_alpha(0.1), tol=1e-12, max_iter=100_000))
    agree(found, cross_validated(lasso, TRANSFORMERS.get(str(target), target), X, y))


def test_sparse_rows_several_targets_and_ridge_are_those_of_scikit_learn() -> None:
    """Where columns are many zeros, targets several or there is no L1 part, other solvers read the targets of folds."""
    X, y = amounts(500, n=N)
    X = sparse.csr_array(np.where(np.abs(X) > 1.5, X, 0.0))
    X, y = sparse.vstack([X] * 8, format="csr"), np.concatenate([y * (1 + k / 9) for k in range(8)])
    found = solved(Linear("l1", lambda_=0.05, scale="none"), setup_of(X, y, PowerTransformer()))
    agree(found, cross_validated(Lasso(alpha=0.05, tol=1e-12, max_iter=100_000), PowerTransformer(), X, y))
    X, y = amounts(5, 2)
    many = solved(Linear("multi_task_lasso", lambda_=0.1, scale="none"), setup_of(X, y, "quantile"))
    agree(many, cross_validated(MultiTaskLasso(alpha=0.1, tol=1e-12), TRANSFORMERS["quantile"], X, y))
    ridge = solved(Linear("l2", lambda_=0.1, scale="none"), setup_of(X, y, MinMaxScaler()))
    agree(ridge, cross_validated(Ridge(alpha=to_ridge_alpha(0.1, 40)), MinMaxScaler(), X, y))


def test_estimators_and_their_rounds_are_scored_in_the_units_of_y() -> None:
    """An estimator is TransformedTargetRegressor's, as a whole and after each of its rounds; scorers see y."""
    X, y = amounts(4)
    trees = GradientBoostingRegressor(n_estimators=5, random_state=0)
    theirs = cross_validated(trees, TRANSFORMERS["quantile"], X, y)
    setup = setup_of(X, y, "quantile")
    agree(outcome(Estimator(trees, {"max_depth": 3}), setup), theirs)
    along = outcome(Estimator(trees, {}, path="n_estimators"), setup)
    agree(replace(along, step=4), theirs)
    read = Metric("own", lambda fitted, X, y: -mean_absolute_error(y, fitted.predict(X)) - 0 * fitted.n_features_in_)
    own = outcome(Estimator(trees, {"max_depth": 3}), replace(setup, metrics=(read,)))
    np.testing.assert_allclose(own.trajectory.deciding.val[:, 0], theirs["test_neg_mean_absolute_error"])


@pytest.mark.parametrize("targets", [1, 2])
def test_a_net_says_what_one_of_the_logarithm_says(targets: int) -> None:
    """A net of target='log' is that of log y, undone: predictions and scores."""
    X, y = amounts(4, targets, 30)
    plain, log = (outcome(NET, setup_of(X, of, target)) for of, target in ((np.log(y), None), (y, "log")))
    assert log.predictions is not None
    assert plain.predictions is not None
    np.testing.assert_allclose(log.predictions, np.exp(plain.predictions), rtol=1e-6)
    val = setup_of(X, y, None).folds.val
    said = log.predictions.reshape(y.shape)
    for measure, name in ((mean_squared_error, SCORERS[0]), (mean_absolute_error, SCORERS[1])):
        ours = log.trajectory.curves[name].val[:, log.step]
        np.testing.assert_allclose(ours, [-measure(y[rows], said[rows]) for rows in val], rtol=1e-5)


@pytest.mark.parametrize(
    ("target", "y", "says"),
    [
        ("log", np.r_[np.arange(1.0, 59), 0, -2], r"needs y above 0, got -2 in rows 58, 59; pass target='quantile'"),
        ("log", np.r_[np.arange(1.0, 60), 0], "in row 59; pass target='log1p' or 'quantile'"),
        ("lg", np.arange(60.0), "'log'"),
        (StandardScaler, np.arange(60.0), "unfitted transformer"),
        (FunctionTransformer(np.log, np.expm1), np.arange(1.0, 61), "undone by its inverse_transform"),
        (FunctionTransformer(np.sqrt, np.square), np.arange(60.0) - 1, "finite numbers of y.* row 0"),
        (PCA(1), np.arange(60.0), None),
    ],
)  # fmt: skip
def test_what_cannot_be_transformed_is_refused_with_the_rows_and_a_way_out(target: Any, y: Any, says: str) -> None:
    """The error names the rows that stand in the way, and what to pass."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    options = StudyOptions(space=spaces.linear(), target=target, tracking=False)
    if says is None:  # turns and shifts y, and back
        options.setup_of(options.problem_of(X, y)[0])
        return
    with pytest.raises(InvalidInput, match=says):
        options.setup_of(options.problem_of(X, y)[0])


def test_losses_with_a_logarithm_of_their_own_and_classes_refuse_one_more() -> None:
    """A Poisson mean is no mean of log y, and labels have no logarithm."""
    X, y = amounts(3)
    with pytest.raises(InvalidInput, match=r"poisson loss takes the logarithm itself.*target=log"):
        Linear(loss="poisson").check(setup_of(X, y, "log"))
    options = StudyOptions(space=spaces.linear(), target="log", tracking=False)
    with pytest.raises(InvalidInput, match="binary"):
        options.setup_of(options.problem_of(X, y > 1)[0])


def study(root: Folder, space: Any, target: Any, **options: Any) -> Study:
    X, y = amounts(3)
    return Study("s", pd.DataFrame(X, columns=["a", "b", "c"]), y, space=space, root=root, target=target, cv=3,
                 tracking=False, **options)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "target"),
    [(Linear("l2", Path(5)), "log"), (NET.replace(lr=Choice(0.01, 0.02)), "log1p"), (RIDGE, PowerTransformer())],
    ids=["linear", "net", "estimator"],
)
def test_a_transformed_target_ships_whole(space: Any, target: Any, tmp_path: Folder) -> None:
    """Its bundle predicts y, holds by raw rows, is fitted again, and is told apart from one of y itself."""
    made = study(tmp_path / "a", space, target)
    best = made.run(3, quiet=True).choose("best")
    out = made.export(out=tmp_path / "bundle")
    X, y = made._data
    model = load(out)
    np.testing.assert_allclose(model.predict(X), best.config.refit(made.problem, 0).predict(X), rtol=1e-6)
    card = (out / "README.md").read_text()
    assert "in the units of the data" in card
    raw = make_problem(X, y)
    verdict = verify(out, Evidence(raw))
    assert all(check.holds for check in verdict.checks), str(verdict)
    again = retrain(out, X, y, tmp_path / "again")
    assert again.same
    assert again.new["val"] == pytest.approx(again.old["val"], rel=1e-3)
    np.testing.assert_allclose(load(again.folder).predict(X), model.predict(X), rtol=1e-3)
    fitted = load_config(out).build(raw).fit(X, y)
    np.testing.assert_allclose(fitted.predict(X), model.predict(X), rtol=1e-2)
    config, said = out / "config.toml", out / "provenance.json"
    config.write_text(re.sub("(?m)^target = .*\n", "", config.read_text()))
    known = json.loads(said.read_text())
    known["files"]["config.toml"] = sha256(config)
    said.write_text(json.dumps(known))
    assert [check.name for check in verify(out).checks if check.holds is False] == ["config"]


@pytest.mark.parametrize(
    ("space", "library"),
    [(Linear("l2", Path(5)), "sklearn"), pytest.param(NET, "torch", marks=pytest.mark.slow)],
    ids=["linear", "net"],
)
def test_plain_code_undoes_what_it_fits_to(space: Any, library: str) -> None:
    """What is printed says y: the pipeline inside TransformedTargetRegressor, the loop with the same transformer."""
    X, y = amounts(3)
    for target in ("log", "quantile"):
        problem = setup_of(X, y, target).problem
        config = space.at(0.01) if library == "sklearn" else space
        names: dict[str, Any] = {}
        exec(code(config, problem, library), names)
        said = names["model"].fit(X, y).predict(X) if library == "sklearn" else names["fit"](X, y)(X)
        expected = config.refit(problem, 0).predict(X)
        np.testing.assert_allclose(said, expected, rtol=1e-6 if library == "sklearn" else 0.5)


@pytest.mark.slow
def test_onnx_undoes_logarithms_and_refuses_other_transformers(tmp_path: Folder) -> None:
    """ONNX Runtime says what the bundle says, which the conversion itself compares."""
    pytest.importorskip("skl2onnx")
    for target in ("log", "log1p"):
        made = study(tmp_path / target, Linear("l2", Path(3)), target)
        made.run(1, quiet=True)
        assert to_onnx(made.export(out=tmp_path / "b")).exists()
    other = study(tmp_path / "other", Linear("l2", Path(3)), "quantile")
    other.run(1, quiet=True)
    with pytest.raises(InvalidInput, match="'log' and 'log1p' alone, got QuantileTransformer"):
        to_onnx(other.export(out=tmp_path / "c"))


@pytest.mark.slow
def test_a_search_and_a_stored_study_know_their_target(tmp_path: Folder) -> None:
    """RegSearchCV predicts y and has the coefficients of log y; a study goes on with the same target alone."""
    X, y = amounts(3)
    search = RegSearchCV(Linear("l2", Path(5)), target="log", n_trials=2, cv=3).fit(X, y)
    assert search.coef_.shape == (3,)
    np.testing.assert_allclose(search.predict(X), np.exp(search.best_estimator_.regressor_.predict(X)))
    made = study(tmp_path, Linear("l2", Path(5)), "log")
    made.run(2, quiet=True)
    with pytest.raises(StudyMismatch, match="target transformer"):
        made.replace(target=None).run(3, quiet=True)
    opened = open_study("s", *made._data, root=tmp_path)
    assert opened.problem.transform == made.problem.transform
    X, y = made._data
    weighted = made.replace(sample_weight=np.r_[np.zeros(5), np.ones(N - 5)], root=tmp_path / "w").problem
    bare = make_problem(X[5:], y[5:])
    fitted = Linear("l2", 0.1).refit(weighted, 0), Linear("l2", 0.1).refit(aimed(bare, made.problem.transform), 0)
    np.testing.assert_allclose(fitted[0].predict(X), fitted[1].predict(X))


def test_every_named_transformer_is_undone_exactly() -> None:
    """A name stands for a transformer whose inverse gives y back, ties and extremes too."""
    y = np.r_[np.full(20, 0.5), np.arange(1.0, 2001), 1e9]
    for name in NAMES:
        fitted = TargetTransform.named(name, len(y)).fit(y, np.arange(len(y)))
        back = fitted.undone(fitted.transformed(y)[:, None])[:, 0]
        np.testing.assert_allclose(back, y, rtol=1e-9 if name != "quantile" else 1e-6)
