"""Columns that are read where they lie, against copies of them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from regsearch import L1, Linear, Path, Poisson
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear import read_columns
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.glm import BasisColumns
from regsearch.models.linear.glm_ridge import dual_basis, primal_basis
from regsearch.models.linear.read_columns import ReadColumns
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.working_columns import ColumnsInPlay, WorkingColumns, columns_in_play

N, P = 400, 45
RANDOM = np.random.default_rng(0)
ROWS = np.sort(RANDOM.permutation(N)[:300])
WEIGHTS = RANDOM.uniform(0.5, 1.5, len(ROWS))
SHARE = WEIGHTS / WEIGHTS.sum()


def both(columns: Any, far: float = 0.0) -> tuple[ColumnsInPlay, ColumnsInPlay]:
    """Some columns that are read, and copies of them."""
    matrix = np.asfortranarray(RANDOM.normal(size=(N, P)) + far)
    center, inverse = SHARE @ matrix[ROWS], RANDOM.uniform(0.5, 2.0, P)
    some = np.asarray(columns, dtype=np.intp)
    of = matrix, ROWS, some, center[some], inverse[some], Room()
    read, copied = columns_in_play(*of, in_place=True), columns_in_play(*of)
    assert isinstance(read, ReadColumns)
    assert isinstance(copied, WorkingColumns)
    return read, copied


def assert_alike(one: ColumnsInPlay, other: ColumnsInPlay, atol: float = 1e-12) -> None:
    """All that Newton steps of one output ask for."""
    count, rows = len(other.shift), len(ROWS)
    w, factor = RANDOM.normal(size=(1, count)) * (RANDOM.random((1, count)) < 0.6), np.sqrt(SHARE)[None]
    residual, some = RANDOM.normal(size=(1, rows)) / rows, RANDOM.random(count) < 0.7
    alike: list[tuple[Array, Array]] = [
        (one.predict(w), other.predict(w)),
        (one.correlate(residual), other.correlate(residual)),
        (one.sums(SHARE), other.sums(SHARE)),
        (one.gram(SHARE, some, Rooms()), other.gram(SHARE, some, Rooms())),
        *zip(*(of.products(factor, some[None], Rooms()) for of in (one, other)), strict=True),
        (one.mapped(lambda columns: columns @ columns[:1].T), other.mapped(lambda columns: columns @ columns[:1].T)),
    ]
    if count:
        for mine, theirs in alike:
            np.testing.assert_allclose(mine, theirs, atol=atol)
    np.testing.assert_array_equal(one.shift, other.shift)


@pytest.mark.parametrize("columns", [[], [3], [0, 1, 2, 3], [1, 4, 5, 9, 40], range(P)])
def test_columns_that_are_read_are_those_that_are_copied(columns: Any) -> None:
    """Whatever their number, as four are read at a time, and however far they are from zero."""
    for far in (0.0, 1e6):
        read, copied = both(columns, far)
        assert_alike(read, copied)
        new = np.arange(len(columns))[::3]
        np.testing.assert_allclose(read.across(SHARE, new, Room()), copied.across(SHARE, new, Room()), atol=1e-12)


def test_columns_are_read_for_several_outputs_at_once() -> None:
    """Products of several outputs, each with columns of its own in play, are those of copies."""
    read, copied = both(range(1, P, 2))
    m, count = 3, len(copied.shift)
    w, residual = RANDOM.normal(size=(m, count)), RANDOM.normal(size=(m, len(ROWS))) / len(ROWS)
    np.testing.assert_allclose(read.predict(w), copied.predict(w), atol=1e-12)
    np.testing.assert_allclose(read.correlate(residual), copied.correlate(residual), atol=1e-12)
    factors, mask = RANDOM.random((m, len(ROWS))), RANDOM.random((m, count)) < 0.6
    for mine, theirs in zip(*(one.products(factors, mask, Rooms()) for one in (read, copied)), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-10)


def test_whole_arrays_do_the_same_where_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loops over numbers have plain counterparts."""
    read, copied = both(range(1, P))
    for name, plain in {"add_up": "_add_up", "multiply": "_multiply", "copied": "_copy"}.items():
        monkeypatch.setattr(read_columns, name, getattr(read_columns, plain))
    assert_alike(read, copied)


def test_columns_are_copied_where_a_fold_trains_on_few_rows() -> None:
    """Reading all of them would take longer then, and a copy is small."""
    matrix, few = np.asfortranarray(RANDOM.normal(size=(N, P))), np.arange(N // 4)
    of = np.arange(P), np.zeros(P), np.ones(P), Room()
    assert isinstance(columns_in_play(matrix, few, *of, in_place=True), WorkingColumns)


@pytest.mark.parametrize("p", [20, 2 * len(ROWS)])
def test_columns_of_a_basis_are_those_that_are_made_of_it(p: int) -> None:
    """With fewer columns than rows, and with more."""
    matrix = np.asfortranarray(RANDOM.normal(size=(N, p)) + 1)
    make = primal_basis if p < len(ROWS) else dual_basis
    basis = make(matrix, ROWS, SHARE @ matrix[ROWS], np.full(p, 0.5), SHARE)
    made = np.ascontiguousarray(basis.predict(np.eye(len(basis.values))))
    assert_alike(BasisColumns(basis), WorkingColumns(made, np.zeros(len(made))), 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [False, True])
def test_a_path_copies_no_columns(classes: bool) -> None:
    """Of many rows a path holds little beside X by columns, and so does the fit without a penalty behind it."""
    x = np.random.default_rng(0).normal(size=(6000, 160))
    signal = x[:, :80].sum(axis=1) / 9
    y = (signal > 0).astype(int) if classes else np.random.default_rng(1).poisson(np.exp(signal))
    problem, loss = make_problem(x, y), None if classes else Poisson()
    setup = Setup(problem, make_folds(4, problem, 0), resolve(None, problem))

    def trial(lambda_: Any) -> None:
        LinearBackend(setup, (loss,)).evaluate(Candidate(0, Linear(L1(), lambda_, "none", loss=loss)))

    trial(0.1)  # compiles, and makes X by columns
    for lambda_ in (Path(8, ratio=1e-2),) if classes else (Path(8, ratio=1e-2), 0.0):
        tracemalloc.start()
        trial(lambda_)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.8 * x.nbytes
