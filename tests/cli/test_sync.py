"""``regsearch sync``: MLflow is brought up to date from the stored study alone, and each trial once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from samples import mlflow_client, newer_than_mlflow, study

from regsearch.cli import main
from regsearch.storage.store import Store

OF_A_RUN = ("mlflow.parentRunId", "mlflow.note.content")  # tags that hold ids of runs and experiments


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a small study that MLflow has."""
    root = tmp_path_factory.mktemp("sync") / "runs"
    root.mkdir()
    study(root, tracking=None).run(5, quiet=True)
    return root


@pytest.fixture
def root(mirrored: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(mirrored, tmp_path / "runs"))


def runs(root: Path) -> list[Any]:
    client = mlflow_client(root)
    experiment = client.get_experiment_by_name("small")
    return list(client.search_runs([experiment.experiment_id]))


def shown(root: Path) -> dict[str, Any]:
    """What MLflow has of each trial, and of the study, ids apart."""
    client, found = mlflow_client(root), runs(root)
    assert len({run.data.tags.get("regsearch.trial") for run in found}) == len(found)
    return {
        run.data.tags.get("regsearch.trial", "study"): (
            run.info.status, run.data.params, {key: run.data.tags[key] for key in run.data.tags if key not in OF_A_RUN},
            {
                key: [(row.step, row.value) for row in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            },
        )
        for run in found
    }  # fmt: skip


def stored(root: Path) -> dict[str, bytes]:
    """The files of the study, but for what the mirror notes of itself."""
    own = ("mirror.log", "mlflow.json")
    return {str(file): file.read_bytes() for file in (root / "studies").rglob("*")
            if file.is_file() and file.name not in own}  # fmt: skip


@pytest.mark.slow
def test_a_deleted_store_comes_back_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the stored study, which stays as it is, MLflow gets what the run had written; again, it gets nothing."""
    before, files = shown(root), stored(root)
    for file in root.glob("mlflow.db*"):
        file.unlink()
    assert main(["sync", "small", "--root", str(root)]) == 0
    assert "small: 5 trials written to MLflow, which has all 5 now." in capsys.readouterr().out
    assert shown(root) == before
    ids = sorted(run.info.run_id for run in runs(root))
    assert main(["sync", "small", "--root", str(root)]) == 0
    assert "small: 0 trials written to MLflow, which has all 5 now." in capsys.readouterr().out
    assert (sorted(run.info.run_id for run in runs(root)), shown(root)) == (ids, before)
    assert stored(root) == files


@pytest.mark.slow
def test_what_is_missing_is_added(root: Path) -> None:
    """A trial that MLflow lacks is added, and no other is touched."""
    before, gone = shown(root), next(run for run in runs(root) if run.data.tags.get("regsearch.trial") == "2")
    others = {run.info.run_id for run in runs(root)} - {gone.info.run_id}
    mlflow_client(root).delete_run(gone.info.run_id)
    assert main(["sync", "small", "--root", str(root)]) == 0
    assert shown(root) == before
    assert {run.info.run_id for run in runs(root)} > others


@pytest.mark.slow
def test_refusals(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that cannot be used is one sentence and status 2; so is a study that is being run."""
    newer, files = newer_than_mlflow(root / "newer.db"), stored(root)
    assert main(["sync", "small", "--root", str(root), "--tracking", f"sqlite:///{newer}"]) == 2
    assert "MLflow is missing 5 of the 5 trials of 'small'" in capsys.readouterr().err
    with Store(root, "small").running():
        assert main(["sync", "small", "--root", str(root)]) == 2
    assert "is being run by another process" in capsys.readouterr().err
    assert stored(root) == files
