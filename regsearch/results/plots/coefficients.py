"""The winner's coefficients along its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.models.axes import PathAxis, path_axis
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    COLOURS,
    INK,
    MUTED,
    escape,
    format_path_axis,
    new_figure,
    short_name,
)
from regsearch.results.stored_study import StoredStudy, is_winner

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
from regsearch.results.plots.findings import to_numbers

MOST_GREY = 60  # lines of small coefficients that a screen can tell apart


@dataclass(frozen=True)
class CoefficientsRecord:
    """Coefficients ``[p', S]`` along a path, the largest at the chosen point first; `at` is ``[S]``."""

    along: PathAxis
    at: Array
    names: tuple[str, ...]
    coef: Array
    chosen: float | None
    note: str


def coefficients_record(study: StoredStudy) -> CoefficientsRecord | None:
    """What a finding says of the winner's coefficients; `None` for a winner without a path."""
    found = study.finding("coefficients")
    if found is None or len(found["values"]) < 2 or not found["names"] or not is_winner(study, found):
        return None
    at, coef = to_numbers(found["values"]), to_numbers(found["coef"])
    chosen = found["chosen"]
    step = len(at) - 1 if chosen is None else int(np.argmin(np.abs(at - chosen)))
    order = np.lexsort((-np.abs(coef).max(axis=1), -np.abs(coef[:, step])))
    names = tuple(str(found["names"][k]) for k in order)
    return CoefficientsRecord(path_axis(str(found["axis"])), at, names, coef[order], chosen, str(found["note"]))


@plot(
    "Each line is a column of the data: what is far from zero at the vertical line is what the winner uses most.",
    needs="the coefficients of a linear winner", record=coefficients_record, order=5,
)  # fmt: skip
def coefficients(record: CoefficientsRecord) -> Figure:
    """The winner's coefficients along its path."""
    figure = new_figure("Coefficients along the path", y="coefficient", height=460, note=record.note)
    format_path_axis(figure, record.along, record.at)
    named = min(len(COLOURS), len(record.names))
    small = record.coef[named : named + MOST_GREY]
    if len(small):
        gaps = np.full((len(small), 1), np.nan)
        figure.add_scatter(
            x=np.tile([*record.at, np.nan], len(small)), y=np.concatenate([small, gaps], axis=1).ravel(), mode="lines",
            line={"color": MUTED, "width": 1}, opacity=0.4, hoverinfo="skip",
            name=f"{len(record.names) - named} others",
        )  # fmt: skip
    for name, values, colour in zip(record.names[:named], record.coef, COLOURS, strict=False):
        figure.add_scatter(
            x=record.at, y=values, mode="lines", name=escape(short_name(name, record.names[:named])),
            line={"color": colour, "width": 2},
            hovertemplate=f"{escape(name)}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    if record.chosen is not None:
        figure.add_vline(x=record.chosen, line={"color": INK, "width": 1.2})
    return figure
