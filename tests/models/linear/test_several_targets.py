"""Several targets: multi-task penalties and those that decompose are as scikit-learn has them, in all folds."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model
from sklearn.metrics import make_scorer, mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler

import regsearch
from regsearch import ElasticNet, InvalidInput, Linear, MultiTaskElasticNet, MultiTaskLasso, RegSearchCV, Study
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.export.code import code
from regsearch.export.retrain import retrain
from regsearch.export.verify import Evidence, verify
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.row_norms import RowTerms
from regsearch.models.linear.solvers import Solvers
from regsearch.results.by_target import of_decisions
from regsearch.results.report.note import note
from regsearch.results.report.sentences import verdict as verdict_of
from regsearch.results.results import load_results
from regsearch.results.stored_study import Scoring
from regsearch.space.path import Path
from regsearch.space.tree import Choice

EXACT: dict[str, Any] = {"tol": 1e-12, "max_iter": 100_000}
SHAPES = [(40, 6), (25, 40)]


def data(n: int, p: int, seed: int = 0) -> tuple[Array, Array]:
    """Columns that correlate, a few of which matter for three targets of different noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) + rng.normal(size=(n, 1))
    W = np.zeros((p, 3))
    W[:3] = rng.normal(size=(3, 3))
    return X, X @ W + rng.normal(size=(n, 3)) * [0.5, 1, 2]


def setup_of(problem: Problem, scoring: Any = "neg_mean_squared_error") -> Setup:
    return Setup(problem, make_folds(3, problem, 0), resolve(scoring, problem))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("penalty", "theirs"),
    [
        (MultiTaskElasticNet(l1_ratio=0.7), lambda a, n: linear_model.MultiTaskElasticNet(a, l1_ratio=0.7, **EXACT)),
        (MultiTaskLasso(), lambda a, n: linear_model.MultiTaskLasso(a, **EXACT)),
        (MultiTaskElasticNet(l1_ratio=0.0), lambda a, n: linear_model.Ridge(a * n)),
        ("l2", lambda a, n: linear_model.Ridge(a * n)),
        ("l1", lambda a, n: linear_model.Lasso(a, **EXACT)),
        (ElasticNet(l1_ratio=0.4), lambda a, n: linear_model.ElasticNet(a, l1_ratio=0.4, **EXACT)),
    ],
)
def test_matches_scikit_learn(penalty: Any, theirs: Any, shape: tuple[int, int]) -> None:
    """A refit predicts what scikit-learn's estimator does, and is shipped as that."""
    X, Y = data(*shape)
    Z = StandardScaler().fit_transform(X)
    model = Linear(penalty, 0.2).refit(make_problem(X, Y), 0)
    expected = theirs(0.2, len(X)).fit(Z, Y)
    assert type(model[-1]) is type(expected)
    assert (model[-1].coef_ != 0).any(axis=0).sum() == (expected.coef_ != 0).any(axis=0).sum()
    np.testing.assert_allclose(model.predict(X), expected.predict(Z), atol=2e-4)


def pieces(problem: Problem, config: Linear, lambdas: Array, tol: float) -> tuple[Any, Any]:
    solvers = Solvers(problem, (np.arange(problem.rows),), (np.arange(0),), tol=tol)
    solver = solvers.of(None)
    return solvers, next(iter(solver.path(solvers.terms(config), config.scale, lambdas)))


def objective(problem: Problem, coef: Array, terms: RowTerms, lambda_: float, scales: Array) -> float:
    X = problem.X - np.average(problem.X, axis=0, weights=problem.sample_weight)
    Y = problem.y - np.average(problem.y, axis=0, weights=problem.sample_weight)
    loss = np.average(((Y - X @ coef) ** 2).sum(axis=1), weights=problem.sample_weight) / 2
    return float(loss + terms.value(coef * scales[:, None], lambda_))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_the_gap_bounds_what_is_left(shape: tuple[int, int], ratio: float) -> None:
    """At any tolerance a weighted path is above its minimum by no more than its gap, which it reaches."""
    X, Y = data(*shape)
    problem = make_problem(X, Y, sample_weight=np.random.default_rng(1).uniform(0.5, 2, len(X)))
    config, lambdas = Linear(MultiTaskElasticNet(l1_ratio=ratio), 0.1), np.array([0.5, 0.2, 0.05])
    solvers, best = pieces(problem, config, lambdas, 1e-12)
    terms, scales = solvers.terms(config), solvers.design.scales("standard")[0]
    for tol in (1e-2, 1e-5):
        _, rough = pieces(problem, config, lambdas, tol)
        assert rough.gap.max() <= tol
        for step, lambda_ in enumerate(lambdas):
            values = [objective(problem, one.coef[0, step], terms, lambda_, scales) for one in (rough, best)]
            assert values[0] - values[1] <= rough.gap[0, step] * solvers.of(None).null[0] + 1e-12
    assert best.gap.max() <= 1e-11


def test_the_top_of_a_path_keeps_no_column() -> None:
    """At the largest lambda all is zero, and just below it one row is not."""
    problem = make_problem(*data(40, 6))
    solvers = Solvers(problem, (np.arange(40),), (np.arange(0),))
    terms = solvers.terms(Linear("multi_task_lasso"))
    top = terms.lambda_max(solvers.of(None).gradient("standard", terms))
    (piece,) = solvers.of(None).path(terms, "standard", np.array([top, 0.98 * top]))
    assert not piece.coef[0, 0].any()
    assert piece.coef[0, 1].any(axis=1).sum() == 1


def test_columns_that_repeat_are_solved() -> None:
    """Copies of columns, on which sweeps alone are slow or share arbitrarily, end at the same objective."""
    X, Y = data(40, 6)
    near = X + 1e-6 * np.random.default_rng(2).normal(size=X.shape)
    config, lambdas = Linear(MultiTaskElasticNet(l1_ratio=1.0), 0.1), np.array([0.3, 0.05])
    _, piece = pieces(make_problem(np.column_stack([X, near, X]), Y), config, lambdas, 1e-10)
    assert piece.gap.max() <= 1.5e-10


def test_factors_and_free_columns() -> None:
    """Each row's gradient has the length that its own factor says, and that of a column without a penalty is zero."""
    X, Y = data(40, 6)
    problem = make_problem(X, Y)
    config = Linear(
        MultiTaskElasticNet(l1_ratio=0.8), 0.2, penalty_factors={"x0": 0.5}, unpenalized=["x1"]
    )  # fmt: skip
    solvers, piece = pieces(problem, config, np.array([0.2]), 1e-12)
    scales = solvers.design.scales("standard")[0]
    w, Z = piece.coef[0, 0] * scales[:, None], (X - X.mean(axis=0)) / scales
    gradient = Z.T @ (Y - Y.mean(axis=0) - Z @ w) / 40
    factor = np.array([0.5, 0, 1, 1, 1, 1])
    push = np.linalg.norm(gradient - 0.2 * 0.2 * factor[:, None] * w, axis=1)
    used = np.abs(w).any(axis=1)
    assert used[:2].all()
    assert not used.all()
    np.testing.assert_allclose(push[used], 0.2 * 0.8 * factor[used], atol=1e-5)
    assert (push[~used] <= 0.2 * 0.8 * factor[~used]).all()
    terms = solvers.terms(config)
    top = terms.lambda_max(solvers.of(None).gradient("standard", terms))
    _, piece = pieces(problem, config, np.array([1.001 * top]), 1e-10)
    assert np.abs(piece.coef[0, 0]).any(axis=1).tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize("scoring", ["r2", "neg_root_mean_squared_error", "neg_mean_absolute_error"])
@pytest.mark.parametrize("penalty", [MultiTaskElasticNet(l1_ratio=0.6), "l1"])
def test_a_trial_is_its_folds_fitted_apart(penalty: Any, scoring: str) -> None:
    """Scores of a fold, from moments or rows, and decisions outside training are those of a separate refit."""
    X, Y = data(40, 6)
    setup = setup_of(make_problem(X, Y), scoring)
    config = Linear(penalty, 0.2)
    config.check(setup)
    (outcome,) = config.backend(setup).stream([Candidate(0, config)])
    assert outcome.state == "complete", outcome.reason
    curves = outcome.trajectory.curves[scoring]
    for k, (train, val) in enumerate(zip(setup.folds.train, setup.folds.val, strict=True)):
        model = config.refit(setup.problem.take(train), 0)
        expected = setup.metrics[0].scorer(model, X[val], Y[val])
        assert curves.val[k, 0] == pytest.approx(expected, abs=1e-3)
        np.testing.assert_allclose(outcome.predictions[val], model.predict(X[val]), atol=2e-3)


@pytest.mark.parametrize("penalty", ["group_lasso", "mcp", Choice("l1", "slope")])
def test_what_does_not_decompose_is_refused(penalty: Any) -> None:
    """A penalty that is neither of rows nor of single coefficients is refused before any trial, and so is a loss."""
    setup = setup_of(make_problem(*data(40, 6)))
    with pytest.raises(InvalidInput, match=r"not fitted to several targets.*multi_task_elastic_net"):
        Linear(penalty).check(setup)
    with pytest.raises(InvalidInput, match="squared error, got the huber loss and 3 columns"):
        Linear("l1", loss="huber").check(setup)


@pytest.mark.slow
def test_several_targets_are_searched_and_shipped(tmp_path: FilePath) -> None:
    """From a DataFrame of targets to a bundle that holds, plain code and `RegSearchCV`."""
    X, Y = data(40, 6)
    frame, targets = pd.DataFrame(X, columns=list("abcdef")), pd.DataFrame(Y, columns=["u", "v", "w"])
    space = Linear(MultiTaskElasticNet(l1_ratio=0.5), Path(8))
    study = Study("several", frame, targets, space=space, cv=3, root=tmp_path, tracking=False)
    results = study.run(2, quiet=True)
    overview = load_results(study.store).overview()
    assert list(overview.by_target) == ["u", "v", "w"]
    assert np.mean(list(overview.by_target.values())) == pytest.approx(results.best.score)
    assert "By target: u=" in str(overview)
    folder = study.export(tmp_path / "model")
    best = results.best
    score = overview.by_target["v"]
    assert ("How good is it on each target?", f"v: {score:.5g}") in [
        (asked, answer.split("; ")[1]) for asked, answer in verdict_of(results) if "; v: " in answer
    ]
    assert f"| v&nbsp;&nbsp; | {score:.4g}" in note(results)
    assert f"| validation of v | {score:.5g} |" in (folder / "README.md").read_text()
    again = retrain(folder, frame, targets, tmp_path / "again")
    assert again.new["by_target"]["v"] == pytest.approx(score, rel=1e-3)
    np.testing.assert_array_equal(
        regsearch.load(folder).predict(frame), best.config.refit(study.problem, 0).predict(frame)
    )
    assert "--target COLUMN,COLUMN,COLUMN" in (folder / "README.md").read_text()
    verdict = verify(folder, Evidence(study.problem, study.folds, study.setup.metrics[0]))
    assert verdict.holds, str(verdict)
    names: dict[str, Any] = {}
    exec(code(best.config, study.problem, "sklearn"), names)
    fitted = names["model"].fit(frame, targets)
    np.testing.assert_allclose(fitted.predict(frame), regsearch.load(folder).predict(frame), atol=1e-3)
    found = RegSearchCV(space, cv=3, n_trials=2, scoring="r2").fit(frame, targets)
    assert found.predict(frame).shape == (40, 3)
    assert found.score(frame, targets) == pytest.approx(r2_score(targets, found.predict(frame)))


def test_a_choice_by_all_targets_together_says_nothing_of_each() -> None:
    """A scorer that weighs targets is of none alone: what tells of each leaves it out, and ends nothing."""
    X, Y = data(40, 6)
    weighted = make_scorer(mean_squared_error, greater_is_better=False, multioutput=[0.2, 0.3, 0.5])
    for scoring, told in ((weighted, []), ("neg_mean_squared_error", ["y0", "y1", "y2"])):
        setup = setup_of(make_problem(X, Y), scoring)
        assert list(of_decisions(Scoring.of(setup), setup.averaging, Y + 0.1)) == told
