"""How a study averages its folds: by size as R's glmnet does, and with errors that repeats hardly change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import regression, study
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, RepeatedKFold, ShuffleSplit, TimeSeriesSplit

from regsearch import MLP, Choice, Estimator, InvalidInput, Linear, Net, RegSearchCV, StudyMismatch
from regsearch import Path as Axis
from regsearch import nn_techniques as t
from regsearch.results.comparison import compare
from regsearch.results.results import Results, load_results

GROUPS = np.repeat(np.arange(6), [2, 3, 5, 8, 14, 28])
LASSO = Linear(penalty="l1", lambda_=Axis(40))
NET = Net(MLP(hidden=(4,)), weight_decay=Choice(1e-3, 1e-2), lr=0.1, early_stopping=t.EarlyStopping(max_epochs=12))
RIDGE = Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 10.0, 100.0)})
UNEVEN: list[tuple[Any, dict[str, Any]]] = [
    (GroupKFold(4), {"groups": GROUPS}),
    (TimeSeriesSplit(4, test_size=7), {}),
    (KFold(7), {"sample_weight": np.random.default_rng(0).uniform(0.1, 4, 60)}),
    (
        [
            (np.arange(20, 60), np.arange(20)),
            (np.r_[:20, 25:60], np.arange(20, 25)),
            (np.arange(30), np.arange(30, 60)),
        ],
        {},
    ),
]


def cvm_and_cvsd(results: Results, scores: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """cv.glmnet's figures of scores ``[K, S]``: weighted by the sums of weights of the folds' rows."""
    scoring = results.scoring
    assert scoring is not None
    weight = np.ones(60) if scoring.problem.sample_weight is None else scoring.problem.sample_weight
    sums = np.array([weight[val].sum() for val in scoring.folds.val])
    cvm = sums @ scores / sums.sum()
    return cvm, np.sqrt(sums @ (scores - cvm) ** 2 / sums.sum() / (len(sums) - 1))


@pytest.mark.parametrize("space", [LASSO, RIDGE], ids=["path", "points"])
@pytest.mark.parametrize(("cv", "given"), UNEVEN, ids=["groups", "time", "weights", "given"])
def test_by_size_all_is_glmnets(tmp_path: Path, cv: Any, given: dict[str, Any], space: Any) -> None:
    """By size, the choice of lambda, every score, gap and error, and the one-SE choice follow glmnet's formulas."""
    one = study(tmp_path, cv=cv, space=space, fold_weights="size", **given).run(5, quiet=True)
    best, highest = None, -np.inf
    for trial in one.complete:
        curves = one.curves(trial.number)
        cvm, cvsd = cvm_and_cvsd(one, curves.val)
        assert trial.step == int(cvm.argmax())
        gap, gap_sd = cvm_and_cvsd(one, curves.train - curves.val)
        at = [part[trial.step] for part in (cvm, cvsd, gap, gap_sd)]
        point = one.point(trial)
        assert [point.val, point.val_se, point.gap, point.gap_se] == pytest.approx(at, rel=1e-7)
        if trial.role != "reference" and cvm[trial.step] > highest:
            best, highest = trial, cvm[trial.step]
    assert best is not None
    if best.number == one.best.number and space is LASSO:
        cvm, cvsd = cvm_and_cvsd(one, one.curves(best.number).val)
        within = int(np.flatnonzero(cvm >= cvm.max() - cvsd[cvm.argmax()])[0])
        assert one.choose("one_se").step == within
    scores = [one.point(trial).val for trial in one.complete]
    assert scores == sorted(scores, reverse=True)


def test_uneven_folds_choose_otherwise(tmp_path: Path) -> None:
    """Where folds are uneven, to count them alike or by size are two choices; where they are even, it is one."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 6))
    y = X[:, 0] * np.where(np.arange(60) < 10, -1, 1) + rng.normal(size=60) / 2  # what few rows say is the opposite
    uneven = [(np.setdiff1d(np.arange(60), part), part) for part in np.split(np.arange(60), [3, 6, 10, 35])]
    steps = {}
    for cv, name in ((uneven, "uneven"), (KFold(5), "even")):
        for by in ("equal", "size"):
            made = study(tmp_path, f"{name}-{by}", data=(X, y), cv=cv, space=LASSO, fold_weights=by).run(2, quiet=True)
            steps[name, by] = made.best.step
    assert steps["uneven", "equal"] != steps["uneven", "size"]
    assert steps["even", "equal"] == steps["even", "size"]


@pytest.mark.slow
def test_nets_choose_their_epoch_by_size(tmp_path: Path) -> None:
    """A net's epoch is the best of the mean by size."""
    cv, given = UNEVEN[0]
    one = study(tmp_path, cv=cv, space=NET, fold_weights="size", **given).run(3, quiet=True)
    for trial in one.complete:
        cvm, _ = cvm_and_cvsd(one, one.curves(trial.number).val)
        assert trial.step == int(cvm.argmax())
        assert one.point(trial).val == pytest.approx(cvm.max())


def test_it_is_stored(tmp_path: Path) -> None:
    """Read without data, a study averages as it did; by default nothing of it stands in the identity."""
    cv, given = UNEVEN[3]
    alike = study(tmp_path, "alike", cv=cv, space=LASSO, **given)
    sized = study(tmp_path, "sized", cv=cv, space=LASSO, fold_weights="size", **given)
    first, second = alike.run(3, quiet=True), sized.run(3, quiet=True)
    assert "fold_weights" not in first.identity
    assert second.identity["fold_weights"] == "size"
    read = load_results(second.store.__class__(tmp_path, "sized"))
    for rule in ("best", "one_se", "paired", "pareto", "gap_budget=1"):
        assert (read.choose(rule).number, read.choose(rule).point) == (
            second.choose(rule).number, second.choose(rule).point,
        )  # fmt: skip
    np.testing.assert_allclose(read.curves(1).mean(), cvm_and_cvsd(second, second.curves(1).val)[0])
    with pytest.raises(StudyMismatch, match="same weighting of folds only: 'sized' has size, got equal"):
        sized.replace(fold_weights="equal").run(4, quiet=True)
    with pytest.raises(InvalidInput, match="same weighting of folds only"):
        compare(first, second)
    with pytest.raises(InvalidInput, match="fold_weights must be 'equal' or 'size', got 'rows'"):
        sized.replace(fold_weights="rows")


def test_in_scikit_learns_words() -> None:
    """`RegSearchCV` averages its columns as its study does."""
    X, y = regression()
    cv = UNEVEN[3][0]
    search = RegSearchCV(RIDGE, cv=cv, n_trials=4, fold_weights="size").fit(X, y)
    table, sizes = search.cv_results_, [len(val) for _, val in cv]
    splits = np.stack([table[f"split{k}_test_score"] for k in range(3)])
    np.testing.assert_allclose(table["mean_test_score"], np.average(splits, axis=0, weights=sizes))
    assert search.best_score_ == pytest.approx(table["mean_test_score"][search.best_index_])


@pytest.mark.slow
@pytest.mark.parametrize("data", ["diabetes", "drawn", "few rows"])
def test_repeats_hardly_change_the_error(tmp_path: Path, data: str) -> None:
    """Repeating the folds, once or twenty times, hardly changes the standard error of the best, nor of its gap."""
    X, y = load_diabetes(return_X_y=True) if data == "diabetes" else regression(200 if data == "drawn" else 40)
    errors = []
    for repeats in (1, 5, 20):
        cv = RepeatedKFold(n_splits=5, n_repeats=repeats, random_state=0)
        one = study(tmp_path, f"by{repeats}", data=(X, y), cv=cv, space=LASSO).run(2, quiet=True)
        errors.append(one.best.point.val_se)
        assert one.averaging.effective == pytest.approx(5, rel=0.01)
    usual = study(tmp_path, "split", data=(X, y), cv=ShuffleSplit(40, test_size=0.2, random_state=0), space=LASSO)
    errors.append(usual.run(2, quiet=True).best.point.val_se)
    assert max(errors) < 1.8 * min(errors)
    assert errors[2] > 0.6 * errors[0]
