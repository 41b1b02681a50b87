"""Columns that are mostly zeros, and too many for products of all pairs of them: solved as dense ones are."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Lasso, LogisticRegression, Ridge

from regsearch import Linear, Path
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import column_newton, gaussian, scales, working_columns
from regsearch.models.linear import design as design_module
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.design import Design, Piece, Solver
from regsearch.models.linear.glm import Glm
from regsearch.models.linear.krylov import MatrixFreeRidge
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.losses import Poisson
from regsearch.models.linear.penalties import L1, L2, AdaptiveLasso, ElasticNet, NoPenalty
from regsearch.models.linear.penalty import Penalty
from regsearch.models.linear.scales import SCALES, column_divisors
from regsearch.models.linear.solvers import make_solver
from regsearch.models.linear.squares import Squares

LOSSES = ("two classes", "three classes", "squared error", "poisson")
PENALTIES = {"l2": L2(), "elastic net": ElasticNet(0.5), "l1": L1()}
ROWS, COLUMNS = 60, 90


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty rows are many."""
    monkeypatch.setattr(design_module, "FEW", 5)


def texts(loss: str, n: int = ROWS, p: int = COLUMNS, seed: int = 0) -> tuple[sparse.csc_array, Array]:
    """Positive entries, rarer from column to column, one column full, and targets ``[n, m]``."""
    rng = np.random.default_rng(seed)
    matrix = rng.exponential(size=(n, p)) * (rng.random((n, p)) < 1 / (1 + 0.1 * np.arange(p)))
    signal = matrix[:, :12] @ rng.normal(size=(12, 3)) + 0.5 * rng.gumbel(size=(n, 3))
    y = {
        "two classes": (signal[:, :1] > np.median(signal[:, :1])).astype(float),
        "three classes": np.eye(3)[np.argmax(signal, axis=1)],
        "squared error": signal[:, :1] + 100.0,
        "poisson": rng.poisson(np.exp(signal[:, :1] / 4)).astype(float),
    }
    return sparse.csc_array(matrix), y[loss]


def solver(matrix: Array, y: Array, loss: str, tol: float) -> LogLoss | gaussian.Gaussian:
    """Of two folds, one of which leaves out a third of the rows, weighted."""
    rows = np.arange(len(y))
    parts = (rows, rows[rows % 3 > 0]), (rows[:0], rows[rows % 3 == 0])
    d = Design(matrix, *parts, np.random.default_rng(1).uniform(0.5, 2.0, len(y)))
    if loss == "squared error":
        return Squares(d, y, tol) if sparse.issparse(matrix) else gaussian.Gaussian(d, y, tol)
    return Glm(d, y, Poisson(), tol) if loss == "poisson" else LogLoss(d, y, tol)


def solved(s: Solver, penalty: Penalty, lambdas: Array, scale: str = "standard") -> Piece:
    pieces = list(s.path(penalty.terms(lambda: s.initial(scale)), scale, lambdas))
    parts = [[getattr(piece, name) for piece in pieces] for name in ("coef", "intercept", "gap", "complexity")]
    coef, intercept, gap, complexity = (np.concatenate(part, axis=1) for part in parts)
    return Piece.of(coef, intercept, gap, complexity)


def grid(s: Solver, penalty: Penalty, ratio: float = 0.02, scale: str = "standard") -> Array:
    terms = penalty.terms(lambda: s.initial(scale))
    top = terms.lambda_max(s.gradient(scale)) if terms.sparse else 1.0
    return np.geomspace(top, ratio * top, 7)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_sparse_equals_dense(loss: str, penalty: str) -> None:
    """Without products of columns, decisions along the path are those of the dense solvers, and as well certified."""
    matrix, y = texts(loss)
    many, dense = solver(matrix, y, loss, 1e-10), solver(np.asfortranarray(matrix.toarray()), y, loss, 1e-10)
    assert many.matrix_free
    lambdas = grid(dense, PENALTIES[penalty])
    found, expected = (solved(s, PENALTIES[penalty], lambdas) for s in (many, dense))
    assert found.gap.max() <= 1e-10
    for one, two in ((found.coef, expected.coef), (found.intercept, expected.intercept)):
        np.testing.assert_allclose(one, two, atol=2e-4 * np.abs(two).max())
    np.testing.assert_allclose(found.complexity, expected.complexity, rtol=0.1, atol=0.2)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gap_bounds_what_is_left(penalty: str) -> None:
    """A path that ends early at every lambda is no farther above the minimum than its gaps say."""
    matrix, y = texts("three classes")
    rough, exact = (solver(matrix, y, "three classes", tol) for tol in (1e-3, 1e-11))
    lambdas = grid(rough, PENALTIES[penalty])
    terms = PENALTIES[penalty].terms(lambda: np.zeros(1))

    def objectives(piece: Piece) -> Array:
        losses = np.stack([rough.training_losses(piece.point(step)) for step in range(len(lambdas))], axis=1)
        w = piece.coef * rough.design.scales("standard")[:, None, :, None]
        return losses + np.array([[terms.value(one, x) for one, x in zip(fold, lambdas, strict=True)] for fold in w])

    found = solved(rough, PENALTIES[penalty], lambdas)
    excess = objectives(found) - objectives(solved(exact, PENALTIES[penalty], lambdas))
    assert (excess <= found.gap * rough.null[:, None] + 1e-10).all()
    assert 1e-6 < excess.max() <= 1e-3


@pytest.mark.parametrize("scale", SCALES)
def test_scikit_learn_finds_the_same(scale: str) -> None:
    """Ridge, lasso and logistic regression of scaled columns are scikit-learn's, in every unit."""
    lambda_ = 0.02
    for loss, penalty, model in (
        ("squared error", L2(), Ridge(alpha=lambda_ * ROWS)),
        ("squared error", L1(), Lasso(alpha=lambda_, tol=1e-12, max_iter=100_000)),
        ("two classes", L2(), LogisticRegression(C=1 / (lambda_ * ROWS), tol=1e-10, max_iter=10_000)),
    ):
        matrix, y = texts(loss)
        rows = np.arange(ROWS)
        d = Design(matrix, (rows,), (rows[:0],), np.ones(ROWS))
        made = Squares(d, y, 1e-12) if loss == "squared error" else LogLoss(d, y, 1e-12)
        found = solved(made, penalty, np.array([lambda_]), scale)
        model.fit(matrix.toarray() / d.scales(scale)[0], y[:, 0])
        expected = np.ravel(model.coef_) / d.scales(scale)[0]
        np.testing.assert_allclose(found.coef[0, 0, :, 0], expected, atol=1e-4 * np.abs(expected).max())


def test_columns_that_hold_most_entries_are_measured_few_at_a_time() -> None:
    """Words of all texts beside thousands of rare ones: copies are small beside what is stored, and say the same."""
    rng = np.random.default_rng(0)
    often = sparse.csc_array(rng.normal(size=(2000, 100)))
    seldom = sparse.random_array((2000, 20_000), density=0.001, rng=rng, format="csc")
    matrix, train = sparse.csc_array(sparse.hstack([often, seldom], format="csc")), np.arange(1600)
    tracemalloc.start()
    found = column_divisors(matrix, train, "standard", np.ones(2000), np.zeros(matrix.shape[1]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.8 * matrix.data.nbytes
    np.testing.assert_allclose(found[:100], often.toarray()[train].std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found[-5:], seldom[:, -5:].toarray()[train].std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("how", ["standard", "minmax", "none"])
def test_divisors_of_sparse_columns_are_those_of_dense_ones(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of full and nearly full columns, empty and constant ones, and entries out of order; compiled or not."""
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(60, 9)) * (rng.random((60, 9)) < 0.4)
    dense[:, 0], dense[:, 1], dense[:, 2] = rng.normal(size=60) + 5, 3.0, 0.0
    dense[:, 3] = np.where(np.arange(60) == 7, 0.0, 2.0 + rng.normal(size=60))
    weights = rng.uniform(0.5, 2.0, 60)
    weights[7] = 1e-9
    train = np.sort(rng.permutation(60)[:45])
    train = np.union1d(train, [7])
    matrix = sparse.csc_array(dense)
    for j in range(9):  # backwards
        part = slice(matrix.indptr[j], matrix.indptr[j + 1])
        matrix.indices[part], matrix.data[part] = matrix.indices[part][::-1].copy(), matrix.data[part][::-1].copy()
    of = train, how, weights, np.zeros(9)
    expected = column_divisors(dense, *of)
    np.testing.assert_allclose(column_divisors(matrix, *of), expected, rtol=1e-10)
    for plain in ("_measure_entries", "_measure_copies"):
        monkeypatch.setattr(scales, "measure_entries", getattr(scales, plain))
        np.testing.assert_allclose(column_divisors(matrix.copy(), *of), expected, rtol=1e-10)


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_separable_classes_end_without_a_penalty(loss: str) -> None:
    """With more columns than rows the fit without a penalty explains everything, and ends."""
    matrix, y = texts(loss)
    s = solver(matrix, y, loss, 1e-6)
    (found,) = s.path(NoPenalty().terms(lambda: np.zeros(1)), "standard", np.zeros(1))
    assert found.separable is not None
    assert found.separable.all()
    assert found.gap.max() <= 1e-6
    assert (s.training_losses(found) <= 1e-4 * s.null).all()


@pytest.mark.parametrize("loss", LOSSES[:3])
def test_freedom_and_first_strength_are_nearly_exact(loss: str) -> None:
    """What Lanczos' method estimates is near what an eigendecomposition tells."""
    matrix, y = texts(loss, 300, 200)
    s = solver(matrix, y, loss, 1e-6)
    assert isinstance(s, LogLoss)
    ridge = s._ridge(1, "standard")
    assert isinstance(ridge, MatrixFreeRidge)
    centred = (matrix.toarray()[s.design.train[1]] - s.design.means[1]) / s.design.scales("standard")[1]
    values = np.linalg.svd(centred * np.sqrt(s.samples[1].weights)[:, None], compute_uv=False) ** 2
    strengths = np.array([10.0, 0.1, 1e-3])
    curvature = np.full((len(s.samples[1].y), 3), 0.2)
    spent = 0.2 * values / (0.2 * values + strengths[:, None])
    classes = max(len(curvature) - 1, 1)
    np.testing.assert_allclose(ridge.freedom(curvature, strengths), classes * spent.sum(axis=1), rtol=0.12)
    dense = solver(np.asfortranarray(matrix.toarray()), y, loss, 1e-6)
    made = dense._ridge(1, "standard") if isinstance(dense, LogLoss) else dense._spectrum(1, "standard")
    assert 0.4 <= ridge.gcv() / made.gcv() <= 2.5


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES[1:3])
def test_plain_python_kernels_agree(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numba the kernels give the same numbers."""
    matrix, y = texts(loss, 40, 30)
    fast = solver(matrix, y, loss, 1e-8)
    lambdas = grid(fast, L1(), 0.1)
    expected = solved(fast, L1(), lambdas)
    for module in (column_newton, working_columns):
        for name, kernel in list(vars(module).items()):
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)
    found = solved(solver(matrix, y, loss, 1e-8), L1(), lambdas)
    np.testing.assert_allclose(found.coef, expected.coef, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_search_reads_many_sparse_columns(task: str) -> None:
    """Trials of every penalty end solved, on the solver that forms no products of columns."""
    matrix, y = texts("squared error" if task == "regression" else "two classes")
    problem = make_problem(matrix, y[:, 0] if task == "regression" else y[:, 0].astype(int))
    backend = LinearBackend(Setup(problem, make_folds(3, problem, 0), resolve(None, problem)))
    assert make_solver(problem, backend.design).matrix_free
    for penalty in (L1(), L2(), ElasticNet(0.5), AdaptiveLasso(1.0)):
        outcome = backend.evaluate(Candidate(0, Linear(penalty)))
        assert outcome.state == "complete"
        assert not outcome.reason


@pytest.mark.parametrize("loss", [LOSSES[0], LOSSES[1], LOSSES[3]])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_points_do_not_depend_on_how_many_are_held(
    loss: str, penalty: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Where nothing may be held beside the data, lambdas are fitted one by one, and folds know columns anew."""
    matrix, y = texts(loss)
    usual = solver(matrix, y, loss, 1e-10)
    lambdas = grid(usual, PENALTIES[penalty])
    expected = solved(usual, PENALTIES[penalty], lambdas)
    monkeypatch.setattr(design_module, "LITTLE", 1)
    monkeypatch.setattr(design_module, "BESIDE", 10**9)
    found = solved(solver(matrix, y, loss, 1e-10), PENALTIES[penalty], lambdas)
    assert (found.gap <= 1e-10).all()
    np.testing.assert_allclose(found.coef, expected.coef, atol=1e-4 * np.abs(expected.coef).max())
    np.testing.assert_allclose(found.intercept, expected.intercept, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [L1(), L2()])
def test_a_path_of_many_sparse_columns_holds_few_of_its_points(penalty: Penalty) -> None:
    """Beside columns of about fifteen entries each, five folds' points would soon be more than the data."""
    rng = np.random.default_rng(0)
    matrix = sparse.random_array((1500, 12_000), density=0.01, format="csc", rng=rng)
    signal = matrix[:, :200] @ rng.normal(size=200)
    problem = make_problem(matrix, (signal > np.median(signal)).astype(int))
    setup = Setup(problem, make_folds(5, problem, 0), resolve(None, problem))

    def trial() -> None:
        LinearBackend(setup).evaluate(Candidate(0, Linear(penalty, Path(12, ratio=0.1))))

    trial()  # compiles
    tracemalloc.start()
    trial()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * (matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
