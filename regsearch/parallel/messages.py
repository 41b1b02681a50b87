"""What a driver and its workers tell each other.

A worker speaks, and the driver answers where an answer is due: `Idle` by `Begin` or `None`, `Wanted` by a `Task` or
`None`. Everything here can be pickled, and is small: data and space went to the worker before, as its `Job`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from regsearch._types import Array
from regsearch.models.base import Candidate, FixedHistory, Model, Outcome, Setup


@dataclass(frozen=True)
class Job:
    """What every worker of a run needs, once.

    Attributes
    ----------
    setup
        Without the search's history, its deadline and the held-out set, which are the driver's.
    known
        What the search's history was when the run began, by family (an empty one, where a space is of one).
    trial_s
        Seconds that a trial may take.
    folder
        Of the script, whose modules are needed beside it; empty where there is none.
    """

    space: Model
    setup: Setup
    known: Mapping[str, FixedHistory] = field(default_factory=dict)
    trial_s: float = float("inf")
    folder: str = ""


# --- of the driver ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Begin:
    """There are candidates, and so many seconds for them."""

    left_s: float


@dataclass(frozen=True)
class Task:
    """A candidate, by what the space was filled with, and what the search has found since the last one.

    Attributes
    ----------
    best_folds
        As `regsearch.models.base.SearchHistory` has it of a family, where that has changed, by family.
    curves
        Families and validation curves ``[K, S]`` of the last trials that others have evaluated, the earliest first.
    """

    number: int
    role: str
    draws: Mapping[str, Any]
    best_folds: Mapping[str, Array] = field(default_factory=dict)
    curves: Sequence[tuple[str, Array]] = ()

    def candidate(self, space: Model) -> Candidate:
        """The candidate, of the worker's own space."""
        return Candidate.of(space, self.number, self.role, self.draws)


Answer: TypeAlias = Begin | Task | None


# --- of a worker -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Idle:
    """It has nothing left to evaluate."""


@dataclass(frozen=True)
class Wanted:
    """It has room for a candidate."""


@dataclass(frozen=True)
class Evaluated:
    """The outcome of a candidate, by its number."""

    number: int
    parts: Mapping[str, Any]

    @classmethod
    def of(cls, outcome: Outcome) -> Evaluated:
        names = (one.name for one in fields(outcome) if one.name != "candidate")
        return cls(outcome.number, {name: getattr(outcome, name) for name in names})

    def outcome(self, candidate: Candidate) -> Outcome:
        """The outcome of the driver's candidate of that number."""
        return Outcome(candidate, **self.parts)


@dataclass(frozen=True)
class Doing:
    """What it does just now, in a few words."""

    text: str


@dataclass(frozen=True)
class Died:
    """It is not there any more, and why; said by whoever watches it."""

    why: str


Message: TypeAlias = Idle | Wanted | Evaluated | Doing | Died
