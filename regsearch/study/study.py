"""`Study`, what a user holds: a problem, a space and folds, searched with one call."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast

from regsearch.data.folds import Folds
from regsearch.data.problem import SAME
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.inputs import switch
from regsearch.metrics.averaging import FoldWeights
from regsearch.models.base import Model, Space
from regsearch.models.deadline import StopRequest
from regsearch.parallel.crew import Workers
from regsearch.parallel.local import workers_of
from regsearch.progress import Progress
from regsearch.results.advice import range_extensions, widened
from regsearch.results.presented import Block, Presented
from regsearch.results.results import Results, load_results
from regsearch.results.stored_study import Scoring
from regsearch.space.config import Identities, identities_kept, written
from regsearch.space.params import parameter_names
from regsearch.space.sampling import check_searched
from regsearch.storage.artifacts import Artifacts
from regsearch.storage.moving import in_space, moved_identity
from regsearch.storage.parameter_names import check_names
from regsearch.storage.same_study import check_same
from regsearch.study import script
from regsearch.study.analyses import Analyses
from regsearch.study.callbacks import Callback, Listeners, callbacks_of
from regsearch.study.default_preparation import prepared_for, roles_data
from regsearch.study.identity import identity_of
from regsearch.study.limits import Limits
from regsearch.study.options import StudyOptions
from regsearch.study.run import Run
from regsearch.study.script import calling_script
from regsearch.study.try_first import first_params

if TYPE_CHECKING:
    import optuna

WIDE = "-wide"  # what the name of a widened study ends with


class Study(Presented, Analyses):
    """A search for the regularization that a model needs.

    Parameters
    ----------
    name
        Names the study's folder and its MLflow run; running a study of a stored name goes on with it. `space` may have
        changed: trials that it still has count, the others are kept and never chosen.
    X, y
        Data, as `regsearch.data.problem.make_problem` takes them: also a mapped file, or the path of a Parquet one.
    space
        What to search: `Linear`, `Net`, `Estimator`, a ready-made space of `regsearch.spaces`, or a `Choice` of these.
    cv
        Folds: an int, a scikit-learn splitter, or a list of index pairs. Made once.
    fold_weights
        How folds count in means and standard errors: ``equal`` (alike, as in scikit-learn) or ``size`` (by the weight
        of the rows that validate, as in R's glmnet).
    scoring
        scikit-learn scorer, or several; the first decides. Default: root mean squared error, in the units of
        y, or log loss; accuracy for an estimator without probabilities.
    pooled
        Whether a score is computed once on all folds' predictions together, as of `cross_val_predict`, its error by
        leaving folds out. By default only where it is not defined for some fold alone, as ROC AUC of one class.
    sample_weight, score_weight
        ``[n]``: what rows weigh in fits, where one of weight zero is not there, and in scores: ``same`` as in fits,
        `None` for unweighted scores. A model's `class_weight` weighs classes.
    groups, test
        See `make_problem`.
    task
        ``regression``, ``binary``, ``multiclass`` or ``survival``, where it shall not be inferred from y; of a `Net`
        also a list with one of the first three for each column of y, or a dict by column.
    target
        What models are fitted to in place of y: ``log``, ``log1p``, ``quantile`` (of a normal distribution), or a
        transformer of scikit-learn's with ``inverse_transform``, as `TransformedTargetRegressor` takes it. It is fitted
        inside each fold and undone in predictions, so that scores, gaps and errors are in the units of y.
    seed
        Of folds, sampler and test split.
    root
        The one folder that is written to; default ``mlruns``.
    storage
        Optuna storage URL instead of the journal file in the root.
    sampler
        Optuna sampler instead of the default, or a function that makes one from the number of trials so far: one with a
        seed starts from it again when the study is resumed. It knows parameters by their columns in `Results.trials`,
        does not see the reference, and sees pruned trials as complete with the score that they would have come to.
    tracking
        MLflow tracking URI; by default a SQLite file in the root. `False` keeps MLflow out.
    experiment
        The MLflow experiment; default: the study's name.
    prune
        Give a config up: between two folds, when it is behind the best by more than the luck of folds; a net, at an
        early epoch, when it is neither among the best third of the last there nor gains fast. Each begins on one fold.
    n_jobs
        Folds fitted in parallel (as joblib's), for spaces that fit them one by one. For nets: how many train at a time,
        all cores by default; a result does not depend on it.
    start_from
        A bundle: the same as the first of `try_first`.
    try_first
        Configs to try after the reference and before everything else, once however often the study is run: dicts of
        parameters by the names that `Results.trials` shows, where what is left out is as usual; choices of other
        studies; folders of bundles; JSON files of such dicts, such as ``regsearch show --json`` prints.
    artifacts
        A function from a study's name to what its arrays lie in; default: its folder.

    Raises
    ------
    InvalidInput
        When data, space, folds or scoring cannot be searched, or what is to be tried first is not in the space.
    """

    def __init__(
        self,
        name: str,
        X: Any,
        y: Any,
        *,
        space: Space,
        cv: Any = 5,
        fold_weights: FoldWeights = "equal",
        scoring: Any = None,
        pooled: bool | None = None,
        groups: Any = None,
        sample_weight: Any = None,
        score_weight: Any = SAME,
        test: Any = None,
        task: Any = None,
        target: Any = None,
        seed: int = 0,
        root: str | os.PathLike[str] = "mlruns",
        storage: str | None = None,
        sampler: optuna.samplers.BaseSampler | Callable[[int], optuna.samplers.BaseSampler] | None = None,
        tracking: str | bool | None = None,
        experiment: str | None = None,
        prune: bool = True,
        n_jobs: int | None = None,
        start_from: str | os.PathLike[str] | None = None,
        try_first: Any = (),
        artifacts: Callable[[str], Artifacts] | None = None,
    ) -> None:
        options = StudyOptions(
            space=cast(Model, space), cv=cv, fold_weights=fold_weights, scoring=scoring, pooled=pooled, groups=groups,
            sample_weight=sample_weight, score_weight=score_weight, test=test, task=task, target=target, seed=seed,
            root=root, storage=storage, sampler=sampler, tracking=tracking, experiment=experiment, prune=prune,
            n_jobs=n_jobs, start_from=start_from, try_first=try_first, artifacts=artifacts,
        )  # fmt: skip
        self._set_up(name, X, y, options, calling_script())

    @classmethod
    def from_options(cls, name: str, X: Any, y: Any, options: StudyOptions, script: str = "") -> Self:
        """A study whose options are one record; `script` is the file that makes it, if one does."""
        study = cls.__new__(cls)
        study._set_up(name, X, y, options, script)
        return study

    def _set_up(self, name: str, X: Any, y: Any, options: StudyOptions, script: str) -> None:
        self.name, self.options, self.script = name, options, script
        self._data = X, y
        self.store = options.store_of(name)
        self.problem, self._drawn = options.problem_of(X, y)
        self.options, self._prepared = prepared_for(options, self.problem)
        self.setup = options.setup_of(self.problem)
        check_searched(self.space)
        self.space.check(self.setup)
        check_names(parameter_names(self.space).leaves.values())
        self._identities: Identities = {}  # of now: a fit may change what a user's object holds
        with identities_kept(self._identities):
            self._written = written(self.space)
        self._requests: list[StopRequest] = []  # of runs that go on
        self._first = first_params(options.first, self.space)

    def blocks(self) -> Iterator[Block]:
        """Its data and folds, where it lies, and what is stored of it."""
        metrics = ", ".join(metric.name for metric in self.setup.metrics)
        what = f"{self.problem.rows}x{self.problem.columns} {self.problem.task}"
        transform = self.problem.transform
        what = what if transform is None else f"{what}, fitted to target={transform.name}"
        yield f"Study {self.name!r}: {what}, {self.folds.name}, {metrics}; in {self.store.folder}"
        if self._prepared.line:
            yield self._prepared.line
        try:
            yield from self.results().blocks()
        except NotFound:
            yield "It has no trial yet: run it."
        except RegsearchError as error:
            yield str(error)

    @property
    def space(self) -> Model:
        """What is searched."""
        return self.options.space

    @property
    def seed(self) -> int:
        """Of folds, sampler and test split."""
        return self.options.seed

    @property
    def folds(self) -> Folds:
        return self.setup.folds

    @property
    def experiment(self) -> str:
        """The MLflow experiment."""
        return self.options.experiment or self.name

    def replace(self, *, name: str | None = None, **options: Any) -> Self:
        """The same study with another name or other options, such as ``seed`` or ``root``."""
        return self._with(name or self.name, *self._data, **options)

    def _with(self, name: str, X: Any, y: Any, **options: Any) -> Self:
        """A study of the same script with another name, data or options."""
        return self.from_options(name, X, y, dataclasses.replace(self.options, **options), self.script)

    def widened(self, results: Results | None = None) -> Self:
        """The same study named ``NAME-wide``, with more room where this one has too little.

        That is where its best trials sit at the edge of what was searched: a path goes a hundred times further down,
        training takes twice as many epochs, a range on a log scale goes a decade further, another by its own width, and
        strengths that are all too weak five decades further; all within what their fields admit.

        Parameters
        ----------
        results
            By default, those that are stored of this study.

        Raises
        ------
        NotFound
            When this study was never run.
        InvalidInput
            When there is room enough.
        """
        moved = range_extensions(self.results() if results is None else results)
        if not moved:
            raise InvalidInput(
                "A study is widened where its best trials sit at the edge of what was searched, or where a whole range "
                f"is too weak; {self.name!r} has neither: run it as it is."
            )
        return self._with(f"{self.name}{WIDE}", *self._data, space=widened(self.space, moved))

    # --- run ---------------------------------------------------------------------------------------------------

    def run(
        self,
        n_trials: int | None = None,
        timeout: float | None = None,
        patience: int | None = None,
        *,
        trial_timeout: float | None = None,
        workers: int | Workers | None = None,
        deterministic: bool = False,
        quiet: bool = False,
        on_trial: Callback | Sequence[Callback] | None = None,
    ) -> Results:
        """Search until a limit is reached; a study that was stopped or killed goes on where it was.

        Parameters
        ----------
        n_trials
            Trials that the study shall have in all; 100 when no limit is given.
        timeout
            Seconds that this run may take, to the end of the epoch, lambda chunk or fold then; at most 5 s on workers.
            Trials in flight are kept as far as they got, and gone on with next time.
        patience
            Stop after so many trials without a better score.
        trial_timeout
            Seconds that a trial may take, of a net its share of those that train together. One that takes longer is
            given up at its next epoch, lambda chunk or fold, for good, with what it got to; on a worker also one that
            gets to none of these any more.
        workers
            How many processes of this machine evaluate trials, or a `regsearch.Ray`; by default this process does. What
            a trial comes to does not depend on who evaluates it; which trials there are may, for the faster ask sooner.
        deterministic
            Hear workers in turns: the same trials again with as many workers, at the price of waiting.
        quiet
            No progress line.
        on_trial
            A function or several, called with the study and each finished trial once it is stored; `stop` ends the run.

        Returns
        -------
        Results
            Whatever is finished, also after Ctrl-C, which keeps what is in flight so far; a second one ends at once.

        Raises
        ------
        StudyMismatch
            When a study of this name exists with other data, folds, scoring or seed.
        InvalidInput
            When a limit, `workers`, the root, the storage or `tracking` cannot be what it is.
        SearchFailed
            When the first five trials fail, or all of them, whatever becomes of the reference; what is finished stays.
        """
        with self._stoppable() as request:
            limits, evaluators = Limits.of_run(n_trials, timeout, patience, trial_timeout), workers_of(workers)
            switch(deterministic, "deterministic")
            listeners = Listeners(callbacks_of(on_trial), self, request)
            self.store.prepare()
            tracking, sampler = self.options.tracking_of(self.store.root), self.options.sampler
            of_study = self.setup, self.space, self.store, self._identity(), tracking, sampler, self._first
            with self.store.running(), identities_kept(self._identities):
                return Run(*of_study, evaluators, deterministic, listeners).run(limits, self._progress(quiet))

    def _progress(self, quiet: bool) -> Progress:
        """Where a run says how it goes on, after what is made of text and dates."""
        progress = Progress(quiet=quiet)
        if self._prepared.line:
            progress.end(self._prepared.line)
        return progress

    @contextmanager
    def _stoppable(self) -> Iterator[StopRequest]:
        """What ends a run, from its first line on; one that is refused beside it leaves that of the other alone."""
        request = StopRequest()
        self._requests.append(request)
        try:
            yield request
        finally:
            self._requests.remove(request)

    def stop(self) -> None:
        """End the run of this study that is in progress, from a callback, another thread or a signal handler.

        It ends as it does when its time is up: trials in flight are kept as far as they got and gone on with next time,
        and `run` returns what there is. Where this object runs nothing, nothing happens.
        """
        for request in tuple(self._requests):
            request.make()

    def _identity(self) -> dict[str, Any]:
        share = None if self._drawn is None else self._drawn["share"]
        found = identity_of(self.name, self.experiment, self.setup, self.space, self._written, self.script, share)
        return found | {"column_roles": roles_data(self._prepared.roles)}

    # --- afterwards --------------------------------------------------------------------------------------------

    def results(self) -> Results:
        """What is stored of this study so far.

        Raises
        ------
        NotFound
            When it has not run.
        StudyMismatch
            When it is stored with other data, folds, scoring or seed. In another space, its trials are as a run there
            would have them.
        """
        if not self.store.exists and not self.store.has_files:
            raise NotFound(
                f"There is no study {self.name!r} under {self.store.root}: it has not run yet; call run first."
            )
        results, identity = load_results(self.store, self.space, Scoring.of(self.setup)), self._identity()
        check_same(results.identity, identity, self.store.folder, results.all)
        if results.identity["space_hash"] == identity["space_hash"]:
            return results
        trials = tuple(in_space(self.space, trial) for trial in results.all)
        return dataclasses.replace(results, all=trials, identity=moved_identity(results.identity, identity))

    def main(self, argv: Sequence[str] | None = None, then: Callable[[Results], object] | None = None) -> int:
        """Run from a script's command line; ``--help`` lists the options.

        Parameters
        ----------
        then
            Called with the results of a run that has come to its end, wherever its command line has put them.

        Returns
        -------
        int
            The exit status, for ``raise SystemExit(study.main())``.
        """
        return script.main(self, argv, then)
