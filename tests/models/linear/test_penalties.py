"""The conformance suite of penalties: every registered one is picked up by itself."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import regsearch
from regsearch import Choice, Float, InvalidInput, Linear
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import Penalty
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.penalties import L1, AdaptiveElasticNet, AdaptiveLasso, ElasticNet
from regsearch.models.linear.penalty import Terms, adaptive_weights
from regsearch.space.config import from_toml, to_toml
from regsearch.space.domains import Between
from regsearch.space.params import flat
from regsearch.space.sampling import default
from regsearch.space.tree import Node, Path, public

TASKS = ["regression", "binary", "multiclass"]
SHIPPED = sorted(
    (cls for cls in Node.registry.values() if issubclass(cls, Penalty) and cls.__module__.startswith("regsearch.")),
    key=lambda cls: cls.kind,
)
WITH_PATH = [cls for cls in SHIPPED if cls.path]


def tunables(cls: type[Penalty]) -> dict[str, Between]:
    return {field.name: field.metadata["domain"] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


def filled(cls: type[Penalty]) -> st.SearchStrategy[Penalty]:
    """Configs of a penalty over the whole of its domain."""
    fields = {name: st.floats(domain.low, min(domain.high, 4)) for name, domain in tunables(cls).items()}
    return st.builds(cls, **fields)


initials = st.builds(
    lambda seed, p, m: np.random.default_rng(seed).normal(size=(3, p, m)) + 0.01,
    st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3),
)  # fmt: skip


@cache
def setup(task: str = "regression", n: int = 45, p: int = 6) -> Setup:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p)) * rng.uniform(0.5, 2, p) + rng.normal(size=(n, 1)) / 2
    signal = X @ np.where(np.arange(p) % 2, 0.0, 1.0) + rng.normal(size=n)
    cuts = {"regression": None, "binary": [0.5], "multiclass": [0.33, 0.66]}[task]
    y = signal if cuts is None else np.searchsorted(np.quantile(signal, cuts), signal)
    problem = make_problem(X, y)
    return Setup(problem, make_folds(3, problem, 0), resolve(DEFAULTS[problem.task], problem))


def backend(task: str, tol: float = 1e-11) -> LinearBackend:
    made = LinearBackend(setup(task))
    made.solver.tol = tol  # type: ignore[attr-defined]
    return made


def terms_of(penalty: Penalty, made: LinearBackend, scale: str = "standard") -> Terms:
    return penalty.terms(lambda: made.solver.initial(scale))


# --- what every penalty is -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", SHIPPED)
def test_is_exported(cls: type[Penalty]) -> None:
    """A penalty is public in both places, a frozen dataclass, and every field of it declares its domain."""
    for module in (regsearch, regsearch.models.linear):
        assert cls.__name__ in module.__all__
        assert getattr(module, cls.__name__) is cls
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert all(isinstance(domain, Between) for domain in tunables(cls).values())
    assert cls.__doc__
    assert regsearch.Linear(penalty=cls.kind).penalty == cls()


def test_registry_is_the_export() -> None:
    """Nothing is exported as a penalty that the suite does not see."""
    exported = {getattr(regsearch.models.linear, name) for name in regsearch.models.linear.__all__}
    assert {cls for cls in exported if issubclass(cls, Penalty)} == {Penalty, *SHIPPED}


@pytest.mark.parametrize("cls", SHIPPED)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_row_and_file(cls: type[Penalty], data: st.DataObject) -> None:
    """A filled penalty survives TOML, and its row shows its kind, its L1 ratio and every field."""
    penalty = data.draw(filled(cls))
    config = Linear(penalty, 0.5, "none")
    assert from_toml(to_toml(config)) == config
    assert default(penalty) == penalty
    row = flat(config)
    assert row["penalty"] == cls.kind
    assert 0 <= row["l1_ratio"] <= 1
    assert penalty.fields().items() <= row.items()


@pytest.mark.parametrize("cls", SHIPPED)
def test_default_fills(cls: type[Penalty]) -> None:
    """A penalty without arguments is a space whose default is inside its domain."""
    penalty = default(cls())
    for name, domain in tunables(cls).items():
        assert domain.low <= getattr(penalty, name) <= domain.high


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls in SHIPPED for name in tunables(cls)])
def test_domain_is_kept(cls: type[Penalty], name: str) -> None:
    """Values and ranges outside a field's domain are refused with the field's name."""
    domain = tunables(cls)[name]
    outside = [domain.low - 1, domain.high + 1, Float(domain.low - 1, domain.high), Float(domain.low, domain.high + 1)]
    for value in (*outside, Choice(domain.low, domain.high + 1), "some", None, float("nan"), Path()):
        with pytest.raises(InvalidInput, match=f"{cls.__name__}\\({public(name)}="):
            cls(**{name: value})
    assert getattr(cls(**{name: Float(domain.low, domain.high)}), name) == Float(domain.low, domain.high)


# --- terms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", SHIPPED)
@given(data=st.data(), initial=initials, lambda_=st.floats(1e-9, 10))
@settings(deadline=None, max_examples=25)
def test_value(cls: type[Penalty], data: st.DataObject, initial: Array, lambda_: float) -> None:
    """A penalty is zero at zero, never negative, even, convex along any segment, and linear in lambda."""
    terms = data.draw(filled(cls)).terms(lambda: initial)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    w, u = rng.normal(size=(2, *initial.shape))
    assert np.all(terms.value(np.zeros_like(w), lambda_) == 0)
    value = terms.value(w, lambda_)
    assert value.shape == (3,)
    assert np.all(value >= 0)
    np.testing.assert_allclose(terms.value(-w, lambda_), value)
    np.testing.assert_allclose(terms.value(w, 2 * lambda_), 2 * value)
    middle = terms.value((w + u) / 2, lambda_)
    assert np.all(middle <= (value + terms.value(u, lambda_)) / 2 * (1 + 1e-9) + 1e-9)


@pytest.mark.parametrize("cls", SHIPPED)
@given(data=st.data(), initial=initials, step=st.floats(0, 10))
@settings(deadline=None, max_examples=25)
def test_prox(cls: type[Penalty], data: st.DataObject, initial: Array, step: float) -> None:
    """The prox minimises ``|u - w|^2 / 2 + value(u, step)``: no nearby, zero or random point is better."""
    terms = data.draw(filled(cls)).terms(lambda: initial)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    w = 3 * rng.normal(size=initial.shape)

    def objective(u: Array) -> Array:
        return ((u - w) ** 2).sum(axis=(-2, -1)) / 2 + terms.value(u, step)

    best = terms.prox(w, step)
    assert best.shape == w.shape
    least = objective(best)
    others = [np.zeros_like(w), w, best * 0.99, best * 1.01]
    others += [best + size * rng.normal(size=w.shape) for size in (1e-4, 1e-2, 1.0) for _ in range(5)]
    for other in others:
        assert np.all(least <= objective(other) + 1e-9 * (1 + np.abs(least)))
    assert np.all(np.abs(best) <= np.abs(w))


@given(initial=initials, gamma=st.floats(0, 10), zero=st.booleans())
def test_adaptive_weights(initial: Array, gamma: float, zero: bool) -> None:
    """Weights are one on average size, fall with it, do not depend on its unit, and shut out what is zero."""
    if zero:
        initial[:, 0] = 0.0
    weights = adaptive_weights(initial, gamma)
    size = np.abs(initial)
    assert weights.shape == initial.shape
    assert np.all(weights > 0) or np.all(size[weights == 0] > size.mean())
    np.testing.assert_allclose(adaptive_weights(7 * initial, gamma), weights, rtol=1e-6)
    if gamma == 0:
        assert np.all(weights == 1)
    elif zero:
        assert np.all(np.isinf(weights[:, 0]))
    for k in range(3):
        order = np.argsort(size[k].ravel())
        falling = weights[k].ravel()[order]
        assert np.all(falling[1:] <= falling[:-1])


def test_excluded_columns_cost_nothing() -> None:
    """An infinite weight keeps a coefficient at zero, which costs nothing; anything else is infinitely dear."""
    terms = Terms(np.array([[[1.0], [np.inf]]]), 0.0)
    assert terms.value(np.array([[[2.0], [0.0]]]), 0.5) == 1.0
    assert terms.value(np.array([[[2.0], [1e-9]]]), 0.5) == np.inf
    np.testing.assert_array_equal(terms.prox(np.array([[[2.0], [5.0]]]), 0.5), [[[1.5], [0.0]]])
    assert terms.lambda_max(np.array([[[0.3], [9.0]]])) == 0.3


def test_special_cases_agree() -> None:
    """A penalty that contains another is the other at that value."""
    initial = np.random.default_rng(0).normal(size=(2, 4, 1))
    w = np.random.default_rng(1).normal(size=(2, 4, 1))
    same = [
        (AdaptiveLasso(0.0), L1()),
        (ElasticNet(1.0), L1()),
        (ElasticNet(0.0), regsearch.L2()),
        (AdaptiveElasticNet(0.3, 0.0), ElasticNet(0.3)),
        (AdaptiveElasticNet(1.0, 1.5), AdaptiveLasso(1.5)),
    ]
    for one, other in same:
        a, b = one.terms(lambda: initial), other.terms(lambda: initial)
        np.testing.assert_allclose(a.value(w, 0.7), b.value(w, 0.7))
        np.testing.assert_allclose(a.prox(w, 0.7), b.prox(w, 0.7))


# --- fits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cls", WITH_PATH)
def test_lambda_max(cls: type[Penalty], task: str) -> None:
    """The top of a path zeroes every coefficient of every fold, just below it one is in use; without L1 none is 0."""
    made = backend(task)
    terms = terms_of(default(cls()), made)
    top = terms.lambda_max(made.solver.gradient("standard"))
    if not np.any(terms.l1):
        (piece,) = made.solver.path(terms, "standard", np.array([top]))
        assert np.all(piece.coef != 0)
        return
    pieces = list(made.solver.path(terms, "standard", np.array([1.000001, 0.99]) * top))
    coef = np.concatenate([piece.coef for piece in pieces], axis=1)
    assert np.all(coef[:, 0] == 0)
    assert np.any(coef[:, 1] != 0)


def reference(x: Array, y: Array, terms: Terms, lambda_: float, task: str) -> Array:
    """``[n, m]`` decisions of slow proximal gradient descent on one fold: only `Terms.value` and `prox`, by the book.

    FISTA with restarts (O'Donoghue & Candes 2015).
    """
    n, p = x.shape
    m = y.shape[1]
    center = x.mean(axis=0)
    x = x - center
    curvature = {"regression": 1.0, "binary": 0.25, "multiclass": 0.5}[task]
    step = 1 / (curvature * max(np.linalg.eigvalsh(x.T @ x / n).max(), 1.0))

    def mean(eta: Array) -> Array:
        if task == "regression":
            return eta
        if task == "binary":
            return 1 / (1 + np.exp(-eta))
        e = np.exp(eta - eta.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    w, b = np.zeros((p, m)), np.zeros(m)
    last_w, last_b, t = w, b, 1.0
    for _ in range(30_000):
        residual = (mean(x @ w + b) - y) / n
        new_w = terms.prox(w - step * x.T @ residual, step * lambda_)
        new_b = b - step * residual.sum(axis=0)
        moved = max(np.abs(new_w - last_w).max(), np.abs(new_b - last_b).max())
        if np.sum((w - new_w) * (new_w - last_w)) + np.sum((b - new_b) * (new_b - last_b)) > 0:
            t = 1.0
        faster = (1 + np.sqrt(1 + 4 * t * t)) / 2
        w, b = new_w + (t - 1) / faster * (new_w - last_w), new_b + (t - 1) / faster * (new_b - last_b)
        last_w, last_b, t = new_w, new_b, faster
        if moved < 1e-11:
            break
    return np.asarray(x @ last_w + last_b)


@pytest.mark.parametrize(
    ("cls", "task"),
    [(cls, task) for cls in SHIPPED for task in TASKS if cls.path or task == "regression"],  # classes may separate
)
def test_fits_agree_with_proximal_gradient(cls: type[Penalty], task: str) -> None:
    """On small problems the solver's decisions are those of proximal gradient descent on the same terms."""
    made = backend(task)
    terms = terms_of(default(cls()), made)
    top = terms.lambda_max(made.solver.gradient("standard")) if np.any(terms.l1) else 1.0
    lambdas = np.array([0.9, 0.2, 0.03]) * top if cls.path else np.zeros(1)
    pieces = list(made.solver.path(terms, "standard", lambdas))
    coef = np.concatenate([piece.coef for piece in pieces], axis=1)
    intercept = np.concatenate([piece.intercept for piece in pieces], axis=1)
    p = made.setup.problem
    y = np.eye(3)[p.y] if task == "multiclass" else p.y[:, None]
    k = 1
    rows = made.setup.folds.train[k]
    x = p.X[rows] / made.design.scales("standard")[k]
    fold = Terms(np.broadcast_to(terms.l1, (3, *coef.shape[2:]))[k], terms.l2)
    for step, lambda_ in enumerate(lambdas):
        ours = p.X[rows] @ coef[k, step] + intercept[k, step]
        theirs = reference(x, y[rows], fold, float(lambda_), task)
        if task == "multiclass":
            theirs = theirs - theirs.mean(axis=1, keepdims=True)
            ours = ours - ours.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cls", WITH_PATH)
def test_one_lambda_agrees_with_the_path(cls: type[Penalty], task: str) -> None:
    """A trial at one lambda has the scores and predictions that the path's trial has there."""
    made = backend(task, 1e-9)
    penalty = default(cls())
    whole = made.evaluate(Candidate(0, Linear(penalty, Path(20, 0.02))))
    assert whole.state == "complete"
    assert whole.value is not None
    one = made.evaluate(Candidate(1, Linear(penalty, whole.value)))
    assert one.step == 0
    assert one.trajectory.axis.tolist() == [whole.value]
    (name,) = whole.trajectory.curves
    np.testing.assert_allclose(
        one.trajectory.curves[name].val[:, 0], whole.trajectory.curves[name].val[:, whole.step], rtol=1e-4
    )
    np.testing.assert_allclose(
        one.trajectory.curves[name].train[:, 0], whole.trajectory.curves[name].train[:, whole.step], rtol=1e-4
    )
    np.testing.assert_allclose(one.predictions, whole.predictions, atol=2e-3)
    assert whole.chosen_config == Linear(penalty, whole.value)


@pytest.mark.parametrize("cls", WITH_PATH)
def test_path_descends(cls: type[Penalty]) -> None:
    """Down a path the training loss falls, and without penalty there is no path."""
    outcome = backend("regression").evaluate(Candidate(0, Linear(default(cls()), Path(20))))
    assert np.all(np.diff(outcome.trajectory.axis) < 0)
    (curves,) = outcome.trajectory.curves.values()
    assert np.all(np.diff(curves.train, axis=1) >= -1e-7)
    assert outcome.trajectory.complexity.shape == curves.train.shape


def test_no_penalty_has_no_lambda() -> None:
    """The reference has one step, at lambda zero, whatever lambda its config names."""
    made = backend("regression")
    for lambda_ in (Path(50), 3.0, 0.0):
        outcome = made.evaluate(Candidate(0, Linear("none", lambda_)))
        assert outcome.trajectory.axis.tolist() == [0.0]
    assert Linear(penalty=Choice("l1", "l2")).reference() == Linear("none", 0.0)
    fit: Any = made.evaluate(Candidate(0, Linear().reference()))
    assert fit.chosen_config == Linear("none", 0.0)


def test_a_penalty_needs_its_terms() -> None:
    """A penalty that does not say its terms cannot be made, so that no fit finds out."""
    from regsearch.models.linear import Penalty

    class Unfinished(Penalty, abstract=True):
        pass

    with pytest.raises(TypeError, match="terms"):
        Unfinished()  # type: ignore[abstract]
