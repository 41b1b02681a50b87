"""scikit-learn objects in files, without pickle: what is read runs nothing that is not trusted."""

from __future__ import annotations

import ctypes
import io as streams
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from regsearch.errors import InvalidInput, NotFound
from regsearch.models.archives import TREE, check_archive

# what skops leaves to its caller: a description of numbers, a loss that holds one, and steps of this package's own
# that hold nothing
TRUSTED = (
    "numpy.dtype", "scipy.sparse._csr.csr_matrix", "sklearn._loss.loss.HalfTweedieLoss",
    "regsearch.data.category_text.CategoriesToText",
    *(f"regsearch.data.column_steps.{name}" for name in ("TextOrNothing", "WordWeights", "DateParts", "level_name")),
)  # fmt: skip
PART = ".part"  # how the name of a file ends that is not whole yet
FEW = 8  # files that are kept one by one


@runtime_checkable
class Shipped(Protocol):
    """A fitted model that has files of its own; any other is written as an object of scikit-learn."""

    def ship(self, folder: Path) -> list[str]:
        """Write the files to a folder; the types that a user must trust to read them again."""
        ...


TRIES = 3  # to write a file whose beginning someone tidies away meanwhile


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all: beside its place, then moved there; what links to it goes on doing so."""
    place = file
    if not _is_usual(file):
        place = file.resolve() if file.is_symlink() else file
        if place.exists() and not place.is_file():  # a pipe or a device: there is nothing to replace
            place.write_bytes(content)
            return
    for left in reversed(range(TRIES)):
        try:
            _replace(place, content)
            return
        except FileNotFoundError:  # `remove_parts` of a run that begins just now
            if not left or not place.parent.is_dir():
                raise


def _is_usual(file: Path) -> bool:
    """Whether there is a file, or nothing at all, as is so of most: asked once, as each question takes the system."""
    try:
        return stat.S_ISREG(os.lstat(file).st_mode)
    except FileNotFoundError:
        return True


def _replace(place: Path, content: bytes) -> None:
    part = place.with_name(f".{place.name}.{os.getpid()}{PART}")
    try:
        part.write_bytes(content)
        os.replace(part, place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove, from a folder and those below it, what killed processes left of files that they were writing."""
    for part in folder.rglob(f".*{PART}"):
        part.unlink(missing_ok=True)


def sync(files: Iterable[Path]) -> None:
    """Have the disk keep files, and that they lie in their folders: both outlive a power failure then."""
    present = [file for file in files if file.exists()]
    folders = sorted({file.parent for file in present}) if os.name == "posix" else []  # Windows opens no folder
    whole = _syncfs() if len(present) > FEW else None
    for place in (*present, *folders) if whole is None else folders[:1]:
        number = os.open(place, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            (whole or os.fsync)(number)
        finally:
            os.close(number)


def _syncfs() -> Callable[[int], None] | None:
    """Has the disk keep everything that lies on it: a hundred small files take as long one by one as seconds of search.

    `None` where the system has no such call.
    """
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if sys.platform == "linux" else None
    if call is None:
        return None

    def sync_disk(number: int) -> None:
        if call(number) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    return sync_disk


def write_object(fitted: Any, file: Path) -> list[str]:
    """Write an object; the types that a user must trust to read it again.

    Raises
    ------
    InvalidInput
        When it cannot be written, or not be read again.
    """
    from skops import io

    try:
        file.write_bytes(_normalized(io.dumps(fitted)))
    except Exception as error:  # skops names no error type of its own for what it cannot write
        raise InvalidInput(f"The model cannot be written without pickle: {error}") from error
    try:
        check_archive(file)
        unknown = sorted(set(io.get_untrusted_types(file=file)) - set(TRUSTED))
        io.load(file, trusted=[*TRUSTED, *unknown])
    except Exception as error:  # what skops writes but cannot rebuild fails in the constructor of its type
        raise InvalidInput(
            f"A model must load again from what is written of it, this one does not ({type(error).__name__}: {error}); "
            "turn columns such as categories of dates into text, and define own classes in a module."
        ) from error
    return unknown


def read_object(file: Path, trusted: Sequence[str] = ()) -> Any:
    """Read an object.

    Parameters
    ----------
    trusted
        Names of types beyond scikit-learn's own that the user trusts.

    Raises
    ------
    NotFound
        When there is no file.
    InvalidInput
        When it is damaged, or holds types that are not trusted.
    """
    from skops import io

    if not file.exists():
        raise NotFound(f"A bundle has a {file.name}, {file.parent} has none; export it again.")
    try:
        check_archive(file)
        unknown = sorted(set(io.get_untrusted_types(file=file)) - {*TRUSTED, *trusted})
    except Exception as error:  # a damaged archive fails in many ways inside skops; all of them mean the same
        raise InvalidInput(f"{file} is damaged ({type(error).__name__}: {error}); export it again.") from error
    if unknown:
        raise InvalidInput(
            f"A bundle loads only types that are trusted, {file} also has {', '.join(unknown)}; "
            f"if you know them, pass trusted={unknown!r}."
        )
    try:
        return io.load(file, trusted=[*TRUSTED, *trusted])
    except ImportError as error:
        raise InvalidInput(
            f"{file} needs {error.name}, which cannot be imported here; install it, or put its file on the path."
        ) from error
    except Exception as error:  # as above
        raise InvalidInput(f"{file} is damaged ({type(error).__name__}: {error}); export it again.") from error


def _normalized(archive: bytes) -> bytes:
    """An archive of skops without the memory addresses, random names and times that it has: equal for equal objects."""
    with ZipFile(streams.BytesIO(archive)) as given:
        parts = {name: given.read(name) for name in given.namelist()}
    ids: dict[int, int] = {}
    names: dict[str, str] = {}

    def normalized(node: Any) -> Any:
        if isinstance(node, list):
            return [normalized(child) for child in node]
        if not isinstance(node, dict):
            return node
        found = {key: normalized(child) for key, child in node.items()}
        if "__id__" in node:
            found["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if node.get("file") in parts:
            found["file"] = names.setdefault(node["file"], f"{len(names) + 1}{Path(node['file']).suffix}")
        return found

    tree = json.dumps(normalized(json.loads(parts.pop(TREE))), indent=1).encode()
    rewritten = streams.BytesIO()
    with ZipFile(rewritten, "w") as made:
        for name, content in [(TREE, tree), *((new, parts[old]) for old, new in names.items())]:
            made.writestr(ZipInfo(name), content, ZIP_DEFLATED)  # of 1980, as every ZipInfo that is told nothing
    return rewritten.getvalue()
