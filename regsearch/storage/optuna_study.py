"""A study of Optuna's as regsearch keeps one: what makes it itself, opened or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.errors import StudyMismatch
from regsearch.storage.store import Store

if TYPE_CHECKING:
    import optuna
from typing import TYPE_CHECKING

from regsearch.models import estimator, linear, neural  # noqa: F401 (the kinds that stored configs name)

IDENTITY = "regsearch"


# what must be equal to go on with a stored study, and what to call it; a seed changes folds too, so it comes first
MUST_MATCH = {
    "seed": "seed", "fingerprint": "data", "folds_hash": "folds", "space_hash": "space",
    "scoring": "scoring",
}  # fmt: skip


def check_same(stored: Mapping[str, Any], identity: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with a stored study under another identity.

    Raises
    ------
    StudyMismatch
        Naming what differs.
    """
    for key, what in MUST_MATCH.items():
        if stored[key] != identity[key]:
            raise StudyMismatch(
                f"A stored study goes on with the same {what} only: {stored['study']!r} has {stored[key]}, got "
                f"{identity[key]}; give the new study another name, or remove {folder}."
            )


def open_study(store: Store, identity: Mapping[str, Any]) -> optuna.Study:
    """The Optuna study, made or found again.

    Raises
    ------
    StudyMismatch
        When it is another one.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=store.name, storage=store.optuna(), direction="maximize", load_if_exists=True
    )
    store.claim(study)
    stored = study.user_attrs.get(IDENTITY)
    if stored is not None:
        check_same(stored, identity, store.folder)
    elif study.get_trials(deepcopy=False):
        raise StudyMismatch(f"The Optuna study {store.name!r} was not made by regsearch; use another name.")
    else:
        study.set_user_attr(IDENTITY, dict(identity))
    return study
