"""Degrees of freedom: the trace of a hat matrix, and what is told between points of a path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg.lapack import dtrtri

from regsearch._types import Array
from regsearch.models.linear.spent import FLAT, MANY, SMALL, Bends, FreedomAlong, lower_inverse, spent

SIZE = 2 * SMALL + 7


def gram_of(least: float, size: int = SIZE) -> Array:
    """Of columns that are nearer to dependent the smaller `least` is."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(3 * size, 1))
    x = np.sqrt(least) * rng.normal(size=(3 * size, size)) + np.sqrt(1 - least) * shared
    return np.asarray(x.T @ x / len(x))


def dense(bends: Bends) -> Array:
    return np.asarray(bends.added_to(np.zeros((len(bends.diagonal),) * 2)), dtype=np.float64)


def grouped(size: int = SIZE) -> Bends:
    """Of groups whose coefficients are not beside each other."""
    rng = np.random.default_rng(1)
    group = np.arange(size) % (size // 4)
    along = rng.normal(size=size)
    along /= np.sqrt(np.bincount(group, along**2))[group]
    steep = rng.uniform(0.1, 2.0, size // 4 + 1)[group]
    return Bends(steep, np.sqrt(steep) * along, group)


def test_bends_are_a_diagonal_less_a_square_of_each_group() -> None:
    """Which of a norm keeps its direction free."""
    bends = grouped(8)
    expected = np.diag(bends.diagonal)
    for g in range(2):
        own = np.where(bends.group == g, bends.along, 0.0)
        expected -= np.outer(own, own)
    np.testing.assert_allclose(dense(bends), expected, atol=1e-14)
    np.testing.assert_allclose(dense(bends) @ np.where(bends.group == 0, bends.along, 0.0), 0.0, atol=1e-12)


@pytest.mark.parametrize("least", [0.9, 1e-5])
def test_trace_is_that_of_the_ratio(least: float) -> None:
    """Of columns that are far from dependent, where single precision is enough, and of others."""
    gram, bends = gram_of(least), grouped()
    held = gram + 0.3 * dense(bends) + FLAT * np.diag(np.diag(gram))
    expected = np.trace(np.linalg.solve(held, gram))
    assert spent(gram, bends, 0.3) == pytest.approx(expected, rel=1e-9 if least < 0.5 else 1e-6)


def test_trace_where_a_penalty_is_not_convex() -> None:
    """It is that of the ratio, too, and zero of nothing."""
    gram = gram_of(0.5, 12)
    bends = Bends.alone(np.append(-3.0 * gram[0, 0], np.ones(11)))
    expected = np.trace(np.linalg.solve(gram + np.diag(bends.diagonal + FLAT * np.diag(gram)), gram))
    assert spent(gram, bends, 1.0) == pytest.approx(expected, rel=1e-9)
    assert spent(gram[:0, :0], Bends.alone(np.empty(0)), 1.0) == 0


def test_columns_without_a_penalty_may_repeat() -> None:
    """One and its copy spend one degree."""
    gram = np.ones((2, 2))
    assert spent(gram, Bends.alone(np.zeros(2)), 1.0) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("size", [1, SMALL, SMALL + 1, 3 * SMALL + 5])
def test_inverse_of_a_triangle(size: int) -> None:
    """It undoes the triangle, and is one."""
    factor = np.asfortranarray(np.linalg.cholesky(gram_of(0.5, size)))
    inverse = lower_inverse(factor, dtrtri)
    np.testing.assert_allclose(inverse @ factor, np.eye(size), atol=1e-9)
    assert not np.triu(inverse, 1).any()


def test_points_between_are_told_by_those_around() -> None:
    """Where the same coefficients are in use; else each is asked for, as is one that was not foretold."""
    values, lambdas = np.geomspace(0.01, 10.0, 2 * MANY), np.geomspace(1.0, 0.01, 40)
    used, asked = np.ones((len(values), 1), dtype=bool), list[float]()

    def freedom(at: Array, bump: float = 1.0) -> list[float]:
        def exact(i: int) -> float:
            asked.append(float(at[i]))
            return bump * float((values / (values + at[i])).sum())

        asked.clear()
        return along.of([used] * len(at), at, exact)

    along = FreedomAlong()
    found = np.concatenate([freedom(at) for at in np.split(lambdas, 8)])
    assert len(asked) == 1
    np.testing.assert_allclose(found, [(values / (values + at)).sum() for at in lambdas], rtol=1e-4)
    freedom(0.2 * lambdas[-5:], bump=0.9)
    assert len(asked) == 5
    assert freedom(np.array([0.1, 0.0]))[-1] == len(values)  # whatever the logarithm of nothing is
    used = used.copy()
    used[0] = False
    freedom(0.1 * lambdas[-5:])
    assert len(asked) == 5
