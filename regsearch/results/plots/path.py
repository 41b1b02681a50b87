"""Train and validation scores along the best trial's path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.models.axes import PathAxis, path_axis
from regsearch.results.plots.images import literal, new_image
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    INK,
    VERMILION,
    Window,
    band,
    escape,
    format_path_axis,
    model_label,
    new_figure,
    window,
)
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Image
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class PathRecord:
    """Mean train and validation score along the path of the best trial; `axis`, `train`, `val` and `se` are ``[S]``.

    `marks` says where the best point lies, and the most regularized one within a standard error of it; `drawn` says
    where values are drawn, which is elsewhere for a lambda of 0.
    """

    along: PathAxis
    axis: Array
    drawn: Array
    train: Array
    val: Array
    se: Array
    marks: dict[str, float]
    y: Window
    metric: str
    title: str

    def place(self, value: float) -> float:
        """Where a value of the axis is drawn."""
        return float(self.drawn[self.axis == value][0])


def path_record(study: StoredStudy) -> PathRecord | None:
    """The path of the winner; `None` when it has a single point."""
    if not study.complete or study.winner.steps < 2:
        return None
    best = study.winner
    curves = study.curves(best.number)
    axis = study.trajectory(best.number).axis
    marks = {_name(study, best): float(axis[best.step])}
    if len(within := curves.reaching(study.point(best).floor)):  # a step that was named may have no score
        marks["one standard error"] = float(axis[within[0]])
    train, val, se = curves.average(curves.train), curves.mean(), curves.errors(curves.val)
    return PathRecord(
        along=path_axis(best.axis),
        axis=axis,
        drawn=path_axis(best.axis).positions(axis),
        train=train,
        val=val,
        se=se,
        marks=marks,
        y=_along_window(train, val, best.step, float(np.nan_to_num(se[best.step]))),
        metric=study.metric_label,
        title=f"Scores along {path_axis(best.axis).name}: trial {best.number}, {model_label(best.params)}",
    )


def _name(study: StoredStudy, winner: Trial) -> str:
    """What its point is called: the best, or the step of a trial that was named."""
    return "best" if winner == study.candidates[0] else f"step {winner.step}"


def _along_window(train: Array, val: Array, step: int, se: float) -> Window:
    """What is shown of two curves: the chosen point with its error, and no more of a bad beginning than of the rest."""
    room = window(np.concatenate([train, val]), [val[step] - 2 * se, val[step] + 2 * se, train[step]])
    first, third = np.quantile(val[np.isfinite(val)], [0.25, 0.75])
    low = np.nanmin([val[step] - 2 * se, first - 1.5 * (third - first), train[step]])
    return Window(max(room.low, float(low)), room.high, int((val < low).sum()))


def path_image(record: PathRecord) -> Image:
    """Train and validation curves along the path."""
    along, (figure, axes) = record.along, new_image()
    axes.fill_between(record.drawn, record.val - record.se, record.val + record.se, color=VERMILION, alpha=0.15, lw=0)
    axes.plot(record.drawn, record.train, color=BLUE, lw=2, label="train")
    axes.plot(record.drawn, record.val, color=VERMILION, lw=2, label="validation ± 1 standard error")
    for (name, value), style in zip(record.marks.items(), ("-", "--"), strict=False):
        axes.axvline(record.place(value), color="0.35", lw=1, ls=style, label=literal(f"{name}: {along.text(value)}"))
    _show_along(along, axes.xaxis)
    axes.set(
        xlabel=along.label or along.name,
        ylabel=literal(record.metric),
        title=literal(record.title),
        ylim=record.y.range,
    )
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


@plot(
    "The distance of the two curves is the gap: it opens where regularization lets go; between the dashed and the "
    "solid line the scores cannot be told apart.",
    needs="a best trial with a path, of lambda or epochs", record=path_record, order=2, static=path_image,
)  # fmt: skip
def path(record: PathRecord) -> Figure:
    """Train and validation scores along the best trial's path."""
    note = f"{record.y.outside} early or late points lie below the frame" if record.y.outside else ""
    figure = new_figure(record.title, y=record.metric, note=note)
    format_path_axis(figure, record.along, record.drawn)
    name = "validation ± 1 standard error"
    figure.add_scatter(x=record.drawn, y=record.train, mode="lines", name="train", line={"color": BLUE, "width": 2.5})
    band(figure, record.drawn, record.val, record.se, VERMILION, name)
    for (label, value), dash in zip(record.marks.items(), ("solid", "dash"), strict=False):
        figure.add_scatter(
            x=[record.place(value)] * 2, y=record.y.range, mode="lines",
            line={"color": INK, "width": 1.2, "dash": dash}, name=escape(f"{label}: {record.along.text(value)}"),
            hoverinfo="name",
        )  # fmt: skip
    figure.update_yaxes(range=record.y.range)
    figure.update_layout(hovermode="x")
    return figure
