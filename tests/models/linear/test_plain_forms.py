"""What takes the place of compiled loops where numba is not installed, against these."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from regsearch.models.linear import (
    counts,
    fold_rows,
    kernels,
    leaps,
    log_kernels,
    points,
    read_columns,
    scales,
    working_columns,
)

pytest.importorskip("numba", reason="without it there is nothing else")
RANDOM = np.random.default_rng(0)
TURNED = RANDOM.normal(3.0, 2.0, (7, 30))


def test_what_ridge_spends_is_the_same() -> None:
    """Degrees of freedom at several strengths, one of them zero."""
    values, strengths = RANDOM.uniform(0.1, 5.0, 9), np.array([0.0, 0.3, 10.0])
    np.testing.assert_allclose(kernels.ridge_freedom(values, strengths), kernels._all_freedom(values, strengths))


def test_the_curvature_of_those_that_move_is_the_same() -> None:
    """Rows and columns of a matrix in an order of their own, in its precision."""
    some = np.array([4, 0, 2])
    for kind in (np.float32, np.float64):
        gram = (TURNED @ TURNED.T).astype(kind)
        found = leaps.among(gram, some)
        assert found.dtype == kind
        np.testing.assert_array_equal(found, leaps._all_among(gram, some))


def test_columns_of_a_fold_are_the_same_in_either_precision() -> None:
    """Centred, scaled and weighted, to the rounding of what is asked for."""
    some, rows = np.array([5, 1, 6]), np.array([3, 4, 9, 20])
    of = some, rows, TURNED.mean(axis=1)[some], RANDOM.uniform(size=3), RANDOM.uniform(size=4)
    for kind in (np.float32, np.float64):
        found, expected = np.empty((3, 4), kind), np.empty((3, 4), kind)
        fold_rows.write_columns(TURNED, *of, found)
        fold_rows._write_all(TURNED, *of, expected)
        np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(kind).eps)


def test_columns_are_measured_alike_in_blocks_some_of_which_are_empty() -> None:
    """Means, squares and ends of blocks of rows, by shares."""
    order, edges = RANDOM.permutation(30)[:25], np.array([0, 10, 10, 11, 25])
    share = np.concatenate([weights / weights.sum() for weights in (RANDOM.uniform(size=n) for n in (10, 1, 14))])
    found, expected = np.zeros((5, 4, 7)), np.zeros((5, 4, 7))
    scales.measure_blocks(TURNED, order, edges, share, found)
    scales._measure_all(TURNED, order, edges, share, expected)
    np.testing.assert_allclose(found[:, [0, 2, 3]], expected[:, [0, 2, 3]], rtol=1e-12, atol=1e-14)


def test_penalties_are_the_same() -> None:
    """Of coefficients some of which are zero, one of these excluded."""
    w, l1 = np.array([0.5, 0.0, -2.0, 0.0]), np.array([1.0, np.inf, 0.3, 0.0])
    expected = 0.4 * (0.5 + 0.6 + 0.7 / 2 * 4.25)
    for penalty in (kernels.penalty, kernels._whole_penalty):
        assert penalty(w, l1, 0.7, 0.4) == pytest.approx(expected, rel=1e-14)


def test_products_of_columns_that_are_read_are_the_same() -> None:
    """Decisions on some rows, and slopes of residuals that others have none of."""
    columns, rows, residual = np.array([5, 1, 6, 0, 2]), np.array([3, 4, 9, 20, 28]), RANDOM.normal(size=5)
    of = TURNED, columns, TURNED.mean(axis=1)[columns], RANDOM.uniform(size=5), rows
    w, found, expected = np.array([0.3, -1.0, 0.2, 0.7, 1.1]), np.empty(5), np.empty(5)
    read_columns.add_up(*of, w, np.zeros(30), found)
    read_columns._add_up(*of, w, np.zeros(30), expected)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    read_columns.multiply(*of, residual, np.zeros(30), found)
    read_columns._multiply(*of, residual, np.zeros(30), expected)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("far", [0.0, 800.0])
def test_what_rows_of_counts_say_is_the_same(far: float) -> None:
    """Settled decisions, duals and what models foretell, where means are finite and where they are not."""
    eta, y, weights = (
        RANDOM.normal(size=(2, 9)) + far * np.eye(2, 9),
        RANDOM.poisson(1.5, 9).astype(float),
        np.full(9, 1 / 9),
    )
    made = [[np.zeros((2, 9)), np.zeros((2, 9)), np.zeros(2), np.zeros(2)] for _ in range(2)]
    for settle, into in zip((counts.settle, counts._all_settled), made, strict=True):
        settle(eta, y, weights, float(y @ weights), *into)
    for found, expected in zip(*made, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    residual, shrink, duals = y - RANDOM.gamma(1.0, size=(2, 9)), np.array([1.0, 0.6]), np.empty((2, 2))
    for add_up, dual in zip((counts.add_up_duals, counts._all_duals), duals, strict=True):
        add_up(residual, shrink, y, weights, dual)
    np.testing.assert_allclose(*duals, rtol=1e-12)
    rows, ahead, told = RANDOM.uniform(size=9), RANDOM.normal(size=9), np.empty((2, 9))
    for size in (0.0, 100.0, np.nan):
        reached = [
            tell(residual[0], rows, size * ahead, 1 / weights, y, into)
            for tell, into in zip((counts.tell, counts._all_told), told, strict=True)
        ]
        assert reached == [size == 0] * 2
        np.testing.assert_allclose(*told, rtol=1e-12)


def test_the_log_loss_and_its_dual_are_the_same() -> None:
    """Probabilities and losses of decisions near and far, entropies between targets and these, how they are moved to
    the targets' mean, and what gradients that are too large are shrunk by, of rows whose weights are alike or not.
    """
    eta = np.concatenate([RANDOM.normal(0.0, 3.0, (2, 1200)), [[-800.0, 800.0, 0.0], [40.0, -40.0, 1e-9]]], axis=1)
    y = (RANDOM.uniform(size=1203) < 0.4).astype(float)
    weights = np.where(np.arange(1203) < 1000, 1.0, RANDOM.uniform(0.0, 2.0, 1203)) / 1203
    p, loss = log_kernels.logistic(eta, y, weights)
    expected = log_kernels._all_logistic(eta, y, weights)
    np.testing.assert_allclose(p, expected[0], rtol=1e-14)
    np.testing.assert_allclose(loss, expected[1], rtol=1e-13)
    of = p, y, weights, np.array([0.01, -0.02]), 0.4, np.array([0.0, 0.1]), np.array([1.0, 0.7])
    np.testing.assert_allclose(log_kernels.entropies(*of), log_kernels.all_entropies(*of), rtol=1e-12)
    for found, other in zip(log_kernels.feasible(p, y, weights), log_kernels._all_feasible(p, y, weights), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-10)
    limits = np.array([[0.5, np.inf, 0.0, 1.0, 0.8], [0.1, 9.0, np.inf, 0.0, 0.2]])
    gradients = RANDOM.normal(size=(2, 5)), RANDOM.normal(size=5), limits, np.array([0.0, 0.3])
    for found, other in zip(log_kernels.shrinks(*gradients), log_kernels._all_shrinks(*gradients), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-13)


@pytest.mark.parametrize("count", [1, 4, 5, 7])
def test_products_of_sparse_columns_with_a_few_are_the_same(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of fewer vectors than are multiplied at a time, as many, and more; among the columns is one without entries."""
    matrix, few = sparse.random(30, 8, 0.3, format="csc", random_state=0), RANDOM.normal(size=(count, 30))
    matrix.data[matrix.indptr[2] : matrix.indptr[3]] = 0.0
    matrix.eliminate_zeros()
    expected = few @ matrix.toarray()
    np.testing.assert_allclose(working_columns.times(few, matrix), expected, atol=1e-14)
    monkeypatch.setattr(working_columns, "fives", working_columns._all_fives)
    np.testing.assert_allclose(working_columns.times(few, matrix), expected, atol=1e-14)


def test_coefficients_of_columns_are_the_same() -> None:
    """By those of scaled ones, with what they make of centers."""
    w, inverse, centers = RANDOM.normal(size=(4, 7)), RANDOM.uniform(size=7), RANDOM.normal(size=7)
    made = [(np.empty((4, 7)), np.empty(4)) for _ in range(2)]
    for divide, into in zip((points.divide, points._divide_all), made, strict=True):
        divide(w, inverse, centers, *into)
    for found, expected in zip(*made, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)
