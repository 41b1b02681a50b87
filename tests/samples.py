"""Small studies, and what there is to compare of their trials."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import forking
import numpy as np
import optuna
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from regsearch import Study, spaces
from regsearch.results.results import Results
from regsearch.storage.trial import Trial

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 60


def regression(rows: int = 60, columns: int = 6, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """A few columns matter, the noise is large."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    return X, X[:, 0] * 2 + X[:, 1] - X[:, 2] / 2 + rng.normal(size=rows) * 2


class NonNegativeRidge(Ridge):  # type: ignore[misc]
    """A ridge that says only when it is fitted which alpha it takes."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.alpha < 0:
            raise ValueError(f"alpha must not be negative, got {self.alpha}")
        return super().fit(X, y, sample_weight)


def study(root: Path, name: str = "small", **options: Any) -> Study:
    """A linear study without MLflow, unless told otherwise."""
    if options.get("tracking", False) is None:
        database(root)
    X, y = options.pop("data", None) or regression()
    given: dict[str, Any] = {"space": spaces.linear(), "root": root, "tracking": False, "cv": 3}
    if np.asarray(y).dtype.kind == "f":
        given["scoring"] = "neg_mean_squared_error"  # whose oracles are the simplest
    return Study(name, X, y, **(given | options))


def random_sampler(trials: int) -> optuna.samplers.BaseSampler:
    """A sampler for so many trials: what it proposes depends on no outcome."""
    return optuna.samplers.RandomSampler(trials)


def finished(results: Results) -> list[Trial]:
    """The trials that came to their end, in their order."""
    return [trial for trial in results.all if trial.config is not None and trial.state != "stopped"]


def outcomes(results: Results) -> list[tuple[Any, ...]]:
    """All that a search decides about its trials: no times, no numbers."""
    return [
        (trial.state, trial.role, trial.key, repr(trial.params), trial.step, repr(trial.points))
        for trial in finished(results)
    ]


def python(*arguments: str, cwd: Path = ROOT, timeout: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter to its end."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )


def database(root: Path) -> str:
    """The URI of an MLflow database in a folder: made there in no time, as a copy of one that is migrated."""
    file, template = Path(root) / "mlflow.db", forking.folder() / "mlflow.db"
    if not file.exists():
        with forking.alone("migrating"):
            if not template.exists():
                mlflow_client(forking.folder())
        Path(root).mkdir(parents=True, exist_ok=True)
        shutil.copy(template, file)
    return f"sqlite:///{file}"


def mlflow_client(root: Path) -> Any:
    """A client of the root's MLflow store, past the deprecation warnings of MLflow's own tables."""
    from mlflow import MlflowClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(f"sqlite:///{root / 'mlflow.db'}")
        client.search_experiments()
    return client


def poll(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Ask until the condition holds; its last answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return answer


def newer_than_mlflow(path: Path) -> Path:
    """A SQLite file whose schema no MLflow knows yet, so that every one refuses it."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("CREATE TABLE experiments (name TEXT)")
        database.execute("INSERT INTO experiments VALUES ('one')")
        database.execute("INSERT INTO alembic_version VALUES ('from_the_future')")
    return path
