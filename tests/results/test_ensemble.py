"""Ensembles: against selection written out, scikit-learn's scores, and problems whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_studies import stored
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, mean_squared_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GroupKFold, LeaveOneOut, RepeatedKFold, ShuffleSplit, TimeSeriesSplit
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import regsearch
from regsearch import Choice, Cox, Estimator, Float, InvalidInput, Linear, NotFound, Study
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.metrics.scorer import resolve
from regsearch.results.ensemble.against_best import held_out
from regsearch.results.ensemble.selection import Judge, Selection, select
from regsearch.results.ensemble.training import least_train_score
from regsearch.results.stored_study import Scoring

ROWS, CONFIGS = 90, 8


def numbers(rows: int = ROWS, configs: int = CONFIGS, seed: int = 0) -> tuple[Problem, NDArray[Any]]:
    """Numbers, and predictions that are wrong independently of each other."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    return make_problem(rng.normal(size=(rows, 2)), y), y[:, None] + rng.normal(size=(configs, rows, 1))


def labels(rows: int = ROWS, classes: int = 2, seed: int = 0) -> tuple[Problem, NDArray[Any]]:
    """Labels, and decisions that know a little of them."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(rows) % classes)
    knows = (2.0 * y - 1)[:, None] if classes == 2 else 2.0 * np.eye(classes)[y]
    noise = rng.normal(size=(CONFIGS, rows, knows.shape[1]))
    return make_problem(rng.normal(size=(rows, 2)), np.array(["a", "b", "c"])[y]), knows + 1.5 * noise


def caruana(y: NDArray[Any], predictions: NDArray[Any], size: int) -> list[int]:
    """The selection of the paper on squared errors, written out: sorted initialization, then one pick after another."""

    def error(picks: list[int]) -> float:
        return float(mean_squared_error(y, predictions[picks].mean(axis=0)))

    order = sorted(range(len(predictions)), key=lambda t: error([t]))[: max(1, size // 2)]
    begun = [order[: count + 1] for count in range(len(order))]
    ways = [min(begun, key=error)]
    while len(ways[-1]) < size:
        ways.append(min(([*ways[-1], t] for t in range(len(predictions))), key=error))
    return sorted(min(ways, key=error))


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9))
def test_selection_is_that_of_the_paper(seed: int, size: int) -> None:
    """Picks are those of forward selection with replacement from sorted initialization, the best on the way kept."""
    problem, decisions = numbers(30, 6, seed)
    folds = replace(regsearch.data.folds.make_folds(3, problem, 0), val=(np.arange(30),), train=(np.arange(30),))
    scoring = Scoring(problem, folds, resolve("neg_mean_squared_error", problem)[0])
    judge = Judge(scoring, Averaging.equal(1), folds.val)
    counts = select(judge, judge.parts(list(decisions)), size)
    expected = np.bincount(caruana(problem.y, decisions[:, :, 0], size), minlength=6)
    np.testing.assert_array_equal(counts, expected)


@given(st.lists(st.floats(-600, 600), min_size=1, max_size=5))
def test_the_mean_of_one_model_says_what_it_said(log_odds: list[float]) -> None:
    """Decisions survive the scale on which they are averaged, however sure they are."""
    binary, several = labels()[0], labels(classes=3)[0]
    decisions = np.array(log_odds)[:, None]
    np.testing.assert_allclose(to_decisions(binary, to_average(binary, decisions)), decisions, rtol=1e-9, atol=1e-9)
    logits = np.stack([np.array(log_odds) / 2, np.zeros(len(log_odds)), -np.array(log_odds) / 3], axis=1)
    again = to_decisions(several, to_average(several, logits))
    np.testing.assert_allclose(softmax(again, axis=1), softmax(logits, axis=1), rtol=1e-9)


def test_scores_are_those_of_the_weighted_mean_of_predictions(tmp_path: Path) -> None:
    """The score is the metric of the mean prediction, fold by fold: of probabilities for classes, of numbers else."""
    for name, (problem, decisions), metric in [
        ("two", labels(), "neg_log_loss"), ("three", labels(classes=3), "neg_log_loss"),
        ("numbers", numbers(), "neg_mean_squared_error"),
    ]:  # fmt: skip
        study = stored(tmp_path / name, problem, metric, decisions)
        found = study.ensemble(size=6)
        assert sum(found.weights.values()) == pytest.approx(1)
        assert len(found.members) > 1
        mean = sum(weight * study.predictions(number) for number, weight in found.weights.items())
        np.testing.assert_allclose(found.predictions, mean, rtol=1e-6)
        folds = study.folds
        assert folds is not None
        loss = mean_squared_error if problem.classes is None else log_loss
        by_fold = [-loss(problem.labels[rows], mean[rows]) for rows in folds.val]
        assert found.score == pytest.approx(np.mean(by_fold))
        assert found.se == pytest.approx(np.std(by_fold, ddof=1) / np.sqrt(len(by_fold)))
        assert found.score > found.single_score


@pytest.mark.parametrize(
    "cv",
    [5, ShuffleSplit(4, test_size=0.5, random_state=0), ShuffleSplit(12, test_size=0.5, random_state=0),
     [(np.arange(45), np.arange(45, 90))], [(np.arange(45), np.arange(45, 90)), (np.arange(40), np.arange(45, 90))]],
    ids=["parted", "overlapping", "many", "one", "twice"],
)  # fmt: skip
def test_rows_are_scored_by_what_was_selected_without_them(tmp_path: Path, cv: Any) -> None:
    """The ensemble and the best trial that are compared on some rows were selected on all others, and on none of them,
    however folds overlap.
    """
    problem, decisions = numbers(configs=20, seed=3)
    study = stored(tmp_path, problem, "neg_mean_squared_error", decisions, cv)
    scoring, y = study.scoring, problem.y
    assert scoring is not None
    said = decisions.astype(np.float32).astype(float)
    gained = []
    for cell in held_out(scoring, study.averaging).cells:
        rest = [np.setdiff1d(val, cell) for val in scoring.folds.val]
        errors = [np.mean([mean_squared_error(y[rows], one[rows]) for rows in rest if len(rows)]) for one in said]
        judge = Judge(scoring, study.averaging, rest)
        mean = np.einsum("t,tnm->nm", Selection(25).weights(judge, judge.parts(list(said))), said)
        best = said[int(np.argmin(errors))]
        gained.append(mean_squared_error(y[cell], best[cell]) - mean_squared_error(y[cell], mean[cell]))
    assert len(gained) > 3
    assert study.ensemble().difference.mean == pytest.approx(np.mean(gained))


def test_where_nothing_is_left_to_select_by_nothing_is_compared(tmp_path: Path) -> None:
    """A fold that validates all rows of the others leaves none to choose on, and the ensemble says so."""
    problem, decisions = numbers()
    cv = [(np.arange(45), np.arange(45, 90)), (np.arange(40), np.arange(60, 90))]
    found = stored(tmp_path, problem, "neg_mean_squared_error", decisions, cv).ensemble(size=4)
    assert np.isnan([found.difference.mean, found.difference.p]).all()
    assert "cannot be told: there is no error" in found.verdict


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numbers", "labels"])
def test_the_corrected_score_is_what_new_rows_give(tmp_path: Path, kind: str) -> None:
    """On problems that are known the score flatters, the corrected one does not, and its interval mostly holds."""
    rows, new, claimed, honest, held = 100, 4000, [], [], []
    metric = "neg_mean_squared_error" if kind == "numbers" else "neg_log_loss"
    for seed in range(40):
        rng = np.random.default_rng(seed)
        signal = rng.normal(size=rows + new) * 1.5
        noisy = rng.random(rows + new) < expit(signal)
        y = signal + rng.normal(size=rows + new) if kind == "numbers" else noisy.astype(int)
        decisions = signal[:, None] + rng.uniform(0.4, 1.2, (30, 1, 1)) * rng.normal(size=(30, rows + new, 1))
        problem, later = (make_problem(np.arange(len(part))[:, None] * 1.0, part) for part in (y[:rows], y[rows:]))
        found = stored(tmp_path / str(seed), problem, metric, decisions[:, :rows]).ensemble()
        mean = sum(w * to_average(later, decisions[t, rows:]) for t, w in found.weights.items())
        told = to_decisions(later, np.asarray(mean))[:, None]
        truth = float(resolve(metric, later)[0].along(later, np.arange(new), told)[0])
        assert found.corrected.score is not None
        assert found.corrected.interval is not None
        claimed.append(found.score - truth)
        honest.append(found.corrected.score - truth)
        held.append(found.corrected.interval[0] <= truth <= found.corrected.interval[1])
    error = np.std(honest) / np.sqrt(len(honest))
    assert np.mean(claimed) > 3 * error
    assert abs(np.mean(honest)) < 2.5 * error
    assert np.mean(held) >= 0.8


def test_copies_of_one_model_are_no_better_than_it(tmp_path: Path) -> None:
    """Where trials differ by next to nothing, an ensemble cannot be told from the best, and says so."""
    problem, decisions = numbers(configs=1)
    rng = np.random.default_rng(1)
    copies = decisions + 1e-3 * rng.normal(size=(20, ROWS, 1))
    found = stored(tmp_path, problem, "neg_mean_squared_error", copies).ensemble()
    assert found.difference.p > 0.05 or found.difference.mean < 0
    assert "cannot be told" in found.verdict or "No mean" in found.verdict or "worse" in found.verdict
    assert found.verdict in str(found)
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize(
    "cv",
    [
        RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), LeaveOneOut(), TimeSeriesSplit(3), GroupKFold(3),
        ShuffleSplit(n_splits=4, test_size=0.4, random_state=0), [(np.arange(45), np.arange(45, 90))],
    ],
    ids=["repeated", "leave-one-out", "time", "groups", "shuffled", "one"],
)  # fmt: skip
def test_any_folds(tmp_path: Path, cv: Any) -> None:
    """Ensembles of repeated, grouped, timed, single and a fold for each row have a score and a corrected one."""
    problem, decisions = numbers()
    problem = replace(problem, groups=np.arange(ROWS) // 5 if isinstance(cv, GroupKFold) else None)
    found = stored(tmp_path, problem, "neg_mean_squared_error", decisions, cv).ensemble(size=8)
    assert found.corrected.score is not None
    assert found.corrected.optimism is not None
    assert np.isfinite([found.score, found.corrected.score, found.difference.mean]).all()
    assert found.repeated == (type(cv).__name__ in ("RepeatedKFold", "ShuffleSplit"))
    assert found.score > found.single_score


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "f1", "average_precision"])
def test_metrics_of_labels_and_of_ranks(tmp_path: Path, metric: str) -> None:
    """The study's metric selects, with a formula here or without, of rows that weigh."""
    named, decisions = labels()
    problem, rng = make_problem(named.X, named.y), np.random.default_rng(0)
    weights = rng.integers(0, 3, ROWS).astype(float)
    problem = replace(problem, sample_weight=weights, score_weight=weights)
    found = stored(tmp_path, problem, metric, decisions).ensemble(size=5, among=4)
    assert found.score >= found.single_score
    assert found.corrected.score is not None
    assert found.among == found.corrected.configs == 4


def test_bags_average_selections(tmp_path: Path) -> None:
    """The weights of bags are the mean of those of random halves, and the same each time."""
    problem, decisions = numbers(configs=12)
    study = stored(tmp_path, problem, "neg_mean_squared_error", decisions)
    one, bagged = study.ensemble(size=3), study.ensemble(size=3, bags=6)
    assert len(bagged.members) > len(one.members)
    assert sum(bagged.weights.values()) == pytest.approx(1)
    assert bagged.weights == study.ensemble(size=3, bags=6).weights


# --- a study that was run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Linear paths and an estimator on rows that two of the folds' repetitions validate."""
    X, y = load_diabetes(return_X_y=True)
    space = Choice(Linear("l2"), Estimator(Ridge(), {"alpha": Float(0.1, 100, log=True)}))
    root = tmp_path_factory.mktemp("searched")
    study = Study("both", X[:120], y[:120], space=space, cv=4, root=root, tracking=False)
    study.run(8, quiet=True)
    return study


def test_predictions_are_those_of_models_that_did_not_see_the_row(searched: Study) -> None:
    """Of an estimator they are what the same one says that is fitted to each fold's training rows."""
    results, (X, y) = regsearch.open("both", root=searched.options.root), load_diabetes(return_X_y=True)
    trial = next(one for one in results.complete if "alpha" in one.own_params)
    expected = np.empty(120)
    for train, val in zip(searched.folds.train, searched.folds.val, strict=True):
        expected[val] = Ridge(alpha=trial.own_params["alpha"]).fit(X[train], y[train]).predict(X[val])
    np.testing.assert_allclose(results.predictions(trial.number), expected, rtol=1e-5)


def test_predictions_at_other_steps(searched: Study) -> None:
    """Steps whose predictions are stored give them, and an error names these for any other."""
    results = searched.results()
    trial = next(one for one in results.complete if one.steps > 30)
    along = results.along(trial.number)
    assert along is not None
    np.testing.assert_allclose(results.predictions(trial.number, int(along.steps[3])), along.decisions[3, :, 0])
    np.testing.assert_array_equal(results.predictions(trial.number, trial.step), results.predictions(trial.number))
    other = next(step for step in range(trial.steps) if step not in {*along.steps.tolist(), trial.step})
    with pytest.raises(NotFound, match=rf"are stored at the steps .*{trial.step}.*, not at {other}"):
        results.predictions(trial.number, other)
    with pytest.raises(NotFound, match="has no trial 99"):
        results.predictions(99)
    with pytest.raises(InvalidInput, match="A step must be a whole number"):
        results.predictions(trial.number, "last")  # type: ignore[arg-type]
    pruned = replace(results, all=tuple(replace(one, state="pruned") for one in results.all))
    with pytest.raises(NotFound, match="it is pruned"):
        pruned.predictions(trial.number)


def test_an_ensemble_of_families(searched: Study) -> None:
    """Trials of several families are one pool; opened without the data it is the same ensemble."""
    here, elsewhere = (
        searched.results().ensemble(size=4),
        regsearch.open("both", root=searched.options.root).ensemble(4),
    )
    assert here.weights == elsewhere.weights
    assert here.row() == elsewhere.row()
    assert {"score", "corrected", "members", "difference"} <= here.row().keys()


@pytest.mark.slow
def test_predictions_have_a_column_for_each_class(tmp_path: Path) -> None:
    """Probabilities in the order of the sorted labels, NaN in rows that no fold validates; of scores without, too."""
    X, y = load_iris(return_X_y=True)
    cv = [(np.arange(0, 150, 2), np.arange(1, 150, 4))]
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    study = Study("iris", X, names, space=Linear("l2"), cv=cv, root=tmp_path, tracking=False)
    results = study.run(3, quiet=True)
    said = results.predictions(results.best.number)
    assert said.shape == (150, 3)
    np.testing.assert_allclose(said[cv[0][1]].sum(axis=1), 1)
    assert np.isnan(said[0]).all()
    assert log_loss(y[cv[0][1]], said[cv[0][1]]) == pytest.approx(-results.best.score, rel=1e-4)
    two = Study(
        "two", X[50:], y[50:], space=Estimator(LinearSVC(), {"C": Float(0.1, 1)}), cv=3, root=tmp_path, tracking=False
    ).run(3, quiet=True)
    assert two.predictions(two.best.number).shape == (100, 2)
    assert two.ensemble(size=3).metric == "accuracy"


@pytest.mark.slow
def test_several_targets_and_counts(tmp_path: Path) -> None:
    """Numbers are averaged in the units of y, each target by itself, and means of counts as such."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 4))
    y = X[:, :2] + rng.normal(size=(80, 2))
    two = Study("two", X, y, space=Linear("l2"), cv=3, root=tmp_path, tracking=False).run(5, quiet=True)
    assert two.predictions(two.best.number).shape == (80, 2)
    assert two.ensemble().predictions.shape == (80, 2)
    space = Linear(Choice("l2", "l1"), loss="poisson")
    counts = Study("counts", X, rng.poisson(np.exp(X[:, 0] / 2)), space=space, cv=3, root=tmp_path, tracking=False)
    found = counts.run(5, quiet=True).ensemble()
    assert (found.predictions > 0).all()


def test_what_cannot_be_averaged(tmp_path: Path, searched: Study) -> None:
    """Log hazards, scorers that read the model, numbers that are none and studies without a trial are refused."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.column_stack([rng.random(60) < 0.8, rng.exponential(np.exp(X[:, 0]))])
    hazards = Study("hazards", X, y, space=Linear("l2", loss=Cox()), cv=3, root=tmp_path, tracking=False)
    with pytest.raises(InvalidInput, match="log hazards of different models have none"):
        hazards.run(2, quiet=True).ensemble()

    def weight(estimator: Any, X: Any, y: Any) -> float:
        return -float(np.abs(estimator.coef_).sum())

    space = Estimator(Ridge(), {"alpha": Float(0.1, 1)})
    own = Study("own", X, X[:, 0], space=space, cv=3, scoring=weight, root=tmp_path, tracking=False)
    with pytest.raises(InvalidInput, match="cannot be scored here"):
        own.run(2, quiet=True).ensemble()
    for size in (0, -1, 2.5, None, "many", True, 10**9):
        with pytest.raises(InvalidInput, match="The size of an ensemble must be a whole number from 1"):
            searched.results().ensemble(size)  # type: ignore[arg-type]
    empty = replace(searched.results(), all=())
    with pytest.raises(NotFound, match="no complete trial to select from"):
        empty.ensemble()


@pytest.mark.parametrize(
    ("scoring", "y"), [("r2", 0), ("neg_root_mean_squared_error", 0), ("neg_log_loss", 1), ("accuracy", 1)]
)
def test_the_train_score_is_at_least_what_is_said(scoring: str, y: int, tmp_path: Path) -> None:
    """Members that are fitted to each fold's rows again score no less together than the bound, which is the mean of
    their own; by what is no mean over convex losses, there is none."""
    X, target = load_diabetes(return_X_y=True)
    target = target > 140 if y else target
    trees = DecisionTreeClassifier if y else DecisionTreeRegressor
    space = Estimator(trees(random_state=0, min_samples_leaf=9), {"max_features": Choice(1, 2, 4, 8)})
    study = Study("trees", X, target, space=space, cv=3, scoring=scoring, root=tmp_path, tracking=False, prune=False)
    results = study.run(5, quiet=True)
    found = results.ensemble(size=4)
    if scoring == "accuracy":
        assert found.train is None
        assert found.gap is None
        (metric,) = resolve({"neg_log_loss": "accuracy"}, study.problem)  # by the name of one that has a bound
        assert least_train_score(Scoring(study.problem, study.folds, metric), [(found.members[0].chosen, 1.0)]) is None
        return
    assert len(found.members) > 1
    scores = []
    for rows in study.folds.train:
        fitted = [(one, one.chosen.config.refit(study.problem.take(rows), 0)) for one in found.members]
        said = sum(
            one.weight * (model.predict_proba(X[rows]) if y else model.predict(X[rows])) for one, model in fitted
        )
        true = target[rows]
        loss = {"r2": r2_score, "neg_log_loss": log_loss, "neg_root_mean_squared_error": root_mean_squared_error}[
            scoring
        ]
        scores.append(loss(true, said) * (1 if scoring == "r2" else -1))
    assert found.train is not None
    assert np.mean(scores) > found.train
    assert found.train == pytest.approx(sum(one.weight * one.chosen.point.train for one in found.members))
    assert found.row()["gap_at_least"] == pytest.approx(found.train - found.score)
    assert "gap at least" in str(found)
