"""Scores, vectorised along a path where their formula is known, by the scikit-learn scorer where not.

Notation: n rows, S steps of a path, t targets of a regression, m outputs. A *decision* ``[n, S, m]`` is the prediction
of a regression (m = t), the log-odds of a binary classifier (m = 1), or one logit per class. A score is larger when
better, as in scikit-learn; that of several targets is the mean of theirs.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import MIXED, Array
from regsearch.cleaning import first_line
from regsearch.data.features import take_rows
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing
from regsearch.errors import FOREIGN, InvalidInput
from regsearch.inputs import check_no_metric, did_you_mean, one_name, said
from regsearch.metrics.absent_classes import told_of_classes
from regsearch.metrics.by_target import of_target
from regsearch.metrics.counting import DECIMALS, counts
from regsearch.metrics.deviance import NAMES, OF_SURVIVAL, center_of, named_score
from regsearch.metrics.direction import check_direction
from regsearch.metrics.kernels import FROM_MSE, KERNELS, OF_CLASSES, Kernel
from regsearch.metrics.mixed import AND, FORMULAS, MEAN_D2, MeanScorer, each_scorer, is_mixed_name, kernel_of
from regsearch.metrics.predictions import fixed_prediction, watched_prediction
from regsearch.metrics.probes import few_rows, probes
from regsearch.space.naming import identity

CALLED = {  # by what people call it, the scorer
    "rmse": "neg_root_mean_squared_error", "mse": "neg_mean_squared_error", "mae": "neg_mean_absolute_error",
    "mape": "neg_mean_absolute_percentage_error", "auc": "roc_auc", "auroc": "roc_auc", "logloss": "neg_log_loss",
    "log_loss": "neg_log_loss", "cross_entropy": "neg_log_loss", "brier": "neg_brier_score", "acc": "accuracy",
    "r_squared": "r2", "c_index": "concordance_index",
}  # fmt: skip
_ERRORS = ("_error", "_loss", "_deviance")  # what the names of metrics end with that are to be small
POOLED = " pooled"  # what the identity of a pooled score ends with
DEFAULTS = {
    "regression": "neg_root_mean_squared_error",  # in the units of y
    "binary": "neg_log_loss",
    "multiclass": "neg_log_loss",
    "survival": "d2_cox",
    MIXED: MEAN_D2,
}


@dataclass(frozen=True)
class Metric:
    """One score.

    Attributes
    ----------
    name
        As the user gave it.
    scorer
        The scikit-learn scorer ``(estimator, X, y) -> float``.
    kernel
        ``(y [n] or [n, t], decision [n, S, m], weights [n]) -> [S]``, or `None` when only the scorer knows.
    from_mse
        ``(mse [...], variance of y) -> score``, for a score that the mean squared error determines, of each target.
    perfect
        The best possible score, or `None` when unknown: what a relative change of the loss is measured against.
    center
        Of targets and their weights, ``[n]``, the constant prediction that it likes best; `None` is the mean.
    counts
        Whether the score counts rows, or pairs of rows: what differs by rounding alone is then stored as equal.
    pooled
        Whether the score of rows outside training is computed once, on all folds' decisions together.
    needs_fit
        Why a scorer of the user's own cannot score predictions alone, as one that reads the fitted estimator; usually
        empty.
    by_target
        Of a mean of scores of targets with tasks of their own, that of each; else empty.
    """

    name: str
    scorer: Callable[..., float]
    kernel: Kernel | None = None
    from_mse: Callable[[Array, Any], Array] | None = None
    perfect: float | None = None
    center: Callable[[Array, Array], float] | None = None
    counts: bool = False
    pooled: bool = False
    needs_fit: str = ""
    by_target: tuple[Metric, ...] = ()

    @cached_property
    def identity(self) -> str:
        """What must be equal for scores to be comparable: the name, and what the scorer is."""
        return f"{self.name} {identity(self.scorer)}{POOLED if self.pooled else ''}"

    def score(self, fitted: Any, problem: Problem, failures: dict[str, str] | None = None) -> float:
        """The score of a fitted estimator on all rows of a problem; `failures` are those of `along`."""
        scored = weighing(np.arange(problem.rows), problem.score_weight)
        problem = problem if len(scored) == problem.rows else problem.take(scored)
        options = {} if problem.score_weight is None else {"sample_weight": problem.score_weight}
        return float(self.exact(self._called(failures, problem, fitted, problem.X, problem.labels, **options)))

    def exact(self, scores: Any) -> Any:
        """Scores without the rounding of sums: shares of rows that are all of them make 1, and not a little more."""
        return np.round(scores, DECIMALS) if self.counts else scores

    def along(
        self, problem: Problem, rows: NDArray[np.intp], decision: Array, failures: dict[str, str] | None = None
    ) -> Array:
        """``[S]`` scores of a decision ``[len(rows), S, m]`` on some rows of a problem, m being its `outputs`.

        Parameters
        ----------
        failures
            Where to put what the scorer raises at a step, by the metric's name; its score is NaN there. By default it
            is raised.
        """
        assert decision.shape[2] == problem.outputs, "what has another number of outputs would broadcast"
        rows, decision = _scored(problem, rows, decision)
        if self.kernel is not None:
            weights = problem.score_weight[rows] if problem.score_weight is not None else np.ones(len(rows))
            return np.asarray(self.exact(self.kernel(problem.y[rows], decision, weights / weights.sum())))
        from sklearn.exceptions import UndefinedMetricWarning

        with warnings.catch_warnings():  # the top of a path predicts one class: precision is undefined there, and 0
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            return self.by_scorer(problem, rows, decision, failures)

    def by_scorer(
        self, problem: Problem, rows: NDArray[np.intp], decision: Array, failures: dict[str, str] | None = None
    ) -> Array:
        """`along` without a formula, and not silent: scikit-learn's warnings say of what it makes up a score."""
        rows, decision = _scored(problem, rows, decision)
        X = None if hasattr(self.scorer, "_score_func") else take_rows(problem.X, rows)  # scikit-learn's read none
        labels = take_rows(problem.labels, rows)
        options = {} if problem.score_weight is None else {"sample_weight": problem.score_weight[rows]}
        fixed = (fixed_prediction(problem, decision[:, step]) for step in range(decision.shape[1]))
        found = [self._called(failures, problem, each, X, labels, **options) for each in fixed]
        return np.asarray(self.exact(np.array(found)))

    def _called(
        self, failures: dict[str, str] | None, problem: Problem, fitted: Any, X: Any, labels: Any, **options: Any
    ) -> Any:
        """What the scorer says; where it fails, NaN, if there is a place for its words."""
        try:
            with warnings.catch_warnings():  # of probabilities that are kept, or were told, in single precision
                warnings.filterwarnings("ignore", "The y_prob values do not sum to one", UserWarning)
                return told_of_classes(self.scorer, problem.classes, labels)(fitted, X, labels, **options)
        except FOREIGN as error:  # a scorer is anyone's code
            if failures is None:
                raise
            failures[self.name] = first_line(error)
            return np.nan


def _scored(problem: Problem, rows: NDArray[np.intp], decision: Array) -> tuple[NDArray[np.intp], Array]:
    """Those of some rows, and of their decisions, that weigh anything in scores."""
    if problem.score_weight is None:
        return rows, decision
    weighs = problem.score_weight[rows] > 0
    return (rows, decision) if weighs.all() else (rows[weighs], decision[weighs])


def resolve(scoring: Any, problem: Problem) -> tuple[Metric, ...]:
    """The metrics that a user names; the first decides.

    Parameters
    ----------
    scoring
        `None` (mean squared error or log loss), a scorer name, a callable ``(estimator, X, y) -> float``, or a list or
        dict of those; of targets with tasks of their own also a dict by target, whose mean counts.

    Raises
    ------
    InvalidInput
        When a scorer is unknown or does not fit the task, or the first one is an error: larger must be better.
    """
    if scoring is None:
        scoring = DEFAULTS[problem.task]
    if isinstance(scoring, Mapping) and problem.tasks and {*map(str, scoring)} == {*problem.target_names}:
        by_name = {str(name): one for name, one in scoring.items()}
        each = [by_name[name] for name in problem.target_names]
        named: list[tuple[Any, Any]] = [(AND.join(map(_name, each)), tuple(each))]
    elif isinstance(scoring, Mapping):
        named = list(scoring.items())
    elif isinstance(scoring, (list, tuple)):
        named = [(_name(one), one) for one in scoring]
    else:
        named = [(_name(scoring), scoring)]
    for name, _ in named:
        one_name(name, "A scorer's name", "rename it.")
    if not named:
        raise InvalidInput("scoring needs at least one scorer, got none; leave it out for the default.")
    metrics = tuple(_metric(str(name), scorer, problem) for name, scorer in named)
    if len({metric.name for metric in metrics}) < len(metrics):
        raise InvalidInput(f"Scorers must differ by name, got {[m.name for m in metrics]}; pass a dict to name them.")
    metrics = tuple(_fitting(metric, problem) for metric in metrics)
    _check_directions(named[0][1], metrics[0], problem)
    return metrics


def metric_of_target(metric: Metric, place: int) -> Metric:
    """What one of several targets is scored by alone."""
    return replace(metric.by_target[place], pooled=metric.pooled) if metric.by_target else metric


def is_named(name: str) -> bool:
    """Whether a scorer of that name is one of scikit-learn's or of regsearch's."""
    from sklearn.metrics import get_scorer_names

    return named_score(name) is not None or name in get_scorer_names() or is_mixed_name(name, is_named)


def label_of(name: str, weighted: bool) -> str:
    """What a score is called wherever it is shown: whether rows weigh in it is part of what it says."""
    return f"{name} (weighted)" if weighted else name


def unmeasured(failures: Mapping[str, str]) -> str:
    """What a trial says of scorers that failed and do not decide: their error by name; usually nothing."""
    return "; ".join(f"the scorer {name!r} failed: {error}" for name, error in failures.items())


def known(name: str, identity: str, problem: Problem) -> Metric | None:
    """The metric that a stored study calls so; `None` where it is not one of scikit-learn's."""
    try:
        metric = replace(resolve(name, problem)[0], pooled=identity.endswith(POOLED))
    except InvalidInput:
        return None
    return metric if metric.identity == identity else None


def defined_on(metric: Metric, problem: Problem, rows: NDArray[np.intp]) -> bool:
    """Whether a score is a finite number on some rows for any of a few predictions, one of them right everywhere.

    On a single row, where scikit-learn warns of any it is not defined either, as the average precision of a negative.
    """

    score = metric.by_scorer if metric.kernel is None else metric.along
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = [bool(np.isfinite(score(problem, rows, one, {})).all()) for one in probes(problem, rows)]
    return any(found) and not (len(rows) == 1 and any(issubclass(one.category, UserWarning) for one in warned))


def formula(metric: Metric) -> str:
    """The scikit-learn name of the formula that a metric is computed by; empty when only its scorer knows."""
    return next((name for name, kernel in KERNELS.items() if kernel is metric.kernel), "")


def check_test(metrics: tuple[Metric, ...], test: Problem) -> None:
    """Refuse a held-out set that a scorer cannot score.

    Raises
    ------
    InvalidInput
        Naming the scorer.
    """
    for metric in metrics:
        try:
            _fitting(metric, test)
        except InvalidInput as error:
            raise InvalidInput(f"The held-out set cannot be scored by {metric.name!r}: {error}") from error


def _name(scorer: Any) -> str:
    """What a scorer is called: one of `make_scorer` by its function, ``neg_`` before an error, as scikit-learn does."""
    if isinstance(scorer, str):
        return scorer
    function = getattr(scorer, "_score_func", scorer)
    name, error = getattr(function, "__name__", type(function).__name__), getattr(scorer, "_sign", 1) < 0
    if name == "<lambda>":
        name = _measured_by(function)
        error = error or (function is scorer and name.endswith(_ERRORS))  # else it would be refused: larger is better
    return f"neg_{name}" if error else name


def _measured_by(function: Any) -> str:
    """What a function without a name of its own is called: by the one metric of scikit-learn that it reads, if any."""
    import sklearn.metrics

    read = [name for name in function.__code__.co_names if callable(getattr(sklearn.metrics, name, None))]
    return read[0] if len(read) == 1 else "score"


def _metric(name: str, scorer: Any, problem: Problem) -> Metric:
    from sklearn.metrics import get_scorer, get_scorer_names

    each = each_scorer(scorer, problem.tasks) if problem.tasks else None
    if each is not None:
        return _mean(name, each, problem)
    if callable(scorer):
        check_no_metric(name, scorer)
        return Metric(name, scorer, counts=counts(scorer))
    own = named_score(scorer) if isinstance(scorer, str) else None
    if own is not None:
        return Metric(name, own.scorer, own.kernel, None, 0.0 if scorer.startswith("neg_") else 1.0, own.center)
    if not isinstance(scorer, str) or not is_named(scorer):
        known = [*get_scorer_names(), *NAMES]
        hint = did_you_mean(scorer, known, "see sklearn.metrics.get_scorer_names().", CALLED)
        raise InvalidInput(f"scoring must be a scikit-learn scorer, got {said(scorer)}; {hint}")
    perfect = 0.0 if scorer.startswith("neg_") else None if scorer in _UNBOUNDED else 1.0
    found = get_scorer(scorer)
    return Metric(name, found, KERNELS.get(scorer), FROM_MSE.get(scorer), perfect, center_of(scorer), counts(found))


def _mean(name: str, scorers: tuple[Any, ...], problem: Problem) -> Metric:
    """The mean of a score for each target, each of which must fit its task."""
    alone = [of_target(problem, j) for j in range(problem.targets)]
    fitting = (_fitting(_metric(_name(one), one, part), part) for one, part in zip(scorers, alone, strict=True))
    each = [replace(one, kernel=FORMULAS.get(one.name, one.kernel)) for one in fitting]
    perfect = [one.perfect for one in each if one.perfect is not None]
    scorer, kernel = (
        MeanScorer(tuple(one.scorer for one in each)),
        kernel_of([one.kernel for one in each], problem.tasks),
    )
    best = sum(perfect) / len(each) if len(perfect) == len(each) else None
    return Metric(name, scorer, kernel, None, best, counts=all(one.counts for one in each), by_target=tuple(each))


def _fitting(metric: Metric, problem: Problem) -> Metric:
    """The metric, if it can score some prediction of a few rows; with the reason, where it may need the fit itself.

    A constant prediction comes first. A score may not be defined for it, such as a correlation: then others decide.
    """
    rows = few_rows(problem)
    checked = Metric(metric.name, metric.scorer)  # the scorer itself, not the kernel
    if (metric.name in OF_SURVIVAL) != (problem.task == "survival") and hasattr(metric.scorer, "_score_func"):
        raise InvalidInput(f"The scorer {metric.name!r} does not fit a {problem.task} task. {_suggest(problem)}")
    alike = (metric.kernel in OF_CLASSES) == (problem.classes is not None)
    reason = "" if metric.kernel is None or problem.tasks or alike else _MISFIT
    own = ""
    for decision in probes(problem, rows) if not reason else ():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # anyone's scorer: what it says of a constant is no news
                value = checked.along(problem, rows, decision)[0]
        except FOREIGN as error:  # a scorer is anyone's code
            reason = reason or str(error).rstrip(".") or type(error).__name__
            own = own or f"{type(error).__name__}: {reason}"
            continue
        if np.isscalar(value) and np.isreal(value) and not np.isnan(value):
            return metric
    _check_takes_weights(metric, problem)
    if own and _reads_more(metric, problem, rows):
        return replace(metric, needs_fit=own)
    why = f": {reason}" if reason not in ("", _MISFIT) else ""
    raise InvalidInput(f"The scorer {metric.name!r} does not fit a {problem.task} task{why}. {_suggest(problem)}")


def _check_takes_weights(metric: Metric, problem: Problem) -> None:
    """Refuse a scorer that has failed for the weights of rows alone."""
    if problem.score_weight is None:
        return
    try:
        _fitting(metric, replace(problem, score_weight=None))
    except InvalidInput:
        return
    raise InvalidInput(
        f"The scorer {metric.name!r} takes no sample_weight, and rows weigh in scores; pass score_weight=None for "
        "scores without weights, or take another scorer."
    )


def _reads_more(metric: Metric, problem: Problem, rows: NDArray[np.intp]) -> bool:
    """Whether a scorer of the user's own that failed had read more of the estimator than its predictions."""
    if hasattr(metric.scorer, "_score_func"):
        return False
    read: set[str] = set()
    watched = watched_prediction(problem, next(probes(problem, rows))[:, 0], read)
    options = {} if problem.score_weight is None else {"sample_weight": problem.score_weight[rows]}
    with contextlib.suppress(Exception), warnings.catch_warnings():  # it has failed before
        warnings.simplefilter("ignore")
        metric.scorer(watched, take_rows(problem.X, rows), take_rows(problem.labels, rows), **options)
    return bool(read)


def _check_directions(given: Any, metric: Metric, problem: Problem) -> None:
    """Refuse a user's own scorer, or one of those that a mean is of, that likes what is wrong better."""
    for place, alone in enumerate(given if isinstance(given, tuple) else ()):
        _check_directions(alone, metric.by_target[place], of_target(problem, place))
    if callable(given) and not metric.needs_fit:
        check_direction(metric.name, metric.along, problem)


def _suggest(problem: Problem) -> str:
    if problem.task == "survival":
        return f"Try one of {', '.join(OF_SURVIVAL)}."
    if problem.tasks:
        return f"Leave it out, for {MEAN_D2}."
    usual = "r2 or neg_root_mean_squared_error" if problem.classes is None else "neg_log_loss or accuracy"
    return f"Try {usual}."


_MISFIT = "a formula of another task"
_UNBOUNDED = {"mutual_info_score", "positive_likelihood_ratio"}  # all others of scikit-learn's end at 0 or 1
