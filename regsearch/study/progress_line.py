"""The progress line of a run, and the last one that it leaves."""

from __future__ import annotations

import math
import time

from regsearch.models.deadline import Deadline
from regsearch.progress import BETWEEN, Progress
from regsearch.results.formatting import format_duration
from regsearch.results.results import Results
from regsearch.storage.trial import ENDED, Trial
from regsearch.study.history import History
from regsearch.study.limits import Limits

FEWEST = 3  # trials of a run before their rate says when it ends
LONG_S = 1.0  # seconds of a trial that is worth naming


def farewell(results: Results) -> str:
    """What a run leaves: how many trials came to what end, and why it ended."""
    by = "Ctrl-C" if results.stopped == "interrupted" else "time"
    words = {"stopped": f"stopped by {by}, to be gone on with"}
    found = ((results.counts[state], words.get(state, state)) for state in ENDED)
    counts = ", ".join(f"{count} {what}" for count, what in found if count)
    said = f"{results.name}: {counts or 'nothing finished'} ({results.stopped})"
    if results.counts["failed"]:
        said += f"; the last failure: {results.last_failure}"
    if results.stopped == "interrupted":
        said += "; everything finished is kept, run the same command to go on"
    return said


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
    """

    def __init__(self, progress: Progress, limits: Limits, deadline: Deadline, history: History, metric: str) -> None:
        self.progress, self.limits, self.deadline, self.history, self.metric = (
            progress, limits, deadline, history, metric
        )  # fmt: skip
        self.started, self.shown = time.monotonic(), 0
        self.doing = ""
        self.longest: Trial | None = None

    def show(self, trial: Trial) -> None:
        """Show that a trial has finished."""
        self.shown += 1
        if self.longest is None or trial.seconds > self.longest.seconds:
            self.longest = trial
        self._write()

    def notice(self, text: str) -> None:
        """Show what is being done between two trials."""
        self.doing = text
        if not self.shown and not text:
            self.started = time.monotonic()  # what the first trial waits for says nothing of the next ones
        self._write()

    def _write(self) -> None:
        parts = (self._count(), self.doing, self._best(), self._longest())
        self.progress.show(BETWEEN.join(part for part in parts if part), self._share())

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
        left = f", {format_duration(self.left_s)} left" if math.isfinite(self.left_s) and self.shown else ""
        return f"[{len(self.history.trials)}{total}]{rate}{left}"

    def _best(self) -> str:
        best = self.history.best
        if best is None:
            return ""
        return f"best {self.metric} {best.point.val:.5g} (trial {best.number} {best.kind}) gap {best.point.gap:.3g}"

    def _longest(self) -> str:
        longest = self.longest
        if longest is None or longest.seconds < LONG_S:
            return ""
        return f"longest trial {format_duration(longest.seconds)} ({longest.number} {longest.kind})"
