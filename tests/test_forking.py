"""Forked programs: what they see and how they end is what it is for those that are started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import forking
import pytest
from samples import ROOT

LOOK = """
import json, os, signal, sys, threading, warnings
print(json.dumps({
    "argv": sys.argv, "original": sys.orig_argv, "path": sys.path, "main": sorted(vars(sys.modules["__main__"])),
    "name": __name__, "file": globals().get("__file__"), "here": os.getcwd(), "environment": dict(os.environ),
    "open": sorted(set(os.listdir("/proc/self/fd")) - {"3"}), "threads": threading.active_count(),
    "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler, "leader": os.getsid(0) == os.getpid(),
    "pipe": str(signal.getsignal(signal.SIGPIPE)), "mask": oct(os.umask(0o77)), "warned": sys.warnoptions,
}, indent=1))
"""
ENDS = {
    "0": "print('fine')",
    "nothing": "raise SystemExit",
    "status": "import sys; sys.exit(7)",
    "words": "import sys; print('out'); sys.exit('no')",
    "error": "def fail():\n    raise ValueError('no')\nfail()",
    "interrupt": "raise KeyboardInterrupt",
    "signal": "import os; os.kill(os.getpid(), 9)",
    "at exit": "import atexit; atexit.register(print, 'gone'); raise SystemExit(3)",
    "thread": "import threading; threading.Thread(target=lambda: print('done')).start()",
    "open": "file = open('left', 'w'); file.write('whole'); print(file.name)",
    "input": "import sys; print(sys.stdin.read().upper())",
    "syntax": "def",
}


def both(*words: str, cwd: Path, **options: object) -> list[subprocess.CompletedProcess[str]]:
    """How a program ends that is forked, and one that is started."""
    found = []
    for opened in (forking.Forked, forking.REAL):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(subprocess, "Popen", opened)
            given: Any = {"cwd": cwd, "capture_output": True, "text": True, "timeout": 60} | options
            found.append(subprocess.run([sys.executable, *words], check=False, **given))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("words", [["-c", LOOK, "a", "b"], ["look.py", "a"], ["-m", "look"], ["-P", "-m", "look"]])
@pytest.mark.parametrize("session", [True, False])
def test_a_fork_sees_what_a_fresh_interpreter_sees(words: list[str], session: bool, tmp_path: Path) -> None:
    """Arguments, path, main module, folder, environment, open files, handlers and session are those of a start."""
    (tmp_path / "look.py").write_text(LOOK)
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]),
        "OWN": "1",
        "PYTHONWARNINGS": "ignore",
    }
    forked, started = both(*words, cwd=tmp_path, env=env, start_new_session=session)
    assert started.returncode == 0, started.stderr
    assert forked.stdout == started.stdout
    assert forked.stderr == started.stderr


@pytest.mark.parametrize("code", ENDS.values(), ids=list(ENDS))
def test_a_fork_ends_as_a_fresh_interpreter_does(code: str, tmp_path: Path) -> None:
    """Status, signal, both streams and written files are those of a start, however a program ends."""
    forked, started = both("-c", code, cwd=tmp_path, input="given")
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.stderr == started.stderr
    assert not (tmp_path / "left").exists() or (tmp_path / "left").read_text() == "whole"


def test_signals_reach_a_fork(tmp_path: Path) -> None:
    """A fork is known by its own process id: it is interrupted, waited for and killed by it."""
    code = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with forking.Forked([sys.executable, "-c", code], cwd=tmp_path, **pipes) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == process.pid
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.001)
            os.kill(process.pid, number)
            assert process.wait(60) == -number
        assert process.poll() == -number


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_who_asks_may_be_killed(part: float, tmp_path: Path) -> None:
    """A server goes on when who asked it for a fork is gone before the answer, or amid the question."""
    command = [sys.executable, "-c", "print('fine')"]
    program = forking.Program.read(command, str(tmp_path), dict(os.environ), False)
    assert program is not None
    words = json.dumps(asdict(program)).encode() + b"\n"
    with socket.socket(fileno=forking._connect(program.layer)) as channel:
        channel.sendall(words[: int(part * len(words))])
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"fine\n"


def test_forks_draw_random_numbers_of_their_own(tmp_path: Path) -> None:
    """Neither Python's nor numpy's random numbers are the same in two forks."""
    code = "import random, numpy; print(random.random()); print(numpy.random.random())"
    first, second = (subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
                     for _ in range(2))  # fmt: skip
    assert not set(first.stdout.split()) & set(second.stdout.split())


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["-O", "-c", "pass"], {}),
        (["-c", "pass"], {"PYTHONHASHSEED": "1"}),
        (["-c", "pass"], {"NUMBA_DISABLE_JIT": "1"}),
        (["absent.py"], {}),
        (["--version"], {}),
        ([], {}),
    ],
)
def test_what_a_fork_could_not_be_is_started(words: list[str], env: dict[str, str], tmp_path: Path) -> None:
    """An option, a hash seed, a variable of a library and a file that is not there are left to a real interpreter."""
    assert forking.Program.read([sys.executable, *words], str(tmp_path), os.environ | env, False) is None
    assert forking.Program.read([sys.executable, "-c", "pass"], str(tmp_path), os.environ, False) is not None


def test_another_package_is_not_forked(tmp_path: Path) -> None:
    """A program that finds another regsearch on its path has that one."""
    (tmp_path / "regsearch").mkdir()
    (tmp_path / "regsearch" / "__init__.py").write_text("other = True")
    code = "import regsearch; print(getattr(regsearch, 'other', False))"
    for words, cwd, places in ((["-c"], tmp_path, ROOT), (["-P", "-c"], ROOT, tmp_path)):
        env = os.environ | {"PYTHONPATH": str(places)}
        done = subprocess.run([sys.executable, *words, code], cwd=cwd, env=env, capture_output=True, check=True)
        assert done.stdout.split() == [b"True"]


def test_layers_hold_what_they_say(tmp_path: Path) -> None:
    """Code is forked from a server without Optuna and MLflow, which it may have to leave out, scripts from one with."""
    code = "import sys; print(sorted({'mlflow', 'optuna'} & set(sys.modules)))"
    (tmp_path / "script.py").write_text(code)
    for words, loaded in ((["-c", code], "[]"), (["script.py"], "['optuna']")):
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == loaded
