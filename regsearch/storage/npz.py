"""Numpy's file of named arrays (npz), written and read several times as fast as numpy does: there is one of each trial.

The format is numpy's: a zip archive of one ``.npy`` file an array, not compressed. Either side reads the other's. What
is written is byte for byte what `zipfile` writes of members without a time: section 4.3 of PKWARE's APPNOTE has the
records.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SUFFIX = ".npy"
# of an archive: what stands before a member, what the list of members says of it, and the end of that list
MEMBER, LISTED, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
VERSION, UNIX, DATE, MODE = 20, 3, 33, 0o600 << 16  # a date of 1980-01-01, and who may read what
UTF_8 = 0x800  # flag of a name that is not ASCII
SMALL = 2**30, 2**15  # bytes and members for which these records have room


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as one file, the same bytes for the same arrays.

    Raises
    ------
    ValueError
        When one holds objects, which only pickle could write.
    """
    members = {name + SUFFIX: _written(np.asarray(array)) for name, array in arrays.items()}
    small = sum(map(len, members.values())) < SMALL[0] and len(members) < SMALL[1]
    return _archive(members) if small else _large_archive(members)


def _written(array: NDArray[Any]) -> bytes:
    """An array as a file of its own."""
    if array.dtype.hasobject or array.dtype.names:
        content = io.BytesIO()
        npy.write_array(content, array, allow_pickle=False)
        return content.getvalue()
    by_column = array.flags.f_contiguous and not array.flags.c_contiguous
    return _header(array.dtype, array.shape, by_column) + array.tobytes("F" if by_column else "C")


@lru_cache(maxsize=256)
def _header(dtype: np.dtype[Any], shape: tuple[int, ...], by_column: bool) -> bytes:
    out = io.BytesIO()
    npy.write_array_header_1_0(out, {"descr": npy.dtype_to_descr(dtype), "fortran_order": by_column, "shape": shape})
    return out.getvalue()


def _archive(members: Mapping[str, bytes]) -> bytes:
    parts: list[bytes] = []
    listed: list[bytes] = []
    at = 0
    for name, content in members.items():
        said = name.encode()
        flags = 0 if said.isascii() else UTF_8
        shared = (VERSION, flags, 0, 0, DATE, zlib.crc32(content), len(content), len(content), len(said), 0)
        parts += (MEMBER.pack(b"PK\3\4", *shared), said, content)
        listed += (LISTED.pack(b"PK\1\2", UNIX << 8 | VERSION, *shared, 0, 0, 0, MODE, at), said)
        at += MEMBER.size + len(said) + len(content)
    end = END.pack(b"PK\5\6", 0, 0, len(members), len(members), sum(map(len, listed)), at, 0)
    return b"".join((*parts, *listed, end))


def _large_archive(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of no time
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
