"""Workers in processes of this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import IO, Any

from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import is_whole, plain
from regsearch.parallel.crew import WorkerId, Workers
from regsearch.parallel.evaluation import share_of_cores, thread_limits
from regsearch.parallel.messages import Answer, Died, Job, Message
from regsearch.parallel.shipping import pack, write_pieces

ENDS_S = 5.0  # within which a process that has closed its line is gone


@dataclass(frozen=True)
class Local:
    """Workers in processes of this machine; each has its share of the cores.

    Raises
    ------
    InvalidInput
        When there cannot be so many.
    """

    workers: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "workers", plain(self.workers))
        if not is_whole(self.workers) or self.workers < 1:
            raise InvalidInput(
                f"workers must be a whole number from 1, got {said(self.workers)}; leave it out for none."
            )

    @contextmanager
    def crew(self, job: Job) -> Iterator[Processes]:
        cores = share_of_cores(self.workers)
        job = replace(job, setup=replace(job.setup, cores=cores))
        pieces = pack(job)
        with tempfile.TemporaryFile() as file:
            processes = Processes(write_pieces(pieces, file), file, cores)
            try:
                yield processes
            finally:
                processes.end()


def workers_of(workers: Any) -> Workers | None:
    """The workers that a user asks for: a number of processes here, or who runs them elsewhere; `None` for none.

    Raises
    ------
    InvalidInput
        When it is neither.
    """
    if workers is None or hasattr(workers, "crew"):
        found: Workers | None = workers
        return found
    return Local(workers)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended: half a message would be none, and all that follow it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class WorkerProcess:
    """A process that a worker runs in.

    Attributes
    ----------
    line
        What it says and is told.
    alive
        It ends when this is closed.
    """

    process: subprocess.Popen[bytes]
    line: Connection
    alive: socket.socket

    def kill(self) -> None:
        """End it, and all processes that it has started; wait until it is gone."""
        self.alive.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.line.close()


class Processes:
    """Processes that evaluate a job, which lies in a file in pieces of these sizes."""

    def __init__(self, sizes: tuple[int, ...], file: IO[bytes], cores: int) -> None:
        self.sizes, self.file, self.cores = sizes, file, cores
        self._running: dict[WorkerId, WorkerProcess] = {}
        self._heard: deque[tuple[WorkerId, Message]] = deque()  # and not handed on yet

    def start(self, worker: WorkerId) -> None:
        here, there = socket.socketpair()
        alive, end = socket.socketpair()
        with there, end:
            descriptors = there.fileno(), end.fileno(), self.file.fileno()
            process = subprocess.Popen(
                [sys.executable, "-u", "-P", "-m", "regsearch.parallel.process", *map(str, descriptors)],
                env={**os.environ, **thread_limits(self.cores), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                pass_fds=descriptors, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self._running[worker] = WorkerProcess(process, Connection(here.detach()), alive)
        self._send(worker, self.sizes)

    def answer(self, worker: WorkerId, answer: Answer) -> None:
        self._send(worker, answer)

    def _send(self, worker: WorkerId, what: Any) -> None:
        with suppress(OSError):  # it has died, as its next message says
            self._running[worker].line.send(what)

    def messages(self, wait_s: float, of: Collection[WorkerId]) -> Iterator[tuple[WorkerId, Message]]:
        lines = {self._running[worker].line: worker for worker in of}
        if not self._heard:
            for line in wait(list(lines), wait_s):
                assert isinstance(line, Connection)
                with uninterrupted():
                    self._heard.append((lines[line], self._receive(lines[line], line)))
        while self._heard:
            yield self._heard.popleft()

    def _receive(self, worker: WorkerId, line: Connection) -> Message:
        try:
            message: Message = line.recv()
        except (EOFError, OSError):
            return Died(self._bury(worker))
        if isinstance(message, Died):
            self.kill(worker)
        return message

    def interrupt(self) -> None:
        for worker in self._running.values():
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGINT)

    def kill(self, worker: WorkerId) -> None:
        self._running.pop(worker).kill()

    def end(self) -> None:
        """End all."""
        for worker in list(self._running):
            self.kill(worker)

    def _bury(self, worker: WorkerId) -> str:
        """What a process that has ended, or closed its line, came to, in words."""
        gone = self._running.pop(worker)
        try:
            code = gone.process.wait(ENDS_S)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        gone.kill()
        if code >= 0:
            return f"its process ended with status {code}"
        hint = ", as where memory runs out" if code == -signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-code).name}{hint}"
