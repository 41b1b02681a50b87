"""The backend for any scikit-learn estimator: one fit per fold, folds in parallel, poor configs pruned.

A fit that goes in rounds can be a path, scored after each of them; see `regsearch.models.rounds`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.data.survival import check_not_survival
from regsearch.data.table_checks import check_table
from regsearch.data.tasks import check_not_mixed
from regsearch.errors import InvalidInput
from regsearch.metrics.pooled import pooled_scores
from regsearch.metrics.scorer import Metric, unmeasured
from regsearch.models.base import Backend, Candidate, Model, Outcome, Setup
from regsearch.models.deadline import Deadline, Stop
from regsearch.models.fitting import fitted_on, seeded
from regsearch.models.fold_fit import FoldFit, fit_fold
from regsearch.models.fold_rungs import AtBest, FoldRungs, at_best
from regsearch.models.joblib_workers import ending_workers
from regsearch.models.out_of_fold import PathDecisions, out_of_fold_mean, spread_steps, steps_kept
from regsearch.models.parameter_ranges import check_names, check_ranges
from regsearch.models.path import Curves, Trajectory
from regsearch.models.preparation import Preparation, first_of, preparations
from regsearch.models.rounds import last_step, left_to_the_data, walked_alike, way_of
from regsearch.models.scored_by_predictions import check_scored_by_predictions
from regsearch.models.weighted_fit import check_weighted
from regsearch.models.writable import obstacle
from regsearch.numeric import is_whole
from regsearch.space.config import to_data
from regsearch.space.path import Path
from regsearch.space.sampling import default, fill, leaves
from regsearch.space.starts import initial_params
from regsearch.space.tree import Node, tunable

if TYPE_CHECKING:
    from regsearch.models.default_columns import DefaultColumns

FRONT = ("prepare", "prepare_columns", "prepare_X")  # what the first step is called: as none of the user's is


@dataclass(frozen=True)
class Estimator(Model):
    """Any scikit-learn estimator or pipeline, with leaves for its parameters.

    Parameters
    ----------
    estimator
        Unfitted; cloned for every fit. As given, it is the reference that trials are compared with.
    params
        Leaves or values by parameter name, nested with ``__`` as in scikit-learn.
    path
        The parameter that counts the rounds of boosted trees, or the members of a forest: ``"max_iter"`` of a
        `HistGradientBoostingClassifier`, ``"n_estimators"`` of others, LightGBM's and XGBoost's among them,
        ``"iterations"`` of CatBoost's. One fit is then scored after each of its rounds, of which the best on the mean
        of the folds is chosen; there are as many as `params`, or the estimator, says. What would end a fit earlier in a
        fold is turned off.
    prepare
        A transformer in front of it, or a `Prepare`, fitted inside each fold; a `Choice` of them is searched. A study
        of a table adds one where the estimator cannot be fitted to a few rows as they are: with text, dates, categories
        or missing numbers that it, or a step of its own, does not take.

    Raises
    ------
    InvalidInput
        When the object is no estimator, a parameter is not one of its own, or a path is no number of rounds, or one
        beside which the estimator is asked to end by itself.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from regsearch import Float
    >>> space = Estimator(SVC(), {"C": Float(1e-3, 1e3, log=True)})

    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> trees = HistGradientBoostingRegressor(max_iter=300)
    >>> space = Estimator(trees, {"learning_rate": Float(0.01, 0.3, log=True)}, path="max_iter")
    """

    merged: ClassVar[tuple[str, ...]] = ("params",)
    estimator: Any
    params: Mapping[str, Any]
    path: str | None = None
    prepare: Any = tunable(Preparation(), None)

    def __post_init__(self) -> None:
        made = not isinstance(self.estimator, type)  # the class itself has the methods too
        if not (made and hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")):
            raise InvalidInput(f"Estimator needs a scikit-learn estimator, got {self.estimator!r}; pass SVC(), say.")
        if not isinstance(self.params, Mapping):
            raise InvalidInput(f"Estimator needs params by name, got {self.params!r}; write {{'C': Float(0.1, 10)}}.")
        super().__post_init__()
        check_names(self.estimator, [*self.params, *filter(None, [self.path])])
        if self.path is not None:
            object.__setattr__(self, "params", self._along(self.path, self.estimator.get_params()))

    def _along(self, path: str, known: Mapping[str, Any]) -> dict[str, Any]:
        """The params with which every fit goes on to the last of its rounds, which are among them."""
        params = {path: known[path], **self.params}
        way_of(self.estimator, path)
        if not isinstance(params[path], Node) and not (is_whole(params[path]) and params[path] >= 1):
            raise InvalidInput(f"Rounds along path={path!r} must be a whole number from 1, got {params[path]!r}.")
        return params | walked_alike(self.estimator, {**known, **params}, path)

    @property
    def axis(self) -> str:
        return self.path or ""

    def at(self, value: float | None) -> Estimator:
        if not self.path or value is None:
            return self
        return replace(self, params={**self.params, self.path: round(value)}, path=None)

    @property
    def option_label(self) -> str:
        """The class of the estimator, of a pipeline of its last step."""
        return type(last_step(self.estimator)[1]).__name__

    def shown_fields(self) -> dict[str, Any]:
        set_by_path = left_to_the_data(self.estimator, self.params)
        shown = {name: value for name, value in self.params.items() if name not in set_by_path}
        return {"estimator": self.option_label, **shown} | ({} if self.prepare is None else {"prepare": self.prepare})

    def scoring(self, problem: Problem) -> str:
        proba = problem.classes is None or self._has("predict_proba", problem)
        return super().scoring(problem) if proba else "accuracy"

    def _has(self, method: str, problem: Problem) -> bool:
        """Whether it has a method, as given or once it is fitted, as one that is made of others may."""
        if hasattr(self.estimator, method) or not hasattr(type(self.estimator), method):
            return hasattr(self.estimator, method)
        from regsearch.models.default_columns import DefaultColumns

        return DefaultColumns(problem).taken_by([default(self).build], method)

    @staticmethod
    def data_at(data: Mapping[str, Any], value: float | None) -> dict[str, Any]:
        """What `at` makes of a config, where that is plain data, which do not bring the estimator back."""
        if "path" not in data or value is None:
            return dict(data)
        filled = {**data, "params": {**data["params"], data["path"]: round(value)}}
        return {name: field for name, field in filled.items() if name != "path"}

    def check(self, setup: Setup) -> None:
        from sklearn.base import is_classifier, is_regressor

        name = type(self.estimator).__name__
        check_table(setup.problem, "Estimator")
        check_not_survival(setup.problem.task, "Estimator")
        check_not_mixed(setup.problem.task, "Estimator")
        for one in preparations(self.prepare):
            if one is not None:
                check_ranges(one.transformer, one.params)
        if any(isinstance(leaf, Path) for leaf in leaves(self.params)):
            raise InvalidInput(
                "A Path is the axis of a linear model's lambda, got one for an estimator; use Float or Choice."
            )
        if self.path:
            check_scored_by_predictions(setup, "An estimator with a path")
        check_ranges(self.estimator, self.params)
        check_weighted((config.build() for config in self._some()), setup.problem)
        wrong = is_classifier if setup.problem.classes is None else is_regressor
        if wrong(self.estimator):
            raise InvalidInput(f"The estimator must fit the task ({setup.problem.task}), got {name}; choose another.")
        for metric in setup.metrics:
            if metric.pooled and metric.needs_fit:
                raise InvalidInput(
                    f"A pooled score is made from predictions alone, and the scorer {metric.name!r} failed on them: "
                    f"{metric.needs_fit}; leave pooled out, or take another scorer."
                )
            needs = getattr(metric.scorer, "_response_method", "predict")
            methods = (needs,) if isinstance(needs, str) else tuple(needs)
            if not any(method == "predict" or self._has(method, setup.problem) for method in methods):
                raise InvalidInput(
                    f"The scorer {metric.name!r} needs {' or '.join(methods)}, which {name} does not have as given; "
                    "choose another scorer, such as 'accuracy'."
                )

    def prepared_by(self, columns: DefaultColumns) -> Estimator:
        from sklearn.utils import get_tags

        has_parts = any(hasattr(part, "fit") for part in self.estimator.get_params().values())
        if self.prepare is not None or columns.plain or columns.taken_by([self.reference().build, default(self).build]):
            return self
        if has_parts and not columns.known:
            return self
        made = [
            replace(self, prepare=one) for one in columns.for_estimator(get_tags(self.estimator).input_tags.allow_nan)
        ]
        taken = (one for one in made if columns.taken_by([default(one).build]))
        return next(taken, self if has_parts else made[-1])  # one with parts may take all of the rows, as it is

    def preload(self) -> None:
        from joblib import Parallel  # noqa: F401

    def backend(self, setup: Setup) -> Backend:
        return EstimatorBackend(setup)

    unregularized: ClassVar[str] = "the estimator as given"

    def reference(self) -> Estimator:
        own = self.estimator.get_params()
        given = {name: own[name] for name in self.params}
        return replace(self, params=given, path=None, prepare=first_of(self.prepare))

    def without(self, plain: Model | None = None) -> dict[str, Model]:
        off, set_by_path = self.reference().params, left_to_the_data(self.estimator, self.params)
        return {
            name: replace(self, params={**self.params, name: off[name]})
            for name, value in self.params.items()
            if name not in set_by_path and to_data(value) != to_data(off[name])
        }

    def build(self) -> Any:
        """The unfitted estimator of a config, behind what prepares its rows."""
        from sklearn.base import clone
        from sklearn.pipeline import Pipeline

        made = clone(self.estimator).set_params(**self.params)
        if self.prepare is None:
            return made
        steps = made.steps if hasattr(made, "steps") else [(self._step, made)]
        first = next(name for name in FRONT if name not in dict(steps)), self.prepare.build()
        return made.set_params(steps=[first, *steps]) if hasattr(made, "steps") else Pipeline([first, *steps])

    @property
    def rounds(self) -> str | None:
        """The parameter of what `build` makes that `path` is."""
        behind = self.path is not None and self.prepare is not None and not hasattr(self.estimator, "steps")
        return f"{self._step}__{self.path}" if behind else self.path

    @property
    def _step(self) -> str:
        """What the estimator is called behind a transformer."""
        return type(self.estimator).__name__.lower()

    def _some(self) -> Iterator[Estimator]:
        """The reference, and configs that between them have every option."""
        return chain([self.reference()], (fill(self, params) for params in initial_params(self)))

    def cannot_be_exported(self) -> str:
        return obstacle(config.build() for config in self._some())

    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        return fitted_on(seeded(self.build(), seed), problem, np.arange(problem.rows))


class EstimatorBackend:
    """Fits a candidate's folds: one first, then `n_jobs` at a time, as long as it keeps up."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rungs = FoldRungs(AtBest(setup.history.curves, setup.averaging), setup.averaging)

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        from joblib import Parallel

        with ending_workers(), Parallel(n_jobs=self.setup.n_jobs) as parallel:
            for candidate in candidates:
                yield self.evaluate(candidate, parallel)

    def evaluate(self, candidate: Candidate, parallel: Any) -> Outcome:
        outcome = self._evaluated(candidate, parallel)
        self.rungs.end(candidate.number, None if outcome.evidence is None else outcome.evidence[:, outcome.step])
        return outcome

    def _evaluated(self, candidate: Candidate, parallel: Any) -> Outcome:
        clock = self.setup.deadline.clock
        started = clock()
        fits, end = self._fit_folds(candidate, parallel, started)
        failed = next((fit.error for fit in fits.values() if fit.error), "")
        if failed:
            return Outcome(candidate, "failed", reason=failed, seconds=clock() - started)
        failures = {name: error for fit in fits.values() for name, error in fit.failures.items()}
        trajectory = self._trajectory(candidate, fits, failures)
        step = trajectory.deciding.best_step() if trajectory.scored else 0
        if end is not None:
            return Outcome.left(candidate, end, trajectory, clock() - started, step)
        if not trajectory.deciding.fitted.any():
            error = f"{self.setup.metrics[0].name} was not finite on the rows outside training"
            reason = "; ".join(filter(None, (error, unmeasured(failures))))
            return Outcome(candidate, "failed", reason=reason, seconds=clock() - started)
        problem = self.setup.problem
        others = spread_steps(trajectory.steps, step, steps_kept(problem.rows, problem.outputs))
        kept = [fits[k].kept(self.setup.metrics[0]) for k in range(len(fits))]
        along = PathDecisions.of(others, [self._predictions(kept, other) for other in others])
        return Outcome(
            candidate, "complete", trajectory, step, self._predictions(kept, step), along, clock() - started,
            reason=unmeasured(failures), reads_more=any(fit.reads_more(self.setup.metrics[0]) for fit in fits.values()),
        )  # fmt: skip

    def _fit_folds(self, candidate: Candidate, parallel: Any, started: float) -> tuple[dict[int, FoldFit], Stop | None]:
        """The folds of a candidate as far as they are fitted, and why it was left before the last, if it was.

        Some at a time, as `FoldRungs` orders them; none after one that fails.
        """
        from joblib import delayed, effective_n_jobs

        setup, deadline = self.setup, self.setup.deadline
        folds = list(zip(setup.folds.train, setup.folds.val, strict=True))
        prunes = self.setup.prunes_in_folds(candidate)
        order = self.rungs.order(candidate.number) if prunes else list(range(len(folds)))
        fits: dict[int, FoldFit] = {}
        while len(fits) < len(folds):
            at_once = 1 if prunes and not fits else max(1, effective_n_jobs(setup.n_jobs))
            new = order[len(fits) : len(fits) + at_once]
            with deadline.interruptible():
                done = parallel(
                    delayed(fit_fold)(candidate.config, setup.problem, setup.metrics, setup.seed, folds[k]) for k in new
                )
                fits |= dict(zip(new, done, strict=True))
            if any(fit.error for fit in fits.values()):
                return fits, None
            judged = prunes and not deadline.was_interrupted  # else some of the new ones are not there
            enough, why = self._enough_to_prune(candidate, fits, new) if judged else (0, "")
            if why:
                return {k: fits[k] for k in order[:enough]}, Stop("pruned", why)
            stop = deadline.stop(deadline.clock() - started)
            if stop is not None and len(fits) < len(folds):
                return fits, stop.at(f"after {len(fits)} of {len(folds)} folds")
        return fits, None

    def _enough_to_prune(
        self, candidate: Candidate, fits: Mapping[int, FoldFit], new: Sequence[int]
    ) -> tuple[int, str]:
        """How many folds, the new ones among them, are enough to give up, and why; the same however many came at once.

        After the last fold there is nothing to save.
        """
        folds, best = list(fits), self.setup.history.best_folds
        for count in range(len(folds) - len(new) + 1, min(len(folds), len(self.setup.folds) - 1) + 1):
            scores = self._scores_so_far(fits, folds[:count])
            why = self.rungs.why_given_up(candidate.number, scores, folds[:count], best)
            if why:
                return count, why
        return 0, ""

    def _scores_so_far(self, fits: Mapping[int, FoldFit], folds: Sequence[int]) -> Array:
        """``[len(folds)]`` scores at the step that is best over those folds."""
        val = np.full((len(self.setup.folds), fits[folds[0]].val.shape[1]), np.nan)
        val[folds] = [fits[k].val[0] for k in folds]
        return at_best(val, self.setup.averaging)[folds, 0]

    def _trajectory(self, candidate: Candidate, fits: Mapping[int, FoldFit], failures: dict[str, str]) -> Trajectory:
        """What was measured, NaN in folds that are not fitted."""
        steps, averaging = max((fit.val.shape[1] for fit in fits.values()), default=1), self.setup.averaging

        def along(part: str, j: int) -> Array:
            values = np.full((len(self.setup.folds), steps), np.nan)
            for k, fit in fits.items():
                values[k] = getattr(fit, part)[j]
            return values

        curves = {
            m.name: Curves(
                along("train", j), self._pooled(m, fits, steps, failures) if m.pooled else along("val", j), averaging
            )
            for j, m in enumerate(self.setup.metrics)
        }
        axis = np.arange(1.0, steps + 1) if candidate.config.axis else np.full(1, np.nan)
        return Trajectory(axis, curves, np.full((len(self.setup.folds), steps), np.nan))

    def _pooled(self, metric: Metric, fits: Mapping[int, FoldFit], steps: int, failures: dict[str, str]) -> Array:
        """``[K, S]`` of a score of all folds' predictions together; NaN where they are not all there."""
        setup = self.setup
        if len(fits) < len(setup.folds):
            return np.full((len(setup.folds), steps), np.nan)
        decisions = [fits[k].told_to(metric) for k in range(len(fits))]
        return pooled_scores(metric, setup.problem, setup.folds.val, decisions, setup.averaging, failures)

    def _predictions(self, kept: Sequence[Array], step: int) -> Array:
        """``[n, m]``, of decisions ``[n_val, S, m]`` by fold."""
        found = [one[:, step] for one in kept]
        shape = (self.setup.problem.rows, found[0].shape[1])
        return out_of_fold_mean(zip(self.setup.folds.val, found, strict=True), shape)
