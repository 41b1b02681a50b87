"""The conformance suite of penalties on every registered one, found by itself, and what the suite is not for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import regsearch
from regsearch import Choice, Linear
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import Penalty
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.penalties import L1, L2, AdaptiveElasticNet, AdaptiveLasso, ElasticNet
from regsearch.models.linear.penalty import Terms, adaptive_weights
from regsearch.space.domains import Between, Whole
from regsearch.space.path import Path
from regsearch.space.registry import registered
from regsearch.space.sampling import default
from regsearch.space.tree import Int, Node, tunable
from regsearch.testing import check_penalty
from regsearch.testing.penalties import SUITE
from regsearch.testing.suite import Check

SHIPPED = sorted(
    (cls for cls in registered().values() if issubclass(cls, Penalty) and cls.__module__.startswith("regsearch.")),
    key=lambda cls: cls.kind,
)

initials = st.builds(
    lambda seed, p, m: np.random.default_rng(seed).normal(size=(3, p, m)) + 0.01,
    st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3),
)  # fmt: skip


# --- every penalty ---------------------------------------------------------------------------------------------


FITTING = ("path_starts_at_zero", "fits_are_stationary", "one_lambda_agrees_with_the_path", "weights_count_rows")


def _cases() -> Iterator[Any]:
    """Every penalty with every check; fits that know a prox alone take their time."""
    for cls in SHIPPED:
        general = not default(cls()).terms(lambda: np.ones((3, 2, 1))).elastic
        for check in SUITE.checks:
            slow = [pytest.mark.slow] if general and (check.name in FITTING or "gradient" in check.name) else []
            yield pytest.param(cls, check, id=f"{cls.__name__}-{check.name}", marks=slow)


@pytest.mark.parametrize(("cls", "check"), [*_cases()])
def test_conforms(cls: type[Penalty], check: Check) -> None:
    """Every penalty has every property of the suite."""
    check(cls)


@pytest.mark.parametrize("cls", SHIPPED)
def test_is_exported(cls: type[Penalty]) -> None:
    """A penalty is public in both places."""
    for module in (regsearch, regsearch.models.linear):
        assert cls.__name__ in module.__all__
        assert getattr(module, cls.__name__) is cls


def test_registry_is_the_export() -> None:
    """Nothing is exported as a penalty that the suite does not see."""
    exported = {getattr(regsearch.models.linear, name) for name in regsearch.models.linear.__all__}
    assert {cls for cls in exported if issubclass(cls, Penalty)} == {Penalty, *SHIPPED}


# --- what the suite finds --------------------------------------------------------------------------------------


@pytest.fixture
def unregistered() -> Iterator[None]:
    """Classes that a test makes are forgotten after it."""
    known = dict(Node.registry)
    yield
    Node.registry.clear()
    Node.registry.update(known)


def _lasso(name: str, **members: Any) -> type[Penalty]:
    """A lasso with some members changed, as a class of its own."""
    own = {"__doc__": "A lasso.", "l1_ratio": 1.0, "terms": lambda self, initial: Terms(np.ones(1), 0.0)}
    return dataclass(frozen=True)(type(name, (Penalty,), own | members))


def _undeclared() -> type[Penalty]:
    return _lasso("Undeclared", __annotations__={"weight": "float"}, weight=1.0)


def _undocumented() -> type[Penalty]:
    return _lasso("Undocumented", __doc__=None)


def _outside() -> type[Penalty]:
    made = _lasso("Outside", __annotations__={"weight": "Any"}, weight=tunable(Between(0, 1), 0.5))
    made.__init__ = lambda self, weight=3.0: object.__setattr__(self, "weight", weight)  # type: ignore[misc,method-assign]
    return made


def _unrounded() -> type[Penalty]:
    return _lasso("TooMuch", l1_ratio=2.0)


def _unchecked() -> type[Penalty]:
    field = {"__annotations__": {"weight": "Any"}, "weight": tunable(Between(0, 1), 0.5)}
    return _lasso("Unchecked", **field, __post_init__=lambda self: None)


def _concave() -> type[Penalty]:
    return _lasso("Concave", terms=lambda self, initial: Terms(np.ones(1), -0.5))


def _misshapen() -> type[Penalty]:
    return _lasso("Misshapen", terms=lambda self, initial: Terms(np.ones((7, 1, 1)), 0.0))


def _weighted() -> type[Penalty]:
    return _lasso("Weighted", terms=lambda self, initial: Terms(1.0 + np.arange(initial().shape[1])[:, None], 0.0))


def _unpenalised() -> type[Penalty]:
    def terms(self: Penalty, initial: Any) -> Terms:
        return Terms(np.sign(np.arange(initial().shape[1], dtype=float))[:, None], 0.0)

    return _lasso("Unpenalised", terms=terms, plain=False)


def _raising() -> type[Penalty]:
    return _lasso("Raising", terms=lambda self, initial: Terms(initial().shape[3], 0.0))


def _inconsistent() -> type[Penalty]:
    random = np.random.default_rng(0)
    drawn = {"plain": False, "terms": lambda self, initial: Terms(random.uniform(0.5, 2.0, (1, 1, 1)), 0.0)}
    return _lasso("Inconsistent", **drawn)


def _unshared() -> type[Penalty]:
    return _lasso("Unshared", l1_ratio=0.0, plain=False)


def _nothing() -> type[Penalty]:
    return _lasso("Nothing", terms=lambda self, initial: None)


@pytest.mark.usefixtures("unregistered")
@pytest.mark.parametrize(
    ("make", "check"),
    [
        (_undeclared, "is_declared"),
        (_undocumented, "is_declared"),
        (_outside, "default_is_admitted"),
        (_unrounded, "row_and_file_keep_it"),
        (_unchecked, "domain_is_kept"),
        (_concave, "value_is_convex"),
        (_misshapen, "value_is_convex"),
        (_nothing, "value_is_convex"),
        (_unshared, "l2_share_is_how_it_grows"),
        (_raising, "value_is_convex"),
        (_weighted, "plain_is_an_elastic_net"),
        (_unpenalised, "path_starts_at_zero"),
        (_inconsistent, "one_lambda_agrees_with_the_path"),
    ],
)
def test_a_mistake_is_named(make: Any, check: str) -> None:
    """A penalty that lacks a property fails with its own name, the property's, and what to look at."""
    cls = make()
    with pytest.raises(AssertionError, match=rf"^{cls.__name__} fails '{check}': .+\n\n(.|\n)+To mend it: ") as failed:
        check_penalty(cls)
    (one,) = (found for found in SUITE.checks if found.name == check)
    assert one.statement in str(failed.value)
    assert str(failed.value).endswith(one.fix)
    assert (f"Raised in {__file__}, line " in str(failed.value)) == (make is _raising)


@pytest.mark.slow
@pytest.mark.usefixtures("unregistered")
def test_a_penalty_of_a_script_is_checked() -> None:
    """The suite takes a penalty whose columns weigh differently, some of them little, and whose field is a count."""

    @dataclass(frozen=True)
    class FirstCheap(Penalty):
        """Lasso of columns of which the first cost little."""

        plain: ClassVar[bool] = False
        l1_ratio: ClassVar[float] = 1.0
        cheap: Any = tunable(Whole(0), Int(0, 2))

        def terms(self, initial: Any) -> Terms:
            weights = np.ones((1, initial().shape[1], 1))
            weights[:, : int(self.cheap)] = 0.1
            return Terms(weights, 0.0)

    check_penalty(FirstCheap)


# --- terms -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
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
        (ElasticNet(0.0), L2()),
        (AdaptiveElasticNet(0.3, 0.0), ElasticNet(0.3)),
        (AdaptiveElasticNet(1.0, 1.5), AdaptiveLasso(1.5)),
    ]
    for one, other in same:
        a, b = one.terms(lambda: initial), other.terms(lambda: initial)
        np.testing.assert_allclose(a.value(w, 0.7), b.value(w, 0.7))
        np.testing.assert_allclose(a.prox(w, 0.7), b.prox(w, 0.7))


# --- fits ------------------------------------------------------------------------------------------------------


def test_no_penalty_has_no_lambda() -> None:
    """The reference has one step, at lambda zero, whatever lambda its config names."""
    X = np.random.default_rng(0).normal(size=(45, 6))
    problem = make_problem(X, X[:, 0] + np.random.default_rng(1).normal(size=45))
    made = LinearBackend(Setup(problem, make_folds(3, problem, 0), resolve(DEFAULTS["regression"], problem)))
    for lambda_ in (Path(50), 3.0, 0.0):
        outcome = made.evaluate(Candidate(0, Linear("none", lambda_)))
        assert outcome.trajectory.axis.tolist() == [0.0]
    assert Linear(penalty=Choice("l1", "l2")).reference() == Linear("none", 0.0)
    fit: Any = made.evaluate(Candidate(0, Linear().reference()))
    assert fit.chosen_config == Linear("none", 0.0)


def test_a_penalty_needs_its_terms() -> None:
    """A penalty that does not say its terms cannot be made, so that no fit finds out."""

    class Unfinished(Penalty, abstract=True):
        pass

    with pytest.raises(TypeError, match="terms"):
        Unfinished()  # type: ignore[abstract]
