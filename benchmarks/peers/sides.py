"""What others take for a task: python-glmnet here, adelie in a Python of its own, and R's glmnet.

adelie needs numpy 1 and gets an environment in `build/peers` the first time; R must be there, with its package glmnet
(Debian: r-cran-glmnet). Seconds are the processor's, of the cross-validation alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

HERE = Path(__file__).resolve().parent
ADELIE = HERE.parents[1] / "build" / "peers" / "adelie"
VERSION = "adelie==1.1.52"
SEED = 0
FOLDS = 5


@dataclass(frozen=True)
class Task:
    """Data whose columns are centred and of unit spread, a family of glmnet's, and the penalty of a path.

    Attributes
    ----------
    group
        How many columns make a group, one after another; 1 is no groups.
    """

    name: str
    X: Any
    y: Any
    family: str
    alpha: float
    lambdas: Any
    group: int = 1


@dataclass(frozen=True)
class Found:
    """Seconds, and the path of all rows: coefficients ``[S, p]``, intercepts ``[S]``, lambdas ``[S]``."""

    seconds: float
    coef: Any
    intercept: Any
    lambdas: Any


@dataclass(frozen=True)
class Side:
    """An other solver: how it splits rows into folds, and how it solves a task."""

    name: str
    folds: Callable[[Task], list[tuple[Any, Any]]]
    run: Callable[[Task], Found]


# --- python-glmnet ----------------------------------------------------------------------------------------------------


def _shuffled(task: Task) -> list[tuple[Any, Any]]:
    """python-glmnet's own folds."""
    kind = KFold if task.family == "gaussian" else StratifiedKFold
    return list(kind(FOLDS, shuffle=True, random_state=SEED).split(task.X, task.y))


def _python_glmnet(task: Task) -> Found:
    import glmnet

    kind, scoring = (
        (glmnet.ElasticNet, "mean_squared_error") if task.family == "gaussian" else (glmnet.LogitNet, "log_loss")
    )
    model = kind(
        alpha=task.alpha, lambda_path=task.lambdas, n_splits=FOLDS, n_jobs=1, scoring=scoring, random_state=SEED,
        standardize=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        model.fit(task.X, task.y)
        seconds = time.process_time() - started
    path = np.atleast_2d(model.coef_path_.squeeze()).T
    return Found(seconds, path, np.ravel(model.intercept_path_), task.lambdas[: len(path)])


# --- adelie -----------------------------------------------------------------------------------------------------------


def _adelie_folds(task: Task) -> list[tuple[Any, Any]]:
    """Those of `cv_grpnet`: consecutive parts of rows in the order that its seed draws."""
    state = np.random.RandomState(SEED)
    order = state.choice(len(task.y), len(task.y), replace=False)
    return [(np.setdiff1d(order, val), np.sort(val)) for val in np.array_split(order, FOLDS)]


def _adelie(task: Task) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "task.npz", Path(folder) / "out.npz"
        np.savez(
            given, X=task.X, y=np.asarray(task.y, dtype=float), lambdas=task.lambdas, family=task.family,
            alpha=task.alpha, group=task.group, seed=SEED,
        )  # fmt: skip
        _call(str(_adelie_python()), str(HERE / "adelie_side.py"), str(given), str(out))
        with np.load(out) as found:
            return Found(float(found["seconds"]), found["coef"], found["intercept"], found["lambdas"])


def _adelie_python() -> Path:
    """adelie's own Python, made where it is not yet."""
    python = ADELIE / "bin" / "python"
    if not (ADELIE / "ready").exists():
        shutil.rmtree(ADELIE, ignore_errors=True)
        _call(sys.executable, "-m", "venv", str(ADELIE))
        _call(str(python), "-m", "pip", "install", "--quiet", VERSION)
        (ADELIE / "ready").touch()
    return python


# --- R's glmnet -------------------------------------------------------------------------------------------------------


def _r_glmnet(task: Task) -> Found:
    if shutil.which("Rscript") is None:
        raise RuntimeError("There is no Rscript; install R and its package glmnet (Debian: r-cran-glmnet).")
    number = np.empty(len(task.y))
    for k, (_, val) in enumerate(_adelie_folds(task)):
        number[val] = k + 1
    values = {"task": [task.alpha], "X": task.X.T, "y": task.y, "lambdas": task.lambdas, "folds": number}
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        for name, value in values.items():
            np.ascontiguousarray(value, dtype=float).tofile(at / name)
        (at / "family").write_text(f"{task.family}\n")
        _call("Rscript", str(HERE / "glmnet_side.R"), folder)
        seconds, coef, intercept, used = (np.fromfile(at / name) for name in ("seconds", "coef", "intercept", "used"))
    return Found(float(seconds[0]), coef.reshape(len(used), -1), intercept, used)


def _call(*command: str) -> None:
    """Run a command; what it said on its errors is the error."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{ended.stderr[-2000:]}")


PYTHON_GLMNET = Side("python-glmnet", _shuffled, _python_glmnet)
ADELIE_SIDE = Side("adelie", _adelie_folds, _adelie)
R_GLMNET = Side("glmnet", _adelie_folds, _r_glmnet)
