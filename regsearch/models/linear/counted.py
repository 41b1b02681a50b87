"""Penalties of how many coefficients are not zero.

``lambda (|w|_0 + ridge/2 |w|_2^2)``, of squared error alone: for another loss every exchange would take a fit.

A fit starts from the lasso's at the lambda ``sqrt(2 lambda)``, which keeps the same columns where none correlate.
Then one column is added, dropped or exchanged for another at a time, whichever lowers the objective most, and the
coefficients fitted anew, until nothing does (Hazimeh & Mazumder 2020). So what is found depends on the config and the
fold alone; it is a minimum among all fits one exchange away, and need not be the best of all.

Notation: S the columns in use, h ``[e]`` the diagonal of gram, moment ``[e]`` the negative gradient at w = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from regsearch._types import Array, Rows
from regsearch.errors import InvalidInput
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns, Quadratic
from regsearch.models.linear.penalty import Terms

EXCHANGES = 1000
FEW = 15  # columns of which every subset is looked at
AT_ONCE = 4096  # subsets


@dataclass(frozen=True)
class CountedTerms(GeneralTerms):
    """See the module.

    Attributes
    ----------
    power
        Variances of the columns ``[K, p, 1]``, of a fold ``[p, 1]``.
    """

    convex = False
    ridge_share: float
    power: Array = field(default_factory=lambda: np.ones(1))

    def on(self, columns: PenalisedColumns) -> GeneralTerms:
        super().on(columns)
        return replace(self, power=np.where(columns.powers() > 0, columns.powers(), 1.0)[:, :, None])

    def of_fold(self, k: int, shape: tuple[int, ...]) -> CountedTerms:
        return replace(self, power=self.power[k if len(self.power) > 1 else 0])

    def restricted(self, some: Rows) -> CountedTerms | None:
        return replace(self, power=self.power[some])

    @property
    def start(self) -> GeneralTerms | None:
        return Terms(np.ones(1), 0.0)

    def start_lambda(self, lambda_: float) -> float:
        return float(np.sqrt(2 * lambda_))

    def value(self, w: Array, lambda_: float) -> Array:
        return np.asarray(lambda_ * ((w != 0) + self.ridge_share / 2 * w**2).sum(axis=(-2, -1)))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        held = 1.0 + step * lambda_ * self.ridge_share
        return np.where(w**2 > 2 * held * step * lambda_, w / held, 0.0)

    def lambda_max(self, gradient: Array) -> float:
        """Above it no column alone is worth its price."""
        worth, r = gradient**2 / 2, self.ridge_share
        found = 2 * worth / (self.power + np.sqrt(self.power**2 + 4 * r * worth))
        return float(found.max(initial=0.0))

    def distance(self, w: Array, gradient: Array, lambda_: float) -> Array:
        held = lambda_ * self.ridge_share
        worth_it = gradient**2 > 2 * lambda_ * (self.power + held) * (1 + 1e-9)
        return np.abs(np.where(w != 0, gradient - held * w, np.where(worth_it, gradient, 0.0)))

    def ridge(self, shape: tuple[int, ...]) -> Array:
        return np.full(shape, self.ridge_share)

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        gram, moment = quadratic.gram, (slope.ravel() + quadratic.gram @ w.ravel())
        used, held = w.ravel() != 0, lambda_ * self.ridge_share
        best = _fitted(gram, moment, used, held)
        for _ in range(EXCHANGES):
            move = _best_move(gram, moment - gram @ best, best, lambda_, held)
            if not move:
                break
            used = best != 0
            used[list(move)] ^= True
            best = _fitted(gram, moment, used, held)
        return best.reshape(w.shape)


def _fitted(gram: Array, moment: Array, used: Array, held: float) -> Array:
    """The minimiser over the columns in use."""
    some, w = np.flatnonzero(used), np.zeros(len(moment))
    corner = gram[np.ix_(some, some)] + held * np.eye(len(some))
    w[some] = np.linalg.lstsq(corner, moment[some], rcond=None)[0]
    return w


def _best_move(gram: Array, slope: Array, w: Array, lambda_: float, held: float) -> tuple[int, ...]:
    """The columns to put in or take out, one or an exchange of two; none where nothing lowers the objective.

    A column that is worth no more than its price is taken out: which of two equal fits is found would be rounding.
    """
    curvature = np.maximum(np.diag(gram) + held, 1e-300)
    some, others = np.flatnonzero(w), np.flatnonzero((w == 0) & (np.diag(gram) > 0))
    loss = w[some] ** 2 * curvature[some] / 2  # what taking one out costs, the others as they are
    rounding = 1e-10 * (lambda_ + abs(float(slope @ w)))
    gains: list[tuple[float, tuple[int, ...]]] = [
        (float(lambda_ - one + 2 * rounding), (int(i),)) for i, one in zip(some, loss, strict=True)
    ]
    gains += [(float(slope[j] ** 2 / (2 * curvature[j]) - lambda_), (int(j),)) for j in others]
    if len(some) and len(others):
        without = slope[others] + gram[np.ix_(some, others)] * w[some, None]
        exchange = without**2 / (2 * curvature[others]) - loss[:, None]
        i, j = np.unravel_index(exchange.argmax(), exchange.shape)
        gains.append((float(exchange[i, j]), (int(some[i]), int(others[j]))))
    gain, move = max(gains, default=(0.0, ()))
    return move if gain > rounding else ()


@dataclass(frozen=True)
class EverySubsetTerms(CountedTerms):
    """The same without a ridge part, the best of all subsets: for few columns, as what others are compared with."""

    best: list[tuple[float, Array]] = field(default_factory=list)  # by the number of columns: its gain, and its w

    @property
    def start(self) -> None:
        return None

    def on(self, columns: PenalisedColumns) -> GeneralTerms:
        if len(columns.features) > FEW:
            raise InvalidInput(
                f"The best subset is looked for among at most {FEW} columns, got {len(columns.features)}; choose l0."
            )
        return super().on(columns)

    def of_fold(self, k: int, shape: tuple[int, ...]) -> EverySubsetTerms:
        return replace(self, power=super().of_fold(k, shape).power, best=[])

    def restricted(self, some: Rows) -> None:
        return None

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        if not self.best:
            moment = slope.ravel() + quadratic.gram @ w.ravel()
            self.best.extend(_best_of_size(quadratic.gram, moment, size) for size in range(len(w) + 1))
        return max(enumerate(self.best), key=lambda one: one[1][0] - lambda_ * one[0])[1][1].reshape(w.shape)


def _best_of_size(gram: Array, moment: Array, size: int) -> tuple[float, Array]:
    """How much the best subset of so many columns lowers the loss, and its coefficients."""
    if not size:
        return 0.0, np.zeros(len(moment))
    varied = np.flatnonzero(np.diag(gram) > 0)
    subsets = np.array(list(combinations(varied.tolist(), size)), dtype=np.intp).reshape(-1, size)
    best, chosen = -np.inf, np.zeros(len(moment))
    for start in range(0, len(subsets), AT_ONCE):
        some = subsets[start : start + AT_ONCE]
        corners = gram[some[:, :, None], some[:, None, :]]
        corners[:, range(size), range(size)] *= 1 + 1e-12  # columns may repeat
        w = np.linalg.solve(corners, moment[some][..., None])[..., 0]
        gains = (w * moment[some]).sum(axis=1) / 2
        if gains.max() > best:
            best, chosen = float(gains.max()), np.zeros(len(moment))
            chosen[some[gains.argmax()]] = 1.0
    return best, _fitted(gram, moment, chosen != 0, 0.0)
