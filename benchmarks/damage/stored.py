"""A small stored study that can be damaged: made once, copied for every attempt, read by every command that reads."""

from __future__ import annotations

import atexit
import contextlib
import io
import shutil
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from regsearch.cli import main
from regsearch.results.results import Results, load_results
from regsearch.storage.store import Store

NAME, TRIALS = "hurt", 12
SCRIPT = """
import numpy as np
from regsearch import Study, spaces

generator = np.random.default_rng(0)
X = generator.normal(size=(60, 8))
y = X @ generator.normal(size=8) + generator.normal(size=60)
study = Study("hurt", X, y, space=spaces.linear(), cv=3, tracking=False)
"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8) + b"IEND\xaeB`\x82"
Scores = dict[int, float]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed on standard error."""

    status: int
    said: str


def command(*arguments: object) -> Ended:
    """Run a command of regsearch's here; a traceback is status -1."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            return Ended(main([str(one) for one in arguments]), errors.getvalue())
        except SystemExit as end:
            return Ended(int(end.code or 0), errors.getvalue())
        except Exception:  # noqa: BLE001 - what no one foresaw is what is looked for
            return Ended(-1, traceback.format_exc())


def scores(results: Results) -> Scores:
    """The scores of complete trials by number, each with its arrays read."""
    return {trial.number: results.curves(trial.number).mean()[trial.step] for trial in results.complete}


def in_order(results: Results) -> list[float]:
    """The scores of complete trials in the order of their numbers, each with its arrays read."""
    return [score for _, score in sorted(scores(results).items())]


@dataclass(frozen=True)
class Copy:
    """A copy of a finished study in a folder of its own.

    Attributes
    ----------
    expected
        The scores of its trials before anything was done to it.
    """

    folder: Path
    expected: Scores = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def store(self) -> Store:
        return Store(self.root, NAME)

    def run(self, *more: object) -> Ended:
        """Run the study to its end, or go on with it."""
        return command("run", self.folder / "study.py", "--root", self.root, "--trials", TRIALS, *more)

    def read(self) -> Iterator[tuple[str, Ended]]:
        """Every command that reads a stored study."""
        at: Sequence[object] = ("--root", self.root)
        yield "list", command("list", *at)
        yield "show", command("show", NAME, *at)
        yield "show --json", command("show", NAME, "--rule", "one_se", "--json", *at)
        yield "report", command("report", NAME, "--out", self.folder / "report.html", *at)
        yield "compare", command("compare", NAME, NAME, *at)
        yield "ablate", command("ablate", NAME, *at)
        yield "export", command("export", NAME, "--out", self.folder / "bundle", *at)

    def results(self) -> Results:
        return load_results(self.store)


@cache
def template() -> Copy:
    """The study that copies are made of."""
    made = Copy(Path(mkdtemp(prefix="regsearch-faults-")))
    atexit.register(shutil.rmtree, made.folder, ignore_errors=True)
    (made.folder / "study.py").write_text(SCRIPT)
    ended = made.run()
    assert ended.status == 0, ended.said
    made.store.save_picture("seen", PNG)
    return Copy(made.folder, scores(made.results()))


@contextlib.contextmanager
def copied() -> Iterator[Copy]:
    """A copy that goes when it was looked at."""
    folder = Path(mkdtemp(prefix="regsearch-fault-"))
    try:
        shutil.copytree(template().folder, folder, dirs_exist_ok=True)
        yield Copy(folder, template().expected)
    finally:
        shutil.rmtree(folder)
