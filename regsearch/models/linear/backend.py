"""The linear backend: one trial is a whole lambda path, all folds in lockstep."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.encoding import encode
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.metrics.scorer import Metric, unmeasured
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear.design import Design, Missing, Piece, Settings, Solver
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.threads import all_threads, one_thread
from regsearch.models.out_of_fold import out_of_fold_mean
from regsearch.models.path import Curves, Trajectory, choose_step
from regsearch.space.tree import Path, number

TURNED = 0.03  # a path ends once its mean loss has been this much above its minimum ...
PATIENCE = 0.1  # ... for this share of the path's points (at least 10)
RIDGE_RATIO = 1e-6  # smallest lambda over largest on a path without an L1 part
ADAPTIVE_SHARE = 1e-2  # how much further a path goes down whose weights span orders of magnitude
SLACK = 1.5  # times the tolerance that rounding may add to a gap
STEPS_AT_ONCE = 10  # steps scored together: bounds the size of the decision array


class LinearBackend:
    """Fits candidates one after another; what trials can share (moments, eigenvectors) is computed once."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.design = make_design(setup.problem, setup.folds.train, setup.folds.val)
        n, p = self.design.shape
        with one_thread(), all_threads(n * p**2):
            self.solver = make_solver(setup.problem, self.design)

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        for candidate in candidates:
            yield self._attempt(candidate)

    def _attempt(self, candidate: Candidate) -> Outcome:
        try:
            return self.evaluate(candidate)
        except (InvalidInput, np.linalg.LinAlgError) as error:  # this config's own trouble: the search goes on
            return Outcome(candidate, "failed", reason=str(error))

    @one_thread()
    def evaluate(self, candidate: Candidate) -> Outcome:
        """Walk a candidate's path; see `stream`."""
        started = time.perf_counter()
        self.failures: dict[str, str] = {}  # of scorers that do not decide
        config: Any = candidate.config
        terms = config.penalty.terms(lambda: self.solver.initial(config.scale))
        lambdas = grid(config, self.solver, terms, self.design, self._spread)
        walk = self._walk(config, terms, lambdas)
        self._check_finite(walk.scores()[0].val)
        step = choose_step(walk.scores()[0].mean())
        coef, intercept = walk.at(step)
        return Outcome(
            candidate, "complete", Trajectory(lambdas[: walk.steps], self._curves(walk, step), walk.complexity()), step,
            predictions=self._predictions(coef, intercept), seconds=time.perf_counter() - started,
            reason="; ".join(filter(None, (self._uncertified(walk, step), unmeasured(self.failures)))),
        )  # fmt: skip

    def _uncertified(self, walk: Walk, step: int) -> str:
        """What to say of a chosen point that ran out of steps before its duality gap closed; usually nothing."""
        gap = float(walk.gap()[:, step].max())
        if gap <= SLACK * self.solver.tol:
            return ""
        return f"not converged: the chosen point has a relative duality gap of {gap:.1e}, above {self.solver.tol:.0e}"

    def _check_finite(self, val: Array) -> None:
        """Refuse scores ``[K, S]`` of the deciding metric that cannot be compared."""
        folds = np.flatnonzero(~np.isfinite(val).all(axis=1))
        if len(folds):
            where = ", ".join(str(k) for k in folds)
            raise InvalidInput(f"{self.setup.metrics[0].name} was not finite in fold {where} (counted from 0)")

    @cached_property
    def _followed(self) -> tuple[Metric, ...]:
        """The metrics measured along the whole path: the one that decides, and those with a formula."""
        first, *others = self.setup.metrics
        return (first, *(metric for metric in others if metric.kernel is not None))

    def _walk(self, config: Settings, terms: Terms, lambdas: Array) -> Walk:
        walk = Walk()
        for piece in self.solver.path(terms, config.scale, lambdas):
            walk.add(piece, self._scores(piece, self._followed))
            if walk.turned(self.setup.metrics[0], len(lambdas)):
                break
        return walk

    def _curves(self, walk: Walk, step: int) -> dict[str, Curves]:
        """Every metric: the others, which only a scorer knows, at the chosen step alone; NaN elsewhere."""
        found = dict(zip((metric.name for metric in self._followed), walk.scores(), strict=True))
        late = tuple(metric for metric in self.setup.metrics if metric.name not in found)
        if late:
            coef, intercept = walk.at(step)
            here = Piece(coef[:, None], intercept[:, None], np.empty(0), np.empty(0))
            for metric, point in zip(late, self._scores(here, late), strict=True):
                found[metric.name] = Curves(*(_alone(part, step, walk.steps) for part in (point.train, point.val)))
        return {metric.name: found[metric.name] for metric in self.setup.metrics}

    def _scores(self, piece: Piece, metrics: tuple[Metric, ...]) -> list[Curves]:
        """Metrics on both parts of every fold; from the moments alone where they suffice for all."""
        if piece.losses is not None and all(metric.from_mse is not None for metric in metrics):
            return [self._from_losses(metric, piece.losses) for metric in metrics]
        scores = np.stack([self._along(metrics, piece, k) for k in range(self.design.folds)], axis=2)
        return [Curves(train, val) for train, val in scores]

    def _from_losses(self, metric: Metric, losses: tuple[Array, Array]) -> Curves:
        assert metric.from_mse is not None
        pairs = zip(losses, self._variance, strict=True)
        return Curves(*(metric.from_mse(mse, variance) for mse, variance in pairs))

    def _along(self, metrics: tuple[Metric, ...], piece: Piece, k: int) -> Array:
        """``[metrics, 2, steps]`` scores on both parts of a fold.

        Every row is decided on, in either part or not: that is cheaper than a copy of the rows of one.
        """
        matrix, parts = self.design.fold(k), (self.setup.folds.train[k], self.setup.folds.val[k])
        coef, intercept = piece.coef[k], self._shifted(piece.coef, piece.intercept)[k]
        scores = []
        for start in range(0, len(coef), STEPS_AT_ONCE):
            part = slice(start, start + STEPS_AT_ONCE)
            along = decision(matrix, coef[part], intercept[part])
            scores.append([[self._measure(metric, rows, along[rows]) for rows in parts] for metric in metrics])
        return np.concatenate(scores, axis=2)

    def _shifted(self, coef: Array, intercept: Array) -> Array:
        """Intercepts beside the columns of the design's matrix, of those beside the caller's."""
        return np.asarray(intercept + np.einsum("p,...pm->...m", self.design.shift, coef))

    def _measure(self, metric: Metric, rows: Rows, along: Array) -> Array:
        """``[steps]``: scores on some rows; NaN where a scorer fails that does not decide."""
        try:
            return metric.along(self.setup.problem, rows, along)
        except Exception as error:  # a scorer is anyone's code
            if metric is self.setup.metrics[0]:
                raise InvalidInput(f"The scorer {metric.name!r} failed: {error}") from error
            self.failures[metric.name] = str(error)
            return np.full(along.shape[1], np.nan)

    @cached_property
    def _variance(self) -> tuple[Array, Array]:
        """``[K, 1]`` weighted variance of y in the two parts of each fold."""
        y, weights = self.setup.problem.y, self.design.weights
        parts = (self.setup.folds.train, self.setup.folds.val)
        train, val = (np.array([[_variance(y[rows], weights[rows])] for rows in part]) for part in parts)
        return train, val

    @cached_property
    def _spread(self) -> float:
        problem = self.setup.problem
        return math.sqrt(_variance(problem.y, self.design.weights)) if problem.classes is None else 1.0

    def _predictions(self, coef: Array, intercept: Array) -> Array:
        """``[n, m]`` decisions outside training, of coefficients ``[K, p, m]``."""
        intercept, val = self._shifted(coef, intercept), self.setup.folds.val
        decisions = (decision + intercept[k] for k, decision in enumerate(self._products(coef)))
        return out_of_fold_mean(zip(val, decisions, strict=True), (self.design.shape[0], coef.shape[2]))

    def _products(self, coef: Array) -> Iterator[Array]:
        """``[n_val, m]`` of each fold: its validation rows times its coefficients ``[p, m]``."""
        folds, p, m = coef.shape
        val = self.setup.folds.val
        if self.design.missing is not None:
            yield from (self.design.fold(k)[rows] @ coef[k] for k, rows in enumerate(val))
            return
        every = self.design.matrix @ coef.transpose(1, 0, 2).reshape(p, folds * m)  # one pass over the matrix
        yield from (every[rows, k * m : (k + 1) * m] for k, rows in enumerate(val))


@dataclass
class Walk:
    """The pieces of a path that have been fitted, with the scores of each."""

    pieces: list[Piece] = field(default_factory=list)
    curves: list[list[Curves]] = field(default_factory=list)

    def add(self, piece: Piece, curves: list[Curves]) -> None:
        self.pieces.append(piece)
        self.curves.append(curves)

    @property
    def steps(self) -> int:
        return sum(piece.coef.shape[1] for piece in self.pieces)

    def scores(self) -> list[Curves]:
        """One `Curves` for each metric, over all steps so far."""
        return [
            Curves(np.hstack([one.train for one in along]), np.hstack([one.val for one in along]))
            for along in zip(*self.curves, strict=True)
        ]

    def gap(self) -> Array:
        """``[K, S]`` relative duality gaps."""
        return np.hstack([piece.gap for piece in self.pieces])

    def complexity(self) -> Array:
        return np.hstack([piece.complexity for piece in self.pieces])

    def at(self, step: int) -> tuple[Array, Array]:
        """Coefficients ``[K, p, m]`` and intercepts ``[K, m]`` at a step."""
        for piece in self.pieces:
            if step < piece.coef.shape[1]:
                return piece.coef[:, step], piece.intercept[:, step]
            step -= piece.coef.shape[1]
        raise IndexError(step)

    def turned(self, metric: Metric, points: int) -> bool:
        """Whether the mean validation curve has left its best point for good."""
        if metric.perfect is None:
            return False
        loss = metric.perfect - self.scores()[0].mean()
        tail = loss[-max(10, round(PATIENCE * points)) - 1 :]
        return len(loss) > len(tail) and bool((tail > (1 + TURNED) * loss.min()).all())


def grid(config: Settings, solver: Solver, terms: Terms, design: Design, spread: float) -> Array:
    """The lambdas of a trial, descending: one when it is sampled or the penalty has none.

    The top is glmnet's: the smallest lambda that zeroes every coefficient. Without an L1 part no lambda does, and what
    counts is lambda against the variance of the columns; glmnet's convention (an L1 share of 1e-3 on unit columns and
    unit y) is kept for columns and y of any unit by converting the gradient. Such a path costs the same at any length,
    so it reaches further down.

    Parameters
    ----------
    spread
        Standard deviation of y; 1 for classes.
    """
    if not config.penalty.path:
        return np.zeros(1)
    if not isinstance(config.lambda_, Path):
        return np.array([number(config.lambda_)])
    gradient = solver.gradient(config.scale)
    ridge = not np.any(terms.l1 > 0)
    if ridge:
        scales = design.scales(config.scale)
        units = design.scales("standard") / np.where(scales > 0, scales, 1.0)
        gradient = gradient * units[:, :, None] / spread
    highest = terms.lambda_max(gradient)
    if not 0 < highest < np.inf:
        raise InvalidInput("No column has any relation to y in training, so that no lambda is worth trying.")
    usual = RIDGE_RATIO if ridge else 1e-4 if design.shape[0] > design.shape[1] else 1e-2
    ratio = config.lambda_.ratio or (usual if config.penalty.plain else ADAPTIVE_SHARE * usual)
    return np.geomspace(highest, highest * ratio, config.lambda_.points)


def make_design(problem: Problem, train: tuple[Rows, ...], val: tuple[Rows, ...]) -> Design:
    """The matrix of a problem with the folds given."""
    encoded = encode(problem.X)
    weights = np.ones(problem.rows) if problem.sample_weight is None else problem.sample_weight
    return Design(encoded.matrix, train, val, weights, None if encoded.missing is None else Missing(*encoded.missing))


def make_solver(problem: Problem, design: Design) -> Solver:
    """The solver of the problem's task."""
    if problem.task == "regression":
        from regsearch.models.linear.gaussian import Gaussian

        return Gaussian(design, problem.y[:, None])
    from regsearch.models.linear import logistic

    if problem.task == "binary":
        return logistic.LogLoss(design, problem.y[:, None].astype(float))
    return logistic.LogLoss(design, np.eye(problem.y.max() + 1)[problem.y])


def decision(matrix: Array, coef: Array, intercept: Array) -> Array:
    """``[n, S, m]`` of a matrix ``[n, p]``, coefficients ``[S, p, m]`` and intercepts ``[S, m]``."""
    steps, p, m = coef.shape
    flat = matrix @ coef.transpose(1, 0, 2).reshape(p, steps * m)
    return np.asarray(flat).reshape(-1, steps, m) + intercept


def _alone(values: Array, step: int, steps: int) -> Array:
    """Values ``[K, 1]`` at one step of a curve ``[K, S]`` that is NaN elsewhere."""
    curve = np.full((len(values), steps), np.nan)
    curve[:, step] = values[:, 0]
    return curve


def _variance(y: Array, weights: Array) -> float:
    share = weights / weights.sum()
    return float(share @ (y - share @ y) ** 2)
