"""`Study`, what a user holds: a problem, a space and folds, searched with one call."""

from __future__ import annotations

import argparse
import inspect
import os
import shutil
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch import __version__
from regsearch.config import digest, to_data
from regsearch.errors import InvalidInput, RegsearchError, StudyMismatch
from regsearch.export import export
from regsearch.folds import Folds, make_folds
from regsearch.metrics import resolve
from regsearch.mirror import Mirror, Status
from regsearch.mirroring import study_record, summary_record, trial_record
from regsearch.options import add_run_options
from regsearch.path import Incumbent, Model, Setup
from regsearch.problem import make_problem
from regsearch.progress import Progress
from regsearch.report import note, write_artifacts
from regsearch.results import IDENTITY, Chosen, Results, load_results, read_results
from regsearch.rules import Rule
from regsearch.search import Search
from regsearch.storage import Store
from regsearch.trials import Trial

if TYPE_CHECKING:
    import optuna

# what must be equal to go on with a stored study, and what to say it is
MUST_MATCH = {
    "fingerprint": "data", "folds_hash": "folds", "space_hash": "space", "metrics": "scoring", "seed": "seed",
}  # fmt: skip
MIRROR_LOG = "mirror.log"
READY_S = 30.0  # seconds to wait for MLflow to say what it has, once the search has ended


class Study:
    """A search for the regularization that a model needs.

    Parameters
    ----------
    name
        Names the study's folder and its MLflow run; running a study of a stored name goes on with it.
    X, y
        Data, as `regsearch.problem.make_problem` takes them.
    space
        What to search: `Linear`, `Estimator`, or a ready-made space of `regsearch.spaces`.
    cv
        Folds: an int, a scikit-learn splitter, or a list of index pairs. Made once.
    scoring
        scikit-learn scorer, or several; the first decides. Default: mean squared error or log loss.
    groups, sample_weight, test, task
        See `make_problem`.
    seed
        Of folds, sampler and test split.
    root
        The one folder that is written to; default ``mlruns``.
    storage
        Optuna storage URL instead of the journal file in the root.
    sampler
        Optuna sampler instead of TPE.
    tracking
        MLflow tracking URI; by default a SQLite file in the root. `False` keeps MLflow out.
    experiment
        The MLflow experiment; default: the study's name.
    prune
        Give a config up when the mean of its first folds is worse than the best config's worst fold.
    n_jobs
        Folds fitted in parallel, for spaces that fit them one by one (as joblib's).

    Raises
    ------
    InvalidInput
        When data, space, folds or scoring cannot be searched; nothing has been fitted or written then.
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
        sampler: optuna.samplers.BaseSampler | None = None,
        tracking: str | bool | None = None,
        experiment: str | None = None,
        prune: bool = True,
        n_jobs: int | None = None,
    ) -> None:
        given = {key: value for key, value in locals().items() if key not in ("self", "name", "X", "y")}
        self._given = (name, X, y, given)
        if not isinstance(space, Model):
            raise InvalidInput(f"space must be a model such as Linear(...) or spaces.linear(), got {space!r}.")
        _check_options(seed, sampler, tracking, n_jobs)
        self.name, self.space, self.seed, self.cv = name, space, seed, cv
        self.sampler, self.tracking, self.experiment, self.prune = sampler, tracking, experiment or name, prune
        self.store = Store(root, name, storage)
        ordered = type(cv).__name__ == "TimeSeriesSplit"
        self.problem = make_problem(
            X, y, groups=groups, sample_weight=sample_weight, test=test, task=task, ordered=ordered, seed=seed
        )
        folds = make_folds(cv, self.problem, seed)
        metrics = resolve(scoring, self.problem)
        self.setup = Setup(self.problem, folds, metrics, seed, n_jobs)
        self.space.check(self.setup)
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
            Seconds that this run may take; the trial in flight is finished.
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
        _check_limit("n_trials", n_trials, int)
        _check_limit("timeout", timeout, (int, float))
        _check_limit("patience", patience, int)
        if n_trials is None and timeout is None and patience is None:
            n_trials = 100
        self.store.prepare()
        with self.store.running():
            return self._run(n_trials, timeout, patience, Progress(quiet=quiet))

    def _run(self, n_trials: int | None, timeout: float | None, patience: int | None, progress: Progress) -> Results:
        study = self._open()
        identity = study.user_attrs[IDENTITY]
        mirror = self._mirror()
        if mirror is not None:
            mirror.start(study_record(identity))
        before = read_results(self.store, study, self.space)
        line = _Line(progress, n_trials, before)
        setup = replace(self.setup, incumbent=Incumbent() if self.prune else None)
        search = Search(setup, self.space, study, self.store, self.sampler, mirror, line.show)
        try:
            search.run(n_trials, timeout, patience)
        finally:
            progress.end()
            results = read_results(self.store, study, self.space)
            if mirror is not None:
                self._finish_mirror(mirror, results, before, search.stopped, progress)
        progress.end(self._farewell(results, search.stopped))
        return results

    def _open(self) -> optuna.Study:
        """The Optuna study, made or found again; refused when it is another one."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        identity = self._identity()
        study = optuna.create_study(
            study_name=self.name, storage=self.store.optuna(), direction="maximize", load_if_exists=True
        )
        stored = study.user_attrs.get(IDENTITY)
        if stored is None:
            if study.get_trials(deepcopy=False):
                raise StudyMismatch(f"The Optuna study {self.name!r} was not made by regsearch; use another name.")
            self.store.save_folds(self.folds)
            study.set_user_attr(IDENTITY, identity)
            return study
        for key, what in MUST_MATCH.items():
            if stored[key] != identity[key]:
                raise StudyMismatch(
                    f"A stored study goes on with the same {what} only: {self.name!r} has {stored[key]}, got "
                    f"{identity[key]}; give the new study another name, or remove {self.store.folder}."
                )
        return study

    def _identity(self) -> dict[str, Any]:
        """What makes this study itself, as stored with it."""
        problem, metrics = self.problem, [metric.name for metric in self.setup.metrics]
        return {
            "study": self.name, "id": uuid.uuid4().hex, "experiment": self.experiment, "version": __version__,
            "created_ms": round(time.time() * 1000), "task": problem.task, "rows": problem.rows,
            "columns": problem.columns, "target": problem.name, "fingerprint": problem.fingerprint,
            "folds": len(self.folds), "cv": self.folds.name, "folds_hash": self.folds.digest, "seed": self.seed,
            "metric": metrics[0], "metrics": metrics, "space": self.space.kind, "space_hash": digest(self.space),
            "space_data": to_data(self.space), "script": self.script,
        }  # fmt: skip

    # --- mirror ------------------------------------------------------------------------------------------------

    def _mirror(self) -> Mirror | None:
        if self.tracking is False:
            return None
        uri = tracking_uri(self.store.root) if self.tracking in (None, True) else str(self.tracking)
        return Mirror(uri, self.store.root / "artifacts", self.store.folder / MIRROR_LOG)

    def _finish_mirror(
        self, mirror: Mirror, results: Results, before: Results, stopped: str, progress: Progress
    ) -> None:
        """Send what earlier runs could not, then the summary, and wait for the writer. Ctrl-C leaves it to itself."""
        try:
            with mirror:
                self._tell_mirror(mirror, results, before, stopped)
                status = mirror.drain(progress=lambda status: progress.show(_written(status)))
        except KeyboardInterrupt:
            progress.end(f"{_written(mirror.status)}, the rest follows in the background")
            return
        if status.reason:
            progress.end(
                f"MLflow is missing {status.sent - status.mirrored} trials ({status.reason}); nothing is lost: "
                "run the study again to write them."
            )

    def _tell_mirror(self, mirror: Mirror, results: Results, before: Results, stopped: str) -> None:
        ready = mirror.wait_ready(READY_S)
        known = ready.mirrored if ready is not None else frozenset(trial.number for trial in before.all)
        for trial in before.all:
            if trial.config and trial.number not in known:
                mirror.send(trial_record(trial, self.store.arrays(trial.number), results.metric))
        artifacts = write_artifacts(results, self.store.folder / "report")
        best = results.complete[0] if results.complete else None
        end = max((trial.end_ms for trial in results.all), default=0)
        ended = "COMPLETE" if stopped and stopped != "interrupted" else "INTERRUPTED" if stopped else "FAIL"
        mirror.finish(summary_record(ended, end, results.all, results.metric, best, note(results), artifacts))

    # --- afterwards --------------------------------------------------------------------------------------------

    def results(self) -> Results:
        """What is stored of this study so far."""
        return load_results(self.store, self.space)

    def export(self, out: str | os.PathLike[str], rule: str | Rule | Chosen = "best") -> Path:
        """Refit what a rule chooses on all rows and write it to a folder; see `regsearch.export.export`.

        Raises
        ------
        StudyMismatch
            When the stored study has other data.
        """
        results = self.results()
        if results.identity["fingerprint"] != self.problem.fingerprint:
            raise StudyMismatch(
                f"The data must be those of the stored study ({results.identity['fingerprint']}), "
                f"got {self.problem.fingerprint}; export from the data that were searched."
            )
        chosen = rule if isinstance(rule, Chosen) else results.choose(rule)
        return export(results, chosen, self.problem, out)

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run from a script's command line; ``--help`` lists the options."""
        parser = argparse.ArgumentParser(description=f"Run the study {self.name}.")
        add_run_options(parser)
        options = vars(parser.parse_args(argv))
        try:
            return run_from(self, options)
        except RegsearchError as error:
            parser.exit(2, f"{parser.prog}: {error}\n")

    def _farewell(self, results: Results, stopped: str) -> str:
        head = f"{self.name}: stopped ({stopped}), {results.counts['complete']} complete"
        if stopped == "interrupted":
            head += "; everything finished is kept, run the same command to go on"
        return head


def _check_options(seed: Any, sampler: Any, tracking: Any, n_jobs: Any) -> None:
    whole = {name: type(value) is int for name, value in (("seed", seed), ("n_jobs", n_jobs))}
    if not whole["seed"] or not 0 <= seed < 2**32:
        raise InvalidInput(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}; 0 is the default.")
    if n_jobs is not None and (not whole["n_jobs"] or n_jobs == 0):
        raise InvalidInput(f"n_jobs must be a whole number but 0, got {n_jobs!r}; -1 takes every core.")
    if sampler is not None and (isinstance(sampler, type) or not hasattr(sampler, "sample_relative")):
        raise InvalidInput(f"sampler must be an Optuna sampler, got {sampler!r}; leave it out for TPE.")
    if tracking is not None and not isinstance(tracking, (bool, str)):
        raise InvalidInput(f"tracking must be an MLflow tracking URI or False, got {tracking!r}; leave it out.")


def _check_limit(what: str, limit: Any, kinds: Any) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, kinds) or not limit > 0):
        number = "whole number" if kinds is int else "number"
        raise InvalidInput(f"{what} must be a positive {number}, got {limit!r}; leave it out for no such limit.")


def _written(status: Status) -> str:
    return f"MLflow: {status.mirrored} of {status.sent} trials written"


class _Line:
    """The progress line: best score, its gap, trials per second."""

    def __init__(self, progress: Progress, total: int | None, before: Results) -> None:
        self.progress, self.metric = progress, before.metric
        self.total = f"/{total}" if total else ""
        self.done = sum(before.counts[state] for state in ("complete", "pruned", "failed"))
        self.best = before.complete[0] if before.complete else None
        self.started, self.first = time.monotonic(), self.done

    def show(self, trial: Trial) -> None:
        self.done += 1
        if trial.state == "complete" and trial.points and self._score(trial) > self._score(self.best):
            self.best = trial
        rate = (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)
        text = f"[{self.done}{self.total}] {rate:.1f} trials/s"
        if self.best is not None and self.best.points:
            point = self.best.points[self.metric]
            kind = (self.best.params or {}).get("penalty", "")
            text += f" | best {self.metric} {point.val:.5g} (trial {self.best.number} {kind}) gap {point.gap:.3g}"
        self.progress.show(text)

    def _score(self, trial: Trial | None) -> float:
        return trial.points[self.metric].val if trial is not None and trial.points else -float("inf")


def tracking_uri(root: Path) -> str:
    """The MLflow store of a root."""
    return f"sqlite:///{root / 'mlflow.db'}"


def run_from(study: Study, options: Mapping[str, Any]) -> int:
    """Run a study as the command line says and print what it found; the exit status."""
    changed = {key: options[key] for key in ("seed", "root") if options[key] is not None}
    study = study.replace(**changed) if changed else study
    results = study.run(options["trials"], options["timeout"], options["patience"])
    if results.complete:
        print(results.best)
        if results.reference is not None:
            point = results.point(results.reference)
            print(f"Without regularization: {results.metric} {point.val:.5g}, gap {point.gap:.3g}.")
    root = f" --root {study.store.root}" if study.store.root != Path("mlruns").absolute() else ""
    command = _command()
    print(f"\nBrowse:  {command} ui{root}\nExport:  {command} export {study.name} --out DIR{root}")
    return 0


def _command() -> str:
    """The command line's name, with its folder when it is not on the path (a virtual environment not activated)."""
    beside = Path(sys.executable).with_name("regsearch")
    if shutil.which("regsearch") or not beside.exists():
        return "regsearch"
    return os.path.relpath(beside)


def _calling_script() -> str:
    """The file whose module level made the study, if any: `regsearch export` reads the data from it again."""
    frame = next((frame for frame in inspect.stack(context=0) if frame.function == "<module>"), None)
    return str(Path(frame.filename).resolve()) if frame and Path(frame.filename).is_file() else ""
