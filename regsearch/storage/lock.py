"""Locks between processes on one machine, freed by the system when their holder dies."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from regsearch.errors import RegsearchError
from regsearch.storage.failures import storage_failures

POLL_S = 0.05

if sys.platform == "win32":
    import msvcrt

    def _grab(file: IO[Any]) -> None:
        _first_byte(file, msvcrt.LK_NBLCK)

    def _free(file: IO[Any]) -> None:
        _first_byte(file, msvcrt.LK_UNLCK)

    def _first_byte(file: IO[Any], how: int) -> None:
        """Windows locks from where a file stands, which is not the same for all."""
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        msvcrt.locking(file.fileno(), how, 1)
else:
    import fcntl

    def _grab(file: IO[Any]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _free(file: IO[Any]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file until it is closed or the process dies; False when another process holds it.

    Raises
    ------
    OSError
        When the file system has no locks.
    """
    try:
        _grab(file)
    except (BlockingIOError, PermissionError):  # Windows, and some network disks, say the latter of a held lock
        return False
    return True


def wait_lock(file: IO[Any], timeout_s: float | None = None, poll_s: float = POLL_S) -> None:
    """Wait for the lock of an open file; it ends when the file is closed.

    Parameters
    ----------
    file
        An open file.
    timeout_s
        Seconds to wait at most.
    poll_s
        Seconds between two tries.

    Raises
    ------
    TimeoutError
        Another process held the lock for the whole of `timeout_s` seconds.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while not try_lock(file):
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"{file.name} stayed locked by another process for {timeout_s:g} s")
        time.sleep(poll_s)


@contextmanager
def locked_file(file: IO[Any], poll_s: float = POLL_S) -> Iterator[None]:
    """Hold the lock of an open file, which stays open, while the block runs."""
    wait_lock(file, poll_s=poll_s)
    try:
        yield
    finally:
        _free(file)


@contextmanager
def locked(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock file `path` while the block runs.

    Raises
    ------
    TimeoutError
        Another process held the lock for the whole of `timeout_s` seconds.
    """
    with path.open("a", encoding="utf-8") as file:
        wait_lock(file, timeout_s)
        yield  # closing the file frees the lock


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs, without waiting for it.

    Raises
    ------
    RegsearchError
        `refusal`, when another process holds the lock.
    StorageFailed
        When the file cannot be opened.
    """
    with storage_failures(f"{path} could not be opened"):
        opened = path.open("a+", encoding="utf-8")
    with opened as file:
        if not try_lock(file):
            raise RegsearchError(refusal)
        yield  # closing the file frees the lock
