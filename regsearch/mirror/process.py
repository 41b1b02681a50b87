"""The study's side of the mirror: starts the writer process, feeds it, and keeps count of its answers.

Nothing here blocks the search: `Mirror.send` puts a record on an unbounded queue, one thread writes the queue to the
writer's standard input, another reads its answers.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from regsearch.cleaning import first_line, remember_secrets
from regsearch.errors import InvalidInput
from regsearch.mirror.records import (
    Ack,
    Flush,
    Notice,
    Ready,
    Record,
    Refused,
    StoreRecord,
    StudyRecord,
    SummaryRecord,
    TrialRecord,
    decode,
)

PROGRESS_S = 0.2
HANDOVER_S = 10.0
READY_S = 30.0

Progress = Callable[["Status"], None]

# What the writer gets unless the user chose otherwise: quick to notice a dead server (the writer has its own
# retries), silent on the network, and one thread, as the cores belong to the search.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Status:
    """Where the mirror stands.

    Attributes
    ----------
    sent, mirrored, failed : int
        Trials handed over, written, and given up.
    finished : bool
        The summary is written and the parent run has ended.
    reason : str
        Why something failed, in one sentence; empty while all is well.
    notice : str
        What the user is told of the store though nothing failed; mostly empty.
    """

    sent: int = 0
    mirrored: int = 0
    failed: int = 0
    finished: bool = False
    reason: str = ""
    notice: str = ""

    @property
    def complete(self) -> bool:
        """Whether MLflow holds everything that was sent."""
        return self.mirrored == self.sent and not self.reason


class Mirror:
    """Copies one study to MLflow from a process of its own; the search neither waits for it nor fails with it.

    Leaving the ``with`` block waits for the writer to finish. Ctrl-C while waiting, or leaving the block by Ctrl-C,
    only stops the waiting: the writer has everything that was sent and finishes it in the background.

    Parameters
    ----------
    tracking_uri : str
        Any MLflow store, such as ``sqlite:////home/me/mlruns/mlflow.db`` or ``http://host:5000``.
    artifact_root : path, optional
        Folder for the artifacts of experiments that are created on a SQLite store; a server chooses its own.
    log_path : path, optional
        File that receives what MLflow and the writer have to say; by default it is dropped.
    lock_path : path, optional
        File that lets one writer at a time mirror the study: that of an earlier run may still be finishing.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: str | Path | None = None,
        log_path: str | Path | None = None,
        lock_path: str | Path | None = None,
    ) -> None:
        remember_secrets(tracking_uri)
        root, lock = (str(path) if path else None for path in (artifact_root, lock_path))
        self._store = StoreRecord(tracking_uri, root, lock)
        self._log_path = Path(log_path) if log_path else None
        self._outbox: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._sender: threading.Thread | None = None
        self._ready: Ready | None = None
        self._status = Status()
        self._open = 0  # records sent and not answered
        self._over = False  # no more answers will come

    def __enter__(self) -> Self:
        """Return the mirror itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, or leave the writer to itself after Ctrl-C."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._end_input()
        else:
            self.close()

    @property
    def status(self) -> Status:
        """Where the mirror stands now."""
        with self._changed:
            return self._status

    @property
    def pid(self) -> int | None:
        """The writer's process id, None before `start`."""
        return self._process.pid if self._process else None

    def start(self, study: StudyRecord) -> None:
        """Start the writer and let it open the study; returns at once.

        Raises
        ------
        InvalidInput
            The mirror was started before.
        """
        if self._process is not None:
            raise InvalidInput("a mirror must be started once only, but this one was; make a new one")
        try:
            self._process = self._spawn()
        except OSError as error:
            self._give_up(f"the mirror's writer process could not start: {first_line(error)}")
            return
        self._outbox.put(self._store)
        self._outbox.put(study)
        self._sender = threading.Thread(target=self._feed, name="regsearch-mirror-feed", daemon=True)
        self._sender.start()
        threading.Thread(target=self._listen, name="regsearch-mirror-listen", daemon=True).start()

    def wait_ready(self, timeout: float | None = READY_S) -> Ready | None:
        """Return the parent run and what it holds already, or None when the store did not open in `timeout` seconds.

        A silent server is tried again for as long as the study runs, so with ``timeout=None`` this may never return.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready is not None or self._over, timeout)
            return self._ready

    def send(self, trial: TrialRecord) -> None:
        """Send one trial; returns at once. Sending a mirrored trial again changes nothing."""
        self._post(trial)

    def finish(self, summary: SummaryRecord) -> None:
        """Send the summary that ends the parent run; returns at once."""
        self._post(summary)

    def drain(self, timeout: float | None = None, progress: Progress | None = None) -> Status:
        """Wait until everything sent is written or given up.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; what is not done by then goes on in the background.
        progress : callable, optional
            Called with the status a few times per second, in this thread.

        Returns
        -------
        Status
            Where the mirror stands; ``sent - mirrored - failed`` trials are still on their way.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._outbox.put(Flush())
        while True:
            left = PROGRESS_S if deadline is None else min(PROGRESS_S, deadline - time.monotonic())
            with self._changed:
                done = self._changed.wait_for(lambda: self._over or not self._open, max(left, 0.0))
                status = self._status
            if progress is not None:
                progress(status)
            if done or left <= 0.0:
                return status

    def close(self, timeout: float | None = None) -> Status:
        """End the input, wait until the writer has finished and gone (at most `timeout` seconds), and say how it went.

        A study closed without a summary shows as KILLED in MLflow until it is resumed.
        """
        self._end_input()
        if self._process is not None:
            with self._changed:
                self._changed.wait_for(lambda: self._over, timeout)
        return self.status

    def _post(self, record: TrialRecord | SummaryRecord) -> None:
        """Count a record and queue it, or count it as failed once no writer is there to take it."""
        with self._changed:
            trial = isinstance(record, TrialRecord)
            self._count(sent=int(trial))
            if self._over:
                self._count(failed=int(trial))
                return
            self._open += 1
            self._outbox.put(
                record
            )  # at once: Ctrl-C between the two would leave an answer to wait for that never comes

    def _end_input(self) -> None:
        """Send what is queued and close the writer's input; it reads ahead, so this takes no writing time."""
        self._outbox.put(None)
        if self._sender is not None:
            self._sender.join(HANDOVER_S)

    def _spawn(self) -> subprocess.Popen[str]:
        """Start the writer, out of reach of the terminal's Ctrl-C, with its chatter in the log."""
        with self._open_log() as log:
            return subprocess.Popen(
                [sys.executable, "-m", "regsearch.mirror.writer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=_environment(),
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )

    def _open_log(self) -> IO[str]:
        """Open the log for appending."""
        if self._log_path is None:
            return open(os.devnull, "a", encoding="utf-8")
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        return self._log_path.open("a", encoding="utf-8")

    def _feed(self) -> None:
        """Write the queue to the writer until the input ends or the writer is gone (the listener says why)."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stdin:
                while (record := self._outbox.get()) is not None:
                    stdin.write(record.encode())
                    if self._outbox.empty():
                        stdin.flush()
        except BrokenPipeError:
            return

    def _listen(self) -> None:
        """Take the writer's answers until it is gone, or says what is no answer; then no one shall wait for more."""
        assert self._process is not None
        assert self._process.stdout is not None
        reason = "the mirror stopped listening to its writer process"
        try:
            with self._process.stdout as stdout:
                for line in stdout:
                    self._take(decode(line))
            reason = self._ended(self._process.wait())
        except ValueError as error:  # InvalidInput of `decode`, or UnicodeDecodeError
            reason = f"the mirror's writer process did not answer with a record: {first_line(error)}"
        finally:
            self._give_up(reason)
        self._process.wait()  # a writer that is still busy is reaped when it is done

    def _ended(self, code: int) -> str:
        """Say what was wrong with the writer's end; empty when nothing was."""
        where = f"; see {self._log_path}" if self._log_path else ""
        return f"the mirror's writer process ended with code {code}{where}" if code or self._open else ""

    def _take(self, answer: Record) -> None:
        """Count one answer."""
        with self._changed:
            if isinstance(answer, Ready):
                self._ready = answer
            elif isinstance(answer, Notice):
                self._count(notice=answer.text)
            elif isinstance(answer, Refused):
                self._count(reason=answer.reason)
            elif isinstance(answer, Ack):
                self._open -= 1
                trial = answer.number is not None
                self._count(
                    mirrored=int(trial and not answer.reason),
                    failed=int(trial and bool(answer.reason)),
                    finished=not trial and not answer.reason,
                    reason=answer.reason,
                )
            self._changed.notify_all()

    def _give_up(self, reason: str) -> None:
        """Count what was never answered as failed: no more answers will come."""
        with self._changed:
            lost = self._status.sent - self._status.mirrored - self._status.failed
            self._count(failed=lost, reason=reason)
            self._open = 0
            self._over = True
            self._changed.notify_all()

    def _count(
        self,
        sent: int = 0,
        mirrored: int = 0,
        failed: int = 0,
        finished: bool = False,
        reason: str = "",
        notice: str = "",
    ) -> None:
        """Add to the status; the first reason stays, as the later ones mostly follow from it."""
        old = self._status
        self._status = Status(
            old.sent + sent,
            old.mirrored + mirrored,
            old.failed + failed,
            old.finished or finished,
            old.reason or reason,
            old.notice or notice,
        )


def _environment() -> dict[str, str]:
    """Return the writer's environment: this one, quieter, and able to find regsearch from any working directory."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **_ENVIRONMENT,
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",  # a stray mlflow.py in the working directory must not shadow the library
        "PYTHONWARNINGS": "ignore",  # a study that turns warnings into errors must not stop MLflow's import
    }
