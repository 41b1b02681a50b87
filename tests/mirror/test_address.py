"""Addresses of MLflow stores, looked at before a search."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from regsearch.errors import InvalidInput
from regsearch.mirror.address import check_address, unanswered


@pytest.mark.parametrize(
    "address",
    [
        "http://host:5000", "https://user:word@host/path", "mlruns", "./some:where", "/abs/mlruns", "file:///abs",
        "databricks", "databricks://profile", r"C:\mlruns", "sqlite:///{}/new/mlflow.db",
    ],
)  # fmt: skip
def test_what_may_be_a_store_passes(address: str, tmp_path: Path) -> None:
    """Whatever MLflow could open, now or later, is no reason to stop."""
    check_address(address.format(tmp_path))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("htp://host", "http://, https://, sqlite://"),
        ("http://", "http://host:5000"),
        ("http://host:port", "http://host:5000"),
        ("http://[host", "http://host:5000"),
        ("postgresql+nosuch://user:hidden@host/name", "address of a database"),
        ("mysql+mysqldb://user:hidden@host/name", "install it with pip"),
        ("sqlite:///{}/file/mlflow.db", "can be written"),
        ("sqlite:///{}/text.db", "SQLite database"),
        ("sqlite:///{}", "can be written"),
    ],
)
def test_what_can_be_none_is_told(address: str, words: str, tmp_path: Path) -> None:
    """What no waiting would mend is an error that names what is wrong, and no password."""
    (tmp_path / "file").touch()
    (tmp_path / "text.db").write_text("this is not a database")
    with pytest.raises(InvalidInput) as error:
        check_address(address.format(tmp_path))
    assert words in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_database_passes(tmp_path: Path) -> None:
    """A SQLite file passes, and is not changed by that."""
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE one (two)")
    before = file.read_bytes()
    check_address(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_locks_of_a_database_stay(tmp_path: Path) -> None:
    """A database that this process has open keeps its locks, without which another would take its log away."""
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE one (two)")
        check_address(f"sqlite:///{file}")
        insert = "db.execute('INSERT INTO one VALUES (1)'); db.commit(); db.close()"
        code = f"import sqlite3; db = sqlite3.connect({str(file)!r}); {insert}"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert database.execute("SELECT two FROM one").fetchall() == [(1,)]


def test_a_server_that_listens_answers() -> None:
    """A server answers as long as its port is open, and no longer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert unanswered(address) is None
    assert "does not answer" in str(unanswered(address))
    assert unanswered("sqlite:///some.db") is None
