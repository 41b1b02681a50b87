"""A SQLite store of MLflow comes into its file in one transaction: whatever is killed, it is there whole or not at all.

MLflow itself creates a store in some hundred steps that it commits one by one, and what is killed among them can never
be opened again. So the steps are done in memory (`regsearch.mirror.sqlite`), and this module writes what came of them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

BUSY_MS = 20_000
_QUIET_S = 2.0  # a living process that creates a store changes its tables many times in this time
_LOOKS = 30
_SEEDED = frozenset({"alembic_version", "workspaces"})  # tables that hold rows before anyone wrote to the store
_OURS = ("BEGIN TRANSACTION;", "COMMIT;")  # of a dump: the transaction is the caller's


def holds_rows(database: Path) -> bool:
    """Say whether a store was ever whole: then it has a row at least, that of the experiment named Default.

    Raises
    ------
    sqlite3.Error
        The file is not a database, or cannot be read.
    """
    if not database.exists():
        return False
    with closing(_connect(database)) as connection, connection:
        connection.execute("BEGIN")
        return _any_row(connection)


def ensure_whole(database: Path, new_store: Callable[[], Iterable[str]]) -> str:
    """Write a new store to a file that holds no row: one that is absent, empty, or left where its creation was killed.

    Nothing is written where there is a row in any table, whoever wrote it and however late: the look and the writing
    are one transaction.

    Parameters
    ----------
    database
        The file.
    new_store
        The statements that create the store, as of `sqlite3.Connection.iterdump`.

    Returns
    -------
    str
        What was found half made and where a copy of it is kept; empty where there was nothing of the kind.

    Raises
    ------
    sqlite3.Error
        The file is not a database, or cannot be written.
    """
    if holds_rows(database):
        return ""
    statements = list(new_store())
    with closing(_connect(database)) as connection:
        _settle(connection)
        copy = _copy(connection, database) if _tables(connection) else None
        if _fill(connection, statements):
            return _said(database, copy) if copy else ""
    if copy:
        copy.unlink()
    return ""


def _connect(database: Path) -> sqlite3.Connection:
    """Connect; transactions are begun by hand, as Python's own do not take in what changes tables."""
    return sqlite3.connect(database, timeout=BUSY_MS / 1000, isolation_level=None)


def _tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"
    return [name for (name,) in connection.execute(query)]


def _any_row(connection: sqlite3.Connection) -> bool:
    """Say whether a table holds a row that MLflow's migrations did not put there."""
    tables = [name for name in _tables(connection) if name not in _SEEDED]
    return any(connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone() for name in tables)


def _settle(connection: sqlite3.Connection) -> None:
    """Wait while someone else, such as `mlflow ui`, is creating the store: until its tables stay as they are."""
    seen = 0  # the version of a database without tables
    for _ in range(_LOOKS):
        (now,) = connection.execute("PRAGMA schema_version").fetchone()
        if now == seen:
            return
        seen = now
        time.sleep(_QUIET_S)


def _copy(connection: sqlite3.Connection, database: Path) -> Path:
    """Keep a copy of a database beside it, under a name that says what it is."""
    place = database.with_name(f"{database.stem}.half-made-{datetime.now(UTC):%Y%m%dT%H%M%S%f}{database.suffix}")
    with closing(_connect(place)) as copy:
        connection.backup(copy)
    return place


def _fill(connection: sqlite3.Connection, statements: Iterable[str]) -> bool:
    """Put a store in the place of tables without rows, in one transaction; False where there is a row by now."""
    with connection:
        connection.execute("BEGIN EXCLUSIVE")
        if _any_row(connection):
            return False
        for name in _tables(connection):
            connection.execute(f'DROP TABLE "{name}"')
        for statement in statements:
            if statement not in _OURS:
                connection.execute(statement)
    return True


def _said(database: Path, copy: Path) -> str:
    return (
        f"{database.name} was half made and held no runs, as a process was killed while creating it: "
        f"it is made anew, and {copy.name} is what was there"
    )
