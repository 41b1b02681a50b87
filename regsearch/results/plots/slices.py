"""The score along each parameter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.results.plots.columns import ParameterColumn
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    PAPER,
    VERMILION,
    apply_style,
    cut,
    escape,
    thin_out,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
from regsearch.results.plots.parameters import SpaceRecord, space_record

MOST_ABREAST = 3  # categories below one of three panels


MOST_DOTS = 400  # in each panel


@plot(
    "A cloud that rises towards an edge of its range says that the range should be wider there; a flat top, that "
    "the parameter hardly matters.",
    needs="two complete trials with different parameters", record=space_record, order=9, wide=True,
)  # fmt: skip
def slices(record: SpaceRecord) -> Figure:
    """The score along each parameter."""
    from plotly.subplots import make_subplots

    count = len(record.columns)
    across = min(2 if any(len(column.ticks) > MOST_ABREAST for column in record.columns) else 3, count)
    down = math.ceil(count / across)
    height = 130 + 235 * down
    grid = make_subplots(
        down, across, shared_yaxes=True, horizontal_spacing=0.04, vertical_spacing=min(0.35, 85 / (235 * down))
    )
    apply_style(grid, "Score along each parameter", height, record.note).update_layout(showlegend=False)
    shown = thin_out(range(len(record.scores)), MOST_DOTS)
    for at, column in enumerate(record.columns):
        _slice(grid, record, column, shown, {"row": at // across + 1, "col": at % across + 1})
    for row in range(1, down + 1):
        grid.update_yaxes(title_text=escape(record.metric), row=row, col=1)
    grid.update_yaxes(range=record.y.range)
    return grid


def _slice(grid: Figure, record: SpaceRecord, column: ParameterColumn, shown: list[int], place: dict[str, Any]) -> None:
    at = column.at + (np.random.default_rng(0).uniform(-0.25, 0.25, len(column.at)) if column.words else 0.0)
    scores = record.y.clip(record.scores)
    grid.add_scatter(
        x=at[shown], y=scores[shown], mode="markers", marker={"color": BLUE, "size": 5, "opacity": 0.4},
        customdata=[record.numbers[k] for k in shown], hovertemplate="trial %{customdata}: %{y:.5g}<extra></extra>",
        **place,
    )  # fmt: skip
    grid.add_scatter(
        x=at[:1], y=scores[:1], mode="markers", hovertemplate="best: %{y:.5g}<extra></extra>",
        marker={"color": VERMILION, "size": 12, "symbol": "star", "line": {"color": PAPER, "width": 1}}, **place,
    )  # fmt: skip
    low, high = column.ends
    margin = 0.5 if column.words else 0.05 * (high - low)
    ticks, labels = zip(*column.ticks, strict=True) if column.ticks else ((), ())
    grid.update_xaxes(
        title_text=escape(column.label), tickvals=ticks, ticktext=[_stacked(said) for said in labels], tickangle=0,
        range=[low - margin, high + margin], **place,
    )  # fmt: skip


def _stacked(said: str) -> str:
    """Words below each other, so that those of neighbouring ticks do not meet."""
    return "<br>".join(escape(cut(word, 9)) for word in said.split(" ")[:2])
