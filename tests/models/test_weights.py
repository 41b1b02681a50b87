"""What sample weights mean: a row of weight two counts as two rows do, and a row of weight zero is not there.

Whole searches are compared: lambdas, scores of training and validation rows by fold, complexity and predictions. Of
weights that are no whole numbers it is tested that a factor of all of them changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import get_scorer_names
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from regsearch import AdaptiveLasso, Choice, Estimator, Float, Int, InvalidInput, Linear, Path, Study
from regsearch._types import Array, Task
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import make_problem
from regsearch.data.weights import effective_rows, weighted_quantiles
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Model, Outcome, Setup
from regsearch.models.linear import Penalty
from regsearch.models.linear.prepared import PreparedBackend
from regsearch.models.linear.scales import SCALES
from regsearch.models.neural import CNN, MLP, Net
from regsearch.models.neural import techniques as t
from regsearch.models.neural.network.data import SCALES as NET_SCALES
from regsearch.models.weighted_fit import check_weighted
from regsearch.space.registry import kinds
from regsearch.space.sampling import default
from regsearch.testing.penalty_examples import tasks
from regsearch.testing.weights import repeated, without_weightless

ROWS, FOLDS = 66, 3
TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
FORMS = ("array", "frame", "sparse")
PENALTIES = dict(sorted(kinds(Penalty).items()))
WEIGHT = np.arange(ROWS) % 4 * 1.0  # a quarter of the rows weigh nothing, and lie anywhere


def data(form: str, seed: int = 0) -> tuple[Any, Array]:
    """Columns of several kinds, wild where the weight is zero, and what y follows.

    The last column is constant but in rows of weight zero.
    """
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(ROWS, 4)) * [1, 5, 0.3, 1] + [0, 3, 0, -1]
    signal = numbers @ [1, -0.2, 2, 0] + 4 * rng.normal(size=ROWS)  # classes that no columns tell apart
    numbers[WEIGHT == 0] *= 50
    last = np.where(WEIGHT == 0, rng.normal(size=ROWS), 0.1)
    if form == "sparse":
        return sparse.csr_array(np.column_stack([np.where(np.abs(numbers) > 0.7, numbers, 0), last])), signal
    holes = np.where(rng.random(numbers.shape) < 0.15, np.nan, numbers)
    if form == "array":
        return np.column_stack([holes, last]), signal
    X = pd.DataFrame(np.column_stack([holes, last]), columns=list("abcde"))
    X["on"] = pd.array(signal + 6 * rng.normal(size=ROWS) > 0, dtype="boolean")
    X.loc[::7, "on"] = pd.NA
    X["kind"] = pd.Categorical.from_codes(rng.choice(3, ROWS, p=[0.25, 0.3, 0.45]) - 1, ["u", "v"])
    return X, signal


def target(signal: Array, task: Task) -> Any:
    cuts = {"regression": None, "binary": [0.5], "multiclass": [0.33, 0.66]}[task]
    return signal if cuts is None else np.array(list("abc"))[np.searchsorted(np.quantile(signal, cuts), signal)]


def weighted(task: Task, form: str = "array", scoring: Any = None, weight: Any = WEIGHT, **options: Any) -> Setup:
    """A weighted problem in three folds; every weight is in each of them."""
    X, signal = data(form)
    problem = make_problem(X, target(signal, task), sample_weight=weight, **options)
    fold = np.arange(ROWS) // 4 % FOLDS
    pairs = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
    return Setup(problem, make_folds(pairs, problem, 0), resolve(scoring or DEFAULTS[task], problem))


def evaluated(model: Model, setup: Setup) -> Outcome:
    backend = model.backend(setup)
    if isinstance(backend, PreparedBackend):
        backend._behind(None).solver.tol = 1e-12  # type: ignore[misc]
    (outcome,) = backend.stream([Candidate(0, model)])
    assert outcome.state == "complete", outcome.reason
    return outcome


def same(found: Outcome, expected: Outcome, copies: Any, tolerance: float, *, counted: bool = True) -> None:
    """Everything that a search says is the same; `copies` are the rows of `found` that those of `expected` are.

    Parameters
    ----------
    counted
        Whether one set of coefficients alone is the best, so that those which are not zero can be counted.
    """
    assert found.step == expected.step
    np.testing.assert_allclose(found.trajectory.axis, expected.trajectory.axis, rtol=1e-9)
    if counted:
        np.testing.assert_allclose(found.trajectory.complexity, expected.trajectory.complexity, atol=1e-5)
    assert found.trajectory.curves.keys() == expected.trajectory.curves.keys()
    for name, curves in found.trajectory.curves.items():
        for part in ("train", "val"):
            ours, theirs = getattr(curves, part), getattr(expected.trajectory.curves[name], part)
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=f"{part} {name}")
    assert found.predictions is not None
    assert expected.predictions is not None
    np.testing.assert_allclose(found.predictions[copies], expected.predictions, rtol=tolerance, atol=tolerance * 10)


# --- linear models ---------------------------------------------------------------------------------------------

EVERY_CASE = [
    pytest.param(task, form, penalty, scale, id=f"{task}-{form}-{penalty}-{scale}")
    for task in TASKS for form in FORMS for penalty, cls in PENALTIES.items() for scale in SCALES if task in tasks(cls)
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("task", "form", "penalty", "scale"), EVERY_CASE)
def test_rows_of_weight_two_are_two(task: Task, form: str, penalty: str, scale: str) -> None:
    """A weighted search is the search of rows that are repeated as often as they weigh, a row of weight zero never."""
    # columns of a category and classes both add up to one: with L1, weight moves between them at no cost, so that what
    # is chosen is not unique, and a refit of that is not; of a fused lasso's last column that is constant, as much as
    # the one before it has
    moves = (task, form) == ("multiclass", "frame") and penalty in {"l1", "relaxed_lasso"}
    options = {"relax": 0.0} if moves and penalty == "relaxed_lasso" else {}
    config = Linear(default(PENALTIES[penalty](**options)), Path(6, 0.02), scale)
    setup = weighted(task, form)
    again, copies = repeated(setup)
    counted = not moves and penalty != "fused_lasso"
    same(evaluated(config, setup), evaluated(config, again), copies, 1e-6, counted=counted)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "form", "penalty", "scale"), EVERY_CASE)
def test_a_refit_is_that_of_the_rows_that_weights_stand_for(task: Task, form: str, penalty: str, scale: str) -> None:
    """A refit predicts what that of repeated rows does, and nothing else of a column that is constant where it counts:
    its coefficient is exactly zero."""
    config = Linear(default(PENALTIES[penalty]()), 0.05, scale)
    setup = weighted(task, form)
    ours, theirs = (config.refit(one.problem, 0) for one in (setup, repeated(setup)[0]))
    X = setup.problem.X
    np.testing.assert_allclose(decided(ours, X), decided(theirs, X), rtol=1e-4, atol=1e-4)
    assert np.all(np.atleast_2d(ours[-1].coef_)[:, 4] == 0)
    moved: Any = X.copy()
    if form == "frame":
        moved["e"] = 1e3
    else:
        moved = moved.tolil() if form == "sparse" else moved
        moved[:, [4]] = 1e3
        moved = moved.tocsr() if form == "sparse" else moved
    np.testing.assert_array_equal(decided(ours, moved), decided(ours, X))


def decided(model: Any, X: Any) -> Array:
    return np.asarray(model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", SCALES)
def test_least_squares_of_masked_rows_is_lstsq(scale: str, seed: int) -> None:
    """The reference with rows masked by weights is the least squares of the other rows, collinear columns included."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 3)) * [1e6, 1, 1e-6]
    weight = (np.arange(60) % 8 > 0) * rng.uniform(0.5, 2, 60)
    twin = np.where(weight > 0, X[:, 1], rng.normal(size=60))  # rank is lost where it counts
    constant = np.where(weight > 0, 1e5 / 3, rng.normal(size=60))
    y = X @ [1e-6, 1, 1e6] + rng.normal(size=60)
    pipeline = Linear("none", 0.0, scale).refit(make_problem(np.c_[X, constant], y, sample_weight=weight), 0)
    oracle = LinearRegression().fit(X * [1e-6, 1, 1e6], y, sample_weight=weight)
    np.testing.assert_allclose(pipeline.predict(np.c_[X, constant]), oracle.predict(X * [1e-6, 1, 1e6]), rtol=1e-6)
    doubled = Linear("none", 0.0, scale).refit(make_problem(np.c_[X, twin], y, sample_weight=weight), 0)
    seen = weight > 0
    np.testing.assert_allclose(
        doubled.predict(np.c_[X, twin][seen]), oracle.predict((X * [1e-6, 1, 1e6])[seen]), rtol=1e-6
    )


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_no_likelihood_exceeds_the_maximum_of_the_rows_that_count(task: Task) -> None:
    """The unregularized reference of masked rows is scikit-learn's maximum likelihood of the others."""
    X, signal = data("array")
    X, y = np.nan_to_num(X), target(signal, task)
    ours = Linear("none", 0.0).refit(make_problem(X, y, sample_weight=WEIGHT), 0)
    seen = WEIGHT > 0
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000, solver="newton-cg").fit(
        X[seen], y[seen], WEIGHT[seen]
    )
    np.testing.assert_allclose(ours.predict_proba(X[seen]), oracle.predict_proba(X[seen]), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("task", TASKS)
def test_a_factor_of_all_weights_changes_nothing(task: Task, scale: str) -> None:
    """Weights that are no whole numbers are shares: their unit is no part of a search."""
    shares = np.where(WEIGHT > 0, WEIGHT + 0.25, 0)
    config = Linear(AdaptiveLasso(1.0), Path(6, 0.02), scale)
    same(
        evaluated(config, weighted(task, weight=shares)), evaluated(config, weighted(task, weight=shares / 7)),
        np.arange(ROWS), 1e-6,
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("tiny", [1e-40, 1e-300])
def test_next_to_no_weight_is_next_to_nothing(task: Task, tiny: float) -> None:
    """A column that varies in rows of no weight to speak of alone has no coefficient."""
    X, signal = data("array")
    problem = make_problem(X, target(signal, task), sample_weight=np.where(WEIGHT == 0, tiny, WEIGHT))
    assert np.all(np.atleast_2d(Linear("none", 0.0).refit(problem, 0)[-1].coef_)[:, 4] == 0)


weights = st.lists(st.integers(0, 4), min_size=2, max_size=12).filter(any)


@given(weights, st.integers(0, 2**32 - 1))
def test_quantiles_are_those_of_repeated_rows(counts: list[int], seed: int) -> None:
    """Quantiles by whole weights are numpy's of the repeated rows."""
    values = np.random.default_rng(seed).integers(0, 5, (len(counts), 3)).astype(float)
    shares = (0.0, 0.25, 0.5, 0.9, 1.0)
    seen = np.array(counts) > 0
    found = weighted_quantiles(values[seen], np.array(counts, dtype=float)[seen], shares)
    np.testing.assert_allclose(found, np.quantile(np.repeat(values, counts, axis=0), shares, axis=0), atol=1e-12)


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=12), st.floats(0.01, 100))
def test_quantiles_of_shares_have_no_unit(found: list[float], factor: float) -> None:
    """A factor of weights that are no whole numbers changes no quantile; equal ones are none."""
    shares = np.append(found, np.pi)
    values = np.random.default_rng(0).normal(size=(len(shares), 2))
    quartiles = [weighted_quantiles(values, w, (0.25, 0.75)) for w in (shares, shares * factor * np.sqrt(2))]
    np.testing.assert_allclose(*quartiles, atol=1e-9)
    equal = weighted_quantiles(values, np.full(len(shares), factor / np.pi), (0.25, 0.75))
    np.testing.assert_allclose(equal, np.quantile(values, (0.25, 0.75), axis=0), atol=1e-9)


def test_effective_rows() -> None:
    """Whole weights stand for their sum of rows, others for Kish's effective number."""
    assert effective_rows(np.array([1.0, 0.0, 3.0])) == 4
    assert effective_rows(np.full(5, 0.1)) == pytest.approx(5)
    assert effective_rows(np.array([0.5, 1.5])) == pytest.approx(4 / 2.5)


# --- scores ----------------------------------------------------------------------------------------------------

UNWEIGHTED = "got an unexpected keyword argument 'sample_weight'"  # what scikit-learn says of a scorer without weights


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_scorer_counts_rows_by_weight(task: Task) -> None:
    """Each of scikit-learn's scorers that takes weights gives weighted rows the score of the repeated ones."""
    X, signal = data("array")
    y = np.exp(signal / 10) if task == "regression" else target(signal, task)  # some scorers need y above zero
    problem = make_problem(X, y, sample_weight=WEIGHT)
    rows, copies = np.arange(ROWS), np.repeat(np.arange(ROWS), WEIGHT.astype(int))
    decisions = np.random.default_rng(0).normal(size=(ROWS, 4, problem.outputs))
    decisions = np.abs(decisions) if task == "regression" else decisions
    tried = 0
    for name in get_scorer_names():
        try:
            (metric,) = resolve(name, problem)
        except InvalidInput:  # of another task, or without weights
            continue
        plain = replace(problem, sample_weight=None, score_weight=None)
        found, expected = metric.along(problem, rows, decisions), metric.along(plain, copies, decisions[copies])
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=name)
        tried += 1
    assert tried > 10


# --- estimators ------------------------------------------------------------------------------------------------

TREES = {"regression": DecisionTreeRegressor(max_depth=3), "binary": DecisionTreeClassifier(max_depth=3)}


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_an_estimator_gets_the_rows_that_count(task: Task) -> None:
    """An estimator that counts rows (leaves of so many samples) is fitted without the rows of weight zero."""
    model = Estimator(TREES[task].set_params(min_samples_leaf=4, random_state=0), {"max_depth": 3})
    setup = weighted(task)
    left, rows = without_weightless(setup)
    same(evaluated_estimator(model, setup), evaluated_estimator(model, left), rows, 0.0)


@pytest.mark.parametrize("task", TASKS)
def test_an_estimators_weights_count_rows(task: Task) -> None:
    """Where scikit-learn's estimator takes weights for counts of rows, so does its search; several targets too."""
    linear = Ridge(1.0) if task == "regression" else LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000)
    X, signal = data("array")
    y: Any = target(signal, task) if task != "regression" else np.column_stack([signal, np.abs(signal)])
    problem = make_problem(np.nan_to_num(X), y, sample_weight=WEIGHT)
    fold = np.arange(ROWS) // 4 % FOLDS
    pairs = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
    setup = Setup(problem, make_folds(pairs, problem, 0), resolve(DEFAULTS[task], problem))
    again, copies = repeated(setup)
    model = Estimator(linear, {})
    same(evaluated_estimator(model, setup), evaluated_estimator(model, again), copies, 1e-5)


KNN = KNeighborsClassifier()
VOTES = VotingClassifier([("tree", DecisionTreeClassifier(max_depth=2)), ("line", LogisticRegression())])
WITHOUT = {
    "alone": (KNN, {"n_neighbors": Int(1, 5)}),
    "the last step": (make_pipeline(StandardScaler(), KNN), {}),
    "an option": (make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression": Choice(SVC(), KNN)}),
    "inside another": (VOTES, {"line": Choice(LogisticRegression(), KNN)}),
}
WITH = {
    "alone": (LogisticRegression(), {"C": Float(0.1, 1.0)}),
    "before the last step": (make_pipeline(PolynomialFeatures(), SVC()), {"svc__C": Float(0.1, 1.0)}),
    "inside another": (VOTES, {"tree__max_depth": Int(1, 2)}),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_an_estimator_that_takes_no_weights_is_refused_where_rows_have_some(case: str, tmp_path: Any) -> None:
    """When the study is made, and not in each of its trials; without weights in fits it is searched."""
    estimator, params = WITHOUT[case]
    space = Estimator(estimator, params or {"standardscaler__with_mean": Choice(True, False)})
    X, signal = data("array")
    X, y = np.nan_to_num(X), target(signal, "binary")
    with pytest.raises(InvalidInput, match=r"must take sample_weight where rows have weights.*score_weight="):
        Study("refused", X, y, space=space, sample_weight=WEIGHT, root=tmp_path, tracking=False)
    for options in ({}, {"score_weight": WEIGHT}):
        Study("taken", X, y, space=space, root=tmp_path, tracking=False, **options)


@pytest.mark.parametrize("case", WITH)
def test_an_estimator_that_takes_weights_is_searched_with_them(case: str) -> None:
    """Weights go to the last step of a pipeline, and into what hands them on."""
    estimator, params = WITH[case]
    X, signal = data("array")
    problem = make_problem(np.nan_to_num(X), target(signal, "binary"), sample_weight=WEIGHT)
    check_weighted([clone(estimator)], problem)
    Estimator(estimator, params).check(Setup(problem, make_folds(3, problem, 0), resolve("accuracy", problem)))


def evaluated_estimator(model: Estimator, setup: Setup) -> Outcome:
    found = evaluated(model, setup)
    unknown = np.zeros_like(found.trajectory.complexity)
    return replace(found, trajectory=replace(found.trajectory, axis=np.zeros(1), complexity=unknown))


# --- nets ------------------------------------------------------------------------------------------------------


def small_net(module: Any = None, **options: Any) -> Net:
    stopping = {"early_stopping": t.FixedEpochs(4)}
    given: dict[str, Any] = {"lr": 0.05, "precision": "float64", "device": "cpu"}
    return Net(module or MLP((4,)), **(given | stopping | options))


@pytest.mark.slow
@pytest.mark.parametrize("scale", NET_SCALES)
@pytest.mark.parametrize("task", TASKS)
def test_a_net_does_not_see_rows_of_weight_zero(task: Task, scale: str) -> None:
    """In batches, norms, inner splits, scales and scores a row of weight zero is not there."""
    for options in ({"batch_size": 7, "norm": "batch_norm"}, {"early_stopping": t.EarlyStopping(3, inner=0.3)}):
        model = small_net(scale=scale, **options)
        setup = weighted(task)
        left, rows = without_weightless(setup)
        same(evaluated(model, setup), evaluated(model, left), rows, 1e-12 if scale != "none" else 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("scale", NET_SCALES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task", TASKS)
def test_a_net_of_whole_batches_counts_rows(task: Task, form: str, scale: str) -> None:
    """Where a batch is all of a fold's rows, a row of weight two is two rows: minibatches would be others."""
    model = small_net(scale=scale, weight_decay=0.1)
    setup = weighted(task, form)
    again, copies = repeated(setup)
    same(evaluated(model, setup), evaluated(model, again), copies, 1e-7)


@pytest.mark.slow
def test_images_and_several_targets_of_a_net() -> None:
    """Channels of images are scaled, and several targets standardised and scored, by weighted rows."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(ROWS, 1, 8, 8)), rng.normal(size=(ROWS, 2))
    X[WEIGHT == 0] *= 50
    for scale in set(NET_SCALES) - {"robust"}:  # which is for tables
        problem = make_problem(X, y, sample_weight=WEIGHT)
        fold = np.arange(ROWS) // 4 % FOLDS
        train, val = (tuple(np.flatnonzero((fold == k) == held) for k in range(FOLDS)) for held in (False, True))
        folds = Folds(train, val, "")
        setup = Setup(problem, folds, resolve("r2", problem))
        again, copies = repeated(setup)
        model = small_net(CNN(channels=(2,)), scale=scale)
        same(evaluated(model, setup), evaluated(model, again), copies, 1e-6)
