"""What the winner's score and gap are without each of its techniques."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.findings import subject, to_numbers
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    MUTED,
    VERMILION,
    apply_style,
    escape,
    short_name,
)
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class AblationRecord:
    """What changes when one technique is taken off, each ``[t]``, the one whose loss costs most first.

    `score` and `gap` are those of configs on their own paths, `held_score` and `held_gap` at the chosen point; NaN
    where there is none.
    """

    techniques: tuple[str, ...]
    score: Array
    score_se: Array
    gap: Array
    gap_se: Array
    held_score: Array
    held_gap: Array
    metric: str
    subject: str


def ablation_record(study: StoredStudy) -> AblationRecord | None:
    """What a finding says of the winner without each of its techniques."""
    found = study.finding("ablation")
    if found is None or not found["rows"]:
        return None
    rows = sorted(found["rows"], key=lambda row: row["score_change"])
    score, score_se, gap, gap_se = (
        to_numbers([row[part] for row in rows])
        for part in ("score_change", "score_change_se", "gap_change", "gap_change_se")
    )
    held = [row if found.get("axis") else {} for row in rows]
    held_score, held_gap = (to_numbers([row.get(f"held_{part}_change") for row in held]) for part in ("score", "gap"))
    techniques = tuple(str(row["technique"]) for row in rows)
    return AblationRecord(
        techniques, score, score_se, gap, gap_se, held_score, held_gap, str(found["metric"]), subject(study, found)
    )


BARS = (
    "A bar to the left on the left side means that the score falls without the technique; a bar to the right on "
    "the right side, that the gap grows; whiskers are one standard error. "
)
PATH = (
    "Every config stands at the best point of its own path; a diamond is the change where that is held as it was "
    "chosen. "
)
KEPT = "Everything else stays as it was chosen."


def _caption(record: AblationRecord) -> str:
    """Without the path and the diamonds where configs have none."""
    return BARS + (PATH if np.isfinite(record.held_score).any() else "") + KEPT


@plot(
    BARS + PATH + KEPT,
    caption_of=_caption, needs="an ablation", record=ablation_record, order=3, wide=True,
)  # fmt: skip
def ablation(record: AblationRecord) -> Figure:
    """What the winner's score and gap are without each of its techniques."""
    from plotly.subplots import make_subplots

    titles = [f"change of {escape(record.metric)}", "change of the gap"]
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.05)
    title, height = "What each technique does", 170 + 34 * len(record.techniques)
    apply_style(figure, title, height, note=f"Taken off {record.subject}, one at a time")
    figure.update_layout(showlegend=False)
    names = [escape(short_name(name, record.techniques)) for name in record.techniques]
    sides = (
        (record.score, record.score_se, record.held_score, VERMILION),
        (record.gap, record.gap_se, record.held_gap, BLUE),
    )
    for at, (values, errors, held, colour) in enumerate(sides):
        figure.add_bar(
            x=values, y=names, orientation="h", width=0.6,
            marker={"color": colour}, error_x={"array": errors, "color": MUTED, "thickness": 1.2, "width": 3},
            hovertemplate="without %{y}: %{x:.3g}<extra></extra>", row=1, col=at + 1,
        )  # fmt: skip
        if np.isfinite(held).any():
            figure.add_scatter(
                x=held, y=names, mode="markers", marker={"symbol": "diamond-open", "color": MUTED, "size": 9},
                hovertemplate="without %{y}, held as chosen: %{x:.3g}<extra></extra>", row=1, col=at + 1,
            )  # fmt: skip
        figure.update_xaxes(title_text=titles[at], zeroline=True, zerolinecolor=MUTED, nticks=4, row=1, col=at + 1)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure
