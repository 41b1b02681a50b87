"""Numpy's file of named arrays (npz), read four times as fast as numpy does: a report reads one of each trial.

The format is numpy's: a zip archive of one ``.npy`` file an array, not compressed. Either side reads the other's.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SUFFIX = ".npy"


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as one file, the same bytes for the same arrays.

    Raises
    ------
    ValueError
        When one holds objects, which only pickle could write.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            npy.write_array(content, np.asarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + SUFFIX), content.getvalue())  # of no time
    return out.getvalue()


class Unpacked(Mapping[str, NDArray[Any]]):
    """The arrays in a file, each of which is loaded when it is asked for; every error of a damaged one is possible."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(file)

    def __getitem__(self, name: str) -> NDArray[Any]:
        content = self._zip.read(name + SUFFIX)  # and its checksum
        if npy.read_magic(io.BytesIO(content)) != (1, 0):
            found: NDArray[Any] = npy.read_array(io.BytesIO(content), allow_pickle=False)
            return found
        begin = npy.MAGIC_LEN + 2 + struct.unpack_from("<H", content, npy.MAGIC_LEN)[0]
        shape, by_column, dtype = _read_header(content[npy.MAGIC_LEN : begin])
        if dtype.hasobject:
            raise ValueError("an array of objects is not read")
        return np.ndarray(shape, dtype, content, begin, order="F" if by_column else "C").copy("K")

    def __contains__(self, name: object) -> bool:
        return f"{name}{SUFFIX}" in self._zip.NameToInfo

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(SUFFIX) for name in self._zip.namelist())

    def __len__(self) -> int:
        return len(self._zip.namelist())


@lru_cache(maxsize=256)
def _read_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = npy.read_array_header_1_0(io.BytesIO(header))
    return found
