"""Degrees of freedom: the trace of a hat matrix, and what is told between points of a path."""

from __future__ import annotations

import numpy as np
import pytest

from regsearch._types import Array
from regsearch.models.linear.precision import DOUBLE
from regsearch.models.linear.spent import FLAT, MANY, SMALL, Bends, FreedomAlong, invert_factor, spent
from regsearch.models.linear.turned import _diagonal, _write_all, turned_diagonal, write_turned

SIZE = 2 * SMALL + 7


def gram_of(least: float, size: int = SIZE) -> Array:
    """Of columns that are nearer to dependent the smaller `least` is."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(3 * size, 1))
    x = np.sqrt(least) * rng.normal(size=(3 * size, size)) + np.sqrt(1 - least) * shared
    return np.asarray(x.T @ x / len(x))


def dense(bends: Bends) -> Array:
    """Across a direction they are all that a group's coefficients bend, less that along it."""
    together = bends.group[:, None] == bends.group
    along = np.sqrt(bends.across) * bends.direction
    return np.asarray(np.diag(bends.every + bends.across) - together * np.outer(along, along))


def grouped(size: int = SIZE, smallest: float = 0.5, every: float = 0.0) -> Bends:
    """Of groups whose coefficients are not beside each other: one coefficient, or several; some of a small norm."""
    rng = np.random.default_rng(1)
    group = np.minimum(np.arange(size) % (size // 4), size // 6)
    direction = rng.normal(size=size)
    direction /= np.sqrt(np.bincount(group, direction**2))[group]
    across = 1 / np.geomspace(smallest, 10.0, size // 6 + 1)[group]
    return Bends(np.full(size, every), across, direction, group)


def turned(matrix: Array, bends: Bends) -> Array:
    """All of it, group by group."""
    made, every = np.zeros_like(matrix), np.arange(len(matrix))
    write_turned(matrix, bends.order.astype(np.uint32), *bends.turns.ordered(every), np.ones(len(matrix)), made)
    return made + np.tril(made, -1).T


def test_groups_that_are_turned_bend_by_a_diagonal() -> None:
    """What is left of the bends of a norm is a number for each of other axes, which are at right angles."""
    bends = grouped(24, every=0.1)
    np.testing.assert_allclose(turned(dense(bends), bends), np.diag(bends.turned), atol=1e-12)
    gram = gram_of(0.5, 24)
    np.testing.assert_allclose(np.linalg.eigvalsh(turned(gram, bends)), np.linalg.eigvalsh(gram), rtol=1e-12)
    diagonal = turned_diagonal(gram, bends.order, *bends.turns)
    np.testing.assert_allclose(diagonal, np.diag(turned(gram, bends)), rtol=1e-12)


def test_turning_is_the_same_where_nothing_is_compiled() -> None:
    """In rows and columns that are scaled and written elsewhere."""
    gram, bends, rng = gram_of(0.5, 24), grouped(24), np.random.default_rng(0)
    matrix, scale, order = (gram, bends.order, *bends.turns), rng.uniform(size=24), rng.permutation(24)
    np.testing.assert_allclose(_diagonal(*matrix), turned_diagonal(*matrix), rtol=1e-12)
    made, plain = np.zeros((2, 24, 24))
    of = gram, bends.order[order].astype(np.uint32), *bends.turns.ordered(order), scale
    write_turned(*of, made)
    _write_all(*of, plain)
    np.testing.assert_allclose(plain, made, atol=1e-12)
    whole = turned(gram, bends)[np.ix_(order, order)]
    np.testing.assert_allclose(made, np.tril(scale[:, None] * scale * whole), atol=1e-12)


@pytest.mark.parametrize("least", [0.9, 1e-5])
def test_trace_is_that_of_the_ratio(least: float) -> None:
    """Of columns that are far from dependent, where single precision is enough, and of others, under a ridge."""
    whole, bends, own = gram_of(least, SIZE + 9), grouped(), np.delete(np.arange(SIZE + 9), np.arange(0, 90, 10))
    gram = turned(whole[np.ix_(own, own)], bends)
    held = turned(0.3 * dense(bends), bends)
    if least < 0.5:
        held += FLAT * np.diag(np.diag(gram))  # which stands for none: along the axes of the groups
    expected = np.trace(np.linalg.solve(gram + held, gram))
    assert spent(whole, bends, 0.3, own) == pytest.approx(expected, rel=1e-9 if least < 0.5 else 1e-6)


@pytest.mark.parametrize("norm", [1e-3, 1e-6, 1e-9])
def test_a_group_that_is_next_to_nothing_spends_one_degree(norm: float) -> None:
    """What it can do is to grow along its direction, which is one column: of one coefficient, or of several."""
    bends, gram = grouped(24, norm, 0.1), gram_of(0.5, 24)
    own = bends.group == 0
    basis = np.column_stack([np.where(own, bends.direction, 0.0), np.eye(24)[:, ~own]])
    left = (bends.across[~own], bends.direction[~own], bends.group[~own])
    across, direction, group = (np.append(first, part) for first, part in zip((0.0, 1.0, 0), left, strict=True))
    expected = spent(basis.T @ gram @ basis, Bends(np.full(len(group), 0.1), across, direction, group), 0.3)
    assert spent(gram, bends, 0.3) == pytest.approx(expected, abs=max(1e-5, 10 * norm))
    single = Bends(np.zeros(24), np.full(24, 1 / norm), np.resize([1.0, -1.0], 24), np.arange(24))
    assert spent(gram, single, 0.3) == spent(gram, Bends.alone(np.zeros(24)), 0.3)


def test_trace_where_a_penalty_is_not_convex() -> None:
    """It is that of the ratio, too, and zero of nothing."""
    gram = gram_of(0.5, 12)
    bends = Bends.alone(np.append(-3.0 * gram[0, 0], np.ones(11)))
    expected = np.trace(np.linalg.solve(gram + np.diag(bends.every + FLAT * np.diag(gram)), gram))
    assert spent(gram, bends, 1.0) == pytest.approx(expected, rel=1e-9)
    assert spent(gram[:0, :0], Bends.alone(np.empty(0)), 1.0) == 0


def test_columns_without_a_penalty_may_repeat() -> None:
    """One and its copy spend one degree."""
    gram = np.ones((2, 2))
    assert spent(gram, Bends.alone(np.zeros(2)), 1.0) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("size", [1, SMALL, SMALL + 1, 3 * SMALL + 5])
def test_inverse_of_a_factor(size: int) -> None:
    """It makes the matrix the unit matrix, and is a triangle; a matrix that has none is told."""
    gram = gram_of(0.5, size)
    inverse = np.tril(gram)
    assert invert_factor(inverse, DOUBLE)
    np.testing.assert_allclose(inverse @ gram @ inverse.T, np.eye(size), atol=1e-9)
    assert not np.triu(inverse, 1).any()
    gram[-1, -1] = -1.0
    assert not invert_factor(np.tril(gram), DOUBLE)


def test_points_between_are_told_by_those_around() -> None:
    """Where the same coefficients are in use; else each is asked for, as is one that was not foretold.

    Of a few that follow those which were foretold to more digits none is, but then one of the next few.
    """
    values, lambdas = np.geomspace(0.01, 10.0, 2 * MANY), np.geomspace(1.0, 0.3, 60)
    used, asked, counts = np.ones((len(values), 1), dtype=bool), list[float](), list[int]()

    def freedom(at: Array, bump: float = 1.0) -> list[float]:
        def exact(i: int) -> float:
            asked.append(float(at[i]))
            return bump * float((values / (values + at[i])).sum())

        asked.clear()
        found = along.of([used] * len(at), at, exact)
        counts.append(len(asked))
        return found

    along = FreedomAlong()
    found = np.concatenate([freedom(at) for at in np.split(lambdas, 12)])
    assert counts[0] == 5
    assert set(counts[1:]) == {0, 1}
    assert all(counts[i] or counts[i + 1] for i in range(11))
    along.told = True
    np.testing.assert_allclose(found, [(values / (values + at)).sum() for at in lambdas], rtol=1e-4)
    freedom(0.8 * lambdas[-5:], bump=0.9)
    assert len(asked) == 5
    assert freedom(np.array([0.1, 0.0]))[-1] == len(values)  # whatever the logarithm of nothing is
    used = used.copy()
    used[0] = False
    freedom(0.1 * lambdas[-5:])
    assert len(asked) == 5
