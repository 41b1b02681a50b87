"""A study whose trials lie in a real PostgreSQL: it runs, resumes and is listed, whatever becomes of the server."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import forking
import psutil  # type: ignore[import-untyped]
import pytest
from damage.services import after_trials
from leaks import told
from postgres import OWNER, PASSWORD, Cluster
from samples import ROOT, database, finished, mlflow_client, outcomes, python, study
from sqlalchemy import event
from sqlalchemy.engine import Engine

from regsearch.cli import main
from regsearch.results.results import Results, load_results
from regsearch.storage.store import Store

pytestmark = pytest.mark.slow(of="PostgreSQL")

N = 5
SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from samples import study

small = study("runs")
"""


@dataclass(frozen=True)
class Stored:
    """A script's study, `small`, in a database of its own, which the environment names."""

    server: Cluster
    database: str
    folder: Path

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    def run(self, trials: int = N) -> int:
        """Run it by the command line; the exit status."""
        return main(["run", str(self.folder / "script.py"), "--trials", str(trials)])

    def results(self) -> Results:
        return load_results(Store(self.folder / "runs", "small", self.url))


@pytest.fixture
def stored(postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    (tmp_path / "script.py").write_text(SCRIPT)
    found = Stored(postgres, postgres.database(), tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGSEARCH_STORAGE", found.url)
    return found


@cache
def expected(trials: int = N) -> list[tuple[Any, ...]]:
    """The outcomes of the same study with its journal."""
    with tempfile.TemporaryDirectory() as root:
        return outcomes(study(Path(root)).run(trials, quiet=True))


@contextmanager
def at_statement(number: int, do: Callable[[], None]) -> Iterator[None]:
    """Do something before the n-th statement that is sent to a database."""
    counted = itertools.count(1)

    def before(*_: object) -> None:
        if next(counted) == number:
            do()

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def refusal(said: str) -> str:
    """The only line of standard error that is no progress, without a traceback."""
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("regsearch: ")]
    return line


def test_a_study_runs_resumes_and_is_listed(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    """Its trials are those of a study with a journal, in one run or two, and every command finds them."""
    assert (stored.run(3), stored.run(N)) == (0, 0)
    assert outcomes(stored.results()) == expected()
    assert not Store("runs", "small").journal.exists()
    capsys.readouterr()
    assert main(["list", "--root", "runs"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["small", str(N)]
    assert main(["show", "small", "--root", "runs", "--storage", stored.server.url(stored.database, driver="")]) == 0
    assert f"small: {N} complete" in capsys.readouterr().out


@pytest.mark.parametrize("gone", [Cluster.stop, Cluster.kill])
@pytest.mark.parametrize("after", [2, N])
def test_a_server_that_is_gone(
    stored: Stored, gone: Callable[[Cluster], None], after: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run ends with one sentence and status 2, so does one while the server is down; then the study goes on."""
    with after_trials(after, lambda: gone(stored.server)):
        assert stored.run() == 2
    assert "everything finished is kept: mend that and go on" in refusal(capsys.readouterr().err)
    for command in (stored.run, lambda: main(["list"])):
        assert command() == 2
        assert "see that its database answers" in refusal(capsys.readouterr().err)
    stored.server.start()
    assert len(finished(stored.results())) == after
    assert stored.run() == 0
    assert outcomes(stored.results()) == expected()


@pytest.mark.parametrize("number", [12, 55, 75, 90, 110, 130, 150, 175, 200])
def test_a_server_that_is_killed_at_any_statement(
    stored: Stored, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a run is, nothing that was finished is lost, and nothing is there twice when it has gone on."""
    with at_statement(number, stored.server.kill):
        assert stored.run(3) == 2
    refusal(capsys.readouterr().err)
    stored.server.start()
    assert stored.run(3) == 0
    assert outcomes(stored.results()) == expected(3)


@pytest.mark.parametrize("lose", [Cluster.restart, Cluster.end_connections])
def test_connections_that_end_between_two_trials(stored: Stored, lose: Callable[[Cluster], None]) -> None:
    """A server that starts again, or ends what is idle, costs nothing: the search connects again."""
    with after_trials(2, lambda: lose(stored.server)):
        assert stored.run() == 0
    assert outcomes(stored.results()) == expected()


def test_studies_at_once_in_an_empty_database(stored: Stored) -> None:
    """Processes that find a database without tables make them once; each study comes out as if it were alone."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); from pathlib import Path\n" + (
        "from samples import study; study(Path('runs'), sys.argv[1], storage=sys.argv[2]).run(3, quiet=True)"
    )
    names = ["one", "two", "three"]
    started = [
        subprocess.Popen([sys.executable, "-c", code, name, stored.url], stderr=subprocess.PIPE, text=True)
        for name in names
    ]
    assert [(process.communicate()[1], process.returncode) for process in started] == [("", 0)] * len(names)
    for name in names:
        assert outcomes(load_results(Store("runs", name, stored.url))) == expected(3)


def test_two_machines_that_begin_one_study(stored: Stored) -> None:
    """One of two that begin it at once has it, the other is refused in a sentence, and so is whoever comes later."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); import socket; from pathlib import Path\n" + (
        "socket.gethostname = lambda: sys.argv[1]\n"
        "from samples import study; study(Path(sys.argv[2]), storage=sys.argv[3]).main(['--trials', '3'])"
    )
    places = [("here", "a/runs"), ("there", "b/runs")]
    started = [
        subprocess.Popen([sys.executable, "-c", code, *place, stored.url], stderr=subprocess.PIPE, text=True)
        for place in places
    ]
    said = [process.communicate()[1] for process in started]
    statuses = [process.returncode for process in started]
    assert sorted(statuses) == [0, 2], said
    other, winner = statuses.index(2), statuses.index(0)
    assert "can be run from one root" in said[other].splitlines()[-1]
    assert outcomes(load_results(Store(places[winner][1], "small", stored.url))) == expected(3)
    again = python("-c", code, *places[other], stored.url, cwd=stored.folder)
    assert again.returncode == 2, again.stderr
    assert not list(Path(places[other][1]).rglob("*.npz"))


@pytest.mark.parametrize("first", ["", "REGSEARCH_STORAGE"])
def test_a_study_begins_where_no_other_lies(
    stored: Stored, first: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who forgets the storage that has the trials, or names another, is refused: their files would be overwritten."""
    url = stored.url
    for variable, status in ((first, 0), ("" if first else "REGSEARCH_STORAGE", 2), (first, 0)):
        monkeypatch.setenv("REGSEARCH_STORAGE", url if variable else "")
        assert stored.run(2) == status
    assert "name the storage that has them" in refusal(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (lambda server: server.url(password="wr0ng-secret"), "password authentication failed"),
        (lambda server: server.url("absent"), 'database "absent" does not exist'),
        (lambda server: server.url(driver="+psycopg2"), 'pip install "regsearch[postgres]"'),
        (lambda server: server.url().replace("127.0.0.1", "absent.invalid"), "absent.invalid"),
    ],
)
def test_what_cannot_be_opened(
    stored: Stored, address: Callable[[Cluster], str], words: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """A wrong password, no such database, no driver and no such host are each a sentence that says so."""
    monkeypatch.setenv("REGSEARCH_STORAGE", address(stored.server))
    for command in (stored.run, lambda: main(["list"])):
        assert command() == 2
        said = refusal(capsys.readouterr().err)
        assert words in said
        assert "s3cret" not in said
        assert "wr0ng" not in said


def test_the_password_is_nowhere(
    stored: Stored, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that writes to MLflow, its failure, its resuming, its export: no output, process, file or run has it."""
    runs, script = stored.folder / "runs", stored.folder / "script.py"
    script.write_text(SCRIPT.replace('"runs"', f"{str(runs)!r}, tracking=None"))
    database(runs)
    seen: list[str] = []

    def look() -> None:
        seen.extend(" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True))
        stored.server.kill()

    with monkeypatch.context() as patch, after_trials(3, look):
        patch.setattr(subprocess, "Popen", forking.REAL)  # a process that is forked has its server's command line
        assert stored.run() == 2
    assert any("regsearch.mirror.writer" in line for line in seen)
    stored.server.start()
    where = ["--root", str(runs), "--storage", stored.url]
    monkeypatch.delenv("REGSEARCH_STORAGE")
    monkeypatch.setenv("APP_DATABASE", stored.url)
    for command in (
        ["run", str(script), "--trials", str(N), "--storage", stored.url], ["sync", "small", *where],
        ["report", "small", "--out", str(stored.folder / "report.html"), *where],
        ["export", "small", "--out", str(stored.folder / "bundle"), *where],
    ):  # fmt: skip
        assert main(command) == 0
    out, err = capfd.readouterr()
    assert '--storage "$APP_DATABASE"' in out
    assert PASSWORD not in out + err + "\n".join(seen)
    assert told(stored.folder, [PASSWORD, OWNER]) == []  # MLflow's database, the bundle and the report among them
    client = mlflow_client(runs)
    assert len(client.search_runs([client.get_experiment_by_name("small").experiment_id])) == N + 1
