"""Newton steps for several outputs that form no Hessian, against the Hessian itself."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from regsearch import L1, Linear, Path
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.block_newton import BlockNewton
from regsearch.models.linear.likelihood import LogSample
from regsearch.models.linear.newton import Curvature, Iterate, Newton
from regsearch.models.linear.output_blocks import OutputBlocks
from regsearch.models.linear.rooms import Rooms
from regsearch.models.linear.working_columns import WorkingColumns

ROWS, COLUMNS, CLASSES = 150, 8, 4


def problem(seed: int = 0) -> tuple[WorkingColumns, LogSample]:
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=(COLUMNS, ROWS)), rng.uniform(0.5, 1.5, ROWS)
    weights /= weights.sum()
    x -= (x @ weights)[:, None]
    labels = np.argmax(rng.normal(size=(CLASSES, COLUMNS)) @ x + rng.gumbel(size=(CLASSES, ROWS)), axis=0)
    return WorkingColumns(x, np.zeros(COLUMNS)), LogSample(np.eye(CLASSES)[labels].T[:, None], weights)


def newton_of(kind: type[Newton], l2: float = 0.0, mask: Array | None = None) -> tuple[Any, Iterate]:
    """One, and the null model."""
    columns, sample = problem()
    null = columns.correlate(sample.null_residual[:, 0])
    every = np.ones((CLASSES, COLUMNS), dtype=bool) if mask is None else mask
    made = kind(columns, every, sample, null, np.ones((CLASSES, COLUMNS)), l2, Rooms())
    return made, made.point(np.zeros((CLASSES, COLUMNS)), sample.null_intercept)


def objective(newton: Newton, point: Iterate, lambda_: float) -> float:
    return point.loss + newton._penalty(point.w, lambda_)


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_steps_lead_where_those_with_the_hessian_do(l2: float) -> None:
    """To the same minima along a path, in about as many steps."""
    mine, point = newton_of(BlockNewton, l2)
    other, best = newton_of(Newton, l2)
    for lambda_ in np.geomspace(0.2, 1e-3, 8):
        point = mine.solve(point, float(lambda_), 1e-11, 30)
        best = other.solve(best, float(lambda_), 1e-11, 30)
        assert mine.gap(point, float(lambda_)) <= 1e-11
        assert abs(objective(mine, point, lambda_) - objective(other, best, lambda_)) < 1e-11
    assert 0 < (point.w != 0).sum() < point.w.size or l2


def test_rows_tell_what_the_hessian_makes_of_a_move() -> None:
    """With the intercepts, of coefficients in play alone."""
    mask = np.random.default_rng(1).random((CLASSES, COLUMNS)) < 0.6
    newton, point = newton_of(BlockNewton, mask=mask)
    curvature = Curvature.of(newton.sample, point, newton.columns, mask, Rooms())
    change = np.random.default_rng(2).normal(size=mask.sum())
    shift = -change @ curvature.couple  # where intercepts are at their best
    bent = newton._times(newton._all(change, shift), point)
    np.testing.assert_allclose(bent[newton._coefficients], curvature.gram @ change, atol=1e-12)
    np.testing.assert_allclose(bent[newton._intercepts], 0, atol=1e-12)


def test_blocks_are_the_hessian_where_outputs_share_no_column() -> None:
    """Then there is nothing but the blocks to solve with, each with its intercept."""
    mask = np.arange(CLASSES)[:, None] == np.arange(COLUMNS) % CLASSES
    newton, point = newton_of(BlockNewton, mask=mask)
    p, weights = point.p[:, 0], newton.sample.weights
    blocks = OutputBlocks(newton.columns, mask, mask, p, weights, Rooms())
    blocks.factorise(np.ones(blocks.ends[-1], dtype=bool), 0.0)
    right, found = np.random.default_rng(3).normal(size=blocks.ends[-1]), np.zeros(blocks.ends[-1])
    for k, (some, first, end) in enumerate(zip(mask, blocks.ends, blocks.ends[1:], strict=False)):
        x = np.vstack([newton.columns.features[some], np.ones(ROWS)])
        found[first:end] = np.linalg.solve((x * (weights * p[k] * (1 - p[k]))) @ x.T, right[first:end])
    np.testing.assert_allclose(blocks.solved(right), found, rtol=1e-8)


@pytest.mark.slow
def test_a_path_of_classes_holds_little_beside_the_data() -> None:
    """Neither a copy of what lies by rows, nor products of columns for two classes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 100))
    problem = make_problem(x, np.argmax(x[:, :30] @ rng.normal(size=(30, 12)) + rng.gumbel(size=(3000, 12)), axis=1))
    setup = Setup(problem, make_folds(4, problem, 0), resolve(None, problem))

    def trial(lambda_: Any) -> None:
        LinearBackend(setup).evaluate(Candidate(0, Linear(L1(), lambda_, "none")))

    trial(0.05)  # compiles
    tracemalloc.start()
    trial(Path(12, ratio=3e-2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * x.nbytes


def test_of_an_even_number_of_classes_one_is_zero_in_every_column() -> None:
    """Where an absolute penalty leaves a choice, the coefficients kept are as few as they can be, and say the same."""
    newton, point = newton_of(BlockNewton)
    found = list[bool]()
    for lambda_ in np.geomspace(0.2, 1e-3, 12):
        point = newton.solve(point, float(lambda_), 1e-11, 30)
        kept = newton.coefficients(point)
        assert not (kept != 0).all(axis=0).any()
        found.append(bool((kept != point.w).any()))
        assert newton._penalty(kept, lambda_) == pytest.approx(newton._penalty(point.w, lambda_), rel=1e-12)
        np.testing.assert_allclose(newton.point(kept, point.b).p, point.p, atol=1e-12)
    assert any(found)
    ridge, other = newton_of(BlockNewton, 0.5)
    other = ridge.solve(other, 1e-2, 1e-11, 30)
    assert ridge.coefficients(other) is other.w
