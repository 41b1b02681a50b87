"""Few columns, all of which are worked on from the first lambda on, against working sets on the same folds."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch._types import Array
from regsearch.data.encoding import Missing
from regsearch.models.linear import few_columns
from regsearch.models.linear.design import Design, Piece
from regsearch.models.linear.glm import Glm
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.losses import Cox, Gamma, Poisson
from regsearch.models.linear.penalty import Terms

N, P, FOLDS = 150, 9, 3
KINDS = ["odds", "poisson", "gamma", "cox"]
EXACT = 1e-11


def data(kind: str, seed: int = 0) -> tuple[Array, Array]:
    """Correlated columns, one of them constant, and a target ``[n, 1]`` that some of them explain."""
    rng = np.random.default_rng(seed)
    x = np.asfortranarray(rng.normal(size=(N, P)) + 0.5 * rng.normal(size=(N, 1)))
    x[:, 4] = 2.0
    eta = x[:, :3] @ [0.6, -0.4, 0.3]
    y = {
        "odds": lambda: (rng.random(N) < 1 / (1 + np.exp(-eta))).astype(float),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
        "gamma": lambda: rng.gamma(2, np.exp(eta) / 2),
        "cox": lambda: rng.exponential(np.exp(-eta)) * np.where(rng.random(N) < 0.7, 1, -1),
    }[kind]()
    return x, y[:, None]


def solver(kind: str, x: Array, y: Array, missing: Missing | None = None, tol: float = EXACT) -> LogLoss:
    rows = np.random.default_rng(3).permutation(N)
    val = tuple(np.sort(rows[k::FOLDS]) for k in range(FOLDS))
    train = tuple(np.setdiff1d(rows, part) for part in val)
    design = Design(x, train, val, np.random.default_rng(4).uniform(0.5, 1.5, N), missing)
    if kind == "odds":
        return LogLoss(design, y, tol)
    offset = np.broadcast_to(0.3 * np.sin(np.arange(N)), (FOLDS, N)) if kind == "poisson" else None
    return Glm(design, y, {"poisson": Poisson(), "gamma": Gamma(), "cox": Cox("breslow")}[kind], tol, offset=offset)


def joined(pieces: list[Piece]) -> tuple[Array, Array, Array]:
    """Coefficients ``[K, S, p]``, intercepts ``[K, S]`` and gaps ``[K, S]``."""
    coef = np.concatenate([piece.coef[..., 0] for piece in pieces], axis=1)
    intercept = np.concatenate([piece.intercept[..., 0] for piece in pieces], axis=1)
    return coef, intercept, np.concatenate([piece.gap for piece in pieces], axis=1)


def fitted(of: LogLoss, terms: Terms, points: int = 23) -> tuple[Array, Array, Array]:
    top = terms.lambda_max(of.gradient("standard"))
    return joined(list(of.path(terms, "standard", np.geomspace(1, 1e-3, points) * top)))


EACH = np.array([1.0, 0.0, np.inf, *np.ones(P - 3)])  # the second is not penalised, the third left out
TERMS = {
    "l1": Terms(np.ones((1, 1)), 0.0),
    "elastic net": Terms(np.full((1, 1), 0.7), 0.3),
    "one free, one left out": Terms(EACH[:, None], 0.1),
}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_fits_are_those_of_working_sets(kind: str, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every point of every fold is the minimum that sets which grow find, and is certified."""
    x, y = data(kind)
    assert few_columns.are_few(solver(kind, x, y))
    coef, intercept, gap = fitted(solver(kind, x, y), terms)
    monkeypatch.setattr(few_columns, "FEW_COLUMNS", 0)
    assert not few_columns.are_few(solver(kind, x, y))
    other, at, least = fitted(solver(kind, x, y), terms)
    assert max(gap.max(), least.max()) <= 1.5 * EXACT
    np.testing.assert_allclose(coef, other, atol=2e-5)
    np.testing.assert_allclose(intercept, at, atol=2e-5)
    assert np.all(coef[..., 4] == 0)
    assert np.all(coef[..., 2] == 0) == bool(np.isinf(np.broadcast_to(terms.l1, (P, 1))[2, 0]))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_of_points_changes_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rows of all points would be much beside the data, they are made anew, and lead to the same fits."""
    x, y = data(kind)
    held = fitted(solver(kind, x, y), TERMS["l1"])
    monkeypatch.setattr(few_columns, "POINTS", 10**9)
    for one, other in zip(held[:2], fitted(solver(kind, x, y), TERMS["l1"])[:2], strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("few", [few_columns.FEW_COLUMNS, 0])
@pytest.mark.parametrize("kind", ["odds", "poisson"])
def test_gaps_hold_where_lambdas_are_nearly_equal(kind: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two points that are nearly one lead to is told by its coefficients, not by what rounding makes of rows."""
    monkeypatch.setattr(few_columns, "FEW_COLUMNS", few)
    for seed in range(4):
        x, y = data(kind, seed)
        usual, best, terms = solver(kind, x, y, tol=1e-6), solver(kind, x, y), TERMS["l1"]
        lambdas = np.geomspace(1, 1e-2, 20) * terms.lambda_max(best.gradient("standard"))
        for at in (2, 7, 11):
            lambdas[at + 1], lambdas[at + 2] = lambdas[at] * (1 - 1e-13), lambdas[at] * (1 - 1e-10)
        found, exact = (list(of.path(terms, "standard", lambdas)) for of in (usual, best))
        above = objectives(best, found, lambdas) - objectives(best, exact, lambdas)
        assert np.all(above <= (joined(found)[2] + 1e-9) * best.null[:, None])


def test_columns_are_few_beside_the_rows() -> None:
    """Of more than half as many as a fold trains on, few are in use for most of a path: sets of them are quicker."""
    x, y = data("odds")
    wide = np.asfortranarray(np.random.default_rng(0).normal(size=(N, N // 3 + 1)))
    assert few_columns.are_few(solver("odds", x, y))
    assert few_columns.are_few(solver("odds", wide[:, : N // 3], y))
    assert not few_columns.are_few(solver("odds", wide, y))


def test_copies_of_columns_are_let_go_between_lambdas() -> None:
    """A matrix that lies by rows has its columns copied for one fold after another, and for none while others wait."""
    x, y = data("odds")
    of = solver("odds", np.ascontiguousarray(x), y)
    fits = few_columns.FewColumns(of, TERMS["l1"], "standard")
    fits.advance(np.array([0.1, 0.05]), 1e-6)
    assert all(one is not None and "columns" not in vars(one) for one in fits.newton)


def test_missing_entries_are_filled_for_each_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds that fill a matrix that they share in turn have fits of their own entries."""
    x, y = data("poisson")
    holes = np.random.default_rng(5).random(x.shape) < 0.1
    holes[:, 4] = False
    x[holes] = 0.0

    def made() -> LogLoss:
        return solver("poisson", x.copy(order="F"), y, Missing(*np.nonzero(holes)))

    coef = fitted(made(), TERMS["l1"])[0]
    monkeypatch.setattr(few_columns, "FEW_COLUMNS", 0)
    np.testing.assert_allclose(coef, fitted(made(), TERMS["l1"])[0], atol=2e-5)


@pytest.mark.parametrize("few", [few_columns.FEW_COLUMNS, 0])
@pytest.mark.parametrize("kind", KINDS)
def test_gaps_of_a_search_bound_how_far_points_are_above_the_minimum(
    kind: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the tolerance of a search, where models certify points, objectives are within their gaps of exact ones."""
    monkeypatch.setattr(few_columns, "FEW_COLUMNS", few)
    x, y = data(kind)
    usual, best, terms = solver(kind, x, y, tol=1e-6), solver(kind, x, y), TERMS["l1"]
    lambdas = np.geomspace(1, 1e-3, 23) * terms.lambda_max(best.gradient("standard"))
    found, exact = (list(of.path(terms, "standard", lambdas)) for of in (usual, best))
    gap = joined(found)[2]
    above = objectives(best, found, lambdas) - objectives(best, exact, lambdas)
    assert gap.max() <= 1.5e-6
    assert np.all(above <= (gap + 2 * EXACT) * best.null[:, None])


def objectives(of: LogLoss, pieces: list[Piece], lambdas: Array) -> Array:
    """``[K, S]`` penalised losses of a lasso path."""
    coef = joined(pieces)[0] * of.design.scales("standard")[:, None]
    losses = [of.training_losses(piece.point(step)) for piece in pieces for step in range(piece.steps)]
    return np.asarray(np.stack(losses, axis=1) + lambdas * np.abs(coef).sum(axis=2))
