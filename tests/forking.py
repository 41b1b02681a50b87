"""Interpreters that start at once: forks of a server that has the libraries loaded.

Importing scikit-learn takes longer than most commands that are tested. While `Forked` stands in place of
`subprocess.Popen`, a Python program that is started is forked from a server process instead, with its own arguments,
streams, folder, environment, umask, session and exit status, and a process id to send signals to. The server has no
Python threads, and there is one for each of the `LAYERS`, forked from the one below it, so that a program that must
not import MLflow is forked from a server without it. Anything whose interpreter would differ (an option, a hash seed,
a ``sitecustomize``) is started as always, and so is everything that is not Python.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import threadpoolctl

ROOT = Path(__file__).resolve().parents[1]
CHUNK = 1 << 16
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OWN_VARIABLES = {"PYTHONPATH", "PYTHONSAFEPATH", "PYTHONWARNINGS", *THREADS}  # a fork does what they say
AT_START = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "MPL")  # read by interpreters and libraries as they start

OTHERS = ("regsearch.models.neural", "regsearch.mirror", "regsearch.export.serving")  # of them only what the rest needs


@dataclass(frozen=True)
class Layer:
    """What a server has loaded, beyond the server that it is forked from."""

    below: str | None
    modules: tuple[str, ...]
    rest: bool = False  # all of regsearch too, without what imports torch or MLflow

    def load(self) -> None:
        """Import it all; starts no thread."""
        for module in (*self.modules, *(_rest() if self.rest else ())):
            importlib.import_module(module)
        assert threading.active_count() == 1, threading.enumerate()
        gc.collect()
        gc.freeze()  # a collection in a fork must not touch, and so copy, what all forks share


def _rest() -> Iterator[str]:
    for found in pkgutil.walk_packages([str(ROOT / "regsearch")], "regsearch."):
        if not found.name.endswith("__main__") and not found.name.startswith(OTHERS):
            yield found.name


LAYERS = {
    "bundle": Layer(None, ("skops.io", "sklearn.datasets", "sklearn.model_selection", "regsearch.export.bundle.loading",
                           "regsearch.export.bundle.example")),
    "study": Layer("bundle", ("optuna", "plotly.graph_objects", "matplotlib.pyplot"), rest=True),
    "mlflow": Layer("study", ("mlflow", "mlflow.store.tracking.sqlalchemy_store", "regsearch.mirror.writer")),
}  # fmt: skip
LAYER_OF = {"regsearch": "study", "regsearch.mirror.writer": "mlflow", "mlflow": "mlflow", "uvicorn": "mlflow"}


@dataclass(frozen=True)
class Program:
    """What an interpreter is asked to run, and where."""

    kind: str  # "-c", "-m" or "" for a file
    what: str
    arguments: list[str]
    safe: bool  # without the folder of the program on the path
    cwd: str
    env: dict[str, str]
    umask: int
    session: bool

    @property
    def layer(self) -> str:
        """The richest layer that has nothing that the program should import by itself."""
        return {"-c": "bundle", "": "study"}.get(self.kind) or LAYER_OF.get(self.what, "bundle")

    @classmethod
    def read(cls, command: Sequence[Any], cwd: str, env: Mapping[str, str], session: bool) -> Program | None:
        """The program of a command line, or `None` where a fork would not be the same as a start."""
        first, *words = [os.fsdecode(word) for word in command]
        safe = words[:1] == ["-P"]
        words = words[safe:]
        if first != sys.executable or not words or not os.path.isdir(cwd) or not _like_here(env):
            return None
        kind = words[0] if words[0] in {"-c", "-m"} else ""
        what, *arguments = words[bool(kind) :] or [""]
        if not what or (not kind and (what.startswith("-") or not os.path.isfile(os.path.join(cwd, what)))):
            return None
        safe = safe or bool(env.get("PYTHONSAFEPATH"))
        return cls(kind, what, arguments, safe, cwd, dict(env), _umask(), session)


def _like_here(env: Mapping[str, str]) -> bool:
    """Whether an interpreter that starts in an environment is like the server, but for what a fork can mend."""

    def read(variables: Mapping[str, str]) -> dict[str, str]:
        return {k: v for k, v in variables.items() if k.startswith(AT_START) and k not in OWN_VARIABLES}

    places = env.get("PYTHONPATH", "").split(os.pathsep)
    return read(env) == _start_variables() and not any(
        os.path.exists(os.path.join(place, f"{name}.py"))
        for place in places for name in ("sitecustomize", "usercustomize")
    )  # fmt: skip


@cache
def _start_variables() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith(AT_START) and k not in OWN_VARIABLES}


def _umask() -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line.split()[1] for line in file if line.startswith("Umask:")), 8)


# --- the side of the test --------------------------------------------------------------------------------------

REAL = subprocess.Popen


class Forked(subprocess.Popen):  # type: ignore[type-arg]  # it stands for Popen of bytes and of text
    """A `subprocess.Popen` whose process is a fork of a server, where that is the same."""

    _link = -1  # a connection to the server that answers with the process id, and with its status when it ends

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, close_fds: bool, pass_fds: Any, cwd: Any,
                       env: Any, startupinfo: Any, creationflags: Any, shell: bool, *rest: Any) -> None:  # fmt: skip
        streams, more = rest[:6], rest[6:]
        _, *owner, session, group = more  # restored signals; user, groups and umask of another are not forked
        plain = close_fds and not (executable or preexec_fn or pass_fds or shell or isinstance(args, (str, bytes)))
        where, variables = os.path.abspath(os.fsdecode(cwd or ".")), dict(os.environ if env is None else env)
        program = None
        if plain and group == -1 and {*owner} <= {None, -1}:
            program = Program.read([os.fspath(word) for word in args], where, variables, session)
        if program is None:
            super()._execute_child(  # type: ignore[misc]
                args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell, *rest
            )
            return
        theirs = [streams[i] if streams[i] != -1 else own for i, own in ((0, 0), (3, 1), (5, 2))]
        try:
            self._link = _connect(program.layer)
            _send(self._link, asdict(program), theirs)
            self.pid = int(_line(self._link))
            self._child_created = True
        finally:
            self._close_pipe_fds(*streams)  # type: ignore[attr-defined]

    def _internal_poll(self, *args: Any, **options: Any) -> int | None:
        if self._link == -1:
            return super()._internal_poll(*args, **options)  # type: ignore[misc, no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                self._note(*self._try_wait(os.WNOHANG))
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode

    def _note(self, pid: int, status: int) -> None:
        if pid and self.returncode is None:
            self._handle_exitstatus(status)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """What `os.waitpid` would say: the process is a child of the server's, not of this process."""
        if self._link == -1:
            return super()._try_wait(wait_flags)  # type: ignore[misc, no-any-return]
        if wait_flags & os.WNOHANG and not _readable(self._link):
            return 0, 0
        status = int(_line(self._link))
        os.close(self._link)
        return self.pid, status


def _readable(link: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        return bool(selector.select(0))


def _line(link: int) -> bytes:
    """The next line that the server writes.

    Raises
    ------
    ConnectionError
        The server is gone.
    """
    said = b""
    while not said.endswith(b"\n"):
        more = os.read(link, 1)  # of two lines that may have come already, only the first
        if not more:
            raise ConnectionError(f"The fork server in {folder()} must answer, and is gone: see its log there.")
        said += more
    return said


def _send(link: int, request: dict[str, Any], files: Sequence[int] = ()) -> None:
    with socket.socket(fileno=os.dup(link)) as channel:
        words = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(channel, [words], files)
        channel.sendall(words[sent:])


def _connect(name: str) -> int:
    """A connection to the server with a layer, which is started if there is none yet."""
    _up(name)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(folder() / name))
        return channel.detach()


def _up(name: str) -> None:
    """Have a server with a layer."""
    if (folder() / name).exists():
        return
    below = LAYERS[name].below
    if below is None:
        _start(name)
        return
    _up(below)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(folder() / below))
        _send(channel.fileno(), {"grow": name})
        _line(channel.fileno())


def _start(name: str) -> None:
    """Start the lowest server, unless another process does at this moment.

    Raises
    ------
    RuntimeError
        It does not start.
    """
    code = "import sys, forking; forking.main(*sys.argv[1:])"
    paths = [str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    with alone("starting"), (folder() / "log").open("a") as log, open(folder() / ALIVE, "rb", opener=_at_once) as alive:
        if (folder() / name).exists():
            return
        server = REAL(
            [sys.executable, "-P", "-c", code, str(folder()), name], stdin=alive, stdout=log, stderr=log,
            cwd=folder(), env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, start_new_session=True,
        )  # fmt: skip
        if server.wait():
            raise RuntimeError(f"The fork server must start, and does not: {(folder() / 'log').read_text()}")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # the other end of the pipe is there already


# --- the session -----------------------------------------------------------------------------------------------

FOLDER = "REGSEARCH_TESTS"  # the variable that tells all processes of a test session where they share things
ALIVE = "alive"  # a named pipe there, which the session's first process holds open for as long as it lives
_folders: list[Path] = []  # in a server and its forks, whose environments may lack the variable


def folder() -> Path:
    """Where the processes of a test session share what they make once."""
    return _folders[0] if _folders else Path(os.environ[FOLDER])


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Let one process of the session at a time do a thing."""
    with (folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def session() -> Iterator[None]:
    """Be the process that a test session ends with; workers of it find the variable set, and have nothing to do."""
    if FOLDER in os.environ:
        yield
        return
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="regsearch-tests-")
    os.mkfifo(folder() / ALIVE)
    alive = os.open(folder() / ALIVE, os.O_RDWR)
    try:
        yield
    finally:
        os.close(alive)
        shutil.rmtree(folder())
        del os.environ[FOLDER]


@contextlib.contextmanager
def forked() -> Iterator[None]:
    """Fork the Python programs that are started, for as long as the block lasts."""
    subprocess.Popen = Forked  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = REAL  # type: ignore[misc]


# --- the side of the server ------------------------------------------------------------------------------------


def main(place: str, name: str) -> None:
    """Serve a layer, in the background; in each fork, become the program that is asked for."""
    _folders.append(Path(place))
    _site.extend(sys.path[len(os.environ["PYTHONPATH"].split(os.pathsep)) :])
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
                become = self.accept() if key.fileobj is self.listener else self.ended(key.fd)
                if become is not None:
                    return become

    def accept(self) -> Callable[[], None] | None:
        channel, _ = self.listener.accept()
        words, files, _, _ = socket.recv_fds(channel, CHUNK, 3)
        while not words.endswith(b"\n"):
            words += channel.recv(CHUNK)
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
        channel.sendall(b"ready\n")
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
        channel.sendall(f"{pid}\n".encode())
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
        with contextlib.suppress(OSError):  # nobody waits for it any more
            channel.sendall(f"{status}\n".encode())
        channel.close()


# --- the side of the program -----------------------------------------------------------------------------------


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
    sys.orig_argv[:] = [sys.executable, *filter(None, [program.kind]), program.what, *program.arguments]
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
    except BaseException as error:
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
    return [*([] if program.safe else [first]), *places, *_site]


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
