"""The Optuna storage that a URL names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import clean, cleaned, first_line, remember_secrets
from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    from optuna.storages import RDBStorage


def open_storage(url: str) -> Any:
    """The Optuna storage of a URL; `close_storage` lets go of its connections.

    Raises
    ------
    InvalidInput
        When it opens none.
    """
    from optuna.storages import RDBStorage, get_storage

    remember_secrets(url)
    try:
        # between two trials a server may have ended a connection, or have started again
        return get_storage(RDBStorage(url, engine_kwargs={"pool_pre_ping": True}))
    except Exception as error:  # noqa: BLE001 - SQLAlchemy has its own, each driver too, or there is no driver
        raise InvalidInput(
            f"storage must be a URL that Optuna can open, got {clean(url)!r} ({first_line(error)}); "
            "see that its database answers, or leave it out for a file in the root."
        ) from cleaned(error)


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
