"""What a study writes: Optuna's storage, which is the truth, and the arrays of each trial beside it.

::

    root/                     one folder for everything (default mlruns)
      mlflow.db, artifacts/   the mirror
      studies/NAME/
        journal.log           Optuna's journal (unless a storage URL is given)
        folds.npz             the folds
        targets.npz           what was to be predicted, weights and groups: predictions can be scored without the data
        findings/NAME.json    what an ablation or the like found
        pictures/NAME.png     what the space shows on the data, such as augmented samples
        trials/000012.npz     curves and predictions of a trial, written before Optuna calls it complete
        run.lock              held while a process runs the study
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from regsearch._types import Array, Task
from regsearch.cleaning import clean, cleaned, first_line, remember_secrets
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput, NotFound, RegsearchError
from regsearch.models.path import Curves, Trajectory
from regsearch.storage.arrays import (
    from_folds,
    from_targets,
    packed,
    to_arrays,
    to_curves,
    to_folds,
    to_predictions,
    to_targets,
    to_trajectory,
    unpacked,
)
from regsearch.storage.artifacts import Artifacts, FolderArtifacts
from regsearch.storage.journal import drop_partial_line, journal_backend
from regsearch.storage.lock import locked, try_lock

OWNER = "regsearch_owner"  # user attribute of the Optuna study
CLAIM_S = 60.0
FOLDS, TARGETS, FINDINGS, PICTURES = "folds.npz", "targets.npz", "findings", "pictures"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Store:
    """The folder of one study, and its Optuna storage.

    Parameters
    ----------
    root
        The folder that holds every study.
    name
        The study's name: letters, digits, ``.``, ``_`` and ``-``.
    url
        Optuna storage URL; by default a journal file in the study's folder.
    artifacts
        Where arrays, findings and pictures lie; by default the study's folder.

    Raises
    ------
    InvalidInput
        When the name cannot name a folder.
    """

    def __init__(
        self, root: str | os.PathLike[str], name: str, url: str | None = None, artifacts: Artifacts | None = None
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InvalidInput(
                "A study's name must be letters, digits, '.', '_' or '-' and start with a letter or digit, "
                f"got {name!r}; rename it."
            )
        remember_secrets(url)
        self.root = Path(root).expanduser().absolute()
        self.name = name
        self.url = url
        self.folder = self.root / "studies" / name
        self.artifacts: Artifacts = FolderArtifacts(self.folder) if artifacts is None else artifacts

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        InvalidInput
            When they cannot be written.
        """
        try:
            (self.folder / "trials").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise InvalidInput(
                f"The root must be a folder that can be written, got {self.root} ({error.strerror}); "
                "pass another --root."
            ) from error

    @property
    def exists(self) -> bool:
        return self.url is not None or self.journal.exists()

    @property
    def journal(self) -> Path:
        return self.folder / "journal.log"

    def optuna(self) -> Any:
        """The Optuna storage.

        Raises
        ------
        InvalidInput
            When the URL opens none.
        """
        import optuna

        if self.url is not None:
            return open_storage(self.url)
        try:
            return optuna.storages.JournalStorage(journal_backend(self.journal))
        except Exception as error:  # whatever a line that Optuna did not write leads to
            raise InvalidInput(
                f"A study's journal must be one that Optuna wrote, {self.journal} is none ({type(error).__name__}: "
                f"{first_line(error)}); move it away."
            ) from error

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the study for this process; what a killed process left half-written is mended.

        Raises
        ------
        RegsearchError
            When another process runs it.
        """
        with (self.folder / "run.lock").open("a+") as lock:
            if not try_lock(lock):
                raise RegsearchError(
                    f"A study can be run by one process at a time, {self.name!r} is being run by another; "
                    "wait for it, or give this one another name."
                )
            if self.url is None and self.journal.exists():
                drop_partial_line(self.journal)
            yield

    def claim(self, study: Any) -> None:
        """Make this root the one that an Optuna study of a storage URL lives in; `running` must hold it.

        The lock of `running` lies in the root: it says nothing of processes that run the same Optuna study from
        another root, and the arrays of the trials lie in one root only. So the first root keeps the study. Within
        that root, the lock has said already that the owner's process is gone.

        Parameters
        ----------
        study
            The Optuna study, just opened.

        Raises
        ------
        RegsearchError
            When another root owns it.
        """
        if self.url is None:
            return  # the journal lies in the root itself
        with locked(_claim_lock(self.url, self.name), CLAIM_S):  # two first runs must not both find no owner
            owner = study.user_attrs.get(OWNER)
            if owner is None and study.get_trials(deepcopy=False):
                return  # not made by regsearch: the caller's to refuse, not ours to mark
            if owner is not None and not self._owned_by(owner):
                raise RegsearchError(
                    f"A study of a storage URL can be run from one root, which holds its arrays: {self.name!r} belongs "
                    f"to {owner['root']} (process {owner['pid']} on {owner['host']}), not to {self.root}; pass that "
                    "root, or give this study another name."
                )
            mine = {"host": socket.gethostname(), "pid": os.getpid(), "root": str(self.root.resolve())}
            if owner != mine:
                study.set_user_attr(OWNER, mine)

    def _owned_by(self, owner: Mapping[str, Any]) -> bool:
        """Whether an owner is this root: by its path here, by its files on another host or where it was moved to."""
        here = owner["host"] == socket.gethostname()
        if owner["root"] == str(self.root.resolve()):
            return here or self.artifacts.has(FOLDS)  # a container that starts again has a new host name
        return here and self.artifacts.has(FOLDS) and not Path(owner["root"], "studies", self.name).exists()

    # --- trials ------------------------------------------------------------------------------------------------

    def save(self, number: int, trajectory: Trajectory, predictions: Array | None = None) -> None:
        """Write what a trial measured, whole or not at all."""
        self.artifacts.write(trial_file(number), packed(to_arrays(trajectory, predictions)))

    def trajectory(self, number: int) -> Trajectory:
        """What a trial measured along its path.

        Raises
        ------
        NotFound
            When nothing was kept of it.
        """
        with self._trial(number) as arrays:
            return to_trajectory(arrays)

    def curves(self, number: int, metric: str) -> Curves:
        """One metric of a trial along its path."""
        with self._trial(number) as arrays:
            return to_curves(arrays, metric)

    def predictions(self, number: int) -> Array | None:
        """The predictions of a trial ``[n, m]``; `None` where it has none."""
        with self._trial(number) as arrays:
            return to_predictions(arrays)

    def _trial(self, number: int) -> AbstractContextManager[Mapping[str, NDArray[Any]]]:
        try:
            return unpacked(self.artifacts.open(trial_file(number)))
        except NotFound as error:
            raise NotFound(
                f"Trial {number} of {self.name!r} has no arrays: it did not finish, or they lie elsewhere, where the "
                f"artifacts= of its script says. {error}"
            ) from error

    # --- folds, and what predictions are scored against --------------------------------------------------------

    def save_folds(self, folds: Folds) -> None:
        self.artifacts.write(FOLDS, packed(from_folds(folds)))

    def load_folds(self, name: str) -> Folds | None:
        """The folds as stored, called `name`; `None` where there are none."""
        if not self.artifacts.has(FOLDS):
            return None
        with unpacked(self.artifacts.open(FOLDS)) as arrays:
            return to_folds(arrays, name)

    def save_targets(self, problem: Problem) -> None:
        """Keep what a study predicts: values, class labels, sample weights, and which rows are of one group."""
        self.artifacts.write(TARGETS, packed(from_targets(problem)))

    def load_targets(self, task: Task) -> Problem | None:
        """A problem with the study's targets and a column of zeros for its data; `None` where none were kept."""
        if not self.artifacts.has(TARGETS):
            return None
        with unpacked(self.artifacts.open(TARGETS)) as arrays:
            return to_targets(arrays, task)

    # --- findings and pictures ---------------------------------------------------------------------------------

    def save_finding(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep what was found out about the study after its search, as JSON."""
        text = json.dumps(found, indent=1, allow_nan=False)
        self.artifacts.write(f"{FINDINGS}/{name}.json", text.encode())

    def finding(self, name: str) -> dict[str, Any] | None:
        """What was kept under a name; `None` where there is nothing."""
        file = f"{FINDINGS}/{name}.json"
        if not self.artifacts.has(file):
            return None
        with self.artifacts.open(file) as stored:
            found: dict[str, Any] = json.load(stored)
        return found

    def save_picture(self, name: str, png: bytes) -> None:
        """Keep a picture of what the space does on the data, which a report shows without them."""
        self.artifacts.write(f"{PICTURES}/{name}.png", png)

    @property
    def pictures(self) -> dict[str, bytes]:
        """The pictures that were kept, as PNG files, by name."""
        found = {}
        for file in self.artifacts.names(PICTURES):
            with self.artifacts.open(file) as stored:
                found[PurePosixPath(file).stem] = stored.read()
        return found


def trial_file(number: int) -> str:
    """The name of the arrays of a trial."""
    return f"trials/{number:06d}.npz"


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


def study_names(root: str | os.PathLike[str], url: str | None = None) -> list[str]:
    """Names of the studies under a root: those with a journal of their own, or those in an Optuna storage."""
    folders = Path(root).expanduser().glob("studies/*/")
    if url is None:
        return sorted(folder.name for folder in folders if (folder / "journal.log").exists())
    import optuna

    stored = set(optuna.get_all_study_names(open_storage(url)))
    return sorted(folder.name for folder in folders if folder.name in stored and FolderArtifacts(folder).has(FOLDS))


def _claim_lock(url: str, name: str) -> Path:
    """A lock file that this user's processes share, whatever their roots."""
    key = hashlib.sha256(f"{url}\n{name}".encode()).hexdigest()[:24]
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"regsearch-claim-{user}-{key}.lock"
