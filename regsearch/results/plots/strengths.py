"""What became of the strengths that follow the training of the best trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.models.axes import PathAxis, path_axis
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import COLOURS, INK, escape, format_path_axis, model_label, new_figure
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STRENGTH = "_strength"  # what the name of such a curve ends with
TICKS = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]


@dataclass(frozen=True)
class StrengthsRecord:
    """Factors along the path of the best trial, ``at`` ``[S]``.

    Attributes
    ----------
    folds, mean
        By what the strength is of, ``[K, S]`` of each fold that was fitted, and ``[S]`` over them.
    chosen
        Where the trial is chosen.
    """

    along: PathAxis
    at: Array
    folds: Mapping[str, Array]
    mean: Mapping[str, Array]
    chosen: float
    title: str


def strengths_record(study: StoredStudy) -> StrengthsRecord | None:
    """What became of the winner's strengths; `None` where none of them moves by itself."""
    if not study.complete or study.winner.steps < 2:
        return None
    best = study.winner
    trajectory, curves = study.trajectory(best.number), study.curves(best.number)
    followed = {name: values for name, values in trajectory.followed.items() if name.endswith(STRENGTH)}
    if not followed:
        return None
    along = path_axis(best.axis)
    return StrengthsRecord(
        along=along, at=trajectory.axis, chosen=float(trajectory.axis[best.step]),
        folds={_called(name): values[curves.fitted] for name, values in followed.items()},
        mean={_called(name): curves.average(values) for name, values in followed.items()},
        title=f"Strengths along {along.name}: trial {best.number}, {model_label(best.params)}",
    )  # fmt: skip


def _called(name: str) -> str:
    return name.replace("_", " ")


@plot(
    "A strength rises above 1 while the net overfits by more than it may, and falls below while it does not; the thin "
    "lines are the folds. Where a line levels off, that many times the strength of the config is enough.",
    needs="a best trial with a strength that follows its training, as AdaptiveStrength makes one",
    record=strengths_record, order=2,
)  # fmt: skip
def strengths(record: StrengthsRecord) -> Figure:
    """What became of the strengths that follow the training of the best trial."""
    figure = new_figure(record.title, y="times the strength of the config")
    format_path_axis(figure, record.along, record.at)
    for (name, folds), colour in zip(record.folds.items(), COLOURS, strict=False):
        gaps = np.full((len(folds), 1), np.nan)
        figure.add_scatter(
            x=np.tile([*record.at, np.nan], len(folds)), y=np.concatenate([folds, gaps], axis=1).ravel(), mode="lines",
            line={"color": colour, "width": 1}, opacity=0.4, hoverinfo="skip", legendgroup=name, showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=record.at, y=record.mean[name], mode="lines", name=escape(name), legendgroup=name, showlegend=True,
            line={"color": colour, "width": 2.5}, hovertemplate=f"{escape(name)} %{{y:.3g}} times<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=record.chosen, line={"color": INK, "width": 1.2})
    figure.update_yaxes(type="log", tickvals=TICKS, ticktext=[f"{at:g}" for at in TICKS])
    return figure
