"""MLflow on a local SQLite file: fast, shared with `mlflow ui`, and safe to create from two processes at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy

_PREFIX = "sqlite:///"
_BUSY_MS = 20_000


def database_path(tracking_uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for every other store."""
    return Path(tracking_uri.removeprefix(_PREFIX).split("?")[0]) if tracking_uri.startswith(_PREFIX) else None


def check_writable(path: Path) -> None:
    """Create the file if needed and prove that it can be written.

    MLflow itself would try for minutes to open a file that it can never use.

    Raises
    ------
    OSError
        The folder or the file cannot be created.
    sqlite3.Error
        The file is not a database, or is read-only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000)
    try:
        connection.execute("PRAGMA user_version").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    finally:
        connection.close()


def tune_connections() -> None:
    """Make every SQLite connection of this process wait for others and commit without waiting for the disk.

    A write-ahead log lets readers (`mlflow ui`) and one writer work side by side. With ``synchronous=NORMAL`` a power
    cut may lose the last commits but never corrupts the file, and what is lost is mirrored again on resume.
    """
    # MLflow makes its own engines, so the listener sits on the class.
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", _tune)


def _tune(connection: Any, _record: object) -> None:
    """Tune one new connection when it is SQLite's."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
