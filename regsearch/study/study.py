"""`Study`, what a user holds: a problem, a space and folds, searched with one call."""

from __future__ import annotations

import argparse
import copy
import inspect
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.data.folds import Folds, make_folds, runs_forward
from regsearch.data.problem import Problem, make_problem
from regsearch.errors import InvalidInput, RegsearchError
from regsearch.export.bundle.loading import start_of
from regsearch.export.write import export
from regsearch.metrics.scorer import check_test, resolve
from regsearch.mirror.content import tracking_uri
from regsearch.models.base import Model, Setup
from regsearch.progress import Progress
from regsearch.results.ablation import Ablation, ablate
from regsearch.results.advice import moves, widened
from regsearch.results.choice import Chosen
from regsearch.results.learning_curve import SIZES, LearningCurve, learning_curve
from regsearch.results.nested_cv import Nested, Nesting, outer_folds
from regsearch.results.results import Results, load_results
from regsearch.results.rules import Rule
from regsearch.results.table import Judge
from regsearch.space.config import digest, to_data
from regsearch.space.sampling import leaves
from regsearch.storage.optuna_study import check_same, open_study
from regsearch.storage.store import Store
from regsearch.study.options import add_run_options
from regsearch.study.run import Limits, Running
from regsearch.study.summary import parting
from regsearch.version import __version__

if TYPE_CHECKING:
    import optuna


WIDE = "-wide"  # what the name of a widened study ends with
INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended


class Study:
    """A search for the regularization that a model needs.

    Parameters
    ----------
    name
        Names the study's folder and its MLflow run; running a study of a stored name goes on with it.
    X, y
        Data, as `regsearch.data.problem.make_problem` takes them.
    space
        What to search: `Linear`, `Net`, `Estimator`, or a ready-made space of `regsearch.spaces`.
    cv
        Folds: an int, a scikit-learn splitter, or a list of index pairs. Made once.
    scoring
        scikit-learn scorer, or several; the first decides. Default: mean squared error or log loss; accuracy for an
        estimator without probabilities.
    groups, sample_weight, test, task
        See `make_problem`.
    seed
        Of folds, sampler and test split.
    root
        The one folder that is written to; default ``mlruns``.
    storage
        Optuna storage URL instead of the journal file in the root.
    sampler
        Optuna sampler instead of TPE, or a function that makes one from the number of trials so far. A sampler with a
        seed of its own starts from that seed again when the study is resumed; a function can do better.
    tracking
        MLflow tracking URI; by default a SQLite file in the root. `False` keeps MLflow out.
    experiment
        The MLflow experiment; default: the study's name.
    prune
        Give a config up: when the mean of its first folds is worse than the best config's worst fold; a net, when its
        curve is not among the best half at an early epoch.
    n_jobs
        Folds fitted in parallel (as joblib's), for spaces that fit them one by one. For nets: how many train at a time,
        all cores by default; a result does not depend on it.
    start_from
        A bundle: its config is tried first after the reference, in place of the defaults of the space.

    Raises
    ------
    InvalidInput
        When data, space, folds or scoring cannot be searched, or the config of `start_from` does not lie in the space;
        nothing has been fitted or written then.
    """

    def __init__(
        self,
        name: str,
        X: Any,
        y: Any,
        *,
        space: Model,
        cv: Any = 5,
        scoring: Any = None,
        groups: Any = None,
        sample_weight: Any = None,
        test: Any = None,
        task: Any = None,
        seed: int = 0,
        root: str | os.PathLike[str] = "mlruns",
        storage: str | None = None,
        sampler: optuna.samplers.BaseSampler | Callable[[int], optuna.samplers.BaseSampler] | None = None,
        tracking: str | bool | None = None,
        experiment: str | None = None,
        prune: bool = True,
        n_jobs: int | None = None,
        start_from: str | os.PathLike[str] | None = None,
    ) -> None:
        if isinstance(cv, Iterator):
            cv = list(cv)  # the folds are looked at more than once
        if isinstance(seed, Integral):
            seed = int(seed)
        given = {key: value for key, value in locals().items() if key not in ("self", "name", "X", "y")}
        self._given = (name, X, y, given)
        if not isinstance(space, Model):
            raise InvalidInput(f"space must be a model such as Linear(...) or spaces.linear(), got {space!r}.")
        _check_options(seed, sampler, tracking, n_jobs)
        self.name, self.space, self.seed, self.cv = name, space, seed, cv
        self.sampler, self.tracking, self.experiment, self.prune = sampler, tracking, experiment or name, prune
        self.store = Store(root, name, storage)
        ordered = isinstance(test, float) and runs_forward(cv, len(y))
        self._drawn = {"share": test, "ordered": ordered} if isinstance(test, float) else None
        self.problem = make_problem(
            X, y, groups=groups, sample_weight=sample_weight, test=test, task=task, ordered=ordered, seed=seed
        )
        folds = make_folds(cv, self.problem, seed)
        metrics = resolve(space.scoring(self.problem) if scoring is None else scoring, self.problem)
        if self.problem.test is not None:
            check_test(metrics, self.problem.test)
        self.setup = Setup(self.problem, folds, metrics, seed, n_jobs)
        if not leaves(space):
            raise InvalidInput(
                "A space must have something to search, got no leaf; let a parameter be a Float, Int, Choice or Path."
            )
        self.space.check(self.setup)
        self._start = None if start_from is None else start_of(start_from, space)
        self.script = _calling_script()

    def __repr__(self) -> str:
        return (
            f"Study({self.name!r}, {self.problem.rows}x{self.problem.columns} {self.problem.task}, {self.folds.name})"
        )

    @property
    def folds(self) -> Folds:
        return self.setup.folds

    def replace(self, **options: Any) -> Study:
        """The same study with other options, such as ``seed`` or ``root``."""
        name, X, y, given = self._given
        other = Study(name, X, y, **(given | options))
        other.script = self.script
        return other

    def widened(self, results: Results | None = None) -> Study:
        """The same study named ``NAME-wide``, with more room where this one has too little.

        That is where its best trials sit at the edge of what was searched: a path goes a hundred times further down,
        training takes twice as many epochs, a range on a log scale goes a decade further, another by its own width. A
        range of strengths that are all too weak goes five decades further. All stay within what their fields admit,
        and this study stays as it is.

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
        moved = moves(self.results() if results is None else results)
        if not moved:
            raise InvalidInput(
                "A study is widened where its best trials sit at the edge of what was searched, or where a whole range "
                f"is too weak; {self.name!r} has neither: run it as it is."
            )
        _, X, y, given = self._given
        other = Study(f"{self.name}{WIDE}", X, y, **(given | {"space": widened(self.space, moved)}))
        other.script = self.script
        return other

    # --- run ---------------------------------------------------------------------------------------------------

    def run(
        self,
        n_trials: int | None = None,
        timeout: float | None = None,
        patience: int | None = None,
        *,
        quiet: bool = False,
    ) -> Results:
        """Search until a limit is reached; a study that was stopped or killed goes on where it was.

        Parameters
        ----------
        n_trials
            Trials that the study shall have in all; 100 when no limit is given.
        timeout
            Seconds that this run may take; trials in flight are finished.
        patience
            Stop after so many trials without a better score.
        quiet
            No progress line.

        Returns
        -------
        Results
            Whatever is finished, also after Ctrl-C.

        Raises
        ------
        StudyMismatch
            When a study of this name exists with other data, folds, scoring, seed or space.
        InvalidInput
            When a limit is not a positive number, or the root or the storage cannot be written.
        SearchFailed
            When the first trials all fail.
        """
        _check_limit("n_trials", n_trials, Integral)
        _check_limit("timeout", timeout, Real)
        _check_limit("patience", patience, Integral)
        if n_trials is None and timeout is None and patience is None:
            n_trials = 100
        self.store.prepare()
        tracking = self._tracking()
        running = Running(self.setup, self.space, self.store, self._identity(), tracking, self.sampler, self.prune)
        with self.store.running():
            self._enqueue_start()
            return running.run(Limits(n_trials, timeout, patience), Progress(quiet=quiet))

    def _enqueue_start(self) -> None:
        """Let a new study begin with its reference and the config of `start_from`."""
        if self._start is None:
            return
        study = open_study(self.store, self._identity())
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial({}, user_attrs={"role": "reference"})
            study.enqueue_trial(self._start, user_attrs={"role": "start"})

    def _tracking(self) -> str | None:
        if self.tracking is False:
            return None
        return tracking_uri(self.store.root) if self.tracking in (None, True) else str(self.tracking)

    def _identity(self) -> dict[str, Any]:
        """What makes this study itself, as stored with it."""
        problem, metrics = self.problem, [metric.name for metric in self.setup.metrics]
        return {
            "study": self.name, "id": uuid.uuid4().hex, "experiment": self.experiment, "version": __version__,
            "created_ms": round(time.time() * 1000), "task": problem.task, "rows": problem.rows,
            "columns": problem.columns, "target": problem.name, "fingerprint": problem.fingerprint,
            "folds": len(self.folds), "cv": self.folds.name, "folds_hash": self.folds.digest, "seed": self.seed,
            "metric": metrics[0], "metrics": metrics, "scoring": [metric.identity for metric in self.setup.metrics],
            "reference": self.space.unregularized, "space": self.space.kind, "space_hash": digest(self.space),
            "space_data": to_data(self.space), "script": self.script,
        }  # fmt: skip

    # --- afterwards --------------------------------------------------------------------------------------------

    def results(self) -> Results:
        """What is stored of this study so far.

        Raises
        ------
        StudyMismatch
            When it is stored with other data, folds, scoring, seed or space.
        """
        judge = Judge(self.problem, self.folds, self.setup.metrics[0])
        results = load_results(self.store, self.space, judge)
        check_same(results.identity, self._identity(), self.store.folder)
        return results

    def export(self, out: str | os.PathLike[str], rule: str | Rule | Chosen = "best") -> Path:
        """Refit what a rule chooses on all rows and write it to a folder; see `regsearch.export.write.export`.

        Raises
        ------
        StudyMismatch
            When the study is stored with other data, folds, scoring, seed or space.
        """
        results = self.results()
        chosen = rule if isinstance(rule, Chosen) else results.choose(rule)
        return export(results, chosen, self.problem, out, self._drawn)

    def ablate(self, rule: str | Rule = "best", *, quiet: bool = False) -> Ablation:
        """What each technique of the chosen config does for it; see `regsearch.results.ablation.ablate`.

        Raises
        ------
        StudyMismatch
            When the study is stored with other data, folds, scoring, seed or space.
        """
        results = self.results()
        return ablate(results, results.choose(rule), self.setup, Progress(quiet=quiet))

    def learning_curve(
        self, sizes: Sequence[float] = SIZES, rule: str | Rule = "best", *, quiet: bool = False
    ) -> LearningCurve:
        """The chosen config on growing parts of the training rows; see `regsearch.results.learning_curve`.

        Parameters
        ----------
        sizes
            Shares of each fold's training rows, ascending, 1 being all of them.

        Raises
        ------
        StudyMismatch
            When the study is stored with other data, folds, scoring, seed or space.
        InvalidInput
            When the sizes are not ascending shares, or the smallest leaves too little to train on.
        """
        results = self.results()
        return learning_curve(results, results.choose(rule), self.setup, sizes, Progress(quiet=quiet))

    def nested(
        self,
        outer: Any = 5,
        n_trials: int | None = None,
        *,
        rule: str | Rule = "best",
        timeout: float | None = None,
        patience: int | None = None,
        quiet: bool = False,
    ) -> Nested:
        """Nested cross-validation: what this search and its choice are worth on rows that neither saw.

        Each outer fold's training rows are searched by a study of their own, ``NAME.outer0`` and so on under the same
        root, without MLflow; what the rule chooses is refitted on them and scored on the outer test rows. Held-out rows
        of the study are not touched. Interrupted, it goes on when it is run again. The finished record is kept as the
        finding ``nested``.

        Parameters
        ----------
        outer
            Outer folds, as `cv`; an int goes by groups, classes and time as the study's folds do.
        n_trials, timeout, patience
            Of each inner search, as in `run`.
        rule
            Chooses in each inner study.

        Returns
        -------
        Nested
            Of the outer folds that are finished, also after Ctrl-C.

        Raises
        ------
        InvalidInput
            When an outer or inner split is impossible; nothing has been fitted then.
        StudyMismatch
            When an inner study is stored with other data, folds, scoring, seed or space.
        """
        folds = outer_folds(outer, self.cv, self.problem, self.seed)
        for number, train in enumerate(folds.train):
            self._inner(number, self.problem.take(train))  # what cannot be searched says so before the first fit

        def search(number: int, part: Problem) -> Results:
            return self._inner(number, part).run(n_trials, timeout, patience, quiet=quiet)

        nesting = Nesting(self.store, self.problem, self.setup.metrics, self.seed, folds, search, rule)
        return nesting.run(Progress(quiet=quiet))

    def _inner(self, number: int, part: Problem) -> Study:
        """The study of one outer fold's training rows."""
        name, _, _, given = self._given
        own = {
            "groups": part.groups, "sample_weight": part.sample_weight, "test": None, "task": part.task,
            "start_from": None, "tracking": False, "sampler": copy.deepcopy(self.sampler),
        }  # fmt: skip
        inner = Study(f"{name}.outer{number}", part.X, part.labels, **(given | own))
        inner.script = self.script
        return inner

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run from a script's command line; ``--help`` lists the options."""
        parser = argparse.ArgumentParser(description=f"Run the study {self.name}.")
        add_run_options(parser)
        options = vars(parser.parse_args(argv))
        try:
            return run_from(self, options)
        except RegsearchError as error:
            parser.exit(2, f"{parser.prog}: {error}\n")


def _check_options(seed: Any, sampler: Any, tracking: Any, n_jobs: Any) -> None:
    whole = {name: type(value) is int for name, value in (("seed", seed), ("n_jobs", n_jobs))}
    if not whole["seed"] or not 0 <= seed < 2**32:
        raise InvalidInput(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}; 0 is the default.")
    if n_jobs is not None and (not whole["n_jobs"] or n_jobs == 0):
        raise InvalidInput(f"n_jobs must be a whole number but 0, got {n_jobs!r}; -1 takes every core.")
    usable = sampler is None or callable(sampler) or hasattr(sampler, "sample_relative")
    if not usable or isinstance(sampler, type):
        raise InvalidInput(f"sampler must be an Optuna sampler, got {sampler!r}; leave it out for TPE.")
    if tracking is not None and not isinstance(tracking, (bool, str)):
        raise InvalidInput(f"tracking must be an MLflow tracking URI or False, got {tracking!r}; leave it out.")


def _check_limit(what: str, limit: Any, kind: Any) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, kind) or not limit > 0):
        number = "whole number" if kind is Integral else "number"
        raise InvalidInput(f"{what} must be a positive {number}, got {limit!r}; leave it out for no such limit.")


def run_from(study: Study, options: Mapping[str, Any]) -> int:
    """Run a study as the command line says and print what it found; the exit status."""
    changed = {key: options[key] for key in ("seed", "root", "prune") if options.get(key) is not None}
    study = study.replace(**changed) if changed else study
    if options.get("widen"):
        before = study.results()
        study = study.widened(before)
        print("\n".join([f"{study.name}:", *(f"  {move}  ({move.why})" for move in moves(before))]))
    results = study.run(options["trials"], options["timeout"], options["patience"])
    print(parting(results, study.tracking))
    return INTERRUPTED if results.stopped == "interrupted" else 0


def _calling_script() -> str:
    """The file whose module level made the study, if any: `regsearch export` reads the data from it again."""
    frame = next((frame for frame in inspect.stack(context=0) if frame.function == "<module>"), None)
    return str(Path(frame.filename).resolve()) if frame and Path(frame.filename).is_file() else ""
