"""Evaluations that have to end: what was measured until then is kept, as it would have been without a deadline."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, mean_squared_error

from regsearch import ElasticNet, Estimator, Linear, Path
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, FixedHistory, Model, Outcome, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.linear.backend import LinearBackend

N, FOLDS = 60, 5
DRAWN = np.random.default_rng(0)
X = DRAWN.normal(size=(N, 90))  # too many columns for moments: lambdas are fitted in chunks
Y = X[:, :8] @ DRAWN.normal(size=8) + 3 * DRAWN.normal(size=N)


def setup(y: Any = Y, scoring: Any = "neg_mean_squared_error", **options: Any) -> Setup:
    problem = make_problem(X if y is Y else X[:, :8], y)
    return Setup(problem, make_folds(FOLDS, problem, 0), resolve(scoring, problem), **options)


def ticking(at: float, trial_s: float = np.inf) -> Deadline:
    """One whose clock goes on by a second whenever it is asked."""
    ticks = count()
    return Deadline(at, trial_s, lambda: float(next(ticks)), threading.Event())


def evaluate(config: Model, of: Setup) -> Outcome:
    (outcome,) = config.backend(of).stream([Candidate(3, config)])
    return outcome


def same(found: Outcome, whole: Outcome, steps: int) -> None:
    """Assert that a trial got to the first so many steps of another one, to the bit."""
    assert found.trajectory.steps == steps
    np.testing.assert_array_equal(found.trajectory.axis, whole.trajectory.axis[:steps])
    for name, curves in found.trajectory.curves.items():
        for part in ("train", "val"):
            expected = getattr(whole.trajectory.curves[name], part)[:, :steps]
            np.testing.assert_array_equal(getattr(curves, part), expected)


def stands(found: Outcome, of: Setup) -> None:
    """Assert that what was stopped has what a complete trial has: predictions, which have its scores in every fold."""
    assert found.stands
    assert found.predictions is not None
    for k, rows in enumerate(of.folds.val):
        score = of.metrics[0].along(of.problem, rows, found.predictions[rows][:, None])
        assert found.trajectory.deciding.val[k, found.step] == pytest.approx(score[0], rel=1e-5)


# --- paths of lambda -------------------------------------------------------------------------------------------

PATHS = {
    "lasso": (Linear("l1", Path(20)), Y), "elastic net": (Linear(ElasticNet(0.5), Path(20, 1e-2)), Y),
    "logistic ridge": (Linear("l2", Path(50)), (Y > 0).astype(int)),
    "logistic lasso": (Linear("l1", Path(20)), (Y > 0).astype(int)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", PATHS)
def test_a_path_that_stops_is_a_shorter_path(case: str) -> None:
    """Wherever between two chunks the time is up, a path has the points up to there and is scored by the best of them
    as any other, and at its end it is whole.
    """
    config, y = PATHS[case]
    of = setup(y, ["neg_log_loss", "accuracy"] if y.dtype == int else ["neg_mean_squared_error", "r2"])
    whole, reached = evaluate(config, of), []
    for at in count(1, 2):
        found = evaluate(config, replace(of, deadline=ticking(at)))
        if found.state == "complete":
            break
        assert found.state == "stopped"
        assert found.reason.startswith(f"time was up at lambda {found.trajectory.steps} of ")
        stands(found, of)
        assert found.step == np.argmax(found.trajectory.deciding.mean())
        same(found, whole, found.trajectory.steps)
        reached.append(found.trajectory.steps)
    assert reached == sorted(set(reached))
    assert len(reached) > 1
    same(found, whole, whole.trajectory.steps)
    assert (found.step, found.reason) == (whole.step, whole.reason)


@pytest.mark.parametrize("case", PATHS)
def test_ctrl_c_between_points_keeps_those_there_are(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it comes while further points are fitted, the path is a shorter one, too, and stands."""
    config, y = PATHS[case]
    of = setup(y, deadline=Deadline(interrupted=threading.Event()), scoring=None)
    whole, solver = evaluate(config, setup(y, scoring=None)), type(LinearBackend(of).solver)
    path = solver.path

    def interrupted(*given: Any) -> Iterator[Any]:
        yield next(path(*given))
        raise KeyboardInterrupt

    monkeypatch.setattr(solver, "path", interrupted)
    found = evaluate(config, of)
    assert found.state == "stopped"
    stands(found, of)
    same(found, whole, found.trajectory.steps)


@pytest.mark.slow
def test_a_trial_that_takes_too_long_is_pruned() -> None:
    """A trial is given up once it has taken as long as one may, however much time the run has, and the next one begins
    anew.
    """
    config = Linear("l1", Path(20))
    of = setup(deadline=ticking(np.inf, trial_s=3.0))
    for found in config.backend(of).stream([Candidate(0, config), Candidate(1, config)]):
        assert found.state == "pruned"
        assert found.reason == f"the 3 s of a trial were up at lambda {found.trajectory.steps} of 20"
        same(found, evaluate(config, setup()), found.trajectory.steps)
        assert found.trajectory.steps > 5
        assert not found.stands  # a rule chooses none that was given up


def test_a_trial_that_took_too_long_may_have_no_score() -> None:
    """A trial that is given up where its score is not defined yet has none, as one that is pruned at a rung."""
    undefined = make_scorer(lambda y, predicted: np.nan if len(y) in (N // FOLDS, N - N // FOLDS) else 0.0)
    found = evaluate(Linear("l1", Path(20)), setup(scoring=undefined, deadline=ticking(np.inf, trial_s=1.0)))
    assert found.state == "pruned"
    assert np.isnan(found.point.val)


# --- folds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_folds_that_are_fitted_are_kept(n_jobs: int) -> None:
    """Between two folds, or as many as are fitted at a time, an estimator stops, and has the scores of those before."""
    config, reached = Estimator(Ridge(), {"alpha": 2.0}), []
    with parallel_config("threading"):
        whole = evaluate(config, setup())
        for at in count(1, 2):
            found = evaluate(config, setup(n_jobs=n_jobs, deadline=ticking(at)))
            if found.state == "complete":
                break
            done = int(found.trajectory.deciding.fitted.sum())
            assert (found.state, found.reason) == ("stopped", f"time was up after {done} of {FOLDS} folds")
            assert not found.stands  # some folds are not all
            known = np.arange(FOLDS)[:, None] < done
            np.testing.assert_array_equal(
                found.trajectory.deciding.val, np.where(known, whole.trajectory.deciding.val, np.nan)
            )
            reached.append(done)
    assert reached == list(range(n_jobs, FOLDS, n_jobs))
    same(found, whole, 1)
    np.testing.assert_array_equal(found.predictions, whole.predictions)


def test_a_pooled_score_of_some_folds_is_none() -> None:
    """A score of all rows together is not made of some of them: what is stopped has none, and is to begin anew."""
    of = setup(deadline=ticking(1))
    of = replace(of, metrics=tuple(replace(metric, pooled=True) for metric in of.metrics))
    found = evaluate(Estimator(Ridge(), {"alpha": 2.0}), of)
    assert (found.state, found.trajectory.curves) == ("stopped", {})


# --- Ctrl-C ----------------------------------------------------------------------------------------------------


class Interrupted(Ridge):  # type: ignore[misc]
    """A ridge whose process gets the signal of Ctrl-C in one of its fits."""

    fits: Iterator[int] = count(1)

    def __init__(self, alpha: float = 1.0, at: int = 3) -> None:
        super().__init__(alpha=alpha)
        self.at = at

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if next(Interrupted.fits) == self.at:
            os.kill(os.getpid(), signal.SIGINT)
        return super().fit(X, y, sample_weight)


class Interrupting:
    """A scorer whose process gets the signal of Ctrl-C at one of its calls."""

    def __init__(self) -> None:
        self.calls = count(1)
        self.at = 0

    def __call__(self, y: Any, predicted: Any) -> float:
        if next(self.calls) == self.at:
            os.kill(os.getpid(), signal.SIGINT)
        return -float(mean_squared_error(y, predicted))

    def begin(self, at: int) -> None:
        """From now on, count calls."""
        self.calls, self.at = count(1), at


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_ctrl_c_keeps_the_folds_before(at: int, prune: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a fit ends it at once; the folds before are what they are in a trial of its own."""
    monkeypatch.setattr(Interrupted, "fits", count(1))
    whole = evaluate(Estimator(Ridge(), {"alpha": 2.0}), setup())
    options: Any = {"prune": prune, "history": FixedHistory(best_folds=whole.trajectory.deciding.val[:, 0])}
    config = Estimator(Interrupted(at=at), {"alpha": 2.0})
    found = evaluate(config, setup(deadline=Deadline.of_run(None, None), **options))
    assert (found.state, found.reason) == ("stopped", f"interrupted after {at - 1} of {FOLDS} folds")
    if at > 1:
        folds = found.trajectory.deciding.fitted
        assert folds.sum() == at - 1
        np.testing.assert_array_equal(found.trajectory.deciding.val[folds], whole.trajectory.deciding.val[folds])


@pytest.mark.parametrize(("at", "kept"), [(1, False), (60, True)])
def test_ctrl_c_keeps_the_lambdas_before(at: int, kept: bool) -> None:
    """Ctrl-C within a chunk of lambdas costs that chunk; where it was the first, nothing is known yet."""
    config, deadline, scorer = Linear("l1", Path(20)), Deadline.of_run(None, None), Interrupting()
    of = setup(scoring=make_scorer(scorer))
    whole = evaluate(config, of)
    scorer.begin(at)
    found = evaluate(config, replace(of, deadline=deadline))
    assert (found.state, deadline.reason) == ("stopped", "interrupted")
    assert bool(found.trajectory.curves) == kept
    assert found.reason == f"interrupted at lambda {found.trajectory.steps if kept else 0} of 20"
    if kept:
        same(found, whole, found.trajectory.steps)


@pytest.mark.parametrize(("deadline", "passes"), [(Deadline(), 0), (Deadline.of_run(None, None), 1)])
def test_a_second_ctrl_c_goes_on_up(deadline: Deadline, passes: int) -> None:
    """A run takes the first Ctrl-C for its deadline and lets the second one through; elsewhere none is caught."""
    for number in range(3):
        caught: AbstractContextManager[Any] = nullcontext() if number < passes else pytest.raises(KeyboardInterrupt)
        with caught, deadline.interruptible():
            os.kill(os.getpid(), signal.SIGINT)
        assert deadline.passed() == deadline.was_interrupted == bool(passes)
