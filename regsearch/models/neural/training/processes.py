"""Forked processes that train, and what the system needs for them.

A step of a small stacked net is a hundred short operations, and two threads that start them spend their time handing
Python's lock to each other; two processes do not meet. They are forked, so that they have the data and whatever the
user's script defined without a copy.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from regsearch.cores import available_cores
from regsearch.models.neural.training.worker import Failed, Worker

if TYPE_CHECKING:
    import torch

Call: TypeAlias = tuple[Any, ...]  # name of a method of `Worker`, its arguments
READY_S = 30.0  # a forked process that is not ready by then never will be
MALLOC = {-3: 32 * 2**20, -1: 512 * 2**20, -2: 16 * 2**20}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD


@dataclass(frozen=True)
class Forked:
    """Processes that take calls, and the pipe to each."""

    processes: Sequence[Any] = ()
    pipes: Sequence[Connection] = ()

    @classmethod
    def start(cls, worker: Worker, count: int) -> Forked:
        """Processes that are ready, each with a copy of the worker; none where training does not survive the fork."""
        context = multiprocessing.get_context("fork")
        processes: list[Any] = []
        pipes: list[Connection] = []
        made = cls(processes, pipes)
        ready = False
        try:
            for _ in range(count):
                here, there = context.Pipe()
                pipes.append(here)
                processes.append(context.Process(target=serve, args=(there, worker, list(pipes)), daemon=True))
                with warnings.catch_warnings():  # of threads, none of which holds a lock that the child takes
                    warnings.simplefilter("ignore", DeprecationWarning)
                    processes[-1].start()
                there.close()
            deadline = time.monotonic() + READY_S
            ready = all(pipe.poll(max(0.0, deadline - time.monotonic())) and receive(pipe) for pipe in pipes)
        finally:
            if not ready:
                made.kill()  # one that waits for a lock would turn round for ever
        return made if ready else cls()

    def kill(self) -> None:
        """End the processes: they hold nothing that is not known here or lost anyway."""
        for process in self.processes:
            if process.pid is not None:  # it has started
                process.kill()
                process.join()


def can_fork() -> bool:
    """Whether there can be other processes: not in a worker of a `multiprocessing.Pool`, which may have no children."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def serve(pipe: Connection, worker: Worker, others: Sequence[Connection]) -> None:
    """The life of a forked process: do what is asked, one call after another, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    for other in others:  # or the end of that process would not be seen here
        other.close()
    use_one_core()
    pipe.send(autograd_works())
    while True:
        try:
            calls: list[Call] = pipe.recv()
        except EOFError:
            os._exit(0)  # nothing of the parent's is to be finished here
        for name, *arguments in calls:
            try:
                answer = getattr(worker, name)(*arguments)
            except Exception as error:  # noqa: BLE001 - sent to the process that asked, which raises it
                answer = Failed(f"{type(error).__name__}: {error}")
            pipe.send(answer)


def receive(pipe: Connection) -> Any:
    """What a process sends.

    Raises
    ------
    RuntimeError
        When it has ended.
    """
    try:
        return pipe.recv()
    except (EOFError, OSError) as error:
        raise RuntimeError("A training process ended by itself: was it killed, or did memory run out?") from error


def call(pipe: Connection, name: str, *arguments: Any) -> Any:
    """What a method of the worker of a process returns.

    Raises
    ------
    RuntimeError
        With the words of what it raised.
    """
    pipe.send([(name, *arguments)])
    answer = receive(pipe)
    if isinstance(answer, Failed):
        raise RuntimeError(answer.message)
    return answer


def autograd_works() -> bool:
    """Whether gradients can be computed here: not where torch says that the fork broke autograd.

    It does not return where the fork left a lock of the mathematics libraries held, by another thread of the program.
    """
    import torch

    x = torch.ones(64, 64, requires_grad=True)
    try:
        torch.autograd.grad((x @ x).sum(), [x])
    except RuntimeError:
        return False
    return True


def wait_for_exit(threads: Sequence[int], wait_s: float = 10.0) -> None:
    """Wait until ended threads, by the system's numbers, have left the process.

    Python counts a thread as ended before the libraries it used have freed what they kept for it. A fork in between
    copies the locks that they hold meanwhile, and nobody is there to free them: training there would wait for ever.
    """
    deadline = time.monotonic() + wait_s
    while any(Path(f"/proc/self/task/{thread}").exists() for thread in threads) and time.monotonic() < deadline:
        time.sleep(0.0005)


def keep_freed_memory() -> None:
    """Have the C library keep what is freed: each step would else ask the system for the same pages again.

    It holds for the whole process. A C library without `mallopt` stays as it is.
    """
    allocate = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocate is not None:
        for parameter, size in MALLOC.items():
            allocate(parameter, size)


def use_one_core() -> None:
    """Make this thread use one core: torch's own threads only get into each other's way."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # weights that shrink for long would else slow a core down tenfold


def worker_count(n_jobs: int | None, device: torch.device, cores: int | None = None) -> int:
    """How many train at a time: one a core, of the machine's or of so many, unless `n_jobs` says otherwise.

    One for a GPU.
    """
    if device.type != "cpu":
        return 1
    if cores is None:
        cores = available_cores()
    if n_jobs is None:
        return cores
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)
