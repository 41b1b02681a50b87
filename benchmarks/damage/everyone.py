"""Deaths in a cluster: a worker, its node, the process that searches, the database or MLflow's server is killed.

The study lies in a real PostgreSQL, is shown by a real MLflow server, and is searched by the command line on a real Ray
cluster of several nodes of this machine. The servers are those of the tests.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from damage.section import Attempt, section
from regsearch.results.results import load_results
from regsearch.storage.store import Store

ROOT = Path(__file__).resolve().parents[2]
NODES = 2  # beside the head, which has no place for a worker
TRIALS = 20  # of a study, and as many more for every kill that met none in flight
LONGEST_S = 3.0  # between the first trial of a run, or the last kill, and the next
PATIENCE_S = 300.0
SCRIPT = """
import time
import numpy as np
from sklearn.linear_model import Ridge
from regsearch import Estimator, Float, Study

class Slow(Ridge):
    def fit(self, X, y):
        time.sleep(0.05)
        return super().fit(X, y)

draw = np.random.default_rng(0)
X = draw.normal(size=(60, 8))
y = X @ draw.normal(size=8) + draw.normal(size=60)
space = Estimator(Slow(), {{"alpha": Float(0.01, 100.0, log=True)}})
study = Study({name!r}, X, y, space=space, root={root!r}, tracking={tracking!r}, storage={storage!r})
"""


@dataclass
class Cluster:
    """All that a study of many machines runs on."""

    folder: Path
    postgres: Any
    port: int
    mlflow: subprocess.Popen[bytes]
    ray: Any
    nodes: list[Any] = field(default_factory=list)
    driver: subprocess.Popen[bytes] | None = None

    def kill(self, who: str) -> bool:
        """Kill one of them, and start what it was anew; whether there was one."""
        return bool(KILLS[who](self))

    def kill_worker(self) -> bool:
        """An actor, whose process Ray starts anew."""
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [""])[0].startswith("ray::WorkerActor"):
                with suppress(psutil.Error):
                    process.kill()
                    return True
        return False

    def kill_node(self) -> bool:
        self.ray.remove_node(self.nodes.pop(0), allow_graceful=False)
        self.nodes.append(self.ray.add_node(num_cpus=1))
        return True

    def kill_driver(self) -> bool:
        if self.driver is None or self.driver.poll() is not None:
            return False
        self.driver.kill()
        return True

    def kill_database(self) -> bool:
        self.postgres.kill()
        self.postgres.start()
        return True

    def end_mlflow(self) -> None:
        with suppress(ProcessLookupError):  # a run that was ended by a signal may have lost it already
            os.killpg(self.mlflow.pid, signal.SIGKILL)
        self.mlflow.wait()

    def kill_mlflow(self) -> bool:
        from mlflow_stores import started

        self.end_mlflow()
        self.mlflow = started(self.folder, self.port)
        return True

    def run(self, script: Path, trials: int) -> subprocess.Popen[bytes]:
        """Start the command that goes on with the study."""
        options = ["--trials", str(trials), "--on", "ray", "--address", self.ray.address, "--workers", str(NODES)]
        with (self.folder / "driver.log").open("ab") as log:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "regsearch", "run", str(script), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        return self.driver


KILLS: dict[str, Callable[[Cluster], bool]] = {
    name.removeprefix("kill_"): act for name, act in vars(Cluster).items() if name.startswith("kill_")
}


@section(count=50)
def everyone(count: int, seed: int) -> Iterator[Attempt]:
    """Of a cluster, whoever is killed, every trial comes to its end, once, and so it is in MLflow."""
    draw, number = random.Random(seed), 0
    with ExitStack() as stack:
        cluster = made(stack)
        while number < count:
            order = draw.sample(sorted(KILLS), min(len(KILLS), count - number))
            number += len(order)
            problem = problem_of(cluster, f"study-{number}", order, draw)
            yield from (Attempt(f"kill {who}, of {', '.join(order)}", problem) for who in order)


def made(stack: ExitStack) -> Cluster:
    """A cluster, until the stack is left."""
    sys.path.append(str(ROOT / "tests"))
    from mlflow_stores import free_port, started
    from postgres import cluster as database
    from ray.cluster_utils import Cluster as Nodes

    os.environ["PYTHONPATH"] = str(ROOT)  # as installed on each node
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
    port = free_port()
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0})
    stack.callback(nodes.shutdown)
    found = Cluster(folder, stack.enter_context(database()), port, started(folder, port), nodes)
    stack.callback(found.end_mlflow)
    found.nodes += [nodes.add_node(num_cpus=1) for _ in range(NODES)]
    return found


def problem_of(cluster: Cluster, name: str, order: list[str], draw: random.Random) -> str:
    """What is wrong with a study at the end, some having been killed on its way."""
    from mlflow_stores import address

    root = cluster.folder / name
    url = cluster.postgres.url(cluster.postgres.database())
    script = cluster.folder / f"{name}.py"
    script.write_text(SCRIPT.format(name=name, root=str(root), tracking=address(cluster.port), storage=url))
    store = Store(root, name, url)
    trials = killed_on_the_way(cluster, script, store, list(order), draw)
    results = load_results(store)
    ended = [trial.number for trial in results.all if trial.state in ("complete", "pruned")]
    others = len(results.all) - len(ended) - results.counts["interrupted"]  # while proposed: another is in its place
    if len(ended) != trials or others:
        return f"it has {results.counts}, of {trials} trials"
    return shown(cluster, store, ended, url)


def killed_on_the_way(cluster: Cluster, script: Path, store: Store, left: list[str], draw: random.Random) -> int:
    """Run a study to its end, again whenever its process ends before, and kill; its number of trials."""
    trials, deadline = TRIALS, time.monotonic() + PATIENCE_S * (1 + len(left))
    while time.monotonic() < deadline:
        driver, before = cluster.run(script, trials), finished(store)
        while left and driver.poll() is None:
            if finished(store) > before:
                time.sleep(draw.uniform(0.0, LONGEST_S))
                if driver.poll() is None and cluster.kill(left[0]):
                    del left[0]
            time.sleep(0.05)
        if driver.wait() == 0 and not left:
            return trials
        trials += TRIALS if driver.returncode == 0 else 0
    raise AssertionError(f"{left} were not killed: {(cluster.folder / 'driver.log').read_text()[-2000:]}")


def finished(store: Store) -> int:
    """How many files of trials there are: read without the database, which may be gone."""
    return len(list(store.folder.rglob("*.npz")))


def shown(cluster: Cluster, store: Store, ended: list[int], url: str) -> str:
    """What MLflow lacks of a study, or has twice, after it was asked to catch up."""
    from mlflow import MlflowClient
    from mlflow_stores import address

    command = [sys.executable, "-m", "regsearch", "sync", store.name, "--root", str(store.root)]
    told = {**os.environ, "REGSEARCH_STORAGE": url}  # which a study does not keep: it has a password
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cluster.folder, env=told)
    if done.returncode:
        return f"sync ended with {done.returncode}: {done.stderr[-500:]}"
    client = MlflowClient(address(cluster.port))
    runs = [
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id], max_results=5000)
    ]
    parents = {run.info.run_id for run in runs if run.data.tags.get("regsearch.study") == store.name}
    trials_of = [run.data.tags for run in runs if run.data.tags.get("mlflow.parentRunId") in parents]
    numbers = sorted(int(tags["regsearch.trial"]) for tags in trials_of)
    missing, more = set(ended) - set(numbers), len(numbers) - len(set(numbers))
    return f"MLflow lacks {sorted(missing)} of the trials, and has {more} twice" if missing or more else ""
