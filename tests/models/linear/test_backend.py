"""The linear backend: what a scorer or a fold can do to a trial, and to those after it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from regsearch import ElasticNet, Linear, Path
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.columns import columns_of
from regsearch.models.out_of_fold import STEPS

N = 90


def numbers(seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 4))
    return x, x @ [1.0, -1.0, 0.5, 0.0] + rng.normal(size=N)


def outcomes(problem: Problem, scoring: Any, folds: Folds | None = None, count: int = 1) -> list[Outcome]:
    setup = Setup(problem, folds or make_folds(3, problem, 0), resolve(scoring, problem))
    return list(LinearBackend(setup).stream([Candidate(i, Linear("l1", 0.01)) for i in range(count)]))


def three_classes_one_rare() -> tuple[Problem, Folds]:
    """The last class is in the first fold's validation part alone."""
    x, signal = numbers()
    labels = (signal > 0).astype(int)
    labels[:3] = 2
    parts = [np.arange(0, N, 3), np.arange(1, N, 3), np.arange(2, N, 3)]
    parts = [np.union1d(parts[0], [1, 2]), *(np.setdiff1d(part, [1, 2]) for part in parts[1:])]
    return make_problem(x, labels), Folds(tuple(np.setdiff1d(np.arange(N), part) for part in parts), tuple(parts), "x")


def test_a_failing_scorer_fails_its_trial() -> None:
    """What the deciding scorer raises is the reason of a failed trial, with its name, and the next trial is tried."""
    x, y = numbers()
    y = 20 * (np.abs(y) - np.abs(y).min() + x[:, 0] ** 2)
    found = outcomes(make_problem(x, y), "neg_mean_squared_log_error", count=2)
    assert [outcome.state for outcome in found] == ["failed", "failed"]
    assert "'neg_mean_squared_log_error' failed: " in found[0].reason
    assert "less than or equal to -1" in found[0].reason


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_designs_share_what_is_missing(task: str, penalty: str) -> None:
    """Searches, refits and explanations of one problem fill its one matrix in turn, and each has what it has alone."""
    x, y = numbers()
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    y = y > 0 if task == "binary" else y
    shared = make_problem(x, y)
    setups = [Setup(shared, make_folds(k, shared, 0), resolve(None, shared)) for k in (3, 4)]
    in_turn = list(zip(*(LinearBackend(setup).stream(_candidates(penalty)) for setup in setups), strict=True))
    again = shared.encoded.matrix.copy()
    assert not np.isnan(again).any()
    assert np.isnan(shared.X).any()
    for setup, found in zip(setups, zip(*in_turn, strict=True), strict=True):
        alone = make_problem(x, y)
        expected = LinearBackend(Setup(alone, setup.folds, setup.metrics)).stream(_candidates(penalty))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.predictions, other.predictions)
            np.testing.assert_array_equal(one.trajectory.deciding.val, other.trajectory.deciding.val)


def _candidates(penalty: str) -> list[Candidate]:
    return [Candidate(i, Linear(penalty, Path(5, 0.1), scale)) for i, scale in enumerate(("standard", "none"))]


def test_another_metric_may_fail() -> None:
    """A metric that does not decide is NaN in the parts of folds where its scorer fails; the trial says why."""
    problem, folds = three_classes_one_rare()
    (outcome,) = outcomes(problem, ["neg_log_loss", "roc_auc_ovr"], folds)
    assert outcome.state == "complete"
    np.testing.assert_array_equal(np.isnan(outcome.trajectory.curves["roc_auc_ovr"].val[:, 0]), [False, True, True])
    np.testing.assert_array_equal(np.isnan(outcome.trajectory.curves["roc_auc_ovr"].train[:, 0]), [True, False, False])
    assert "the scorer 'roc_auc_ovr' failed: " in outcome.reason


def test_what_is_not_finite_is_named() -> None:
    """A trial whose score is not finite names the metric and the folds."""
    x, y = numbers()
    y[30:] = np.where(y[30:] > 0, 1, 0)
    y[:30] = 1
    parts = [np.arange(start, start + 30) for start in (0, 30, 60)]
    folds = Folds(tuple(np.setdiff1d(np.arange(N), part) for part in parts), tuple(parts), "blocks")
    (outcome,) = outcomes(make_problem(x, y.astype(int)), "roc_auc", folds)
    assert outcome.reason == "roc_auc was not finite in fold 0 (counted from 0)"


def test_an_error_of_the_reader_is_no_trial() -> None:
    """What is thrown into the stream by whoever reads it is not taken for a trial's failure."""
    x, y = numbers()
    problem = make_problem(x, y)
    setup = Setup(problem, make_folds(3, problem, 0), resolve("r2", problem))
    stream: Any = LinearBackend(setup).stream([Candidate(i, Linear("l1", 0.01)) for i in range(2)])
    next(stream)
    with pytest.raises(np.linalg.LinAlgError):
        stream.throw(np.linalg.LinAlgError("mine"))


@pytest.mark.parametrize("mean", [1e6, 1e8])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_sparse_scores_far_from_zero(task: str, mean: float) -> None:
    """Scores and predictions of a sparse matrix with a column like a timestamp are those of its dense copy."""
    x, y = numbers()
    x[:, 0] += mean
    y = y if task == "regression" else (y > 0).astype(int)
    scoring = ["neg_mean_absolute_error", "r2"] if task == "regression" else ["neg_log_loss", "accuracy"]
    (dense,), (other,) = (outcomes(make_problem(form, y), scoring) for form in (x, sparse.csr_array(x)))
    for name in scoring:
        np.testing.assert_allclose(dense.trajectory.curves[name].val, other.trajectory.curves[name].val, atol=1e-4)
    np.testing.assert_allclose(dense.predictions, other.predictions, atol=1e-3)


def test_threads_are_given_back() -> None:
    """While a trial is evaluated BLAS has one thread, and outside it has as many as before, even after a failure."""
    from threadpoolctl import ThreadpoolController, threadpool_limits

    controller, seen = ThreadpoolController(), []

    def counts() -> list[int]:
        return [library["num_threads"] for library in controller.info() if library["user_api"] == "blas"]

    def scorer(estimator: Any, X: Any, y: Any) -> float:
        seen.append(counts())
        if len(seen) > 1:  # the first call checks that the scorer fits the task
            raise ValueError("no")
        return 0.0

    x, y = numbers()
    with threadpool_limits(2, user_api="blas"):
        before = counts()
        (outcome,) = outcomes(make_problem(x, y), scorer)
        assert counts() == before
    assert outcome.state == "failed"
    assert set(seen[-1]) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_memory(task: str, missing: float) -> None:
    """Beside X, a lasso path holds at most three times the bytes of X, whether or not entries are missing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6000, 200))
    signal = x @ rng.normal(size=200) + 5 * rng.normal(size=len(x))
    x[rng.random(x.shape) < missing] = np.nan
    problem = make_problem(x, signal if task == "regression" else (signal > 0).astype(int))
    setup = Setup(problem, make_folds(4, problem, 0), resolve(DEFAULTS[problem.task], problem))
    backend = LinearBackend(setup)
    backend.evaluate(Candidate(0, Linear("l1", 1.0)))  # compiles
    tracemalloc.start()
    LinearBackend(setup).evaluate(Candidate(0, Linear("l1", Path(5, ratio=0.02))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * x.nbytes


@pytest.mark.slow
def test_memory_of_what_newton_steps_keep() -> None:
    """Of half as many columns as rows, products of all pairs of them are held once, and half of them by fold."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 600))
    y = (x[:, :300] @ rng.normal(size=300) + 5 * rng.normal(size=len(x)) > 0).astype(int)
    problem = make_problem(x, y)
    setup = Setup(problem, make_folds(4, problem, 0), resolve(DEFAULTS["binary"], problem))
    LinearBackend(setup).evaluate(Candidate(0, Linear(ElasticNet(0.5), 1.0)))  # compiles
    tracemalloc.start()
    LinearBackend(setup).evaluate(Candidate(0, Linear(ElasticNet(0.5), Path(8, ratio=0.01))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * x.nbytes


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_memory_of_a_path_of_many_columns(penalty: str) -> None:
    """The coefficients of a path, far more numbers than the data has, are never held together; little is kept."""
    rng = np.random.default_rng(0)
    x = sparse.random_array((450, 6000), density=0.004, rng=rng, format="lil")  # to be written to
    x[:, :30] = rng.normal(size=(450, 30))
    problem = make_problem(x.tocsr(), (x[:, :30].sum(axis=1) + rng.normal(size=450) > 0).astype(int))
    setup = Setup(problem, make_folds(4, problem, 0), resolve(DEFAULTS["binary"], problem))
    LinearBackend(setup).evaluate(Candidate(0, Linear(penalty, 1.0)))  # compiles
    tracemalloc.start()
    backend = LinearBackend(setup)
    found = backend.evaluate(Candidate(0, Linear(penalty, Path(80, ratio=0.4), "none")))
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    of_folds = 4 * x.shape[1] * 8  # a number of each column and fold
    assert found.trajectory.steps > 40
    assert peak < of_folds * found.trajectory.steps / 2
    assert kept < 2.5 * problem.encoded.matrix.data.nbytes + 4 * of_folds


def test_names_of_columns_are_made_where_a_config_has_some() -> None:
    """Of many columns they are larger than what the columns hold."""
    x = sparse.random_array((50, 20_000), density=0.001, rng=np.random.default_rng(0), format="csr")
    problem = make_problem(x, np.arange(50) % 2)
    tracemalloc.start()
    columns_of(Linear("l2"), problem, lambda: np.ones((1, 20_000)))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * 8 * x.shape[1]


def test_says_what_is_not_certified() -> None:
    """Points whose duality gap is open are marked, and passed over where others are not; one that is chosen says so."""
    X, y = numbers()
    problem = make_problem(X, y)
    backend = LinearBackend(Setup(problem, make_folds(3, problem, 0), resolve(None, problem)))
    candidate = Candidate(0, Linear("l1", Path(20)))
    outcome = backend.evaluate(candidate)
    assert outcome.reason == ""
    assert outcome.trajectory.deciding.unsolved is None
    backend.solver.tol = 1e-30  # out of reach in floating point
    backend.solver.max_sweeps = 3  # type: ignore[attr-defined]
    outcome = backend.evaluate(candidate)
    marks = outcome.trajectory.deciding.unsolved
    assert marks is not None
    assert marks.any()
    assert not marks[outcome.step]  # such as the first, which has no coefficients
    alone = [backend.evaluate(Candidate(1, Linear("l1", float(one)))) for one in np.geomspace(0.3, 0.01, 20)]
    open_ = [outcome.trajectory.unsolved_at(0) for outcome in alone]
    assert any(open_)  # rounding may close a gap for good here and there
    said = "not converged: the chosen point has a relative duality gap of"
    assert [outcome.reason.startswith(said) for outcome in alone] == open_


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("kind", ["dense", "sparse", "missing"])
def test_decisions_along_the_path(task: str, kind: str) -> None:
    """What is kept of other steps is what trials of their lambdas alone predict, of any kind of matrix and task."""
    x, y = numbers()
    if task != "regression":
        y = np.digitize(y, np.quantile(y, [0.5] if task == "binary" else [0.3, 0.7]))
    if kind == "missing":
        x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    one = make_problem(sparse.csr_array(x) if kind == "sparse" else x, y)
    backend = LinearBackend(Setup(one, make_folds(3, one, 0), resolve(None, one)))
    whole = backend.evaluate(Candidate(0, Linear("l2", Path(60, 1e-3))))
    along = whole.along
    assert along is not None
    assert whole.step not in along.steps
    assert len(along.steps) == min(STEPS, whole.trajectory.steps - 1)
    for place in (0, len(along.steps) // 2, -1):
        lambda_ = float(whole.trajectory.axis[along.steps[place]])
        alone = backend.evaluate(Candidate(1, Linear("l2", lambda_)))
        assert alone.along is None
        np.testing.assert_allclose(along.decisions[place], alone.predictions, rtol=1e-3, atol=5e-3)
