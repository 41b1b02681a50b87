"""The backend for any scikit-learn estimator: one fit per fold, folds in parallel, poor configs pruned."""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.features import take_rows
from regsearch.data.problem import Problem, check_columns, check_table
from regsearch.data.survival import check_not_survival
from regsearch.data.weights import weighing
from regsearch.errors import FOREIGN, InvalidInput
from regsearch.metrics.pooled import pooled_scores
from regsearch.metrics.scorer import Metric, unmeasured
from regsearch.models.base import Backend, Candidate, Model, Outcome, Setup
from regsearch.models.deadline import NO_DEADLINE, Deadline, Stop
from regsearch.models.fold_rungs import FoldRungs
from regsearch.models.joblib_workers import ending_workers
from regsearch.models.out_of_fold import out_of_fold_mean
from regsearch.models.parameter_ranges import check_ranges
from regsearch.models.path import Curves, Trajectory
from regsearch.models.writable import obstacle
from regsearch.space.config import to_data
from regsearch.space.sampling import fill, leaves
from regsearch.space.starts import initial_params
from regsearch.space.tree import Path


@dataclass(frozen=True)
class Estimator(Model):
    """Any scikit-learn estimator or pipeline, with leaves for its parameters.

    Parameters
    ----------
    estimator
        Unfitted; cloned for every fit. As given, it is the reference that trials are compared with.
    params
        Leaves or values by parameter name, nested with ``__`` as in scikit-learn.

    Raises
    ------
    InvalidInput
        When the object is no estimator, or a parameter is not one of its own.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from regsearch import Float
    >>> space = Estimator(SVC(), {"C": Float(1e-3, 1e3, log=True)})
    """

    merged: ClassVar[tuple[str, ...]] = ("params",)
    estimator: Any
    params: Mapping[str, Any]

    def __post_init__(self) -> None:
        made = not isinstance(self.estimator, type)  # the class itself has the methods too
        if not (made and hasattr(self.estimator, "fit") and hasattr(self.estimator, "get_params")):
            raise InvalidInput(f"Estimator needs a scikit-learn estimator, got {self.estimator!r}; pass SVC(), say.")
        if not isinstance(self.params, Mapping):
            raise InvalidInput(f"Estimator needs params by name, got {self.params!r}; write {{'C': Float(0.1, 10)}}.")
        known = self.estimator.get_params()
        for name in self.params:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(known))}."
                raise InvalidInput(f"{type(self.estimator).__name__} has no parameter {name!r}; {hint}")

    def shown_fields(self) -> dict[str, Any]:
        last = self.estimator.steps[-1][1] if hasattr(self.estimator, "steps") else self.estimator
        return {"estimator": type(last).__name__, **self.params}

    def scoring(self, problem: Problem) -> str:
        proba = problem.classes is None or hasattr(self.estimator, "predict_proba")
        return super().scoring(problem) if proba else "accuracy"

    def check(self, setup: Setup) -> None:
        from sklearn.base import is_classifier, is_regressor

        name = type(self.estimator).__name__
        check_table(setup.problem, "Estimator")
        check_not_survival(setup.problem.task, "Estimator")
        if not any(hasattr(part, "fit") for part in self.estimator.get_params().values()):
            check_columns(setup.problem, f"{name} without steps that encode it")
        if any(isinstance(leaf, Path) for leaf in leaves(self.params)):
            raise InvalidInput(
                "A Path is the axis of a linear model's lambda, got one for an estimator; use Float or Choice."
            )
        check_ranges(self.estimator, self.params)
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
            if not any(method == "predict" or hasattr(self.estimator, method) for method in methods):
                raise InvalidInput(
                    f"The scorer {metric.name!r} needs {' or '.join(methods)}, which {name} does not have as given; "
                    "choose another scorer, such as 'accuracy'."
                )

    def preload(self) -> None:
        from joblib import Parallel  # noqa: F401

    def backend(self, setup: Setup) -> Backend:
        return EstimatorBackend(setup)

    unregularized: ClassVar[str] = "the estimator as given"

    def reference(self) -> Estimator:
        own = self.estimator.get_params()
        return replace(self, params={name: own[name] for name in self.params})

    def without(self, plain: Model | None = None) -> dict[str, Model]:
        off = self.reference().params
        return {
            name: replace(self, params={**self.params, name: off[name]})
            for name, value in self.params.items()
            if to_data(value) != to_data(off[name])
        }

    def build(self) -> Any:
        """The unfitted estimator of a config."""
        from sklearn.base import clone

        return clone(self.estimator).set_params(**self.params)

    def cannot_be_exported(self) -> str:
        filled = (fill(self, params) for params in initial_params(self))
        return obstacle(config.build() for config in (self.reference(), *filled))

    def refit(self, problem: Problem, seed: int, deadline: Deadline = NO_DEADLINE) -> Any:
        return _fitted(seeded(self.build(), seed), problem, np.arange(problem.rows))


class EstimatorBackend:
    """Fits a candidate's folds: one first, then `n_jobs` at a time, as long as it keeps up."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.rungs = FoldRungs(setup.history.curves, setup.averaging)

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        from joblib import Parallel

        with ending_workers(), Parallel(n_jobs=self.setup.n_jobs) as parallel:
            for candidate in candidates:
                yield self.evaluate(candidate, parallel)

    def evaluate(self, candidate: Candidate, parallel: Any) -> Outcome:
        clock = self.setup.deadline.clock
        started = clock()
        fits, end = self._fit_folds(candidate, parallel, started)
        failed = next((fit.error for fit in fits.values() if fit.error), "")
        if failed:
            return Outcome(candidate, "failed", reason=failed, seconds=clock() - started)
        unknown = np.full((len(self.setup.folds), 1), np.nan)
        failures = {name: error for fit in fits.values() for name, error in fit.failures.items()}
        trajectory = Trajectory(curves=self._curves(fits, failures), complexity=unknown)
        if end is not None:
            return Outcome.left(candidate, end, trajectory, clock() - started)
        if not trajectory.deciding.fitted.any():
            error = f"{self.setup.metrics[0].name} was not finite on the rows outside training"
            reason = "; ".join(filter(None, (error, unmeasured(failures))))
            return Outcome(candidate, "failed", reason=reason, seconds=clock() - started)
        if candidate.role != "reference":
            self.rungs.add(candidate.number, trajectory.deciding.val[:, 0])
        predictions = self._predictions(fits)
        return Outcome(
            candidate, "complete", trajectory, predictions=predictions, seconds=clock() - started,
            reason=unmeasured(failures),
        )  # fmt: skip

    def _fit_folds(self, candidate: Candidate, parallel: Any, started: float) -> tuple[dict[int, FoldFit], Stop | None]:
        """The folds of a candidate as far as they are fitted, and why it was left before the last, if it was.

        Some at a time, as `FoldRungs` orders them; none after one that fails.
        """
        from joblib import delayed, effective_n_jobs

        setup, deadline = self.setup, self.setup.deadline
        folds = list(zip(setup.folds.train, setup.folds.val, strict=True))
        prunes = self._prunes(candidate)
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

    def _prunes(self, candidate: Candidate) -> bool:
        """Whether a candidate may be given up: not the reference, nor where folds have no scores of their own."""
        pooled = self.setup.metrics[0].pooled
        return self.setup.prune and not pooled and candidate.role != "reference" and len(self.setup.folds) > 1

    def _enough_to_prune(
        self, candidate: Candidate, fits: Mapping[int, FoldFit], new: Sequence[int]
    ) -> tuple[int, str]:
        """How many folds, the new ones among them, are enough to give up, and why; the same however many came at once.

        After the last fold there is nothing to save.
        """
        folds, best = list(fits), self.setup.history.best_folds
        for count in range(len(folds) - len(new) + 1, min(len(folds), len(self.setup.folds) - 1) + 1):
            scores = np.array([fits[k].val[0] for k in folds[:count]])
            why = self.rungs.why_given_up(candidate.number, scores, folds[:count], best)
            if why:
                return count, why
        return 0, ""

    def _curves(self, fits: Mapping[int, FoldFit], failures: dict[str, str]) -> dict[str, Curves]:
        def column(part: str, j: int) -> Array:
            values = np.full((len(self.setup.folds), 1), np.nan)
            for k, fit in fits.items():
                values[k] = getattr(fit, part)[j]
            return values

        averaging = self.setup.averaging
        return {
            m.name: Curves(
                column("train", j), self._pooled(m, fits, failures) if m.pooled else column("val", j), averaging
            )
            for j, m in enumerate(self.setup.metrics)
        }

    def _pooled(self, metric: Metric, fits: Mapping[int, FoldFit], failures: dict[str, str]) -> Array:
        """``[K, 1]`` of a score of all folds' predictions together; NaN where they are not all there."""
        setup = self.setup
        if len(fits) < len(setup.folds):
            return np.full((len(setup.folds), 1), np.nan)
        decisions = [fits[k].predictions[:, None] for k in range(len(fits))]
        return pooled_scores(metric, setup.problem, setup.folds.val, decisions, setup.averaging, failures)

    def _predictions(self, fits: Mapping[int, FoldFit]) -> Array:
        """``[n, m]``."""
        found = [fits[k].predictions for k in range(len(fits))]
        shape = (self.setup.problem.rows, found[0].shape[1])
        return out_of_fold_mean(zip(self.setup.folds.val, found, strict=True), shape)


@dataclass(frozen=True)
class FoldFit:
    """Scores of one fold, by metric, and its predictions for the validation rows ``[n_val, m]``.

    Attributes
    ----------
    error
        Why there are none.
    failures
        What scorers raised that decide nothing, by metric: their scores are NaN.
    """

    train: list[float]
    val: list[float]
    predictions: Array
    error: str = ""
    failures: dict[str, str] = field(default_factory=dict)


def fit_fold(config: Estimator, problem: Problem, metrics: Any, seed: int, fold: tuple[Rows, Rows]) -> FoldFit:
    """Fit and score one fold; an estimator's own error is reported, not raised."""
    train, val = fold
    failures: dict[str, str] = {}
    kept = [None, *[failures] * (len(metrics) - 1)]  # without the one that decides there is no score: it is raised
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = _fitted(seeded(config.build(), seed), problem, train)
            inside, outside = problem.take(train), problem.take(val)
            scores = [
                [metric.score(fitted, inside, of) for metric, of in zip(metrics, kept, strict=True)],
                [
                    math.nan if metric.pooled else metric.score(fitted, outside, of)
                    for metric, of in zip(metrics, kept, strict=True)
                ],
            ]
            predictions = _decisions(fitted, take_rows(problem.X, val), problem)
        except FOREIGN as error:  # anyone's code: the trial fails with its words, the search goes on
            return FoldFit([], [], np.empty((0, 1)), f"{type(error).__name__}: {error}")
    if not np.isfinite(scores[0][0] if metrics[0].pooled else [part[0] for part in scores]).all():
        return FoldFit([], [], np.empty((0, 1)), f"{metrics[0].name} was not finite in a fold")
    return FoldFit(scores[0], scores[1], predictions, failures=failures)


def seeded(estimator: Any, seed: int) -> Any:
    """Set every ``random_state`` that the user left open: a config's result must not depend on chance."""
    open_ = {
        k: seed for k, v in estimator.get_params().items() if k.rpartition("__")[2] == "random_state" and v is None
    }
    return estimator.set_params(**open_)


def _fitted(estimator: Any, problem: Problem, rows: Rows) -> Any:
    rows = weighing(rows, problem.sample_weight)
    X, y = take_rows(problem.X, rows), problem.labels[rows]
    if problem.sample_weight is None:
        return estimator.fit(X, y)
    import sklearn

    weights = problem.sample_weight[rows]
    if not hasattr(estimator, "steps") or _asks_for_weights(estimator):
        return estimator.fit(X, y, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=False):  # with it, a step can no longer be named
        return estimator.fit(X, y, **{f"{estimator.steps[-1][0]}__sample_weight": weights})


def _asks_for_weights(pipeline: Any) -> bool:
    """Whether steps ask for sample weights themselves, by scikit-learn's metadata routing."""
    import sklearn
    from sklearn.utils.metadata_routing import get_routing_for_object

    if not sklearn.get_config()["enable_metadata_routing"]:
        return False
    return bool(get_routing_for_object(pipeline).consumes("fit", ["sample_weight"]))


def _decisions(fitted: Any, X: Any, problem: Problem) -> Array:
    """Decisions ``[n, m]``, as `regsearch.metrics.scorer` means them.

    From probabilities where the estimator has them. Without: the decision function of two classes, which has the sign
    of the label, else the labels themselves, as +-1 or one-hot.
    """
    if problem.classes is None:
        return np.asarray(fitted.predict(X), dtype=float).reshape(-1, problem.outputs)
    if hasattr(fitted, "predict_proba"):
        return _logits(np.asarray(fitted.predict_proba(X)))
    if problem.outputs == 1 and hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(X), dtype=float).reshape(-1, 1)
    codes = np.searchsorted(problem.classes, fitted.predict(X))
    each = np.array([[-1.0], [1.0]]) if problem.outputs == 1 else np.eye(problem.outputs)
    return np.asarray(each[codes])


def _logits(proba: NDArray[Any]) -> Array:
    """Log-odds ``[n, 1]`` of probabilities ``[n, 2]``, else their logarithms ``[n, C]``; always finite.

    scikit-learn's log loss takes no probability for less than the rounding error of its type, so its loss is that of
    the logarithm there. Beyond it, logarithms go on falling, but by a millionth: the loss stays what it was, and so
    does the order of probabilities that are smaller still.
    """
    tiny = np.finfo(float).tiny
    least = np.log(np.finfo(proba.dtype if proba.dtype.kind == "f" else float).eps)
    proba = proba.astype(float)

    def log(values: Array) -> Array:
        logs: Array = np.log(np.maximum(values, tiny))
        return np.asarray(np.where(logs < least, least + 1e-6 * (logs - least), logs), dtype=float)

    return log(proba[:, 1:]) - log(1 - proba[:, 1:]) if proba.shape[1] == 2 else log(proba)
