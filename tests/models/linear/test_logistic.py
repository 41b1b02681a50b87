"""Log-loss: every path against an independent solution of the same problem."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from regsearch._types import Array
from regsearch.data.encoding import Missing
from regsearch.models.linear import few_columns
from regsearch.models.linear.design import Design, Piece
from regsearch.models.linear.likelihood import probabilities_and_losses
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.penalties import L1, L2, AdaptiveLasso, ElasticNet, NoPenalty
from regsearch.models.linear.penalty import Terms

PENALTIES = {0.0: L2(), 0.5: ElasticNet(0.5), 1.0: L1()}
SHAPES = [(60, 8), (30, 45)]


@pytest.fixture(autouse=True, scope="module", params=[few_columns.FEW_COLUMNS, 0], ids=["few columns", "working sets"])
def _columns_are_few(request: pytest.FixtureRequest) -> Iterator[None]:
    """All columns are worked on where they are few, and sets of them where they are not: these here may be either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_columns, "FEW_COLUMNS", request.param)
        yield


def problem(n: int = 60, p: int = 8, classes: int = 2, seed: int = 0) -> tuple[Array, Array]:
    """Correlated columns with their own means and scales, and labels ``[n]`` that half of them explain."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + 0.4 * rng.normal(size=(n, 1))
    coef = np.where(np.arange(p) % 2 == 0, 1.0, 0.0)[:, None] * rng.normal(size=(p, classes))
    labels = np.argmax(x @ coef / np.sqrt(p) + 0.7 * rng.gumbel(size=(n, classes)), axis=1)
    return np.asfortranarray(x * rng.uniform(0.5, 3.0, p) + rng.normal(size=p)), labels


def targets(labels: Array) -> Array:
    """One column for two classes, else one for each."""
    classes = labels.max() + 1
    return labels[:, None].astype(float) if classes == 2 else np.eye(classes)[labels]


def design(x: Array, labels: Array, weights: Array | None = None, missing: Missing | None = None) -> Design:
    parts = StratifiedKFold(3, shuffle=True, random_state=0).split(np.empty(len(labels)), labels)
    train, val = zip(*parts, strict=True)
    return Design(x, train, val, np.ones(len(labels)) if weights is None else weights, missing)


def solver(d: Design, y: Array, tol: float = 1e-6, **options: int) -> LogLoss:
    return LogLoss(d, y, tol, **options)


def joined(pieces: list[Piece]) -> tuple[Array, Array, Array]:
    """coef ``[K, S, p, m]``, intercept ``[K, S, m]`` and gap ``[K, S]``."""
    parts = zip(*((piece.coef, piece.intercept, piece.gap) for piece in pieces), strict=True)
    coef, intercept, gap = (np.concatenate(part, axis=1) for part in parts)
    return coef, intercept, gap


def grid(s: LogLoss, terms: Terms, count: int = 6, ratio: float = 0.02, scale: str = "standard") -> Array:
    return np.geomspace(1.0, ratio, count) * terms.lambda_max(s.gradient(scale))


def solved(
    d: Design, y: Array, terms: Terms, lambdas: Array | None = None, tol: float = 1e-6
) -> tuple[Array, Array, Array]:
    s = solver(d, y, tol)
    return joined(list(s.path(terms, "standard", grid(s, terms) if lambdas is None else lambdas)))


def objective(d: Design, y: Array, terms: Terms, coef: Array, intercept: Array, lambdas: Array) -> Array:
    """``[K, S]`` penalised loss of the training rows, read row by row."""
    values = np.empty(coef.shape[:2])
    for k in range(d.folds):
        matrix = d.fold(k).toarray() + d.shift if d.sparse else d.fold(k)
        eta = np.einsum("np,spm->msn", matrix, coef[k]) + intercept[k].T[..., None]
        fold = Terms(np.broadcast_to(terms.l1, (d.folds, *coef.shape[2:]))[k], terms.l2)
        w = coef[k] * d.scales("standard")[k][:, None]
        penalty = [fold.value(one, lambda_) for one, lambda_ in zip(w, lambdas, strict=True)]
        values[k] = probabilities_and_losses(eta, y.T[:, None], d.fold_weights[k])[1] + penalty
    return values


def scikit_learn(x: Array, labels: Array, d: Design, k: int, l1_ratio: float, lambda_: float) -> tuple[Array, Array]:
    """coef ``[p, m]`` and intercept ``[m]`` of scikit-learn on one fold's scaled training rows."""
    rows, scales, weights = d.train[k], d.scales("standard")[k], d.weights[d.train[k]]
    model = LogisticRegression(
        C=1 / (lambda_ * weights.sum()), l1_ratio=l1_ratio, tol=1e-9, max_iter=100_000,
        solver="saga" if l1_ratio else "lbfgs", random_state=0,
    )  # fmt: skip
    model.fit((x[rows] - d.centers[k]) / scales, labels[rows], sample_weight=weights)
    coef = model.coef_.T / scales[:, None]
    intercept = model.intercept_ - d.centers[k] @ coef
    return coef, intercept - (intercept.mean() if len(intercept) > 1 else 0.0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", PENALTIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_matches_scikit_learn(classes: int, l1_ratio: float, shape: tuple[int, int]) -> None:
    """Each fold's weighted path is scikit-learn's on the scaled training rows, with fewer or more columns than rows."""
    x, labels = problem(*shape, classes)
    d = design(x, labels, np.random.default_rng(1).uniform(0.5, 2.0, len(x)))
    s = solver(d, targets(labels), tol=1e-11)
    terms = PENALTIES[l1_ratio].terms(lambda: s.initial("standard"))
    lambdas = grid(s, terms, 3, 0.1) if l1_ratio else np.array([1.0, 0.1, 0.03])
    coef, intercept, gap = joined(list(s.path(terms, "standard", lambdas)))
    assert gap.max() <= 1e-11
    for step in range(1, len(lambdas)):
        expected, offset = scikit_learn(x, labels, d, 0, l1_ratio, lambdas[step])
        np.testing.assert_allclose(coef[0, step], expected, atol=3e-4)
        np.testing.assert_allclose(intercept[0, step], offset, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", PENALTIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sparse_equals_dense(classes: int, l1_ratio: float, shape: tuple[int, int]) -> None:
    """A sparse matrix gives the path of its dense copy."""
    x, labels = problem(*shape, classes)
    x[np.abs(x) < 0.7] = 0.0
    y, terms = targets(labels), PENALTIES[l1_ratio].terms(lambda: np.zeros(1))
    dense = solved(design(x, labels), y, terms, np.geomspace(0.2, 0.02, 4), 1e-11)
    other = solved(design(sparse.csc_array(x), labels), y, terms, np.geomspace(0.2, 0.02, 4), 1e-11)
    for one, two in zip(dense[:2], other[:2], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", PENALTIES)
def test_gap_bounds_the_suboptimality(classes: int, l1_ratio: float) -> None:
    """The reported gap is at least the excess of the objective over a far more accurate solution's."""
    x, labels = problem(50, 12, classes)
    d, y, terms = design(x, labels), targets(labels), PENALTIES[l1_ratio].terms(lambda: np.zeros(1))
    lambdas = np.geomspace(0.2, 0.005, 6)
    s = solver(d, y, tol=1e-2)
    coef, intercept, gap = joined(list(s.path(terms, "standard", lambdas)))
    best = objective(d, y, terms, *solved(d, y, terms, lambdas, 1e-12)[:2], lambdas)
    excess = objective(d, y, terms, coef, intercept, lambdas) - best
    assert gap.max() <= 1e-2
    assert gap.max() > 1e-9
    assert np.all(excess <= gap * s.null[:, None] + 1e-11)


@pytest.mark.slow
@given(
    n=st.integers(12, 40), p=st.integers(1, 20), classes=st.integers(2, 4),
    l1_ratio=st.just(0.0) | st.floats(0.01, 1.0), ratio=st.floats(0.01, 0.9), seed=st.integers(0, 99),
)  # fmt: skip
def test_optimality_conditions(n: int, p: int, classes: int, l1_ratio: float, ratio: float, seed: int) -> None:
    """Gradients lie in the subdifferential of the penalty, and the residuals of each class sum to zero."""
    x, labels = problem(n, p, classes, seed)
    labels[: 3 * classes] = np.arange(3 * classes) % classes
    d, y = design(x, labels), targets(labels)
    terms = ElasticNet(l1_ratio).terms(lambda: np.zeros(1))
    s = solver(d, y, tol=1e-10)
    lambdas = terms.lambda_max(s.gradient("standard")) * np.array([1.0, ratio])
    coef, intercept, gap = joined(list(s.path(terms, "standard", lambdas)))
    assert gap.max() <= 1e-10
    for k in range(d.folds):
        scales = d.scales("standard")[k][:, None]
        p_hat, _ = probabilities_and_losses(
            (x @ coef[k, 1] + intercept[k, 1]).T[:, None], y.T[:, None], d.fold_weights[k]
        )
        residual = d.fold_weights[k] * (y.T - p_hat[:, 0])
        slope = (residual @ ((x - d.centers[k]) / scales.T)).T
        w = coef[k, 1] * scales
        pull = slope - lambdas[1] * terms.l2 * w
        edge = lambdas[1] * terms.l1
        # a violation v of an objective of curvature c would leave v^2 / 2c to gain, which the gap bounds
        slack = 1e-4 + np.sqrt(2e-10 * (0.25 + lambdas[1] * terms.l2))
        np.testing.assert_allclose(np.where(w != 0, pull - np.sign(w) * edge, 0.0), 0.0, atol=slack)
        assert np.all(np.abs(pull) <= edge + slack)
        np.testing.assert_allclose(residual.sum(axis=1), 0.0, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_intercept_is_not_penalised(classes: int) -> None:
    """However strong the penalty, the mean probabilities are the classes' shares."""
    x, labels = problem(60, 8, classes)
    labels[5:40] = 1
    d, y = design(x, labels), targets(labels)
    for penalty in (L1(), L2()):
        coef, intercept, _ = solved(d, y, penalty.terms(lambda: np.zeros(1)), np.array([1e6]))
        assert np.abs(coef).max() < 1e-5
        eta = np.broadcast_to(intercept[:, 0].T[..., None], (y.shape[1], d.folds, len(y)))
        p_hat, _ = probabilities_and_losses(eta, y.T[:, None], d.fold_weights[0])
        np.testing.assert_allclose(p_hat[..., 0].T, d.fold_weights @ y, atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_lambda_max_is_the_first_lambda_that_selects_nothing(classes: int) -> None:
    """At lambda_max all coefficients are zero; just below it one is not."""
    x, labels = problem(60, 8, classes)
    d, y = design(x, labels), targets(labels)
    terms = L1().terms(lambda: np.zeros(1))
    highest = terms.lambda_max(solver(d, y).gradient("standard"))
    coef, _, _ = solved(d, y, terms, highest * np.array([1.0 + 1e-12, 0.99]), 1e-9)
    assert not coef[:, 0].any()
    assert coef[:, 1].any()


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_one_lambda_needs_no_path(classes: int) -> None:
    """A lambda asked for alone has the solution that it has on a path, piece by piece or not."""
    x, labels = problem(60, 12, classes)
    d, y = design(x, labels), targets(labels)
    for penalty in (L1(), ElasticNet(0.5), L2()):
        terms = penalty.terms(lambda: np.zeros(1))
        lambdas = np.geomspace(0.2, 0.01, 23)
        path = solved(d, y, terms, lambdas, 1e-10)
        alone = solved(d, y, terms, lambdas[-1:], 1e-10)
        for one, two in zip(path[:2], alone[:2], strict=True):
            np.testing.assert_allclose(one[:, -1:], two, atol=1e-3)


def test_results_depend_on_the_inputs_only() -> None:
    """What a solver did before changes no bit of what it does next."""
    x, labels = problem(60, 12)
    d, y = design(x, labels), targets(labels)
    terms = AdaptiveLasso(1.0).terms(lambda: solver(d, y).initial("standard"))
    s = solver(d, y)
    fresh = joined(list(s.path(terms, "standard", grid(s, terms))))
    list(s.path(L2().terms(lambda: np.zeros(1)), "minmax", np.array([0.1])))
    next(iter(s.path(L1().terms(lambda: np.zeros(1)), "standard", np.array([0.01]))))
    s.initial("robust")
    again = joined(list(s.path(terms, "standard", grid(s, terms))))
    for one, two in zip(fresh, again, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("penalty", [L1(), L2(), NoPenalty()])
def test_held_out_rows_have_no_influence(penalty: L1) -> None:
    """Changing the validation rows of a fold, X and y, leaves its path and its initial estimate as they were."""
    x, labels = problem(60, 6)
    d, y = design(x, labels), targets(labels)
    other, flipped = x.copy(order="F"), y.copy()
    other[d.val[0]] *= -7.0
    flipped[d.val[0]] = 1 - flipped[d.val[0]]
    changed = Design(other, d.train[:1], d.val[:1], d.weights)
    alone = Design(x, d.train[:1], d.val[:1], d.weights)
    terms, lambdas = penalty.terms(lambda: np.zeros(1)), np.array([0.1, 0.02])
    for one, two in zip(solved(alone, y, terms, lambdas), solved(changed, flipped, terms, lambdas), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-9)
    first, second = solver(alone, y).initial("standard"), solver(changed, flipped).initial("standard")
    np.testing.assert_allclose(first, second, rtol=1e-6)


@pytest.mark.parametrize("penalty", [L1(), ElasticNet(0.5), L2(), NoPenalty()])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_constant_and_duplicate_columns(penalty: L1, as_sparse: bool) -> None:
    """Constant columns get no coefficient, and a ridge splits a coefficient between equal columns."""
    x, labels = problem(60, 5)
    x = np.asfortranarray(np.column_stack([x, np.full(60, 3.3), x[:, 0], np.zeros(60)]))
    d = design(sparse.csc_array(x) if as_sparse else x, labels)
    coef, intercept, gap = solved(d, targets(labels), penalty.terms(lambda: np.zeros(1)), np.array([0.05, 0.01]))
    assert not coef[:, :, [5, 7]].any()
    assert np.isfinite(intercept).all()
    assert gap.max() <= 1e-6
    if not isinstance(penalty, L1):
        np.testing.assert_allclose(coef[:, :, 0], coef[:, :, 6], atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("penalty", [L1(), L2()])
def test_missing_entries_are_filled_inside_each_fold(classes: int, penalty: L1) -> None:
    """Missing entries give the path of a matrix imputed with the means of the fold's training rows."""
    x, labels = problem(60, 6, classes)
    rows, columns = np.nonzero(np.random.default_rng(3).random(x.shape) < 0.1)
    holes = x.copy(order="F")
    holes[rows, columns] = np.nan
    d, y = design(np.nan_to_num(holes), labels, missing=Missing(rows, columns)), targets(labels)
    terms, lambdas = penalty.terms(lambda: np.zeros(1)), np.geomspace(0.1, 0.01, 23)
    found = solved(d, y, terms, lambdas, 1e-10)
    for k in range(d.folds):
        filled = SimpleImputer().fit(holes[d.train[k]]).transform(holes)
        alone = Design(np.asfortranarray(filled), d.train[k : k + 1], d.val[k : k + 1], d.weights)
        for one, two in zip(found[:2], solved(alone, y, terms, lambdas, 1e-10)[:2], strict=True):
            np.testing.assert_allclose(one[k], two[0], atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("shape", [(60, 3), (24, 40)])
def test_no_penalty_ends_on_separable_classes(classes: int, shape: tuple[int, int]) -> None:
    """Without a penalty, separable classes end with finite coefficients and a small, finite loss."""
    x, labels = problem(*shape, classes)
    order = np.argsort(x[:, 0])
    labels = np.empty(len(x), dtype=int)
    labels[order] = np.arange(len(x)) * classes // len(x)
    d, y = design(x, labels), targets(labels)
    coef, intercept, gap = solved(d, y, NoPenalty().terms(lambda: np.zeros(1)), np.zeros(1))
    assert np.isfinite(coef).all()
    assert np.isfinite(gap).all()
    loss = objective(d, y, Terms(np.zeros(1), 0.0), coef, intercept, np.zeros(1))
    assert np.all(loss < 0.05)


def test_no_penalty_is_maximum_likelihood() -> None:
    """Without a penalty, overlapping classes have the maximum-likelihood estimate."""
    x, labels = problem(120, 4)
    d = design(x, labels)
    coef, intercept, _ = solved(d, targets(labels), NoPenalty().terms(lambda: np.zeros(1)), np.zeros(1), 1e-10)
    rows = d.train[0]
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x[rows], labels[rows])
    np.testing.assert_allclose(coef[0, 0, :, 0], model.coef_[0], atol=1e-3)
    np.testing.assert_allclose(intercept[0, 0], model.intercept_, atol=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("spread", [1e3, 1e6])
def test_no_penalty_knows_no_units(classes: int, spread: float) -> None:
    """Without a penalty the units of the columns change no decision, and nothing needs to be scaled."""
    x, labels = problem(150, 4, classes)
    units = np.geomspace(1 / spread, spread, x.shape[1])
    decisions = []
    for columns in (x, x * units):
        d = design(columns, labels)
        found = LogLoss(d, targets(labels), tol=1e-10).path(NoPenalty().terms(lambda: np.zeros(1)), "none", np.zeros(1))
        (piece,) = found
        decisions.append(columns @ piece.coef[0, 0] + piece.intercept[0, 0])
    np.testing.assert_allclose(*decisions, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_class_may_be_absent_in_training(classes: int) -> None:
    """A fold that never sees a class has finite coefficients and a certified gap."""
    x, labels = problem(40, 4, classes)
    train = (np.flatnonzero(labels != 0), np.arange(40))
    d, y = Design(x, train, (np.flatnonzero(labels == 0), np.arange(5)), np.ones(40)), targets(labels)
    for penalty in (L1(), L2()):
        coef, intercept, gap = solved(d, y, penalty.terms(lambda: np.zeros(1)), np.array([0.1, 0.01]))
        assert np.isfinite(coef).all()
        assert np.isfinite(intercept).all()
        assert gap.max() <= 1e-6


def test_excluded_columns_stay_out() -> None:
    """An infinite L1 weight keeps a coefficient at zero, and a gap of the rest is reached."""
    x, labels = problem(60, 6)
    l1 = np.ones((1, 6, 1))
    l1[0, 0] = np.inf
    coef, _, gap = solved(design(x, labels), targets(labels), Terms(l1, 0.1), np.array([0.1, 0.01]))
    assert not coef[:, :, 0].any()
    assert coef[:, :, 1:].any()
    assert gap.max() <= 1e-6


def test_gap_is_honest_when_steps_run_out() -> None:
    """A solver that may hardly step reports a gap above its tolerance."""
    x, labels = problem(60, 8)
    for penalty in (L1(), L2()):
        s = solver(design(x, labels), targets(labels), 1e-10, max_steps=1)
        _, _, gap = joined(list(s.path(penalty.terms(lambda: np.zeros(1)), "standard", np.array([0.001]))))
        assert gap.max() > 1e-10


def test_complexity() -> None:
    """An L1 path counts non-zero coefficients; a ridge path has degrees of freedom between none and all columns."""
    x, labels = problem(60, 8)
    s = solver(design(x, labels), targets(labels))
    lasso = next(iter(s.path(L1().terms(lambda: np.zeros(1)), "standard", np.array([0.1, 0.05]))))
    np.testing.assert_array_equal(lasso.complexity, (lasso.coef != 0).sum(axis=(2, 3)))
    ridge = next(iter(s.path(L2().terms(lambda: np.zeros(1)), "standard", np.array([1e6, 1.0, 1e-6]))))
    assert np.all(np.diff(ridge.complexity) > 0)
    np.testing.assert_allclose(ridge.complexity[:, [0, 2]], [[0, 8]] * 3, atol=0.01)


@pytest.mark.parametrize("classes", [2, 3])
def test_lambda_zero_is_no_penalty(classes: int) -> None:
    """At lambda zero an L1 part changes nothing: the fit is maximum likelihood."""
    x, labels = problem(200, 4, classes)
    fits = [
        solved(design(x, labels), targets(labels), penalty.terms(lambda: np.zeros(1)), np.zeros(1))
        for penalty in (L1(), NoPenalty())
    ]
    for one, two in zip(*fits, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("mean", [1e6, 1e8])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", PENALTIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_sparse_columns_far_from_zero(l1_ratio: float, shape: tuple[int, int], classes: int, mean: float) -> None:
    """A sparse matrix with a column like a timestamp is fitted as its dense copy is."""
    x, labels = problem(*shape, classes)
    x[:, 1:][np.abs(x[:, 1:]) < 0.7] = 0.0
    x[:, 0] += mean
    y, terms = targets(labels), PENALTIES[l1_ratio].terms(lambda: np.zeros(1))
    fits = [solved(design(x, labels), y, terms, np.geomspace(0.2, 0.02, 4), 1e-11)[0] for x in (x, sparse.csc_array(x))]
    np.testing.assert_allclose(*fits, atol=1e-3)
