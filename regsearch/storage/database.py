"""The Optuna storage that a URL names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import clean, cleaned, first_line, remember_secrets
from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


EXTRA = 'pip install "regsearch[postgres]" brings the one of postgresql+psycopg://'
CREATION_S = 60.0  # for another process to finish the tables of a database that both found empty ...
CREATION_POLL_S = 0.1  # ... and between two looks


def open_storage(url: str) -> Any:
    """The Optuna storage of a URL; `close_storage` lets go of its connections.

    Raises
    ------
    InvalidInput
        When it opens none.
    """
    from optuna.storages import get_storage

    remember_secrets(url)
    if (missing := missing_driver(url)) is not None:
        raise InvalidInput(f"storage must be a URL whose driver is installed, got {clean(url)!r}: {missing}.")
    try:
        return get_storage(_open_database(url))
    except Exception as error:  # noqa: BLE001 - SQLAlchemy has its own, and each driver too
        raise InvalidInput(
            f"storage must be a URL that Optuna can open, got {clean(url)!r} ({first_line(error)}); "
            "see that its database answers, or leave it out for a file in the root."
        ) from cleaned(error)


def missing_driver(url: str) -> str | None:
    """What is not installed of what a database's URL takes, and how to install it; `None` where all is.

    Also `None` where it is the URL of no database that SQLAlchemy knows.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        kind = make_url(url)
        kind.get_dialect().import_dbapi()
    except ArgumentError:
        return None
    except ImportError as error:
        return f"{first_line(error)}; {EXTRA if kind.get_backend_name() == 'postgresql' else 'install it with pip'}"
    return None


def _open_database(url: str) -> RDBStorage:
    """The database of a URL, whose tables are made if it has none.

    Optuna makes them in steps: of several processes that find an empty database, all but one fail at a step that
    another has just taken. They find the tables when they look again.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import DatabaseError

    deadline = time.monotonic() + CREATION_S
    while True:
        try:
            # between two trials a server may have ended a connection, or have started again
            return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
        except DatabaseError as error:
            if not _is_made_just_now(error) or time.monotonic() > deadline:
                raise
        time.sleep(CREATION_POLL_S)


def _is_made_just_now(error: Exception) -> bool:
    """Whether a database did not take a table or its version because another process has just made the same."""
    from sqlalchemy.exc import IntegrityError

    return isinstance(error, IntegrityError) or "already exists" in str(error)


def database_of(storage: Any) -> RDBStorage | None:
    """The database behind an Optuna storage; `None` where that is none."""
    from optuna.storages import RDBStorage

    found = getattr(storage, "_backend", storage)  # of a URL's, Optuna keeps a cache in front
    return found if isinstance(found, RDBStorage) else None


@contextmanager
def opened_storage(url: str) -> Iterator[Any]:
    """The Optuna storage of a URL within the block."""
    storage = open_storage(url)
    try:
        yield storage
    finally:
        close_storage(storage)


def close_storage(storage: Any) -> None:
    """End the connections of an Optuna storage to its database: a server has few, and a process may read many studies.

    Whatever is asked of the storage afterwards connects again.
    """
    database = database_of(storage)
    if database is not None:
        database.engine.dispose()
