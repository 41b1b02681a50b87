"""What every benchmark shares: one thread, both sides in turn, and one form of result."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import regsearch
from regsearch.cores import THREADS  # which loads nothing

BUILD = Path(__file__).resolve().parents[1] / "build"


def one_thread() -> None:
    """Must run before numpy is imported."""
    os.environ.update(dict.fromkeys(THREADS, "1"))


@dataclass(frozen=True)
class Row:
    """One measured claim: `ratio` must not exceed `bar`. Ratios are ours over theirs unless the name has a unit."""

    name: str
    ratio: float
    bar: float
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.ratio <= self.bar


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpu_seconds(work: Callable[[], object]) -> float:
    """What one call costs the processor, on all threads: other processes do not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


def all_in_turn(
    sides: Sequence[Callable[[int], object]], rounds: int, clock: Callable[[Callable[[], object]], float] = seconds
) -> list[list[float]]:
    """Call every side once in each round, with the round's number: by side, what the clock says of each call."""
    spent = [[clock(partial(side, k)) for side in sides] for k in range(rounds)]
    return [list(side) for side in zip(*spent, strict=True)]


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios ours/theirs of the rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def quick() -> bool:
    """Whether to run at tiny sizes, to see that everything works: the figures mean nothing then."""
    return "--quick" in sys.argv


def kept(name: str, made: Callable[[], Any]) -> Any:
    """What is at a name in `build`, else what is made now, which is kept there: a long run that ended early goes on.

    Parameters
    ----------
    name
        Of the folder and file, without an ending. All that the value depends on is in it.
    made
        Makes the value, of what JSON can hold.
    """
    file = BUILD / f"{name}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        made_now = json.dumps(made())
        beside = file.with_suffix(".part")
        beside.write_text(made_now, encoding="utf-8")
        beside.replace(file)
    return json.loads(file.read_text(encoding="utf-8"))


def package() -> str:
    """A digest of the package's sources: what was measured of them is not what others would give."""
    folder = Path(regsearch.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def in_turn(ours: Callable[[int], object], theirs: Callable[[int], object], rounds: int) -> tuple[float, float, float]:
    """Call both sides in turn, each with the number of the round.

    Returns
    -------
    tuple
        The median of the paired ratios ours/theirs, and each side's median seconds.
    """
    mine, other = all_in_turn((ours, theirs), rounds)
    return paired(mine, other), statistics.median(mine), statistics.median(other)


def main(
    benchmarks: Iterable[Callable[[], Iterator[Row]]], description: str, more: Sequence[argparse.ArgumentParser] = ()
) -> list[Row]:
    """Run benchmarks whose names contain the given words; print a table, or with ``--json`` a list of objects.

    Parameters
    ----------
    more
        Parsers of options that a file has of its own.

    Returns
    -------
    list of Row
        What was measured.
    """
    parser = argparse.ArgumentParser(description=description, parents=more)
    parser.add_argument("only", nargs="*", help="run those whose name contains one of these words")
    parser.add_argument("--json", action="store_true", help="print [{name, ratio, bar, holds, note}]")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, where there are any: to see that it works")
    arguments = parser.parse_args()
    rows: list[Row] = []
    if not arguments.json:
        print(f"{'':44}{'ratio':>10}{'bar':>10}")
    for benchmark in benchmarks:
        if arguments.only and not any(word in benchmark.__name__ for word in arguments.only):
            continue
        for row in benchmark():
            rows.append(row)
            if not arguments.json:
                verdict = "holds" if row.holds else "FAILS"
                print(f"{row.name:44}{row.ratio:10.4g}{row.bar:10.4g}  {verdict}  {row.note}", flush=True)
    if arguments.json:
        print(json.dumps([asdict(row) | {"holds": row.holds} for row in rows]))
    return rows
