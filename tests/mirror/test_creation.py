"""A SQLite store is there whole or not at all, whatever is killed while it is created."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow_stores import ROOT, Store, study, trial

from regsearch.mirror.creation import ensure_whole, holds_rows

MLFLOW = """
import os, signal, sys, sqlalchemy
path, words = sys.argv[1:]
def kill(connection, cursor, statement, *rest):
    if words in statement:
        os.kill(os.getpid(), signal.SIGKILL)
sqlalchemy.event.listen(sqlalchemy.engine.Engine, "after_cursor_execute", kill)
from mlflow import MlflowClient
MlflowClient(f"sqlite:///{path}")
"""
WRITING = """
import os, signal, sqlite3, sys
from pathlib import Path
from regsearch.mirror.creation import ensure_whole
def statements():
    for statement in sqlite3.connect(sys.argv[2]).iterdump():
        yield statement
    yield "SELECT die()"
connect = sqlite3.connect
def mortal(*arguments, **options):
    connection = connect(*arguments, **options)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    return connection
sqlite3.connect = mortal
ensure_whole(Path(sys.argv[1]), statements)
"""


def killed(script: str, *arguments: str) -> None:
    """Run a script that kills itself."""
    done = subprocess.run([sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def dump(database: Path) -> list[str]:
    """Everything that a database holds."""
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["CREATE TABLE _alembic_tmp_experiments", "CREATE TABLE runs", "DROP TABLE trace_info"]
)
def test_a_store_left_half_made_by_mlflow_is_made_anew(tmp_path: Path, words: str) -> None:
    """Where a kill stopped MLflow's own creation, the next mirror says so, keeps a copy and writes everything."""
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    killed(MLFLOW, str(tmp_path / "mlflow.db"), words)
    left = dump(tmp_path / "mlflow.db")
    assert not holds_rows(tmp_path / "mlflow.db")
    with store.mirror() as mirror:
        mirror.start(study())
        mirror.send(trial(0))
        status = mirror.drain(60)
    (copy,) = tmp_path.glob("mlflow.half-made-*.db")
    assert status.complete, status.reason
    assert copy.name in status.notice
    assert dump(copy) == left
    assert sorted(store.trials()) == [0]


def test_a_kill_while_the_store_is_written_leaves_nothing(tmp_path: Path, empty_database: Path) -> None:
    """A process killed at the last statement leaves no table, and the next one writes the whole store."""
    database = tmp_path / "mlflow.db"
    killed(WRITING, str(database), str(empty_database))
    assert dump(database) == ["BEGIN TRANSACTION;", "COMMIT;"]
    assert ensure_whole(database, lambda: dump(empty_database)) == ""
    assert dump(database) == dump(empty_database)
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.slow
def test_a_store_that_another_wrote_meanwhile_is_kept(tmp_path: Path, empty_database: Path) -> None:
    """What another process puts there while this one prepares its own store stays as it is, to the row."""
    database = tmp_path / "mlflow.db"

    def late() -> list[str]:
        database.write_bytes(empty_database.read_bytes())
        with sqlite3.connect(database) as connection:
            connection.execute("INSERT INTO tags VALUES ('mine', 'yes', 'run')")
        return dump(empty_database)

    assert ensure_whole(database, late) == ""
    assert any("'mine'" in line for line in dump(database))
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]
