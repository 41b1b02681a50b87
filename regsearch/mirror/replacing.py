"""A text of a study's run in MLflow, written anew after the study: by who asks for it, not by the writer process."""

from __future__ import annotations

import sqlite3

from regsearch.cleaning import first_line, remember_secrets
from regsearch.mirror.creation import holds_rows
from regsearch.mirror.sqlite import database_path


def replace_text(tracking_uri: str, run_id: str, name: str, text: str) -> str:
    """Put a text in the place of a run's artifact of that name.

    Returns
    -------
    str
        Why it could not be; empty where it is there.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    remember_secrets(tracking_uri)
    database = database_path(tracking_uri)
    try:
        if database is not None and not holds_rows(database):
            return f"there is no {database}, or it is not whole"  # MLflow would make an empty one
        MlflowClient(tracking_uri).log_text(run_id, text, name)
    except (MlflowException, OSError, sqlite3.Error) as error:
        return first_line(error)
    return ""
