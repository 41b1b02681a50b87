"""Penalties of other forms than ``l1 |w| + l2/2 w^2``, against formulas where columns do not correlate, and duals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

from regsearch import (
    L0,
    L1,
    MCP,
    SCAD,
    SLOPE,
    BestSubset,
    Choice,
    ElasticNet,
    FusedLasso,
    GroupLasso,
    InvalidInput,
    Linear,
    Penalty,
    RelaxedElasticNet,
    RelaxedLasso,
    SparseGroupLasso,
    Study,
)  # fmt: skip
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Setup
from regsearch.models.linear.fusing import fuse
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns, Quadratic
from regsearch.models.linear.solvers import Solvers
from regsearch.space.config import from_toml, to_toml
from regsearch.space.tree import Node
from regsearch.testing import check_penalty
from regsearch.testing.penalties import SUITE

N = 60


def orthonormal(p: int = 6) -> tuple[Problem, Array]:
    """Columns of variance one that do not correlate, and each one's slope ``[p]`` without a penalty."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, p))
    x = np.sqrt(N) * np.linalg.qr(x - x.mean(axis=0))[0]
    y = x @ np.array([2.0, -1.0, 0.6, 0.3, -0.1, 0.0])[:p] + rng.normal(size=N) / 5
    return make_problem(x, y), x.T @ (y - y.mean()) / N


def fitted(penalty: Penalty, lambda_: float, of: Problem, scale: str = "none", **more: Any) -> Array:
    """Coefficients ``[p, m]`` of all rows."""
    config = Linear(penalty, lambda_, scale, **more)
    solvers = Solvers.of_all_rows(of)
    solvers.of(None).tol = 1e-12
    *_, last = solvers.of(None).path(solvers.terms(config), scale, np.array([lambda_]))
    assert last.gap.max() <= 1e-12
    return last.coef[0, -1]


def soft(z: Array, threshold: float) -> Array:
    return np.asarray(np.sign(z) * np.maximum(np.abs(z) - threshold, 0.0))


# --- groups ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [0.0, 0.4])
def test_groups_shrink_together(mix: float) -> None:
    """Where columns do not correlate a group is its slopes, softened, times a share (Yuan & Lin 2006, equation 2.4)."""
    of, z = orthonormal()
    groups = {"first": ["x0", "x3"], "second": ["x2", "x4", "x5"]}
    penalty = SparseGroupLasso(mix, groups) if mix else GroupLasso(groups)
    expected = np.zeros(6)
    for some in ([0, 3], [2, 4, 5], [1]):
        inner = soft(z[some], mix * 0.35)
        norm = np.linalg.norm(inner)
        expected[some] = max(1 - (1 - mix) * 0.35 * np.sqrt(len(some)) / norm, 0.0) * inner if norm else 0.0
    np.testing.assert_allclose(fitted(penalty, 0.35, of)[:, 0], expected, atol=1e-6)
    assert 2 <= np.count_nonzero(expected) <= 4


def test_groups_contain_the_lasso() -> None:
    """Groups of one column each, or a mix of 1, are the lasso, of columns that correlate."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 5)) + rng.normal(size=(N, 1))
    of = make_problem(x, x[:, 0] - x[:, 1] + rng.normal(size=N))
    lasso = fitted(L1(), 0.2, of, "standard")
    for penalty in (GroupLasso(), SparseGroupLasso(1.0, {"all": ["x0", "x1", "x2"]})):
        np.testing.assert_allclose(fitted(penalty, 0.2, of, "standard"), lasso, atol=1e-6)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_a_category_is_a_group(classes: int) -> None:
    """Down a path the columns of a category come in together, in all classes, and an unpenalised one is always in."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"center": pd.Categorical(rng.integers(0, 4, N).astype(str)), "dose": rng.normal(size=N)})
    X["age"] = rng.normal(size=N)
    signal = X["center"].cat.codes - X["dose"] / 2 + rng.normal(size=N)
    y = signal if not classes else np.searchsorted(np.quantile(signal, np.arange(1, classes) / classes), signal)
    of = make_problem(X, np.asarray(y))
    config = Linear(GroupLasso(), 0.1, unpenalized=["age"])
    solvers = Solvers.of_all_rows(of)
    terms, solver = solvers.terms(config), solvers.of(None)
    top = terms.lambda_max(solver.gradient("standard", terms))
    seen = set()
    (piece,) = solver.path(terms, "standard", top * np.array([1.0001, 0.9, 0.5, 0.2]))
    for used in piece.coef[0] != 0:
        assert used[1].all()  # age
        assert used[2:].all() or not used[2:].any()
        seen.add(bool(used[2:].any()))
    assert seen == {False, True}


def test_groups_are_checked() -> None:
    """Groups survive a file, name columns of X, each once, and have one factor and no limits."""
    groups = {"blood": ["b", "a"], "other": ["c"]}
    config = Linear(GroupLasso(groups), 0.1)
    assert from_toml(to_toml(config)) == config
    assert config.penalty.groups == (("blood", ("a", "b")), ("other", ("c",)))
    with pytest.raises(InvalidInput, match="each column once, got 'a' again"):
        GroupLasso({"one": ["a"], "two": ["a", "b"]})
    with pytest.raises(InvalidInput, match="dict from groups to names"):
        GroupLasso(["a", "b"])
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["a", "b", "see"])
    of = make_problem(X, X.sum(axis=1))
    setup = Setup(of, make_folds(3, of, 0), resolve(DEFAULTS[of.task], of))
    with pytest.raises(InvalidInput, match="group_lasso must name columns of X in its groups, got 'c'"):
        config.check(setup)
    named = Linear(GroupLasso({"blood": ["a", "b"]}), 0.1)
    for more, said in (
        ({"penalty_factors": {"a": 2.0}}, "one penalty factor"),
        ({"limits": {"see": (0, None)}}, "Limits"),
    ):
        with pytest.raises(InvalidInput, match=said):
            Solvers.of_all_rows(of).terms(named.replace(**more))


@pytest.mark.parametrize(
    "penalty",
    [SLOPE(0.2), FusedLasso(0.3), MCP(3.0), SCAD(3.0), SparseGroupLasso(0.3, {"first": ["x0", "x3", "x4"]})],
    ids=lambda penalty: penalty.kind,
)
@pytest.mark.parametrize("binary", [False, True])
def test_columns_that_are_nearly_alike(penalty: Penalty, binary: bool) -> None:
    """Where steps of one coefficient after another hardly move, a fit comes to its minimum all the same."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 1)) + rng.normal(size=(N, 7)) / 100
    signal = x @ np.array([20.0, -20.0, 0.0, 5.0, 5.0, 0.0, -9.0]) + rng.normal(size=N)
    of = make_problem(x, signal > 0 if binary else signal)
    coef = fitted(penalty, 2e-4, of, "standard")
    assert np.count_nonzero(coef) > 1  # `fitted` has looked at the gap


@pytest.mark.parametrize("penalty", [SLOPE(0.2), MCP(3.0), GroupLasso(), RelaxedLasso(0.5)], ids=lambda one: one.kind)
@pytest.mark.parametrize("binary", [False, True])
def test_more_than_rounding_allows(penalty: Penalty, binary: bool) -> None:
    """A path whose tolerance no number reaches has every lambda, as near as there is, and its gaps say so."""
    of = correlated()
    of = make_problem(of.X, of.y > 0 if binary else of.y)
    solvers, lambdas = Solvers.of_all_rows(of), np.array([0.2, 0.1, 0.05])
    solvers.of(None).tol = 1e-40
    pieces = list(solvers.of(None).path(solvers.terms(Linear(penalty)), "standard", lambdas))
    gap = np.concatenate([piece.gap[0] for piece in pieces])
    assert gap.shape == (3,)
    assert gap.max() < 1e-10


# --- the order of sizes ----------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(1e-3, 1.0), st.floats(0, 2))
def test_slope_prox_has_its_dual(seed: int, p: int, q: float, step: float) -> None:
    """What the prox takes off has sums of its largest sizes within those of the weights, and attains the penalty.

    That is to be a subgradient of the sorted norm (Bogdan et al. 2015, proposition 1.1).
    """
    w = np.random.default_rng(seed).normal(size=(p, 1))
    terms = SLOPE(q).terms(lambda: w)
    best = terms.prox(w, step)
    off = w - best
    ones = (np.arange(p) < k for k in range(1, p + 1))  # whose penalties are the sums of the largest weights
    most = np.array([float(terms.value(some[:, None].astype(float), step)) for some in ones])
    sums = np.cumsum(np.sort(np.abs(off[:, 0]))[::-1])
    assert np.all(sums <= most + 1e-9)
    assert float(np.sum(off * best)) == pytest.approx(float(terms.value(best, step)), abs=1e-9)


def test_slope_makes_columns_equal() -> None:
    """Columns that correlate get one size, where the lasso takes one of them."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=(N, 1))
    x = np.hstack([common + rng.normal(size=(N, 2)) / 10, rng.normal(size=(N, 3))])
    of = make_problem(x, common[:, 0] + rng.normal(size=N) / 5)
    coef = fitted(SLOPE(0.4), 0.3, of, "standard")[:, 0] * x.std(axis=0)
    assert coef[0] == pytest.approx(coef[1], rel=1e-5)
    assert coef[0] > 0.1


# --- penalties that are not convex -----------------------------------------------------------------------------


@pytest.mark.parametrize("lambda_", [0.2, 0.5])
def test_concave_formulas(lambda_: float) -> None:
    """Where columns do not correlate, fits are the firm and the SCAD threshold (Breheny & Huang 2011, section 2)."""
    of, z = orthonormal()
    size, gamma = np.abs(z), 3.0
    firm = np.where(size <= gamma * lambda_, soft(z, lambda_) / (1 - 1 / gamma), z)
    np.testing.assert_allclose(fitted(MCP(gamma), lambda_, of)[:, 0], firm, atol=1e-6)
    middle = soft(z, gamma * lambda_ / (gamma - 1)) / (1 - 1 / (gamma - 1))
    bent = np.where(size <= 2 * lambda_, soft(z, lambda_), np.where(size <= gamma * lambda_, middle, z))
    np.testing.assert_allclose(fitted(SCAD(gamma), lambda_, of)[:, 0], bent, atol=1e-6)
    assert (size > gamma * lambda_).any()


@pytest.mark.parametrize("penalty", [MCP(1e6), SCAD(1e6)])
@pytest.mark.parametrize("binary", [False, True])
def test_concave_penalties_contain_the_lasso(penalty: Penalty, binary: bool) -> None:
    """With a large gamma they are the lasso; of several classes they are refused."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 5)) + rng.normal(size=(N, 1))
    signal = x[:, 0] - x[:, 1] + rng.normal(size=N)
    of = make_problem(x, signal > 0 if binary else signal)
    np.testing.assert_allclose(fitted(penalty, 0.1, of), fitted(L1(), 0.1, of), atol=1e-4)
    with pytest.raises(InvalidInput, match=f"{penalty.kind} is for regression .* tasks, got a multiclass one"):
        fitted(penalty, 0.1, make_problem(x, np.digitize(signal, [-0.5, 0.5])))


# --- what is chosen, and fitted again ---------------------------------------------------------------------------


def correlated(p: int = 8, seed: int = 0) -> Problem:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, p)) + rng.normal(size=(N, 1))
    return make_problem(x, x[:, 0] - x[:, 1] + x[:, 2] / 2 + rng.normal(size=N))


@pytest.mark.parametrize("chooser", [L1(), ElasticNet(0.7)])
def test_relaxed_fits_lie_between(chooser: Penalty) -> None:
    """A relaxed fit is the chooser's at 0, least squares on the same columns at 1, and on the line between them."""
    of = correlated()
    made = {"l1_ratio": 0.7} if chooser.kind == "elastic_net" else {}
    cls: Any = RelaxedElasticNet if made else RelaxedLasso
    chosen = fitted(chooser, 0.3, of)[:, 0]
    some = np.flatnonzero(chosen)
    assert 0 < len(some) < 8
    least = np.zeros(8)
    least[some] = LinearRegression().fit(of.X[:, some], of.y).coef_
    for relax in (0.0, 0.4, 1.0):
        found = fitted(cls(relax=relax, **made), 0.3, of)[:, 0]
        np.testing.assert_allclose(found, (1 - relax) * chosen + relax * least, atol=1e-7)


@pytest.mark.parametrize("unit", [1.0, 1e-2, 1e-4, 1e4])
@pytest.mark.parametrize("binary", [False, True])
def test_relaxed_fits_know_no_units(unit: float, binary: bool) -> None:
    """What is not shrunk is so in whatever units its columns are, where these are taken as they are."""
    of = correlated()
    y: Array = (of.y > np.median(of.y) + np.random.default_rng(1).logistic(size=N)).astype(int) if binary else of.y
    found = fitted(RelaxedLasso(1.0), 1e-3 * unit, make_problem(unit * of.X, y))[:, 0]
    some = np.flatnonzero(found)
    plain = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000) if binary else LinearRegression()
    np.testing.assert_allclose(unit * found[some], plain.fit(of.X[:, some], y).coef_.ravel(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("penalty", [SLOPE(0.1), FusedLasso(0.5), GroupLasso(), L0(0.0), BestSubset()])
def test_units_of_columns_change_no_fit(penalty: Penalty, binary: bool) -> None:
    """Columns in units of a hundred million have the same fits, at a lambda in their units, and as good ones."""
    of = correlated()
    counted = isinstance(penalty, (L0, BestSubset))
    if binary and counted:
        return
    y: Array = (of.y > np.median(of.y)).astype(int) if binary else of.y
    lambda_ = 0.02 if binary else 0.1
    plain = fitted(penalty, lambda_, make_problem(of.X, y))
    small = fitted(penalty, lambda_ * (1.0 if counted else 1e-8), make_problem(1e-8 * of.X, y))
    assert plain.any()
    np.testing.assert_allclose(1e-8 * small, plain, atol=1e-5)


def test_relaxed_fits_of_classes() -> None:
    """A relaxed lasso of two classes is, at 1, maximum likelihood on the columns that the lasso chose."""
    of = correlated()
    two = make_problem(of.X, of.y > 0)
    some = np.flatnonzero(fitted(L1(), 0.08, two)[:, 0])
    assert 0 < len(some) < 8
    likely = LogisticRegression(C=np.inf, solver="newton-cg", tol=1e-10, max_iter=1000).fit(two.X[:, some], two.y)
    found = fitted(RelaxedLasso(1.0), 0.08, two)[:, 0]
    np.testing.assert_allclose(found[some], likely.coef_[0], rtol=1e-3)


# --- how many --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_best_subset_is_the_best(seed: int) -> None:
    """No subset has a lower objective than that which is found, and local search comes to it or one exchange short."""
    of, lambda_ = correlated(6, seed), 0.05
    x, y = of.X - of.X.mean(axis=0), of.y - of.y.mean()

    def objective(w: Array) -> float:
        return float(np.sum((y - x @ w) ** 2) / (2 * N) + lambda_ * np.count_nonzero(w))

    every = [some for size in range(7) for some in combinations(range(6), size)]
    fits = [np.linalg.lstsq(x[:, list(some)], y, rcond=None)[0] if some else np.empty(0) for some in every]
    least = np.inf
    for some, fit in zip(every, fits, strict=True):
        w = np.zeros(6)
        w[list(some)] = fit
        least = min(least, objective(w))
    assert objective(fitted(BestSubset(), lambda_, of)[:, 0]) == pytest.approx(least, rel=1e-8)
    found = fitted(L0(0.0), lambda_, of)[:, 0]
    assert objective(found) <= least * (1 + 0.05)
    for j in range(6):  # no column more or less is better
        beside = (found != 0) ^ (np.arange(6) == j)
        other = np.zeros(6)
        other[beside] = np.linalg.lstsq(x[:, beside], y, rcond=None)[0]
        assert objective(found) <= objective(other) * (1 + 1e-9)


def test_counted_formula() -> None:
    """Where columns do not correlate, L0 keeps the slopes above a threshold, shrunk by its ridge part."""
    of, z = orthonormal()
    held = 1 + 0.1 * 0.5
    expected = np.where(z**2 / (2 * held) > 0.1, z / held, 0.0)
    np.testing.assert_allclose(fitted(L0(0.5), 0.1, of)[:, 0], expected, atol=1e-8)
    assert 0 < np.count_nonzero(expected) < 6
    classes = make_problem(of.X, of.y > 0)
    with pytest.raises(InvalidInput, match="l0 is for regression tasks, got a binary one"):
        fitted(L0(0.5), 0.1, classes)
    with pytest.raises(InvalidInput, match="at most 15 columns, got 16"):
        fitted(BestSubset(), 0.1, correlated(16))


def test_columns_are_exchanged() -> None:
    """L0 leaves a fit that no column more or less is better than for one in place of another: the best of all."""
    noise = np.random.default_rng(0).normal(size=(N, 3))
    basis = np.linalg.qr(noise - noise.mean(axis=0))[0] * np.sqrt(N)
    one, two, _ = basis.T
    x = np.column_stack([one + 0.9 * two, one, two])  # the lasso begins with the first, which is nearest to y
    of = make_problem(x, x[:, 1] + 0.1 * x[:, 2])
    lambda_ = 0.2
    quadratic = Quadratic(x.T @ x / N)
    terms = L0(0.0).terms(lambda: np.ones((1, 3, 1))).on(PenalisedColumns.plain(np.arange(3))).of_fold(0, (3, 1))
    start = np.array([[float(x[:, 0] @ of.y / (x[:, 0] @ x[:, 0]))], [0.0], [0.0]])

    def objective(used: tuple[int, ...]) -> float:
        left = of.y - x[:, used] @ np.linalg.lstsq(x[:, used], of.y, rcond=None)[0] if used else of.y
        return float(left @ left / (2 * N) + lambda_ * len(used))

    assert objective((0,)) < min(objective(()), objective((0, 1)), objective((0, 2)))
    slope = (x.T @ (of.y - x @ start[:, 0]) / N)[:, None]
    found = terms.minimise(quadratic, start, slope, lambda_, 1e-12)
    assert np.flatnonzero(found).tolist() == [1]
    assert objective((1,)) == min(objective(some) for k in range(4) for some in combinations(range(3), k))


@pytest.mark.parametrize(
    ("penalty", "loss", "said"),
    [
        (
            Choice("l1", L0()),
            None,
            "The penalty l0 is for regression tasks, got a binary one; choose another, such as l1",
        ),
        (BestSubset(), "poisson", "The penalty best_subset is for squared error alone, got the poisson loss"),
    ],
)
def test_a_penalty_that_does_not_fit_is_refused(penalty: Any, loss: Any, said: str) -> None:
    """Before any trial, with what else to choose."""
    of = correlated()
    y = of.y > 0 if loss is None else np.abs(np.round(of.y))
    with pytest.raises(InvalidInput, match=said):
        Study("refused", of.X, y, space=Linear(penalty, loss=loss), tracking=False)


# --- neighbours ------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.floats(0, 3), st.booleans())
def test_fusing_has_its_dual(seed: int, p: int, strength: float, ties: bool) -> None:
    """What fusing takes off sums, up to each place, to no more than the strength, and to it exactly at a jump."""
    values = np.random.default_rng(seed).normal(size=p)
    values = np.round(values) if ties else values
    fused = fuse(values, strength)
    flow = np.cumsum(values - fused)
    assert np.all(np.abs(flow) <= strength + 1e-9)
    assert flow[-1] == pytest.approx(0.0, abs=1e-9)
    jumps = np.diff(fused)
    sure = np.abs(jumps) > 1e-9
    np.testing.assert_allclose(flow[:-1][sure], -strength * np.sign(jumps[sure]), atol=1e-9)


def test_neighbours_are_fused() -> None:
    """Columns of an order that share an effect get one coefficient, and a mix of 1 is the lasso."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 9))
    of = make_problem(x, x[:, 3:6].sum(axis=1) + rng.normal(size=200) / 2)
    coef = fitted(FusedLasso(0.3), 0.2, of)[:, 0]
    np.testing.assert_allclose(coef[3:6], coef[4], atol=1e-6)
    assert np.all(np.abs(coef[[0, 1, 7, 8]]) < 0.02)
    assert coef[4] > 0.5
    np.testing.assert_allclose(fitted(FusedLasso(1.0), 0.2, of), fitted(L1(), 0.2, of), atol=1e-6)


# --- a penalty of one's own ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Length(GeneralTerms):
    """``lambda |w|_2``."""

    def value(self, w: Array, lambda_: float) -> Array:
        return np.asarray(lambda_ * np.sqrt((w**2).sum(axis=(-2, -1))))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        length = np.sqrt((w**2).sum(axis=(-2, -1), keepdims=True))
        return np.asarray(w * np.maximum(1 - step * lambda_ / np.maximum(length, 1e-300), 0.0))


class _FirstOfCopies(_Length):
    """The same with a solver that leaves out columns that repeat: a pair of halves has less length than one whole."""

    def minimise(self, quadratic: Quadratic, w: Any, slope: Any, lambda_: float, tolerance: float) -> Any:
        gram = quadratic.gram
        first = [j for j in range(len(gram)) if not any(np.allclose(gram[j], gram[i]) for i in range(j))]
        found = np.zeros_like(w)
        some = Quadratic(np.ascontiguousarray(gram[np.ix_(first, first)]))
        moment = (slope.ravel() + gram @ w.ravel())[first]
        start = np.zeros((len(first), 1))
        found[first] = super().minimise(some, start, moment[:, None], lambda_, max(tolerance, 1e-8))
        return found


@pytest.mark.slow
def test_a_solver_that_leaves_out_copies_is_found() -> None:
    """What holds where no columns repeat alone is not conforming."""
    known = dict(Node.registry)
    try:

        @dataclass(frozen=True)
        class Copies(Penalty):
            """Length of the coefficients, wrongly minimised."""

            tasks: ClassVar[tuple[Any, ...]] = ("regression",)
            plain: ClassVar[bool] = False
            l1_ratio: ClassVar[float] = 1.0

            def terms(self, initial: Any) -> _FirstOfCopies:
                return _FirstOfCopies()

        checks = {check.name: check for check in SUITE.checks}
        checks["fits_are_stationary"](Copies)
        with pytest.raises(AssertionError, match="the objective is"):
            checks["columns_that_are_alike_are_fitted"](Copies)
    finally:
        Node.registry.clear()
        Node.registry.update(known)


@pytest.mark.slow
def test_value_and_prox_make_a_penalty() -> None:
    """A penalty of a script needs a value and a prox: it conforms, and its fit is the group lasso's of all columns."""
    known = dict(Node.registry)
    try:

        @dataclass(frozen=True)
        class Length(Penalty):
            """Length of the coefficients: all columns are in use, or none."""

            plain: ClassVar[bool] = False
            l1_ratio: ClassVar[float] = 1.0

            def terms(self, initial: Any) -> _Length:
                return _Length()

        check_penalty(Length)
        of, _ = orthonormal()
        every = GroupLasso({"all": [f"x{j}" for j in range(6)]})
        np.testing.assert_allclose(fitted(Length(), 0.5, of), fitted(every, 0.5 / np.sqrt(6), of), atol=1e-6)
    finally:
        Node.registry.clear()
        Node.registry.update(known)
