"""How runs with workers end: Ctrl-C, the death of the driver, and of a process that evaluated by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from samples import ROOT, poll

from regsearch.storage.store import Store

pytestmark = [pytest.mark.process, pytest.mark.slow(of="ends of workers")]

HEAD = f"""
import os, sys, threading
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
import numpy as np
from regsearch import Choice, Estimator, Float, Linear, Study
from regsearch.models.linear.penalty import Penalty, Terms
from samples import regression
from sklearn.base import BaseEstimator, RegressorMixin

root = Path(sys.argv.pop(1))
X, y = regression()


class Constant(RegressorMixin, BaseEstimator):
    def __init__(self, level=0.0):
        self.level = level

    def fit(self, X, y):
        trouble(self.level)
        self.mean_ = y.mean() * (1 + self.level)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)
"""
CONSTANT = """
space = Estimator(Constant(), {"level": Float(0.0, 1.0)})
sys.exit(Study("small", X, y, space=space, root=root, tracking=False, cv=3, prune=False).main())
"""
LEFT = "def trouble(level): (root / 'fits').open('a').write('1') and level > 0.3 and threading.Event().wait()\n"
POISON = "def trouble(level): 0.49 < level < 0.51 and os._exit(5)\n"
OWN = """
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class L2(Penalty):
    kind: ClassVar[str] = "my_lasso"
    l1_ratio: ClassVar[float] = 1.0

    def terms(self, initial):
        return Terms(np.ones(1), 0.0)


space = Linear(penalty=L2(), scale=Choice("standard", "none"))
sys.exit(Study("small", X, y, space=space, root=root, tracking=False, cv=3).main())
"""


def script(folder: Path, *parts: str) -> Path:
    file = folder / "script.py"
    file.write_text("".join((HEAD, *parts)))
    return file


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, str(folder / "script.py"), str(folder / "root"), *options]


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *options), capture_output=True, text=True, check=False)


def states(folder: Path) -> list[str]:
    from regsearch.storage.optuna_study import OptunaStudy

    with OptunaStudy.load(Store(folder / "root", "small")) as stored:
        return [trial.state for trial in stored.trials()]


def offspring(process: psutil.Process) -> list[psutil.Process]:
    return list(process.children(recursive=True))


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def test_a_script_needs_no_guard_and_its_classes_travel(tmp_path: Path) -> None:
    """A script that runs its study at the top level has it evaluated by workers, with the classes that it defines."""
    script(tmp_path, OWN)
    done = run(tmp_path, "--trials", "6", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert set(states(tmp_path)) == {"complete"}
    assert "my_lasso" in run(tmp_path, "--trials", "6").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_driver(number: int, tmp_path: Path) -> None:
    """Whether the driver is interrupted or killed in the middle of endless fits, its workers end, and it is soon."""
    script(tmp_path, LEFT, CONSTANT)
    with subprocess.Popen(command(tmp_path, "--workers", "2"), stderr=subprocess.PIPE, text=True) as process:
        fits = tmp_path / "root" / "fits"
        assert poll(lambda: fits.exists() and fits.stat().st_size > 4, 60)
        others = offspring(psutil.Process(process.pid))
        assert len(others) >= 3  # the template, and two
        process.send_signal(number)
        error = process.communicate(timeout=300)[1]
    assert poll(lambda: gone(others), 30)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in error


def test_a_config_that_ends_its_process_is_no_poison(tmp_path: Path) -> None:
    """Where a fit ends the process that searches by itself, the next run tries it in another, fails it, and goes on."""
    script(tmp_path, POISON, CONSTANT)
    assert run(tmp_path, "--trials", "8").returncode == 5
    assert run(tmp_path, "--trials", "8").returncode == 0
    assert len(states(tmp_path)) == 8
    assert states(tmp_path).count("failed") == 1
