"""The servers from which `forking` forks programs, and what a fork becomes.

A server has a layer of libraries loaded and no Python threads; a further one is forked from it, when it is first asked
for, and loads the next layer. Each listens at a socket of the session's folder, and ends with the session.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl
from forking import THREADS, Forked, Program, folder, folders

ROOT = Path(__file__).resolve().parents[1]
CHUNK = 1 << 16
OTHERS = ("regsearch.models.neural", "regsearch.mirror", "regsearch.export.serving")  # of them only what the rest needs


@dataclass(frozen=True)
class Layer:
    """What a server loads, beyond what the server has that it is forked from."""

    modules: tuple[str, ...]
    rest: bool = False  # all of regsearch too, without what imports torch or MLflow; the solvers are compiled

    def load(self) -> None:
        """Import it all; starts no thread."""
        for module in (*self.modules, *(_rest() if self.rest else ())):
            importlib.import_module(module)
        if self.rest:
            _compile()
        assert threading.active_count() == 1, threading.enumerate()
        gc.collect()
        gc.freeze()  # a collection in a fork must not touch, and so copy, what all forks share


def _rest() -> Iterator[str]:
    for found in pkgutil.walk_packages([str(ROOT / "regsearch")], "regsearch."):
        if not found.name.endswith("__main__") and not found.name.startswith(OTHERS):
            yield found.name


def _compile() -> None:
    """Have the solvers' machine code, which is otherwise read from the disk, or compiled, by each fork."""
    from regsearch import Linear
    from regsearch.data.problem import make_problem

    X = np.random.default_rng(0).normal(size=(20, 3))
    for y in (X[:, 0], X[:, 0] > 0):
        Linear("l1", lambda_=0.1).refit(make_problem(X, y), 0)


LAYERS = {
    "bundle": Layer(("skops.io", "sklearn.datasets", "sklearn.model_selection", "regsearch.export.bundle.loading",
                           "regsearch.export.bundle.example")),
    "study": Layer(("optuna", "plotly.graph_objects", "matplotlib.pyplot"), rest=True),
    "mlflow": Layer(("mlflow", "mlflow.store.tracking.sqlalchemy_store", "regsearch.mirror.writer")),
}  # fmt: skip


def main(place: str, name: str, site: list[str]) -> None:
    """Serve a layer, in the background; in each fork, become the program that is asked for."""
    folders.append(Path(place))
    _site.extend(site)
    subprocess.Popen = Forked  # type: ignore[misc]
    ours, theirs = os.pipe()
    if os.fork():
        os.close(theirs)
        os._exit(not os.read(ours, 1))
    os.close(ours)
    Server(name, theirs).serve()()


class Server:
    """Forks a program for each request, and reports how it ended."""

    def __init__(self, name: str, ready: int) -> None:
        """Load a layer and listen; then say so at the end of a pipe."""
        LAYERS[name].load()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder() / f".{name}"))
        self.listener.listen(64)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(0, selectors.EVENT_READ)
        self.running: dict[int, tuple[int, socket.socket]] = {}  # by pidfd
        os.rename(folder() / f".{name}", folder() / name)
        os.write(ready, b"1")
        os.close(ready)

    def serve(self) -> Callable[[], None]:
        """Answer until the process that started the servers is gone; in a fork, what it must do."""
        while True:
            for key, _ in self.selector.select():
                if key.fd == 0:
                    os._exit(0)
                if key.fileobj is not self.listener:
                    self.ended(key.fd)
                elif become := self.accept():
                    return become

    def accept(self) -> Callable[[], None] | None:
        channel, _ = self.listener.accept()
        words, files, _, _ = socket.recv_fds(channel, CHUNK, 3)
        while not words.endswith(b"\n"):
            more = channel.recv(CHUNK)
            if not more:  # who asked was killed in the middle of it
                channel.close()
                for given in files:
                    os.close(given)
                return None
            words += more
        request = json.loads(words)
        return self.grow(channel, request["grow"]) if "grow" in request else self.fork(channel, request, files)

    def grow(self, channel: socket.socket, name: str) -> Callable[[], None] | None:
        """Fork a server with a further layer, unless there is one, and say when it is there."""
        ours, theirs = os.pipe()
        if not (folder() / name).exists() and not os.fork():
            self.leave()
            channel.close()
            os.close(ours)
            return Server(name, theirs).serve()
        os.close(theirs)
        os.read(ours, 1)
        os.close(ours)
        say(channel, b"ready\n")
        channel.close()
        return None

    def fork(self, channel: socket.socket, request: dict[str, Any], files: list[int]) -> Callable[[], None] | None:
        """Fork a program."""
        pid = os.fork()
        if not pid:
            self.leave()
            channel.close()
            for own, given in enumerate(files):
                os.dup2(given, own)
                os.close(given)
            program = Program(**request)
            return lambda: become(program)
        for given in files:
            os.close(given)
        ended = os.pidfd_open(pid)
        self.running[ended] = pid, channel
        self.selector.register(ended, selectors.EVENT_READ)
        say(channel, f"{pid}\n".encode())
        return None

    def leave(self) -> None:
        """Close what is the server's own, in a fork."""
        self.selector.close()
        self.listener.close()
        for ended, (_, channel) in self.running.items():
            os.close(ended)
            channel.close()

    def ended(self, ended: int) -> None:
        """Report the status of a program that ended."""
        pid, channel = self.running.pop(ended)
        self.selector.unregister(ended)
        os.close(ended)
        _, status = os.waitpid(pid, 0)
        say(channel, f"{status}\n".encode())
        channel.close()


def say(channel: socket.socket, words: bytes) -> None:
    """Answer, if anybody still waits for it."""
    with contextlib.suppress(OSError):
        channel.sendall(words)


# --- what a fork becomes ---------------------------------------------------------------------------------------


def become(program: Program) -> None:
    """Be what a fresh interpreter is before it runs a program, and run it."""
    if program.session:
        os.setsid()
    os.umask(program.umask)
    os.chdir(program.cwd)
    _limit_threads(program.env)
    os.environ.clear()
    os.environ.update(program.env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _seed()
    for option in filter(None, program.env.get("PYTHONWARNINGS", "").split(",")):
        sys.warnoptions.append(option)
        warnings._processoptions([option])  # type: ignore[attr-defined]
    sys.path[:] = _path(program)
    importlib.invalidate_caches()
    sys.argv[:] = [program.kind or program.what, *program.arguments]
    sys.orig_argv[:] = [sys.executable, *program.words]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
    _end(_status(lambda: _run(program, main)), main)


def _status(run: Callable[[], None]) -> int:
    """The status with which Python ends after a program, having said on standard error what it says there."""
    try:
        run()
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001  # whatever it is, it ends the program
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _end(status: int, main: types.ModuleType) -> None:
    """End as Python does, but for the modules: taking them down would touch, and so copy, all that forks share."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    main.__dict__.clear()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = 120
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


def _limit_threads(env: Mapping[str, str]) -> None:
    limits = {env[name] for name in THREADS if name in env and env[name] != os.environ.get(name)}
    if limits:
        threadpoolctl.threadpool_limits(int(min(limits)))


def _seed() -> None:
    """Random numbers that are not those of every other fork."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _path(program: Program) -> list[str]:
    places = [place for place in program.env.get("PYTHONPATH", "").split(os.pathsep) if place]
    first = {"-c": "", "-m": program.cwd}.get(program.kind, os.path.dirname(os.path.realpath(program.what)))
    return [*([] if program.safe else [first]), *dict.fromkeys([*places, *_site])]


_site: list[str] = []  # what every interpreter has on its path, after ``PYTHONPATH``


def _run(program: Program, main: types.ModuleType) -> None:
    if program.kind == "-m":
        runpy._run_module_as_main(program.what)  # type: ignore[attr-defined]  # what ``python -m`` does
        return
    source, name = program.what, "<string>"
    if not program.kind:
        name = os.path.abspath(program.what)
        main.__dict__.update(__file__=name, __cached__=None)
        source = Path(name).read_text(encoding="utf-8")
    exec(compile(source, name, "exec", dont_inherit=True), main.__dict__)
