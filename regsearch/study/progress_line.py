"""The progress line of a run, and the last one that it leaves."""

from __future__ import annotations

import time

from regsearch.progress import Progress
from regsearch.results.results import Results
from regsearch.storage.trial import ENDED
from regsearch.study.history import History


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
    """The progress line: trials and their rate, what is being done, the best score and its gap.

    Parameters
    ----------
    total
        Trials that the study shall have in all, if that is what ends it.
    history
        Of the run, which keeps it up to date.
    metric
        What the deciding score is called.
    """

    def __init__(self, progress: Progress, total: int | None, history: History, metric: str) -> None:
        self.progress, self.history, self.metric = progress, history, metric
        self.total = f"/{total}" if total else ""
        self.started, self.shown = time.monotonic(), 0
        self.doing = ""

    def show(self) -> None:
        """Show that a trial has finished."""
        self.shown += 1
        self._write()

    def notice(self, text: str) -> None:
        """Show what is being done between two trials."""
        self.doing = text
        if not self.shown and not text:
            self.started = time.monotonic()  # what the first trial waits for says nothing of the next ones
        self._write()

    def _write(self) -> None:
        parts = (self._count(), self.doing, self._best())
        self.progress.show(" | ".join(part for part in parts if part))

    def _count(self) -> str:
        rate = self.shown / max(time.monotonic() - self.started, 1e-9)
        return f"[{len(self.history.trials)}{self.total}]" + (f" {rate:.2g} trials/s" if rate else "")

    def _best(self) -> str:
        best = self.history.best
        if best is None:
            return ""
        return f"best {self.metric} {best.point.val:.5g} (trial {best.number} {best.kind}) gap {best.point.gap:.3g}"
