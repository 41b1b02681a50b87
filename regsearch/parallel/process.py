"""The processes of workers on this machine.

The first, the template, loads libraries and the job, and is forked for each worker, so that another in the place of one
that has died is there at once. It evaluates nothing, and so has no threads and locks that a fork would break. A worker,
and all that it starts, ends with the process that the search runs in, whatever becomes of that.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType

from regsearch.errors import FOREIGN
from regsearch.parallel.evaluation import JobWorker
from regsearch.parallel.messages import Answer, Died, Job, Message
from regsearch.parallel.shipping import mapped_pieces, unpack
from regsearch.space.registry import registered

FORK, STATUS = "fork", "status"  # what a template is asked for


@dataclass(frozen=True)
class Hello:
    """A worker is there, and which process it is."""

    process: int


class PipeLine:
    """A worker's line to the driver of this machine.

    Attributes
    ----------
    interrupted
        Set by the driver's signal where nothing is evaluated just then; else `KeyboardInterrupt` is raised there.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection, self.interrupted = connection, threading.Event()
        self._talks = False

    def say(self, message: Message) -> None:
        self._talks = True
        self.connection.send(message)
        self._talks = False

    def ask(self, message: Message) -> Answer:
        self._talks = True
        self.connection.send(message)
        answer: Answer = self.connection.recv()
        self._talks = False
        return answer

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._talks:
            self.interrupted.set()
        else:
            raise KeyboardInterrupt


def main(descriptors: list[str]) -> None:
    """Be the template: fork a worker whenever the driver asks for one, until it asks for nothing any more.

    Parameters
    ----------
    descriptors
        Numbers of those that this process was started with: the driver's requests, and the file with the job.
    """
    requests, data = map(int, descriptors)
    try:
        _serve(requests, data)
    except (EOFError, ConnectionError):  # the driver wants no more
        os._exit(0)


def _serve(requests: int, data: int) -> None:
    driver, handles = Connection(requests), socket.socket(fileno=os.dup(requests))
    failed = _load_libraries()
    sizes: tuple[int, ...] = driver.recv()
    job = failed or _loaded(sizes, data)
    while True:
        what, process = driver.recv()
        if what == STATUS:
            driver.send(_status(process))
            continue
        _, (line, alive), _, _ = socket.recv_fds(handles, 1, 2)
        if isinstance(job, Job) and os.fork() == 0:
            driver.close()
            handles.close()
            work(job, line, alive)
        with Connection(line) as connection:
            if isinstance(job, Died):
                connection.send(job)
        os.close(alive)


def _load_libraries() -> Died | None:
    """Load what every job takes, while the driver still writes this one; why that cannot be, if so."""
    try:
        registered()
        import sklearn.metrics  # noqa: F401
    except FOREIGN as error:  # the driver says it
        return Died(_said(error))
    return None


def _loaded(sizes: tuple[int, ...], data: int) -> Job | Died:
    """The job, with what evaluating it takes; or why there is none."""
    try:
        job = unpack(mapped_pieces(sizes, data))
        job.space.preload()
    except FOREIGN as error:  # the driver says it
        return Died(_said(error))
    return job


def _status(process: int) -> int | None:
    """The exit status of a worker, once it has ended; `None` where another template has forked it."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    except ChildProcessError:
        return None


def work(job: Job, line: int, alive: int) -> None:
    """Be a worker, and end."""
    os.setsid()  # with what it starts, it can be ended as one
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
    driver = PipeLine(Connection(line))
    driver.connection.send(Hello(os.getpid()))
    signal.signal(signal.SIGINT, driver.on_signal)
    try:
        JobWorker(job, driver, driver.interrupted).work()
    except (KeyboardInterrupt, EOFError, ConnectionError):  # the driver wants no more
        os._exit(128 + signal.SIGINT)
    except FOREIGN as error:  # the driver says it
        driver.say(Died(_said(error)))
    os._exit(0)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _end_with(alive: int) -> None:
    """End this process, and those that it has started, when the other end of a socket is closed."""
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)
