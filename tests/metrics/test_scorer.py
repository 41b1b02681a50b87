"""Scores: every kernel is its scikit-learn scorer, step by step, and what cannot score is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, huber, logsumexp, softmax
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    d2_tweedie_score,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    mean_absolute_error,
    mean_pinball_loss,
    mean_squared_error,
    mean_tweedie_deviance,
    r2_score,
    roc_auc_score,
)

from regsearch import InvalidInput
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.kernels import FROM_MSE, KERNELS
from regsearch.metrics.predictions import fixed_prediction, log_sum_exp, probabilities, winners
from regsearch.metrics.scorer import DEFAULTS, _name, known, resolve

CLASSES = {"regression": 0, "binary": 2, "multiclass": 3}
SCORERS = {
    "regression": [
        "neg_mean_squared_error",
        "neg_root_mean_squared_error",
        "neg_mean_absolute_error",
        "r2",
        "neg_median_absolute_error",
        "explained_variance",
        "neg_max_error",
    ],
    "binary": ["neg_log_loss", "accuracy", "roc_auc", "average_precision", "neg_brier_score", "f1_macro"],
    "multiclass": ["neg_log_loss", "accuracy", "roc_auc_ovr_weighted", "balanced_accuracy", "f1_macro"],
}
POSITIVE: dict[str, Any] = {
    "neg_mean_poisson_deviance": lambda *given, **more: -mean_tweedie_deviance(*given, power=1, **more),
    "neg_mean_gamma_deviance": lambda *given, **more: -mean_tweedie_deviance(*given, power=2, **more),
    "neg_mean_tweedie_deviance_1.5": lambda *given, **more: -mean_tweedie_deviance(*given, power=1.5, **more),
    "neg_mean_pinball_loss_0.8": lambda *given, **more: -mean_pinball_loss(*given, alpha=0.8, **more),
    "d2_poisson": partial(d2_tweedie_score, power=1),
    "d2_gamma": partial(d2_tweedie_score, power=2),
    "d2_tweedie_1.2": partial(d2_tweedie_score, power=1.2),
}
UNWEIGHTED = {"neg_max_error"}
ONLY_NUMBERS = {"average_precision", "neg_brier_score"}  # of two classes


def problem(
    task: str, n: int = 24, weights: bool = False, seed: int = 0, text: bool = True, targets: int = 1
) -> Problem:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    if task == "regression":
        y: Any = rng.normal(size=n) if targets == 1 else rng.normal(size=(n, targets)) * 10.0 ** np.arange(targets)
    else:
        codes = rng.permutation(np.arange(n) % CLASSES[task])
        y = np.array(["bird", "cat", "dog"])[codes] if text else codes
    return make_problem(X, y, sample_weight=rng.uniform(0.1, 3.0, n) if weights else None)


def outputs(p: Problem) -> int:
    return len(p.classes) if p.classes is not None and len(p.classes) > 2 else 1


class Fixed:
    """A prediction written down, as scikit-learn scorers read it; independent of `fixed_prediction`."""

    def __new__(cls, p: Problem, decision: Any) -> Any:
        if p.classes is None:
            model = LinearRegression()
            model.coef_, model.intercept_ = np.ones(1), 0.0
            return model
        model = LogisticRegression()
        m = decision.shape[1]
        model.classes_, model.coef_, model.intercept_ = p.classes, np.eye(m), np.zeros(m)
        return model


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in SCORERS.items() for name in names])
@given(seed=st.integers(0, 2**32 - 1), weights=st.booleans(), size=st.floats(0.01, 3), text=st.booleans())
def test_along_is_the_scorer(task: str, name: str, seed: int, weights: bool, size: float, text: bool) -> None:
    """Along a path, on any rows, a metric is the scikit-learn scorer of a model that decides so, weights included."""
    weights = weights and name not in UNWEIGHTED
    p = problem(task, weights=weights, seed=seed, text=text and name not in ONLY_NUMBERS)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(p.rows)[:18]
    if p.classes is not None:
        rows = np.union1d(rows, np.unique(p.y, return_index=True)[1])
    decision = size * rng.normal(size=(len(rows), 4, outputs(p)))
    (metric,) = resolve(name, p)
    found = metric.along(p, rows, decision)
    options = {"sample_weight": p.sample_weight[rows]} if weights else {}
    for step in range(4):
        model = Fixed(p, decision[:, step])
        theirs = get_scorer(name)(model, decision[:, step], p.labels[rows], **options)
        assert found[step] == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCORERS["regression"] if name != "neg_max_error"])
@given(seed=st.integers(0, 2**32 - 1), weights=st.booleans(), t=st.integers(2, 4), steps=st.integers(1, 5))
def test_several_targets_are_the_scorer(name: str, seed: int, weights: bool, t: int, steps: int) -> None:
    """Of several targets, of any scales, a metric along a path is the scikit-learn scorer at every step."""
    p = problem("regression", weights=weights, seed=seed, targets=t)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(p.rows)[:18]
    decision = p.y[rows][:, None] + rng.normal(size=(len(rows), steps, t)) * rng.uniform(0.01, 100, t)
    (metric,) = resolve(name, p)
    assert (metric.kernel is None) == (name not in KERNELS)
    assert (metric.from_mse is None) == (name not in FROM_MSE)
    options = {"sample_weight": p.sample_weight[rows]} if weights else {}
    found = metric.along(p, rows, decision)
    assert found.shape == (steps,)
    for step in range(steps):
        model = LinearRegression()
        model.coef_, model.intercept_ = np.eye(t), np.zeros(t)
        theirs = get_scorer(name)(model, decision[:, step], p.labels[rows], **options)
        assert found[step] == pytest.approx(theirs, rel=1e-9, abs=1e-9)
        assert metric.score(model, replace(p.take(rows), X=decision[:, step])) == pytest.approx(theirs)


def test_probabilities_are_scored_as_they_were_told() -> None:
    """In single precision, too, and without a word about their sum; equal ones stay equal, as those of leaves are."""
    p, rows = problem("multiclass"), np.arange(24)
    shares = np.array([[0.2, 0.7, 0.1], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])[np.random.default_rng(0).integers(0, 3, 24)]
    for told, off in ((shares, 1e-9), (shares.astype(np.float32), 1e-6)):
        decision = np.log(told.astype(float))[:, None]
        for name, expected in (
            ("roc_auc_ovr", roc_auc_score(p.y, shares, multi_class="ovr")),
            ("neg_brier_score", -np.mean(((shares - np.eye(3)[p.y]) ** 2).sum(axis=1))),
            ("neg_log_loss", np.log(shares[rows, p.y]).mean()),
        ):
            (metric,) = resolve(name, p)
            found = metric.by_scorer(p, rows, decision)[0]
            assert found == pytest.approx(expected, rel=off)
            assert metric.score(fixed_prediction(p, decision[:, 0]), p) == found


@pytest.mark.slow
@pytest.mark.parametrize("name", POSITIVE)
@given(seed=st.integers(0, 2**32 - 1), weights=st.booleans())
def test_deviances_are_the_scorer(name: str, seed: int, weights: bool) -> None:
    """Along a path of positive predictions a deviance, or what is explained of it, is scikit-learn's function of it."""
    rng = np.random.default_rng(seed)
    p = make_problem(rng.normal(size=(24, 2)), rng.gamma(2, 1, 24), sample_weight=rng.uniform(0.1, 3, 24))
    p = p if weights else p.without_weights()
    decision = rng.gamma(2, 1, (24, 3, 1))
    (metric,) = resolve(name, p)
    assert metric.kernel is not None
    again = known(name, metric.identity, p)
    assert again is not None
    assert again.identity == metric.identity
    found = metric.along(p, np.arange(24), decision)
    for step in range(3):
        theirs = POSITIVE[name](p.y, decision[:, step, 0], sample_weight=p.sample_weight)
        assert found[step] == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    if "pinball" not in name:
        assert metric.along(p, np.arange(24), np.zeros((24, 1, 1)))[0] == -np.inf


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("weights", [False, True])
def test_huber_is_explained_of_the_best_constant(targets: int, weights: bool) -> None:
    """D2 of Huber's loss is one less the loss over that of the constant with the least, the mean over targets; the
    formula along a path and the scorer of a model agree."""
    p = problem("regression", weights=weights, targets=targets)
    rng, w = np.random.default_rng(1), np.ones(p.rows) if p.sample_weight is None else p.sample_weight
    decision = p.y.reshape(p.rows, 1, -1) + rng.standard_t(2, (p.rows, 3, targets))

    def loss(residual: Any) -> float:
        return float(np.average(huber(0.7, residual), weights=w))

    mean, explained = np.zeros(3), np.zeros(3)
    for j, y in enumerate(p.y.reshape(p.rows, -1).T):
        null = minimize_scalar(lambda c, y=y: loss(y - c), bounds=(y.min(), y.max())).fun
        along = np.array([loss(y - decision[:, step, j]) for step in range(3)])
        mean, explained = mean + along / targets, explained + (1 - along / null) / targets
    for name, expected in {"neg_mean_huber_loss_0.7": -mean, "d2_huber_0.7": explained}.items():
        (metric,) = resolve(name, p)
        np.testing.assert_allclose(metric.along(p, np.arange(p.rows), decision), expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(metric.by_scorer(p, np.arange(p.rows), decision), expected, rtol=1e-6, atol=1e-8)


def test_a_pinball_loss_of_several_targets_is_their_mean() -> None:
    """As scikit-learn's is, along a path as by its scorer."""
    p = problem("regression", targets=3)
    (metric,) = resolve("neg_mean_pinball_loss_0.8", p)
    decision = np.random.default_rng(1).normal(size=(p.rows, 2, 3))
    theirs = [-mean_pinball_loss(p.y, decision[:, step], alpha=0.8) for step in range(2)]
    np.testing.assert_allclose(metric.along(p, np.arange(p.rows), decision), theirs)


@pytest.mark.parametrize("name", ["neg_mean_tweedie_deviance", "neg_mean_tweedie_deviance_2.5", "d2_tweedie_x"])
def test_numbers_of_scores_are_checked(name: str) -> None:
    """A score that needs a number is refused without one, or with one that it is not defined for, by a hint."""
    with pytest.raises(InvalidInput, match="tweedie"):
        resolve(name, problem("regression"))


def test_outputs_must_be_the_problems() -> None:
    """A decision of another number of outputs is never scored: it would broadcast."""
    for targets, m in ((1, 3), (3, 1), (2, 3)):
        p = problem("regression", targets=targets)
        for scoring in ("r2", "explained_variance"):
            with pytest.raises(AssertionError):
                resolve(scoring, p)[0].along(p, np.arange(p.rows), np.zeros((p.rows, 2, m)))


def test_every_kernel_is_tested() -> None:
    """No formula goes without its oracle, and the defaults have one."""
    assert set(KERNELS) <= {name for names in SCORERS.values() for name in names} | set(POSITIVE)
    assert set(DEFAULTS.values()) <= {*KERNELS, "d2_cox", "mean_d2"}  # for which see test_survival.py and test_mixed.py


@pytest.mark.parametrize("name", ["neg_mean_squared_error", "neg_root_mean_squared_error", "r2"])
@pytest.mark.parametrize("weights", [False, True])
def test_from_mse(name: str, weights: bool) -> None:
    """A score that the mean squared error determines is the same from the error alone."""
    p = problem("regression", weights=weights)
    (metric,) = resolve(name, p)
    decision = np.random.default_rng(1).normal(size=(p.rows, 3, 1))
    rows = np.arange(p.rows)
    share = np.ones(p.rows) / p.rows if p.sample_weight is None else p.sample_weight / p.sample_weight.sum()
    mse = share @ (decision[:, :, 0] - p.y[:, None]) ** 2
    variance = share @ (p.y - share @ p.y) ** 2
    np.testing.assert_allclose(metric.from_mse(mse, variance), metric.along(p, rows, decision))


@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 4), size=st.floats(0, 300))
def test_probabilities(seed: int, m: int, size: float) -> None:
    """Probabilities are the logistic or softmax of a decision, sum to one at any size, and agree with the winners."""
    decision = size * np.random.default_rng(seed).normal(size=(5, 3, m))
    p = probabilities(decision)
    assert p.shape == (5, 3, max(m, 2))
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    expected = expit(decision[..., 0]) if m == 1 else softmax(decision, axis=-1)
    np.testing.assert_allclose(p[..., 1] if m == 1 else p, expected)
    top = np.take_along_axis(p, winners(decision)[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(top, p.max(axis=-1))


COUNTED = {
    "binary": ["accuracy", "roc_auc", "average_precision", "balanced_accuracy", "f1_macro", "jaccard_macro"],
    "multiclass": ["accuracy", "roc_auc_ovr_weighted", "roc_auc_ovo", "balanced_accuracy", "recall_weighted"],
}


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in COUNTED.items() for name in names])
@given(seed=st.integers(0, 2**32 - 1), weights=st.booleans())
def test_nothing_is_better_than_perfect(task: str, name: str, seed: int, weights: bool) -> None:
    """Whatever the weights, what is right everywhere scores 1 by every score that counts: no more and no less."""
    weights = weights and name != "roc_auc_ovo"
    p = problem(task, weights=weights, seed=seed, n=60, text=name not in ONLY_NUMBERS)
    rng = np.random.default_rng(seed)
    right = np.eye(3)[p.y] if task == "multiclass" else 2.0 * p.y[:, None] - 1
    decision = right[:, None] * rng.uniform(20, 30, (p.rows, 3, 1))  # scikit-learn's AUC wants them to sum to one
    (metric,) = resolve(name, p)
    assert metric.along(p, np.arange(p.rows), decision).tolist() == [1.0] * 3
    scored = replace(p, X=decision[:, 0])
    assert metric.score(Fixed(p, decision[:, 0]), scored) == 1.0


@given(seed=st.integers(0, 2**32 - 1))
def test_equal_areas_are_equal(seed: int) -> None:
    """The area under the ROC curve depends on the order alone, to the last digit, weights included."""
    p = problem("binary", weights=True, seed=seed, n=60)
    decision = np.random.default_rng(seed).normal(size=(p.rows, 1, 1)) * np.array([1e-3, 1, 7])[None, :, None]
    (metric,) = resolve("roc_auc", p)
    first, *others = metric.along(p, np.arange(p.rows), decision)
    assert all(first == other for other in others)
    assert metric.along(p, np.arange(p.rows), np.zeros((p.rows, 1, 1))) == 0.5


def test_what_counts_is_known_by_its_function() -> None:
    """A scorer made from one of scikit-learn's functions that count is one too; losses and a user's own are not."""
    p = problem("binary")
    for counting in (
        "accuracy",
        "f1_macro",
        make_scorer(accuracy_score),
        make_scorer(fbeta_score, beta=2, pos_label="cat"),
    ):
        assert resolve(counting, p)[0].counts
    for other in ("neg_log_loss", "neg_brier_score", lambda model, X, y: 0.123456789012345):
        (metric,) = resolve(other, problem("binary", text=False))
        assert not metric.counts
    assert metric.along(p, np.arange(3), np.ones((3, 1, 1))) == 0.123456789012345


@given(arrays(float, (3, 2, 4), elements=st.one_of(st.floats(-800, 800), st.sampled_from([-np.inf, np.inf]))))
def test_exponentials_are_summed_as_scipy_does(logits: NDArray[Any]) -> None:
    """However large, infinite among them, logits have scipy's logarithm of their summed exponentials, and stay."""
    before = logits.copy()
    np.testing.assert_allclose(log_sum_exp(logits), logsumexp(logits, axis=2), rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(logits, before)


def test_log_loss_of_certainty() -> None:
    """A confident mistake costs its margin, however large, without overflow."""
    p = make_problem(np.arange(4.0)[:, None], ["a", "b"] * 2)
    (metric,) = resolve("neg_log_loss", p)
    decision = np.array([1e4, 1e4, -1e4, -1e4])[:, None, None]
    assert metric.along(p, np.arange(4), decision)[0] == pytest.approx(-1e4 / 2)


def test_fixed_prediction() -> None:
    """A fixed prediction is a fitted estimator that answers every method consistently."""
    p = problem("multiclass")
    decision = np.random.default_rng(0).normal(size=(6, 3))
    model = fixed_prediction(p, decision)
    np.testing.assert_array_equal(model.predict(None), p.classes[model.predict_proba(None).argmax(axis=1)])
    np.testing.assert_array_equal(model.decision_function(None), decision)
    assert fixed_prediction(problem("regression"), decision).predict(None).tolist() == decision[:, 0].tolist()
    several = fixed_prediction(problem("regression", targets=3), decision)
    np.testing.assert_array_equal(several.predict(None), decision)


# --- resolving -------------------------------------------------------------------------------------------------


def near_enough(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """A scorer of the user's own."""
    return float(np.mean(np.abs(estimator.predict(X) - y) < 0.5))


def test_defaults() -> None:
    """Without scoring, the score is the loss that the task is fitted by."""
    for task in CLASSES:
        (metric,) = resolve(None, problem(task))
        assert metric.name == DEFAULTS[task]
        assert metric.perfect == 0.0


def test_multi_metric() -> None:
    """A list is in its own order, a dict is named by its keys; the first decides."""
    p = problem("regression")
    assert [m.name for m in resolve(["r2", "neg_mean_squared_error", near_enough], p)] == [
        "r2",
        "neg_mean_squared_error",
        "near_enough",
    ]
    pinball = make_scorer(mean_pinball_loss, alpha=0.9, greater_is_better=False)
    assert [m.name for m in resolve({"near": near_enough, "pinball": pinball}, p)] == ["near", "pinball"]
    assert resolve(("r2",), p)[0].perfect == 1.0


def test_callables_are_called() -> None:
    """A callable scores what it is given: the labels of the rows and the decision as a prediction."""
    p = problem("regression")
    (metric,) = resolve(near_enough, p)
    rows = np.array([3, 1, 2])
    decision = np.stack([p.y[rows], p.y[rows] + 1], axis=1)[:, :, None]
    np.testing.assert_array_equal(metric.along(p, rows, decision), [1.0, 0.0])
    binary = problem("binary")
    (fbeta,) = resolve(make_scorer(fbeta_score, beta=2, pos_label="cat"), binary)
    good = np.where(binary.y == 1, 1.0, -1.0)[:, None, None]
    assert fbeta.along(binary, np.arange(binary.rows), good)[0] == 1.0


def test_callables_may_read_the_rows() -> None:
    """A user's own scorer gets the rows that it scores, as scikit-learn gives them: it may weigh errors by a column."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    problem = make_problem(X, X[:, 0])
    rows = np.array([4, 7, 1])

    def dear(estimator: Any, X: Any, y: Any) -> float:
        return -float(np.mean(np.abs(X[:, 1]) * (estimator.predict(X) - y) ** 2))

    (metric,) = resolve(dear, problem)
    expected = -np.mean(np.abs(X[rows, 1]) * (2.0 - X[rows, 0]) ** 2)
    assert metric.along(problem, rows, np.full((3, 1, 1), 2.0)) == pytest.approx([expected])


def test_names_of_a_dict_are_free() -> None:
    """A callable may be called as a known scorer is, and a known scorer anything."""
    p = problem("regression")
    (named,) = resolve({"r2": make_scorer(r2_score)}, p)
    assert named.name == "r2"
    assert named.kernel is None
    (other,) = resolve({"error": "neg_mean_squared_error"}, p)
    assert other.kernel is KERNELS["neg_mean_squared_error"]


@pytest.mark.parametrize(
    ("scorer", "name"),
    [
        (make_scorer(r2_score), "r2_score"),
        (make_scorer(mean_absolute_error, greater_is_better=False), "neg_mean_absolute_error"),
        (make_scorer(near_enough, greater_is_better=True), "near_enough"),
        (near_enough, "near_enough"),
        ("r2", "r2"),
    ],
)
def test_a_scorer_is_called_by_its_function(scorer: Any, name: str) -> None:
    """A scorer of `make_scorer` has its function's name, as scikit-learn gives its own: ``neg_`` before an error."""
    assert _name(scorer) == name


def test_names_are_scikit_learns() -> None:
    """What scikit-learn makes itself it names alike, so that a scorer made by the same words is known as it is."""
    p = problem("regression")
    (mine,) = resolve(make_scorer(mean_absolute_error, greater_is_better=False), p)
    (theirs,) = resolve("neg_mean_absolute_error", p)
    assert mine.identity == theirs.identity
    assert known(mine.name, mine.identity, p) is not None


@pytest.mark.parametrize(
    ("task", "scorer", "name"),
    [
        ("regression", make_scorer(mean_absolute_error), "mean_absolute_error"),
        ("regression", {"mine": make_scorer(mean_squared_error)}, "mine"),
        ("regression", [make_scorer(mean_squared_error), "r2"], "mean_squared_error"),
        ("regression", lambda model, X, y: float(np.mean((model.predict(X) - y) ** 2)), "score"),
        ("binary", make_scorer(log_loss, response_method="predict_proba"), "log_loss"),
        ("binary", lambda model, X, y: float(np.mean(model.predict(X) != y)), "score"),
        ("multiclass", make_scorer(log_loss, response_method="predict_proba"), "log_loss"),
        ("multiclass", lambda model, X, y: float(np.mean(model.predict(X) != y)), "score"),
    ],
)
@pytest.mark.parametrize("n", [24, 1200])
def test_refuses_an_error_as_a_score(task: str, scorer: Any, name: str, n: int) -> None:
    """A scorer that decides and gives a constant more than the targets themselves is refused: the worst would win."""
    p = problem(task, n=n)
    order = np.argsort(p.y, kind="stable")  # the first rows are of one class
    with pytest.raises(
        InvalidInput, match=rf"Larger must be better, the scorer '{name}' gives .*greater_is_better=False"
    ):
        resolve(scorer, p.take(order))


def test_refuses_an_error_of_several_targets() -> None:
    """An error of several targets is refused as a score too."""
    with pytest.raises(InvalidInput, match="Larger must be better"):
        resolve(make_scorer(mean_squared_error), problem("regression", targets=3))


def test_refuses_an_error_of_one_of_several_tasks() -> None:
    """So is one of a target among tasks of their own, whatever the others are scored by."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = pd.DataFrame({"num": X[:, 0], "flag": X[:, 1] > 0, "one": X[:, 2]})
    p = make_problem(X, y, task=["regression", "binary", "regression"])
    error = make_scorer(mean_absolute_error)
    with pytest.raises(InvalidInput, match="Larger must be better, the scorer 'mean_absolute_error' gives"):
        resolve({"num": "r2", "flag": "roc_auc", "one": error}, p)
    right = make_scorer(mean_absolute_error, greater_is_better=False)
    assert len(resolve({"num": right, "flag": "roc_auc", "one": "r2"}, p)[0].by_target) == 3


def column(model: Any, X: Any, y: Any) -> float:
    """A scorer that reads the rows."""
    return -float(np.mean(np.abs(X[:, 0]) * (model.predict(X) - y) ** 2))


@pytest.mark.parametrize(
    ("task", "scorer"),
    [
        ("regression", make_scorer(mean_absolute_error, greater_is_better=False)),
        ("regression", make_scorer(r2_score)),
        ("regression", column),
        ("regression", lambda model, X, y: 1.0),  # nothing tells the two apart
        ("regression", lambda model, X, y: float(np.mean(model.predict(X)))),
        ("regression", make_scorer(lambda y, z: 1.0 if (z == 1).all() else 1 / 0)),
        ("regression", make_scorer(lambda y, z: 0.0 if (z == 1).all() else np.nan)),
        ("binary", make_scorer(roc_auc_score, response_method="decision_function")),
        ("binary", make_scorer(roc_auc_score, response_method="predict_proba")),
        ("binary", make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)),
        ("binary", make_scorer(average_precision_score, response_method="decision_function", pos_label="cat")),
        ("multiclass", make_scorer(log_loss, response_method="predict_proba", greater_is_better=False)),
        ("multiclass", make_scorer(roc_auc_score, response_method="predict_proba", multi_class="ovr")),
        ("multiclass", lambda model, X, y: float(np.mean(model.predict(X) == y))),
    ],
)
def test_scorers_that_go_on_working(task: str, scorer: Any) -> None:
    """What is larger for the targets, cannot tell, or cannot score them, is taken as it is, without a word."""
    assert resolve(scorer, problem(task))[0].scorer is scorer


def test_a_lambda_is_called_by_its_metric() -> None:
    """A scorer without a name has that of the metric which it reads, an error's as scikit-learn's scorers have it."""
    scorers = [
        lambda fitted, X, y: r2_score(y, fitted.predict(X)),
        lambda fitted, X, y: -mean_absolute_error(y, fitted.predict(X)),
        make_scorer(lambda y, said: mean_squared_error(y, said) * 2, greater_is_better=False),
        lambda fitted, X, y: -abs(y - fitted.predict(X)).max(),
    ]
    names = [metric.name for metric in resolve(scorers, problem("regression"))]
    assert names == ["r2_score", "neg_mean_absolute_error", "neg_mean_squared_error", "score"]


def test_an_error_may_be_watched() -> None:
    """A scorer that does not decide may be of any sign: nothing is chosen by it."""
    names = [metric.name for metric in resolve(["r2", make_scorer(mean_absolute_error)], problem("regression"))]
    assert names == ["r2", "mean_absolute_error"]


@pytest.mark.parametrize(
    ("task", "scoring", "message"),
    [
        ("regression", "neg_mean_square_error", "got 'neg_mean_square_error'; did you mean 'neg_mean_squared_error'"),
        ("regression", "xyzzy", r"got 'xyzzy'; see sklearn.metrics.get_scorer_names\(\)"),
        ("regression", "rmse", "did you mean 'neg_root_mean_squared_error'"),
        ("binary", "AUC", "did you mean 'roc_auc'"),
        ("regression", 3, "got 3"),
        ("regression", [], "needs at least one scorer, got none"),
        ("regression", {}, "needs at least one scorer, got none"),
        ("regression", {"r2", "neg_max_error"}, "must be a scikit-learn scorer, got"),
        ("regression", ["r2", "r2"], r"differ by name, got \['r2', 'r2'\]; pass a dict"),
        ("regression", "accuracy", "'accuracy' does not fit a regression task. Try r2 or"),
        ("regression", "neg_log_loss", "'neg_log_loss' does not fit a regression task"),
        ("regression", "roc_auc", "'roc_auc' does not fit a regression task.*Try r2 or"),
        ("regression", "neg_mean_squared_log_error", "does not fit a regression task: [^.]*-1. Try r2"),
        ("regression", ["r2", "f1"], "'f1' does not fit"),
        ("binary", "r2", "'r2' does not fit a binary task"),
        ("binary", "neg_mean_squared_error", "does not fit a binary task. Try neg_log_loss or accuracy"),
        ("binary", {"error": "neg_mean_squared_error"}, "'error' does not fit a binary task"),
        ("binary", "f1", "'f1' does not fit a binary task: pos_label=1"),
        ("multiclass", "roc_auc", "'roc_auc' does not fit a multiclass task: .*multi_class"),
        ("multiclass", "f1", "'f1' does not fit a multiclass task.*average"),
        ("regression", lambda estimator, X, y: "good", "'score' does not fit"),
        ("regression", lambda estimator, X, y: {"a": 1.0}, "'score' does not fit"),
        ("regression", lambda estimator, X, y: np.nan, "'score' does not fit"),
        ("regression", lambda estimator: 1.0, "'score' does not fit.*takes 1 positional"),
        ("regression", mean_squared_error, r"one of targets and predictions; pass make_scorer\(mean_squared_error\)"),
    ],
)
def test_refuses(task: str, scoring: Any, message: str) -> None:
    """A scorer that is unknown or cannot score the task is refused before any fit, with others to try."""
    with pytest.raises(InvalidInput, match=message):
        resolve(scoring, problem(task))


@pytest.mark.parametrize("scoring", ["neg_max_error", "accuracy", lambda model, X, y: model.predict(X)[:, 0]])
def test_refuses_of_several_targets(scoring: Any) -> None:
    """A scorer that cannot score several targets is refused before any fit."""
    with pytest.raises(InvalidInput, match=r"does not fit a regression task.*Try r2 or neg_root"):
        resolve(scoring, problem("regression", targets=2))


def test_weights_need_a_scorer_that_takes_them() -> None:
    """With sample weights, a scorer without them is refused rather than used unweighted, and the fix is said."""
    for one in (lambda estimator, X, y: 1.0, "neg_max_error"):
        with pytest.raises(InvalidInput, match=r"takes no sample_weight, .*; pass score_weight=None"):
            resolve(one, problem("regression", weights=True))
        assert resolve(one, replace(problem("regression", weights=True), score_weight=None))
    assert resolve(near_enough, problem("regression", weights=True))[0].scorer is near_enough


@pytest.mark.parametrize(("task", "name"), [("regression", "r2"), ("binary", "roc_auc")])
def test_score_of_one_row(task: str, name: str) -> None:
    """Where y does not vary a score that needs that is not finite, and there is no warning either."""
    p = problem(task)
    (metric,) = resolve(name, p)
    assert not np.isfinite(metric.along(p, np.array([3]), np.zeros((1, 2, 1)))).any()


@pytest.mark.parametrize("name", ["precision_macro", "recall_macro", "f1_weighted", "jaccard_macro"])
def test_no_warning_from_the_check(name: str) -> None:
    """The check of a scorer says nothing of its constant prediction."""
    p = problem("multiclass")
    (metric,) = resolve(name, p)
    assert np.isfinite(metric.along(p, np.arange(p.rows), np.zeros((p.rows, 2, 3)))).all()
