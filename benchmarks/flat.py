"""Whether a study stays flat: what the 10,000th trial costs over the first, in time, in memory and on the disk.

    python benchmarks/flat.py [WORD ...] [--trials N] [--json] [--quick]

The trials are trivial: a linear space whose paths of 20 lambdas in 5 folds are recorded, not fitted, so that what is
left is what the search itself costs the process that drives it: to ask, to sample, to keep, to tell, to remember, to
hand to MLflow. Storage (a journal) and mirror (SQLite, written by a process of its own, which competes for the cores)
are the default ones. The sampler is Optuna's random one, so that none is measured. Each study runs in a fresh process.

Times are of the wall clock unless a row says CPU, which is that of the driver's process, the threads that feed the
mirror included; a machine that does other work beside makes both larger. The first hundred trials, in which modules
are loaded, count in no row.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness import Row, main, one_thread, quick

one_thread()
sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

import argparse  # noqa: E402
import multiprocessing  # noqa: E402
import os  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterable, Iterator  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from itertools import pairwise  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from regsearch import Choice, ElasticNet, Float, Linear, Study  # noqa: E402
from regsearch import Path as Along  # noqa: E402
from regsearch.models.base import Backend, Candidate, Outcome, Setup  # noqa: E402
from regsearch.models.path import Curves, Trajectory  # noqa: E402

ROWS, FOLDS, STEPS = 40, 5, 20
WARM = 100  # trials that count in no row
BLOCKS = 10  # the first of which is compared with the last
RATIO, CPU_MS, KIB, RESUME_S, READ_S, END_S = 1.3, 5.0, 20.0, 5.0, 10.0, 20.0
INFORMATION = float("inf")  # the bar of a row that has none

own = argparse.ArgumentParser(add_help=False)
own.add_argument("--trials", type=int, default=300 if quick() else 10_000, help="trials of each study")


@dataclass(frozen=True)
class Trivial(Linear):
    """Linear models whose paths are made up."""

    def backend(self, setup: Setup) -> Backend:
        return Recorded(setup)


@dataclass
class Recorded:
    """A backend that fits nothing: a score has a top along lambda, the higher the nearer the L1 ratio is to a half."""

    setup: Setup
    random: Any = field(default_factory=lambda: np.random.default_rng(0))

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        axis = np.logspace(0, -4, STEPS)
        shape = -0.02 * (np.log10(axis) + 2) ** 2 + self.random.normal(scale=0.03, size=(FOLDS, 1))
        decisions = self.setup.problem.X[:, :1] * 0.5
        for candidate in candidates:
            config: Any = candidate.config
            ratio = config.penalty.fields().get("l1_ratio", 1.0)
            val = shape - 1.0 - 0.1 * (ratio - 0.5) ** 2
            curves = Curves(val + 0.02 * (1 - np.log10(axis)), val)
            trajectory = Trajectory(axis, {self.setup.metrics[0].name: curves}, np.full(val.shape, 2.0))
            yield Outcome(candidate, "complete", trajectory, int(val.mean(axis=0).argmax()), decisions, seconds=1e-3)


def study(root: Path, sampler: Any) -> Study:
    """The study that is measured."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 3))
    space = Trivial(ElasticNet(Float(0.05, 0.95)), Along(STEPS), Choice("standard", "minmax", "none"))
    return Study("flat", X, X[:, 0] + rng.normal(size=ROWS), space=space, cv=FOLDS, root=root, sampler=sampler)


# --- what is measured -------------------------------------------------------------------------------------------


@dataclass
class Marks:
    """What the clocks say, and the memory, each time that a run asks for a trial: a user's sampler is called then."""

    sampler: Any
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    kib: list[float] = field(default_factory=list)

    def __call__(self, count: int) -> Any:
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())
        self.kib.append(memory_kib(os.getpid()))
        return self.sampler

    def blocks(self, marks: list[float]) -> list[float]:
        """What a trial takes of a mark, by block."""
        at = np.linspace(min(WARM, len(marks) // 3), len(marks) - 1, BLOCKS + 1).astype(int)
        return [(marks[j] - marks[i]) / (j - i) for i, j in pairwise(at.tolist())]


@dataclass(frozen=True)
class Measured:
    """One study."""

    marks: Marks
    trials: int
    ended_s: float  # from the last trial to the end of the run, the waiting for MLflow included
    caught_up_s: float  # from the last trial until MLflow had all
    writer_kib: float  # the most memory that the mirror's process had, beyond what it has for one trial
    resumed_s: float  # from the start of a second run to its first trial
    closed_s: float  # from its last trial to its end, when there is little to wait for
    list_s: float
    show_s: float
    disk_kib: float


def memory_kib(process: int, what: str = "VmRSS") -> float:
    """Memory of a process; 0 of one that is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    return next((float(line.split()[1]) for line in status.splitlines() if line.startswith(what)), 0.0)


def writers() -> list[int]:
    """The processes that this one has write to MLflow."""
    found = [int(one) for file in Path("/proc/self/task").glob("*/children") for one in file.read_text().split()]
    return [one for one in found if b"regsearch.mirror.writer" in command_of(one)]


def command_of(process: int) -> bytes:
    """The command line of a process; empty of one that is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


class Watch(threading.Thread):
    """Watches the memory of the processes that write to MLflow: the most that one of them had."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = 0.0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.most = max([self.most, *(memory_kib(one, "VmHWM") for one in writers())])

    def wait_for_writers(self) -> float:
        """Wait until MLflow has everything; the most memory so far."""
        while writers():
            time.sleep(0.1)
        self.over.set()
        return self.most


def measure(folder: str, trials: int, sampler: Callable[[], Any]) -> Measured:
    """Run the study, then once more for a trial, in this process."""
    root = Path(folder)
    first = Marks(sampler())
    watch = Watch()
    watch.start()
    study(root, first).run(trials, quiet=True)
    ended = time.perf_counter()
    most = watch.wait_for_writers()
    caught_up = time.perf_counter()
    watch = Watch()
    watch.start()
    begun, again = time.perf_counter(), Marks(sampler())
    study(root, again).run(trials + 1, quiet=True)
    closed = time.perf_counter()
    least = watch.wait_for_writers()
    command = [sys.executable, "-m", "regsearch"]
    return Measured(
        first, trials, ended - first.wall[-1], caught_up - first.wall[-1], most - least, again.wall[0] - begun,
        closed - again.wall[-1], spent([*command, "list", "--root", folder]),
        spent([*command, "show", "flat", "--root", folder]), on_disk_kib(root),
    )  # fmt: skip


def spent(command: list[str]) -> float:
    """Seconds of a command."""
    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - begun


def on_disk_kib(root: Path) -> float:
    """What a root takes on the disk."""
    return sum(file.stat().st_blocks for file in root.rglob("*") if file.is_file()) / 2


def random_sampler() -> Any:
    import optuna

    return optuna.samplers.RandomSampler(seed=0)


def apart(sampler: Callable[[], Any]) -> Measured:
    """A study measured in a process of its own."""
    trials = own.parse_known_args()[0].trials
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (folder, trials, sampler))


def flat() -> Iterator[Row]:
    """Time, memory and disk of a trial, the end of a run, a resume, and reading."""
    found = apart(random_sampler)
    marks, block = found.marks, f"{found.trials} trials, in blocks of a tenth"
    wall, cpu, kib = (marks.blocks(one) for one in (marks.wall, marks.cpu, marks.kib))
    said = ", ".join(f"{1e3 * one:.2f}" for one in wall)
    yield Row("a trial of the last tenth over the first", wall[-1] / wall[0], RATIO, f"ms: {said}")
    yield Row("the same in CPU of the driver", cpu[-1] / cpu[0], RATIO, block)
    yield Row("CPU of a trial of the first tenth, ms", 1e3 * cpu[0], CPU_MS)
    yield Row("CPU of a trial of the last tenth, ms", 1e3 * cpu[-1], CPU_MS)
    yield Row("memory of a trial, KiB", sum(kib) / len(kib), KIB, "driver")
    yield Row("memory of a trial, KiB: mirror", found.writer_kib / found.trials, KIB, "at most, when it lags behind")
    yield Row("resume: s to the first new trial", found.resumed_s, RESUME_S)
    yield Row("end of a run, s", found.closed_s, END_S, f"with a mirror that lags behind {found.ended_s:.1f}")
    yield Row("regsearch list, s", found.list_s, READ_S)
    yield Row("regsearch show, s", found.show_s, READ_S)
    yield Row("on the disk a trial, KiB", found.disk_kib / found.trials, INFORMATION, "MLflow's database included")
    yield Row("until MLflow has all, s", found.caught_up_s, INFORMATION, "after the last trial, in the background")


if __name__ == "__main__":
    main([flat], __doc__ or "", [own])
