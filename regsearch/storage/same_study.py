"""What must be the same to go on with a stored study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regsearch.errors import StudyMismatch
from regsearch.storage.trial import Trial

# what must be equal to go on with a stored study, and what to call it; a seed changes folds too, so it comes first
MUST_MATCH = {
    "seed": "seed", "fingerprint": "data", "folds_hash": "folds", "scoring": "scoring",
    "fold_weights": "weighting of folds", "target_transform": "target transformer",
}  # fmt: skip


UNSAID = {"fold_weights": "equal", "target_transform": "none"}  # what an identity leaves out


def check_same(stored: Mapping[str, Any], identity: Mapping[str, Any], folder: Path, trials: Sequence[Trial]) -> None:
    """Refuse to go on with a stored study, which has these trials, under another identity.

    Raises
    ------
    StudyMismatch
        Naming what differs.
    """
    for key, what in MUST_MATCH.items():
        old, new = (one.get(key, UNSAID.get(key)) for one in (stored, identity))
        if old != new:
            finished = sum(trial.config is not None for trial in trials)
            lost = f", with its {finished} finished {'trial' if finished == 1 else 'trials'}" if finished else ""
            raise StudyMismatch(
                f"A stored study goes on with the same {what} only: {stored['study']!r} has {old}, got {new}; "
                f"give the new study another name, or remove {folder}{lost}."
            )
