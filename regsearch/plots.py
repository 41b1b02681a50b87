"""Pictures of a study: first the record of what is drawn, then the drawing.

Colours are Okabe and Ito's (2008), which the colour-blind can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.axes import PathAxis, path_axis
from regsearch.chosen import Chosen
from regsearch.path import Array, standard_error
from regsearch.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")


@dataclass(frozen=True)
class PathRecord:
    """Mean train and validation score along the path of one trial, and where its best and one-SE points lie.

    `axis`, `train`, `val` and `se` are ``[S]``.
    """

    along: PathAxis
    axis: Array
    train: Array
    val: Array
    se: Array
    marks: dict[str, float]
    metric: str
    title: str


@dataclass(frozen=True)
class GapRecord:
    """Gap and score of every complete trial, by family."""

    families: dict[str, Array]
    best: Chosen
    metric: str


def path_record(results: Results) -> PathRecord | None:
    """The path of the best trial; `None` when it has a single point."""
    best = results.best
    curves = results.curves(best.number)
    if curves.val.shape[1] < 2:
        return None
    axis = results.store.arrays(best.number)["axis"]
    within = curves.reaching(best.point.floor)
    return PathRecord(
        along=path_axis(best.axis),
        axis=axis,
        train=curves.train[curves.fitted].mean(axis=0),
        val=curves.mean(),
        se=np.array([standard_error(column) for column in curves.val[curves.fitted].T]),
        marks={"best": float(axis[best.step]), "one standard error": float(axis[within[0]])},
        metric=results.metric,
        title=f"{results.name}, trial {best.number}: {family(best.params)}",
    )


def gap_record(results: Results) -> GapRecord:
    """Gap against score, one dot a trial."""
    families: dict[str, list[tuple[float, float]]] = {}
    for trial in results.complete:
        point = results.point(trial)
        name = results.identity["reference"] if trial.role == "reference" else family(trial.params or {})
        families.setdefault(name, []).append((point.gap, point.val))
    return GapRecord({name: np.array(dots) for name, dots in families.items()}, results.best, results.metric)


def family(params: Mapping[str, Any]) -> str:
    """What a trial is called in a legend: its module or estimator, and its penalty."""
    given = [params.get(key) for key in ("module", "estimator", "penalty")]
    return ", ".join(str(name) for name in given if name not in (None, "none")).replace("_", " ") or "none"


def draw_path(record: PathRecord) -> Figure:
    """Train and validation curves along the path."""
    along, (figure, axes) = record.along, _figure()
    axes.fill_between(record.axis, record.val - record.se, record.val + record.se, color=COLOURS[1], alpha=0.15, lw=0)
    axes.plot(record.axis, record.train, color=COLOURS[0], lw=2, label="train")
    axes.plot(record.axis, record.val, color=COLOURS[1], lw=2, label="validation ± 1 standard error")
    for (name, value), style in zip(record.marks.items(), ("-", "--"), strict=True):
        axes.axvline(value, color="0.35", lw=1, ls=style, label=f"{name}: {along.text(value)}")
    _show_along(along, axes.xaxis)
    axes.set(xlabel=along.label or along.name, ylabel=record.metric, title=record.title)
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
        axes.scatter(dots[:, 0], dots[:, 1], s=26, color=colour, alpha=0.75, lw=0, label=name)
    best = record.best.point
    axes.scatter([best.gap], [best.val], s=130, facecolors="none", edgecolors="0.2", lw=1.4, label="best")
    axes.set(
        xlabel="generalization gap (train - validation)", ylabel=f"validation {record.metric}", title="Score and gap"
    )
    axes.legend(edgecolor="none", framealpha=0.9, fontsize=9)
    return figure


def figures(results: Results) -> dict[str, Figure]:
    """Every picture that the study has something to show in, by name."""
    along = path_record(results)
    drawn = {"gap": draw_gap(gap_record(results))}
    return {"path": draw_path(along)} | drawn if along else drawn


def _figure() -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2))
    FigureCanvasAgg(figure)  # no pyplot: nothing global is touched
    axes = figure.add_axes((0.13, 0.13, 0.84, 0.78))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes
