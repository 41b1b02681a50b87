"""A lock between processes on one machine, freed by the system when its holder dies."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_POLL_S = 0.05

if sys.platform == "win32":
    import msvcrt

    def _grab(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _grab(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Raises
    ------
    TimeoutError
        Another process held the lock for the whole of `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    with path.open("a", encoding="utf-8") as file:
        while True:
            try:
                _grab(file)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} stayed locked by another process for {timeout_s:g} s") from error
            time.sleep(_POLL_S)
        yield  # closing the file frees the lock
