"""Real stores for the mirror's tests: SQLite files and an MLflow server process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from regsearch.mirror import Mirror, Series, StudyRecord, TrialRecord

ROOT = Path(__file__).resolve().parents[1]
START_MS = 1_700_000_000_000


def study(**changes: Any) -> StudyRecord:
    """Return a small study."""
    return StudyRecord(**{"study": "ridge", "experiment": "family", "study_id": "abc", "start_ms": START_MS, **changes})


def trial(number: int, **changes: Any) -> TrialRecord:
    """Return a trial with metrics, folds and a path."""
    begun = START_MS + 1000 * number
    fields: dict[str, Any] = {
        "state": "COMPLETE",
        "start_ms": begun,
        "end_ms": begun + 500,
        "name": f"trial {number}",
        "params": {"lambda": 0.1 / (number + 1), "penalty": "l1", "dropout": 0},
        "metrics": {"val/mean": 1.0 / (number + 1), "gap/mean": 0.25},
        "series": {"fold/val": Series((0, 1), (0.5, 0.75)), "path/val": Series((1, 2, 3), (3.0, 2.0, 2.5))},
    }
    return TrialRecord(number, **{**fields, **changes})


def poll(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Ask until the condition holds; say whether it did in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@dataclass(frozen=True)
class Store:
    """One MLflow store and a folder for what belongs to it."""

    uri: str
    root: Path

    @classmethod
    def copied(cls, database: Path, root: Path) -> Store:
        """Return a SQLite store in `root` that starts as a copy of a database."""
        shutil.copy(database, root / "mlflow.db")
        return cls(f"sqlite:///{root / 'mlflow.db'}", root)

    def mirror(self) -> Mirror:
        """Return a mirror that writes to this store."""
        return Mirror(self.uri, self.root / "artifacts", self.root / "mirror.log")

    @property
    def client(self) -> MlflowClient:
        """A client that reads what was written."""
        return MlflowClient(tracking_uri=self.uri)

    def runs(self, experiment: str = "family") -> list[Run]:
        """Return every run of the experiment."""
        found = self.client.get_experiment_by_name(experiment)
        return list(self.client.search_runs([found.experiment_id], max_results=5000)) if found else []

    def parent(self) -> Run:
        """Return the only parent run."""
        (parent,) = [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]
        return parent

    def trials(self) -> dict[int, Run]:
        """Return the child runs by trial number; a duplicate fails."""
        runs = [run for run in self.runs() if "mlflow.parentRunId" in run.data.tags]
        numbered = {int(run.data.tags["regsearch.trial"]): run for run in runs}
        assert len(numbered) == len(runs)
        return numbered


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def healthy(uri: str) -> bool:
    """Say whether the server answers."""
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def started(folder: Path, port: int, store: str = "") -> subprocess.Popen[bytes]:
    """An MLflow server that answers, in a process group of its own.

    Parameters
    ----------
    folder
        For what it writes.
    store
        The URI of its database, which the environment tells it; by default ``mlflow.db`` in the folder.
    """
    options = ["--port", str(port), "--workers", "1", "--artifacts-destination", str(folder / "served")]
    with (folder / "server.log").open("a") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_BACKEND_STORE_URI": store or f"sqlite:///{folder / 'mlflow.db'}",
            },
        )  # fmt: skip
    if not poll(lambda: healthy(address(port)), 120):
        os.killpg(server.pid, signal.SIGKILL)
        raise AssertionError((folder / "server.log").read_text())
    return server


def address(port: int) -> str:
    """Where a server of this machine answers."""
    return f"http://127.0.0.1:{port}"


@contextmanager
def serving(folder: Path, port: int, store: str = "") -> Iterator[str]:
    """Run an MLflow server and yield its URI once it answers; see `started`."""
    server = started(folder, port, store)
    try:
        yield address(port)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
