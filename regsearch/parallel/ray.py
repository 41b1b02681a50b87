"""Workers on a Ray cluster: actors, each with its share of a machine's cores and GPUs."""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regsearch.cleaning import cleaned, first_line, shortened
from regsearch.cores import limit_threads
from regsearch.errors import FOREIGN, InvalidInput, NotFound, WorkersFailed
from regsearch.inputs import said
from regsearch.numeric import is_number, is_whole, plain
from regsearch.parallel.crew import WorkerId
from regsearch.parallel.evaluation import JobWorker
from regsearch.parallel.messages import Answer, Died, Doing, Evaluated, Job, Message
from regsearch.parallel.shipping import pack, unpack

LEFT_OUT = ("mlruns", ".env", ".git", ".venv", "__pycache__")  # of the folder that is sent to a cluster
DEVICES = "CUDA_VISIBLE_DEVICES"  # which GPUs a process sees
REASON = 200  # letters of why an actor is gone


@dataclass(frozen=True)
class Ray:
    """Workers on a Ray cluster; needs ``pip install "regsearch[ray]"``, there and here.

    Parameters
    ----------
    address
        Of the cluster, as `ray.init` takes it: ``auto``, ``ray://host:10001``; by default the one that this machine
        belongs to, else one that is made for the run. Where Ray is connected already, that is used.
    workers
        How many evaluate at a time, once the cluster has places for them.
    cpus, gpus
        What each of them takes; parts of a GPU are shared. One that takes no GPU sees none.

    Raises
    ------
    InvalidInput
        When one of these cannot be.

    Examples
    --------
    >>> Ray(workers=64, cpus=2, gpus=0.25)
    Ray(address=None, workers=64, cpus=2, gpus=0.25)
    """

    address: str | None = None
    workers: int = 4
    cpus: float = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        for name in ("workers", "cpus", "gpus"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if not is_whole(self.workers) or self.workers < 1:
            raise InvalidInput(f"Ray(workers=...) must be a whole number from 1, got {said(self.workers)}.")
        if not is_number(self.cpus) or self.cpus <= 0:
            raise InvalidInput(f"Ray(cpus=...) must be a positive number, got {said(self.cpus)}.")
        if not is_number(self.gpus) or self.gpus < 0:
            raise InvalidInput(f"Ray(gpus=...) must be a number from 0, got {said(self.gpus)}.")

    @contextmanager
    def crew(self, job: Job) -> Iterator[Actors]:
        try:
            import ray
        except ImportError as error:
            raise NotFound("Ray(...) needs ray, which is not installed; pip install 'regsearch[ray]'.") from error
        cores = max(1, int(self.cpus))
        pieces = pack(replace(job, setup=replace(job.setup, cores=cores)))
        with connected(self.address, job.folder):
            stored = ray.put([np.frombuffer(piece, dtype=np.uint8) for piece in pieces])
            options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_concurrency": 2, "max_restarts": 0}
            actors = Actors(stored, cores, options)
            try:
                yield actors
            finally:
                actors.end()


@contextmanager
def connected(address: str | None, folder: str) -> Iterator[None]:
    """Within the block, a connection to a cluster, to which a script's folder is sent.

    Raises
    ------
    NotFound
        When there is no cluster at the address.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    environment = {"working_dir": folder, "excludes": list(LEFT_OUT)} if folder else {}
    try:
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.WARNING)
    except Exception as error:  # noqa: BLE001 - Ray raises its own, gRPC's, the system's and plain RuntimeError, by address and cause
        raise NotFound(
            f"Ray must take what is to run on it, at {address or 'this machine'} it did not ({first_line(error)}); see "
            "that the cluster runs, and that the script's folder is small."
        ) from cleaned(error)
    try:
        yield
    finally:
        ray.shutdown()


# --- there -----------------------------------------------------------------------------------------------------


class QueueLine:
    """A worker's line to an actor that speaks for it: what it says waits until the driver asks."""

    def __init__(self) -> None:
        self.said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def say(self, message: Message) -> None:
        self.said.put(message)

    def ask(self, message: Message) -> Answer:
        self.said.put(message)
        return self.answers.get()


class WorkerActor:
    """A worker in a process of a cluster. It works in a thread, so that it can be interrupted meanwhile."""

    def __init__(self, pieces: Sequence[Any], cores: int, gpus: float) -> None:
        limit_threads(cores)
        if not gpus:  # to who asks for none, Ray shows all GPUs of a node
            os.environ[DEVICES] = ""
        self.line, self.interrupted = QueueLine(), threading.Event()
        threading.Thread(target=self._work, args=(pieces,), daemon=True).start()

    def _work(self, pieces: Sequence[Any]) -> None:
        try:
            JobWorker(unpack(pieces), self.line, self.interrupted).work()
        except FOREIGN as error:  # the driver says it
            self.line.say(Died(f"{type(error).__name__}: {error}"))

    def hear(self) -> Message:
        """What the worker says next."""
        return self.line.said.get()

    def answer(self, answer: Answer) -> Message:
        """Answer the worker; what it says next."""
        self.line.answers.put(answer)
        return self.hear()

    def interrupt(self) -> None:
        """Have it end what it evaluates."""
        self.interrupted.set()


def _why(error: BaseException) -> str:
    """Why an actor is gone, by the part of what Ray says that is of this one."""
    found = re.search(r"The actor is dead because (.*?)(?: Some common causes| *$)", " ".join(str(error).split()))
    return shortened(found[1] if found else first_line(error), REASON)


# --- here ------------------------------------------------------------------------------------------------------


@contextmanager
def lost_cluster() -> Iterator[None]:
    """Say in one sentence that the cluster is gone.

    Raises
    ------
    WorkersFailed
        In the place of what Ray raises.
    """
    import ray

    try:
        yield
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise WorkersFailed(
            f"The Ray cluster is gone ({first_line(error)}); everything finished is kept: see that it runs and go on."
        ) from cleaned(error)


class Actors:
    """Actors that evaluate a job, which lies in the object store of the cluster."""

    def __init__(self, stored: Any, cores: int, options: dict[str, Any]) -> None:
        import ray

        self.stored, self.cores, self.gpus = stored, cores, options["num_gpus"]
        self._class = ray.remote(WorkerActor).options(**options)
        self._actors: dict[WorkerId, Any] = {}
        self._awaited: dict[Any, WorkerId] = {}  # by the reference to what it says next

    def start(self, worker: WorkerId) -> None:
        self._actors[worker] = self._class.remote(self.stored, self.cores, self.gpus)
        self._listen(worker)

    def answer(self, worker: WorkerId, answer: Answer) -> None:
        self._awaited[self._actors[worker].answer.remote(answer)] = worker

    def messages(self, wait_s: float, of: Collection[WorkerId]) -> Iterator[tuple[WorkerId, Message]]:
        import ray

        those = frozenset(of)
        awaited = [reference for reference, worker in self._awaited.items() if worker in those]
        with lost_cluster():
            ready, _ = ray.wait(awaited, timeout=wait_s) if awaited else ([], [])
            ready, _ = ray.wait(awaited, num_returns=len(awaited), timeout=0) if ready else ([], [])
        for reference in ready:
            worker = self._awaited.pop(reference)
            message = self._read(reference)
            if isinstance(message, Evaluated | Doing):
                self._listen(worker)
            elif isinstance(message, Died):
                self.kill(worker)
            yield worker, message

    def _listen(self, worker: WorkerId) -> None:
        self._awaited[self._actors[worker].hear.remote()] = worker

    @staticmethod
    def _read(reference: Any) -> Message:
        import ray

        try:
            message: Message = ray.get(reference)
        except ray.exceptions.RayError as error:
            return Died(_why(error))
        return message

    def interrupt(self) -> None:
        for actor in self._actors.values():
            actor.interrupt.remote()

    def kill(self, worker: WorkerId) -> None:
        import ray

        ray.kill(self._actors.pop(worker))
        self._awaited = {reference: other for reference, other in self._awaited.items() if other != worker}

    def end(self) -> None:
        """End all; where the cluster is gone, so are they."""
        with suppress(WorkersFailed), lost_cluster():
            for worker in list(self._actors):
                self.kill(worker)
