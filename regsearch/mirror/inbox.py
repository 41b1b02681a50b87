"""The writer's inbox: everything that the study sends, read at once so that the study never has to hold it back."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import IO

from regsearch.mirror.records import Flush, Record, decode

_FLUSH = Flush().encode()

_log = logging.getLogger(__name__)


class Inbox:
    """Iterates over the records on a stream, read ahead by a thread; ends when the stream does.

    A study that is killed while it writes leaves half a record: a line that is no record ends the stream too.

    Parameters
    ----------
    lines : text stream
        One record per line.
    """

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines
        self._unread: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # lines: a record takes many times as much
        self._hurry = threading.Event()
        self._asked = 0  # flushes read so far, the end of the stream among them
        self._flushed = 0
        threading.Thread(target=self._read, name="regsearch-mirror-inbox", daemon=True).start()

    def __iter__(self) -> Iterator[Record]:
        """Yield the records in the order in which they were sent."""
        while (line := self._unread.get()) is not None:
            try:
                record = decode(line)
            except ValueError as error:  # InvalidInput
                _log.warning("the input ends with a line that is no record: %s", error)
                return
            yield record

    @property
    def hurried(self) -> bool:
        """Whether the study waits for a flush that is not done yet, so that no pause is worth its time."""
        return self._hurry.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until the study asks for a flush."""
        self._hurry.wait(seconds)

    def flushed(self) -> None:
        """Count one flush as done."""
        self._flushed += 1
        self._hurry.clear()
        if self._asked > self._flushed:  # checked after clearing, or a flush asked in between would be lost
            self._hurry.set()

    def _read(self) -> None:
        try:
            for line in self._lines:
                if line == _FLUSH:
                    self._ask()
                self._unread.put(line)
        except UnicodeDecodeError as error:
            _log.warning("the input ends with a line that is no text: %s", error)
        finally:  # whatever happens: without an end the writer would wait, and hold the study's lock, forever
            self._ask()
            self._unread.put(None)

    def _ask(self) -> None:
        self._asked += 1
        self._hurry.set()
