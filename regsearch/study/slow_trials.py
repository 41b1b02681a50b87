"""Which trial takes many times as long as the others, said once, with how to end such a one."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from regsearch.models.base import REFERENCE
from regsearch.results.formatting import format_duration, format_items
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.trial import Trial

FEWEST = 5  # trials that say how long one usually takes
TIMES = 10  # the median, and ...
SLOWEST_S = 10.0  # ... so many seconds are slow
AGAIN = 2.0  # times the slowest that was named: many that train together are one line


@dataclass(frozen=True)
class InFlight:
    """A trial that is being evaluated.

    Attributes
    ----------
    since_ms
        When it began, in milliseconds since the epoch.
    draws
        What was drawn for it, by name.
    """

    number: int
    since_ms: int
    draws: Mapping[str, Any]


def in_flight(study: OptunaStudy) -> Iterator[InFlight]:
    """The trials of a study that this process has asked for, and not told."""
    for asked in study.all_asked:
        if asked.datetime_start is not None:
            yield InFlight(asked.number, round(asked.datetime_start.timestamp() * 1000), asked.params)


@dataclass
class SlowTrials:
    """Compares how long trials take, from when they were asked for to when they were told.

    Attributes
    ----------
    trial_timeout
        Seconds after which a trial is given up; `None` where none is.
    """

    trial_timeout: float | None = None
    _seconds: list[float] = field(default_factory=list)  # of complete trials, ascending
    _named: set[int] = field(default_factory=set)
    _slowest: float = 0.0  # of those that were named

    def finished(self, trial: Trial) -> str:
        """Take note of a trial that has ended; what is to be said of it, if that was not said before."""
        seconds = (trial.end_ms - trial.start_ms) / 1000
        said = self._said(trial.number, seconds, trial.own_params, "took") if trial.state != "stopped" else ""
        if trial.state == "complete" and trial.role != REFERENCE and trial.seconds > 0:  # a repeat takes none
            bisect.insort(self._seconds, seconds)
        return said

    def running(self, trials: Iterable[InFlight], now_ms: int) -> str:
        """What is to be said of the one that has taken longest, if that was not said before."""
        oldest = min(trials, key=lambda trial: trial.since_ms, default=None)
        if oldest is None:
            return ""
        return self._said(oldest.number, (now_ms - oldest.since_ms) / 1000, oldest.draws, "has taken")

    @property
    def _median(self) -> float:
        """Seconds; infinite while there are too few to say."""
        count = len(self._seconds)
        return math.inf if count < FEWEST else self._seconds[count // 2]

    def _said(self, number: int, seconds: float, params: Mapping[str, Any], took: str) -> str:
        median = self._median
        if number in self._named or seconds < max(SLOWEST_S, TIMES * median, AGAIN * self._slowest):
            return ""
        self._named.add(number)
        self._slowest = max(self._slowest, seconds)
        what, times = f" ({format_items(params)})" if params else "", seconds / max(median, 1e-3)
        return (
            f"Trial {number}{what} {took} {format_duration(seconds)}, {times:.0f} times the median of "
            f"{format_duration(median)}; {self._way_out}"
        )

    @property
    def _way_out(self) -> str:
        if self.trial_timeout is None:
            return "--trial-timeout S (trial_timeout=) gives such a trial up, Ctrl-C keeps what is finished."
        return f"such a trial is given up after {format_duration(self.trial_timeout)}."
