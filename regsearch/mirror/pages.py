"""Where MLflow shows a study and what: kept with it, for those who ask later without opening its store."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from regsearch.cleaning import public_address
from regsearch.errors import Damaged
from regsearch.mirror import Ready, View
from regsearch.mirror.records import StudyEnd
from regsearch.mirror.view import links
from regsearch.storage.store import Store

DATABASE = "mlflow.db"
LOCAL = "http://127.0.0.1:5000"  # where `regsearch ui` serves unless asked otherwise

_PAGE = "mlflow"  # the finding that says where MLflow shows the study
_SHOWN = "mlflow_shown"  # the finding that says what it is to show there


@dataclass(frozen=True)
class Shown:
    """What MLflow is to show of a study, whether it has been reached yet or not.

    Attributes
    ----------
    store
        The address of its store without secrets, from any folder; empty for that of the study's root.
    view
        The prepared page, which only the study's space says.
    status
        How the last run ended; it is interrupted until it has.
    """

    store: str
    view: View | None
    status: StudyEnd


def keep_shown(store: Store, tracking: str, view: View | None, status: StudyEnd) -> None:
    """Remember what MLflow at an address is to show of a study, so that it can be shown without a run."""
    shown = Shown(_lasting(store, tracking), view, status)
    if shown_of(store) != shown:
        store.save_finding(_SHOWN, vars(shown) | {"view": vars(view) if view else None})


def shown_of(store: Store) -> Shown | None:
    """What MLflow is to show of a study; `None` where no run was to write to MLflow."""
    found = store.finding(_SHOWN)
    if found is None:
        return None
    return Shown(found["store"], View.from_fields(found["view"]) if found["view"] else None, found["status"])


def keep_page(store: Store, tracking: str, ready: Ready) -> None:
    """Remember where MLflow shows the study, for those who ask later without opening its store."""
    where = {"server": _server(tracking), "view": ready.view, "store": _lasting(store, tracking), "run": ready.run_id}
    if store.finding(_PAGE) != where:
        store.save_finding(_PAGE, where)


def page_links(store: Store, local: str = LOCAL) -> tuple[str, str] | None:
    """What opens a study's table and charts: on its tracking server, or on the one that `regsearch ui` runs at `local`.

    `None` where MLflow has no page of the study.
    """
    where = store.finding(_PAGE)
    return links(where["server"] or local, where["view"]) if where and where["view"] else None


def log_report(store: Store, file: Path) -> str | None:
    """Put a report in the place of the one that the study's run in MLflow has.

    Returns
    -------
    str or None
        Why it could not be; empty where it is there; `None` where MLflow has no run of the study.
    """
    where = store.finding(_PAGE)
    if where is None:
        return None
    from regsearch.mirror.replacing import replace_text

    place = where["store"] or tracking_uri(store.root)
    return replace_text(place, where["run"], "report.html", file.read_text(encoding="utf-8"))


def tracking_uri(root: Path) -> str:
    """The MLflow store of a root."""
    return f"sqlite:///{root / DATABASE}"


def has_store(root: Path) -> bool:
    """Say whether a root has an MLflow store that is whole: MLflow would make its own of what is not, or fail at it.

    Raises
    ------
    Damaged
        There is a file under the store's name that is no database.
    """
    from regsearch.mirror.creation import holds_rows

    try:
        return holds_rows(root / DATABASE)
    except sqlite3.Error as error:
        raise Damaged(f"{root / DATABASE} must be a database that can be read, but: {error}; move it away.") from error


def _lasting(store: Store, tracking: str) -> str:
    """The address of an MLflow store from any folder, without a password; empty for the root's own, which may move."""
    from regsearch.mirror.sqlite import database_path

    file = database_path(tracking)
    if file is None:
        return public_address(tracking)
    return "" if tracking == tracking_uri(store.root) else f"sqlite:///{file.absolute()}"


def _server(tracking: str) -> str:
    """The address of a tracking server, without user and password; empty for a store that is no server."""
    return public_address(tracking).rstrip("/") if tracking.startswith(("http://", "https://")) else ""
