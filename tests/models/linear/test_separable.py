"""Separable classes have no fit without a penalty: that is seen, and what stands for it depends on no tolerance."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.sparse import csc_matrix
from scipy.special import logsumexp
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from regsearch import Path
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear import Linear
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.design import Design, Piece
from regsearch.models.linear.logistic import FLAT, LogLoss
from regsearch.models.linear.penalties import ElasticNet, NoPenalty
from regsearch.models.linear.separable import FAULTS, SIZE, seen_apart
from regsearch.space.sampling import default


def _columns(n: int, p: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(n, p))


def _one() -> tuple[Any, Any]:
    X = _columns(80, 1)
    return X, (X[:, 0] > 0.2).astype(int)


def _several() -> tuple[Any, Any]:
    X = _columns(80, 4)
    return X, (X @ [1.0, -1.0, 0.5, 0.0] > 0.1).astype(int)


def _wide() -> tuple[Any, Any]:
    return _columns(30, 60), np.arange(30) % 2


def _three() -> tuple[Any, Any]:
    X = _columns(90, 3)
    return X, X.argmax(axis=1)


def _partly() -> tuple[Any, Any]:
    """Rows of a rare dummy are all of one class; the others overlap."""
    X = _columns(120, 3)
    X[:, 2] = np.arange(120) % 10 == 0
    y = (X[:, 0] + np.random.default_rng(1).logistic(size=120) > 0).astype(int)
    return X, np.where(X[:, 2] > 0, 1, y)


def _one_of_three() -> tuple[Any, Any]:
    """One class is apart, and the other two overlap."""
    X, y = _partly()
    y = y.copy()
    y[X[:, 1] > 0.5] = 2
    X[:, 1] += 3 * (y == 2)
    return X, y


def _overlapping() -> tuple[Any, Any]:
    X = _columns(120, 3)
    return X, (X[:, 0] + np.random.default_rng(1).logistic(size=120) > 0).astype(int)


def _steep() -> tuple[Any, Any]:
    """Overlapping, with most rows next to certain."""
    X = _columns(400, 3)
    return X, (20 * X[:, 0] + np.random.default_rng(1).logistic(size=400) > 0).astype(int)


def _collinear() -> tuple[Any, Any]:
    """Overlapping, with columns that repeat: many fits, all of them finite."""
    X, y = _overlapping()
    return np.hstack([X, X]), y


SEPARABLE = [_one, _several, _wide, _three, _partly, _one_of_three]
OTHERS = [_overlapping, _steep, _collinear]
CASES = [*SEPARABLE, *OTHERS]


def fit(X: Array, y: Array, tol: float = 1e-6) -> tuple[LogLoss, Piece]:
    """The fit of all rows without a penalty."""
    n = len(X)
    made = np.eye(y.max() + 1)[y] if y.max() > 1 else y[:, None].astype(float)
    solver = LogLoss(Design(np.asfortranarray(X), (np.arange(n),), (np.arange(0),), np.ones(n)), made, tol)
    (piece,) = solver.path(NoPenalty().terms(lambda: np.zeros(1)), "standard", np.zeros(1))
    return solver, piece


def led_by_none(X: Array, y: Array) -> bool:
    """Whether a linear program finds a decision that is at fault in no row, and not the same of all classes."""
    Z, classes = np.column_stack([X, np.ones(len(X))]), int(y.max()) + 1
    one_hot = np.eye(classes)[:, 1:]
    pairs = [(i, c) for i in range(len(y)) for c in range(classes) if c != y[i]]
    leads = np.array([np.kron(one_hot[y[i]] - one_hot[c], Z[i]) for i, c in pairs])
    found = linprog(-leads.sum(axis=0), A_ub=-leads, b_ub=np.zeros(len(leads)), bounds=(-1, 1))
    return bool(-found.fun > 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_separable_classes_are_seen(case: Callable[[], tuple[Any, Any]]) -> None:
    """A fit without a penalty is said to be none exactly where a linear program separates the classes."""
    X, y = case()
    _, piece = fit(X, y)
    assert (piece.separable is not None) == led_by_none(X, y) == (case in SEPARABLE)


def test_certain_decisions_are_looked_at_in_silence() -> None:
    """Decisions beyond what the exponential function can say are looked at without a warning."""
    X, y = _several()
    solver, _ = fit(X, y)
    certain = 1e3 * (2 * y - 1.0)
    certain[0] *= -1
    assert not seen_apart(solver.design, 0, solver.samples[0], certain)  # no curvature is left to take a step by


@pytest.mark.parametrize("case", CASES)
def test_no_tolerance_moves_it(case: Callable[[], tuple[Any, Any]]) -> None:
    """What stands for the fit of separable classes is the same whatever the solver's tolerance, and another's too."""
    X, y = case()
    (_, loose), (_, tight) = fit(X, y, 1e-3), fit(X, y, 1e-9)
    rtol = 1e-5 if case in SEPARABLE else 0.1
    np.testing.assert_allclose(loose.coef, tight.coef, rtol=rtol, atol=rtol * np.abs(tight.coef).max())


@pytest.mark.parametrize("case", [_one, _several, _partly, _three])
def test_it_is_ridge_next_to_none(case: Callable[[], tuple[Any, Any]]) -> None:
    """It has the least objective under a ridge of a stated share of the largest curvature: no more than others find."""
    X, y = case()
    solver, piece = fit(X, y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    strength = FLAT * solver._ridge(0, "standard").largest_curvature()
    model = LogisticRegression(C=1 / (len(X) * strength), tol=1e-9, max_iter=1000, solver="newton-cholesky")
    model.fit(scaled, y)

    def value(logits: Array, w: Array) -> float:
        logits = logits if logits.ndim > 1 else np.column_stack([np.zeros(len(logits)), logits])
        return float((logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]).mean() + strength / 2 * (w**2).sum())

    coef = piece.coef[0, 0]
    theirs = value(model.decision_function(scaled), model.coef_)
    own = value((X @ coef + piece.intercept[0, 0]).squeeze(), coef * X.std(axis=0)[:, None])
    assert own == pytest.approx(theirs, rel=1e-3)
    assert own <= theirs * (1 + 1e-9)


def outcome(case: Callable[[], tuple[Any, Any]], scoring: Any, config: Linear) -> Outcome:
    problem = make_problem(*case())
    backend = LinearBackend(Setup(problem, make_folds(3, problem, 0), resolve(scoring, problem)))
    return backend.evaluate(Candidate(0, config))


@pytest.mark.parametrize(
    ("case", "scoring", "diverges"),
    [
        (_several, "neg_log_loss", True),
        (_partly, "neg_brier_score", True),
        (_three, "neg_log_loss", True),
        (_several, "accuracy", False),
        (_several, "roc_auc", False),
        (_overlapping, "neg_log_loss", False),
    ],
)
def test_a_score_without_a_limit_is_told(case: Callable[[], tuple[Any, Any]], scoring: str, diverges: bool) -> None:
    """The log-loss of separable classes has no limit, their accuracy and ranks have; of others everything has."""
    assert outcome(case, scoring, Linear("none", 0.0)).diverges == diverges


@pytest.mark.parametrize(
    ("kinds", "penalty", "free", "scoring", "diverges"),
    [
        ((0, 1), "l1", "petal length (cm)", "neg_log_loss", True),
        ((0, 1), "l2", "petal width (cm)", "neg_log_loss", True),
        ((0, 1), "l1", "sepal width (cm)", "neg_log_loss", False),
        ((0, 1), "l1", "petal length (cm)", "accuracy", False),
        ((1, 2), "l2", "petal length (cm)", "neg_log_loss", False),
        ((0, 1, 2), "l2", "petal length (cm)", "neg_log_loss", True),
        ((0, 1), "l2", None, "neg_log_loss", False),
    ],
)
def test_columns_left_alone_that_separate_classes_have_no_fit_at_any_lambda(
    kinds: tuple[int, ...], penalty: str, free: str | None, scoring: str, diverges: bool
) -> None:
    """The penalty holds no coefficient by which the log-loss falls for ever; what overlaps, or is held, has a fit."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    rows = y.isin(kinds)
    config = Linear(penalty, Path(4), unpenalized=None if free is None else [free])
    assert outcome(lambda: (X[rows], y[rows]), scoring, config).diverges == diverges


def test_no_path_ends_where_there_is_no_fit() -> None:
    """The path of separable classes does not end at lambda 0, that of others may."""
    found = outcome(_several, "neg_log_loss", Linear("l2"))
    assert found.trajectory.axis.min() > 0
    assert not found.diverges


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_that_classes_are_separable_is_seen_from_a_fit_that_is_not_there_yet(scale: str) -> None:
    """By Newton steps from a point of a path with few rows at fault; of classes that are not, it is never said."""
    X = _columns(120, 12)
    for wrong, apart in ((0, True), (4, False)):
        y = (X.sum(axis=1) > 0).astype(float)[:, None]
        y[np.argsort(-X.sum(axis=1))[:wrong]] = 0.0
        design = Design(np.asfortranarray(X), (np.arange(120),), (np.arange(0),), np.ones(120))
        solver = LogLoss(design, y)
        terms = default(ElasticNet(0.5)).terms(lambda: np.ones((1, 12, 1)))
        top = terms.lambda_max(solver.gradient(scale))
        (*_, piece) = solver.path(terms, scale, top * np.geomspace(1, 0.02, 10))
        assert solver.tells_apart(piece.point(piece.coef.shape[1] - 1)) == apart


@pytest.mark.parametrize("kind", [np.asarray, csc_matrix])
@pytest.mark.parametrize(("case", "apart"), [(_three, True), (_one_of_three, False)])
def test_several_classes_are_told_apart_by_a_point_that_is_at_fault_nowhere(
    case: Callable[[], tuple[Any, Any]], apart: bool, kind: Callable[[Array], Any]
) -> None:
    """A path whose end puts every row's class first needs no other fit to say that there is none without a penalty."""
    X, y = case()
    design = Design(kind(np.asfortranarray(X)), (np.arange(len(y)),), (np.arange(0),), np.ones(len(y)))
    solver = LogLoss(design, np.eye(3)[y])
    terms = default(ElasticNet(0.5)).terms(lambda: np.ones((1, X.shape[1], 3)))
    top = terms.lambda_max(solver.gradient("standard"))
    (*_, piece) = solver.path(terms, "standard", top * np.geomspace(1, 1e-3, 20))
    right = (X @ piece.coef[0, -1] + piece.intercept[0, -1]).argmax(axis=1) == y
    assert solver.tells_apart(piece.point(piece.steps - 1)) == right.all() == apart


def test_limited_coefficients_have_a_fit_where_classes_are_separable() -> None:
    """With a limit on what separates the classes the path goes to the fit without a penalty, as any does."""
    rng = np.random.default_rng(5)
    X = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    decided = (X.a + 0.15 * X.b).to_numpy()
    far = np.abs(decided) > 0.05
    problem = make_problem(X[far].reset_index(drop=True), (decided[far] > 0).astype(int))
    made = LinearBackend(Setup(problem, make_folds(5, problem, 0), resolve("neg_log_loss", problem)))
    limits = {"a": (None, 8.0)}
    plain = made.evaluate(Candidate(0, Linear("none", 0.0, "none", limits=limits)))
    found = made.evaluate(Candidate(1, Linear("l2", Path(10), "none", limits=limits)))
    assert not found.trajectory.axis[-1]
    assert found.point.val >= plain.point.val - 1e-9 * abs(plain.point.val)


def test_a_fit_that_is_at_fault_nowhere_is_proof_whatever_its_columns() -> None:
    """More columns than rows are told to be separable without a matrix of all their products."""
    X, y = _columns(40, SIZE + 1), np.arange(40) % 2
    design = Design(np.asfortranarray(X), (np.arange(40),), (np.arange(0),), np.ones(40))
    solver, signs = LogLoss(design, y[:, None].astype(float)), 2.0 * y - 1
    assert seen_apart(design, 0, solver.samples[0], signs)
    assert not seen_apart(design, 0, solver.samples[0], np.where(np.arange(40) == 0, -signs, signs))


def test_looking_for_a_separation_copies_no_columns() -> None:
    """What is held is what a Newton step needs: products of all pairs of columns, and a few rows."""
    X = _columns(6000, 100)
    signal = X @ np.random.default_rng(1).normal(size=100)
    design = Design(np.asfortranarray(X), (np.arange(6000),), (np.arange(0),), np.ones(6000))
    solver = LogLoss(design, (signal > 0)[:, None].astype(float))
    eta = signal + 0.05 * _columns(6000, 1, 2)[:, 0]
    assert 0 < np.mean((eta > 0) != (signal > 0)) < FAULTS
    seen_apart(design, 0, solver.samples[0], eta)  # measures the columns, too
    tracemalloc.start()
    seen_apart(design, 0, solver.samples[0], eta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * X.nbytes
