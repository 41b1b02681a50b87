"""The progress line of a run, and the last one that it leaves."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from regsearch.models.deadline import Deadline
from regsearch.numeric import format_number
from regsearch.progress import BETWEEN, Progress
from regsearch.results.formatting import format_duration
from regsearch.results.results import Results
from regsearch.storage.trial import ENDED, Trial
from regsearch.study.history import History
from regsearch.study.limits import Limits
from regsearch.study.slow_trials import InFlight, SlowTrials

FEWEST = 3  # trials of a run before their rate says when it ends
LONG_S = 1.0  # seconds of a trial that is worth naming
LOOK_S = 1.0  # between two looks at how long trials in flight have taken
HOUR_S, DAY_S = 3600, 86_400  # between these, it is also said when a run ends


def farewell(results: Results, new: int) -> str:
    """What a run leaves: how many trials came to what end, `new` ones among them, and why it ended."""
    by = "Ctrl-C" if results.stopped == "interrupted" else "time"
    words = {"stopped": f"stopped by {by}, to be gone on with", "outside": "outside the space"}
    found = ((results.counts[state], words.get(state, state)) for state in ENDED)
    counts = ", ".join(f"{count} {what}" for count, what in found if count)
    said = f"{results.name}: {counts or 'nothing finished'} ({results.stopped})"
    if not new and results.complete and not results.stopped.startswith("interrupted"):
        said += "; nothing new: these were stored"
    if results.counts["failed"]:
        said += f"; the last failure: {results.last_failure}"
    if results.stopped == "interrupted":
        said += "; everything finished is kept, run the same command to go on"
    return said


def time_left(seconds: float) -> str:
    """The time left, and of hours when they are over."""
    until = f", until {time.strftime('%H:%M', time.localtime(time.time() + seconds))}"
    return f"{format_duration(seconds)} left{until if HOUR_S <= seconds < DAY_S else ''}"


def best_so_far(trial: Trial, metric: str) -> str:
    """The best trial in words, by what its deciding score is called."""
    point = trial.point
    return f"best {metric} {format_number(point.val, 5)} (trial {_called(trial)}), gap {format_number(point.gap, 3)}"


class ProgressLine:
    """The state of a run: trials, their rate and the time left, what is being done, the best score, the longest trial.

    Parameters
    ----------
    limits
        Of the run, which say when it ends.
    deadline
        That of its time.
    history
        Of the run, which keeps it up to date.
    metric
        What the deciding score is called.
    running
        The trials that are being evaluated.
    """

    def __init__(
        self, progress: Progress, limits: Limits, deadline: Deadline, history: History, metric: str,
        running: Callable[[], Iterable[InFlight]] = lambda: (),
    ) -> None:  # fmt: skip
        self.progress, self.limits, self.deadline, self.history, self.metric, self.running = (
            progress, limits, deadline, history, metric, running
        )  # fmt: skip
        self.slow, self._next_look = SlowTrials(limits.trial_timeout), 0.0
        self.started, self.shown = time.monotonic(), 0
        self.doing = ""
        self.longest: Trial | None = None

    def show(self, trial: Trial) -> None:
        """Show that a trial has finished."""
        self.shown += 1
        if self.longest is None or trial.seconds > self.longest.seconds:
            self.longest = trial
        self._leave(self.slow.finished(trial))
        self._write()

    def notice(self, text: str) -> None:
        """Show what is being done between two trials."""
        self.doing = text
        if not self.shown and not text:
            self.started = time.monotonic()  # what the first trial waits for says nothing of the next ones
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_S
            self._leave(self.slow.running(self.running(), round(time.time() * 1000)))
        self._write()

    def _leave(self, said: str) -> None:
        if said:
            self.progress.end(said)

    def _write(self) -> None:
        self.progress.show_of(self._state, self._share)

    def _state(self) -> str:
        parts = (self._count(), self.doing, self._best(), self._longest())
        return BETWEEN.join(part for part in parts if part)

    @property
    def _rate(self) -> float:
        """Trials a second."""
        return self.shown / max(time.monotonic() - self.started, 1e-9)

    @property
    def left_s(self) -> float:
        """Seconds until the run ends, should none of its other limits end it; infinite while nothing says so."""
        total, done = self.limits.n_trials, len(self.history.trials)
        by_trials = max(total - done, 0) / self._rate if total is not None and self.shown >= FEWEST else math.inf
        return min(by_trials, self.deadline.left())

    def _share(self) -> float | None:
        total = self.limits.n_trials
        return None if total is None else min(len(self.history.trials) / total, 1.0)

    def _count(self) -> str:
        total = "" if self.limits.n_trials is None else f"/{self.limits.n_trials}"
        rate = f" {self._rate:.2g} trials/s" if self.shown else ""
        left = f", {time_left(self.left_s)}" if math.isfinite(self.left_s) and self.shown else ""
        return f"[{len(self.history.trials)}{total}]{rate}{left}"

    def _best(self) -> str:
        best = self.history.best
        return "" if best is None else best_so_far(best, self.metric)

    def _longest(self) -> str:
        longest = self.longest
        if longest is None or longest.seconds < LONG_S:
            return ""
        return f"longest trial {format_duration(longest.seconds)} ({_called(longest)})"


def _called(trial: Trial) -> str:
    """The number of a trial, and its kind where it has one."""
    return f"{trial.number} {trial.kind}".rstrip()
