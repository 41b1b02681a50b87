"""`RegSearchCV`, a search as scikit-learn estimator: fit, predict, clone, pipeline, nested cross-validation.

What it does is a `regsearch.Study`; here it gets GridSearchCV's manners. Left to itself it leaves nothing behind: the
study lies in a temporary folder that goes when its results do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from inspect import signature
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import ClassifierTags, RegressorTags, Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from regsearch._types import MIXED
from regsearch.data import validation
from regsearch.data.frames import to_pandas
from regsearch.data.problem import SAME, Problem
from regsearch.data.survival import SURVIVAL
from regsearch.data.targets import in_order
from regsearch.errors import InvalidInput
from regsearch.metrics.averaging import FoldWeights
from regsearch.models.base import Model, Space
from regsearch.models.estimator import Estimator
from regsearch.numeric import is_whole, plain
from regsearch.parallel.crew import Workers
from regsearch.results.choice import Chosen
from regsearch.results.results import Results
from regsearch.results.rules import Pick, Rule, find_rule
from regsearch.study.options import StudyOptions
from regsearch.study.search_cv.best import AsksBest
from regsearch.study.search_cv.columns import columns, rows_of
from regsearch.study.search_cv.given_space import space_of
from regsearch.study.search_cv.keeping import kept, passing
from regsearch.study.study import Study


class RegSearchCV(AsksBest, BaseEstimator):  # type: ignore[misc]
    """Search for the regularization that a model needs, choose by a rule, refit on all rows.

    Parameters
    ----------
    space
        What to search: `Linear`, `Net`, `Estimator`, a `Choice` of these, or a ready-made space's name (``mlp``, ...).
    cv
        Folds, as a `Study` takes them: an int (shuffled by `seed`; stratified for classes; whole groups where `fit`
        gets some), a scikit-learn splitter, or a list of index pairs.
    fold_weights
        Whether folds count alike in means and errors (``equal``) or by the weight of the rows that validate (``size``).
    n_trials, timeout, patience
        When the search ends: trials in all, of a study that is kept (`tracking`) those of earlier fits included;
        seconds; trials without a better score. With a timeout, results depend on the machine; else on the data and
        `seed` alone.
    trial_timeout
        Seconds that a trial may take: one that takes longer is given up.
    scoring
        scikit-learn scorer, or several as list or dict, of which the first decides and is what `score` measures. By
        default mean squared error or log loss decides (accuracy where there are no probabilities), and `score` is what
        scikit-learn's own estimators have: R squared or accuracy.
    pooled
        Whether a score of rows outside training is computed once on all folds' predictions together: as in `Study`, by
        default where some fold alone has none. `cv_results_` then has its jackknife's pseudo-values for splits.
    rule
        What to choose of the finished trials: the name of a rule, such as ``best`` or ``one_se``, or a
        function from `Results` to a `Pick`.
    refit
        As GridSearchCV's: `False` leaves out the fit to all rows, and with it `predict`; a name is that of a rule, a
        function gets `cv_results_` and returns the index of its choice, both in place of `rule`.
    verbose
        Above 0, the state of the search is shown while it runs.
    task
        ``regression`` or ``classification``, where it shall not be inferred from y (`make_problem`) or from an
        `Estimator`. What splits data for a search, such as `cross_val_score`, asks before there is a y: it stratifies
        where the task is known. Of several a list, or a dict by column of y.
    target
        What models are fitted to in place of y, undone in predictions: as in `Study`.
    seed
        Of folds, sampler and fits.
    n_jobs
        Folds fitted in parallel; for nets how many train at a time, by default all cores.
    workers, deterministic
        Processes that evaluate trials, a number or a `regsearch.Ray`, and whether they are heard in turns; as in
        `Study.run`.
    prune
        Give poor configs up early.
    sampler
        Optuna sampler instead of the default.
    try_first
        A config to try before all others, or several: as in `Study`.
    on_trial
        Called with the study and each finished trial, as in `Study.run`; ``study.stop()`` ends the search.
    tracking
        By default nothing is kept. An MLflow tracking URI, or `True` for a SQLite file in the root: the study stays
        under `root`, its trials go to the MLflow experiment `name`, and fitting the same again goes on with it.
    name, root
        Of a study that is kept. Its full name has a suffix of data, space and seed: each fold of a nested
        cross-validation is a study of its own.

    Attributes
    ----------
    best_estimator_
        Refitted on all rows; not there with ``refit=False``.
    coef_
        Of its last step, where that has some: of a linear model those of the encoded and scaled columns.
    best_params_, best_score_, best_index_
        Of the choice; the index is that of `cv_results_`. Scores are larger when better, means over folds.
    generalization_gap_
        Train score - validation score of the choice: positive means overfitting.
    cv_results_
        Dict of arrays, one entry per finished trial at the chosen step of its path, under GridSearchCV's names
        (``_<scorer>`` instead of ``_score`` for several scorers), with ``generalization_gap``, ``trial`` and ``state``.
        What was given up or failed has NaN for scores. A rule that chooses another step adds that as the last entry.
    results_
        Everything: `regsearch.Results`. Without tracking, its curves lie in a temporary folder which lives as long as
        this object in this process; of a pickle or copy they say where they were.
    task_
        ``regression``, ``binary``, ``multiclass``; or ``mixed``.
    classes_
        Labels, of a classification.
    scorer_
        The deciding scorer; a dict by name for several.
    n_splits_, n_features_in_, feature_names_in_, multimetric_, refit_time_
        As in scikit-learn; the time is in seconds.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = RegSearchCV("linear", n_trials=8, rule="one_se").fit(X, y)
    >>> search.predict(X[:2]).shape
    (2,)
    """

    def __init__(
        self,
        space: Space | str = "linear",
        *,
        cv: Any = 5,
        fold_weights: FoldWeights = "equal",
        n_trials: int | None = 50,
        timeout: float | None = None,
        patience: int | None = None,
        trial_timeout: float | None = None,
        scoring: Any = None,
        pooled: bool | None = None,
        rule: Any = "best",
        refit: Any = True,
        verbose: int = 0,
        task: Any = None,
        target: Any = None,
        seed: int = 0,
        n_jobs: int | None = None,
        workers: int | Workers | None = None,
        deterministic: bool = False,
        prune: bool = True,
        sampler: Any = None,
        try_first: Any = (),
        on_trial: Any = None,
        tracking: str | bool | None = None,
        name: str = "search",
        root: str | os.PathLike[str] = "mlruns",
    ) -> None:
        self.space = space
        self.cv = cv
        self.fold_weights = fold_weights
        self.n_trials = n_trials
        self.timeout = timeout
        self.patience = patience
        self.trial_timeout = trial_timeout
        self.scoring = scoring
        self.pooled = pooled
        self.rule = rule
        self.refit = refit
        self.verbose = verbose
        self.task = task
        self.target = target
        self.seed = seed
        self.n_jobs = n_jobs
        self.workers = workers
        self.deterministic = deterministic
        self.prune = prune
        self.sampler = sampler
        self.try_first = try_first
        self.on_trial = on_trial
        self.tracking = tracking
        self.name = name
        self.root = root

    # --- fit ---------------------------------------------------------------------------------------------------

    def fit(
        self, X: Any, y: Any, *, sample_weight: Any = None, score_weight: Any = SAME, groups: Any = None
    ) -> RegSearchCV:
        """Search, choose and refit.

        Parameters
        ----------
        X, y
            Data, as `regsearch.data.problem.make_problem` takes them.
        sample_weight
            ``[n]``: weighs rows in every fit.
        score_weight
            ``[n]``: weighs rows in every score; ``same`` as in fits, `None` for unweighted scores.
        groups
            ``[n]``: rows of one group stay together in the folds.

        Raises
        ------
        InvalidInput
            When data, space, folds, scoring or an option cannot be searched.
        SearchFailed
            When the first five trials fail, or all of them, whatever becomes of the reference.
        StudyMismatch
            When a kept study of that name has other folds, another weighting of them or another scoring.
        """
        space, rule = space_of(self.space), self._rule()
        X, y = validation.validate_fit_data(self, X, y)
        task = validation.infer_task(self.task, self._kind(), y, sample_weight)
        rows = {"sample_weight": sample_weight, "score_weight": score_weight, "groups": groups}
        options = self._options(space, task, rows)
        study, results = self._search(X, y, options)
        chosen = results.choose(rule)
        self._describe_study(study)
        self._describe_choice(results, chosen)
        if self.refit is False:
            self._forget_fit()
        else:
            self._refit(chosen, study.problem)
        return self

    def _rule(self) -> Rule:
        """What chooses: `refit`, where it says so, else `rule`."""
        if isinstance(self.refit, bool):
            return find_rule(self.rule)
        if isinstance(self.refit, str):
            return find_rule(self.refit)
        if not callable(self.refit):
            raise InvalidInput(
                f"refit must be True, False, the name of a rule or a function of cv_results_, got {self.refit!r}; "
                "leave it out for the choice of `rule`."
            )
        return partial(_picked_row, self.refit)

    def _forget_fit(self) -> None:
        """Leave nothing of an earlier fit that this one does not have."""
        for name in ("best_estimator_", "refit_time_", "classes_"):
            self.__dict__.pop(name, None)

    def _options(self, space: Model, task: Any, rows: Mapping[str, Any]) -> StudyOptions:
        """Those of the study: the parameters of this search that a study has too, and what `fit` was given of rows."""
        shared = {field.name for field in fields(StudyOptions)} & self.get_params(deep=False).keys()
        own = {name: getattr(self, name) for name in shared - {"space", "task"}}
        return StudyOptions(space=space, task=task, **rows, **own)

    def _search(self, X: Any, y: Any, options: StudyOptions) -> tuple[Study, Results]:
        run = passing if self.tracking in (None, False) else kept
        own = self.get_params(deep=False)
        how = {name: own[name] for name in signature(Study.run).parameters if name in own}
        return run(self.name, X, y, options, how | {"quiet": not self.verbose})

    def _describe_study(self, study: Study) -> None:
        self.task_, self.n_splits_ = study.problem.task, len(study.folds)
        metrics = study.setup.metrics
        self.multimetric_ = len(metrics) > 1
        self._scorer, self._targets = metrics[0].scorer, study.problem.target_names
        self.scorer_ = {metric.name: metric.scorer for metric in metrics} if self.multimetric_ else self._scorer

    def _describe_choice(self, results: Results, chosen: Chosen) -> None:
        self.results_ = results
        rows, self.best_index_ = rows_of(results, chosen)
        self.best_params_ = dict(rows[self.best_index_]["params"])
        self.best_score_, self.generalization_gap_ = chosen.score, chosen.gap
        self.cv_results_ = columns(rows, list(results.identity["metrics"]), results.averaging)

    def _refit(self, chosen: Chosen, problem: Problem) -> None:
        started = time.perf_counter()
        self.best_estimator_ = chosen.config.refit(problem, self.seed)
        self._power = chosen.config.variance_power
        self.refit_time_ = time.perf_counter() - started
        if problem.classes is not None:
            self.classes_ = problem.classes
        elif hasattr(self, "classes_"):
            del self.classes_  # of an earlier fit to classes

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The deciding scorer; without it scikit-learn's of the model, but of survival and mixed tasks.

        That is R squared or accuracy, and D squared of the deviance of counts and amounts. Targets go by their names.
        """
        from sklearn.metrics import accuracy_score, d2_tweedie_score, r2_score

        check_is_fitted(self)
        y = in_order(to_pandas(y), self._targets) if len(self._targets) > 1 else y
        if self.scoring is None and self.task_ not in (SURVIVAL, MIXED):
            explained = partial(d2_tweedie_score, power=self._power) if self._power else r2_score
            measure = explained if self.task_ == "regression" else accuracy_score
            return float(measure(y, self.predict(X), sample_weight=sample_weight))
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        return float(self._scorer(self._best("score"), validation.validate_predict_data(self, X), y, **options))

    # --- what it is --------------------------------------------------------------------------------------------

    def _given(self) -> Any:
        """The user's estimator, where the space has one."""
        return self.space.estimator if isinstance(self.space, Estimator) else None

    def _kind(self) -> str | None:
        """``classifier`` or ``regressor``, where that does not depend on y."""
        if self.task is not None:
            return validation.TASKS.get(self.task) if isinstance(self.task, str) else None
        given = self._given()
        return None if given is None else get_tags(given).estimator_type

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        task = getattr(self, "task_", None)
        tags.estimator_type = self._kind() or (None if task is None else validation.TASKS[task])
        tags.classifier_tags = None if tags.estimator_type == "regressor" else ClassifierTags()  # y may still say which
        tags.regressor_tags = None if tags.estimator_type == "classifier" else RegressorTags()
        tags.target_tags.required = True
        tags.input_tags.sparse = tags.input_tags.allow_nan = tags.input_tags.categorical = True
        given = self._given()
        if given is not None:
            tags.input_tags = get_tags(given).input_tags
            tags.input_tags.allow_nan = True  # what an estimator does not take is filled in front of it
        return tags


def _picked_row(refit: Callable[[dict[str, Any]], Any], results: Results) -> Pick:
    """What a function of scikit-learn's kind chooses: of `cv_results_` the index of a row, which is a trial's."""
    rows, _ = rows_of(results, results.choose("best"))
    index = plain(refit(columns(rows, list(results.identity["metrics"]), results.averaging)))
    if not is_whole(index) or not 0 <= index < len(rows):
        raise InvalidInput(
            f"A function as refit must return the index of a row of cv_results_, 0 to {len(rows) - 1}, got {index!r}."
        )
    return replace(find_rule(int(rows[index]["trial"]))(results), why="The function given as refit chose it.")
