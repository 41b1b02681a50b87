"""MLflow on PostgreSQL behind `mlflow server`: what runs and syncs write there, whatever becomes of either."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from damage.services import after_trials
from faulty_proxy import FAULTS, between
from leaks import told
from mlflow import MlflowClient
from mlflow_stores import free_port, serving
from postgres import OWNER, PASSWORD, Cluster
from samples import ROOT, database, mlflow_client, study

from regsearch.cli import main

pytestmark = pytest.mark.slow(of="MLflow on PostgreSQL")

N = 4
SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from samples import study

one = study({{root!r}}, {{name!r}}, tracking={{tracking!r}}, experiment={{experiment!r}})
"""
FAULTY = {1, 6, 16, 25, 31, 36, 40, 48, 55, 62, 70, 80}  # requests: while a study is opened, and of every kind later
_numbers = itertools.count()


@pytest.fixture(scope="module")
def backend(_cluster: Cluster) -> str:
    """The address of MLflow's database."""
    if not _cluster.running:
        _cluster.start()
    return _cluster.url(_cluster.database())


@pytest.fixture(scope="module")
def server(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("served"), free_port(), backend) as uri:
        yield uri


@pytest.fixture
def name(postgres: Cluster) -> str:
    """That of a new study, whose database runs."""
    assert postgres.running
    return f"study{next(_numbers)}"


def script(folder: Path, name: str, tracking: str, experiment: str | None = None) -> str:
    """A script with a study of that name, which writes to an MLflow."""
    file = folder / f"{name}.py"
    file.write_text(
        SCRIPT.format(root=str(folder / "runs"), name=name, tracking=tracking, experiment=experiment or name)
    )
    return str(file)


def mirrored(client: Any, experiment: str, study: str) -> dict[str, Any]:
    """What MLflow has of a study: each trial once, and the study itself once."""
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)
    parents = [run for run in found if run.info.run_name == study and "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    assert parents[0].info.status == "FINISHED"
    mine = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    numbered = {run.data.tags["regsearch.trial"]: (run.info.status, run.data.params, run.data.metrics) for run in mine}
    assert len(numbered) == len(mine)
    return numbered


def of_the_study(tmp_path: Path) -> dict[str, Any]:
    """The same of the study in a SQLite store of its own."""
    database(tmp_path / "plain")
    study(tmp_path / "plain", tracking=None).run(N, quiet=True)
    return mirrored(mlflow_client(tmp_path / "plain"), "small", "small")


def without_times(found: dict[str, Any]) -> dict[str, Any]:
    return {
        number: (status, params, {key: value for key, value in metrics.items() if not key.startswith("time/")})
        for number, (status, params, metrics) in found.items()
    }


def test_a_run_and_a_sync_that_has_nothing_to_add(server: str, name: str, tmp_path: Path, capsys: Any) -> None:
    """A run writes what it would to a file, and a sync finds all of it."""
    assert main(["run", script(tmp_path, name, server), "--trials", str(N)]) == 0
    assert without_times(mirrored(MlflowClient(server), name, name)) == without_times(of_the_study(tmp_path))
    assert main(["sync", name, "--root", str(tmp_path / "runs")]) == 0
    assert f"{name}: 0 trials written to MLflow, which has all {N} now." in capsys.readouterr().out
    assert len(mirrored(MlflowClient(server), name, name)) == N


@pytest.mark.parametrize("fault", ["slow", "dead", "failing", "dying", "refusing"])
def test_a_sync_through_faults(
    server: str, name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Where requests fail now and then, served or not, a sync writes each trial, once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # a slow answer is none, though the request was served
    study(tmp_path / "runs", name).run(N, quiet=True)
    with between(server) as proxy:
        proxy.fault = lambda number: fault if number in FAULTY else ""
        assert main(["sync", name, "--root", str(tmp_path / "runs"), "--tracking", proxy.uri]) == 0
    assert f"{name}: {N} trials written to MLflow, which has all {N} now." in capsys.readouterr().out
    assert len(mirrored(MlflowClient(server), name, name)) == N


def test_a_server_that_stays_away(server: str, name: str, tmp_path: Path, capsys: Any) -> None:
    """A run ends with status 3, a sync with 2, and a line says what is missing; once it is back, a sync adds that."""
    with between(server) as proxy:
        file = script(tmp_path, name, proxy.uri)
        proxy.fault = lambda number: "refusing" if number > 16 else ""
        assert main(["run", file, "--trials", str(N)]) == 3
        said = capsys.readouterr().err
        (line,) = [line for line in said.splitlines() if line.startswith("MLflow is missing")]
        assert "the MLflow store did not answer: too many 500 error responses" in line
        assert f" sync {name} --root {tmp_path / 'runs'}` writes" in line
        assert said.splitlines()[-1].endswith("of it: status 3")
        assert "Traceback" not in said
        proxy.seen, proxy.fault = 0, lambda number: "dead" if number > 12 else ""
        assert main(["sync", name, "--root", str(tmp_path / "runs")]) == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("regsearch: ")]
        assert re.search(f"MLflow is missing [1-{N}] of the {N} trials of '{name}'", line)
        assert len(line) < 400
        proxy.fault = lambda number: ""
        assert main(["sync", name, "--root", str(tmp_path / "runs")]) == 0
    assert len(mirrored(MlflowClient(server), name, name)) == N


@pytest.mark.parametrize("through", ["faults", "the server", "SQLite"])
def test_studies_that_write_at_once(server: str, through: str, name: str, tmp_path: Path) -> None:
    """Studies of one experiment that write to one store at once are there as if each were alone."""
    with between(server) as proxy:
        proxy.fault = lambda number: [*FAULTS][number % len(FAULTS)] if number in FAULTY else ""
        store = {"SQLite": database(tmp_path), "the server": server, "faults": proxy.uri}[through]
        names = [f"{name}-{letter}" for letter in "abc"]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "regsearch", "run", script(tmp_path, one, store, name), "--trials", str(N)],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for one in names
        ]  # fmt: skip
        said = [process.communicate()[0] for process in started]
        assert [process.returncode for process in started] == [0, 0, 0], said
    client = mlflow_client(tmp_path) if through == "SQLite" else MlflowClient(server)
    assert [len(mirrored(client, name, one)) for one in names] == [N, N, N]


@pytest.mark.parametrize("gone", [Cluster.kill, Cluster.stop])
def test_the_database_behind_the_server_comes_back(
    server: str, name: str, postgres: Cluster, gone: Callable[[Cluster], None], tmp_path: Path
) -> None:
    """What could not be written while MLflow had no database is written once it has, and each trial once."""
    with after_trials(1, lambda: gone(postgres)), after_trials(3, postgres.start):
        assert main(["run", script(tmp_path, name, server), "--trials", str(N)]) == 0
    assert len(mirrored(MlflowClient(server), name, name)) == N


def test_without_a_server_the_password_is_nowhere(
    server: str, backend: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """A run that writes to MLflow's database itself tells its password to no one, MLflow included."""
    monkeypatch.setenv("APP_TRACKING", backend)
    file = script(tmp_path, name, "")
    Path(file).write_text(f"import os\n{Path(file).read_text()}".replace("''", "os.environ['APP_TRACKING']"))
    assert main(["run", file, "--trials", str(N)]) == 0
    assert main(["sync", name, "--root", str(tmp_path / "runs"), "--tracking", backend]) == 0
    assert PASSWORD not in "".join(capfd.readouterr())
    assert told(tmp_path, [PASSWORD, OWNER]) == []
    client = MlflowClient(server)
    assert len(mirrored(client, name, name)) == N
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    assert PASSWORD not in repr([run.to_dictionary() for run in runs])
