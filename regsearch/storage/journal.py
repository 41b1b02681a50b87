"""Optuna's journal file, made to fit a fast search: its lock dies with its process, and it is synced once a second."""

from __future__ import annotations

import itertools
import json
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any, ClassVar

from regsearch.models.persist import write_whole
from regsearch.storage.journal_lines import CREATE_TRIAL, Line, numbered, parsed, readable
from regsearch.storage.lock import locked_file
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


class AppendedFile:
    """A file to append to, which is open for as long as this object is there; not in a process that is forked off.

    A lock is that of all who have the file open from one opening: it would outlive the process that took it.
    """

    opened: ClassVar[weakref.WeakSet[AppendedFile]] = weakref.WeakSet()

    def __init__(self, place: Path) -> None:
        number = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        self.close = weakref.finalize(self, os.close, number)
        self.file = FileIO(number, "a", closefd=False)
        self.opened.add(self)

    def is_in(self, place: Path) -> bool:
        """Whether it is open, and the file in its place: another may have been put there."""
        try:
            return self.close.alive and os.path.samestat(os.fstat(self.file.fileno()), place.stat())
        except FileNotFoundError:
            return False


def _close_forked() -> None:
    for file in list(AppendedFile.opened):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_forked)


class JournalFile:
    """Optuna's journal file, with four differences that make it fit a fast search.

    Its lock dies with its process, so that a killed study never waits for itself. The disk is told to keep what was
    written once a second, not five times a trial: what a process wrote outlives that process either way, and a power
    failure costs a second of trials at most. What belongs `together` is written at once, to a file that stays open. And
    a line that cannot be read costs that line: `lost` says which.

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
        self._end = self._trials = 0  # where the next line begins that was not read, and trials of those that were
        self._first: list[Line] = []  # of the first reading, where some were lost
        self._own: list[bytes] = []  # written here, and not read yet
        self._holds = False  # whether what is appended is written at the end of a block
        self._held: list[bytes] = []  # not written yet, and read ...
        self._ahead: list[bytes] = []  # ... but for these, the last of them
        self._known: set[int] = set()  # where lines begin that were read before they were written
        self._file: AppendedFile | None = None
        journal.touch()

    # --- read --------------------------------------------------------------------------------------------------

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Those that were not read yet, or all."""
        for line, size in self._all() if log_number_from == 0 else self._new():
            self._end += size
            if line.log is not None:
                self._trials += line.log["op_code"] == CREATE_TRIAL
                yield line.log

    def _all(self) -> Iterator[tuple[Line, int]]:
        """Whole lines, and what they take in the file: the last may still be on its way."""
        self._own, self._end, self._trials = [], 0, 0
        lines = readable(parsed(_whole_lines(self.journal)), self.name, _replayed() if self.careful else None)
        lost = [line for line in lines if line.problem]
        self.lost = tuple(f"line {line.number} of {self.journal} {line.problem}: it is left out" for line in lost)
        self._first = lines if lost else []
        return ((line, len(line.text)) for line in lines)

    def _new(self) -> Iterator[tuple[Line, int]]:
        """Those that came since; what others write may wait for the end of a block."""
        own, ahead = self._own, self._ahead
        self._own, self._ahead = [], []
        if own or not self._holds:
            yield from self._written(own)
        yield from ((line, 0) for line in parsed(ahead))

    def _written(self, own: list[bytes]) -> Iterator[tuple[Line, int]]:
        """Lines that are in the file: one's own without reading it, where nobody else wrote."""
        alone = self.journal.stat().st_size == self._end + sum(map(len, own))
        at = self._end
        for line in parsed(own if alone else _whole_lines(self.journal, at)):
            yield replace(line, log=None) if at in self._known else line, len(line.text)
            at += len(line.text)

    # --- write -------------------------------------------------------------------------------------------------

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations, each a line, whole or not at all."""
        written = numbered(logs, self._trials, self._numbers)
        lines = [json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in written]
        if self._holds and not any(log["op_code"] == CREATE_TRIAL for log in logs):
            self._held += lines
            self._ahead += lines
        else:
            self._write_held()
            self._append(lines)
            self._own += lines

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what is appended within the block at its end, at once; but for new trials, which others may number."""
        outer, self._holds = self._holds, True
        try:
            yield
        finally:
            self._holds = outer
            if not outer:
                self._write_held()

    def _write_held(self) -> None:
        """Write what is held; where Ctrl-C comes between, with what is appended next: a copy of a line is known."""
        if self._held:
            self._append(self._held, len(self._held) - len(self._ahead))
            self._held, self._ahead = [], []

    def _append(self, lines: Sequence[bytes], read: int = 0) -> None:
        """Write lines, of which so many were read."""
        if self._file is None or not self._file.is_in(self.journal):
            self._file = AppendedFile(self.journal)
        file = self._file.file
        with locked_file(file, LOCK_POLL_S):
            begun = file.seek(0, os.SEEK_END)
            places = list(itertools.accumulate(map(len, lines), initial=begun))
            self._known.update(places[:read])  # before, as Ctrl-C may come right after they were written
            try:
                _write(file, b"".join(lines), begun)
            except OSError:  # what was written was taken back: others will write there
                self._known.difference_update(places[:read])
                raise
            if read and begun == self._end:  # nobody wrote meanwhile
                self._end = places[read]
                self._known = {place for place in self._known if place >= self._end}
            if self._pace.due:
                with self._pace.telling():
                    self.before_sync()
                    os.fsync(file.fileno())

    def close(self) -> None:
        """Let go of the file; whatever is appended afterwards opens it again."""
        self._write_held()
        self._file = None

    def mend(self) -> None:
        """Write the journal without what was lost of it, the damaged one aside; a run must hold the study."""
        if self._first:
            write_whole(self.journal.with_name(DAMAGED), self.journal.read_bytes())
            write_whole(self.journal, b"".join(line.content for line in self._first if line.log is not None))
            self._end, self._first = self.journal.stat().st_size, []


def together(storage: Any) -> AbstractContextManager[None]:
    """Have an Optuna storage write what it is given within the block at once, where it is a journal."""
    journal = getattr(storage, "_backend", None)
    return journal.together() if isinstance(journal, JournalFile) else nullcontext()


def close_journal(storage: Any) -> None:
    """Let go of the file of an Optuna storage, where it is a journal."""
    journal = getattr(storage, "_backend", None)
    if isinstance(journal, JournalFile):
        journal.close()


def _write(file: FileIO, content: bytes, end: int) -> None:
    """Write at the end of a file; where the disk is full, the part that it took is taken back."""
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
