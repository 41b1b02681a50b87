"""The linear backend: one trial is a whole lambda path, all folds in lockstep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput
from regsearch.metrics.pooled import pooled_scores
from regsearch.metrics.scorer import Metric, resolve, unmeasured
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.class_weight import ClassWeight
from regsearch.models.compiling import telling_of_compilation
from regsearch.models.deadline import Stop
from regsearch.models.linear.decisions import of_rows
from regsearch.models.linear.design import Piece, Solver
from regsearch.models.linear.fitted_path import SATURATED, FittedPath, FittedPiece, no_limit
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.kept_points import KeptPoints, PathPredictions
from regsearch.models.linear.lambdas import further_lambdas, lambda_grid
from regsearch.models.linear.linear_config import LinearConfig
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.separable import told_apart
from regsearch.models.linear.solvers import Solvers
from regsearch.models.linear.threads import all_threads, one_thread
from regsearch.models.out_of_fold import PathDecisions, spread_steps, steps_kept
from regsearch.models.path import Curves, Trajectory

SLACK = 1.5  # times the tolerance that rounding may add to a gap
GROWTH = 1e3  # of a decision that has no limit ...
SAME = 1e-9  # ... and the difference of two scores that counts as none


class LinearBackend:
    """Fits candidates one after another; what trials can share (moments, eigenvectors) is computed once.

    Parameters
    ----------
    losses
        Those that candidates may have, filled; `None` is that of the task.
    offset
        That of all of them; see `Linear`.
    """

    def __init__(
        self, setup: Setup, losses: tuple[Loss | None, ...] = (None,), offset: str | None = None
    ) -> None:  # fmt: skip
        self.setup = setup
        moments = losses == (None,)
        train, val = setup.folds.train, setup.folds.val
        self.solvers = Solvers(setup.problem, train, val, setup.notice, moments, offset=offset)
        self.predictions = PathPredictions(setup, self.solvers)
        self.design = self.solvers.design
        with one_thread():
            self.solver = self._solver(None, losses[0])
        self._unpenalized: dict[tuple[ClassWeight, Loss | None, str, Any], FittedPiece] = {}

    def _solver(self, class_weight: ClassWeight, loss: Loss | None) -> Solver:
        n, p = self.solvers.design.shape
        with all_threads(n * p**2):
            return self.solvers.of(class_weight, loss)

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        for candidate in candidates:
            yield self._attempt(candidate)

    def _attempt(self, candidate: Candidate) -> Outcome:
        try:
            with telling_of_compilation(self.setup.notice):
                return self.evaluate(candidate)
        except (InvalidInput, np.linalg.LinAlgError) as error:  # this config's own trouble: the search goes on
            return Outcome(candidate, "failed", reason=str(error))

    @one_thread()
    def evaluate(self, candidate: Candidate) -> Outcome:
        """Fit a candidate's path; see `stream`."""
        clock = self.setup.deadline.clock
        started = clock()
        self.failures: dict[str, str] = {}  # what scorers raised, by metric
        config: Any = candidate.config
        solver = self._solver(config.class_weight, config.loss)
        terms = self.solvers.terms(config)
        lambdas = lambda_grid(config, solver, terms, self.design)
        path, stop = self._fit_path(config, solver, terms, lambdas, started)
        if stop is not None:
            points = len(lambdas) if path.steps <= len(lambdas) else len(path.lambdas)
            stop = stop.at(f"at lambda {path.steps} of {points}")
            if stop.state != "stopped" or not (path.fitted and path.defined):
                return self._left(candidate, path, stop, clock() - started, solver)
        self._check_defined(path.scores()[0].val)
        found = self._along(path, solver)
        step = found[self.setup.metrics[0].name].best_step()
        predictions, along = self._predictions(path, step, solver)
        curves = self._curves(found, path, step, solver)
        complete = Outcome(
            candidate, "complete", Trajectory(path.axis, curves, path.complexity()), step,
            predictions=predictions, along=along, seconds=clock() - started,
            reason="; ".join(filter(None, (self._not_converged(path, step, solver.tol), unmeasured(self.failures)))),
            diverges=self._diverges(path, solver) or self._free_columns_tell_apart(config, terms, lambdas),
        )  # fmt: skip
        return complete if stop is None else complete.stopped(stop)

    def _left(self, candidate: Candidate, path: FittedPath, stop: Stop, seconds: float, solver: Solver) -> Outcome:
        """The outcome of a path that was left before its end."""
        if not path.fitted:
            return Outcome.left(candidate, stop, Trajectory(), seconds)
        curves = self._along(path, solver)
        step = curves[self.setup.metrics[0].name].best_step() if path.defined else 0
        return Outcome.left(candidate, stop, Trajectory(path.axis, curves, path.complexity()), seconds, step)

    def _not_converged(self, path: FittedPath, step: int, tol: float) -> str:
        """What to say of a chosen point that ran out of steps before its duality gap closed; usually nothing."""
        gap = float(path.gap()[:, step].max())
        if gap <= SLACK * tol:
            return ""
        return f"not converged: the chosen point has a relative duality gap of {gap:.1e}, above {tol:.0e}"

    def _check_defined(self, val: Array) -> None:
        """Refuse a path with no point where the deciding metric is a number in every fold, by its scores ``[K, S]``."""
        if np.isfinite(val).all(axis=0).any():
            return
        name = self.setup.metrics[0].name
        if name in self.failures:
            raise InvalidInput(f"The scorer {name!r} failed: {self.failures[name]}")
        folds = np.flatnonzero(~np.isfinite(val).any(axis=1))
        where = f"fold {', '.join(map(str, folds))}" if len(folds) else "one fold or another of every point"
        raise InvalidInput(f"{name} was not finite in {where} (counted from 0)")

    @cached_property
    def _path_metrics(self) -> tuple[Metric, ...]:
        """The metrics measured along the whole path: the one that decides, and those with a formula."""
        first, *others = self.setup.metrics
        return (first, *(metric for metric in others if metric.kernel is not None))

    @cached_property
    def _smooth(self) -> tuple[Metric, ...]:
        """The loss, as a score, where the score that decides moves in steps."""
        problem = self.setup.problem
        return resolve(None, problem)[:1] if self.setup.metrics[0].counts else ()

    @property
    def _perfect(self) -> list[float | None]:
        """The best possible score, by curve that is read."""
        return [metric.perfect for metric in (self.setup.metrics[0], *self._smooth)]

    @cached_property
    def _late_metrics(self) -> tuple[Metric, ...]:
        """The others, which only a scorer knows: they are measured at the chosen step alone."""
        return tuple(metric for metric in self.setup.metrics[1:] if metric.kernel is None)

    def _scored(self, piece: Piece, solver: Solver) -> FittedPiece:
        said = not self._late_metrics and KeptPoints.say_less(piece, self.design.shape[0])
        held: list[Array] | None = [] if said else None
        curves = self._scores(piece, (*self._path_metrics, *self._smooth), solver, held)
        kept = KeptPoints.of(piece, self.predictions.together(held) if held else None)
        count = len(self._path_metrics)
        return FittedPiece.of(piece, kept, curves[:count], *curves[count:])

    def _fit_path(
        self, config: LinearConfig, solver: Solver, terms: GeneralTerms, lambdas: Array, started: float
    ) -> tuple[FittedPath, Stop | None]:
        """The path of a config, and why it was left before its end, if it was; for where that is see `fitted_path`."""
        if not lambdas.any():
            return FittedPath(lambdas, fitted=[self._without_penalty(config, solver)]), None
        further = further_lambdas(config, lambdas, terms, self.design)
        seek = partial(self._limit, config, solver, terms) if len(further) else no_limit
        free = terms.certified and not terms.sparse and config.loss is None and self.setup.problem.classes is None
        path = FittedPath(np.concatenate([lambdas, further]), seek, free)
        deadline, ended = self.setup.deadline, False
        with deadline.interruptible():
            for piece in solver.path(terms, config.scale, lambdas, further):
                path.add(self._scored(piece, solver))
                del piece  # which may be large, before the next is made
                ended = self._ends(path, solver, len(lambdas))
                if ended or deadline.stop(deadline.clock() - started):
                    break
                path.go_on()
        if not ended:
            return path, deadline.stop(deadline.clock() - started)
        path.close()
        return path, None

    def _ends(self, path: FittedPath, solver: Solver, points: int) -> bool:
        """Whether a path that was asked for so many points ends where it is."""
        over = path.steps >= points and not self._goes_on(path, solver)
        return over or path.past_best(self._perfect, points) or path.steps == len(path.lambdas)

    def _limit(self, config: LinearConfig, solver: Solver, terms: GeneralTerms, end: Piece) -> FittedPiece | None:
        """What a path tends to as lambda goes to zero, where that is the fit without a penalty.

        With an L1 part and no fewer columns than rows it is another of the fits that explain all of y, and so is not
        known before the path gets there. Of limited coefficients there is one even where classes are separable.
        """
        rows = np.array([len(train) for train in self.design.train])
        own = not terms.sparse or bool(((self.design.scales(config.scale) > 0).sum(axis=1) < rows - 1).all())
        if not own or (config.limits is None and solver.tells_apart(end)):
            return None
        limit = self._without_penalty(config, solver)
        return None if limit.end.separable is not None else limit

    def _diverges(self, path: FittedPath, solver: Solver) -> bool:
        """Whether a path of lambda 0 alone has no fit, in some fold, that would have the deciding score of its point.

        A score of labels or ranks has a limit as a decision grows, which is that of any multiple of it.
        """
        if path.lambdas.any() or (piece := path.end).separable is None:
            return False
        growth = np.where(piece.separable, GROWTH, 1.0)
        coef, intercept = piece.coef * growth[:, None, None, None], piece.intercept * growth[:, None, None]
        grown = Piece.of(coef, intercept, piece.gap, piece.complexity)
        limit, (found, *_) = self._scores(grown, self.setup.metrics[:1], solver)[0], path.scores()
        pairs = (limit.train, found.train), (limit.val, found.val)
        return not all(np.allclose(*pair, rtol=0, atol=SAME) for pair in pairs)

    def _free_columns_tell_apart(self, config: LinearConfig, terms: GeneralTerms, lambdas: Array) -> bool:
        """Whether columns that a penalty leaves alone separate classes in some fold: at no lambda is there a fit then.

        Of a score of labels or ranks, which has a limit there, it is no matter.
        """
        problem, metric = self.setup.problem, self.setup.metrics[0]
        asked = lambdas.any() and config.loss is None and config.limits is None
        if not asked or problem.classes is None or metric.counts or self.design.by_rows:
            return False
        shape = self.design.folds, self.design.shape[1], problem.outputs
        free = np.flatnonzero(np.broadcast_to(terms.unpenalised, shape).any(axis=(0, 2)))
        if not len(free):
            return False
        for k, train in enumerate(self.design.train):
            rows = weighing(train, problem.sample_weight)
            columns = self.design.fold(k)[:, free]
            dense = columns.toarray() if hasattr(columns, "toarray") else np.asarray(columns)
            if told_apart(dense[rows], problem.y[rows]):
                return True
        return False

    def _without_penalty(self, config: LinearConfig, solver: Solver) -> FittedPiece:
        """The fit at lambda 0, shared by all trials of a scale, loss, class weight and limits: their paths' limit."""
        shared = config.class_weight, config.loss, str(config.scale), config.limits
        if shared not in self._unpenalized:
            (piece,) = solver.path(self.solvers.terms_at_zero(config), config.scale, np.zeros(1))
            self._unpenalized[shared] = self._scored(piece, solver)
        return self._unpenalized[shared]

    def _goes_on(self, path: FittedPath, solver: Solver) -> bool:
        """Whether a path is worth more points than its config has."""
        end = path.end
        if not path.defined or not (path.below_limit or path.rising) or (end.gap > SLACK * solver.tol).any():
            return False
        if not path.free and (path.limit is None or self._explained(path.limit.end, solver) > SATURATED):
            return path.rising and self._explained(end, solver) <= SATURATED
        return path.unsettled(self._perfect)

    def _explained(self, point: Piece, solver: Solver) -> float:
        """The share of its null model's loss that a point explains, of the fold where that is least."""
        loss = solver.training_losses(point)
        return float((1 - np.divide(loss, solver.null, out=np.ones_like(loss), where=solver.null > 0)).min())

    def _along(self, path: FittedPath, solver: Solver) -> dict[str, Curves]:
        """The metrics that are measured along the whole path, which know where it is not solved."""
        unsolved, scores = _unsolved(path, solver), path.scores()
        found = scores if unsolved is None else [replace(curves, unsolved=unsolved) for curves in scores]
        return dict(zip((metric.name for metric in self._path_metrics), found, strict=True))

    def _curves(self, found: dict[str, Curves], path: FittedPath, step: int, solver: Solver) -> dict[str, Curves]:
        """Every metric: those found, and others, which only a scorer knows, at the chosen step alone; NaN elsewhere."""
        if self._late_metrics:
            kept, place = path.place(step)
            coef, intercept = kept.at(place)
            here = Piece.of(coef[:, None], intercept[:, None], np.empty(0), np.empty(0))
            for metric, point in zip(self._late_metrics, self._scores(here, self._late_metrics, solver), strict=True):
                train, val = (_at_one_step(part, step, path.steps) for part in (point.train, point.val))
                found[metric.name] = Curves(train, val, self.setup.averaging, _unsolved(path, solver))
        return {metric.name: found[metric.name] for metric in self.setup.metrics}

    def _scores(
        self, piece: Piece, metrics: tuple[Metric, ...], solver: Solver, held: list[Array] | None = None
    ) -> list[Curves]:
        """Metrics on both parts of every fold; from the moments alone where they suffice for all.

        Where they do not, what each fold says of the rows that it validates ``[n_val, S, m]`` is added to `held`, where
        that is given.
        """
        pooled = any(metric.pooled for metric in metrics)
        own = self.setup.problem.transform is None  # else moments tell the error of what y is transformed to
        weighed = self.setup.problem.scored_as_fitted
        known = own and weighed and not pooled and all(m.from_mse is not None for m in metrics)
        if piece.losses is not None and known:
            curves = [self._from_losses(metric, piece.losses) for metric in metrics]
        else:
            held = [] if held is None and pooled else held
            scores = self._fold_scores(metrics, piece, solver, held)
            curves = [
                Curves(train, self._pooled(metric, held or []) if metric.pooled else val, self.setup.averaging)
                for metric, (train, val) in zip(metrics, scores, strict=True)
            ]
        decides = metrics[0] is self.setup.metrics[0]
        return [curves[0].defined(), *curves[1:]] if decides else curves

    def _pooled(self, metric: Metric, held: list[Array]) -> Array:
        """``[K, S]`` of a score of all folds' decisions ``[n_val, S, m]`` together."""
        setup = self.setup
        return pooled_scores(metric, setup.problem, setup.folds.val, held, setup.averaging, self.failures)

    def _from_losses(self, metric: Metric, losses: tuple[Array, Array]) -> Curves:
        assert metric.from_mse is not None
        pairs = zip(losses, self._variance, strict=True)
        train, val = (_over_targets(metric.from_mse(mse, variance)) for mse, variance in pairs)
        return Curves(train, val, self.setup.averaging)

    def _fold_scores(
        self, metrics: tuple[Metric, ...], piece: Piece, solver: Solver, held: list[Array] | None
    ) -> Array:  # fmt: skip
        """``[metrics, 2, K, S]`` scores on both parts of each fold; its decisions ``[n_val, S, m]`` go to `held`."""
        folds = self.setup.folds
        scores = [list[Array]() for _ in folds.train]
        outside = [list[Array]() for _ in folds.train]
        for k, along in self.predictions.of_every_row(piece, solver):
            inside = self._measured(metrics, folds.train[k], of_rows(along, folds.train[k]))
            out = of_rows(along, folds.val[k])
            del along  # before the next are made
            scores[k].append(np.stack([inside, self._measured(metrics, folds.val[k], out, True)], axis=1))
            if held is not None:
                outside[k].append(out)
        if held is not None:
            held.extend(np.concatenate(one, axis=1) for one in outside)
        return np.stack([np.concatenate(one, axis=2) for one in scores], axis=2)

    def _measured(self, metrics: tuple[Metric, ...], rows: Rows, along: Array, held: bool = False) -> Array:
        """``[metrics, steps]`` on some rows; NaN where a scorer fails, or scores all folds' held out rows together."""
        nothing = np.full(along.shape[1], np.nan)
        of = self.setup.problem, rows, along, self.failures
        return np.stack([nothing if held and metric.pooled else metric.along(*of) for metric in metrics])

    @cached_property
    def _variance(self) -> tuple[Array, Array]:
        """``[K, 1]`` weighted variance of y in the two parts of each fold, ``[K, 1, t]`` of several targets."""
        y, weights = self.setup.problem.y, self.design.weights
        parts = (self.setup.folds.train, self.setup.folds.val)
        train, val = (np.array([[_variance(y[rows], weights[rows])] for rows in part]) for part in parts)
        return train, val

    def _predictions(self, path: FittedPath, step: int, solver: Solver) -> tuple[Array, PathDecisions | None]:
        """``[n, m]`` decisions outside training at the chosen step, and those at others."""
        others = spread_steps(path.steps, step, steps_kept(self.design.shape[0], self.setup.problem.outputs))
        made = self.predictions.at([path.place(one) for one in (step, *others)], solver)
        first = next(made)
        along = PathDecisions.joined(others, chain([first[1:]], made))
        return first[0].copy(), along


def _unsolved(path: FittedPath, solver: Solver) -> NDArray[np.bool_] | None:
    """``[S]``: which points have a gap above the tolerance in some fold; `None` where none has."""
    marks = path.gap().max(axis=0) > SLACK * solver.tol
    return marks if marks.any() else None


def _at_one_step(values: Array, step: int, steps: int) -> Array:
    """Values ``[K, 1]`` at one step of a curve ``[K, S]`` that is NaN elsewhere."""
    curve = np.full((len(values), steps), np.nan)
    curve[:, step] = values[:, 0]
    return curve


def _variance(y: Array, weights: Array) -> Array:
    share = weights / weights.sum()
    return np.asarray(share @ (y - share @ y) ** 2)


def _over_targets(scores: Array) -> Array:
    """``[K, S]`` means of scores ``[K, S, t]``; scores of one target as they are."""
    return scores if scores.ndim == 2 else np.asarray(scores.mean(axis=2))
