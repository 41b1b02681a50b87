"""Workers on this machine: the same numbers whoever evaluates, and nothing lost when one of them dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray
from samples import outcomes, random_sampler, regression, study
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from regsearch import MLP, Choice, Estimator, Float, InvalidInput, Net, cores, spaces
from regsearch import nn_techniques as t
from regsearch.errors import WorkersFailed
from regsearch.parallel import shipping
from regsearch.parallel.backend import STILLBORN
from regsearch.parallel.messages import Job
from regsearch.results.results import Results

pytestmark = pytest.mark.slow(of="workers")

SPACES: dict[str, Callable[[], Any]] = {
    "estimator": lambda: Estimator(Ridge(), {"alpha": Float(1e-3, 1e3, log=True)}),
    "linear": spaces.linear,
    "net": lambda: Net(MLP(hidden=(4,)), dropout=Float(0.0, 0.5), early_stopping=t.FixedEpochs(8)),
}


def by_key(results: Results) -> dict[str, float]:
    """The score of each complete trial, by its config."""
    return {trial.key: trial.point.val for trial in results.complete}


class Troubled(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A constant that does as it is told where `level` is above a half."""

    def __init__(self, level: float = 0.0, trouble: str = "", mark: Any = "") -> None:
        self.level, self.trouble, self.mark = level, trouble, mark

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Troubled:
        if self.level > 0.5:
            with Path(self.mark).open("a") as mark:
                mark.write(f"{os.getpid()}\n")
            TROUBLES[self.trouble]()
        self.mean_ = y.mean() * (1 + self.level)
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), self.mean_)


def hang() -> None:
    threading.Event().wait()


TROUBLES: dict[str, Callable[[], Any]] = {
    "_exit": lambda: os._exit(7),
    "exit": lambda: sys.exit("enough"),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": hang,
}


def troubled(root: Path, trouble: str, **options: Any) -> Any:
    """A study whose configs above a half do what they should not."""
    space = Estimator(Troubled(trouble=trouble, mark=str(root / "mark")), {"level": Float(0.0, 1.0)})
    return study(root, space=space, sampler=random_sampler, **options)


# --- the same numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", SPACES)
def test_a_trial_is_the_same_whoever_evaluates_it(family: str, tmp_path: Path) -> None:
    """What two workers evaluate scores what this process measures, config by config."""
    options = {"space": SPACES[family](), "prune": False, "sampler": random_sampler}
    here = study(tmp_path, "here", **options).run(8, quiet=True)
    there = study(tmp_path, "there", **options).run(8, workers=2, quiet=True)
    assert by_key(there) == pytest.approx(by_key(here), rel=1e-9)
    assert len(there.complete) == 8


@pytest.mark.parametrize("family", SPACES)
def test_deterministic_runs_are_the_same_again(family: str, tmp_path: Path) -> None:
    """Two runs in turns propose the same trials, and give the same ones up."""
    options = {"space": SPACES[family]()}
    first, again = (
        study(tmp_path, name, **options).run(14, workers=2, deterministic=True, quiet=True) for name in ("a", "b")
    )
    assert outcomes(first) == outcomes(again)
    assert len(first.all) == 14


def test_nested_searches_run_on_workers(tmp_path: Path) -> None:
    """Outer folds that are searched on workers have the scores of those that are searched here."""
    space = Estimator(Ridge(), {"alpha": Choice(0.1, 1.0, 10.0)})
    here, there = (
        study(tmp_path, name, space=space, prune=False).nested(2, 5, workers=workers, quiet=True)
        for name, workers in (("here", None), ("there", 2))
    )
    assert there.scores == here.scores
    assert there.params == here.params


def test_arrays_are_shared_and_cannot_be_written(tmp_path: Path) -> None:
    """A job that was sent has the arrays of the one that was packed, in a map that none may write to."""
    made = study(tmp_path)
    job = Job(made.space, made.setup)
    pieces = shipping.pack(job)
    with (tmp_path / "pieces").open("w+b") as file:
        sizes = shipping.write_pieces(pieces, file)
        there = shipping.unpack(shipping.mapped_pieces(sizes, file.fileno()))
    arrays = (there.setup.problem.X, there.setup.problem.y, *there.setup.folds.train)
    assert all(not array.flags.owndata and not array.flags.writeable for array in arrays)
    np.testing.assert_array_equal(there.setup.problem.X, made.problem.X)
    assert there.setup.problem.fingerprint == made.problem.fingerprint


def test_a_mapped_file_is_sent_as_its_place(tmp_path: Path) -> None:
    """Data that lie in a file are mapped again from there, and no bytes of them are sent."""
    X, y = regression(5000, 20)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=X.dtype, mode="r", shape=X.shape)
    made = study(tmp_path, data=(mapped, y))
    pieces = shipping.pack(Job(made.space, made.setup))
    assert all(bytes(X[:1].data) not in bytes(piece) for piece in pieces)
    there = shipping.unpack(pieces)
    np.testing.assert_array_equal(there.setup.problem.X, X)


def test_what_cannot_be_sent_says_so(tmp_path: Path) -> None:
    """A space that holds a lock is refused in a sentence, before anything is asked for."""
    space = Estimator(Troubled(mark=threading.Lock()), {"level": Float(0.0, 0.4)})
    with pytest.raises(InvalidInput, match="fit for another process"):
        study(tmp_path, space=space).run(4, workers=2, quiet=True)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "two", True])
def test_workers_are_a_number(workers: Any, tmp_path: Path) -> None:
    """A number of workers that there cannot be is refused."""
    with pytest.raises(InvalidInput, match="workers must be"):
        study(tmp_path).run(4, workers=workers, quiet=True)


def test_each_has_its_share_of_the_cores() -> None:
    """All workers together take the cores of the machine, and each at least one."""
    every = cores.available_cores()
    assert [cores.share_of_cores(workers) for workers in (1, every, 10 * every)] == [every, 1, 1]
    limits = cores.thread_limits(3)
    assert set(limits.values()) == {"3"}
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= limits.keys()


class Threads(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts how many threads the libraries of its process take at most."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Threads:
        from threadpoolctl import threadpool_info

        self.threads_ = max(library["num_threads"] for library in threadpool_info())
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), float(self.threads_))


def test_threads_are_not_oversubscribed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each of as many workers as there are cores, libraries take one thread."""
    for name in (*cores.THREADS, cores.JOBS):
        monkeypatch.delenv(name, raising=False)
    X, _ = regression()
    space = Estimator(Threads(), {"level": Float(0.0, 1.0)})
    workers = 2 * cores.available_cores()
    found = study(tmp_path, data=(X, np.arange(len(X)) % 7 + 1.0), space=space, prune=False).run(
        3, workers=workers, quiet=True
    )
    for trial in found.complete:
        assert set(np.asarray(found.decisions(trial.number), dtype=float).ravel()) == {1.0}


# --- deaths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["_exit", "segfault", "killed"])
def test_what_kills_its_worker_fails_after_a_second_try(trouble: str, tmp_path: Path) -> None:
    """A config at which the process dies is tried twice and fails with the reason; all others come to their end."""
    results = troubled(tmp_path, trouble).run(10, workers=2, quiet=True)
    assert len(results.all) == 10
    for trial in results.all:
        bad = trial.role != "reference" and trial.draws["level"] > 0.5
        assert trial.state == ("failed" if bad else "complete")
        assert not bad or "in flight at 2 deaths of a worker" in trial.reason
    failed = sum(trial.state == "failed" for trial in results.all)
    assert failed > 0
    assert len(set((tmp_path / "mark").read_text().split())) == 2 * failed


@pytest.mark.parametrize("workers", [None, 2])
def test_an_exit_in_a_fit_fails_its_trial(workers: int | None, tmp_path: Path) -> None:
    """`sys.exit` in a user's code ends no process."""
    results = troubled(tmp_path, "exit").run(10, workers=workers, quiet=True)
    assert {trial.reason for trial in results.all if trial.state == "failed"} == {"SystemExit: enough"}
    assert len(results.all) == 10


def test_a_hang_ends_with_the_time_of_a_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit that never ends fails once a trial's time is up, and is not tried again."""
    monkeypatch.setattr("regsearch.parallel.backend.GRACE_S", 0.2)
    monkeypatch.setattr("regsearch.parallel.backend.LOOK_S", 0.1)
    results = troubled(tmp_path, "hang").run(6, workers=2, trial_timeout=0.5, quiet=True)
    failed = [trial for trial in results.all if trial.state == "failed"]
    assert failed
    assert all("had to be ended" in trial.reason for trial in failed)
    assert len((tmp_path / "mark").read_text().split()) == len(failed)
    assert len(results.all) == 6


class Unmade:
    """Cannot be made in another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_workers_that_cannot_begin_end_the_run(tmp_path: Path) -> None:
    """Where every worker dies before it asks for a candidate, the run says why, and nothing is failed."""
    space = Estimator(Troubled(mark=Unmade()), {"level": Float(0.0, 0.4)})
    made = study(tmp_path, space=space)
    with pytest.raises(WorkersFailed, match=r"before they evaluate anything.*no number"):
        made.run(STILLBORN + 4, workers=2, quiet=True)
    assert not made.results().counts["failed"]


def test_nobody_is_left(tmp_path: Path) -> None:
    """After a run no process of a worker is there any more."""
    study(tmp_path).run(6, workers=2, quiet=True)
    assert not [one for one in psutil.Process().children(recursive=True) if "regsearch.parallel" in " ".join(cmd(one))]


def cmd(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
