"""Which root a study of a storage URL lives in: the first that claims it, where the arrays of its trials lie."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regsearch.errors import RegsearchError
from regsearch.storage.database import database_of
from regsearch.storage.store import FOLDS, Store

OWNER = "regsearch_owner"  # user attribute of the Optuna study


def claim(store: Store, study: Any, storage: Any) -> None:
    """Make a store's root the one that an Optuna study of a storage URL lives in; `Store.running` must hold it.

    The lock of `Store.running` lies in the root: it says nothing of processes that run the same Optuna study from
    another root. So the first root keeps the study. Within that root, the lock has said already that the owner's
    process is gone.

    Parameters
    ----------
    study
        The Optuna study, just opened.
    storage
        Optuna's storage, in which it lies.

    Raises
    ------
    RegsearchError
        When another root owns it.
    """
    if store.url is None:
        return  # the journal lies in the root itself
    mine = {"host": socket.gethostname(), "pid": os.getpid(), "root": str(store.root.resolve())}
    owner = study.user_attrs.get(OWNER)
    if owner is None and study.get_trials(deepcopy=False):
        return  # not made by regsearch: the caller's to refuse, not ours to mark
    if owner is None:
        set_first_owner(study, storage, mine)
        owner = study.user_attrs[OWNER]
    if owner != mine and not _owned_by(store, owner):
        raise RegsearchError(
            f"A study of a storage URL can be run from one root, which holds its arrays: {store.name!r} belongs "
            f"to {owner['root']} (process {owner['pid']} on {owner['host']}), not to {store.root}; pass that "
            "root, or give this study another name."
        )
    if owner != mine:
        study.set_user_attr(OWNER, mine)


def set_first_owner(study: Any, storage: Any, mine: Mapping[str, Any]) -> None:
    """Become the owner unless another process becomes it just now: a database takes the first of two equal keys."""
    database = database_of(storage)
    if database is None:
        study.set_user_attr(OWNER, mine)  # a service that no two processes can be told apart by: the last one has it
        return
    from optuna.storages._rdb.models import StudyUserAttributeModel
    from sqlalchemy import insert
    from sqlalchemy.exc import IntegrityError

    number = storage.get_study_id_from_name(study.study_name)
    row = {"study_id": number, "key": OWNER, "value_json": json.dumps(mine)}
    try:
        with database.engine.begin() as connection:
            connection.execute(insert(StudyUserAttributeModel).values(row))
    except IntegrityError:
        pass  # another process was first


def _owned_by(store: Store, owner: Mapping[str, Any]) -> bool:
    """Whether an owner is this root: by its path here, by its files on another host or where it was moved to."""
    here = owner["host"] == socket.gethostname()
    if owner["root"] == str(store.root.resolve()):
        return here or store.artifacts.has(FOLDS)  # a container that starts again has a new host name
    return here and store.artifacts.has(FOLDS) and not Path(owner["root"], "studies", store.name).exists()
