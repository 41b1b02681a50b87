"""The writer process: reads records from standard input, writes them to MLflow, acknowledges on standard output.

Writing a trial costs tens of milliseconds of CPU, which in a thread would be taken from the search: hence a process
of its own, run as ``python -m regsearch.mirror.writer`` by `regsearch.mirror.process.Mirror`.

A store that does not answer is tried again with growing pauses, a bounded number of times; then the record is set
aside and the later ones are tried at a lower rate. The first success brings back what was set aside. On a flush, and
at the end of the input, what still cannot be written is reported as failed.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from regsearch.cleaning import CleanStream, first_line, public_address, remember_secrets, shortened
from regsearch.mirror.inbox import Inbox
from regsearch.mirror.records import (
    Ack,
    Notice,
    Record,
    Refused,
    StoreRecord,
    StudyRecord,
    SummaryRecord,
    TrialRecord,
    decode,
)
from regsearch.storage.lock import locked

if TYPE_CHECKING:
    from regsearch.mirror.runs import StudyStore

RETRY_PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0)
MAX_PAUSE_S = 15.0
LOCK_PATIENCE_S = 60.0
REASON = 160  # letters of what is quoted of a store: the log has all of it

_log = logging.getLogger(__name__)


class StoreRefused(Exception):
    """The store will not take this study, and asking again would not help."""


class StoreUnavailable(Exception):
    """The store did not answer within the bounded retries."""


class Writer:
    """Writes the records of one study as they come.

    Parameters
    ----------
    open_store : callable
        Connects to the store; called again while the store does not answer.
    study : StudyRecord
        The study to open before any trial is written.
    reply : callable
        Sends one record back to the study.
    inbox : Inbox
        What the study sends.
    """

    def __init__(
        self,
        open_store: Callable[[], StudyStore],
        study: StudyRecord,
        reply: Callable[[Record], None],
        inbox: Inbox,
    ) -> None:
        self._open_store = open_store
        self._study = study
        self._reply = reply
        self._inbox = inbox
        self._store: StudyStore | None = None
        self._postponed: list[TrialRecord | SummaryRecord] = []
        self._pause = 0.0  # seconds to wait after the next failure; 0 while the store answers
        self._last_failure = ""
        self._ended = False

    def run(self) -> None:
        """Write everything that comes until the input ends."""
        if not self._inbox.hurried:
            self._attempt(self._opened)
        for record in self._inbox:
            if isinstance(record, TrialRecord | SummaryRecord):
                self._take(record)
            else:
                self._flush()
        self._flush()
        if self._store is not None and not self._ended and not self._pause:
            self._attempt(self._store.abandon)

    def _take(self, record: TrialRecord | SummaryRecord) -> None:
        """Write one record, or set it aside while the store is silent."""
        hurried = self._inbox.hurried  # then the retries are the flush's: once for all, not for every record
        if self._pause and hurried:
            self._postponed.append(record)
        elif self._attempt(lambda: self._write(record), () if self._pause or hurried else RETRY_PAUSES_S):
            self._write_postponed()
        else:
            self._postponed.append(record)

    def _write_postponed(self) -> None:
        """Write what was set aside, as long as the store answers."""
        while self._postponed and self._attempt(lambda: self._write(self._postponed[0])):
            self._postponed.pop(0)

    def _flush(self) -> None:
        """Try a last time what was set aside, and report what is lost."""
        self._write_postponed()
        for record in self._postponed:
            if self._store is not None and isinstance(record, TrialRecord):
                self._store.give_up(record.number, self._last_failure)
            self._reply(Ack(_number(record), self._last_failure))
        self._postponed.clear()
        self._inbox.flushed()

    def _attempt(self, write: Callable[[], object], pauses: tuple[float, ...] = RETRY_PAUSES_S) -> bool:
        """Run one write with bounded retries and say whether it was answered; after a silence, wait a little longer."""
        try:
            self._retry(write, pauses)
        except StoreUnavailable as silence:
            self._last_failure = f"the MLflow store did not answer: {silence}"
            self._pause = min(2 * self._pause or 1.0, MAX_PAUSE_S)
            self._inbox.wait(self._pause)
            return False
        self._pause = 0.0
        return True

    def _retry(self, write: Callable[[], object], pauses: tuple[float, ...]) -> None:
        """Run one write until the store answers, at most once more per pause."""
        wait = time.sleep if self._inbox.hurried else self._inbox.wait  # a flush that comes meanwhile starts anew
        from regsearch.mirror.runs import is_transient

        for pause in (*pauses, None):
            try:
                write()
                return
            except Exception as error:  # each store raises its own kind; what will not pass by itself goes on up
                if not is_transient(error):
                    raise
                _log.warning("the store did not answer: %s", error)
                if pause is None:
                    raise StoreUnavailable(reason_of(innermost(error))) from error
            wait(pause)

    def _write(self, record: TrialRecord | SummaryRecord) -> None:
        """Write one record and acknowledge it; a record that the store refuses is reported and left out."""
        from regsearch.mirror.runs import is_transient

        store = self._opened()
        reason = ""
        try:
            if isinstance(record, TrialRecord):
                store.write_trial(record)
            else:
                store.finish(record)
        except Exception as error:  # the border of this process: whatever went wrong is reported to the study
            if is_transient(error):
                raise
            _log.exception("record %s was refused", _number(record))
            reason = reason_of(error)
        self._ended = isinstance(record, SummaryRecord)
        self._reply(Ack(_number(record), reason))

    def _opened(self) -> StudyStore:
        """Return the store with the study open in it."""
        if self._store is None:
            store = self._open_store()
            ready = open_study(store, self._study)
            self._store = store
            self._reply(ready)
        return self._store


def open_study(store: StudyStore, study: StudyRecord) -> Record:
    """Open the study in the store.

    Raises
    ------
    StoreRefused
        The store answered, and said no.
    """
    from mlflow.exceptions import MlflowException

    from regsearch.mirror.runs import is_transient

    try:
        return store.open(study)
    except MlflowException as error:
        if is_transient(error):
            raise
        raise StoreRefused(f"the MLflow store refused study {study.study!r}: {reason_of(error)}") from error


@contextmanager
def without_gc() -> Iterator[None]:
    """Keep the garbage collector off during MLflow's import, and what that made out of every later collection.

    The import is a quarter faster for it, and the exit half a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def connect(where: StoreRecord, reply: Callable[[Record], None]) -> StudyStore:
    """Connect to the store, and create it when it is a local file that is not there yet or was left half made.

    Raises
    ------
    StoreRefused
        MLflow is not installed, or the store cannot be used.
    """
    try:
        from regsearch.mirror import sqlite
        from regsearch.mirror.runs import StudyStore
    except ImportError as error:
        raise StoreRefused(f"the mirror needs MLflow 3 or newer: pip install mlflow ({error})") from error
    path = sqlite.database_path(where.tracking_uri)
    try:
        if path is None:
            return StudyStore(where.tracking_uri)
        sqlite.tune_connections()
        with sqlite.opening(path) as mended:
            if mended:
                reply(Notice(mended))
            root = where.artifact_root
            return StudyStore(where.tracking_uri, Path(root).absolute().as_uri() if root else None)
    except Exception as error:  # each store raises its own kind, and all of them mean the same here
        raise StoreRefused(
            f"the MLflow store {public_address(where.tracking_uri)} cannot be used: {reason_of(error)}"
        ) from error


def innermost(error: BaseException) -> BaseException:
    """What made a store silent: libraries wrap it several times, each with the whole address in its text."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def reason_of(error: BaseException) -> str:
    """Why a store failed, on one short line."""
    return (error.strerror if isinstance(error, OSError) else "") or shortened(first_line(error), REASON)


def _number(record: TrialRecord | SummaryRecord) -> int | None:
    return record.number if isinstance(record, TrialRecord) else None


def private_stdout() -> IO[str]:
    """Return the pipe to the study, and send whatever else prints to standard error, which is the log, cleaned."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr = CleanStream(sys.stderr)
    return pipe


def main() -> int:
    """Serve one study until its input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the study, which then says what to do
    pipe = private_stdout()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    where, study = decode(sys.stdin.readline()), decode(sys.stdin.readline())
    assert isinstance(where, StoreRecord)
    assert isinstance(study, StudyRecord)
    remember_secrets(where.tracking_uri)
    inbox = Inbox(sys.stdin)

    def reply(record: Record) -> None:
        try:
            pipe.write(record.encode())
        except BrokenPipeError:
            _log.info("the study is gone; finishing what it sent")

    with ExitStack() as stack:
        try:
            if where.lock is not None:
                stack.enter_context(locked(Path(where.lock), LOCK_PATIENCE_S))
            Writer(without_gc()(lambda: connect(where, reply)), study, reply, inbox).run()
        except StoreRefused as refusal:
            reply(Refused(str(refusal)))
        except TimeoutError:
            reply(Refused(f"another process is still mirroring study {study.study!r}; close it and mirror again"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
