"""The workers that train blocks: processes, and threads for modules of one's own.

A block stays where it is unless one process has too much to do. What a module of one's own does may not survive a
fork, nor fit a pipe: threads do for it, as they do where nothing can be forked: on a GPU, on systems without fork, in a
worker of a pool of processes, and where torch says that gradients do not survive the fork.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from regsearch.errors import warn
from regsearch.models.compiling import telling_of_compilation
from regsearch.models.neural import one_pass
from regsearch.models.neural.columns import RowConfig
from regsearch.models.neural.training.processes import (
    Forked,
    call,
    can_fork,
    keep_freed_memory,
    receive,
    use_one_core,
    wait_for_exit,
)
from regsearch.models.neural.training.shared import SharedParts, Structure
from regsearch.models.neural.training.worker import BlockKey, Failed, Trained, Worker

OVERHEAD = 2  # an epoch of a block takes as long as so many rows, beside its own
MIN_SAVED = 0.05  # share of the wait that moving a block must save


@dataclass(frozen=True)
class Placement:
    """The pipe to the process that has a block (None is this one), the block's structure, and how many rows it has."""

    process: Connection | None
    structure: Structure
    rows: int


class WorkerPool:
    """Workers, and who has which block; a context manager.

    Parameters
    ----------
    count
        How many train at a time.
    isolated
        Whether all work is for other processes, where there can be any: what trains here spoils forking later.

    Attributes
    ----------
    max_rows
        Rows of a block that memory suffices for.
    """

    def __init__(self, shared: SharedParts, count: int, isolated: bool = False) -> None:
        self.shared, self.count, self.isolated = shared, count, isolated
        self.local = Worker(shared)
        self.max_rows = self.local.max_rows
        self._placements: dict[BlockKey, Placement] = {}
        self._forked: Forked | None = None  # until a block is for other processes
        self._thread_ids: list[int] = []  # as the system names them

    def __enter__(self) -> WorkerPool:
        import torch

        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        keep_freed_memory()
        self._threads = ThreadPoolExecutor(self.count, initializer=self._begin_thread)
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        self.shared.stop.set()
        if self._forked is not None:
            self._forked.kill()
        self._threads.shutdown()
        wait_for_exit(self._thread_ids)
        torch.set_num_threads(self._threads_before)

    def _begin_thread(self) -> None:
        self._thread_ids.append(threading.get_native_id())
        use_one_core()

    # --- blocks ------------------------------------------------------------------------------------------------

    def make(self, key: BlockKey, structure: Structure, folds: Sequence[int], rows: Sequence[RowConfig]) -> None:
        """Make a block of rows, each on a fold."""
        with telling_of_compilation(self.shared.setup.notice):
            one_pass.prepare(structure.precision)
        inherited = self.isolated and self._forked is None
        if inherited:  # a process that is forked now has it already: a user's module need not be fit for a pipe
            self.local.make(key, structure, folds, rows)
        pipes = self._pipes(structure)
        process = pipes[key % len(pipes)] if pipes else None
        self._placements[key] = Placement(process, structure, len(rows))
        if not inherited:
            self._call(key, "make", structure, folds, rows)

    def keep(self, key: BlockKey, which: Sequence[int]) -> None:
        """Go on with some rows of a block."""
        self._placements[key] = replace(self._placements[key], rows=len(which))
        self._call(key, "keep", which)

    def drop(self, key: BlockKey) -> None:
        """Forget a block."""
        self._call(key, "drop")
        del self._placements[key]

    def join(self, key: BlockKey, other: BlockKey) -> None:
        """Join a block to another of its structure."""
        packed = self._call(other, "pack")
        host, guest = self._placements[key], self._placements.pop(other)
        self._placements[key] = replace(host, rows=host.rows + guest.rows)
        self._call(key, "join", host.structure, packed)

    def advance(self, keys: Sequence[BlockKey], epochs: int, measure: bool = True) -> list[Trained | Failed]:
        """Train blocks for some epochs; what came of each."""
        self._balance(keys)
        found: dict[int, Trained | Failed] = {}
        local: dict[int, Future[Trained | Failed]] = {}
        waiting: dict[Connection, list[int]] = {}
        for i, key in enumerate(keys):
            process = self._placements[key].process
            if process is None:
                local[i] = self._threads.submit(self.local.advance, key, epochs, measure)
            else:
                waiting.setdefault(process, []).append(i)
        for process, numbers in waiting.items():
            process.send([("advance", keys[i], epochs, measure) for i in numbers])
        while waiting:
            for ready in connection.wait(list(waiting)):
                assert isinstance(ready, Connection)
                found[waiting[ready].pop(0)] = receive(ready)
                if not waiting[ready]:
                    del waiting[ready]
        found |= {i: future.result() for i, future in local.items()}
        self._shrink(min([self.max_rows, *(one.max_rows for one in found.values() if isinstance(one, Trained))]))
        return [found[i] for i in range(len(keys))]

    def _shrink(self, max_rows: int) -> None:
        if max_rows < self.max_rows:
            self.max_rows = max_rows
            warn(f"Memory ran out: the stack shrinks to {max_rows} rows a block.", RuntimeWarning)

    def _call(self, key: BlockKey, name: str, *arguments: Any) -> Any:
        process = self._placements[key].process
        return getattr(self.local, name)(key, *arguments) if process is None else call(process, name, key, *arguments)

    # --- processes ---------------------------------------------------------------------------------------------

    def _pipes(self, structure: Structure) -> Sequence[Connection]:
        """To the processes that train a structure; none where it is trained here."""
        if not self.isolated and (self.count == 1 or not structure.module.forks):
            return ()
        if self._forked is None:
            here = self.shared.device.type != "cpu" or not can_fork()
            self._forked = Forked() if here else Forked.start(self.local, self.count)
        return self._forked.pipes

    def _balance(self, keys: Sequence[BlockKey]) -> None:
        """Move blocks from the process that has the most to do to that with the least, while it shortens the wait."""
        loads: dict[Connection, dict[BlockKey, int]] = {pipe: {} for pipe in self._forked.pipes} if self._forked else {}
        for key in keys:
            placement = self._placements[key]
            if placement.process is not None:
                loads[placement.process][key] = placement.rows + OVERHEAD
        while len(loads) > 1:
            ranked = sorted(loads, key=lambda process: sum(loads[process].values()))
            idle, busy = ranked[0], ranked[-1]
            most = sum(loads[busy].values())
            spare = most - sum(loads[idle].values())
            saved = {key: min(load, spare - load) for key, load in loads[busy].items()}
            best = max(saved, key=lambda key: saved[key], default=None)
            if best is None or saved[best] <= MIN_SAVED * most:
                return
            self._move(best, idle)
            loads[idle][best] = loads[busy].pop(best)

    def _move(self, key: BlockKey, process: Connection) -> None:
        packed = self._call(key, "pack")
        self._placements[key] = replace(self._placements[key], process=process)
        self._call(key, "unpack", self._placements[key].structure, packed)
