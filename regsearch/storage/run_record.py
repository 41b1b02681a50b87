"""What a run leaves in its study's storage for those who watch it: its limits, who runs it, and why it ended."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

RUN = "regsearch_run"  # user attribute of the Optuna study


@dataclass(frozen=True)
class RunRecord:
    """The last run of a study.

    Attributes
    ----------
    began_ms, ended_ms
        Milliseconds since the epoch; `ended_ms` is `None` while it runs, and where its process died.
    finished
        Trials of the study that were finished when it began.
    n_trials
        That the study shall have in all; `None` without such a limit.
    until_ms
        When its time is up; `None` where it is not limited.
    host, process
        Who runs it.
    stopped
        Why it ended; empty where an error ended it.
    """

    began_ms: int
    finished: int = 0
    n_trials: int | None = None
    until_ms: int | None = None
    host: str = ""
    process: int = 0
    ended_ms: int | None = None
    stopped: str = ""

    @classmethod
    def here(cls, began_ms: int, finished: int, n_trials: int | None, until_ms: int | None) -> RunRecord:
        """That of a run of this process."""
        return cls(began_ms, finished, n_trials, until_ms, socket.gethostname(), os.getpid())

    @classmethod
    def from_attribute(cls, stored: Mapping[str, Any] | None) -> RunRecord | None:
        """The record that `to_attribute` wrote; `None` where no run has left one, as of earlier versions."""
        known = {field.name for field in fields(cls)}
        return None if stored is None else cls(**{name: value for name, value in stored.items() if name in known})

    def to_attribute(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or its process is gone; of a process on another host only the former is known."""
        return self.ended_ms is not None or (self.host == socket.gethostname() and not _lives(self.process))


def _lives(process: int) -> bool:
    """Whether there is a process of that number on this machine."""
    if sys.platform == "win32":  # asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
