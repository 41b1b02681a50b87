"""`RegSearchCV`, and what is built of its configs, against scikit-learn: its checks, GridSearchCV, nested by hand."""

from __future__ import annotations

import copy
import gc
import pickle
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.typing import NDArray
from samples import NonNegativeRidge, regression
from sklearn.base import ClassifierMixin, RegressorMixin, clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    parametrize_with_checks,
)
from sklearn.utils.validation import check_is_fitted

from regsearch import (
    MLP,
    Choice,
    ElasticNet,
    Estimator,
    Float,
    InvalidInput,
    Linear,
    Net,
    NotFound,
    RegSearchCV,
    Study,
    load,
)
from regsearch import Path as LambdaPath
from regsearch import nn_techniques as t
from regsearch.data.problem import make_problem
from regsearch.errors import SearchFailed
from regsearch.export.bundle.trainer import TrainerClassifier, TrainerRegressor
from regsearch.models.base import Model
from regsearch.results.rules import Pick
from regsearch.storage.store import study_names
from regsearch.study.options import StudyOptions
from regsearch.study.search_cv.keeping import kept

RIDGE = Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 10.0)})
PATH = Linear("l2", LambdaPath(8))


def net() -> Model:
    """Small, and in double precision: checks of equality allow for rounding of doubles."""
    stopping = t.EarlyStopping(max_epochs=10, patience=10)
    return Net(MLP(hidden=(8,)), weight_decay=Choice(1e-3, 1e-2), lr=0.1, precision="float64", early_stopping=stopping)


def classes() -> tuple[NDArray[Any], NDArray[Any]]:
    X, y = regression(90)
    return X, np.array(["low", "mid", "high"])[np.digitize(y, [-1, 1])]


def small(space: Any = PATH, **options: Any) -> RegSearchCV:
    return RegSearchCV(space, **({"cv": 3, "n_trials": 4} | options))


# --- scikit-learn's checks -------------------------------------------------------------------------------------

SEARCHES = [
    RegSearchCV("linear", n_trials=3, cv=3),
    RegSearchCV(PATH, cv=2, n_trials=2, task="regression"),
    RegSearchCV(Estimator(Ridge(), {"alpha": Choice(0.1, 1.0)}), cv=2, n_trials=2),
    RegSearchCV(Estimator(LogisticRegression(), {"C": Choice(1.0, 10.0)}), cv=3, n_trials=1),
]
NETS = [
    RegSearchCV(net(), cv=2, n_trials=1, task="regression", n_jobs=1),
    RegSearchCV(net(), cv=3, n_trials=1, task="classification", n_jobs=1),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Class.* too rare for these folds:UserWarning")
@parametrize_with_checks(SEARCHES)
def test_keeps_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """A search, whatever its space and task, does all that scikit-learn expects of an estimator."""
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Class.* too rare for these folds:UserWarning")
@parametrize_with_checks(NETS)
def test_nets_keep_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """So does a search of nets, weights that stand for repeated rows included."""
    check(estimator)


TINY = Net(MLP(hidden=(4,)), lr=0.1, precision="float64", early_stopping=t.FixedEpochs(8))
TRAINERS = [kind(config) for kind in (TrainerRegressor, TrainerClassifier) for config in (TINY, Linear("l2", 0.01))]


@pytest.mark.slow
@parametrize_with_checks(TRAINERS)
def test_a_config_keeps_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    """So does the estimator that a bundle's config builds, of a net and of a linear model."""
    check(estimator)


OF_PIPELINES = {
    "check_estimators_overwrite_params": "A Pipeline of scikit-learn fits its steps in place.",
    "check_dont_overwrite_parameters": "A Pipeline of scikit-learn fits its steps in place.",
    "check_estimators_nan_inf": "NaN is imputed by the first step, which a Pipeline's tags do not tell.",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Objective did not converge")  # of float32, which rounds before that
@pytest.mark.parametrize("data", [regression(), classes()], ids=["regression", "multiclass"])
def test_what_linear_refits_keeps_the_contract(data: Any) -> None:
    """The pipeline that a linear config becomes, fitted again by scikit-learn, passes its checks, or warns."""
    pipeline = Linear(ElasticNet(l1_ratio=0.5), 0.01).refit(make_problem(*data), 0)
    check_estimator(clone(pipeline), on_skip=None, expected_failed_checks=OF_PIPELINES)


@pytest.mark.slow
@pytest.mark.parametrize("data", [regression(), classes()], ids=["regression", "multiclass"])
def test_what_a_net_refits_keeps_what_it_can(data: Any, tmp_path: Path) -> None:
    """A trained net is made of tensors and refuses fit; else it is an estimator, cloned, pickled, exported, inspected.

    The checks of scikit-learn fit first, so they cannot be run on it; those of a search of nets ask its predictions.
    """
    X, y = data
    study = Study("net", X, y, space=net(), cv=3, root=tmp_path, tracking=False)
    study.run(1, quiet=True)
    fitted = study.results().best.config.refit(study.problem, 0)
    with pytest.raises(InvalidInput, match="trained and cannot be fitted again"):
        fitted.fit(X, y)
    check_is_fitted(fitted)
    assert is_regressor(fitted) == (y.dtype == float) != is_classifier(fitted)
    importance = permutation_importance(fitted, X, y, n_repeats=2, random_state=0).importances_mean
    assert importance.argmax() == 0  # the column that matters most
    frozen = FrozenEstimator(fitted).fit(X, y)
    np.testing.assert_array_equal(frozen.predict(X), fitted.predict(X))
    expected = fitted.predict(X)
    for again in (clone(fitted), pickle.loads(pickle.dumps(fitted)), load(study.export(tmp_path / "bundle"))):
        np.testing.assert_array_equal(again.predict(X), expected)
    alone = np.concatenate([fitted.decision(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, fitted.decision(X), rtol=1e-12)


@pytest.mark.slow
def test_columns_are_those_of_fit() -> None:
    """Names and number of columns are noted by fit, and others are refused or warned of, as everywhere."""
    for estimator in (small(task="regression"), *TRAINERS):
        check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


# --- against GridSearchCV --------------------------------------------------------------------------------------


def test_scores_are_those_of_grid_search() -> None:
    """On the same folds, every config has the scores, and the choice the params and predictions, of GridSearchCV."""
    X, y = regression()
    cv = KFold(4, shuffle=True, random_state=1)
    ours = RegSearchCV(RIDGE, cv=cv, scoring="r2", prune=False).fit(X, y)
    theirs = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0, 10.0]}, cv=cv, scoring="r2", return_train_score=True).fit(X, y)
    row_of = {params["alpha"]: i for i, params in enumerate(theirs.cv_results_["params"])}
    rows = [row_of[params["alpha"]] for params in ours.cv_results_["params"]]
    assert set(rows) == {0, 1, 2}
    compared = [name for name in theirs.cv_results_ if "_test_" in name or "_train_" in name]
    for name in compared:
        if not name.startswith("rank"):  # there are more rows: the reference comes up again among the rest
            np.testing.assert_allclose(ours.cv_results_[name], theirs.cv_results_[name][rows], rtol=1e-12)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == pytest.approx(theirs.best_score_, rel=1e-12)
    assert ours.n_splits_ == theirs.n_splits_ == 4
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == theirs.score(X, y)


def test_has_what_users_read_of_grid_search() -> None:
    """Every public fitted attribute of GridSearchCV is there, and its table but for the time of scoring."""
    X, y = classes()
    space = Estimator(SVC(), {"C": Choice(0.1, 1.0)})
    frame = pd.DataFrame(X, columns=list("abcdef"))
    ours = small(space).fit(frame, y)
    theirs = GridSearchCV(SVC(), {"C": [0.1, 1.0]}, return_train_score=True).fit(frame, y)
    public = {name for name in dir(theirs) if name.endswith("_") and not name.startswith("_")}
    assert not {name for name in public if not hasattr(ours, name)}
    assert list(ours.classes_) == list(theirs.classes_)
    assert list(ours.feature_names_in_) == list(frame.columns)
    ignored = {"std_fit_time", "mean_score_time", "std_score_time"}
    ignored |= {f"split{k}_{part}_score" for k in (3, 4) for part in ("train", "test")}
    assert not set(theirs.cv_results_) - set(ours.cv_results_) - ignored


# --- nested cross-validation -----------------------------------------------------------------------------------


def test_cross_val_score_is_nested_cross_validation(tmp_path: Path) -> None:
    """Each outer fold is searched, chosen, refitted and scored as a study of its training rows is by hand."""
    X, y = regression()
    outer = KFold(3, shuffle=True, random_state=0)
    found = cross_val_score(small(rule="one_se", scoring="neg_mean_absolute_error"), X, y, cv=outer)
    scorer, by_hand = get_scorer("neg_mean_absolute_error"), []
    for k, (train, test) in enumerate(outer.split(X)):
        study = Study(
            f"fold{k}", X[train], y[train], space=PATH, cv=3, scoring="neg_mean_absolute_error", root=tmp_path,
            tracking=False,
        )  # fmt: skip
        config = study.run(4, quiet=True).choose("one_se").config
        by_hand.append(scorer(config.refit(study.problem, 0), X[test], y[test]))
    np.testing.assert_array_equal(found, by_hand)


@pytest.mark.slow
def test_outer_folds_in_parallel_are_the_same() -> None:
    """Searches in processes of their own give the scores of one process, and what they fitted comes back whole."""
    X, y = regression()
    one, two = (cross_validate(small(), X, y, cv=2, n_jobs=n, return_estimator=True) for n in (1, 2))
    np.testing.assert_array_equal(one["test_score"], two["test_score"])
    for here, there in zip(one["estimator"], two["estimator"], strict=True):
        np.testing.assert_array_equal(here.predict(X), there.predict(X))
        assert here.best_params_ == there.best_params_ == there.results_.choose("best").params


@pytest.mark.slow
@pytest.mark.slow(of="workers")
def test_workers_come_to_what_one_process_does() -> None:
    """A search of a finite space on workers chooses what it chooses without."""
    X, y = regression()
    space = Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 10.0)})
    one, two = (RegSearchCV(space, n_trials=4, prune=False, workers=n).fit(X, y) for n in (None, 2))
    assert one.best_params_ == two.best_params_
    assert one.best_score_ == two.best_score_


@pytest.mark.slow
def test_probabilities_out_of_fold() -> None:
    """What needs probabilities of a search finds them, columns in the order of the labels."""
    X, y = classes()
    found = cross_val_predict(small(task="classification"), X, y, cv=3, method="predict_proba")
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    labels = np.unique(y)
    assert np.mean(labels[found.argmax(axis=1)] == y) > 0.5


# --- what it chooses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["best", "one_se", lambda results: Pick(results.complete[-1].number, 0, "the last")])
def test_the_choice_is_a_row_of_the_table(rule: Any) -> None:
    """Params, score and gap of the choice are those of the table at its index, whatever the rule and its step."""
    X, y = regression()
    search = small(Linear(Choice("l1", "l2"), LambdaPath(20)), rule=rule, n_trials=5).fit(X, y)
    table, i = search.cv_results_, search.best_index_
    assert table["params"][i] == search.best_params_
    assert table["mean_test_score"][i] == pytest.approx(search.best_score_, rel=1e-12)
    assert table["generalization_gap"][i] == pytest.approx(search.generalization_gap_, rel=1e-12)
    chosen = search.results_.choose(rule)
    assert (chosen.params, chosen.score, chosen.gap) == (
        search.best_params_, search.best_score_, search.generalization_gap_,
    )  # fmt: skip
    np.testing.assert_array_equal(search.predict(X), chosen.config.refit(make_problem(X, y), 0).predict(X))


def test_the_table_is_one_of_pandas() -> None:
    """The table has one length, means and ranks that follow from its splits, and masks what a config does not have."""
    X, y = regression()
    space = Linear(Choice("l1", "elastic_net", "adaptive_lasso"), LambdaPath(10))
    search = small(space, n_trials=6).fit(X, y)
    frame = pd.DataFrame(search.cv_results_)
    assert len(frame) == 6
    splits = frame[[f"split{k}_test_score" for k in range(3)]]
    np.testing.assert_allclose(splits.mean(axis=1), frame["mean_test_score"])
    np.testing.assert_allclose(splits.std(axis=1, ddof=0), frame["std_test_score"])
    np.testing.assert_allclose(frame["mean_train_score"] - frame["mean_test_score"], frame["generalization_gap"])
    np.testing.assert_array_equal(
        frame["mean_test_score"].rank(ascending=False, method="min"), frame["rank_test_score"]
    )
    assert [params["lambda"] for params in frame["params"]] == list(frame["param_lambda"])


def test_what_was_given_up_has_no_score() -> None:
    """A pruned or failed config is in the table, without scores, and ranks behind every other."""
    X, y = regression()
    space = Estimator(NonNegativeRidge(), {"alpha": Choice(0.1, 1.0, 1e5, -1.0)})
    table = RegSearchCV(space, cv=3, n_trials=10).fit(X, y).cv_results_
    complete = table["state"] == "complete"
    assert set(table["state"]) == {"complete", "pruned", "failed"}
    np.testing.assert_array_equal(np.isnan(table["mean_test_score"]), ~complete)
    assert table["rank_test_score"][complete].max() < table["rank_test_score"][~complete].min()


@pytest.mark.slow
def test_several_scorers() -> None:
    """Each scorer has columns of its own, and the first decides and is what `score` measures."""
    X, y = classes()
    search = small(scoring=["accuracy", "neg_log_loss"]).fit(X, y)
    table = search.cv_results_
    assert search.multimetric_
    assert set(search.scorer_) == {"accuracy", "neg_log_loss"}
    assert search.best_score_ == table["mean_test_accuracy"].max() == table["mean_test_accuracy"][search.best_index_]
    assert (table["mean_test_neg_log_loss"] < 0).all()
    assert "generalization_gap_neg_log_loss" in table
    assert search.score(X, y) == np.mean(search.predict(X) == y)


@pytest.mark.slow
def test_score_is_what_scikit_learn_expects() -> None:
    """Without a scoring `score` is R squared or accuracy; with one it is that."""
    for X, y in (regression(), classes()):
        search = small().fit(X, y)
        base = RegressorMixin if is_regressor(search) else ClassifierMixin
        weight = np.linspace(0.1, 1, len(y))
        assert search.score(X, y, sample_weight=weight) == base.score(search, X, y, sample_weight=weight)
        loss = "neg_root_mean_squared_error" if is_regressor(search) else "neg_log_loss"
        same = small(scoring=loss).fit(X, y)
        assert same.score(X, y, weight) == pytest.approx(get_scorer(loss)(search, X, y, sample_weight=weight))
        assert same.best_score_ == search.best_score_


# --- what it is ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_becomes_what_y_makes_of_it() -> None:
    """Before fit a search is what task and space say, after it what was fitted, and then has its methods alone."""
    assert is_classifier(small(task="classification"))
    assert is_regressor(small(task="regression"))
    assert is_classifier(small(Estimator(SVC(), {"C": Float(0.1, 1)})))
    assert is_regressor(small(RIDGE))
    search = small()
    assert not is_classifier(search)
    assert not is_regressor(search)
    search.fit(*classes())
    assert is_classifier(search)
    assert search.task_ == "multiclass"
    assert list(search.classes_) == ["high", "low", "mid"]
    X, _ = classes()
    assert hasattr(search, "decision_function")
    np.testing.assert_allclose(search.predict_log_proba(X), np.log(search.predict_proba(X)))
    search.fit(*regression())
    assert is_regressor(search)
    assert search.task_ == "regression"
    assert not hasattr(search, "predict_proba")
    assert not hasattr(search, "predict_log_proba")
    assert not hasattr(search, "classes_")
    assert not hasattr(small(Estimator(SVC(), {"C": Float(0.1, 1)})), "predict_proba")


@pytest.mark.slow
def test_task_is_not_inferred_where_it_is_said() -> None:
    """A task that is given holds, for numbers that look like the other one too."""
    X, y = regression()
    counts = np.digitize(y, [-1, 1])
    assert is_classifier(small().fit(X, counts))
    assert is_regressor(small(task="regression").fit(X, counts))
    assert is_classifier(small(task="classification").fit(X, counts.astype(float)))
    assert list(small(task="classification").fit(X, counts > 0).classes_) == [False, True]


@pytest.mark.slow
def test_same_data_same_result() -> None:
    """A search fitted again, or its clone, finds the same to the last bit; another seed has other folds."""
    X, y = regression()
    search = small("linear", n_trials=8)
    first = copy.deepcopy(search.fit(X, y).cv_results_)
    for again in (search.fit(X, y), clone(search).fit(X, y)):
        for name, column in again.cv_results_.items():
            if name != "mean_fit_time":
                np.testing.assert_array_equal(column, first[name], err_msg=name)
    other = clone(search).set_params(seed=1).fit(X, y)
    assert not np.array_equal(other.cv_results_["split0_test_score"], first["split0_test_score"])


@pytest.mark.slow
@pytest.mark.parametrize("space", ["linear", net()], ids=["linear", "net"])
def test_pickled_it_predicts_the_same(space: Any) -> None:
    """What comes out of a pickle predicts the same, and still knows its trials."""
    X, y = classes()
    search = small(space, n_trials=2).fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again.results_.trials.drop(columns="fit_s").equals(search.results_.trials.drop(columns="fit_s"))
    assert again.score(X, y) == search.score(X, y)


@pytest.mark.slow
def test_without_its_folder_it_shows_what_it_knows() -> None:
    """The results of a pickle whose process has gone, with its folder, are shown: all but what curves would tell."""
    X, y = regression()
    space = Choice(Linear("l2"), Estimator(Ridge(), {"alpha": Float(0.1, 10.0)}))
    search = small(space, n_trials=4, scoring=["neg_mean_squared_error", "r2"]).fit(X, y)
    pickled, best, top = pickle.dumps(search), str(search.results_.best), search.results_.overview().top
    assert not search.results_.lacks_files
    del search
    gc.collect()
    results = pickle.loads(pickled).results_
    assert not Path(results.store.root).exists()
    said = str(results)
    assert best in said
    assert "curves and predictions are not in" in said
    assert repr(results) == said
    assert "curves and predictions are not in" in results._repr_html_()
    assert str(results.overview().top) == str(top)
    assert results.overview().row()["chosen"]["score"] == results.best.score


# --- what it leaves behind -------------------------------------------------------------------------------------


def test_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Without tracking no file is written but in a temporary folder, which goes with the results; nothing is said."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    search = small().fit(*regression())
    assert len(list(temporary.iterdir())) == 1
    assert search.results_.curves(search.results_.best.number).val.shape[0] == 3
    search.fit(*regression())
    assert len(list(temporary.iterdir())) == 1
    del search
    assert [file.name for file in tmp_path.rglob("*")] == ["temporary"]
    assert capfd.readouterr() == ("", "")


class Stopped(Ridge):  # type: ignore[misc]
    """Ctrl-C comes while it is fitted."""

    def fit(self, X: Any, y: Any) -> Any:
        raise KeyboardInterrupt


class Broken(Ridge):  # type: ignore[misc]
    def fit(self, X: Any, y: Any) -> Any:
        raise ValueError("it broke")


@pytest.mark.parametrize(("estimator", "error"), [(Stopped(), KeyboardInterrupt), (Broken(), SearchFailed)])
def test_a_fit_that_ends_early_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimator: Any, error: type[BaseException]
) -> None:
    """Ctrl-C and failure reach who called fit, and the temporary folder is gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(error):
        small(Estimator(estimator, {"alpha": Float(0.1, 1)})).fit(*regression())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_with_tracking_the_study_stays(tmp_path: Path) -> None:
    """A tracked search is a study under the root, and an experiment of its name in MLflow."""
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    search = small(tracking=uri, name="kept", root=tmp_path / "runs", n_trials=2).fit(*regression())
    assert study_names(tmp_path / "runs") == [search.results_.name]
    with sqlite3.connect(tmp_path / "elsewhere.db") as database:
        assert ("kept",) in database.execute("select name from experiments").fetchall()


def test_what_stays_is_found_again(tmp_path: Path) -> None:
    """The same search goes on with its study, whose trials are not fitted again; other data or a seed have another."""
    X, y = regression()
    given = StudyOptions(space=PATH, cv=3, root=tmp_path, tracking=False)
    names = []
    for target, options in ((y, given), (y, given), (y + X[:, 3], given), (y, replace(given, seed=1))):
        study, results = kept("mine", X, target, options, {"n_trials": 2})
        names.append(study.name)
        assert results.stopped
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert study_names(tmp_path) == sorted(set(names))


# --- among others ----------------------------------------------------------------------------------------------


def test_works_in_a_pipeline() -> None:
    """Behind a scaler, and with its parameters set through the pipeline, it is the search of scaled data."""
    X, y = regression()
    pipeline = make_pipeline(StandardScaler(), small()).set_params(regsearchcv__seed=3, regsearchcv__rule="one_se")
    direct = small(seed=3, rule="one_se").fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_array_equal(pipeline.fit(X, y).predict(X), direct.predict(StandardScaler().fit_transform(X)))
    assert pipeline[-1].get_params()["seed"] == 3
    assert is_regressor(pipeline)


@pytest.mark.slow
def test_frames_go_through() -> None:
    """Frames with categories and holes, or out of a pipeline, are searched by name, whatever transformers return."""
    X, y = regression()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame.loc[::7, "b"] = np.nan
    frame["kind"] = pd.Categorical(np.where(X[:, 1] > 0, "up", "down"))
    plain = small().fit(frame, y)
    assert list(plain.feature_names_in_) == [*"abcdef", "kind"]
    with sklearn.config_context(transform_output="pandas"):
        same = small().fit(frame, y)
        found = [search.predict(frame) for search in (same, plain)]
    np.testing.assert_array_equal(found, [plain.predict(frame)] * 2)
    scaler = StandardScaler().set_output(transform="pandas")
    behind = make_pipeline(scaler, small()).fit(frame[list("acdef")], y)
    assert list(behind[-1].feature_names_in_) == list("acdef")
    with pytest.raises(ValueError, match="feature names"):
        plain.predict(frame.rename(columns={"a": "z"}))


def test_weights_and_groups_are_routed() -> None:
    """Asked to, cross-validation hands each search its rows' weights and groups, and inner folds keep the groups."""
    X, y = regression()
    weight, groups = np.linspace(0.5, 2, len(y)), np.arange(len(y)) // 5
    outer = GroupKFold(2)
    with sklearn.config_context(enable_metadata_routing=True):
        search = small().set_fit_request(sample_weight=True, groups=True).set_score_request(sample_weight=True)
        params = {"sample_weight": weight, "groups": groups}
        found = cross_validate(search, X, y, cv=outer, params=params, return_estimator=True)
    for k, (train, test) in enumerate(outer.split(X, y, groups)):
        by_hand = small().fit(X[train], y[train], sample_weight=weight[train], groups=groups[train])
        assert found["test_score"][k] == by_hand.score(X[test], y[test], weight[test])
        folds = found["estimator"][k].results_.scoring.folds
        assert all(
            not set(groups[train][a]) & set(groups[train][b]) for a, b in zip(folds.train, folds.val, strict=True)
        )


def test_weights_reach_fits_and_scores(tmp_path: Path) -> None:
    """Weights are those of a study: in every fit, every score and the refit."""
    X, y = regression()
    weight = np.linspace(0.1, 3, len(y))
    search = small().fit(X, y, sample_weight=weight)
    study = Study("weighed", X, y, space=PATH, cv=3, sample_weight=weight, root=tmp_path, tracking=False)
    best = study.run(4, quiet=True).best
    assert (search.best_score_, search.best_params_) == (best.score, best.params)
    np.testing.assert_array_equal(search.predict(X), best.config.refit(study.problem, 0).predict(X))
    assert search.best_score_ != small().fit(X, y).best_score_


@pytest.mark.slow
def test_several_targets() -> None:
    """A net of several targets predicts as many columns."""
    X, y = regression()
    search = small(net(), n_trials=2).fit(X, np.column_stack([y, X[:, 0]]))
    assert search.predict(X).shape == (len(y), 2)
    assert 0 < search.score(X, np.column_stack([y, X[:, 0]])) < 1


# --- what it refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"space": "forest"}, InvalidInput, "one of linear, mlp, cnn, cocktail, image_cocktail, got 'forest'"),
        ({"space": Ridge()}, InvalidInput, "space must be a model"),
        ({"task": "ranking"}, InvalidInput, "task must be regression, classification.*got 'ranking'"),
        ({"rule": "luckiest"}, NotFound, "No rule is called 'luckiest'"),
        ({"n_trials": 0}, InvalidInput, "n_trials must be a positive whole number"),
        ({"scoring": "roc_auc"}, InvalidInput, "does not fit a regression task"),
    ],
)
def test_refuses_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """An option that cannot be is refused by fit, before any fit of a model, and says what may stand there."""
    search = RegSearchCV(**({"space": PATH} | options))
    with pytest.raises(error, match=message):
        search.fit(*regression())


# --- as GridSearchCV's -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_refit_is_that_of_grid_search() -> None:
    """A name is a rule's, a function gets `cv_results_` and returns an index, and `False` leaves the fit out."""
    X, y = regression()
    space = Linear(Choice("l1", "l2"), lambda_=Choice(0.1, 1.0, 10.0))
    by_rule, by_name = small(space, rule="one_se").fit(X, y), small(space, refit="one_se").fit(X, y)
    assert by_rule.best_params_ == by_name.best_params_
    seen: list[Any] = []

    def worst(table: dict[str, Any]) -> int:
        seen.append(table)
        return int(np.nanargmin(table["mean_test_score"]))

    search = small(space, refit=worst).fit(X, y)
    assert search.best_index_ == np.nanargmin(search.cv_results_["mean_test_score"])
    assert search.best_score_ == np.nanmin(search.cv_results_["mean_test_score"]) < by_rule.best_score_
    assert seen[0].keys() == search.cv_results_.keys()
    bare = small(space, refit=False).fit(X, y)
    assert bare.best_params_ == small(space).fit(X, y).best_params_
    assert not hasattr(bare, "best_estimator_")
    with pytest.raises(AttributeError, match="refit=False"):
        bare.predict(X)
    with pytest.raises(InvalidInput, match="index of a row"):
        small(space, refit=lambda table: 99).fit(X, y)
    with pytest.raises(InvalidInput, match="refit must be True, False"):
        small(space, refit=3).fit(X, y)


def test_coefficients_and_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`coef_` is that of the last step; the search is silent unless asked."""
    X, y = regression()
    search = small().fit(X, y)
    np.testing.assert_array_equal(search.coef_, search.best_estimator_[-1].coef_)
    assert capsys.readouterr().err == ""
    small(verbose=1).fit(X, y)
    assert "complete" in capsys.readouterr().err
    with pytest.raises(AttributeError, match="not fitted yet"):
        _ = small().coef_


def test_fewer_trials_than_a_kept_study_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Trials are counted in all: a kept study that has more says so, in a warning or in the line of its run."""
    options = StudyOptions(
        space=Linear(Choice("l1", "elastic_net"), LambdaPath(8)), cv=3, root=tmp_path, tracking=False
    )

    def fitted(n_trials: int, quiet: bool) -> int:
        return len(kept("one", *regression(), options, {"n_trials": n_trials, "quiet": quiet})[1].complete)

    assert fitted(3, quiet=True) == 3
    said = "2 trials asked for, and it already has 3"
    with pytest.warns(UserWarning, match=f"one-.*: {said}; n_trials counts those of earlier fits, too"):
        assert fitted(2, quiet=True) == 3
    assert fitted(2, quiet=False) == 3
    assert said in capsys.readouterr().err
    assert fitted(4, quiet=True) == 4
