"""Scores that are not defined at some points, in some folds, or without the fitted estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.metrics import make_scorer, precision_score, r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict
from sklearn.preprocessing import StandardScaler

from regsearch import MLP, Estimator, Float, InvalidInput, Linear, Net, Pick, Study, nn_techniques
from regsearch import Path as Axis
from regsearch.errors import SearchFailed, StudyMismatch
from regsearch.mirror.content import trial_record
from regsearch.results.report.page import page
from regsearch.results.rules import RULES


def pearson(truth: Any, predicted: Any) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(truth, predicted)[0, 1])


def strict_pearson(truth: Any, predicted: Any) -> float:
    if np.ptp(predicted) == 0:
        raise ValueError("no correlation with a constant")
    return pearson(truth, predicted)


def own_precision(truth: Any, predicted: Any) -> float:
    return float(truth[predicted == 1].mean()) if predicted.any() else np.nan


PRECISION = make_scorer(precision_score, zero_division=np.nan)
NET = Net(
    MLP(hidden=(4,)), lr=Float(1e-2, 1e-1, log=True), early_stopping=nn_techniques.EarlyStopping(max_epochs=4)
)  # fmt: skip


def numbers(rows: int = 80, columns: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns))
    return X, 2 * X[:, 0] + rng.normal(size=rows)


def classes(rows: int = 120) -> tuple[Any, Any]:
    X, y = numbers(rows, 6)
    return X, (y > 1).astype(int)


def study(root: Path, data: tuple[Any, Any], space: Any, scoring: Any, cv: Any = 4, **options: Any) -> Study:
    return Study("u", *data, space=space, scoring=scoring, cv=cv, root=root, tracking=False, **options)


# --- points that are not defined -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("score", [pearson, strict_pearson])
@pytest.mark.parametrize("scale", ["standard", "none"])
def test_a_correlation_is_searched(tmp_path: Path, score: Any, scale: str) -> None:
    """A score that no constant prediction has is no less than scikit-learn's best of a grid, and finite."""
    data, scorer = numbers(), make_scorer(score)
    one = study(tmp_path, data, Linear("l1", scale=scale), scorer)
    results = one.run(2, quiet=True)
    cv = list(zip(one.folds.train, one.folds.val, strict=True))
    grid = GridSearchCV(Lasso(), {"alpha": np.geomspace(1, 1e-3, 15)}, cv=cv, scoring=make_scorer(pearson))
    best = grid.fit(StandardScaler().fit_transform(data[0]) if scale == "standard" else data[0], data[1]).best_score_
    assert results.counts["complete"] == 2
    assert results.best.score >= best - 2e-3
    val = results.curves(1).val
    assert np.isnan(val[:, 0]).any()  # the top of the path predicts a constant


@pytest.mark.slow
def test_what_is_defined_is_chosen_among(tmp_path: Path) -> None:
    """A point with an undefined fold is not chosen; the chosen one scores as scikit-learn's fit at that lambda."""
    X, y = classes()
    one = study(tmp_path, (X, y), Linear("l1"), PRECISION)
    results = one.run(2, quiet=True)
    mean = results.curves(1).mean()
    assert np.isnan(mean).any()
    chosen = results.at(Pick(1, results.all[1].step, ""), "best")
    assert chosen.score == np.nanmax(mean)
    for k, (train, val) in enumerate(zip(one.folds.train, one.folds.val, strict=True)):
        scaler = StandardScaler().fit(X[train])
        model = LogisticRegression(
            C=1 / (chosen.value * len(train)), l1_ratio=1, solver="saga", tol=1e-8, max_iter=9999
        )
        predicted = model.fit(scaler.transform(X[train]), y[train]).predict(scaler.transform(X[val]))
        assert results.curves(1).val[k, chosen.step] == precision_score(y[val], predicted)


@pytest.mark.slow
def test_everything_reads_a_path_with_holes(tmp_path: Path) -> None:
    """Rules, tables, the report, MLflow's record and advice cope with points that have no score."""
    results = study(tmp_path, classes(), Linear("l1"), [make_scorer(own_precision), "accuracy"]).run(2, quiet=True)
    for rule in [*RULES, "gap_budget=0.05"]:
        chosen = results.choose(rule)
        assert np.isfinite(chosen.score), rule
        assert np.isfinite(chosen.gap), rule
    assert np.isfinite(results.trials["score"]).all()
    assert "precision" in page(results)
    record = trial_record(results.all[1], results.trajectory(1), results.metric, results.name)
    assert np.isfinite(record.metrics["val/mean"])
    assert isinstance(results.advice, list)
    assert results.corrected.score is not None


def test_no_point_at_all_fails_with_the_reason(tmp_path: Path) -> None:
    """A trial without any point where every fold has a score says which fold has none, or what the scorer said."""

    def never(model: Any, X: Any, y: Any) -> float:
        if len(y) > 30:  # a check before the search has all of the rows
            return float(-np.mean((model.predict(X) - y) ** 2))
        raise ValueError("too few rows to say")

    with pytest.raises(SearchFailed, match="too few rows to say"):
        study(tmp_path, numbers(), Linear("l1"), never, pooled=False).run(2, quiet=True)
    X, y = classes(90)
    y[:30] = 1
    parts = np.split(np.arange(90), 3)
    cv = [(np.setdiff1d(np.arange(90), part), part) for part in parts]
    with pytest.raises(SearchFailed, match="roc_auc was not finite in fold 0"):
        study(tmp_path / "b", (X, y), Linear("l1"), "roc_auc", cv, pooled=False).run(2, quiet=True)


@pytest.mark.parametrize("space", [Linear("l1"), Estimator(Lasso(), {"alpha": Float(0.1, 1.0)}), NET], ids=repr)
def test_a_pooled_scorer_that_fails_is_named(tmp_path: Path, space: Any) -> None:
    """Where a scorer of all folds together fails and does not decide, the trial goes on and says what failed."""

    def shy(truth: Any, predicted: Any) -> float:
        if len(truth) > 60 and np.ptp(predicted) > 0:  # more rows than a fold trains on
            raise AssertionError  # without a word
        return 0.0

    scoring = {"mse": "neg_mean_squared_error", "shy": make_scorer(shy)}
    results = study(tmp_path, numbers(), space, scoring, pooled=True).run(2, quiet=True)
    trial = results.complete[-1]
    assert "the scorer 'shy' failed: AssertionError" in trial.reason
    assert np.isnan(results.trajectory(trial.number).curves["shy"].val[:, trial.step]).all()


@pytest.mark.slow
def test_nets_wait_for_a_first_score(tmp_path: Path) -> None:
    """An epoch whose score is not defined ends no training and is not chosen; one that never is fails truly."""
    seen = []

    def late(truth: Any, predicted: Any) -> float:
        seen.append(1)
        return np.nan if np.std(predicted) < 0.3 else -float(np.mean((truth - predicted) ** 2))

    space = NET.replace(early_stopping=nn_techniques.EarlyStopping(max_epochs=30, patience=2))
    results = study(tmp_path / "a", numbers(), space, make_scorer(late), 2).run(3, quiet=True)
    holes = [np.isnan(results.curves(trial.number).mean()) for trial in results.complete]
    assert any(hole.any() for hole in holes)
    assert all(not hole[trial.step] for hole, trial in zip(holes, results.complete, strict=True))
    never = make_scorer(lambda truth, predicted: np.nan if len(truth) < 60 else 1.0)
    with pytest.raises(SearchFailed, match="was not defined in all folds at any of"):
        study(tmp_path / "b", numbers(), NET, never, 2, pooled=False).run(2, quiet=True)


# --- scorers that read the estimator ---------------------------------------------------------------------------


def sparse(model: Any, X: Any, y: Any) -> float:
    """The score, less a little for each coefficient."""
    return float(r2_score(y, model.predict(X)) - 0.01 * np.count_nonzero(model.coef_))


def by_key(model: Any, X: Any, y: Any) -> float:
    return float(model.__dict__["n_features_in_"])


def by_place(model: Any, X: Any, y: Any) -> float:
    return float(model[-1].score(X, y))


@pytest.mark.parametrize(("scorer", "said"), [(sparse, "coef_"), (by_key, "KeyError"), (by_place, "subscriptable")])
@pytest.mark.parametrize("space", [Linear(), NET])
def test_scorers_that_need_the_fit_are_refused_with_the_reason(
    tmp_path: Path, scorer: Any, said: str, space: Any
) -> None:
    """Where only predictions are scored, the message names the scorer, what it said and where it would work."""
    with pytest.raises(InvalidInput, match=f"(?s){scorer.__name__}.*{said}.*search an Estimator"):
        study(tmp_path, numbers(), space, scorer)


@pytest.mark.slow
@pytest.mark.parametrize("scorer", [sparse, by_key])
@pytest.mark.parametrize("others", [[], ["r2"]])
def test_scorers_that_need_the_fit_work_for_estimators(tmp_path: Path, scorer: Any, others: list[str]) -> None:
    """An estimator is scored by what it is: as GridSearchCV scores it, whatever the scorer reads."""
    space = Estimator(Lasso(), {"alpha": Float(1e-3, 1.0, log=True)})
    one = study(tmp_path, numbers(), space, [scorer, *others])
    results = one.run(4, quiet=True)
    cv = list(zip(one.folds.train, one.folds.val, strict=True))
    for trial in results.complete:
        grid = GridSearchCV(Lasso(), {"alpha": [trial.params["alpha"]]}, cv=cv, scoring=scorer).fit(*numbers())
        assert trial.point.val == pytest.approx(grid.best_score_)
    assert results.corrected.score is None
    assert isinstance(results.advice, list)
    assert scorer.__name__ in page(results)


# --- scores of all rows together -------------------------------------------------------------------------------

LEAVE_ONE_OUT: dict[str, tuple[Any, Any, Any]] = {
    "r2 of ridge": (Linear("l2"), "r2", r2_score),
    "r2 of an estimator": (Estimator(Ridge(), {"alpha": Float(0.1, 10.0, log=True)}), "r2", r2_score),
    "auc": (Linear("l1"), "roc_auc", roc_auc_score),
    "auc of an estimator": (
        Estimator(LogisticRegression(), {"C": Float(0.1, 10.0, log=True)}),
        "roc_auc",
        roc_auc_score,
    ),
    "a correlation": (Linear("l2", Axis(20)), make_scorer(pearson), pearson),
    "auc of a net": (NET, "roc_auc", roc_auc_score),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LEAVE_ONE_OUT)
def test_leaving_one_out(tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A score that one row does not have is that of all predictions outside training, and a line says so."""
    space, scoring, oracle = LEAVE_ONE_OUT[case]
    X, y = classes(24) if oracle is roc_auc_score else numbers(24, 3)
    one = study(tmp_path, (X, y), space, scoring, LeaveOneOut())
    results = one.run(2)
    assert "one score of all rows outside training, not one a fold" in capsys.readouterr().err
    assert results.counts["complete"] == 2
    for trial in results.complete:
        outside = results.decisions(trial.number)
        assert outside is not None
        assert trial.point.val == pytest.approx(oracle(y, outside[:, 0]), abs=1e-5)
        assert (trial.point.val_se > 0) == (trial.point.val < 1)  # no row misplaced: none is missed
    if isinstance(space, Estimator):
        reference = results.reference
        assert reference is not None
        method = "predict" if oracle is r2_score else "decision_function"
        theirs = cross_val_predict(clone(space.estimator), X, y, cv=LeaveOneOut(), method=method)
        assert reference.point.val == pytest.approx(oracle(y, theirs))
    for rule in RULES:
        assert np.isfinite(results.choose(rule).score)
    assert page(results)


def test_pooling_is_part_of_what_a_study_is(tmp_path: Path) -> None:
    """Left out, nothing of a study's identity changes; asked for, its scores are others and are not mixed."""
    plain = study(tmp_path / "a", numbers(), Linear("l1"), "r2")
    assert (
        plain._identity()["scoring"]
        == study(tmp_path, numbers(), Linear("l1"), "r2", pooled=False)._identity()["scoring"]
    )
    assert "pooled" not in str(plain._identity())
    plain.run(2, quiet=True)
    pooled = plain.replace(pooled=True)
    with pytest.raises(StudyMismatch, match="scoring"):
        pooled.run(2, quiet=True)
    other = pooled.replace(root=tmp_path / "b")
    results = other.run(2, quiet=True)
    outside = results.decisions(1)
    assert outside is not None
    assert results.all[1].point.val == pytest.approx(r2_score(numbers()[1], outside[:, 0]), abs=1e-6)
    with pytest.raises(InvalidInput, match="pooled must be True or False, got 'yes'"):
        study(tmp_path, numbers(), Linear("l1"), "r2", pooled="yes")
    with pytest.raises(InvalidInput, match="A pooled score is made from predictions alone"):
        study(tmp_path, numbers(), Estimator(Lasso(), {"alpha": Float(0.1, 1.0)}), sparse, pooled=True)
