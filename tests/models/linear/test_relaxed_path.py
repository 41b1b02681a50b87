"""Relaxed paths share their ends: how far between them a fit lies costs none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from regsearch import Linear, RelaxedElasticNet, RelaxedLasso
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear import relaxed_path
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.proximal import FoldPath
from regsearch.space.path import Path


def setup_of(binary: bool) -> Setup:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 6)) + rng.normal(size=(60, 1))
    signal = x[:, 0] - x[:, 1] + x[:, 2] / 2 + rng.normal(size=60)
    of = make_problem(x, signal > 0 if binary else signal)
    return Setup(of, make_folds(3, of, 0), resolve(DEFAULTS[of.task], of))


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lambdas have been fitted, one number for every call of a fold's solver."""
    made: list[int] = []
    fit: Callable[..., Any] = FoldPath._fit

    def counted(self: Any, terms: Any, lambdas: Any) -> Any:
        made.append(len(lambdas))
        return fit(self, terms, lambdas)

    monkeypatch.setattr(FoldPath, "_fit", counted)
    return made


def same(one: Outcome, other: Outcome) -> bool:
    assert one.predictions is not None
    assert other.predictions is not None
    steps = min(len(one.trajectory.axis), len(other.trajectory.axis))  # which decide together how far a path goes
    curves = zip(one.trajectory.curves.values(), other.trajectory.curves.values(), strict=True)
    alike = all(np.array_equal(a.val[:, :steps], b.val[:, :steps]) for a, b in curves)
    return alike and one.step == other.step and np.array_equal(one.predictions, other.predictions)


@pytest.mark.slow
@pytest.mark.parametrize("binary", [False, True])
def test_another_relax_fits_nothing(binary: bool, fits: list[int]) -> None:
    """Trials that differ by `relax` alone fit one path, and their outcomes are to the bit those of trials alone."""
    setup, grid = setup_of(binary), Path(12, 0.05)
    shared = LinearBackend(setup)
    first = shared.evaluate(Candidate(0, Linear(RelaxedLasso(0.3), grid)))
    assert sum(fits) >= 3 * 2 * 10
    for relax in (0.8, 0.0):
        fits.clear()
        found = shared.evaluate(Candidate(1, Linear(RelaxedLasso(relax), grid)))
        went_on = max(0, len(found.trajectory.axis) - len(first.trajectory.axis))
        assert sum(fits) <= 3 * 2 * went_on
        assert same(found, LinearBackend(setup).evaluate(Candidate(0, Linear(RelaxedLasso(relax), grid))))


def test_other_ends_are_fitted(fits: list[int]) -> None:
    """Another scale, grid or chooser has other ends, and what took too much room is fitted again."""
    setup, shared = setup_of(False), LinearBackend(setup_of(False))
    for config in (
        Linear(RelaxedLasso(0.3), Path(8, 0.05)), Linear(RelaxedLasso(0.3), Path(9, 0.05)),
        Linear(RelaxedLasso(0.3), Path(9, 0.05), "minmax"), Linear(RelaxedElasticNet(0.5, 0.3), Path(9, 0.05)),
        Linear(RelaxedElasticNet(0.6, 0.3), Path(9, 0.05)),
    ):  # fmt: skip
        fits.clear()
        found = shared.evaluate(Candidate(0, config))
        assert sum(fits) >= 3 * 2 * len(found.trajectory.axis)
        assert same(found, LinearBackend(setup).evaluate(Candidate(0, config)))


def test_room_is_bounded(fits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends that take more room than there is are not kept, and the next path is right all the same."""
    monkeypatch.setattr(relaxed_path, "ROOM", 500)
    setup, grid = setup_of(False), Path(12, 0.05)
    shared = LinearBackend(setup)
    shared.evaluate(Candidate(0, Linear(RelaxedLasso(0.3), grid)))
    assert not any(fold.ends for fold in shared.solver._paths._folds)  # type: ignore[attr-defined]
    fits.clear()
    found = shared.evaluate(Candidate(0, Linear(RelaxedLasso(0.8), grid)))
    assert sum(fits) >= 3 * 2 * len(found.trajectory.axis)
    assert same(found, LinearBackend(setup).evaluate(Candidate(0, Linear(RelaxedLasso(0.8), grid))))
