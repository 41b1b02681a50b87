"""MLflow brought up to date from what is stored of a study: without its script, its data, or a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regsearch.cleaning import HIDDEN
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.inputs import one_name
from regsearch.mirror import View
from regsearch.mirror.address import check_address
from regsearch.mirror.content import view_of
from regsearch.mirror.pages import keep_shown, shown_of, tracking_uri
from regsearch.mirror.records import StudyEnd
from regsearch.models.base import Model
from regsearch.progress import Progress
from regsearch.results.results import Results, load_results
from regsearch.space.config import from_data
from regsearch.storage.store import Store
from regsearch.study.mirroring import MirrorFeed, MirrorOutcome, sendable


def sync(store: Store, tracking: str | None, progress: Progress) -> tuple[MirrorOutcome, str]:
    """Write to MLflow what it lacks of a stored study; what it has stays as it is.

    Parameters
    ----------
    tracking
        MLflow tracking URI; by default that of the study's last run, else the store of the study's root.

    Returns
    -------
    MirrorOutcome
        What MLflow has got.
    str
        The same in a sentence.

    Raises
    ------
    RegsearchError
        When a run has the study, or MLflow still lacks something of it.
    NotFound
        When nothing is stored of the study's trials.
    InvalidInput
        When there can be no MLflow store at its address, or secrets of it are missing.
    """
    address = _address(store, tracking)
    check_address(address)
    if not store.has_files:
        raise NotFound(
            f"MLflow gets curves that lie in the root, or where the artifacts= of a script says; {store.folder} has "
            f"none of {store.name!r}: pass its --root."
        )
    refusal = f"{store.name!r} is being run by another process, which writes it to MLflow itself; wait for it."
    with store.held(refusal):
        results = load_results(store)  # as it is now that no run changes it
        written = _write(results, address, progress)
    return written, _said(results, written)


def _write(results: Results, address: str, progress: Progress) -> MirrorOutcome:
    progress.show("MLflow: asking what it has")
    store, shown = results.store, shown_of(results.store)
    view = _view(results.identity) if shown is None else shown.view
    status: StudyEnd = ("COMPLETE" if results.complete else "INTERRUPTED") if shown is None else shown.status
    numbers = [trial.number for trial in results.all if sendable(trial)]
    outside = [trial.number for trial in results.all if trial.outside]
    feed = MirrorFeed(address, store, results.metric, numbers, outside)
    feed.start(results.identity, view)
    written = feed.complete(results, status, progress)
    progress.end(str(written) if written.status.sent else "")
    if written.status.finished and not written.missing:  # an address that does not answer is not remembered
        keep_shown(store, address, view, status)
    return written


def _said(results: Results, written: MirrorOutcome) -> str:
    """What MLflow has got, or what it lacks as an error."""
    status, trials = written.status, sum(map(sendable, results.all))
    if written.in_background:
        return f"{results.name}: {written}, the rest follows in the background."
    if written.lacking:
        lacks = written.lacking if not written.missing else f"{written.missing} of the {trials} trials"
        raise RegsearchError(
            f"MLflow is missing {lacks} of {results.name!r} ({status.reason}); nothing is lost: mend that and sync "
            "again."
        )
    said = f"{results.name}: {status.mirrored} trials written to MLflow, which has all {trials} now."
    damaged = results.counts["damaged"]
    return f"{said} Not the {damaged} damaged ones, which the next run evaluates again." if damaged else said


def _address(store: Store, tracking: str | None) -> str:
    """MLflow's address, as given or as the study remembers it."""
    if tracking is not None:
        return one_name(tracking, "--tracking", "give an MLflow tracking URI, or leave it out.")
    shown = shown_of(store)
    address = (shown.store if shown else "") or tracking_uri(store.root)
    if HIDDEN in address:
        raise InvalidInput(f"Secrets of an address are not stored, the last run used {address}; pass --tracking.")
    return address


def _view(identity: Mapping[str, Any]) -> View | None:
    """The prepared page of a study that was run without MLflow; `None` where only its script has the space."""
    try:
        space = from_data(identity["space_data"])
    except RegsearchError:
        return None
    return view_of(identity["metrics"], space) if isinstance(space, Model) else None
