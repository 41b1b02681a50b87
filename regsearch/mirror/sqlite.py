"""MLflow on a local SQLite file: fast, shared with `mlflow ui`, and safe to create from two processes at once."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from regsearch.cleaning import first_line
from regsearch.mirror.creation import BUSY_MS, ensure_whole
from regsearch.storage.lock import locked

LOCK_PATIENCE_S = 60.0
_PREFIX = "sqlite:///"
_TORN = ("already exists", "duplicate column", "no such table", "no such column")  # SQLite's words for tables midway

_log = logging.getLogger(__name__)


def database_path(tracking_uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for every other store."""
    return Path(tracking_uri.removeprefix(_PREFIX).split("?")[0]) if tracking_uri.startswith(_PREFIX) else None


@contextmanager
def opening(path: Path) -> Iterator[str]:
    """Hold a store for MLflow to open it: no other process of regsearch opens it meanwhile, and it is whole.

    Two that open one at once would both bring its tables up to date, and one of them would fail.

    Yields
    ------
    str
        What was found half made and is made anew; mostly empty.

    Raises
    ------
    OSError
        The folder or the file cannot be created, or another process held the store all the time.
    sqlite3.Error
        The file is not a database, or is read-only.
    """
    from sqlalchemy.exc import DatabaseError

    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(path.name + ".lock"), LOCK_PATIENCE_S):
        check_writable(path)
        mended = ensure_whole(path, new_store)
        if mended:
            _log.warning("%s", mended)
        try:
            yield mended
        except DatabaseError as error:
            if not any(words in str(error) for words in _TORN):
                raise
            raise OSError(
                f"a process was killed while it brought the tables of {path.name}, which is not empty, up to date "
                f"({first_line(error)}); move the file away, and each study that is run again is written to a new one"
            ) from error


def new_store() -> list[str]:
    """The statements that create an MLflow store, from one that MLflow makes in memory."""
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    memory = f"file:regsearch-{uuid.uuid4().hex}?mode=memory&cache=shared"
    with closing(sqlite3.connect(memory, uri=True)) as keeper:  # it lasts as long as someone is connected
        store: Any = SqlAlchemyStore  # untyped
        store(f"{_PREFIX}{memory}&uri=true", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()
        return list(keeper.iterdump())


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
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000)
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
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _tune)  # on the class: MLflow makes its own engines


def _tune(connection: Any, _record: object) -> None:
    """Tune one new connection when it is SQLite's."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
