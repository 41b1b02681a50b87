"""The best score so far, trial by trial, with held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.metrics.scorer import label_of
from regsearch.results.bias import overtuning
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    MUTED,
    VERMILION,
    Window,
    new_figure,
    outside_note,
    window,
)
from regsearch.results.ranking import leaders
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
from regsearch.results.plots.gap import MOST_DOTS

FEW = 10  # trials that each have a tick
RISING = "Where the line still rises at its end, more trials may find more; where it has long been flat, hardly."
FITTED = (
    "If the best validation score goes on rising while its held-out score does not, the search has begun to fit the "
    "folds."
)


@dataclass(frozen=True)
class HistoryRecord:
    """Trials in their order.

    Attributes
    ----------
    numbers, scores, best
        ``[n]``: number and score of each complete trial, in the order in which they finished, and the score of the
        best so far of those that a rule may choose: the reference and what diverges only before there is another.
    held_out
        ``[k, 2]``: place in that order, from 1, and held-out score of those that were the best when they finished.
    test_weighted
        Whether rows weigh in held-out scores.
    """

    numbers: Array
    scores: Array
    best: Array
    held_out: Array
    y: Window
    metric: str
    test_weighted: bool


def history_record(study: StoredStudy) -> HistoryRecord | None:
    """Scores in the order of the search; `None` for a single trial."""
    trials = sorted(study.complete, key=lambda trial: (trial.end_ms, trial.number))
    if len(trials) < 2:
        return None
    scores = np.array([study.point(trial).val for trial in trials])
    found = overtuning(study)
    place = {trial.number: at + 1.0 for at, trial in enumerate(trials)}
    held_out = np.column_stack([[place[k] for k in found.numbers], found.test]) if found else np.empty((0, 2))
    best = np.array([study.point(one).val for one in leaders(trials, study.references, study.metric)])
    y = window(scores, [scores.max()])
    if found:  # what is drawn inside the frame has its held-out score there, however far that is from it
        y = window(scores, [scores.max(), *held_out[y.holds(np.array(found.val)), 1]])
    numbers = np.array([float(trial.number) for trial in trials])
    return HistoryRecord(numbers, scores, best, held_out, y, study.metric_label, study.test_weighted)


def _caption(record: HistoryRecord) -> str:
    return FITTED if len(record.held_out) else RISING


@plot(
    f"{RISING} With held-out rows: {FITTED[0].lower()}{FITTED[1:]}", caption_of=_caption,
    needs="two complete trials", record=history_record, order=11,
)  # fmt: skip
def history(record: HistoryRecord) -> Figure:
    """The best score so far, trial by trial, with held-out scores."""
    note = outside_note(record.y.outside)
    figure = new_figure("The best score so far", "trials finished", record.metric, note=note)
    place = np.arange(1.0, len(record.scores) + 1)
    picked = np.unique(np.linspace(0, len(record.numbers) - 1, MOST_DOTS).round().astype(int))
    figure.add_scatter(
        x=place[picked], y=record.y.clip(record.scores[picked]), mode="markers", name="trials",
        marker={"color": MUTED, "opacity": 0.35, "size": 5}, customdata=record.numbers[picked],
        hovertemplate="trial %{customdata}: %{y:.5g}<extra></extra>",
    )  # fmt: skip
    steps = np.union1d(np.flatnonzero(np.diff(record.best, prepend=-np.inf) != 0), [len(record.best) - 1])
    figure.add_scatter(
        x=place[steps], y=record.y.clip(record.best[steps]), mode="lines", name="best so far (validation)",
        line={"color": VERMILION, "width": 2.5, "shape": "hv"},
    )  # fmt: skip
    if len(record.held_out):
        figure.add_scatter(
            x=record.held_out[:, 0], y=record.y.clip(record.held_out[:, 1]), mode="lines+markers",
            name=label_of("its held-out score", record.test_weighted),
            line={"color": BLUE, "width": 1.5, "dash": "dot", "shape": "hv"},
            marker={"size": 8, "symbol": "diamond"},
            customdata=record.held_out[:, 1], hovertemplate="held out: %{customdata:.5g}<extra></extra>",
        )  # fmt: skip
    if len(place) <= FEW:
        figure.update_xaxes(dtick=1)  # there is no trial and a half
    figure.update_yaxes(range=record.y.range)
    return figure
