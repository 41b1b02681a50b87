"""The Optuna storage that a URL names."""

from __future__ import annotations

from typing import Any

from regsearch.cleaning import clean, cleaned, first_line, remember_secrets
from regsearch.errors import InvalidInput


def open_storage(url: str) -> Any:
    """The Optuna storage of a URL.

    Raises
    ------
    InvalidInput
        When it opens none.
    """
    import optuna

    remember_secrets(url)
    try:
        return optuna.storages.get_storage(url)
    except Exception as error:  # noqa: BLE001 - SQLAlchemy has its own, each driver too, or there is no driver
        raise InvalidInput(
            f"storage must be a URL that Optuna can open, got {clean(url)!r} ({first_line(error)}); "
            "leave it out for a file in the root."
        ) from cleaned(error)
