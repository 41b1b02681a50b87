"""The two figures that MLflow shows as they are, drawn by matplotlib from the same records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.models.axes import PathAxis
from regsearch.results.plots.canvas import BLUE, COLOURS, VERMILION, outside_note
from regsearch.results.plots.scores import GapRecord, PathRecord, gap_record, path_record
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SYMBOLS = {"star": "*", "diamond": "D", "x": "X"}  # of plotly's marks


def stills(study: StoredStudy) -> dict[str, Figure]:
    """The path of the best trial and score against gap, where there is something to show, by name."""
    path, gap = path_record(study), gap_record(study)
    drawn = {"path": draw_path(path)} if path else {}
    return drawn | ({"gap": draw_gap(gap)} if gap else {})


def draw_path(record: PathRecord) -> Figure:
    """Train and validation curves along the path."""
    along, (figure, axes) = record.along, _figure()
    axes.fill_between(record.axis, record.val - record.se, record.val + record.se, color=VERMILION, alpha=0.15, lw=0)
    axes.plot(record.axis, record.train, color=BLUE, lw=2, label="train")
    axes.plot(record.axis, record.val, color=VERMILION, lw=2, label="validation ± 1 standard error")
    for (name, value), style in zip(record.marks.items(), ("-", "--"), strict=True):
        axes.axvline(value, color="0.35", lw=1, ls=style, label=f"{name}: {along.text(value)}")
    _show_along(along, axes.xaxis)
    axes.set(xlabel=along.label or along.name, ylabel=record.metric, title=record.title, ylim=record.y.range)
    axes.legend(edgecolor="none", framealpha=0.9, fontsize=9)
    return figure


def _show_along(along: PathAxis, drawn: Any) -> None:
    """Scale, direction and ticks of a drawn axis."""
    from matplotlib.ticker import MaxNLocator

    if along.log:
        drawn.axes.set_xscale("log")
    if along.whole:
        drawn.set_major_locator(MaxNLocator(integer=True))
    drawn.set_inverted(along.descending)


def draw_gap(record: GapRecord) -> Figure:
    """Score against generalization gap."""
    figure, axes = _figure()
    for colour, (name, dots) in zip(COLOURS * 9, record.families.items(), strict=False):
        x, y = record.x.clip(dots[:, 0]), record.y.clip(dots[:, 1])
        axes.scatter(x, y, s=26, color=colour, alpha=0.75, lw=0, label=name)
    for mark in record.marks:
        x, y = record.x.clip(np.array([mark.gap])), record.y.clip(np.array([mark.score]))
        axes.scatter(x, y, s=110, marker=SYMBOLS[mark.symbol], color="0.15", edgecolors="w", label=mark.label)
    axes.set(
        xlabel="generalization gap (train - validation)", ylabel=f"validation {record.metric}", xlim=record.x.range,
        ylim=record.y.range, title=outside_note(record.outside) or "Score and gap",
    )  # fmt: skip
    axes.legend(edgecolor="none", framealpha=0.9, fontsize=9)
    return figure


def _figure() -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2))
    FigureCanvasAgg(figure)  # no pyplot: nothing global is touched
    axes = figure.add_axes((0.13, 0.13, 0.84, 0.78))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes
