"""Optuna's journal file, made to fit a fast search: its lock dies with its process, and it is synced once a second."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from regsearch.storage.lock import wait_lock

KEEP_S = 1.0  # seconds between two times that the disk is told to keep the journal


LOCK_POLL_S = 0.001  # a journal line takes about as long


def drop_partial_line(journal: Path) -> None:
    """Cut what a kill left of a last line: appending to it would spoil the next one."""
    with journal.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        start = max(0, end - 1_000_000)
        file.seek(start)
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)


def journal_backend(journal: Path) -> Any:
    """Optuna's journal file, with two differences that make it fit a fast search.

    Its lock dies with its process, so that a killed study never waits for itself. And the disk is told to keep what was
    written once a second, not five times a trial: what a process wrote outlives that process either way, and a power
    failure costs a second of trials at most.
    """
    from optuna.storages.journal import JournalFileBackend

    class Journal(JournalFileBackend):
        kept = 0.0

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
            with journal.open("ab") as file:
                wait_lock(file, poll_s=LOCK_POLL_S)
                file.write(lines.encode())
                file.flush()
                if time.monotonic() - self.kept > KEEP_S:
                    os.fsync(file.fileno())
                    self.kept = time.monotonic()

    return Journal(str(journal))
