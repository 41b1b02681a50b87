"""Whether an address can be that of an MLflow store: told before a search, which may take hours, without MLflow."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from regsearch.cleaning import cleaned, first_line, public_address
from regsearch.errors import InvalidInput
from regsearch.storage.database import missing_driver

SERVERS = {"http": 80, "https": 443}  # and the port that each has unless one is named
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # those of MLflow
OTHERS = ("", "file", "databricks", "databricks-uc", "uc")
PATIENCE_S = 2.0  # for a server to take a connection


def check_address(tracking: str) -> None:
    """Find out what no waiting would mend.

    Raises
    ------
    InvalidInput
        When MLflow has no store of that kind, its driver is not installed, or its file can never be written.
    """
    if len(scheme := _scheme(tracking)) == 1:  # a drive of Windows
        return
    if scheme in SERVERS:
        _check_server(tracking)
    elif scheme.partition("+")[0] in DATABASES:
        _check_database(tracking)
    elif scheme not in (*OTHERS, *(each.name for each in entry_points(group="mlflow.tracking_store"))):
        known = ", ".join(f"{one}://" for one in (*SERVERS, *DATABASES))
        raise InvalidInput(f"tracking must be an address of MLflow ({known} or a folder), got {_shown(tracking)}.")


def unanswered(tracking: str) -> str | None:
    """Why a tracking server takes no connection now; `None` where it does, and where only MLflow can find out."""
    scheme = _scheme(tracking)
    if scheme not in SERVERS or scheme in getproxies():
        return None
    parts = urlsplit(tracking)
    try:
        socket.create_connection((parts.hostname or "", parts.port or SERVERS[scheme]), PATIENCE_S).close()
    except OSError as error:
        return f"MLflow at {public_address(tracking)} does not answer: {first_line(error)}"
    return None


def _scheme(tracking: str) -> str:
    before, colon, _ = tracking.partition(":")
    return before.lower() if colon and "/" not in before else ""


def _shown(tracking: str) -> str:
    return repr(public_address(tracking))


def _check_server(tracking: str) -> None:
    try:
        parts: SplitResult = urlsplit(tracking)
        whole = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number
        whole = False
    if not whole:
        raise InvalidInput(f"tracking must name a server such as http://host:5000, got {_shown(tracking)}.")


def _check_database(tracking: str) -> None:
    import sqlalchemy

    from regsearch.mirror.sqlite import database_path

    try:
        sqlalchemy.make_url(tracking).get_dialect()
    except sqlalchemy.exc.ArgumentError as error:
        raise InvalidInput(f"tracking must be the address of a database, got {_shown(tracking)}.") from cleaned(error)
    if (missing := missing_driver(tracking)) is not None:
        raise InvalidInput(f"tracking must be a database whose driver is installed, got {_shown(tracking)}: {missing}.")
    file = database_path(tracking)
    if file is not None and file.name:
        _check_file(file)


def _check_file(file: Path) -> None:
    """Whether a file is a database that can be written, or can become one.

    Only SQLite may open it: to close a file that it has open here, too, would end its locks.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"tracking must be a file that can be written, and {file} is none: {first_line(error)}"
        raise InvalidInput(said) from error
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise InvalidInput(f"tracking must be a file that can be written, and {file} is none; name another.")
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:  # such as one that is locked: the writer waits for it, and says what it finds
        return
    except sqlite3.DatabaseError as error:
        raise InvalidInput(
            f"tracking must be a SQLite database, but {file} is none; move it or name another."
        ) from error
