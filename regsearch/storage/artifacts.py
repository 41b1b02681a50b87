"""Where the files of a study lie: a seam of four methods, behind which a bucket can stand as well as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from regsearch.errors import NotFound
from regsearch.models.persist import sync, write_whole
from regsearch.storage.pace import Pace


@runtime_checkable
class Artifacts(Protocol):
    """Named files: arrays, JSON and pictures. A name has slashes as a path has: ``trials/000012.npz``."""

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, whole or not at all; an earlier one of that name goes."""
        ...

    def open(self, name: str) -> BinaryIO:
        """A file to read from, at any position.

        Raises
        ------
        NotFound
            When there is none.
        """
        ...

    def has(self, name: str) -> bool: ...

    def names(self, folder: str) -> list[str]:
        """The files whose names are `folder`, a slash, and no other slash; in alphabetical order."""
        ...


class FolderArtifacts:
    """Artifacts that are files below a folder.

    Parameters
    ----------
    sync_s
        Seconds between two times that the disk is told to keep what was written, more where it is slow; by default it
        is told of each file.
    """

    def __init__(self, folder: Path, sync_s: float = 0.0) -> None:
        self.folder, self._pace = folder, Pace(sync_s)
        self._written: set[Path] = set()  # since the disk was told

    def write(self, name: str, content: bytes) -> None:
        file = self.folder / name
        try:
            write_whole(file, content)
        except (FileNotFoundError, IsADirectoryError, PermissionError):  # the last is what Windows says of a folder
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.is_dir():
                file.rmdir()  # no one's: it has a file's name, and is empty
            write_whole(file, content)
        self._written.add(file)
        if self._pace.due:
            self.sync()

    def sync(self) -> None:
        """Have the disk keep what was written."""
        with self._pace.telling():
            sync(self._written)
        self._written.clear()

    def open(self, name: str) -> BinaryIO:
        try:
            return (self.folder / name).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"There is no {name} in {self.folder}; it was not kept.") from error

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def names(self, folder: str) -> list[str]:
        files = (file for file in (self.folder / folder).glob("*") if not file.name.startswith(".") and file.is_file())
        return sorted(f"{folder}/{file.name}" for file in files)
