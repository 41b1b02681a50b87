"""Paths of estimators that are fitted in rounds: one fit says what as many fits would."""

from __future__ import annotations

import importlib.util
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine, make_classification, make_regression
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from regsearch import Choice, Estimator, Float, Int, InvalidInput, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.export.bundle import load_config
from regsearch.export.verify import Evidence, verify
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.fitting import seeded
from regsearch.models.fold_rungs import at_best
from regsearch.results.results import load_results
from regsearch.space.params import parameter_names
from regsearch.space.sampling import default
from regsearch.storage.store import Store

ROWS, ROUNDS = 90, 7
TREES = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
CLIPPED = 1e-4  # relative difference of log losses where a probability is 0, as decisions have it
X, Y = make_regression(ROWS, 5, n_informative=3, noise=30.0, random_state=0)
XC, CODES = make_classification(ROWS, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0)
COUNTS = np.exp(Y / 100).round()
THREE, TWO = np.array(["a", "b", "c"])[CODES], np.array(["no", "yes"])[(CODES > 0).astype(int)]
WEIGHT = np.arange(ROWS) % 3 + 0.5

ESTIMATORS = [
    (HistGradientBoostingRegressor(min_samples_leaf=5), "max_iter", Y),
    (HistGradientBoostingClassifier(min_samples_leaf=5), "max_iter", TWO),
    (HistGradientBoostingClassifier(min_samples_leaf=5, early_stopping=False), "max_iter", THREE),
    (GradientBoostingRegressor(subsample=0.5, max_features=2), "n_estimators", Y),
    (GradientBoostingClassifier(subsample=0.5), "n_estimators", THREE),
    (AdaBoostRegressor(), "n_estimators", Y),
    (AdaBoostClassifier(), "n_estimators", TWO),
    (AdaBoostClassifier(DecisionTreeClassifier(max_depth=12)), "n_estimators", TWO),  # perfect: ends after one
    (RandomForestRegressor(max_features=2), "n_estimators", Y),
    (ExtraTreesClassifier(bootstrap=True), "n_estimators", THREE),
    (BaggingRegressor(), "n_estimators", Y),
    (BaggingClassifier(max_features=0.6), "n_estimators", TWO),
    (BaggingClassifier(SVC(), max_samples=0.5), "n_estimators", TWO),  # votes
    (make_pipeline(StandardScaler(), GradientBoostingRegressor()), "gradientboostingregressor__n_estimators", Y),
    (MLPRegressor(hidden_layer_sizes=6, batch_size=9), "max_iter", Y),
    (make_pipeline(StandardScaler(), MLPClassifier((6, 4), learning_rate_init=0.02)), "mlpclassifier__max_iter", THREE),
    (
        MLPClassifier(6, solver="sgd", learning_rate="adaptive", learning_rate_init=0.5, tol=1.0),
        "max_iter",
        TWO,
    ),  # ends
]


def boosters() -> list[tuple[Any, str, Any]]:
    """Those of LightGBM, XGBoost and CatBoost, where they are installed."""
    found: list[tuple[Any, str, Any]] = []
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMClassifier, LGBMRegressor

        quiet = {"verbose": -1, "min_child_samples": 5, "n_jobs": 1}
        found += [(LGBMRegressor(**quiet), "n_estimators", Y), (LGBMClassifier(**quiet), "n_estimators", THREE)]
        found += [(LGBMClassifier(subsample=0.5, subsample_freq=1, **quiet), "n_estimators", TWO)]
    if importlib.util.find_spec("xgboost"):
        from xgboost import XGBRegressor

        found += [(XGBRegressor(subsample=0.5, n_jobs=1), "n_estimators", Y)]
    if importlib.util.find_spec("catboost"):
        from catboost import CatBoostClassifier, CatBoostRegressor

        given = {"iterations": 9, "learning_rate": 0.2, "verbose": 0, "thread_count": 1, "allow_writing_files": False}
        found += [(CatBoostRegressor(**given), "iterations", Y), (CatBoostClassifier(**given), "iterations", THREE)]
        found += [(CatBoostRegressor(loss_function="Poisson", **given), "iterations", COUNTS)]
    return found


CASES = [pytest.param(*case, id=f"{i}-{type(case[0]).__name__}") for i, case in enumerate([*ESTIMATORS, *boosters()])]


def setup(y: Any, weight: Any = None, **changes: Any) -> Setup:
    problem = make_problem(X if y is Y or y is COUNTS else XC, y, sample_weight=weight)
    return Setup(problem, make_folds(3, problem, 0), resolve(DEFAULTS[problem.task], problem), **changes)


def evaluated(config: Estimator, of: Setup) -> Outcome:
    (outcome,) = config.backend(of).stream([Candidate(0, config)])
    assert outcome.state == "complete", outcome.reason
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize(("estimator", "path", "y"), CASES)
def test_a_path_is_as_many_fits(estimator: Any, path: str, y: Any, weight: Any) -> None:
    """Scores after each round are those of the estimator that is fitted with so many, and so is what is chosen."""
    of = setup(y, weight)
    space = Estimator(estimator, {path: ROUNDS}, path=path)
    whole = evaluated(space, of)
    alone = [evaluated(space.at(rounds), of) for rounds in range(1, ROUNDS + 1)]
    for part in ("train", "val"):
        found = getattr(whole.trajectory.deciding, part)
        expected = np.hstack([getattr(one.trajectory.deciding, part) for one in alone])
        np.testing.assert_allclose(found, expected, rtol=CLIPPED)
    assert whole.value == whole.step + 1
    assert alone[whole.step].point.val >= max(one.point.val for one in alone) * (1 + CLIPPED)  # scores are below 0
    np.testing.assert_allclose(whole.predictions, alone[whole.step].predictions, rtol=1e-6, atol=1e-6)
    assert whole.along is not None
    for step, decisions in zip(whole.along.steps, whole.along.decisions, strict=True):
        np.testing.assert_allclose(decisions, alone[step].predictions, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer.*:sklearn.exceptions.ConvergenceWarning")  # it ends before
@pytest.mark.parametrize(("estimator", "path", "y"), CASES)
def test_a_refit_has_the_rounds_that_were_chosen(estimator: Any, path: str, y: Any) -> None:
    """What is chosen is the plain estimator with that number: its refit predicts as scikit-learn's own does."""
    of = setup(y)
    space = Estimator(estimator, {path: ROUNDS}, path=path)
    chosen = space.at(3.0)
    assert (chosen.axis, chosen.path, chosen.params[path]) == ("", None, 3)
    assert type(chosen.params[path]) is int
    fitted = chosen.refit(of.problem, 0)
    plain = seeded(chosen.build(), 0).fit(of.problem.X, of.problem.labels)
    np.testing.assert_array_equal(fitted.predict(of.problem.X), plain.predict(of.problem.X))
    assert pickle.loads(pickle.dumps(fitted)).get_params()[path] == 3


def trees(**params: Any) -> Estimator:
    return Estimator(
        HistGradientBoostingRegressor(min_samples_leaf=5),
        {"learning_rate": Float(0.05, 1.0, log=True), "max_iter": 12, **params},
        path="max_iter",
    )


@pytest.mark.slow
def test_a_study_of_rounds(tmp_path: Any) -> None:
    """Trials tell the round that was chosen, the reference is the estimator as given, and a stored study says the
    same."""
    results = Study("trees", X, Y, space=trees(), root=tmp_path, tracking=False).run(6, quiet=True)
    best = results.best
    assert best.params["max_iter"] == best.value == best.step + 1
    assert results.trajectory(best.number).steps == 12
    assert results.reference.steps == 1
    assert results.reference.params["max_iter"] == 100
    exported = results.choose("best").config
    assert exported.params["max_iter"] == best.value
    stored = load_results(Store(tmp_path, "trees"))
    assert [trial.params for trial in stored.all] == [trial.params for trial in results.all]


def test_a_number_of_rounds_may_be_searched() -> None:
    """A leaf may say how many rounds there are at most."""
    config = trees(max_iter=Int(2, 30))
    assert config.axis == "max_iter"
    filled = config.replace(params={**config.params, "max_iter": 4, "learning_rate": 0.3})
    assert evaluated(filled, setup(Y)).trajectory.steps == 4


def test_pruned_trials_are_judged_at_their_best_round() -> None:
    """A trial is given up by its scores at the round that is best over the folds that are fitted, also beside trials of
    an earlier run."""
    values = np.array([[1.0, 5.0, 2.0], [1.0, 3.0, 5.0], [np.nan] * 3])
    np.testing.assert_array_equal(at_best(values, setup(Y).averaging), [[5.0], [3.0], [np.nan]])


@pytest.mark.parametrize(
    ("estimator", "params", "path", "said"),
    [
        (Ridge(), {}, "alpha", "path= must be what counts the rounds"),
        (HistGradientBoostingRegressor(), {}, "max_depth", "path= must be what counts the rounds"),
        (HistGradientBoostingRegressor(), {}, "max_iters", "did you mean 'max_iter'"),
        (HistGradientBoostingRegressor(early_stopping=True), {}, "max_iter", "early_stopping=True ends each"),
        (HistGradientBoostingRegressor(), {"early_stopping": True}, "max_iter", "early_stopping=True ends each"),
        (GradientBoostingRegressor(n_iter_no_change=5), {}, "n_estimators", "n_iter_no_change=5 ends each"),
        (HistGradientBoostingRegressor(), {"max_iter": 0}, "max_iter", "a whole number from 1, got 0"),
        (HistGradientBoostingRegressor(), {"max_iter": 2.5}, "max_iter", "a whole number from 1, got 2.5"),
        (MLPRegressor(solver="lbfgs"), {}, "max_iter", "or the epochs of a perceptron that is trained in shuffled"),
        (MLPRegressor(shuffle=False), {}, "max_iter", "or the epochs of a perceptron that is trained in shuffled"),
        (MLPRegressor(early_stopping=True), {}, "max_iter", "early_stopping=True ends each"),
        (make_pipeline(GradientBoostingRegressor()), {}, "n_estimators", "no parameter 'n_estimators'"),
    ],
)
def test_what_is_no_path(estimator: Any, params: Any, path: str, said: str) -> None:
    """A path that cannot be walked is refused when the space is made, and says what would be one."""
    with pytest.raises(InvalidInput, match=said):
        Estimator(estimator, params, path=path)


def test_rounds_that_change_with_later_ones_are_no_path() -> None:
    """dart weighs earlier trees anew, so that its first rounds are not the fit with as many: it is refused, as one
    option of a choice as well, and what else LightGBM has is walked."""
    lightgbm = pytest.importorskip("lightgbm")
    given = {"verbose": -1, "min_child_samples": 5, "n_jobs": 1, "random_state": 0}
    dart = lightgbm.LGBMRegressor(boosting_type="dart", drop_rate=0.9, skip_drop=0.0, n_estimators=ROUNDS, **given)
    alone = clone(dart).set_params(n_estimators=1).fit(X, Y).predict(X)
    assert np.abs(dart.fit(X, Y).predict(X, num_iteration=1) - alone).max() > 0.1 * alone.std()
    with pytest.raises(InvalidInput, match="dart weighs the trees of earlier rounds anew; take another boosting_type"):
        Estimator(dart, {"num_leaves": Int(3, 9)}, path="n_estimators")
    pipeline, name = make_pipeline(lightgbm.LGBMRegressor(**given)), "lgbmregressor__"
    boosting = {f"{name}boosting_type": Choice("gbdt", "dart")}
    with pytest.raises(InvalidInput, match=f"take another {name}boosting_type"):
        Estimator(pipeline, boosting, path=f"{name}n_estimators")
    forest = {"boosting_type": Choice("gbdt", "rf")}
    assert Estimator(lightgbm.LGBMRegressor(**given), forest, path="n_estimators").axis == "n_estimators"


def test_what_a_path_sets_is_nobody_s_choice() -> None:
    """What a path turns off that the estimator leaves to the data is no parameter of a trial, and nothing to ablate."""
    space = Estimator(HistGradientBoostingRegressor(), {"learning_rate": 0.2}, path="max_iter")
    assert set(parameter_names(space).row(space.at(5.0))) == {"estimator", "max_iter", "learning_rate"}
    assert set(space.at(5.0).without()) == {"max_iter", "learning_rate"}
    asked = Estimator(HistGradientBoostingRegressor(early_stopping=False), {}, path="max_iter")
    assert "early_stopping" in parameter_names(asked).row(asked.at(5.0))


class Logarithms(GradientBoostingRegressor):
    """Boosting whose stages are in other units than what it predicts."""

    def staged_predict(self, X: Any) -> Any:
        return (np.log1p(np.abs(stage)) for stage in super().staged_predict(X))


class GivenAlone(Ridge):
    """An estimator that tells of parameters that it was given alone."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"alpha": self.alpha}


def test_stages_are_what_is_predicted() -> None:
    """Stages in other units than the prediction's, as the logarithm under a log link, are no path."""
    of, space = setup(Y), Estimator(Logarithms(), {"n_estimators": 3}, path="n_estimators")
    (outcome,) = space.backend(of).stream([Candidate(0, space)])
    assert outcome.state == "failed"
    assert "What Logarithms says after its last round must be what it predicts" in outcome.reason


def test_parameters_that_were_not_given_are_told_beside_those_that_were() -> None:
    """Where only what was given is known, the error says what that is: it may be known by another name."""
    with pytest.raises(InvalidInput, match=r"was given, alpha, and 'tol' is none of them; name one of these, or make"):
        Estimator(GivenAlone(), {"tol": 1e-3})


def test_a_scorer_that_reads_the_fit_is_refused(tmp_path: Any) -> None:
    """Along a path a scorer gets what is said after each round, and no fitted estimator."""

    def by_trees(fitted: Any, X: Any, y: Any) -> float:
        return -float(fitted.n_iter_)

    with pytest.raises(InvalidInput, match="An estimator with a path scores by predictions"):
        Study("trees", X, Y, space=trees(), scoring=by_trees, root=tmp_path, tracking=False)


@pytest.mark.slow
def test_a_bundle_of_a_path_is_the_estimator_that_was_chosen(tmp_path: Any) -> None:
    """An exported path predicts as its refit, and holds when it is verified with the data; its code has the number."""
    study = Study("trees", X, Y, space=trees(), root=tmp_path, tracking=False)
    chosen = study.run(6, quiet=True).choose("best")
    folder = study.export(tmp_path / "bundle")
    verdict = verify(folder, Evidence(study.problem), trusted=TREES)
    assert verdict.holds, str(verdict)
    config = load_config(folder, TREES)
    assert config.build().get_params()["max_iter"] == chosen.params["max_iter"] == chosen.value


@pytest.mark.parametrize("scoring", ["average_precision", "top_k_accuracy"])
def test_classes_are_ranked_as_scikit_learn_ranks_them(scoring: str) -> None:
    """Scores that rank rows of several classes read the decision function of a round, as the scorer of a fit does."""
    X, y = load_wine(return_X_y=True)
    X = X[:, :3]
    made = make_problem(X, y)
    setup = Setup(made, make_folds(3, made, 0), resolve(["neg_log_loss", scoring], made))
    estimator = HistGradientBoostingClassifier(max_iter=4, random_state=0)
    space = Estimator(estimator, {"learning_rate": Choice(0.1, 0.3)}, path="max_iter")
    (outcome,) = space.backend(setup).stream([Candidate(0, default(space))])
    found = outcome.trajectory.curves[scoring]
    rate = default(space).params["learning_rate"]
    for k, (train, val) in enumerate(zip(setup.folds.train, setup.folds.val, strict=True)):
        for rounds in range(1, 5):
            alone = clone(estimator).set_params(max_iter=rounds, learning_rate=rate).fit(X[train], y[train])
            for rows, scores in ((train, found.train), (val, found.val)):
                expected = get_scorer(scoring)(alone, X[rows], y[rows])
                assert scores[k, rounds - 1] == pytest.approx(expected, rel=1e-9)
