"""Optuna's journal file, made to fit a fast search: its lock dies with its process, and it is synced once a second."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

from regsearch.models.persist import write_whole
from regsearch.storage.journal_lines import CREATE_TRIAL, Line, numbered, parsed, readable
from regsearch.storage.lock import wait_lock
from regsearch.storage.pace import Pace

KEEP_S = 1.0  # seconds between two times that the disk is told to keep what was written


DAMAGED = "journal.damaged.log"  # the journal as it was before its lines were mended
LOCK_POLL_S = 0.001  # a journal line takes about as long
BLOCK = 1 << 20  # bytes


def drop_partial_line(journal: Path) -> None:
    """Cut what a kill left of a last line, however long: appending to it would spoil the next one."""
    with journal.open("rb+") as file:
        whole = end = file.seek(0, os.SEEK_END)
        while whole > 0:
            start = max(0, whole - BLOCK)
            file.seek(start)
            found = file.read(whole - start).rfind(b"\n")
            if found >= 0:
                whole = start + found + 1
                break
            whole = start
        if whole < end:
            file.truncate(whole)


class JournalFile:
    """Optuna's journal file, with three differences that make it fit a fast search.

    Its lock dies with its process, so that a killed study never waits for itself. The disk is told to keep what was
    written once a second, not five times a trial: what a process wrote outlives that process either way, and a power
    failure costs a second of trials at most. And a line that cannot be read costs that line: `lost` says which.

    Parameters
    ----------
    name
        The study's name, for a journal whose first line is lost.
    before_sync
        Called before the disk is told to keep the journal: what a trial measured must not be kept later than the line
        that says so.
    careful
        Try every line by itself: one of the right form may still hold what Optuna cannot read.
    """

    def __init__(self, journal: Path, name: str, before_sync: Callable[[], None], careful: bool = False) -> None:
        self.journal, self.name, self.before_sync, self.careful = journal, name, before_sync, careful
        self.lost: tuple[str, ...] = ()
        self._pace = Pace(KEEP_S)
        self._numbers = itertools.count()  # each line is unlike every other, so that a copy of one is known
        self._read = self._end = self._trials = 0  # logs that were read, where the next one begins, trials they made
        self._first: list[Line] = []  # of the first reading, where some were lost
        self._own: list[bytes] = []  # written here right behind what was read, and not read yet
        journal.touch()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Those that were not read yet, or all."""
        for line in self._lines(from_start=log_number_from == 0):
            self._end += len(line.text)
            if line.log is not None:
                self._read += 1
                self._trials += line.log["op_code"] == CREATE_TRIAL
                yield line.log

    def _lines(self, from_start: bool) -> list[Line]:
        """Whole lines: the last may still be on its way."""
        own, self._own = self._own, []
        if not from_start:
            alone = self.journal.stat().st_size == self._end + sum(map(len, own))
            return parsed(own if alone else _whole_lines(self.journal, self._end))
        self._read = self._end = self._trials = 0
        lines = readable(parsed(_whole_lines(self.journal)), self.name, _replayed() if self.careful else None)
        lost = [line for line in lines if line.problem]
        self.lost = tuple(f"line {line.number} of {self.journal} {line.problem}: it is left out" for line in lost)
        self._first = lines if lost else []
        return lines

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations, each a line, whole or not at all."""
        written = numbered(logs, self._trials, self._numbers)
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in written]
        with self.journal.open("ab", buffering=0) as file:
            wait_lock(file, poll_s=LOCK_POLL_S)
            _append(file, b"".join(lines))
            self._own += lines
            if self._pace.due:
                with self._pace.telling():
                    self.before_sync()
                    os.fsync(file.fileno())

    def mend(self) -> None:
        """Write the journal without what was lost of it, the damaged one aside; a run must hold the study."""
        if self._first:
            write_whole(self.journal.with_name(DAMAGED), self.journal.read_bytes())
            write_whole(self.journal, b"".join(line.content for line in self._first if line.log is not None))
            self._end, self._first = self.journal.stat().st_size, []


def _append(file: FileIO, content: bytes) -> None:
    """Write at the end of a file; where the disk is full, the part that it took is taken back."""
    end = file.seek(0, os.SEEK_END)
    try:
        done = 0
        while done < len(content):
            done += file.write(content[done:]) or 0
    except OSError:
        file.truncate(end)
        raise


def _whole_lines(journal: Path, start: int = 0) -> list[bytes]:
    with journal.open("rb") as file:
        file.seek(start)
        return [line + b"\n" for line in file.read().split(b"\n")[:-1]]


def _replayed() -> Callable[[dict[str, Any]], None]:
    """Does what Optuna does with an operation, on a storage of its own."""
    from optuna.storages.journal._storage import JournalStorageReplayResult

    replayed = JournalStorageReplayResult("")
    return lambda log: replayed.apply_logs([log])
