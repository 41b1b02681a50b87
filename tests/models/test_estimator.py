"""The backend for any estimator: scikit-learn's own cross-validation, fold by fold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, StackingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss, make_scorer, mean_absolute_error
from sklearn.model_selection import RepeatedKFold, StratifiedKFold, cross_val_predict, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from regsearch import Choice, Estimator, Float, Int, InvalidInput, Path
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, FixedHistory, Outcome, Setup
from regsearch.models.estimator import EstimatorBackend
from regsearch.models.fitting import logits, seeded
from regsearch.results.stored_study import Scoring
from regsearch.space.sampling import default

N = 90
X, Y = make_regression(N, 6, n_informative=3, noise=20.0, random_state=0)
XC, codes = make_classification(N, 6, n_informative=4, n_classes=3, random_state=0)
NAMES = np.array(["bird", "cat", "dog"])[codes]
PAIR = np.array(["no", "yes"])[(codes > 0).astype(int)]


def setup(X: Any = X, y: Any = Y, scoring: Any = None, cv: Any = 4, weights: Any = None, **options: Any) -> Setup:
    problem = make_problem(X, y, sample_weight=weights)
    return Setup(problem, make_folds(cv, problem, 0), resolve(scoring, problem), **options)


def evaluate(config: Estimator, s: Setup) -> Outcome:
    (outcome,) = EstimatorBackend(s).stream([Candidate(7, config, "start")])
    return outcome


class Stubborn(RegressorMixin, BaseEstimator):
    """An estimator that fails or predicts nonsense when told to."""

    def __init__(self, mood: str = "good", limit: int = 0) -> None:
        self.mood, self.limit = mood, limit

    def fit(self, X: Any, y: Any) -> Stubborn:
        if self.mood == "bad" and X[0, 0] != self.limit:
            raise RuntimeError("I would rather not")
        self.mean_ = float(np.mean(y)) if self.mood != "lost" else np.nan
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.mean_)


CASES: dict[str, tuple[Any, dict[str, Any], Any, Any, Any]] = {
    "ridge": (Ridge(), {"alpha": 3.0}, X, Y, ["neg_mean_squared_error", "r2"]),
    "pipeline": (make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": 3.0}, X, Y, ["r2", "neg_max_error"]),
    "frame": (make_pipeline(StandardScaler(), Ridge()), {}, pd.DataFrame(X).add_prefix("c"), Y, "r2"),
    "tree": (DecisionTreeRegressor(random_state=5), {"max_depth": None}, X, Y, "neg_mean_absolute_error"),
    "logistic": (LogisticRegression(), {"C": 0.1}, XC, NAMES, ["neg_log_loss", "accuracy", "roc_auc_ovr"]),
    "binary": (LogisticRegression(), {"C": 0.1}, XC, PAIR, ["roc_auc", "accuracy"]),
    "svc": (SVC(), {"C": 0.5}, XC, PAIR, ["accuracy", "roc_auc"]),
    "no probabilities": (RidgeClassifier(), {"alpha": 2.0}, XC, NAMES, "accuracy"),
}


@pytest.mark.slow
@pytest.mark.parametrize("cv", [4, RepeatedKFold(n_splits=3, n_repeats=2, random_state=1)], ids=["4", "repeated"])
@pytest.mark.parametrize("case", CASES)
def test_scores_are_cross_validates(case: str, cv: Any) -> None:
    """Every metric on every fold, training and validation, is what `cross_validate` gives on the same folds."""
    estimator, params, data, y, scoring = CASES[case]
    s = setup(data, y, scoring, cv)
    outcome = evaluate(Estimator(estimator, params), s)
    assert (outcome.state, outcome.number, outcome.candidate.role, outcome.reason) == ("complete", 7, "start", "")
    names = [scoring] if isinstance(scoring, str) else scoring
    pairs = list(zip(s.folds.train, s.folds.val, strict=True))
    estimator = estimator.set_params(**params)
    theirs = cross_validate(estimator, data, y, scoring=names, cv=pairs, return_train_score=True)
    assert list(outcome.trajectory.curves) == names
    for name in names:
        np.testing.assert_allclose(outcome.trajectory.curves[name].val[:, 0], theirs[f"test_{name}"])
        np.testing.assert_allclose(outcome.trajectory.curves[name].train[:, 0], theirs[f"train_{name}"])
    assert outcome.value is None
    assert outcome.chosen_config == outcome.candidate.config


@pytest.mark.parametrize(("data", "y", "estimator"), [(X, Y, Ridge()), (XC, PAIR, LogisticRegression())])
def test_sample_weights(data: Any, y: Any, estimator: Any) -> None:
    """Weights go into the fits and into the scores, also through a pipeline."""
    weights = np.random.default_rng(0).uniform(0.1, 4, N)
    s = setup(data, y, weights=weights)
    for made in (estimator, make_pipeline(estimator)):
        outcome = evaluate(Estimator(made, {}), s)
        (metric,) = s.metrics
        for k, (train, val) in enumerate(zip(s.folds.train, s.folds.val, strict=True)):
            fitted = estimator.fit(data[train], y[train], sample_weight=weights[train])
            expected = metric.scorer(fitted, data[val], y[val], sample_weight=weights[val])
            assert outcome.trajectory.curves[metric.name].val[k, 0] == pytest.approx(expected)
    assert evaluate(Estimator(KNeighborsRegressor(), {}), setup(weights=weights)).state == "failed"


def test_weights_go_where_they_are_asked_for() -> None:
    """Under metadata routing a pipeline's weights go to the steps that ask for them; where none does, to the last."""
    weights = np.random.default_rng(0).uniform(0.1, 4, N)
    plain = evaluate(Estimator(make_pipeline(StandardScaler(), Ridge()), {}), setup(weights=weights))
    s = setup(weights=weights)
    with sklearn.config_context(enable_metadata_routing=True):
        last = evaluate(Estimator(make_pipeline(StandardScaler(), Ridge()), {}), s)
        asks = Ridge().set_fit_request(sample_weight=True)
        both = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), asks)
        outcome = evaluate(Estimator(both, {}), s)
        train, val = s.folds.train[0], s.folds.val[0]
        fitted = clone(both).fit(X[train], Y[train], sample_weight=weights[train])
        expected = s.metrics[0].scorer(fitted, X[val], Y[val], sample_weight=weights[val])
    name = s.metrics[0].name
    np.testing.assert_array_equal(last.trajectory.curves[name].val, plain.trajectory.curves[name].val)
    assert outcome.trajectory.curves[name].val[0, 0] == pytest.approx(expected)
    assert not np.allclose(outcome.trajectory.curves[name].val, plain.trajectory.curves[name].val, rtol=1e-9)


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(
    "estimator", [Ridge(alpha=2.0), RandomForestRegressor(n_estimators=5, random_state=1)], ids=str
)
def test_several_targets(estimator: Any, weights: bool) -> None:
    """Several targets are fitted together: scores and out-of-fold predictions are scikit-learn's on the same folds."""
    y = pd.DataFrame({"up": Y, "down": X[:, 0] - Y, "side": 100 * X[:, 1]})
    weight = np.random.default_rng(0).uniform(0.1, 4, N) if weights else None
    s = setup(y=y, scoring=["neg_root_mean_squared_error", "r2", "explained_variance"], weights=weight)
    outcome = evaluate(Estimator(estimator, {}), s)
    assert outcome.state == "complete"
    assert outcome.predictions is not None
    assert outcome.predictions.shape == (N, 3)
    for k, (train, val) in enumerate(zip(s.folds.train, s.folds.val, strict=True)):
        part = (lambda rows: {"sample_weight": weight[rows]}) if weights else (lambda rows: {})
        fitted = clone(estimator).fit(X[train], y.to_numpy()[train], **part(train))
        np.testing.assert_allclose(outcome.predictions[val], fitted.predict(X[val]))
        for metric in s.metrics:
            expected = metric.scorer(fitted, X[val], y.to_numpy()[val], **part(val))
            assert outcome.trajectory.curves[metric.name].val[k, 0] == pytest.approx(expected)


@pytest.mark.parametrize("labels", [["no", "yes"], ["c", "a", "b"]], ids=len)
def test_a_pooled_score_of_labels_reads_what_is_predicted(labels: list[str]) -> None:
    """Of a classifier that predicts other labels than the likeliest, as one with a threshold of its own does."""
    X, codes = make_classification(90, 4, n_informative=4, n_redundant=0, n_classes=len(labels), random_state=0)
    y = np.array(labels)[codes]
    problem = make_problem(X, y)
    folds = make_folds(StratifiedKFold(5), problem, 0)
    names = ["accuracy", "f1_macro", "neg_log_loss"]
    metrics = tuple(replace(one, pooled=True) for one in resolve(names, problem))
    config = Estimator(Contrary(C=0.1), {"C": 0.1})
    (outcome,) = config.backend(Setup(problem, folds, metrics)).stream([Candidate(0, config)])
    assert outcome.state == "complete", outcome.reason
    said = {method: cross_val_predict(Contrary(C=0.1), X, y, cv=StratifiedKFold(5), method=method)
            for method in ("predict", "predict_proba")}  # fmt: skip
    expected = accuracy_score(y, said["predict"]), f1_score(y, said["predict"], average="macro")
    found = [outcome.trajectory.points(0)[name].val for name in names]
    np.testing.assert_allclose(found, [*expected, -log_loss(y, said["predict_proba"])])
    assert outcome.predictions is not None


def test_what_an_estimator_has_once_it_is_fitted_can_score() -> None:
    """A stack says what its last model does only then; one that never has probabilities is refused, and its default is
    another score."""
    X, codes = make_classification(90, 4, n_informative=4, n_redundant=0, random_state=0)
    problem = make_problem(X, np.array(["no", "yes"])[codes])
    stack = Estimator(
        StackingClassifier([("tree", DecisionTreeClassifier()), ("svc", SVC())]), {"svc__C": Float(0.1, 1.0)}
    )
    assert not hasattr(stack.estimator, "predict_proba")
    assert stack.scoring(problem) == "neg_log_loss"
    folds, metrics = make_folds(3, problem, 0), resolve(["roc_auc", "neg_log_loss"], problem)
    stack.check(Setup(problem, folds, metrics))
    plain = Estimator(SVC(), {"C": Float(0.1, 1.0)})
    assert plain.scoring(problem) == "accuracy"
    plain.check(Setup(problem, folds, metrics[:1]))
    with pytest.raises(InvalidInput, match="'neg_log_loss' needs predict_proba, which SVC does not have"):
        plain.check(Setup(problem, folds, metrics))


class Contrary(LogisticRegression):  # type: ignore[misc]
    """Predicts the last of the sorted labels wherever that is not unlikely."""

    def predict(self, X: Any) -> Any:
        return np.where(self.predict_proba(X)[:, -1] > 0.2, self.classes_[-1], self.classes_[0])


def test_an_estimator_of_one_target_says_so() -> None:
    """An estimator that cannot fit several targets fails its trial with its own words."""
    outcome = evaluate(Estimator(SVR(), {}), setup(y=np.column_stack([Y, -Y])))
    assert outcome.state == "failed"
    assert "1d array" in outcome.reason


def test_predictions_are_outside_training() -> None:
    """A row's prediction comes from folds that did not train on it, as their mean, and is NaN where there is none."""
    pairs = [(np.arange(30, 90), np.arange(30)), (np.arange(40, 90), np.arange(20, 40))]
    s = setup(cv=pairs)
    outcome = evaluate(Estimator(Ridge(), {}), s)
    first, second = (Ridge().fit(X[train], Y[train]).predict(X) for train, _ in pairs)
    found = outcome.predictions[:, 0]  # type: ignore[index]
    np.testing.assert_allclose(found[:20], first[:20])
    np.testing.assert_allclose(found[20:30], (first + second)[20:30] / 2)
    np.testing.assert_allclose(found[30:40], second[30:40])
    assert np.isnan(found[40:]).all()


DECIDED: dict[str, tuple[Any, Any, Any, list[str]]] = {
    "forest": (RandomForestClassifier(n_estimators=7, random_state=0), XC, NAMES, ["neg_log_loss", "accuracy"]),
    "forest, two": (RandomForestClassifier(7, random_state=0), XC, PAIR, ["neg_log_loss", "accuracy", "roc_auc"]),
    "sure of itself": (GaussianNB(), XC * 40, PAIR, ["neg_log_loss", "roc_auc"]),
    "margins": (LinearSVC(), XC, PAIR, ["accuracy", "roc_auc", "f1"]),
    "labels": (RidgeClassifier(), XC, NAMES, ["accuracy", "f1_macro"]),
    "regression": (RandomForestRegressor(5, random_state=0), X, Y, ["r2", "neg_max_error"]),
}


@pytest.mark.parametrize("case", DECIDED)
def test_predictions_give_the_scores(case: str) -> None:
    """Decisions of rows outside training, scored fold by fold by every metric, are the scores of the trial."""
    estimator, data, y, scoring = DECIDED[case]
    y = np.where(y == "yes", 1, 0) if "f1" in scoring else y  # that scorer wants to know what is positive
    s = setup(data, y, scoring)
    outcome = evaluate(Estimator(estimator, {}), s)
    assert outcome.predictions is not None
    assert outcome.predictions.shape == (N, s.problem.outputs)
    assert np.isfinite(outcome.predictions).all()
    kept = outcome.predictions.astype(np.float32).astype(float)  # as they are stored
    for metric in s.metrics:
        found = [Scoring(s.problem, s.folds, metric).scores(rows, kept[rows, None])[0] for rows in s.folds.val]
        np.testing.assert_allclose(found, outcome.trajectory.curves[metric.name].val[:, 0], rtol=1e-4)


@pytest.mark.slow
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), st.sampled_from([np.float32, np.float64]))
def test_logits_keep_the_order_and_the_loss(positive: list[float], kind: Any) -> None:
    """Log-odds are finite, never turn the order of probabilities round, and have scikit-learn's log loss."""
    p = np.array(positive, dtype=kind)
    found = logits(np.column_stack([1 - p, p]))[:, 0]
    assert np.isfinite(found).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()
    eps = float(np.finfo(kind).eps)
    np.testing.assert_allclose(np.logaddexp(0, -found), -np.log(np.clip(p.astype(float), eps, 1)), atol=1e-3)


@pytest.mark.slow
def test_jobs_do_not_matter() -> None:
    """Two processes give what one gives, to the last bit."""
    config = Estimator(RandomForestRegressor(n_estimators=5), {"max_depth": 3})
    one = evaluate(config, setup(n_jobs=1))
    two = evaluate(config, setup(n_jobs=2))
    np.testing.assert_array_equal(one.predictions, two.predictions)
    for name in one.trajectory.curves:
        np.testing.assert_array_equal(one.trajectory.curves[name].val, two.trajectory.curves[name].val)


@pytest.mark.slow
def test_random_state_is_fixed() -> None:
    """What the user left to chance follows the study's seed, what they set stays, also inside pipelines."""
    config = Estimator(RandomForestClassifier(n_estimators=5), {"max_depth": 2})
    first, again, other = (evaluate(config, setup(XC, PAIR, seed=seed)).predictions for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    pipeline = make_pipeline(StandardScaler(), RandomForestClassifier(random_state=3))
    assert seeded(pipeline, 9)[-1].random_state == 3
    assert seeded(make_pipeline(RandomForestClassifier()), 9)[-1].random_state == 9
    assert config.estimator.random_state is None


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_hopeless_configs_are_given_up(n_jobs: int) -> None:
    """A config is given up after the same fold however many are fitted at a time."""
    with parallel_config(backend="threading"):
        good = evaluate(Estimator(Ridge(), {"alpha": 1.0}), setup(n_jobs=n_jobs, prune=True))
        bad = evaluate(Estimator(Ridge(), {"alpha": 1e6}), setup(n_jobs=n_jobs, prune=True, history=after(good)))
    assert good.state == "complete"
    curves = bad.trajectory.deciding
    assert bad.state == "pruned"
    assert (
        bad.reason
        == "worse after 1 of 4 folds than the best trial's worst fold; 1 of the last 2 trials did better there"
    )
    assert np.isfinite(curves.val[0]).all()
    assert np.isnan(curves.val[1:]).all()
    assert bad.predictions is None
    assert bad.point.val == curves.val[0, 0]
    assert evaluate(Estimator(Ridge(), {"alpha": 1e6}), setup()).state == "complete"
    unpruned = setup(history=after(good))
    assert evaluate(Estimator(Ridge(), {"alpha": 1e6}), unpruned).state == "complete"


def test_best_is_never_given_up() -> None:
    """A config that is better than the best so far is fitted on all folds, and one that equals it too."""
    history = FixedHistory()
    for alpha in (1e6, 100.0, 1.0, 1.0):
        outcome = evaluate(Estimator(Ridge(), {"alpha": alpha}), setup(prune=True, history=history))
        assert outcome.state == "complete"
        history = after(outcome)


def after(best: Outcome) -> FixedHistory:
    """What is known once an outcome is the best."""
    val = best.trajectory.deciding.val
    return FixedHistory(val[:, best.step], curves=(val,))


@pytest.mark.parametrize(
    ("estimator", "params", "reason"),
    [
        (Stubborn(), {"mood": "bad"}, "RuntimeError: I would rather not"),
        (Stubborn(), {"mood": "lost"}, "NaN|not finite"),
        (Ridge(), {"alpha": -1.0}, "InvalidParameterError: .*'alpha'"),
        (KNeighborsRegressor(), {"n_neighbors": 1000}, "ValueError: Expected n_neighbors <= n_samples"),
    ],
)
def test_failures_are_outcomes(estimator: Any, params: dict[str, Any], reason: str) -> None:
    """An estimator's own error fails its trial with its own words; the next candidate is evaluated."""
    backend = EstimatorBackend(setup())
    found = list(backend.stream([Candidate(0, Estimator(estimator, params)), Candidate(1, Estimator(Ridge(), {}))]))
    assert [outcome.state for outcome in found] == ["failed", "complete"]
    np.testing.assert_equal(found[0].predictions, None)
    assert pytest.raises(ValueError, match=reason).matches(ValueError(found[0].reason))


def test_score_that_is_not_finite() -> None:
    """A scorer that has no value on a fold fails the trial."""
    scorer = make_scorer(lambda y, p: np.nan if np.ptp(p) > 0 else -mean_absolute_error(y, p))
    outcome = evaluate(Estimator(Ridge(), {}), setup(scoring={"odd": scorer}))
    assert (outcome.state, outcome.reason) == ("failed", "odd was not finite in a fold")


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_scorer_that_fails_in_a_fold(n_jobs: int) -> None:
    """Where a scorer that decides nothing fails in some fold, it has no score there, and the trial says why."""
    folds = setup().folds

    def moody(estimator: Any, X: Any, y: Any) -> float:
        if np.array_equal(y, Y[folds.val[1]]):
            raise ValueError("not today\nat all")
        return float(estimator.score(X, y))

    scoring = ["r2", "neg_mean_squared_error"]
    plain = evaluate(Estimator(Ridge(), {}), setup(scoring=scoring, n_jobs=n_jobs))
    of = setup(scoring={"r2": "r2", "moody": moody, "neg_mean_squared_error": "neg_mean_squared_error"}, n_jobs=n_jobs)
    found = evaluate(Estimator(Ridge(), {}), of)
    assert (found.state, found.reason) == ("complete", "the scorer 'moody' failed: not today")
    curves = found.trajectory.curves
    assert np.isnan(curves["moody"].val[1])
    np.testing.assert_array_equal(np.delete(curves["moody"].val, 1, 0), np.delete(curves["r2"].val, 1, 0))
    for name in scoring:
        np.testing.assert_array_equal(curves[name].val, plain.trajectory.curves[name].val)
    deciding = evaluate(Estimator(Ridge(), {}), setup(scoring=moody, n_jobs=n_jobs))
    assert (deciding.state, "not today" in deciding.reason) == ("failed", True)


def test_reference_is_as_given() -> None:
    """The reference is the user's estimator, untouched."""
    space = Estimator(Ridge(alpha=2.0), {"alpha": Float(1, 10)})
    assert space.reference().build().alpha == 2.0
    assert default(space).build().alpha == 5.5
    assert space.estimator.alpha == 2.0


def test_refit() -> None:
    """A config is refitted on all rows, with their weights and the study's seed."""
    weights = np.random.default_rng(0).uniform(0.1, 4, N)
    problem = make_problem(XC, NAMES, sample_weight=weights)
    config = Estimator(RandomForestClassifier(n_estimators=5), {"max_depth": 2})
    expected = RandomForestClassifier(n_estimators=5, max_depth=2, random_state=4).fit(XC, NAMES, weights)
    np.testing.assert_array_equal(config.refit(problem, 4).predict_proba(XC), expected.predict_proba(XC))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Estimator(Ridge(), {"alfa": 1.0}), "Ridge has no parameter 'alfa'; did you mean 'alpha'"),
        (
            lambda: Estimator(make_pipeline(StandardScaler(), Ridge()), {"ridge_alpha": Float(0, 1)}),
            "Pipeline has no parameter 'ridge_alpha'; did you mean 'ridge__alpha'",
        ),
        (
            lambda: Estimator(make_pipeline(StandardScaler(), SVC()), {"C": Float(1, 2)}),
            "Pipeline has no parameter 'C'; did you mean 'svc__C'",
        ),
        (lambda: Estimator(Ridge(), {"xyzzy": 1.0}), "no parameter 'xyzzy'; it has alpha, copy_X"),
        (lambda: Estimator(Ridge, {"alpha": 1.0}), "needs a scikit-learn estimator, got .*; pass"),
        (lambda: Estimator("ridge", {}), "needs a scikit-learn estimator, got 'ridge'; pass"),
        (lambda: Estimator(Ridge(), {"alpha": Path()}).check(setup()), "A Path is the axis of a linear model"),
        (
            lambda: Estimator(Ridge(), {"alpha": 1.0}).check(setup(X.reshape(N, 1, 2, 3))),
            r"Estimator needs a table X .*, got rows of the shape \(1, 2, 3\); flatten them: X.reshape",
        ),
        (lambda: Estimator(SVC(), {"C": Float(1, 2)}).check(setup()), r"must fit the task \(regression\), got SVC"),
    ],
)
def test_refuses(make: Any, message: str) -> None:
    """What is no estimator, or has no such parameter, is refused where it is written, with the nearest name."""
    with pytest.raises(InvalidInput, match=message):
        make()


def test_space() -> None:
    """Leaves are found at any depth of the parameters, and checked before the search."""
    space = Estimator(Ridge(), {"alpha": Choice(0.1, 1.0), "max_iter": Int(1, 5)})
    space.check(setup())
    assert default(space).params == {"alpha": 0.1, "max_iter": 3}
