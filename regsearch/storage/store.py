"""What a study writes: Optuna's storage, which is the truth, and the arrays of each trial beside it.

::

    root/                     one folder for everything (default mlruns)
      mlflow.db, artifacts/   the mirror
      studies/NAME/
        journal.log           Optuna's journal (unless a storage URL is given)
        folds.npz             the folds, and how they are averaged
        targets.npz           what was to be predicted, weights and groups: predictions can be scored without the data
        findings/NAME.json    what an ablation or the like found
        pictures/NAME.png     what the space shows on the data, such as augmented samples
        trials/000012.npz     curves and predictions of a trial, written before Optuna calls it complete
        run.lock              held while a process runs the study
        mirror.lock           held while a process writes it to MLflow
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

from numpy.typing import NDArray

from regsearch._types import Array, Task
from regsearch.cleaning import first_line, remember_secrets
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.errors import Damaged, InvalidInput, NotFound
from regsearch.inputs import counted, place
from regsearch.metrics.averaging import Averaging
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves, Trajectory
from regsearch.models.persist import remove_parts
from regsearch.storage.arrays import (
    from_folds,
    from_targets,
    to_along,
    to_arrays,
    to_averaging,
    to_curves,
    to_folds,
    to_predictions,
    to_targets,
    to_trajectory,
    unpacked,
)
from regsearch.storage.artifacts import Artifacts, FolderArtifacts
from regsearch.storage.database import open_storage, opened_storage
from regsearch.storage.failures import reason_of, storage_failures
from regsearch.storage.journal import KEEP_S, JournalFile, drop_partial_line
from regsearch.storage.lock import held
from regsearch.storage.npz import packed

Kept = TypeVar("Kept")
FOLDS, TARGETS, TRIALS, FINDINGS, PICTURES = "folds.npz", "targets.npz", "trials", "findings", "pictures"
KIND = "finding"  # the key of a finding under which its own name stands
PNG, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
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
        self.root = place(root, "root").absolute()
        self.name = name
        self.url = url
        self.folder = self.root / "studies" / name
        self._files = FolderArtifacts(self.folder, 0.0 if url is not None else KEEP_S)
        self.artifacts: Artifacts = self._files if artifacts is None else artifacts
        self.lost_lines: tuple[str, ...] = ()  # of the journal, a sentence each
        self._held = False
        self._averaging: Averaging | None = None

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        InvalidInput
            When they cannot be written.
        """
        try:
            (self.folder / TRIALS).mkdir(parents=True, exist_ok=True)
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

        if self.url is not None:
            return open_storage(self.url)
        try:
            return self._journal_storage()
        except OSError:
            raise
        except Exception as error:  # whatever a line that Optuna did not write leads to
            raise InvalidInput(
                f"A study's journal must be one that Optuna wrote, {self.journal} is none ({type(error).__name__}: "
                f"{first_line(error)}); move it away."
            ) from error

    def _journal_storage(self) -> Any:
        """Optuna's storage of the journal, whose lost lines are mended where a run holds the study."""
        from optuna.storages import JournalStorage

        backend: Any = JournalFile(self.journal, self.name, self._files.sync)
        try:
            storage = JournalStorage(backend)
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError):  # of an operation that Optuna refuses
            backend = JournalFile(self.journal, self.name, self._files.sync, careful=True)
            storage = JournalStorage(backend)
        self.lost_lines = backend.lost if not self._held else self.lost_lines + backend.lost
        if self._held:
            backend.mend()
        return storage

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the study for this process; what a killed process left half-written is mended.

        Raises
        ------
        RegsearchError
            When another process runs it.
        """
        said = f"A study can be run by one process at a time, {self.name!r} is being run by another; wait for it, or"
        with self.held(f"{said} give this one another name."):
            remove_parts(self.folder)
            if self.url is None and self.journal.exists():
                drop_partial_line(self.journal)
            self._held, self.lost_lines = True, ()
            try:
                yield
            finally:
                self._held = False

    def held(self, refusal: str) -> AbstractContextManager[None]:
        """Keep other processes from running the study; `refusal` is raised where one does."""
        return held(self.folder / "run.lock", refusal)

    # --- trials ------------------------------------------------------------------------------------------------

    def save(
        self, number: int, trajectory: Trajectory, predictions: Array | None = None, along: PathDecisions | None = None
    ) -> str:
        """Write what a trial measured, whole or not at all.

        Returns
        -------
        str
            The SHA-256 of its file.
        """
        content = packed(to_arrays(trajectory, predictions, along))
        self._write(trial_file(number), content)
        return hashlib.sha256(content).hexdigest()

    def _write(self, name: str, content: bytes) -> None:
        with storage_failures(f"{name} of study {self.name!r} could not be written"):
            self.artifacts.write(name, content)

    def check(self, number: int, sha256: str) -> None:
        """Read the file of a trial, to see that it is what was written.

        Parameters
        ----------
        sha256
            Of its file; empty where it was not kept, as by earlier versions: then its arrays must be those of a trial.

        Raises
        ------
        Damaged
            When it is not, or there is none.
        """
        name = trial_file(number)
        content = self._read(name, lambda file: file.read())
        if content is None:
            raise Damaged(f"{name} is missing")
        if not sha256:
            self._read(name, lambda file: unpacked(file, to_trajectory))
        elif hashlib.sha256(content).hexdigest() != sha256:
            raise Damaged(f"{name} is {'empty' if not content else 'not what was written'}")

    def trajectory(self, number: int) -> Trajectory:
        """What a trial measured along its path.

        Raises
        ------
        NotFound
            When nothing was kept of it.
        """
        averaging = self.averaging
        return self._trial(number, lambda arrays: to_trajectory(arrays, averaging))

    def curves(self, number: int, metric: str) -> Curves:
        """One metric of a trial along its path."""
        averaging = self.averaging
        return self._trial(number, lambda arrays: to_curves(arrays, metric, averaging))

    def predictions(self, number: int) -> Array | None:
        """The predictions of a trial ``[n, m]``; `None` where it has none."""
        return self._trial(number, to_predictions)

    def along(self, number: int) -> PathDecisions | None:
        """The decisions of a trial at other steps of its path; `None` where it has none."""
        return self._trial(number, to_along)

    def _trial(self, number: int, read: Callable[[Mapping[str, NDArray[Any]]], Kept]) -> Kept:
        found = self._read(trial_file(number), lambda file: (unpacked(file, read),))
        if found is None:
            raise NotFound(
                f"Trial {number} of {self.name!r} has no arrays: it did not finish, or they were removed, or lie "
                "elsewhere, where the artifacts= of its script says; run the study again."
            )
        return found[0]

    def _read(self, name: str, read: Callable[[BinaryIO], Kept]) -> Kept | None:
        """What is read of a file; `None` where there is none.

        Raises
        ------
        Damaged
            When it cannot be read so.
        """
        try:
            with self.artifacts.open(name) as file:
                return read(file)
        except NotFound:
            return None
        except Exception as error:  # whatever a store of the user's own raises
            said = error if isinstance(error, Damaged) else reason_of(error)
            raise Damaged(f"{name} cannot be read ({said})") from error

    # --- folds, and what predictions are scored against --------------------------------------------------------

    def save_folds(self, folds: Folds, averaging: Averaging) -> None:
        self._write(FOLDS, packed(from_folds(folds, averaging)))
        self._averaging = averaging

    @property
    def averaging(self) -> Averaging | None:
        """How the folds that are stored are averaged; `None` where there are none that can be read."""
        if self._averaging is None:
            self._averaging = self._kept(FOLDS, lambda file: unpacked(file, to_averaging))
        return self._averaging

    def load_folds(self, name: str, digest: str | None = None) -> Folds | None:
        """The folds as stored, called `name`; `None` where there are none that can be read, or others than `digest`."""
        return self._kept(FOLDS, lambda file: unpacked(file, lambda arrays: to_folds(arrays, name, digest)))

    def save_targets(self, problem: Problem) -> None:
        """Keep what a study predicts: values, class labels, sample weights, and which rows are of one group."""
        self._write(TARGETS, packed(from_targets(problem)))

    def load_targets(self, task: Task, fingerprint: str | None = None) -> Problem | None:
        """A problem with the study's targets and a column of zeros for its data.

        `None` where none can be read, or those of other data than `fingerprint` is of.
        """
        return self._kept(TARGETS, lambda file: unpacked(file, lambda arrays: to_targets(arrays, task, fingerprint)))

    # --- findings and pictures ---------------------------------------------------------------------------------

    def save_finding(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep what was found out about the study after its search, as JSON."""
        text = json.dumps({KIND: name, **found}, indent=1, allow_nan=False)
        self._write(f"{FINDINGS}/{name}.json", text.encode())

    def finding(self, name: str) -> dict[str, Any] | None:
        """What was kept under a name; `None` where there is nothing that can be read."""
        return self._kept(f"{FINDINGS}/{name}.json", lambda file: _finding(file, name))

    def save_picture(self, name: str, png: bytes) -> None:
        """Keep a picture of what the space does on the data, which a report shows without them."""
        self._write(f"{PICTURES}/{name}.png", png)

    @property
    def pictures(self) -> dict[str, bytes]:
        """The pictures that were kept and can be read, as PNG files, by name."""
        found = {PurePosixPath(file).stem: self._kept(file, _picture) for file in self.artifacts.names(PICTURES)}
        return {name: png for name, png in found.items() if png is not None}

    def _kept(self, name: str, read: Callable[[BinaryIO], Kept]) -> Kept | None:
        """What is read of a file; `None` where there is none that can be read: `damaged_files` says which."""
        try:
            return self._read(name, read)
        except Damaged:
            return None

    # --- what cannot be read -----------------------------------------------------------------------------------

    @property
    def has_files(self) -> bool:
        """Whether anything of the study lies here: its arrays may lie where the `artifacts` of its script says."""
        return self.artifacts.has(FOLDS) or self.artifacts.has(TARGETS) or bool(self.artifacts.names(TRIALS))

    def damaged_files(self, identity: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the files that are not those of trials, a sentence each."""
        readers: dict[str, Callable[[BinaryIO], Any]] = {
            FOLDS: lambda file: unpacked(file, lambda arrays: to_folds(arrays, identity["cv"], identity["folds_hash"])),
            TARGETS: lambda file: unpacked(
                file, lambda arrays: to_targets(arrays, identity["task"], identity["fingerprint"])
            ),
            **dict.fromkeys(self.artifacts.names(PICTURES), _picture),
        }
        for file in self.artifacts.names(FINDINGS):
            readers[file] = partial(_finding, name=PurePosixPath(file).stem)
        for name, read in readers.items():
            try:
                if self._read(name, read) is None:
                    yield f"{name} is missing"
            except Damaged as error:
                yield str(error)


def _finding(file: BinaryIO, name: str) -> dict[str, Any]:
    try:
        found = json.load(file)
        kind = found.pop(KIND)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged("it is no JSON of a finding") from error
    if kind != name:
        raise Damaged(f"it is the finding {str(kind)[:40]!r}")
    return dict(found)


def _picture(file: BinaryIO) -> bytes:
    if not ((png := file.read()).startswith(PNG) and png.endswith(PNG_END)):
        raise Damaged("it is no whole PNG")
    return png


def trial_file(number: int) -> str:
    """The name of the arrays of a trial."""
    return f"{TRIALS}/{counted(number, 'The number of a trial'):06d}.npz"


def study_names(root: str | os.PathLike[str], url: str | None = None) -> list[str]:
    """Names of the studies under a root: those with a journal of their own, or those in an Optuna storage."""
    folders = place(root, "root").glob("studies/*/")
    if url is None:
        return sorted(folder.name for folder in folders if (folder / "journal.log").exists())
    from optuna import get_all_study_names

    with storage_failures("The studies of the storage could not be listed"), opened_storage(url) as storage:
        stored = set(get_all_study_names(storage))
    return sorted(folder.name for folder in folders if folder.name in stored and FolderArtifacts(folder).has(FOLDS))
