"""Overtuning: whether a search went on improving its validation score at the cost of rows that it never read."""

from __future__ import annotations

from dataclasses import dataclass

from regsearch.path import ROUNDING
from regsearch.table import Table


@dataclass(frozen=True)
class Overtuning:
    """The incumbents of a search, in order, and what became of them on the held-out set.

    Attributes
    ----------
    numbers
        Trials that were the best when they finished and have a held-out score.
    val, test
        Their mean validation and held-out scores; larger is better.
    lost
        The best held-out score among them minus that of the last: 0 when the search's choice is the best of them.
    relative
        `lost` over the most that an incumbent gained on the first one, on the held-out set; above 1 the choice is
        worse there than where the search began. `None` where no incumbent gained anything.
    why
        The same in one sentence.
    """

    metric: str
    numbers: tuple[int, ...]
    val: tuple[float, ...]
    test: tuple[float, ...]
    lost: float
    relative: float | None
    why: str

    def __str__(self) -> str:
        return self.why


def overtuning(table: Table) -> Overtuning | None:
    """What the search lost on the held-out set by following the validation score; `None` without held-out scores.

    References
    ----------
    Schneider, Bischl & Feurer (2025), "Overtuning in hyperparameter optimization", AutoML 2025.
    """
    best, found = -float("inf"), []
    for trial in sorted(table.complete, key=lambda trial: (trial.end_ms, trial.number)):
        score = table.point(trial).val
        if score > best:
            best = score
            if table.metric in (trial.test or {}):
                found.append((trial.number, score, (trial.test or {})[table.metric]))
    if not found:
        return None
    numbers, val, test = zip(*found, strict=True)
    lost, gained = max(test) - test[-1], max(test) - test[0]
    relative = lost / gained if gained > ROUNDING * max(1.0, abs(test[0])) else None
    return Overtuning(table.metric, numbers, val, test, lost, relative, _sentence(table.metric, test, lost, relative))


def _sentence(metric: str, test: tuple[float, ...], lost: float, relative: float | None) -> str:
    many = f"{len(test)} incumbents" if len(test) > 1 else "1 incumbent"
    if not lost:
        return f"No overtuning: the last of {many} has the best held-out {metric} ({test[-1]:.5g})."
    if relative is None:
        return (
            f"Overtuning: the search only made the held-out {metric} worse, from {test[0]:.5g} to {test[-1]:.5g} "
            f"along {many}."
        )
    return (
        f"Overtuning: the last of {many} has a held-out {metric} of {test[-1]:.5g}, {lost:.2g} below the best of them, "
        f"{relative:.0%} of what had been gained since the first."
    )
