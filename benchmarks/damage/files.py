"""Faults of a study's files: each is done to a finished study, which is then read by every command, and run again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from damage.stored import Copy, scores
from regsearch.storage.store import Store

Fault = Callable[[Path], None]  # done to a file
TRIAL, REFERENCE = "trials/000005.npz", "trials/000000.npz"


def empty(file: Path) -> None:
    """As a power failure leaves it."""
    file.write_bytes(b"")


def cut(file: Path) -> None:
    """As a full disk leaves it."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def foreign(file: Path) -> None:
    """Arrays of something else."""
    np.savez(file, weights=np.zeros(3))


def pickled(file: Path) -> None:
    """Arrays that only pickle reads."""
    with file.open("wb") as out:
        np.savez(out, axis=np.array([{}, None], dtype=object), complexity=np.zeros((1, 2)))


def reshaped(file: Path) -> None:
    """The arrays of a trial, the path one step longer than its curves."""
    with np.load(file) as arrays:
        found = dict(arrays)
    np.savez(file, **{**found, "axis": np.append(found["axis"], 0.0)})


def swapped(file: Path) -> None:
    """The whole file of another trial."""
    shutil.copy(file.with_name("000007.npz"), file)


def missing(file: Path) -> None:
    """Removed."""
    file.unlink()


def folder(file: Path) -> None:
    """A folder in its place."""
    file.unlink()
    file.mkdir()


def garbage(file: Path) -> None:
    """Bytes of no form."""
    file.write_bytes(np.random.default_rng(0).bytes(3000))


def listed(file: Path) -> None:
    """JSON of another kind."""
    file.write_text("[]")


def other(file: Path) -> None:
    """The JSON of another finding."""
    file.write_text(json.dumps({"finding": "another", "number": 0}))


FILES: Mapping[str, tuple[Fault, ...]] = {
    TRIAL: (empty, cut, foreign, pickled, reshaped, swapped, missing, folder, garbage),
    REFERENCE: (empty, missing),
    "folds.npz": (empty, cut, foreign, missing),
    "targets.npz": (empty, garbage, foreign, missing),
    "findings/profile.json": (empty, cut, listed, other),
    "pictures/seen.png": (cut,),
}

# --- the journal: what becomes of its lines ---------------------------------------------------------------------


def line_of(lines: list[bytes], operation: int, which: int) -> int:
    """Where the journal has one of the lines of an operation."""
    found = [place for place, line in enumerate(lines) if json.loads(line)["op_code"] == operation]
    return found[which]


def blank_line(lines: list[bytes]) -> None:
    lines.insert(len(lines) // 2, b"\n")


def doubled_line(lines: list[bytes]) -> None:
    place = line_of(lines, 4, 8)
    lines.insert(place, lines[place])


def garbage_line(lines: list[bytes]) -> None:
    lines.insert(len(lines) // 2, b"\xff\xfe{]\n")


def lost_study(lines: list[bytes]) -> None:
    lines[0] = b"?\n"


def lost_identity(lines: list[bytes]) -> None:
    lines[line_of(lines, 2, 0)] = b"{}\n"


def lost_trial(lines: list[bytes]) -> None:
    lines[line_of(lines, 4, 9)] = b"\0\0\0\n"


def lost_parameter(lines: list[bytes]) -> None:
    lines[line_of(lines, 5, -9)] = b'{"op_code":5}\n'


def lost_record(lines: list[bytes]) -> None:
    lines[line_of(lines, 8, -3)] = b"null\n"


def lost_end(lines: list[bytes]) -> None:
    lines[line_of(lines, 6, -2)] = b'{"op_code":99}\n'


def strange_distribution(lines: list[bytes]) -> None:
    place = line_of(lines, 5, 3)
    lines[place] = json.dumps(json.loads(lines[place]) | {"distribution": "[]"}).encode() + b"\n"


def cut_record(lines: list[bytes]) -> None:
    lines.append(b'{"op_code":8,"worker_id":"' + b"x" * 2_500_000)


def zeros(lines: list[bytes]) -> None:
    lines.append(bytes(4096))


LINES: tuple[Callable[[list[bytes]], None], ...] = (
    blank_line, doubled_line, garbage_line, lost_study, lost_identity, lost_trial, lost_parameter, lost_record,
    lost_end, strange_distribution, cut_record, zeros,
)  # fmt: skip
SILENT = {"cut_record", "zeros"}  # what a kill or a power failure leaves of a last line is nobody's loss


def edit_journal(store: Store, change: Callable[[list[bytes]], None]) -> None:
    """Do something to the lines of a journal."""
    lines = store.journal.read_bytes().splitlines(keepends=True)
    change(lines)
    store.journal.write_bytes(b"".join(lines))


# --- what must hold ---------------------------------------------------------------------------------------------


def problem_of(copy: Copy, silent: bool) -> str:
    """What does not hold for a study that was damaged: read by every command, then run again."""
    for name, ended in copy.read():
        if ended.status != 0:
            return f"{name} ended with {ended.status}: {ended.said[-400:]}"
        if "damaged" not in ended.said and not silent:
            return f"{name} did not say what is damaged"
    kept = copy.results()
    left = [trial.number for trial in kept.complete if abs(copy.expected[trial.number] - kept.point(trial).val) > 0]
    if left or len(kept.complete) < len(copy.expected) - 1:
        return f"{len(kept.complete)} of {len(copy.expected)} trials were shown, {left} with other scores"
    return run_again(copy)


def run_again(copy: Copy) -> str:
    """What does not hold for a damaged study that is run again."""
    ended = copy.run()
    if ended.status != 0:
        return f"the run ended with {ended.status}: {ended.said[-400:]}"
    results = copy.results()
    if scores(results) != copy.expected:
        return "its trials are others than before"
    if left := [one for one in results.damage if not one.startswith("pictures/")]:  # no run draws the one of these
        return f"after the run: {left}"
    return "the run left files behind" if [*copy.store.folder.rglob(".*.part")] else ""
