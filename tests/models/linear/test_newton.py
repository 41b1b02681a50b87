"""Newton steps on a fold's working coefficients: what models of the loss are made of, and what they certify."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch._types import Array
from regsearch.models.linear.losses import Poisson
from regsearch.models.linear.newton import Curvature, Iterate, Newton, leading
from regsearch.models.linear.rooms import Room, Rooms
from regsearch.models.linear.sample import Sample
from regsearch.models.linear.working_columns import WorkingColumns

ROWS, COLUMNS = 120, 9


def problem(seed: int = 0) -> tuple[WorkingColumns, Sample]:
    """Counts, with weights."""
    rng = np.random.default_rng(seed)
    x, weights = rng.normal(size=(COLUMNS, ROWS)), rng.uniform(0.5, 1.5, ROWS)
    weights /= weights.sum()
    x -= (x @ weights)[:, None]
    y = rng.poisson(np.exp(x[0] - 0.5 * x[1]))
    return WorkingColumns(x, np.zeros(COLUMNS)), Poisson().sample(y[None, None], weights)


def newton_of(columns: WorkingColumns, sample: Sample) -> Newton:
    null, l1 = columns.correlate(sample.null_residual[:, 0]), np.ones((1, COLUMNS))
    return Newton(columns, np.ones((1, COLUMNS), dtype=bool), sample, null, l1, 0.0)


def objective(point: Iterate, lambda_: float) -> float:
    return point.loss + lambda_ * float(np.abs(point.w).sum())


def test_curvature_that_is_grown_is_that_of_all_columns() -> None:
    """By the curvatures of rows that it was of."""
    columns, sample = problem()
    point = newton_of(columns, sample).point(np.zeros((1, COLUMNS)), sample.null_intercept)
    old = np.arange(COLUMNS) % 3 > 0
    few = WorkingColumns(columns.features[old], columns.shift[old])
    kept = Curvature.of(sample, point, few, np.ones((1, int(old.sum())), dtype=bool), Rooms()).kept()
    grown = kept.grown(columns, old, Room())
    whole = Curvature.of(sample, point, columns, np.ones((1, COLUMNS), dtype=bool), Rooms())
    assert grown is not None
    for name in ("gram", "couple", "inverse"):
        np.testing.assert_allclose(getattr(grown, name), getattr(whole, name), atol=1e-12)


def test_a_curvature_of_single_precision_leads_to_the_same_points() -> None:
    """Steps towards a minimum end there, and certify it, by a model that is kept in half the room."""
    columns, sample = problem()
    every, lambdas = np.ones((1, COLUMNS), dtype=bool), np.geomspace(0.3, 0.01, 8)
    start = newton_of(columns, sample).point(np.zeros((1, COLUMNS)), sample.null_intercept)
    kept = Curvature.of(sample, start, columns, every, Rooms()).kept(single=True)
    assert kept.triangle.nbytes == COLUMNS * (COLUMNS + 1) * 2
    for target, off in ((1e-6, 1e-6), (1e-12, 1e-12)):
        newton, point, best = newton_of(columns, sample), start, start
        for lambda_ in lambdas:
            newton.curvature = kept.whole(Room())
            point = newton.solve(point, float(lambda_), target, 100)
            best = newton_of(columns, sample).solve(best, float(lambda_), 1e-13, 100)
            assert newton.gap(point, float(lambda_)) <= target
            assert objective(point, float(lambda_)) - objective(best, float(lambda_)) <= off


@pytest.mark.parametrize("seed", range(5))
def test_what_a_model_foretells_certifies_a_point(seed: int) -> None:
    """Its gap bounds how far the point is above the minimum, and is of the size of that, not of its root."""
    columns, sample = problem(seed)
    newton, lambdas = newton_of(columns, sample), np.geomspace(0.3, 0.01, 8)
    exact, points = newton_of(columns, sample), list[Array]()
    point = best = newton.point(np.zeros((1, COLUMNS)), sample.null_intercept)
    told = 0
    for lambda_ in lambdas:
        point = newton.solve(point, float(lambda_), 1e-6, 100)
        best = exact.solve(best, float(lambda_), 1e-13, 100)
        gap, above = newton.gap(point, float(lambda_)), objective(point, lambda_) - objective(best, lambda_)
        assert above <= gap + 1e-12
        assert gap <= 1e-6
        told += point.told is not None
        points.append(point.w)
    assert told > len(lambdas) / 2
    assert np.any(points[-1] != 0)


def test_points_lead_where_a_polynomial_through_them_does_and_never_to_a_worse_start() -> None:
    """Shares of three numbers are exact for squares; where coefficients turn round, or it is worse, one stays."""
    at, columns, sample = [5.0, 4.0, 2.5], *problem()
    shares = leading(at, 2.0)
    assert sum(shares) == pytest.approx(1)
    assert sum(share * one**2 for share, one in zip(shares, at, strict=True)) == pytest.approx(4)
    newton, lambdas = newton_of(columns, sample), [0.3, 0.25, 0.2]
    point = newton.point(np.zeros((1, COLUMNS)), sample.null_intercept)
    points = [point := newton.solve(point, one, 1e-12, 50) for one in lambdas]
    nearly = [*lambdas[:2], lambdas[1] * (1 - 1e-14)]
    twice = [points[0], points[1], newton.solve(points[1], nearly[2], 1e-15, 50)]
    start = newton.ahead(twice, leading(nearly, 0.2), 0.2)
    expected = newton.point(start.w, start.b)
    np.testing.assert_allclose(start.eta, expected.eta, atol=1e-9 * np.abs(expected.eta).max())
    for to in (0.15, 0.02):
        start = newton.ahead(points, leading(lambdas, to), to)
        assert objective(start, to) <= objective(points[-1], to)
        assert not ((start.w * points[-1].w < 0) | ((start.w != 0) & (points[-1].w == 0))).any()
