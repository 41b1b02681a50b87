"""A study that another process runs, as its storage shows it: what `regsearch watch` prints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TextIO

from regsearch.numeric import format_number
from regsearch.progress import Page
from regsearch.results.formatting import format_duration, format_items
from regsearch.results.presented import Block, Presented
from regsearch.results.results import Results
from regsearch.results.rules.pareto import front
from regsearch.results.stored_study import reference_name
from regsearch.results.table import Table
from regsearch.storage.optuna_study import OptunaStudy
from regsearch.storage.run_record import RunRecord
from regsearch.storage.store import Store
from regsearch.storage.trial import COUNTED, ENDED, Trial, counted
from regsearch.study.progress_line import FEWEST, best_so_far, time_left

EVERY_S = 1.0  # between two looks
SHOWN = 10  # trials of the front, and of those in flight


@dataclass(frozen=True, repr=False)
class WatchedStudy(Presented):
    """A study at one moment.

    Attributes
    ----------
    run
        The last run; `None` where none has left a record.
    now_ms
        The moment, in milliseconds since the epoch.
    """

    results: Results
    run: RunRecord | None
    now_ms: int

    @classmethod
    def of(cls, study: OptunaStudy, store: Store) -> WatchedStudy:
        """As it is stored now; the files of trials are not read."""
        return cls(Results(store, study.identity, study.trials()), study.last_run, round(time.time() * 1000))

    @cached_property
    def finished(self) -> int:
        """Trials that count for the number a study shall have."""
        return counted(self.results.all)

    @property
    def is_over(self) -> bool:
        """Whether no run is going on, as far as that can be known."""
        return self.run is None or self.run.is_over

    @property
    def in_flight(self) -> list[Trial]:
        return [trial for trial in self.results.all if trial.state == "running"]

    @property
    def left_s(self) -> float:
        """Seconds until the run ends, should none of its other limits end it; infinite while nothing says so."""
        run = self.run
        if run is None:
            return math.inf
        passed_s, done = (self.now_ms - run.began_ms) / 1000, self.finished - run.finished
        ends = [] if run.until_ms is None else [max(run.until_ms - self.now_ms, 0) / 1000]
        if run.n_trials is not None and done >= FEWEST:
            ends.append(max(run.n_trials - self.finished, 0) * passed_s / done)
        return min(ends, default=math.inf)

    # --- as text -----------------------------------------------------------------------------------------------

    @property
    def line(self) -> str:
        """It in one line, without what changes by itself."""
        return " | ".join(part for part in (f"{self._state}: {self._counts}", self._best, self._flying) if part)

    def blocks(self) -> Iterator[Block]:
        """How the run goes, the best trial, the front of score and gap, and what is in flight."""
        results = self.results
        yield f"{results.name}: {self._state}{self._pace}"
        yield self._counts
        if results.complete:
            yield from self._found()
        flying = self.in_flight
        if flying and not self.is_over:
            rows = [[one.number, self._since(one.start_ms), format_items(one.draws, " ")] for one in flying[:SHOWN]]
            yield ""
            yield Table(("in flight", "for", "config"), rows, words={"config"})
            yield from self._others(len(flying))

    def _found(self) -> Iterator[Block]:
        results = self.results
        yield f"{self._best}, {self._since(results.candidates[0].end_ms)} ago"
        if results.reference is not None:
            point = results.point(results.reference)
            yield f"{reference_name(results, results.reference)}: {point.said}"
        numbers = [pick.number for pick in front(results)]
        trials = {trial.number: trial for trial in results.complete}
        rows = [self._row(trials[number]) for number in numbers[:SHOWN]]
        yield ""
        yield Table(("front", "score", "gap", "config"), rows, words={"config"})
        yield from self._others(len(numbers))

    def _row(self, trial: Trial) -> list[str]:
        point = self.results.point(trial)
        figures = format_number(point.val, 5), format_number(point.gap, 3)
        return [str(trial.number), *figures, format_items(trial.own_params, " ")]

    @staticmethod
    def _others(count: int) -> Iterator[str]:
        if count > SHOWN:
            yield f"... and {count - SHOWN} more"

    @property
    def _state(self) -> str:
        run = self.run
        if run is None:
            return "no run of it has said how it goes"
        if run.ended_ms is not None:
            return f"ended ({run.stopped or 'by an error'})"
        return f"its process {run.process} is gone, run it again to go on" if run.is_over else "running"

    @property
    def _pace(self) -> str:
        """For how long it has run, how fast it is, and how much time is left."""
        run = self.run
        if run is None or self.is_over:
            return ""
        passed_s = max((self.now_ms - run.began_ms) / 1000, 1e-3)
        rate = f", {(self.finished - run.finished) / passed_s:.2g} trials/s" if self.finished > run.finished else ""
        left = f", {time_left(self.left_s)}" if math.isfinite(self.left_s) else ""
        return f" for {format_duration(passed_s)} on {run.host}{rate}{left}"

    @property
    def _counts(self) -> str:
        counts = self.results.counts
        ends = [f"{counts[state]} {state}" for state in COUNTED if counts[state]]
        beside = [f"{counts[state]} {state}" for state in ENDED if counts[state] and state not in COUNTED]
        of = "" if self.run is None or self.run.n_trials is None else f" of {self.run.n_trials}"
        inside = f" ({', '.join(ends)})" if ends else ""
        return ", ".join([f"{self.finished}{of} trials{inside}", *beside])

    @property
    def _best(self) -> str:
        results = self.results
        if not results.complete:
            return ""
        return best_so_far(results.candidates[0], results.metric_label)

    @property
    def _flying(self) -> str:
        flying = [] if self.is_over else self.in_flight
        return f"in flight {' '.join(str(one.number) for one in flying[:SHOWN])}" if flying else ""

    def _since(self, then_ms: int) -> str:
        return format_duration(max(self.now_ms - then_ms, 0) / 1000)


def watch(store: Store, stream: TextIO, once: bool = False, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show a study until its run has ended: in place on a terminal, elsewhere a line for each change.

    Parameters
    ----------
    once
        Show it whole, and end.
    sleep
        Waits so many seconds.

    Raises
    ------
    NotFound
        When there is no such study.
    """
    with OptunaStudy.load(store) as study:
        page = Page(stream)
        while True:
            seen = WatchedStudy.of(study, store)
            if once or stream.isatty():
                page.write(str(seen))
            else:
                page.add(f"{seen.results.name}: {seen.line}")
            if once or seen.is_over:
                return
            sleep(EVERY_S)
