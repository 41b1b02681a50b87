"""Parameters and scores as parallel axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.columns import ParameterColumn, number_ticks
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    SKY,
    VERMILION,
    escape,
    new_figure,
    thin_out,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
from regsearch.results.plots.parameters import SpaceRecord, space_record

MOST_LINES = 300


BANDS = ((0.05, "best 5%", VERMILION, 0.9), (0.25, "best 25%", BLUE, 0.55), (0.5, "best half", SKY, 0.4),
         (1.0, "rest", MUTED, 0.18))  # fmt: skip


@plot(
    "Follow the lines of the best trials, in orange: where they bundle on an axis, the score asks for that value.",
    needs="two complete trials with different parameters", record=space_record, order=10, wide=True,
)  # fmt: skip
def parallel(record: SpaceRecord) -> Figure:
    """Parameters and scores as parallel axes."""
    ticks = number_ticks(record.y.low, record.y.high)
    score = ParameterColumn(record.metric, "score", record.y.clip(record.scores), ticks)
    axes = (*record.columns, score)
    figure = new_figure("Parameters of good trials", height=460, note=record.note)
    high = np.stack([_height(column) for column in axes], axis=1)
    rank = np.argsort(np.argsort(-record.scores, kind="stable")) / len(record.scores)
    shown = np.array(thin_out(range(len(record.scores)), MOST_LINES))
    for share, name, colour, opacity in reversed(BANDS):  # the best on top
        below = max([other for other, *_ in BANDS if other < share], default=0.0)
        rows = shown[(rank[shown] >= below) & (rank[shown] < share)]
        lines = np.concatenate([high[rows], np.full((len(rows), 1), np.nan)], axis=1).ravel()
        x = np.tile([*range(len(axes)), np.nan], len(rows))
        if len(rows):
            figure.add_scatter(
                x=x, y=lines, mode="lines", line={"color": colour, "width": 1.4}, opacity=opacity, name=name,
                hoverinfo="skip", legendrank=round(1000 * share),
            )  # fmt: skip
    for at, column in enumerate(axes):
        low, top = column.ends
        figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line={"color": MUTED, "width": 1})
        for place, said in column.ticks:
            figure.add_annotation(
                x=at, y=(place - low) / ((top - low) or 1), text=escape(said), showarrow=False, bgcolor=PAPER,
                opacity=0.85, font={"size": 11, "color": INK}, xanchor="right" if column is score else "left",
                xshift=-3 if column is score else 3,
            )  # fmt: skip
    labels = [escape(column.label) for column in axes]
    figure.update_xaxes(
        tickvals=list(range(len(axes))), ticktext=labels, side="top", showgrid=False, ticks="",
        range=[-0.15, len(axes) - 0.85],
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.05, 1.05])
    figure.update_layout(margin_t=90)  # the names of the axes stand below the title
    return figure


def _height(column: ParameterColumn) -> Array:
    """``[n]`` places between 0 and 1, those of categories shaken a little so that lines do not hide each other."""
    low, high = column.ends
    places: Array = (column.at - low) / ((high - low) or 1)
    shaken = np.random.default_rng(0).uniform(-0.02, 0.02, len(places)) if column.words else 0.0
    return np.asarray(places + shaken)
