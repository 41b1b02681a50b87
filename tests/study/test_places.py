"""Where a study writes: under its root, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from samples import study


def files_below(folder: Path) -> set[str]:
    return {os.fspath(file.relative_to(folder)) for file in folder.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["journal", "MLflow", "database"])
def test_a_study_writes_below_its_root(kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run leaves no file and no lock in the temporary folder of the system, nor beside a given database."""
    temporary, given, home = tmp_path / "temporary", tmp_path / "given", tmp_path / "home"
    for folder in (temporary, given, home):
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", os.fspath(temporary))
    monkeypatch.setenv("TMPDIR", os.fspath(temporary))  # of the process that writes to MLflow
    monkeypatch.chdir(home)
    options = {"journal": {}, "MLflow": {"tracking": None}, "database": {"storage": f"sqlite:///{given / 'o.db'}"}}
    one = study(tmp_path / "root", **options[kept])
    one.run(3, quiet=True)
    assert files_below(temporary) == files_below(home) == set()
    assert files_below(given) <= {"o.db"}
    assert "run.lock" in files_below(one.store.folder)
    assert ("mirror.lock" in files_below(one.store.folder)) == (kept == "MLflow")
