"""A real PostgreSQL for the tests: a cluster of their own in a folder, which may be killed and started again.

A test takes the fixture ``postgres``, makes a database of its own with `Cluster.database`, and leaves the server as it
likes: the next test finds it running. Where PostgreSQL is not installed such tests are skipped; with
``REGSEARCH_POSTGRES=required`` they fail. A server refuses to run as root, and is given to another user then.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
from samples import TIMEOUT_S, poll

OWNER = "regsearch_tests"
PASSWORD = "s3cret-0f-postgres"
INSTALLED = Path("/usr/lib/postgresql")  # where Debian's packages lie, none of whose programs are on the path
USERS = ("postgres", "nobody")
PORTS = range(20_000, 30_000)  # below those that the system gives to whoever connects: a stopped server's stays free
OPTIONS = {  # a commit reaches the system's memory, which a killed process does not take away, and no disk
    "listen_addresses": "127.0.0.1", "fsync": "off", "full_page_writes": "off",
    "shared_buffers": "16MB", "max_connections": "40", "logging_collector": "off", "autovacuum": "off",
}  # fmt: skip
_numbers = itertools.count()


def programs() -> Path | None:
    """The folder of the newest installed server's programs, or `None`."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(INSTALLED.glob("*/bin/initdb"), key=lambda file: float(file.parents[1].name))
    return versions[-1].parent if versions else None


def user() -> str | None:
    """Whom a server runs as; `None` where that is who runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in USERS if name in known)


class Cluster:
    """A server and its data.

    Parameters
    ----------
    folder
        Empty; of `user`, who must reach it.
    """

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None
        self.folder, self._programs = folder, found
        self.port = next(port for port in random.SystemRandom().sample(PORTS, 100) if _free(port))
        self._process: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._call(
            "initdb", "--pgdata", str(self.data), "--username", OWNER, "--pwfile", str(password), "--no-sync",
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
        )  # fmt: skip
        password.unlink()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    # --- the server ----------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        assert not self.running
        settings = {**OPTIONS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, user=user(), start_new_session=True,
            )  # fmt: skip
        assert poll(lambda: self._answers() or not self.running), self.log
        assert self.running, self.log

    def stop(self) -> None:
        """End the server, and with it every connection: an administrator's fast shutdown."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """Have the server and all its processes gone at once."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        for process in [server, *server.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(TIMEOUT_S)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _call(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), *options]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, user=user(), check=False, timeout=TIMEOUT_S
        )
        assert done.returncode == 0, done.stderr

    # --- what is in it -------------------------------------------------------------------------------------------

    def url(self, database: str = "postgres", driver: str = "+psycopg", password: str = PASSWORD) -> str:
        """The URL of a database, as SQLAlchemy has it."""
        return f"postgresql{driver}://{OWNER}:{password}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The name of a new database, which is empty."""
        name = f"db{next(_numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        return name

    def ask(self, query: str, values: Sequence[Any] = (), database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a query; empty for a command."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=OWNER, password=PASSWORD, dbname=database, autocommit=True,
            connect_timeout=TIMEOUT_S,
        ) as connection:  # fmt: skip
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def end_connections(self) -> None:
        """End every connection, as a server does with those that are idle for long."""
        ended = self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        assert ended


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster, for as long as the block lasts.

    Raises
    ------
    FileNotFoundError
        None is installed.
    """
    if programs() is None:
        raise FileNotFoundError(f"no PostgreSQL on the path or in {INSTALLED}: apt-get install postgresql")
    # not below pytest's own folder, which only its user may enter, and short: a socket's path has at most 107 bytes
    with tempfile.TemporaryDirectory(prefix="pg", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as folder:
        owner = user()
        if owner is not None:
            shutil.chown(folder, owner)
        made = Cluster(Path(folder))
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="session")
def _cluster() -> Iterator[Cluster]:
    """One cluster for all tests of a worker."""
    if programs() is None and os.environ.get("REGSEARCH_POSTGRES") != "required":
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with cluster() as running:
        yield running


@pytest.fixture
def postgres(_cluster: Cluster) -> Cluster:
    """A server that runs, whatever the last test did to it."""
    if not _cluster.running:
        _cluster.start()
    return _cluster
