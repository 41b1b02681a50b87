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

from regsearch.cores import share_of_cores, thread_limits
from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import is_whole, plain
from regsearch.parallel.crew import WorkerId, Workers
from regsearch.parallel.messages import Answer, Died, Job, Message
from regsearch.parallel.process import FORK, STATUS, Hello
from regsearch.parallel.shipping import pack, write_pieces

TEMPLATE = "import sys; from regsearch.parallel.process import main; main(sys.argv[1:])"
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
        with tempfile.TemporaryFile() as file:
            processes = Processes(file, cores)
            try:
                processes.load(write_pieces(pack(job), file))
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


def _path() -> str:
    """Where this process finds modules, for another."""
    return os.pathsep.join(entry or os.getcwd() for entry in sys.path)


@dataclass(frozen=True)
class Template:
    """The process that workers are forked from; see `regsearch.parallel.process`.

    Attributes
    ----------
    requests
        What it is asked for, and answers.
    handles
        The same socket, for what goes with a request.
    """

    process: subprocess.Popen[bytes]
    requests: Connection
    handles: socket.socket

    @classmethod
    def start(cls, file: IO[bytes], cores: int) -> Template:
        """One that loads libraries, meanwhile."""
        here, there = socket.socketpair()
        with there:
            descriptors = there.fileno(), file.fileno()
            process = subprocess.Popen(
                [sys.executable, "-u", "-P", "-c", TEMPLATE, *map(str, descriptors)],
                env={**os.environ, **thread_limits(cores), "PYTHONPATH": _path()},
                pass_fds=descriptors, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        return cls(process, Connection(os.dup(here.fileno())), here)

    def load(self, sizes: tuple[int, ...]) -> None:
        """Have it load the job, meanwhile."""
        with suppress(OSError):  # it has ended, as the first worker's first message says
            self.requests.send(sizes)

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, or going: its end of the socket is closed before the system says so of the process."""
        return self.process.poll() is not None or self.requests.poll(0)  # no answer is due

    def fork(self, line: socket.socket, alive: socket.socket) -> None:
        """Fork a worker with a line to the driver, as soon as the job is loaded."""
        with suppress(OSError):  # it has ended, as the worker's first message says
            self.requests.send((FORK, 0))
            socket.send_fds(self.handles, [b" "], [line.fileno(), alive.fileno()])

    def status(self, process: int, wait_s: float) -> int | None:
        """The exit status of a worker's process that is about to end; `None` where it cannot be known."""
        with suppress(OSError, EOFError):
            self.requests.send((STATUS, process))
            if self.requests.poll(wait_s):
                found: int | None = self.requests.recv()
                return found
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            self.requests.recv()  # or the next answer would be taken for this one
        return None

    def end(self) -> None:
        """End it; workers go on."""
        self.process.kill()
        self.process.wait()
        self.requests.close()
        self.handles.close()


@dataclass
class WorkerProcess:
    """A process that a worker runs in.

    Attributes
    ----------
    line
        What it says and is told.
    alive
        It ends when this is closed.
    process
        Its number, and that of the group of processes that it starts; 0 before it has said it.
    """

    line: Connection
    alive: socket.socket
    process: int = 0


class Processes:
    """Processes that evaluate a job, which lies in a file, forked from a template."""

    def __init__(self, file: IO[bytes], cores: int) -> None:
        self.file, self.cores = file, cores
        self.sizes: tuple[int, ...] = ()
        self._running: dict[WorkerId, WorkerProcess] = {}
        self._heard: deque[tuple[WorkerId, Message]] = deque()  # and not handed on yet
        self._template = Template.start(file, cores)

    def load(self, sizes: tuple[int, ...]) -> None:
        """Take the job from the file, where it is in pieces of these sizes: libraries are loaded by now."""
        self.sizes = sizes
        self._template.load(sizes)

    def start(self, worker: WorkerId) -> None:
        if self._template.has_ended:
            self._template.end()
            self._template = Template.start(self.file, self.cores)
            self._template.load(self.sizes)
        line, its_line = socket.socketpair()
        alive, its_alive = socket.socketpair()
        with its_line, its_alive:
            self._template.fork(its_line, its_alive)
        self._running[worker] = WorkerProcess(Connection(line.detach()), alive)

    def answer(self, worker: WorkerId, answer: Answer) -> None:
        with suppress(OSError):  # it has died, as its next message says
            self._running[worker].line.send(answer)

    def messages(self, wait_s: float, of: Collection[WorkerId]) -> Iterator[tuple[WorkerId, Message]]:
        lines = {self._running[worker].line: worker for worker in of}
        if not self._heard:
            for line in wait(list(lines), wait_s):
                assert isinstance(line, Connection)
                with uninterrupted():
                    self._receive(lines[line], line)
        while self._heard:
            yield self._heard.popleft()

    def _receive(self, worker: WorkerId, line: Connection) -> None:
        try:
            message: Message | Hello = line.recv()
        except (EOFError, OSError):
            message = Died(self._what_ended(worker))
        if isinstance(message, Hello):
            self._running[worker].process = message.process
            return
        if isinstance(message, Died):
            self.kill(worker)
        self._heard.append((worker, message))

    def _what_ended(self, worker: WorkerId) -> str:
        """What a process that has closed its line came to, in words."""
        process = self._running[worker].process
        status = self._template.status(process, ENDS_S) if process else None
        if status is None:
            return "its process was not there any more"
        if status >= 0:
            return f"its process ended with status {status}"
        hint = ", as where memory runs out" if status == -signal.SIGKILL else ""
        return f"its process was ended by {signal.Signals(-status).name}{hint}"

    def interrupt(self) -> None:
        for worker in self._running.values():
            if worker.process:
                with suppress(ProcessLookupError):  # it has died, as its next message says
                    os.kill(worker.process, signal.SIGINT)

    def kill(self, worker: WorkerId) -> None:
        gone = self._running.pop(worker)
        gone.alive.close()
        gone.line.close()
        if gone.process:
            with suppress(ProcessLookupError):
                os.killpg(gone.process, signal.SIGKILL)

    def end(self) -> None:
        """End all."""
        for worker in list(self._running):
            self.kill(worker)
        self._template.end()
