"""Fixtures of all tests, how their programs are started, and which of the slow ones run."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import forking
import pytest
from browser import browser, page
from hypothesis import settings
from postgres import _cluster, postgres

from regsearch import cleaning

__all__ = ["_cluster", "browser", "page", "postgres"]

# How long an example takes is no property of the code. The examples are the same in every run, but with --all.
settings.register_profile("same", deadline=None, derandomize=True, max_examples=25)
settings.register_profile("all", deadline=None)
settings.load_profile("same")

HERE = Path(__file__).resolve().parent
MEMORY = Path("/dev/shm")
ENOUGH = 4 << 30  # bytes
SAMPLE = 12  # of the slow cases every twelfth runs ...
MOST = 8  # ... and no more than these of one test


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every case of the slow tests, and examples at random")


def pytest_configure(config: pytest.Config) -> None:
    """Share what is made once, and write to memory: most of the tests' time would go into waiting for a disk."""
    if config.getoption("--all"):
        settings.load_profile("all")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    os.environ.update(dict.fromkeys(forking.THREADS, "1"))  # there is a worker for each core
    shared = ExitStack()
    shared.enter_context(forking.session())
    config.add_cleanup(shared.close)


def pytest_sessionstart() -> None:
    """Ctrl-C is handled, here and in what is started from here, also where this came to run in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out most of the slow cases, the same in every run, unless all are asked for.

    A test of hundreds of cases runs a few of them, which lie as far from each other as its cases go.

    Those that are slow `of` one thing, such as a server, count by themselves, and the first of them runs.

    Those of the whole, which lie beside this file, come first: they are long, and one of them that is the last would
    leave the other workers with nothing to do.
    """
    items.sort(key=lambda item: item.path.parent != HERE)
    if config.getoption("--all"):
        return
    slow = [(item, item.nodeid.partition("[")[0]) for item in items if item.get_closest_marker("slow")]
    cases = Counter(test for _, test in slow)
    seen: Counter[str] = Counter()
    out = set()
    for item, test in slow:
        (marker,) = itertools.islice(item.iter_markers("slow"), 1)
        many = cases[test] > SAMPLE * MOST
        counted = test if many else marker.kwargs.get("of", "")
        if seen[counted] % (-(-cases[test] // MOST) if many else SAMPLE):
            out.add(item)
        seen[counted] += 1
    config.hook.pytest_deselected(items=[item for item in items if item in out])
    items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session", autouse=True)
def _forked() -> Iterator[None]:
    """Python programs are forked from a server that has the libraries loaded."""
    with forking.forked():
        yield


@pytest.fixture(autouse=True)
def _started(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that is marked so starts its programs as a user does."""
    if request.node.get_closest_marker("process"):
        monkeypatch.setattr(subprocess, "Popen", forking.REAL)


@pytest.fixture(autouse=True)
def _own_secrets_end() -> Iterator[None]:
    """Passwords of addresses that a test gives are words like others after it: what is said with them is not hidden."""
    known = set(cleaning._remembered)
    yield
    cleaning._remembered.intersection_update(known)


@pytest.fixture(autouse=True)
def _own_rules_end() -> Iterator[None]:
    """Rules that a test registers, as one of the docs' pages or of a script does, are gone after it."""
    yield
    registry = sys.modules.get("regsearch.results.rules.registry")
    if registry is not None:
        for table in (registry.RULES, registry.RULES_WITH_NUMBER):
            for name in [name for name, one in table.items() if not str(one.__module__).startswith("regsearch.")]:
                del table[name]
