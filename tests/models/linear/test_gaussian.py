"""Squared error: every path against an independent solution of the same problem."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet as SklearnElasticNet
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit, TimeSeriesSplit

from regsearch._types import Array, Rows
from regsearch.data.encoding import Missing
from regsearch.models.linear import descent, gaussian, kernels, support
from regsearch.models.linear.design import Design, Piece
from regsearch.models.linear.gaussian import Gaussian
from regsearch.models.linear.moments import groups
from regsearch.models.linear.penalties import L1, L2, AdaptiveLasso, ElasticNet, NoPenalty
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.scales import SCALES
from regsearch.models.linear.sources import Walked

Parts = list[tuple[Rows, Rows]]
METHODS = ["moments", "rows"]


def problem(n: int = 60, p: int = 8, seed: int = 0, rho: float = 0.4) -> tuple[Array, Array]:
    """Correlated columns with their own means and scales, and a target that half of them explain."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) + rho * rng.normal(size=(n, 1))
    coef = np.where(np.arange(p) % 2 == 0, rng.normal(size=p), 0.0)
    y = x @ coef / np.sqrt(p) + rng.normal(size=n) + 3.0
    return np.asfortranarray(x * rng.uniform(0.5, 3.0, p) + rng.normal(size=p)), y[:, None]


def splits(n: int, folds: int = 3) -> Parts:
    return list(KFold(folds, shuffle=True, random_state=0).split(np.empty(n)))


def design(
    x: Array, parts: Parts | None = None, weights: Array | None = None, missing: Missing | None = None
) -> Design:
    train, val = zip(*(parts or splits(x.shape[0])), strict=True)
    return Design(x, train, val, np.ones(x.shape[0]) if weights is None else weights, missing)


def joined(pieces: list[Piece]) -> tuple[Array, Array, Array, Array, Array]:
    """coef ``[K, S, p]``, intercept, gap, train and val ``[K, S]``."""
    coef = np.concatenate([piece.coef[..., 0] for piece in pieces], axis=1)
    intercept = np.concatenate([piece.intercept[..., 0] for piece in pieces], axis=1)
    gap = np.concatenate([piece.gap for piece in pieces], axis=1)
    losses = [np.concatenate([piece.losses[i] for piece in pieces if piece.losses], axis=1) for i in (0, 1)]
    return coef, intercept, gap, losses[0], losses[1]


def grid(solver: Gaussian, terms: Terms, count: int = 8, ratio: float = 1e-2, scale: str = "standard") -> Array:
    return np.geomspace(1.0, ratio, count) * terms.lambda_max(solver.gradient(scale))


def solved(
    d: Design, y: Array, terms: Terms, lambdas: Array | None = None, scale: str = "standard", **options: object
) -> tuple[Array, Array, Array, Array, Array]:
    solver = Gaussian(d, y, **options)  # type: ignore[arg-type]
    return joined(list(solver.path(terms, scale, grid(solver, terms, scale=scale) if lambdas is None else lambdas)))


def objective(d: Design, y: Array, terms: Terms, scale: str, coef: Array, intercept: Array, lambdas: Array) -> Array:
    """``[K, S]`` penalised loss of the training rows, read row by row."""
    values = np.empty(coef.shape[:2])
    for k in range(d.folds):
        matrix = d.fold(k).toarray() + d.shift if d.sparse else d.fold(k)
        residual = y - matrix @ coef[k].T - intercept[k]
        w = coef[k] * d.scales(scale)[k]
        fold = Terms(np.broadcast_to(terms.l1, (d.folds, d.shape[1], 1))[k], terms.l2)
        penalty = [fold.value(row[:, None], lambda_) for row, lambda_ in zip(w, lambdas, strict=True)]
        values[k] = d.fold_weights[k] @ residual**2 / 2 + penalty
    return values


def sklearn_path(
    x: Array, y: Array, d: Design, k: int, l1_ratio: float, lambdas: Array, scale: str = "standard"
) -> tuple[Array, Array]:
    """coef ``[S, p]`` and intercept ``[S]`` of scikit-learn on one fold's scaled training rows."""
    rows, scales = d.train[k], d.scales(scale)[k]
    safe = np.where(scales > 0, scales, 1.0)
    scaled = np.where(scales > 0, (x[rows] - x[rows].mean(axis=0)) / safe, 0.0)
    coef, intercept = [], []
    for lambda_ in lambdas:
        if l1_ratio == 0.0:
            model = Ridge(alpha=lambda_ * d.weights[rows].sum(), tol=1e-12)
        else:
            model = SklearnElasticNet(alpha=lambda_, l1_ratio=l1_ratio, tol=1e-12, max_iter=500_000)
        model.fit(scaled, y[rows, 0], sample_weight=d.weights[rows])
        coef.append(model.coef_ / safe)
        intercept.append(model.intercept_ - x[rows].mean(axis=0) @ coef[-1])
    return np.array(coef), np.array(intercept)


PENALTIES = {0.0: L2(), 0.5: ElasticNet(0.5), 1.0: L1()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("l1_ratio", PENALTIES)
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_matches_scikit_learn(method: str, l1_ratio: float, shape: tuple[int, int], as_sparse: bool) -> None:
    """Each fold's path is scikit-learn's on the scaled training rows, with fewer or more columns than rows."""
    x, y = problem(*shape)
    x[np.abs(x) < 0.5] = 0.0
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(x))
    d = design(sparse.csc_array(x) if as_sparse else x, weights=weights)
    solver = Gaussian(d, y, tol=1e-13, method=method)  # type: ignore[arg-type]
    terms = PENALTIES[l1_ratio].terms(lambda: solver.initial("standard"))
    lambdas = grid(solver, terms, 5, 0.05)
    coef, intercept, gap, train, val = joined(list(solver.path(terms, "standard", lambdas)))
    assert gap.max() <= 1e-12
    for k in range(d.folds):
        expected, offset = sklearn_path(x, y, d, k, l1_ratio, lambdas)
        np.testing.assert_allclose(coef[k], expected, atol=2e-5)
        np.testing.assert_allclose(intercept[k], offset, atol=1e-4)
        square = (y - x @ coef[k].T - intercept[k]) ** 2
        for part, losses in ((d.train[k], train), (d.val[k], val)):
            np.testing.assert_allclose(losses[k], np.average(square[part], axis=0, weights=weights[part]), rtol=1e-8)


@pytest.mark.parametrize("scale", ["minmax", "robust", "none"])
def test_scales(scale: str) -> None:
    """Every scaling is the same fit on columns divided otherwise."""
    x, y = problem()
    d = design(x)
    solver = Gaussian(d, y, tol=1e-13)
    lambdas = grid(solver, L1().terms(lambda: x), 4, scale=scale)
    coef, *_ = joined(list(solver.path(L1().terms(lambda: x), scale, lambdas)))
    np.testing.assert_allclose(coef[1], sklearn_path(x, y, d, 1, 1.0, lambdas, scale)[0], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_duplicate_columns(method: str) -> None:
    """Where the minimiser is not unique, the objective is still scikit-learn's."""
    x, y = problem()
    x = np.asfortranarray(np.hstack([x, x[:, :3], -x[:, :2]]))
    d, terms = design(x), L1().terms(lambda: x)
    lambdas = grid(Gaussian(d, y), terms, 5)
    coef, intercept, *_ = solved(d, y, terms, lambdas, tol=1e-10, method=method)
    theirs = [sklearn_path(x, y, d, k, 1.0, lambdas) for k in range(d.folds)]
    best, offset = (np.stack(part) for part in zip(*theirs, strict=True))
    expected = objective(d, y, terms, "standard", best, offset, lambdas)
    np.testing.assert_allclose(objective(d, y, terms, "standard", coef, intercept, lambdas), expected, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("penalty", [L1(), L2(), NoPenalty()])
def test_constant_columns(method: str, penalty: L1 | L2 | NoPenalty) -> None:
    """A column constant in training has coefficient 0 and changes nothing else."""
    x, y = problem()
    with_constant = np.asfortranarray(np.insert(x, 2, 0.1, axis=1))
    terms = penalty.terms(lambda: x)
    lambdas = np.array([0.3, 0.05])
    plain, *_ = solved(design(x), y, terms, lambdas, tol=1e-12, method=method)
    coef, *_ = solved(design(with_constant), y, terms, lambdas, tol=1e-12, method=method)
    assert np.all(coef[:, :, 2] == 0.0)
    np.testing.assert_allclose(np.delete(coef, 2, axis=2), plain, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("penalty", [L1(), L2()])
def test_missing_entries(method: str, penalty: L1 | L2) -> None:
    """Missing entries are imputed with the mean of each fold's own training rows."""
    x, y = problem()
    holes = np.random.default_rng(3).random(x.shape) < 0.15
    missing = Missing(*np.nonzero(holes))
    d = design(np.asfortranarray(np.where(holes, 0.0, x)), missing=missing)
    terms, lambdas = penalty.terms(lambda: x), np.array([0.3, 0.05])
    ours = solved(d, y, terms, lambdas, tol=1e-12, method=method)
    for k, (train, val) in enumerate(zip(d.train, d.val, strict=True)):
        with_nan = np.where(holes, np.nan, x)
        filled = np.asfortranarray(SimpleImputer().fit(with_nan[train]).transform(with_nan))
        alone = solved(design(filled, [(train, val)]), y, terms, lambdas, tol=1e-12, method=method)
        for mine, theirs in zip(ours, alone, strict=True):
            np.testing.assert_allclose(mine[k], theirs[0], atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("terms", [Terms(np.ones(1), 0.0), Terms(np.full(1, 0.3), 0.7)])
@pytest.mark.parametrize("shape", [(60, 8), (40, 30)])
def test_gap_bounds_the_suboptimality(method: str, terms: Terms, shape: tuple[int, int]) -> None:
    """However early descent stops, the objective is at most the reported gap above that of a very tight solve."""
    x, y = problem(*shape)
    d = design(x)
    lambdas = grid(Gaussian(d, y), terms)
    null = np.array([np.average((y[rows, 0] - y[rows, 0].mean()) ** 2) / 2 for rows in d.train])
    coef, intercept, *_ = solved(d, y, terms, lambdas, tol=1e-14)
    best = objective(d, y, terms, "standard", coef, intercept, lambdas)
    for tol, sweeps in ((1e-2, 1000), (1e-4, 1000), (1e-12, 2)):
        coef, intercept, gap, *_ = solved(d, y, terms, lambdas, method=method, tol=tol, max_sweeps=sweeps)
        excess = objective(d, y, terms, "standard", coef, intercept, lambdas) - best
        assert np.all(excess <= gap * null[:, None] + 1e-12)
        assert sweeps == 2 or np.all(gap <= tol)


@pytest.mark.parametrize("penalty", [L1(), L2(), ElasticNet(0.2), NoPenalty()])
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_moments_equal_residuals(penalty: L1 | L2 | ElasticNet | NoPenalty, shape: tuple[int, int]) -> None:
    """Both sources of inner products give one path, losses included."""
    x, y = problem(*shape)
    terms = penalty.terms(lambda: x)
    lambdas = grid(Gaussian(design(x), y), terms, 6, 0.05)
    a, b = (solved(design(x), y, terms, lambdas, tol=1e-12, method=method) for method in METHODS)
    for ours, theirs in zip(a, b, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_order_of_trials_does_not_matter(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is the same to the last bit whether it is the first of a study or comes after others, at any scaling."""
    monkeypatch.setattr(gaussian, "WHOLE", 10)
    x, y = problem(50, 40)
    penalties = [(L1(), "standard"), (L2(), "none"), (ElasticNet(0.2), "none")]
    trials = [(penalty.terms(lambda: x), scale) for penalty, scale in penalties]
    fresh = [solved(design(x), y, terms, scale=scale, method=method) for terms, scale in trials]
    solver = Gaussian(design(x), y, method=method)  # type: ignore[arg-type]
    for (terms, scale), expected in reversed(list(zip(trials, fresh, strict=True))):
        ours = joined(list(solver.path(terms, scale, grid(solver, terms, scale=scale))))
        for mine, theirs in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("method", METHODS)
def test_chunks_do_not_matter(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces, joined, are the path solved in one go."""
    x, y = problem(40, 30)
    terms = L1().terms(lambda: x)
    whole = solved(design(x), y, terms, tol=1e-12, method=method)
    monkeypatch.setattr(gaussian, "WHOLE", 10)
    monkeypatch.setattr(gaussian, "CHUNK", 3)
    solver = Gaussian(design(x), y, tol=1e-12, method=method)  # type: ignore[arg-type]
    pieces = list(solver.path(terms, "standard", grid(solver, terms)))
    assert [piece.coef.shape[1] for piece in pieces] == [3, 3, 2]
    for mine, theirs in zip(joined(pieces), whole, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_one_lambda_equals_its_path(method: str) -> None:
    """A lambda asked for alone gets the solution that it has on a path."""
    x, y = problem(40, 30)
    terms = L1().terms(lambda: x)
    lambdas = grid(Gaussian(design(x), y), terms)
    path = solved(design(x), y, terms, lambdas, tol=1e-12, method=method)
    alone = solved(design(x), y, terms, lambdas[-1:], tol=1e-12, method=method)
    for mine, theirs in zip(alone, path, strict=True):
        assert mine.shape[1] == 1
        np.testing.assert_allclose(mine[:, 0], theirs[:, -1], atol=1e-5)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(9, 40),
    p=st.integers(1, 50),
    l1=st.floats(0.05, 1.0),
    ratio=st.floats(0.02, 1.0),
    method=st.sampled_from(METHODS),
)
def test_optimality_conditions(seed: int, n: int, p: int, l1: float, ratio: float, method: str) -> None:
    """At every solution the loss gradient lies in the penalty's subdifferential, per fold and column."""
    x, y = problem(n, p, seed)
    d = design(x)
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((d.folds, p, 1)) < 0.1, np.inf, rng.uniform(0.5, 2.0, (d.folds, p, 1)))
    terms = Terms(l1 * weights, 1.0 - l1)
    solver = Gaussian(d, y, tol=1e-13, method=method)  # type: ignore[arg-type]
    lambda_ = ratio * terms.lambda_max(solver.gradient("standard")) or 1.0
    coef, intercept, gap, *_ = joined(list(solver.path(terms, "standard", np.array([lambda_]))))
    assert gap.max() <= 1e-12
    for k, rows in enumerate(d.train):
        scales = d.scales("standard")[k]
        residual = y[rows, 0] - x[rows] @ coef[k, 0] - intercept[k, 0]
        slope = np.where(scales > 0, residual @ (x[rows] - x[rows].mean(axis=0)) / np.maximum(scales, 1e-300), 0)
        slope = slope / len(rows) - lambda_ * terms.l2 * coef[k, 0] * scales
        bound = lambda_ * terms.l1[k, :, 0]
        used = coef[k, 0] != 0
        assert abs(residual.mean()) < 1e-8
        assert np.all(coef[k, 0][np.isinf(bound)] == 0)
        assert np.all(np.abs(slope) <= bound + 1e-5)
        np.testing.assert_allclose(slope[used], np.sign(coef[k, 0, used]) * bound[used], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("penalty", [L1(), L2(), AdaptiveLasso(1.0)])
def test_only_training_rows_count(method: str, penalty: L1 | L2 | AdaptiveLasso) -> None:
    """Whatever is done to the held-out rows of a fold, its coefficients stay."""
    x, y = problem(40, 12)
    d = design(x)
    changed, target = x.copy(order="F"), y.copy()
    changed[d.val[0]] = 100 * changed[d.val[0]] + 7
    target[d.val[0]] -= 1000
    fits = []
    for data, goal in ((x, y), (changed, target)):
        solver = Gaussian(design(data), goal, method=method)  # type: ignore[arg-type]
        terms = penalty.terms(partial(solver.initial, "standard"))
        terms = Terms(np.broadcast_to(terms.l1, (3, 12, 1)), terms.l2)
        fits.append(joined(list(solver.path(terms, "standard", np.array([1.0, 0.1, 0.01]))))[0][0])
    np.testing.assert_allclose(fits[0], fits[1], atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_no_penalty_is_least_squares(method: str, shape: tuple[int, int]) -> None:
    """At strength zero the fit is `numpy.linalg.lstsq`'s: least squares, of minimum norm where not unique."""
    x, y = problem(*shape)
    x = np.asfortranarray(np.hstack([x, x[:, :1]]))
    d = design(x)
    solver = Gaussian(d, y, method=method)  # type: ignore[arg-type]
    (piece,) = solver.path(NoPenalty().terms(lambda: x), "standard", np.array([0.0]))
    for k, rows in enumerate(d.train):
        scaled = (x[rows] - x[rows].mean(axis=0)) / d.scales("standard")[k]
        expected, _, rank, _ = np.linalg.lstsq(scaled, y[rows] - y[rows].mean(), rcond=1e-10)
        np.testing.assert_allclose(piece.coef[k, 0] * d.scales("standard")[k][:, None], expected, atol=1e-8)
        assert piece.complexity[k, 0] == pytest.approx(rank)
    assert piece.gap.max() < 1e-12


@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_initial_minimises_gcv(shape: tuple[int, int]) -> None:
    """The initial estimate is a ridge fit, and no lambda of a finer grid has much less GCV error."""
    x, y = problem(*shape)
    d = design(x)
    solver = Gaussian(d, y)
    initial = solver.initial("standard")
    lambdas = np.geomspace(1e4, 1e-4, 400)
    (*pieces,) = solver.path(L2().terms(lambda: x), "standard", lambdas)
    coef, _, _, train, _ = joined(pieces)
    freedom = np.concatenate([piece.complexity for piece in pieces], axis=1)
    for k, rows in enumerate(d.train):
        gcv = train[k] / (1 - (1 + freedom[k]) / len(rows)) ** 2
        distance = np.linalg.norm(coef[k] * d.scales("standard")[k] - initial[k, :, 0], axis=1)
        assert gcv[distance.argmin()] <= 1.02 * gcv.min()


@pytest.mark.parametrize(
    ("splitter", "count"),
    [(KFold(4), 1), (TimeSeriesSplit(4), 1), (RepeatedKFold(n_splits=4, n_repeats=2, random_state=0), 2)],
)
def test_blocks(splitter: KFold, count: int) -> None:
    """Plain and time-ordered splits are read once, repeated ones once per repetition, and the parts are exact."""
    x, y = problem()
    parts = list(splitter.split(x))
    d = design(x, parts)
    assert len(list(groups(d))) == count
    terms = L1().terms(lambda: x)
    for mine, theirs in zip(*(solved(d, y, terms, tol=1e-12, method=method) for method in METHODS), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_refit_and_random_splits() -> None:
    """A fold may hold nothing out, and folds may overlap in any way."""
    x, y = problem()
    everything = np.arange(len(x))
    parts = [(everything, everything[:0]), *ShuffleSplit(4, test_size=0.2, train_size=0.5, random_state=0).split(x)]
    d, terms = design(x, parts), L1().terms(lambda: x)
    a, b = (solved(d, y, terms, tol=1e-12, method=method) for method in METHODS)
    assert np.isnan(a[4][0]).all()
    assert np.isnan(b[4][0]).all()
    for mine, theirs in zip(a, b, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_constant_target() -> None:
    """A target without variance is fitted by the intercept alone, with no gap."""
    x, _ = problem()
    coef, intercept, gap, *_ = solved(design(x), np.full((60, 1), 0.1), L1().terms(lambda: x), np.array([1.0, 0.1]))
    assert np.all(coef == 0)
    np.testing.assert_allclose(intercept, 0.1)
    np.testing.assert_allclose(gap, 0.0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_lambda_zero_is_no_penalty(method: str) -> None:
    """At lambda zero, alone or as the end of a path, an L1 part changes nothing: the fit is least squares."""
    x, y = problem()
    plain, *_ = solved(design(x), y, NoPenalty().terms(lambda: x), np.zeros(1), method=method)
    for lambdas in (np.zeros(1), np.array([0.1, 0.0])):
        coef, *_ = solved(design(x), y, L1().terms(lambda: x), lambdas, method=method)
        assert coef.shape[1] == len(lambdas)
        np.testing.assert_array_equal(coef[:, -1], plain[:, 0])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("mean", [1e6, 1e8])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("l1_ratio", PENALTIES)
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_sparse_columns_far_from_zero(
    l1_ratio: float, shape: tuple[int, int], method: str, mean: float, scale: str
) -> None:
    """A sparse matrix with a column like a timestamp is fitted as its dense copy is."""
    x, y = problem(*shape)
    x[:, 1:][np.abs(x[:, 1:]) < 0.7] = 0.0
    x[:, 0] += mean
    terms = PENALTIES[l1_ratio].terms(lambda: x)
    dense, other = design(x), design(sparse.csc_array(x))
    lambdas = grid(Gaussian(dense, y), terms, scale=scale)
    fits = []
    for d in (dense, other):
        coef, intercept, _, *losses = solved(d, y, terms, lambdas, scale, tol=1e-10, method=method)
        fits.append((coef, intercept + np.einsum("ksp,kp->ks", coef, d.centers), *losses))
    for one, two in zip(*fits, strict=True):  # the intercept itself is a difference of numbers as large as the mean
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dense.scales(scale), other.scales(scale), rtol=1e-6)
    np.testing.assert_allclose(dense.centers, other.centers, rtol=1e-12)


@pytest.mark.parametrize("sweeps", [descent.SWEEPS, 1])
@pytest.mark.parametrize("shape", [(60, 8), (30, 45)])
def test_plain_python_kernels_agree(shape: tuple[int, int], sweeps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without numba the kernels give the same numbers, by sweeps or on supports."""
    monkeypatch.setattr(descent, "SWEEPS", sweeps)
    x, y = problem(*shape)
    terms = L1().terms(lambda: x)
    fast = solved(design(x), y, terms, tol=1e-12)
    modules = (kernels, support, descent, gaussian)
    for name, kernel in [pair for module in modules for pair in vars(module).items()]:
        for module in modules:
            if hasattr(kernel, "py_func") and hasattr(module, name):
                monkeypatch.setattr(module, name, kernel.py_func)
    for mine, theirs in zip(solved(design(x), y, terms, tol=1e-12), fast, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("scale", ["standard", "none"])
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_points_between_others_have_the_losses_that_they_would_have_alone(scale: str, l1_ratio: float) -> None:
    """Along a path of few columns in use, many, and points that stay between others, further lambdas included."""
    x, y = problem(400, 60)
    solver, terms = Gaussian(design(x), y, method="moments"), PENALTIES[l1_ratio].terms(lambda: x)
    lambdas = grid(solver, terms, 60, 1e-4, scale)
    pieces = list(solver.path(terms, scale, lambdas[:50], lambdas[50:]))
    coef, *_, train, val = joined(pieces)
    w = coef * solver.design.scales(scale)[:, None]
    for found, alone in zip((train, val), solver.source.losses(range(3), w, scale), strict=True):
        np.testing.assert_allclose(found, alone, rtol=1e-12)
    for k, (rows, held) in enumerate(zip(solver.design.train, solver.design.val, strict=True)):
        means = x[rows].mean(axis=0), y[rows].mean()
        left = y[held] - means[1] - (x[held] - means[0]) @ coef[k].T
        np.testing.assert_allclose(val[k], (left**2).mean(axis=0), rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [12, 450])
def test_a_fold_that_starts_far_below_others_has_the_losses_of_its_coefficients(method: str, p: int) -> None:
    """One whose training rows hardly relate to y uses no column at the first lambdas."""
    x, _ = problem(90, p)
    d, y = design(x), 0.3 * x[:, :1] + 0.3 * np.random.default_rng(1).normal(size=(90, 1))
    y[d.val[0], 0] += 6 * x[d.val[0], 1]
    solver, terms = Gaussian(d, y, method=method), L1().terms(lambda: x)  # type: ignore[arg-type]
    tops = np.abs(solver.gradient("standard")).max(axis=(1, 2))
    assert tops[0] < tops.max() / 4
    coef, intercept, _, *losses = joined(list(solver.path(terms, "standard", grid(solver, terms, 60))))
    for k, parts in enumerate(zip(d.train, d.val, strict=True)):
        square = (y - x @ coef[k].T - intercept[k]) ** 2
        for rows, found in zip(parts, losses, strict=True):
            np.testing.assert_allclose(found[k], square[rows].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("off", [0.0, 1e-15, 1e-6])
def test_gradients_that_were_kept_count_for_no_more_than_rounding(off: float) -> None:
    """Those that are off by more at the last step are formed anew."""
    source = Gaussian(design(problem(60, 8)[0]), problem(60, 8)[1], method="moments").source
    folds = range(len(source.power))
    w = np.random.default_rng(0).normal(size=(len(folds), 4, 8))
    exact = source.evaluate(folds, w, "standard")
    before = np.zeros((len(folds), 2, 8))
    plan, along, own = np.empty((0, 3), dtype=np.intp), np.empty((len(folds), 0)), np.ones((len(folds), 6), dtype=bool)
    kept = np.concatenate([before, exact.gradient + off], axis=1)
    walked = Walked(np.concatenate([before, w], axis=1), kept, plan, along, own)
    found = source.evaluate(folds, w, "standard", walked=walked)
    np.testing.assert_allclose(found.gradient, exact.gradient, atol=1e-14)
    np.testing.assert_allclose(found.train, exact.train, rtol=1e-12)
