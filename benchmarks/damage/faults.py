"""Faults of storage and MLflow."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

from damage.files import FILES, LINES, SILENT, edit_journal, problem_of
from damage.section import Attempt, section
from damage.stored import copied


def _file(name: str, fault: Callable[..., None]) -> str:
    with copied() as copy:
        fault(copy.store.folder / name)
        return problem_of(copy, silent=False)


def _lines(change: Callable[[list[bytes]], None]) -> str:
    with copied() as copy:
        edit_journal(copy.store, change)
        return problem_of(copy, silent=change.__name__ in SILENT)


def every_fault() -> dict[str, Callable[[], str]]:
    """What is tried, by name: each says what did not hold."""
    files: dict[str, Callable[[], str]] = {
        f"{name}: {fault.__name__}": partial(_file, name, fault) for name, of in FILES.items() for fault in of
    }
    return files | {f"journal: {change.__name__}": partial(_lines, change) for change in LINES}


@section(count=40)
def faults(count: int, seed: int) -> Iterator[Attempt]:
    """A damaged file or line costs itself alone, in one line that names it; the study is shown, and goes on."""
    every = every_fault()
    names = random.Random(seed).sample(sorted(every), min(count, len(every)))
    for name in names:
        yield Attempt(name, every[name]())
