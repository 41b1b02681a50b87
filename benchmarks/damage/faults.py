"""Faults of storage and MLflow."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

from damage.files import FILES, LINES, SILENT, edit_journal, problem_of
from damage.section import Attempt, section
from damage.services import FAULTS
from damage.services import problem_of as services_problem
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
    services: dict[str, Callable[[], str]] = {
        f"{kind}: {fault.__name__}": partial(services_problem, fault) for kind, of in FAULTS.items() for fault in of
    }
    return files | services | {f"journal: {change.__name__}": partial(_lines, change) for change in LINES}


@section(count=49)
def faults(count: int, seed: int) -> Iterator[Attempt]:
    """What is damaged or fails costs itself alone: a sentence says so, what is finished is kept, the study goes on."""
    every = every_fault()
    for name in random.Random(seed).sample(sorted(every), min(count, len(every))):
        yield Attempt(name, every[name]())
