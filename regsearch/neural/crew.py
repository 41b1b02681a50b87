"""Who trains blocks: processes for nets that stack, threads for the rest.

A step of a small stacked net is a hundred short operations, and two threads that start them spend their time handing
Python's lock to each other; two processes do not meet. They are forked, so that they have the data and whatever the
user's script defined without a copy, and blocks stay where they were made. Convolutions are few and long: threads do
for them, as they do where nothing can be forked: on a GPU, on systems without fork, and in a program that has already
used autograd.
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
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, TypeAlias

from regsearch.neural.actives import Row
from regsearch.neural.block import Block, Packed, Segment, Stopped
from regsearch.neural.workshop import Structure, Workshop

if TYPE_CHECKING:
    import torch

Key: TypeAlias = tuple[int, int]  # cohort and fold
Call: TypeAlias = tuple[Any, ...]  # name of a method of `Hand`, its arguments
ROWS = 16  # more rows in a block gain nothing
MALLOC = {-3: 32 * 2**20, -1: 512 * 2**20, -2: 16 * 2**20}  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD


@dataclass(frozen=True)
class Done:
    """A segment, the seconds it took, and the rows of a block that memory suffices for."""

    segment: Segment
    seconds: float
    most: int


@dataclass(frozen=True)
class Trouble:
    """What went wrong with a block."""

    text: str


class Hand:
    """Makes and trains blocks in one process."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.blocks: dict[Key, Block] = {}
        self.most = ROWS

    def make(self, key: Key, structure: Structure, rows: Sequence[Row]) -> None:
        self.blocks[key] = self.workshop.block(structure, key[1], rows)

    def keep(self, key: Key, which: Sequence[int]) -> None:
        self.blocks[key].keep(which)

    def drop(self, key: Key) -> None:
        del self.blocks[key]

    def pack(self, key: Key) -> Packed:
        return self.blocks.pop(key).pack()

    def join(self, key: Key, structure: Structure, packed: Packed) -> None:
        other = self.workshop.block(structure, key[1], packed.rows)
        other.unpack(packed)
        self.blocks[key].join([other])

    def advance(self, key: Key, epochs: int, measure: bool = True) -> Done | Trouble:
        started = time.perf_counter()
        try:
            segment = self._within_memory(self.blocks[key], epochs, measure)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a module is anyone's code: its trials fail with its words
            return Trouble(f"{type(error).__name__}: {error}")
        return Done(segment, time.perf_counter() - started, self.most)

    def _within_memory(self, block: Block, epochs: int, measure: bool) -> Segment:
        """Advance a block; where memory does not suffice, in halves."""
        if len(block.rows) <= self.most:
            before = block.snapshot()
            try:
                return block.advance(epochs, measure)
            except (MemoryError, RuntimeError) as error:
                if not _out_of_memory(error) or len(block.rows) == 1:
                    raise
            block.restore(before)
            self.most = max(1, min(self.most, len(block.rows) // 2))
        halves = block.split()
        segments = [self._within_memory(half, epochs, measure) for half in halves]
        block.become(halves)
        return Segment.join(segments)


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
        self.most = ROWS
        self._homes: dict[Key, Connection | None] = {}  # where a block is; None is here
        self._others: list[Connection] | None = None
        self._processes: list[Any] = []

    def __enter__(self) -> Crew:
        import torch

        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        keep_pages()
        self._pool = ThreadPoolExecutor(self.count, initializer=one_core)
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        self.workshop.stop.set()
        for process in self._processes:
            process.kill()  # it holds nothing that is not here or lost anyway
            process.join()
        self._pool.shutdown()
        torch.set_num_threads(self._threads_before)

    # --- blocks ------------------------------------------------------------------------------------------------

    def make(self, key: Key, structure: Structure, rows: Sequence[Row]) -> None:
        """Make a block, where it then stays."""
        others = self._others_for(structure)
        self._homes[key] = others[(key[0] * len(self.workshop.setup.folds) + key[1]) % len(others)] if others else None
        self._call(key, "make", structure, rows)

    def keep(self, key: Key, which: Sequence[int]) -> None:
        """Go on with some rows of a block."""
        self._call(key, "keep", which)

    def drop(self, key: Key) -> None:
        """Forget a block."""
        self._call(key, "drop")
        del self._homes[key]

    def join(self, key: Key, other: Key, structure: Structure) -> None:
        """Join a block to another."""
        packed = self._call(other, "pack")
        del self._homes[other]
        self._call(key, "join", structure, packed)

    def advance(self, tasks: Sequence[tuple[Key, int]], measure: bool = True) -> list[Done | Trouble]:
        """Train blocks for some epochs each; what came of it, in the order of the tasks."""
        found: dict[int, Done | Trouble] = {}
        here: dict[int, Future[Done | Trouble]] = {}
        waiting: dict[Connection, list[int]] = {}
        for i, (key, epochs) in enumerate(tasks):
            home = self._homes[key]
            if home is None:
                here[i] = self._pool.submit(self.here.advance, key, epochs, measure)
            else:
                waiting.setdefault(home, []).append(i)
        for home, numbers in waiting.items():
            home.send([("advance", *tasks[i], measure) for i in numbers])
        while waiting:
            for ready in connection.wait(list(waiting)):
                assert isinstance(ready, Connection)
                found[waiting[ready].pop(0)] = _received(ready)
                if not waiting[ready]:
                    del waiting[ready]
        found |= {i: future.result() for i, future in here.items()}
        self._shrink(min([self.most, *(done.most for done in found.values() if isinstance(done, Done))]))
        return [found[i] for i in range(len(tasks))]

    def _shrink(self, most: int) -> None:
        if most < self.most:
            self.most = most
            warnings.warn(f"Memory ran out: the stack shrinks to {most} rows a block.", RuntimeWarning, stacklevel=2)

    def _call(self, key: Key, name: str, *arguments: Any) -> Any:
        home = self._homes[key]
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
            self._others = self._forked() if self.workshop.device.type == "cpu" and sys.platform == "linux" else []
        return self._others

    def _forked(self) -> list[Connection]:
        """Processes that are ready; none where autograd does not survive the fork."""
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
        ready = [one.recv() for one in mine]
        return mine if all(ready) else []


def serve(pipe: Connection, hand: Hand, others: Sequence[Connection]) -> None:
    """The life of a forked process: do what is asked, one call after another, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    for other in others:  # or the end of that process would not be seen here
        other.close()
    one_core()
    pipe.send(_autograd_works())
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


def _autograd_works() -> bool:
    """Whether gradients can be computed here: not where the parent had computed some before the fork."""
    import torch

    x = torch.ones(1, requires_grad=True)
    try:
        torch.autograd.grad(x * 2, [x])
    except RuntimeError:
        return False
    return True


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


def _out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
