"""How many trials a second one driver sustains: workers that only sleep, everything else as in any search.

    python benchmarks/scale.py
    python benchmarks/scale.py --workers 1000 --seconds 5 --no-bend
    python benchmarks/scale.py --workers 10 --seconds 0.1 --measure 2 --no-bend
    python benchmarks/scale.py --workers 1000 --seconds 5 --profile
    python benchmarks/scale.py --write

A simulated worker asks for a candidate, sleeps, and hands over an outcome that a real evaluation gave, its scores moved
a little; there is no process behind it. The driver is `Study.run` as it stands: Optuna's random sampler, the journal, a
file of arrays for each trial, and the mirror. Trials take half to one and a half of ``--seconds``, so workers offer
``workers / seconds`` trials a second. Counted is what is finished in ``--measure`` seconds, after a time for all to get
to their second trial. The *bend* is the most that can be offered of which 95 % are done, found with as many workers as
``--workers`` has at most. What a network costs is not in it; messages are packed and unpacked.

``--profile`` prints where the driver's time goes, ``--no-mirror`` keeps MLflow out, ``--write`` puts the figures into
the page of the docs. The exit status is 1 where less than 95 % are done of what 1,000 workers of 5 s offer: 200 a
second.
"""

from __future__ import annotations

from harness import one_thread

one_thread()

import argparse  # noqa: E402
import cProfile  # noqa: E402
import heapq  # noqa: E402
import itertools  # noqa: E402
import math  # noqa: E402
import pickle  # noqa: E402
import pstats  # noqa: E402
import sqlite3  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Collection, Iterator, Sequence  # noqa: E402
from contextlib import closing, contextmanager, nullcontext, suppress  # noqa: E402
from dataclasses import dataclass, field, replace  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import optuna  # noqa: E402
import psutil  # type: ignore[import-untyped]  # noqa: E402
from sklearn.datasets import load_diabetes  # noqa: E402

from regsearch import ElasticNet, Float, Linear, Study  # noqa: E402
from regsearch import Path as Along  # noqa: E402
from regsearch.models.base import Candidate, Model  # noqa: E402
from regsearch.parallel.crew import WorkerId  # noqa: E402
from regsearch.parallel.messages import Answer, Begin, Evaluated, Idle, Job, Message, Task, Wanted  # noqa: E402

WORKERS, SECONDS = (10, 100, 1000), (0.1, 1.0, 5.0)
BAR = 1000, 5.0  # workers, and seconds of a trial, that one driver must sustain
DONE = 0.95  # of what is offered, short of the bend
LAMBDAS = 100  # of a path
OUTCOMES = 8  # real ones, which simulated workers hand over in turn
MOVED = 1e-3  # by how much the scores of one differ from those of the next, relatively
LOADS = 10.0, 1000.0  # trials a second, between which the bend is looked for
STEPS = 5  # of that search
ENDLESS = 10**9  # trials
SETTLING = 100  # first candidates that a driver hands out a second, at least
MIRROR = "regsearch.mirror.writer"  # the module whose process writes to MLflow
LOOK_S = 0.25  # between two looks at the driver
TOP = 40  # lines of a profile
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "scale.md"
BLOCK = "```text\n"  # with it the figures of the page begin
HEAD = " workers  trial, s  offered    done  busy, ms  CPU, ms  mirrored"
EXPECTED = "workers  trial, s  trials a second  workers busy"
LONGER = (60.0, 600.0)  # seconds of trials that a model says enough of


# --- workers that sleep ----------------------------------------------------------------------------------------


@dataclass
class Simulated:
    """So many workers whose trials take so many seconds on average, until Ctrl-C.

    Attributes
    ----------
    settle_s, measure_s
        Seconds before what is measured, and of it.
    profile
        Takes down what the driver does while there are workers.
    waits
        Of each call for messages: when it ended, by `time.monotonic`, and for how many seconds the driver waited.
    """

    workers: int
    seconds: float
    settle_s: float
    measure_s: float
    profile: cProfile.Profile | None = None
    waits: list[tuple[float, float]] = field(default_factory=list)

    @property
    def window(self) -> tuple[float, float]:
        """When what is measured begins and ends."""
        begun = self.waits[0][0] + self.settle_s
        return begun, begun + self.measure_s

    @contextmanager
    def crew(self, job: Job) -> Iterator[Sleepers]:
        sleepers = Sleepers(self, real_outcomes(job))
        with self.profile or nullcontext():
            yield sleepers


def real_outcomes(job: Job) -> tuple[bytes, list[bytes]]:
    """What a worker would hand over of the reference, and of a few configs, in the bytes that it would send."""
    shares = np.linspace(0.1, 0.9, OUTCOMES)
    configs = [job.space.reference(), *(Linear(ElasticNet(float(share)), Along(LAMBDAS)) for share in shares)]
    candidates = [Candidate(i, config, "" if i else "reference") for i, config in enumerate(configs)]
    found = {one.number: Evaluated.of(one) for one in job.space.backend(job.setup).stream(candidates)}
    reference, *others = (pickle.dumps(found[i]) for i in range(len(configs)))
    return reference, others


class Sleepers:
    """Workers as entries of a heap: who says what, and when."""

    def __init__(self, simulated: Simulated, outcomes: tuple[bytes, list[bytes]]) -> None:
        self.simulated, (self.reference, self.others) = simulated, outcomes
        self._due: list[tuple[float, int, WorkerId, Message | Task]] = []
        self._order = itertools.count()  # of entries that are due at the same time
        self._random = np.random.default_rng(0)
        self._begun: set[WorkerId] = set()

    def start(self, worker: WorkerId) -> None:
        self._say(time.monotonic(), worker, Idle())

    def answer(self, worker: WorkerId, answer: Answer) -> None:
        now = time.monotonic()
        pickle.dumps(answer)  # as a pipe would
        if isinstance(answer, Begin):
            self._say(now, worker, Wanted())
        elif isinstance(answer, Task):
            self._say(now + self._takes(worker), worker, answer)
        else:
            self._say(now, worker, Idle())

    def _takes(self, worker: WorkerId) -> float:
        """Seconds of a trial; of a worker's first any part of one, as if the run had begun long ago."""
        first = worker not in self._begun
        self._begun.add(worker)
        low, high = (0.0, 1.0) if first else (0.5, 1.5)
        return self.simulated.seconds * float(self._random.uniform(low, high))

    def _say(self, due: float, worker: WorkerId, what: Message | Task) -> None:
        heapq.heappush(self._due, (due, next(self._order), worker, what))

    def messages(self, wait_s: float, of: Collection[WorkerId]) -> Iterator[tuple[WorkerId, Message]]:
        """What is due; nobody who says something is ever left out of `of`, as workers are not heard in turns."""
        now = time.monotonic()
        idle = max(0.0, min(self._due[0][0] - now if self._due else math.inf, wait_s))
        if idle:
            time.sleep(idle)
        woken = time.monotonic()
        self.simulated.waits.append((woken, woken - now if idle else 0.0))
        if woken >= self.simulated.window[1]:
            raise KeyboardInterrupt
        while self._due and self._due[0][0] <= woken:
            _, _, worker, what = heapq.heappop(self._due)
            if not isinstance(what, Task):
                yield worker, what
                continue
            yield worker, self._evaluated(what)
            yield worker, Wanted()

    def _evaluated(self, task: Task) -> Evaluated:
        """A real outcome under the number of a task, which no other has the scores of."""
        reference = task.role == "reference"
        found: Evaluated = pickle.loads(self.reference if reference else self.others[task.number % OUTCOMES])
        trajectory = found.parts["trajectory"]
        moved = 1 + MOVED * math.sin(task.number)
        curves = {name: replace(one, val=one.val * moved) for name, one in trajectory.curves.items()}
        return Evaluated(task.number, {**found.parts, "trajectory": replace(trajectory, curves=curves)})

    def interrupt(self) -> None:
        """Nothing: a run ends here without what is in flight."""

    def kill(self, worker: WorkerId) -> None:
        raise AssertionError(f"A simulated worker does not hang; {worker} was to be ended.")


# --- what a driver does with them ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """What one driver came to with so many workers.

    Attributes
    ----------
    done
        Trials finished a second.
    busy_s, cpu_s
        Of the driver for each: by the clock, what it did not spend waiting for workers, and of its processor.
    mirrored
        Trials a second that MLflow was written; `nan` without it.
    """

    workers: int
    seconds: float
    done: float
    busy_s: float
    cpu_s: float
    mirrored: float

    @property
    def offered(self) -> float:
        """Trials a second, were there no waiting."""
        return self.workers / self.seconds

    @property
    def bends(self) -> bool:
        """Whether too little is done of what is offered."""
        return self.done < DONE * self.offered

    def __str__(self) -> str:
        return (
            f"{self.workers:8,}{self.seconds:10.3g}{self.offered:9,.0f}{self.done:8,.0f}"
            f"{1000 * self.busy_s:10.2f}{1000 * self.cpu_s:9.2f}{self.mirrored:10,.0f}"
        )


class Watch(threading.Thread):
    """Looks now and then at what the driver has used of its processor, and at how much MLflow has been written."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database, self.ended = database, threading.Event()
        self.seen: list[tuple[float, float, int]] = []

    def run(self) -> None:
        while not self.ended.wait(LOOK_S):
            self.seen.append((time.monotonic(), time.process_time(), self._mirrored()))

    def _mirrored(self) -> int:
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as store:
            found: int = store.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()[0]
            return found
        return 0  # there is no store yet, or it is being made

    def between(self, begun: float, ended: float) -> tuple[float, float]:
        """Seconds of the processor, and trials in MLflow, that were added between two times."""
        at, used, mirrored = np.array(self.seen).T
        spent, written = (float(np.interp(ended, at, one) - np.interp(begun, at, one)) for one in (used, mirrored))
        return spent, written


@contextmanager
def watched(database: Path) -> Iterator[Watch]:
    """A watch within the block; whatever still writes to MLflow is ended after it."""
    watch = Watch(database)
    watch.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        watch.join()
        for process in psutil.Process().children():
            if MIRROR in process.cmdline():
                process.kill()
                process.wait()


def measured(
    workers: int, seconds: float, measure_s: float, mirror: bool = True, profile: cProfile.Profile | None = None
) -> Figures:
    """What a driver comes to."""
    settle_s = 1.5 * seconds + workers / SETTLING  # the first candidates are all asked for at once
    X, y = load_diabetes(return_X_y=True)
    space: Model = Linear(ElasticNet(l1_ratio=Float(0.01, 1.0)), Along(LAMBDAS))
    simulated, tracking = Simulated(workers, seconds, settle_s, measure_s, profile), None if mirror else False
    sampler = optuna.samplers.RandomSampler(seed=0)
    with tempfile.TemporaryDirectory() as root, watched(Path(root) / "mlflow.db") as watch:
        study = Study("scale", X, y, space=space, root=root, sampler=sampler, tracking=tracking, prune=False)
        apart_s = time.time() - time.monotonic()
        results = study.run(ENDLESS, workers=simulated, quiet=True)
    begun, ended = simulated.window
    at = np.array([trial.end_ms / 1000 - apart_s for trial in results.complete])
    done = max(int(((at >= begun) & (at < ended)).sum()), 1)
    idle_s = sum(waited for woken, waited in simulated.waits if begun <= woken < ended)
    cpu_s, mirrored = watch.between(begun, ended)
    return Figures(
        workers, seconds, done / measure_s, (measure_s - idle_s) / done, cpu_s / done,
        mirrored / measure_s if mirror else math.nan,
    )  # fmt: skip


def bend(workers: int, measure_s: float, mirror: bool) -> list[str]:
    """Lines on the most that can be offered a second of which `DONE` is done, and on how it was found."""
    low, high, lines = *LOADS, []
    for _ in range(STEPS):
        load = math.sqrt(low * high)
        one = measured(workers, workers / load, measure_s, mirror)
        low, high = (low, load) if one.bends else (load, high)
        lines.append(str(one))
    return [*lines, f"The bend with {workers:,} workers: {low:,.0f} trials a second.", ""]


def expected(workers: int, seconds: float, cpu_s: float) -> tuple[float, float]:
    """Trials a second of workers whose driver takes so long for each, and the share of the time that they are busy.

    A worker waits for nobody, or all wait for the driver: the bounds of a closed queue with one server.
    """
    done = min(workers / (seconds + cpu_s), 1 / cpu_s)
    return done, done * seconds / workers


def expectations(cpu_s: float) -> list[str]:
    """Lines on what is to be expected of a driver that takes so long for each trial."""
    said = f"A driver takes {1000 * cpu_s:.1f} ms of a processor for a trial. Where it has one for itself:"
    lines = [said, "", EXPECTED]
    for workers, seconds in itertools.product(WORKERS, SECONDS + LONGER):
        done, share = expected(workers, seconds, cpu_s)
        lines.append(f"{workers:7,}{seconds:10.3g}{done:17.3g}{100 * share:12.0f} %")
    return lines


# --- the command line ------------------------------------------------------------------------------------------


def rewritten(page: str, lines: Sequence[str]) -> str:
    """A page that ends with new figures."""
    return page[: page.index(BLOCK)] + BLOCK + "\n".join(line.rstrip() for line in lines) + "\n```\n"


def print_profile(workers: int, seconds: float, measure_s: float, mirror: bool) -> None:
    """Print where a driver's time goes: that of the processor, without waiting for disks and for others who run."""
    profile = cProfile.Profile(time.thread_time)
    measured(workers, seconds, measure_s, mirror, profile)
    for order in ("cumulative", "tottime"):
        pstats.Stats(profile).sort_stats(order).print_stats(TOP)


def arguments_of(words: Sequence[str] | None) -> argparse.Namespace:
    """What a command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="how many (default 10 100 1000)")
    parser.add_argument("--seconds", type=float, nargs="+", default=SECONDS, help="of a trial (default 0.1 1 5)")
    parser.add_argument("--measure", type=float, default=10.0, help="seconds that are measured (default 10)")
    parser.add_argument("--no-mirror", dest="mirror", action="store_false", help="keep MLflow out")
    parser.add_argument("--no-bend", dest="bend", action="store_false", help="do not look for the bend")
    parser.add_argument("--profile", action="store_true", help="print where the time goes, and measure nothing else")
    parser.add_argument("--write", action="store_true", help="put the figures into the page of the docs")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line names."""
    asked = arguments_of(words)
    sizes = list(itertools.product(asked.workers, asked.seconds))
    if asked.profile:
        print_profile(*sizes[-1], asked.measure, asked.mirror)
        return 0
    figures = []
    print(HEAD)
    for workers, seconds in sizes:
        figures.append(measured(workers, seconds, asked.measure, asked.mirror))
        print(figures[-1], flush=True)
    lines = [HEAD, *map(str, figures), ""]
    if asked.bend:
        lines += bend(max(asked.workers), asked.measure, asked.mirror)
    lines += expectations(statistics.median(one.cpu_s for one in figures))
    print("\n".join(lines[len(figures) + 1 :]))
    if asked.write:
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    return int(any(one.bends for one in figures if (one.workers, one.seconds) == BAR))


if __name__ == "__main__":
    sys.exit(main())
