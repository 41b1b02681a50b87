"""Arrays that lie in files: those a user has mapped, which travel by their place, and those that are written here."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.data.features import is_frame, is_sparse
from regsearch.errors import InvalidInput

FOLDERS = ("/var/tmp",)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS)


@dataclass(frozen=True)
class Place:
    """Where the numbers of an array lie in a file; `shape` and `strides` as numpy has them."""

    file: str
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Place | None:
        """The place of an array, or of a view of one, that is mapped as its file has it; `None` for others."""
        root: Any = array
        while root is not None and not (isinstance(root, np.memmap) and isinstance(root.base, mmap.mmap)):
            root = getattr(root, "base", None)
        if root is None or root.mode == "c" or not root.filename or not os.path.isfile(root.filename):
            return None
        if not array.size or min(array.strides) < 0:
            return None
        start = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        return cls(os.path.abspath(root.filename), root.offset + start, array.dtype, array.shape, array.strides)

    def open(self) -> NDArray[Any]:
        """The array, which cannot be written to."""
        last = sum((length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True))
        size = last + self.dtype.itemsize
        data = np.memmap(self.file, np.uint8, "r", offset=self.offset, shape=(size,))
        return np.ndarray(self.shape, self.dtype, data, strides=self.strides)


@dataclass(frozen=True)
class PlacedFrame:
    """A DataFrame whose numbers lie in a file."""

    place: Place
    columns: Any
    index: Any

    def open(self) -> Any:
        return frame_of(self.place.open(), self.columns, self.index)


def frame_of(values: NDArray[Any], columns: Any, index: Any = None) -> Any:
    """A DataFrame of an array ``[n, p]``, which is not copied."""
    import pandas as pd

    return pd.DataFrame(values, columns=columns, index=index, copy=False)


def placed(X: Any) -> Place | PlacedFrame | None:
    """Where X lies in a mapped file; `None` where it does not."""
    if is_sparse(X):
        return None
    if not is_frame(X):
        return Place.of(X)
    values = one_array(X)
    place = None if values is None else Place.of(values)
    return None if place is None else PlacedFrame(place, X.columns, X.index)


def one_array(X: Any) -> NDArray[Any] | None:
    """The numbers of a DataFrame that lie in one array; `None` where they do not."""
    first, *others = set(X.dtypes)
    if others or not isinstance(first, np.dtype) or first.kind not in "fiu":
        return None
    values: NDArray[Any] = X.to_numpy()
    return values if np.may_share_memory(values, X.iloc[:, 0].to_numpy()) else None


def written(blocks: Iterable[NDArray[Any]], dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Blocks of rows as one array of rows of a shape, in a file of its own that is deleted with the array.

    Raises
    ------
    InvalidInput
        When there is no room for them.
    """
    folder = scratch_folder()
    rows, name = 0, ""
    try:
        with tempfile.NamedTemporaryFile(prefix="regsearch-", suffix=".rows", dir=folder, delete=False) as file:
            name = file.name
            for block in blocks:
                file.write(np.ascontiguousarray(block, dtype).reshape(-1).view(np.uint8).data)
                rows += len(block)
        made = np.memmap(name, dtype, "r", shape=(rows, *shape)) if rows else np.empty((0, *shape), dtype)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if not isinstance(error, OSError) or error.errno not in FULL:
            raise
        raise InvalidInput(
            f"Rows must be written to a file, and {folder} takes no more ({error.strerror}); let TMPDIR name a folder "
            "with room for them."
        ) from error
    if rows:
        weakref.finalize(made, _delete, name, os.getpid())
    else:
        Path(name).unlink()
    return np.asarray(made)  # the file lasts as long as the views of it


def scratch_folder() -> str:
    """Where large files go: where TMPDIR says, else where they lie on a disk."""
    if os.environ.get("TMPDIR"):
        return tempfile.gettempdir()
    return next((folder for folder in FOLDERS if os.access(folder, os.W_OK)), tempfile.gettempdir())


def _delete(name: str, owner: int) -> None:
    """Delete a file, in the process that made it: one that was forked has no part in it."""
    if os.getpid() == owner:
        Path(name).unlink(missing_ok=True)
