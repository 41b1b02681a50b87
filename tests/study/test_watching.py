"""A study that another process runs, watched through its storage."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import FloatDistribution
from samples import study
from sklearn.linear_model import Ridge

from regsearch import Estimator, Float, NotFound, Study
from regsearch.cli import main
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.run_record import RunRecord
from regsearch.storage.store import Store
from regsearch.study.run import Run
from regsearch.study.watching import WatchedStudy, watch

RIDGE: dict[str, Any] = {"space": Estimator(Ridge(), {"alpha": Float(0.1, 100.0, log=True)}), "prune": False}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def begun(one: Study, run: RunRecord) -> None:
    """Let a study look as if a run of it went on."""
    with OptunaStudy.open(one.store, one._identity()) as kept:
        kept.keep_run(run)


def seen(one: Study) -> WatchedStudy:
    with OptunaStudy.load(one.store) as kept:
        return WatchedStudy.of(kept, one.store)


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def then(*steps: Callable[[], Any]) -> Callable[[float], None]:
    """A sleep, the first times of which something happens."""
    left = iter(steps)
    return lambda seconds: next(left)()


@pytest.mark.parametrize("storage", [None, pytest.param("sqlite", marks=pytest.mark.slow)])
def test_a_line_for_each_change(tmp_path: Path, storage: str | None) -> None:
    """Into a pipe goes a line whenever something has changed, and none else; the end of the run ends it."""
    url = None if storage is None else f"sqlite:///{tmp_path}/optuna.db"
    one, stream = study(tmp_path, storage=url, **RIDGE), io.StringIO()
    one.run(2, quiet=True)
    begun(one, RunRecord.here(0, 2, 4, None))
    watch(Store(tmp_path, "small", url), stream, sleep=then(lambda: None, lambda: one.run(4, quiet=True)))
    first, last = stream.getvalue().splitlines()
    assert first.startswith("small: running: 2 of 4 trials (2 complete) | best neg_mean_squared_error -")
    assert last.startswith("small: ended (4 trials): 4 of 4 trials (4 complete) | best")


def test_a_page_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows score, gap, front, what is in flight and the time left, over what it showed before, as it fits.

    No file of a trial is read for it.
    """
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "10")
    one, stream = study(tmp_path, **RIDGE), Terminal()
    best = one.run(4, quiet=True).best
    with OptunaStudy.open(one.store, one._identity()) as kept:
        kept._study.ask({"alpha": FloatDistribution(0.1, 1.0, log=True)})
    for file in (one.store.folder / "trials").iterdir():
        file.unlink()
    begun(one, RunRecord.here(seen(one).now_ms - 10_000, 0, 8, seen(one).now_ms + 3000))
    watch(one.store, stream, sleep=then(lambda: begun(one, RunRecord(0, ended_ms=1, stopped="8 trials"))))
    before, after = stream.getvalue().split("\x1b[9F\x1b[J")
    lines = before.splitlines()
    assert lines[0].startswith("small: running for 10 s on ")
    assert lines[1] == "4 of 8 trials (4 complete)"
    assert lines[2].startswith(f"best neg_mean_squared_error {best.score:.5g} (trial {best.number} Ridge), gap ")
    assert lines[5].split() == ["front", "score", "gap", "config"]
    assert lines[8].split() == ["in", "flight", "for", "config"]
    assert len(lines) == 9
    assert max(map(len, lines)) < 60
    assert after.startswith("small: ended (8 trials)")
    assert "in flight" not in after


def test_the_time_left(tmp_path: Path) -> None:
    """It goes by the trials of this run and their rate, or by its time, whichever is over first."""
    one = study(tmp_path, **RIDGE)
    one.run(5, quiet=True)
    now = replace(seen(one), now_ms=100_000)

    def left(**run: Any) -> float:
        return replace(now, run=RunRecord(**{"began_ms": 80_000, "finished": 1, **run})).left_s

    assert left(n_trials=11) == pytest.approx(6 * 20 / 4)
    assert left(n_trials=11, until_ms=101_000) == pytest.approx(1.0)
    assert left(n_trials=11, until_ms=0) == 0.0
    assert math.isinf(left(n_trials=11, finished=3))  # two trials say little
    assert math.isinf(left())
    assert math.isinf(replace(now, run=None).left_s)


def test_a_run_whose_process_is_gone_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A killed run is told from one that goes on, and from one of another host, of which that is not known."""
    one = study(tmp_path, **RIDGE)
    one.run(1, quiet=True)
    process = os.spawnlp(os.P_WAIT, "true", "true") or os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(process, 0)
    here = RunRecord.here(0, 0, 9, None)
    assert not here.is_over
    assert not replace(here, host="elsewhere", process=process).is_over
    begun(one, replace(here, process=process))
    assert main(["watch", "small", "--root", str(tmp_path)]) == 0
    assert f"its process {process} is gone, run it again to go on: 1 of 9 trials" in capsys.readouterr().out


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """``--once`` prints the page and ends, Ctrl-C ends with status 0, and a study that is not there with 2."""
    one = study(tmp_path, **RIDGE)
    one.run(2, quiet=True)
    begun(one, RunRecord.here(0, 0, 9, None))
    assert main(["watch", "small", "--once", "--root", str(tmp_path)]) == 0
    assert "front" in capsys.readouterr().out
    monkeypatch.setattr("regsearch.study.watching.watch", interrupted)
    assert main(["watch", "small", "--root", str(tmp_path)]) == 0
    monkeypatch.undo()
    assert main(["watch", "smal", "--root", str(tmp_path)]) == 2
    with pytest.raises(NotFound):
        watch(Store(tmp_path, "none"), io.StringIO())


def test_runs_leave_a_record(tmp_path: Path) -> None:
    """A run says its limits while it goes on, and why it ended, also where an error or a request ended it."""
    one = study(tmp_path, **RIDGE)
    during: list[RunRecord] = []
    one.run(3, timeout=900, on_trial=lambda *_: during.append(seen(one).run), quiet=True)
    run = during[0]
    assert (run.n_trials, run.finished, run.process, run.ended_ms) == (3, 0, os.getpid(), None)
    assert run.until_ms == pytest.approx(run.began_ms + 900_000, abs=20_000)
    assert (seen(one).run.stopped, seen(one).is_over) == ("3 trials", True)
    one.run(9, on_trial=lambda running, _: running.stop(), quiet=True)
    assert seen(one).run.stopped == "stop() was called"
    assert seen(one).run.finished == 3


def test_the_counts_add_up(tmp_path: Path) -> None:
    """In brackets stand the trials that count for the number there shall be, and beside them those that do not."""
    states = [*["complete"] * 2, "pruned", *["outside"] * 4, "stopped", "running"]
    one = study(tmp_path, **RIDGE)
    one.run(1, quiet=True)
    now = seen(one)
    all_ = tuple(replace(now.results.all[0], number=i, state=state) for i, state in enumerate(states))
    now = replace(now, results=replace(now.results, all=all_), run=RunRecord(0, n_trials=10))
    assert now._counts == "3 of 10 trials (2 complete, 1 pruned), 4 outside, 1 stopped"


@pytest.mark.parametrize(("error", "stopped"), [(ValueError("full"), ""), (KeyboardInterrupt(), "interrupted")])
def test_a_run_that_ends_before_its_search_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, stopped: str
) -> None:
    """An error on the way to the search leaves no run that seems to go on in a process that does."""
    one = study(tmp_path, **RIDGE)

    def fails(*_: Any) -> None:
        assert not seen(one).is_over
        raise error

    monkeypatch.setattr(Run, "_keep_data", fails)
    with pytest.raises(type(error)):
        one.run(1, quiet=True)
    assert (seen(one).is_over, seen(one).run.stopped) == (True, stopped)
