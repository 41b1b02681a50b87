"""Faults of what a study writes to while it runs: a disk that is full, a database or an MLflow that is gone."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from damage.stored import NAME, TRIALS, Copy, Ended, copied, in_order, scores, template
from regsearch.results.results import load_results
from regsearch.storage.store import Store
from regsearch.study.arguments import UNMIRRORED

HALF = TRIALS // 2
Fault = Callable[[Copy], str]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Have this process write no byte beyond a size of any file: what a full disk says, `EFBIG` for `ENOSPC`."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def after_trials(count: int, do: Callable[[], None]) -> Iterator[None]:
    """Do something when so many trials are finished."""
    from regsearch.study.loop import SearchLoop

    real, seen = SearchLoop._finish, [0]

    def finish(self: SearchLoop, outcome: Any) -> None:
        real(self, outcome)
        seen[0] += 1
        if seen[0] == count:
            do()

    setattr(SearchLoop, "_finish", finish)  # noqa: B010
    try:
        yield
    finally:
        setattr(SearchLoop, "_finish", real)  # noqa: B010


def fresh(copy: Copy, *more: object) -> Ended:
    """Run the study from its beginning."""
    shutil.rmtree(copy.root)
    return copy.run(*more)


def refused(ended: Ended) -> str:
    """What is wrong with how a command refused: one sentence, and status 2."""
    lines = [line for line in ended.said.splitlines() if line.startswith("regsearch: ")]
    if ended.status != 2 or len(lines) != 1:
        return f"it ended with {ended.status}: {ended.said[-600:]}"
    return ""


def kept_and_resumed(copy: Copy, ended: Ended, finished: int, url: str | None = None) -> str:
    """What does not hold after a failed run: it was refused, nothing that was finished is lost, and it goes on."""
    problem = refused(ended)
    if problem:
        return problem
    kept = in_order(load_results(Store(copy.root, NAME, url)))
    if len(kept) < finished or kept != expected(copy)[: len(kept)]:
        return f"{len(kept)} trials were kept, of {finished}"
    return resumed(copy, url)


def resumed(copy: Copy, url: str | None = None) -> str:
    """What does not hold of a study that goes on when what failed is mended."""
    ended = copy.run()
    if ended.status != 0:
        return f"going on ended with {ended.status}: {ended.said[-600:]}"
    ends = in_order(load_results(Store(copy.root, NAME, url)))
    return "" if ends == expected(copy) else "its trials are others than of a study without the fault"


def expected(copy: Copy) -> list[float]:
    """The scores of a study without a fault, in the order of its trials."""
    return [score for _, score in sorted(copy.expected.items())]


# --- disks ------------------------------------------------------------------------------------------------------


def full_while_it_runs(copy: Copy) -> str:
    """The journal cannot grow any more."""
    with largest_file(25_000):
        ended = fresh(copy)
    return kept_and_resumed(copy, ended, 1)


def full_at_its_start(copy: Copy) -> str:
    """Not even the folds can be written."""
    with largest_file(100):
        ended = fresh(copy)
    return refused(ended) or resumed(copy)


def full_at_a_trial(copy: Copy) -> str:
    """The first file of a trial cannot be written."""
    with largest_file(template().store.folder.joinpath("targets.npz").stat().st_size + 1000):
        ended = fresh(copy)
    return refused(ended) or resumed(copy)


def root_is_a_file(copy: Copy) -> str:
    """A file lies where the root should."""
    shutil.rmtree(copy.root)
    copy.root.write_text("no folder")
    problem = refused(copy.run())
    copy.root.unlink()
    return problem or resumed(copy)


def folder_vanishes(copy: Copy) -> str:
    """The folder of the study is removed while it runs."""
    shutil.rmtree(copy.root)
    with after_trials(HALF, lambda: shutil.rmtree(copy.store.folder)):
        ended = copy.run()
    return refused(ended) or resumed(copy)


# --- databases --------------------------------------------------------------------------------------------------


def _with_database(copy: Copy) -> str:
    """Have the script's study lie in a database; its URL."""
    url = f"sqlite:///{copy.folder / 'optuna.db'}"
    script = copy.folder / "study.py"
    script.write_text(script.read_text().replace("tracking=False", f"tracking=False, storage={url!r}"))
    return url


def database_vanishes(copy: Copy) -> str:
    """Tables are dropped while the study runs, and come back."""
    url, kept = _with_database(copy), copy.folder / "kept.db"

    def drop() -> None:
        shutil.copy(copy.folder / "optuna.db", kept)
        with sqlite3.connect(copy.folder / "optuna.db") as connection:
            for table in ("trial_params", "trial_values", "trials"):
                connection.execute(f"DROP TABLE {table}")

    with after_trials(HALF, drop):
        ended = fresh(copy)
    shutil.copy(kept, copy.folder / "optuna.db")
    return kept_and_resumed(copy, ended, HALF, url)


def database_is_garbage(copy: Copy) -> str:
    """The database is no database."""
    _with_database(copy)
    (copy.folder / "optuna.db").write_bytes(b"no database, but long enough to be read as one" * 100)
    problem = refused(fresh(copy))
    (copy.folder / "optuna.db").unlink()
    return problem or resumed(copy, f"sqlite:///{copy.folder / 'optuna.db'}")


def database_is_locked(copy: Copy) -> str:
    """Another program holds the database, and does not let go."""
    url = _with_database(copy)
    locks: list[sqlite3.Connection] = []

    def lock() -> None:
        locks.append(sqlite3.connect(copy.folder / "optuna.db", isolation_level=None))
        locks[0].execute("BEGIN EXCLUSIVE")

    with after_trials(HALF, lock):
        ended = fresh(copy)
    locks[0].close()
    return kept_and_resumed(copy, ended, HALF, url)


def database_is_nowhere(copy: Copy) -> str:
    """The folder of the database is not there."""
    script = copy.folder / "study.py"
    whole = script.read_text()
    script.write_text(whole.replace("tracking=False", "tracking=False, storage='sqlite:////nowhere/optuna.db'"))
    problem = refused(fresh(copy))
    script.write_text(whole)
    return problem or resumed(copy)


# --- MLflow -----------------------------------------------------------------------------------------------------


def _with_tracking(copy: Copy, tracking: object) -> None:
    script = copy.folder / "study.py"
    script.write_text(script.read_text().replace("tracking=False", f"tracking={tracking!r}"))


def _searched_without_mlflow(copy: Copy, tracking: object) -> str:
    """What does not hold of a search whose MLflow is of no use: all is found, and a line says what is missing."""
    _with_tracking(copy, tracking)
    ended = fresh(copy)
    if ended.status != UNMIRRORED:
        return f"it ended with {ended.status}: {ended.said[-600:]}"
    if "MLflow is missing" not in ended.said:
        return f"it did not say what MLflow is missing: {ended.said[-600:]}"
    return "" if scores(copy.results()) == copy.expected else "its trials are others than without MLflow"


def server_is_dead(copy: Copy) -> str:
    """Nobody listens where the tracking server should."""
    return _searched_without_mlflow(copy, "http://127.0.0.1:9")


def mlflow_is_garbage(copy: Copy) -> str:
    """MLflow's database is none."""
    (copy.folder / "mlflow.db").write_bytes(b"no database, but long enough to be read as one" * 100)
    return _searched_without_mlflow(copy, f"sqlite:///{copy.folder / 'mlflow.db'}")


def mlflow_is_a_folder(copy: Copy) -> str:
    """A folder lies where MLflow's database should."""
    (copy.folder / "mlflow.db").mkdir()
    return _searched_without_mlflow(copy, f"sqlite:///{copy.folder / 'mlflow.db'}")


def writer_is_killed(copy: Copy) -> str:
    """The process that writes to MLflow is killed while the study runs; the next run writes the rest."""
    from regsearch.mirror.process import Mirror

    _with_tracking(copy, f"sqlite:///{copy.folder / 'mlflow.db'}")
    real = Mirror.start
    started: list[Mirror] = []

    def start(self: Mirror, study: Any) -> None:
        started.append(self)
        real(self, study)

    setattr(Mirror, "start", start)  # noqa: B010
    try:
        with after_trials(HALF, lambda: os.kill(started[0].pid or 0, signal.SIGKILL)):
            ended = fresh(copy)
        again = copy.run()
    finally:
        setattr(Mirror, "start", real)  # noqa: B010
    if ended.status != UNMIRRORED or "MLflow is missing" not in ended.said:
        return f"it ended with {ended.status}: {ended.said[-600:]}"
    if again.status != 0 or f"{TRIALS} of {TRIALS} trials written" not in again.said:
        return f"the next run ended with {again.status}: {again.said[-600:]}"
    return "" if scores(copy.results()) == copy.expected else "its trials are others than without MLflow"


FAULTS: Mapping[str, tuple[Fault, ...]] = {
    "disk": (full_while_it_runs, full_at_its_start, full_at_a_trial, root_is_a_file, folder_vanishes),
    "database": (database_vanishes, database_is_garbage, database_is_locked, database_is_nowhere),
    "MLflow": (server_is_dead, mlflow_is_garbage, mlflow_is_a_folder, writer_is_killed),
}


def problem_of(fault: Fault) -> str:
    """What does not hold when something fails."""
    with copied() as copy:
        return fault(copy)
