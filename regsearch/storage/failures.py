"""What a disk that is full or a database that is gone leads to: one sentence, and how to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from regsearch.cleaning import cleaned, first_line
from regsearch.errors import StorageFailed


@contextmanager
def storage_failures(what: str) -> Iterator[None]:
    """Say in one sentence what could not be done, where the storage itself fails.

    Parameters
    ----------
    what
        The beginning of the sentence.

    Raises
    ------
    StorageFailed
        In the place of an error of the system, of a database, or of Optuna's storage.
    """
    try:
        yield
    except _failures() as error:  # which are looked up where something has failed: a database's library loads slowly
        raise StorageFailed(
            f"{what}: {reason_of(error)}; everything finished is kept: mend that and go on."
        ) from cleaned(error)


def _failures() -> tuple[type[Exception], ...]:
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return OSError, SQLAlchemyError, StorageInternalError


def reason_of(error: BaseException) -> str:
    """Why a storage failed, on one line: the innermost cause knows."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (error.strerror if isinstance(error, OSError) else "") or first_line(error)
