"""Who trains blocks: processes for nets that stack, threads for the rest.

A step of a small stacked net is a hundred short operations, and two threads that start them spend their time handing
Python's lock to each other; two processes do not meet. They are forked, so that they have the data and whatever the
user's script defined without a copy; a block stays where it is unless one process has too much to do. Convolutions are
few and long: threads do for them, as they do where nothing can be forked: on a GPU, on systems without fork, in a
worker of a pool of processes, and where torch says that gradients do not survive the fork.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from regsearch.models.neural.columns import Row
from regsearch.models.neural.training.shared import Structure, Workshop
from regsearch.models.neural.training.worker import Done, Hand, Key, Trouble

if TYPE_CHECKING:
    import torch

Call: TypeAlias = tuple[Any, ...]  # name of a method of `Hand`, its arguments
OVERHEAD = 2  # an epoch of a block takes as long as so many rows, beside its own
READY_S = 30.0  # a forked process that is not ready by then never will be
WORTH = 0.05  # share of the wait that moving a block must save
MALLOC = {-3: 32 * 2**20, -1: 512 * 2**20, -2: 16 * 2**20}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD


@dataclass(frozen=True)
class Lodging:
    """The process that has a block (None is this one), the block's structure, and how many rows it has."""

    home: Connection | None
    structure: Structure
    rows: int


class Crew:
    """Hands at work; a context manager.

    Parameters
    ----------
    count
        How many work at a time.
    apart
        Whether all work is for other processes, where there can be any: what trains here spoils forking later.
    """

    def __init__(self, workshop: Workshop, count: int, apart: bool = False) -> None:
        self.workshop, self.count, self.apart = workshop, count, apart
        self.here = Hand(workshop)
        self.most = self.here.most
        self._lodgings: dict[Key, Lodging] = {}
        self._others: list[Connection] | None = None
        self._processes: list[Any] = []
        self._threads: list[int] = []  # as the system names them

    def __enter__(self) -> Crew:
        import torch

        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        keep_pages()
        self._pool = ThreadPoolExecutor(self.count, initializer=self._begin_thread)
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        self.workshop.stop.set()
        self._end_processes()
        self._pool.shutdown()
        left(self._threads)
        torch.set_num_threads(self._threads_before)

    def _end_processes(self) -> None:
        for process in self._processes:
            process.kill()  # it holds nothing that is not here or lost anyway
            process.join()
        self._processes.clear()

    def _begin_thread(self) -> None:
        self._threads.append(threading.get_native_id())
        one_core()

    # --- blocks ------------------------------------------------------------------------------------------------

    def make(self, key: Key, structure: Structure, rows: Sequence[Row]) -> None:
        """Make a block."""
        inherited = self.apart and self._others is None
        if inherited:  # a process that is forked now has it already: a user's module need not be fit for a pipe
            self.here.make(key, structure, rows)
        others = self._others_for(structure)
        home = others[(key[0] * len(self.workshop.setup.folds) + key[1]) % len(others)] if others else None
        self._lodgings[key] = Lodging(home, structure, len(rows))
        if not inherited:
            self._call(key, "make", structure, rows)

    def keep(self, key: Key, which: Sequence[int]) -> None:
        """Go on with some rows of a block."""
        self._lodgings[key] = replace(self._lodgings[key], rows=len(which))
        self._call(key, "keep", which)

    def drop(self, key: Key) -> None:
        """Forget a block."""
        self._call(key, "drop")
        del self._lodgings[key]

    def join(self, key: Key, other: Key) -> None:
        """Join a block to another of its structure."""
        packed = self._call(other, "pack")
        host, guest = self._lodgings[key], self._lodgings.pop(other)
        self._lodgings[key] = replace(host, rows=host.rows + guest.rows)
        self._call(key, "join", host.structure, packed)

    def _share_out(self, keys: Sequence[Key]) -> None:
        """Move blocks from the process that has the most to do to that with the least, while it shortens the wait."""
        loads: dict[Connection, dict[Key, int]] = {home: {} for home in self._others or ()}
        for key in keys:
            lodging = self._lodgings[key]
            if lodging.home is not None:
                loads[lodging.home][key] = lodging.rows + OVERHEAD
        while len(loads) > 1:
            ranked = sorted(loads, key=lambda home: sum(loads[home].values()))
            idle, busy = ranked[0], ranked[-1]
            most = sum(loads[busy].values())
            spare = most - sum(loads[idle].values())
            saved = {key: min(load, spare - load) for key, load in loads[busy].items()}
            best = max(saved, key=lambda key: saved[key], default=None)
            if best is None or saved[best] <= WORTH * most:
                return
            self._move(best, idle)
            loads[idle][best] = loads[busy].pop(best)

    def _move(self, key: Key, home: Connection) -> None:
        packed = self._call(key, "pack")
        self._lodgings[key] = replace(self._lodgings[key], home=home)
        self._call(key, "unpack", self._lodgings[key].structure, packed)

    def advance(self, keys: Sequence[Key], epochs: int, measure: bool = True) -> list[Done | Trouble]:
        """Train blocks for some epochs; what came of each."""
        self._share_out(keys)
        found: dict[int, Done | Trouble] = {}
        here: dict[int, Future[Done | Trouble]] = {}
        waiting: dict[Connection, list[int]] = {}
        for i, key in enumerate(keys):
            home = self._lodgings[key].home
            if home is None:
                here[i] = self._pool.submit(self.here.advance, key, epochs, measure)
            else:
                waiting.setdefault(home, []).append(i)
        for home, numbers in waiting.items():
            home.send([("advance", keys[i], epochs, measure) for i in numbers])
        while waiting:
            for ready in connection.wait(list(waiting)):
                assert isinstance(ready, Connection)
                found[waiting[ready].pop(0)] = _received(ready)
                if not waiting[ready]:
                    del waiting[ready]
        found |= {i: future.result() for i, future in here.items()}
        self._shrink(min([self.most, *(done.most for done in found.values() if isinstance(done, Done))]))
        return [found[i] for i in range(len(keys))]

    def _shrink(self, most: int) -> None:
        if most < self.most:
            self.most = most
            warnings.warn(f"Memory ran out: the stack shrinks to {most} rows a block.", RuntimeWarning, stacklevel=2)

    def _call(self, key: Key, name: str, *arguments: Any) -> Any:
        home = self._lodgings[key].home
        if home is None:
            return getattr(self.here, name)(key, *arguments)
        home.send([(name, key, *arguments)])
        return _answer(home)

    # --- processes ---------------------------------------------------------------------------------------------

    def _others_for(self, structure: Structure) -> list[Connection]:
        """The processes that train a structure; none where it is trained here."""
        if not self.apart and (not structure.stacks or self.count == 1):
            return []
        if self._others is None:
            self._others = self._forked() if self.workshop.device.type == "cpu" and can_fork() else []
        return self._others

    def _forked(self) -> list[Connection]:
        """Processes that are ready; none where training does not survive the fork."""
        context = multiprocessing.get_context("fork")
        mine: list[Connection] = []
        for _ in range(self.count):
            one, other = context.Pipe()
            process = context.Process(target=serve, args=(other, self.here, [*mine, one]), daemon=True)
            with warnings.catch_warnings():  # of threads, none of which holds a lock that the child takes
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            other.close()
            mine.append(one)
            self._processes.append(process)
        deadline = time.monotonic() + READY_S
        ready = [one.poll(max(0.0, deadline - time.monotonic())) and _received(one) for one in mine]
        if all(ready):
            return mine
        self._end_processes()  # one that waits for a lock would turn round for ever
        return []


def serve(pipe: Connection, hand: Hand, others: Sequence[Connection]) -> None:
    """The life of a forked process: do what is asked, one call after another, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    for other in others:  # or the end of that process would not be seen here
        other.close()
    one_core()
    pipe.send(_can_train())
    while True:
        try:
            calls: list[Call] = pipe.recv()
        except EOFError:
            os._exit(0)  # nothing of the parent's is to be finished here
        for name, *arguments in calls:
            try:
                answer = getattr(hand, name)(*arguments)
            except Exception as error:  # noqa: BLE001 - told to the process that asked, which raises it
                answer = Trouble(f"{type(error).__name__}: {error}")
            pipe.send(answer)


def _received(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except (EOFError, OSError) as error:
        raise RuntimeError("A training process ended by itself: was it killed, or did memory run out?") from error


def _answer(pipe: Connection) -> Any:
    answer = _received(pipe)
    if isinstance(answer, Trouble):
        raise RuntimeError(answer.text)
    return answer


def _can_train() -> bool:
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


def left(threads: Sequence[int], wait_s: float = 10.0) -> None:
    """Wait until ended threads have left the process.

    Python counts a thread as ended before the libraries it used have freed what they kept for it. A fork in between
    copies the locks that they hold meanwhile, and nobody is there to free them: training there would wait for ever.
    """
    deadline = time.monotonic() + wait_s
    while any(Path(f"/proc/self/task/{thread}").exists() for thread in threads) and time.monotonic() < deadline:
        time.sleep(0.0005)


def can_fork() -> bool:
    """Whether there can be other processes: not in a worker of a `multiprocessing.Pool`, which may have no children."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def keep_pages() -> None:
    """Have the C library keep what is freed: each step would else ask the system for the same pages again.

    It holds for the whole process. A C library without `mallopt` stays as it is.
    """
    allocate = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocate is not None:
        for parameter, size in MALLOC.items():
            allocate(parameter, size)


def one_core() -> None:
    """Make this thread use one core: torch's own threads only get into each other's way."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # weights that shrink for long would else slow a core down tenfold


def workers(n_jobs: int | None, device: torch.device) -> int:
    """How many train at a time: one a core unless told otherwise; one for a GPU."""
    if device.type != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_jobs is None:
        return cores
    return n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs)
