"""The progress line of a run, and the last one that it leaves."""

from __future__ import annotations

import time

from regsearch.progress import Progress
from regsearch.results.ranking import takes_the_lead
from regsearch.results.results import Results
from regsearch.storage.trial import Trial


def farewell(results: Results) -> str:
    finished = ("complete", "pruned", "failed")
    counts = ", ".join(f"{results.counts[state]} {state}" for state in finished if results.counts[state])
    said = f"{results.name}: {counts or 'nothing finished'} ({results.stopped})"
    if results.counts["failed"]:
        said += f"; the last failure: {results.last_failure}"
    if results.stopped == "interrupted":
        said += "; everything finished is kept, run the same command to go on"
    return said


class ProgressLine:
    """The progress line: trials and their rate, what is being done, the best score and its gap."""

    def __init__(self, progress: Progress, total: int | None, before: Results) -> None:
        self.progress, self.metric = progress, before.metric
        self.total = f"/{total}" if total else ""
        self.done = sum(before.counts[state] for state in ("complete", "pruned", "failed"))
        self.best, self.reference = before.complete[0] if before.complete else None, before.reference
        self.started, self.first = time.monotonic(), self.done
        self.doing = ""

    def show(self, trial: Trial) -> None:
        """Take note of a finished trial."""
        self.done += 1
        self.reference = trial if trial.role == "reference" else self.reference
        if trial.state == "complete" and takes_the_lead(trial, self.best, self.reference, self.metric):
            self.best = trial
        self._write()

    def notice(self, text: str) -> None:
        """Take note of what is being done between two trials."""
        self.doing = text
        self._write()

    def _write(self) -> None:
        parts = (self._count(), self.doing, self._best())
        self.progress.show(" | ".join(part for part in parts if part))

    def _count(self) -> str:
        rate = (self.done - self.first) / max(time.monotonic() - self.started, 1e-9)
        return f"[{self.done}{self.total}]" + (f" {rate:.2g} trials/s" if rate else "")

    def _best(self) -> str:
        if self.best is None or not self.best.points:
            return ""
        point = self.best.points[self.metric]
        which = f"trial {self.best.number} {self.best.kind}"
        return f"best {self.metric} {point.val:.5g} ({which}) gap {point.gap:.3g}"
