"""Archives of skops from anyone: how much they would become is known before anything of them is read."""

from __future__ import annotations

import io as streams
import math
from pathlib import Path
from typing import IO
from zipfile import ZipFile

from regsearch.errors import InvalidInput

MEMBERS = 20_000
SMALL = 256 << 20  # bytes that any archive may become
RATIO = 20  # times its size that a larger one may: trees and coefficients are pressed to a fifth at most
TREE_BYTES = 64 << 20
TREE = "schema.json"  # what the object is made of


def check_archive(file: Path) -> None:
    """Refuse an archive that would take far more room than it has, or whose arrays are smaller than they say.

    Raises
    ------
    InvalidInput
        When it does.
    Exception
        Of ``zipfile`` or numpy, when it is damaged.
    """
    with file.open("rb") as opened:
        _check(opened, file.stat().st_size, str(file))


def _check(archive: IO[bytes], size: int, what: str) -> None:
    with ZipFile(archive) as opened:
        members = opened.infolist()
        whole, most = sum(one.file_size for one in members), max(SMALL, RATIO * size)
        tree = max((one.file_size for one in members if one.filename == TREE), default=0)
        if len(members) > MEMBERS or whole > most or tree > TREE_BYTES:
            raise InvalidInput(
                f"{what} would unpack to {len(members)} parts of {whole >> 20} MiB in all, a model of its size has at "
                f"most {MEMBERS} and {most >> 20} MiB; it was not written by an export."
            )
        for one in members:
            if one.filename.endswith(".npy"):
                with opened.open(one) as part:
                    _check_array(part, one.file_size, f"{what}: {one.filename}")
            elif one.filename.endswith(".npz"):  # a sparse matrix
                _check(streams.BytesIO(opened.read(one)), one.file_size, f"{what}: {one.filename}")


def _check_array(part: IO[bytes], size: int, what: str) -> None:
    """Refuse an array that would be larger than its file: numpy makes room for it before it reads."""
    from numpy.lib import format as npy

    version = npy.read_magic(part)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = header(part)
    if dtype.hasobject or any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize > size:
        raise InvalidInput(f"{what} must hold an array of {dtype} and the shape {shape} as it says, and does not.")
