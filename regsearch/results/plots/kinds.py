"""Scores by kind of penalty, estimator or module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    COLOURS,
    MUTED,
    Window,
    escape,
    new_figure,
    outside_note,
    thin_out,
    window,
    with_opacity,
)
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


FEWEST_BOXED = 5  # trials: of fewer the dots say all


@dataclass(frozen=True)
class KindsRecord:
    """Scores ``[n]`` by kind of penalty, estimator or module, the kind with the best score first."""

    scores: dict[str, Array]
    x: Window
    metric: str


def kinds_record(study: StoredStudy) -> KindsRecord | None:
    """Scores by kind; `None` where there is one kind only."""
    found: dict[str, list[float]] = {}
    for trial in study.complete:
        found.setdefault(trial.kind.replace("_", " ") or "none", []).append(study.point(trial).val)
    if len(found) < 2:
        return None
    scores = {name: np.array(of) for name, of in found.items()}
    every = np.concatenate(list(scores.values()))
    return KindsRecord(scores, window(every, [every.max()]), study.metric_label)


@plot(
    "Each dot is a trial and each box the middle half of its kind (with the number of trials): the further right, "
    "the better.",
    needs="trials of two kinds of penalty, estimator or module", record=kinds_record, order=7,
)  # fmt: skip
def kinds(record: KindsRecord) -> Figure:
    """Scores by kind of penalty, estimator or module."""
    note = outside_note(record.x.outside)
    height = min(900, 170 + 52 * len(record.scores))
    figure = new_figure("Score by kind", f"validation {record.metric}", "", height, note)
    rng = np.random.default_rng(0)
    for at, (name, scores) in enumerate(record.scores.items()):
        dots = np.array(thin_out(scores.tolist(), 200))
        if len(scores) >= FEWEST_BOXED:
            x, y = _box(np.quantile(record.x.clip(scores), [0, 0.25, 0.5, 0.75, 1]), at)
            figure.add_scatter(
                x=x, y=y, mode="lines", fill="toself", fillcolor=with_opacity(MUTED, 0.12), hoverinfo="skip",
                line={"color": MUTED, "width": 1.2}, name=escape(name), showlegend=False,
            )  # fmt: skip
        figure.add_scatter(
            x=record.x.clip(dots), y=at + rng.uniform(-0.2, 0.2, len(dots)), mode="markers", showlegend=False,
            marker={"color": COLOURS[at % len(COLOURS)], "size": 5, "opacity": 0.6}, customdata=dots,
            hovertemplate=f"{escape(name)}<br>%{{customdata:.5g}}<extra></extra>",
        )  # fmt: skip
    labels = [f"{escape(name)} ({len(scores)})" for name, scores in record.scores.items()]
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.5])
    figure.update_xaxes(range=record.x.range)
    return figure


def _box(quartiles: Array, at: int) -> tuple[list[float | None], list[float | None]]:
    """The lines of a box plot, with a gap between any two: plotly's smallest script has no boxes of its own."""
    low, first, middle, third, high = map(float, quartiles)
    x = [first, third, third, first, first, None, middle, middle, None, low, first, None, third, high]
    edges = [-0.25, -0.25, 0.25, 0.25, -0.25, None, -0.25, 0.25, None, 0.0, 0.0, None, 0.0, 0.0]
    return x, [None if edge is None else at + edge for edge in edges]
