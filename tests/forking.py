"""Interpreters that start at once: forks of a server that has the libraries loaded.

Importing scikit-learn takes longer than most commands that are tested. While `Forked` stands in place of
`subprocess.Popen`, a Python program that is started is forked from a server process instead, with its own arguments,
streams, folder, environment, umask, session and exit status, and a process id to send signals to. The server has no
Python threads, and there is one for each layer of libraries, forked from the one below it, so that a program that must
not import MLflow is forked from a server without it. Anything whose interpreter would differ (an option, a hash seed,
a ``sitecustomize``) is started as always, and so is everything that is not Python.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
OWN_VARIABLES = {"PYTHONPATH", "PYTHONSAFEPATH", "PYTHONWARNINGS", *THREADS}  # a fork does what they say
AT_START = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMBA_", "MPL")  # read by interpreters and libraries as they start

BELOW = {"bundle": None, "study": "bundle", "mlflow": "study"}  # the layers, each with the one that it is forked from
LAYER_OF = {"regsearch": "study", "regsearch.mirror.writer": "mlflow", "mlflow": "mlflow", "uvicorn": "mlflow"}


@dataclass(frozen=True)
class Program:
    """What an interpreter is asked to run, and where."""

    words: list[str]  # of the command line, after the interpreter's own
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
        first, *given = [os.fsdecode(word) for word in command]
        safe = given[:1] == ["-P"]
        words = given[safe:]
        if first != sys.executable or not words or not os.path.isdir(cwd) or not _like_here(env):
            return None
        kind = words[0] if words[0] in {"-c", "-m"} else ""
        what, *arguments = words[bool(kind) :] or [""]
        if not what or (not kind and (what.startswith("-") or not os.path.isfile(os.path.join(cwd, what)))):
            return None
        safe = safe or bool(env.get("PYTHONSAFEPATH"))
        first = cwd if kind else os.path.dirname(os.path.join(cwd, what))
        if _is_of_another_package([*([] if safe else [first]), *env.get("PYTHONPATH", "").split(os.pathsep)]):
            return None
        return cls(given, kind, what, arguments, safe, cwd, dict(env), _umask(), session)


def _like_here(env: Mapping[str, str]) -> bool:
    """Whether an interpreter that starts in an environment is like the server, but for what a fork can mend."""

    def read(variables: Mapping[str, str]) -> dict[str, str]:
        return {k: v for k, v in variables.items() if k.startswith(AT_START) and k not in OWN_VARIABLES}

    places = env.get("PYTHONPATH", "").split(os.pathsep)
    return read(env) == _start_variables() and not any(
        os.path.exists(os.path.join(place, f"{name}.py"))
        for place in places for name in ("sitecustomize", "usercustomize")
    )  # fmt: skip


def _is_of_another_package(places: Sequence[str]) -> bool:
    """Whether `import regsearch` finds another one than the servers have."""
    found = (place for place in places if os.path.exists(os.path.join(place, "regsearch", "__init__.py")))
    return os.path.realpath(next(found, ROOT)) != os.path.realpath(ROOT)


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
    below = BELOW[name]
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
    code = (
        "import sys; site = list(sys.path); sys.path[:0] = sys.argv[3:]; import fork_server; "
        "fork_server.main(*sys.argv[1:3], site)"
    )
    paths = [str(ROOT), str(ROOT / "tests"), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with alone("starting"), (folder() / "log").open("a") as log, open(folder() / ALIVE, "rb", opener=_at_once) as alive:
        if (folder() / name).exists():
            return
        server = REAL(
            [sys.executable, "-P", "-c", code, str(folder()), name, *paths],
            stdin=alive, stdout=log, stderr=log, cwd=folder(), env=env, start_new_session=True,
        )  # fmt: skip
        if server.wait():
            raise RuntimeError(f"The fork server must start, and does not: {(folder() / 'log').read_text()}")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # the other end of the pipe is there already


# --- the session -----------------------------------------------------------------------------------------------

FOLDER = "REGSEARCH_TESTS"  # the variable that tells all processes of a test session where they share things
ALIVE = "alive"  # a named pipe there, which the session's first process holds open for as long as it lives
folders: list[Path] = []  # in a server and its forks, whose environments may lack the variable


def folder() -> Path:
    """Where the processes of a test session share what they make once."""
    return folders[0] if folders else Path(os.environ[FOLDER])


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
    _start_variables()  # before a test changes one
    subprocess.Popen = Forked  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = REAL  # type: ignore[misc]
