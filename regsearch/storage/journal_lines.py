"""What the lines of a journal hold: a line that cannot be read is left out, and the others mean what they meant.

Optuna numbers trials by the lines that make them: one that is lost, or there twice, would shift the number of every
later trial. So a line that must have made a trial, as later ones speak of it, is put in its place again.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Log = dict[str, Any]
CREATE_STUDY, CREATE_TRIAL, MAXIMIZE = 0, 4, 2  # as Optuna numbers them
NUMBER, OPTIONAL = (int, float), type(None)
# by operation, what Optuna reads of it
FIELDS: Mapping[int, Mapping[str, Any]] = {
    0: {"study_name": str, "directions": list},
    1: {"study_id": int},
    2: {"study_id": int, "user_attr": dict},
    3: {"study_id": int, "system_attr": dict},
    4: {"study_id": int, "datetime_start": (str, OPTIONAL)},
    5: {"trial_id": int, "param_name": str, "param_value_internal": NUMBER, "distribution": str},
    6: {"trial_id": int, "state": int, "values": (list, OPTIONAL)},
    7: {"trial_id": int, "step": int, "intermediate_value": NUMBER},
    8: {"trial_id": int, "user_attr": dict},
    9: {"trial_id": int, "system_attr": dict},
    10: {},
}
BLANK, GARBAGE, DOUBLED = "is blank", "is no operation of Optuna's", "is there twice"


@dataclass(frozen=True)
class Line:
    """One line of a journal.

    Attributes
    ----------
    text
        Its bytes; empty of one that was put in the place of a lost one.
    log
        The operation; `None` where it holds none.
    problem
        Why it holds none.
    number
        From 1.
    """

    text: bytes
    log: Log | None
    problem: str = ""
    number: int = field(default=0, compare=False)

    @property
    def content(self) -> bytes:
        """The bytes of its operation."""
        return self.text or json.dumps(self.log, separators=(",", ":")).encode() + b"\n"


def parsed(texts: Sequence[bytes]) -> list[Line]:
    """The lines that hold an operation, and those that do not."""
    return [_line(text, number) for number, text in enumerate(texts, 1)]


def _line(text: bytes, number: int) -> Line:
    if not text.strip(b"\0 \t\r\n"):
        return Line(text, None, BLANK, number)
    try:
        log = json.loads(text)
        good = isinstance(log["worker_id"], str)
        for name, kind in FIELDS[log["op_code"]].items():
            good = good and isinstance(log[name], kind)
    except (ValueError, KeyError, TypeError, RecursionError):
        good = False
    return Line(text, log, number=number) if good else Line(text, None, GARBAGE, number)


def readable(lines: Sequence[Line], name: str, apply: Callable[[Log], None] | None = None) -> list[Line]:
    """The lines of a whole journal, with what is needed for the others to mean what they meant.

    Parameters
    ----------
    name
        The study's.
    apply
        Does what an operation says, and raises where it cannot.

    Raises
    ------
    ValueError
        When no line is an operation, or trials are spoken of that no line made or can have made.
    """
    if lines and all(line.log is None for line in lines):
        raise ValueError(f"none of its {len(lines)} lines is an operation")
    found = [*_without_copies(lines)]
    if apply is not None:
        found = [_tried(line, apply) for line in found]
    if any(line.log is not None for line in found) and not any(_makes(line, CREATE_STUDY) for line in found):
        found = _restored_study(found, name)
    return _restored_trials(found)


def _makes(line: Line, operation: int) -> bool:
    return line.log is not None and line.log["op_code"] == operation


def _without_copies(lines: Sequence[Line]) -> Iterator[Line]:
    """Lines, a copy of an earlier one without its operation."""
    seen: set[bytes] = set()
    for line in lines:
        if line.log is None:
            yield line
        elif line.text in seen and _unlike_others(line.log):
            yield replace(line, log=None, problem=DOUBLED)
        else:
            seen.add(line.text)
            yield line


def _unlike_others(log: Log) -> bool:
    """Whether there can be one line of this text only: it is numbered, or makes a trial at a moment."""
    return "n" in log or (log["op_code"] == CREATE_TRIAL and log["datetime_start"] is not None)


def _tried(line: Line, apply: Callable[[Log], None]) -> Line:
    try:
        if line.log is not None:
            apply(line.log)
    except Exception:  # noqa: BLE001 - whatever a line that Optuna did not write leads to
        return replace(line, log=None, problem=GARBAGE)
    return line


def _restored_study(lines: list[Line], name: str) -> list[Line]:
    """Lines that begin with the study that they are about."""
    if lines[0].log is not None:
        raise ValueError("its first line makes no study")
    made = {"op_code": CREATE_STUDY, "worker_id": "", "study_name": name, "directions": [MAXIMIZE]}
    return [lines[0], Line(b"", made), *lines[1:]]


def _restored_trials(lines: Sequence[Line]) -> list[Line]:
    """Lines with one more that makes a trial where a lost one must have done so: later ones speak of that trial."""
    found: list[Line] = []
    gaps: list[int] = []  # where a line was lost
    trials = 0
    for line in lines:
        if line.problem and line.problem != DOUBLED:
            gaps.append(len(found) + 1)
        for _ in range(_before(line) - trials):
            if not gaps:
                raise ValueError(f"its line {line.number} speaks of trial {_before(line) - 1}, which no line made")
            found.insert(gaps.pop(), Line(b"", _new_trial()))
            trials += 1
        trials += _makes(line, CREATE_TRIAL)
        found.append(line)
    return found


def numbered(logs: Sequence[Log], trials: int, numbers: Iterator[int]) -> Iterator[Log]:
    """Operations as they are written: each unlike every other, and those that make a trial with its number.

    Parameters
    ----------
    trials
        How many trials there are before.
    """
    made = itertools.count(trials)
    for log in logs:
        own = {"trial_id": next(made)} if log["op_code"] == CREATE_TRIAL else {}
        yield {**log, **own, "n": next(numbers)}


def _before(line: Line) -> int:
    """How many trials must have been made before a line: of the one that it makes or is about, the number says so."""
    number = -1 if line.log is None else line.log.get("trial_id", -1)
    return int(number) + (not _makes(line, CREATE_TRIAL))


def _new_trial() -> Log:
    return {"op_code": CREATE_TRIAL, "worker_id": "", "study_id": 0, "datetime_start": None}
