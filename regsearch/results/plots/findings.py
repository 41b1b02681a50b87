"""Figures of what was asked after the search: coefficients, learning curve, ablation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.metrics.statistics import standard_error
from regsearch.models.axes import PathAxis, path_axis
from regsearch.results.plots.canvas import (
    BLUE,
    COLOURS,
    INK,
    MUTED,
    VERMILION,
    band,
    blank,
    dressed,
    mark_axis,
    plain,
    short,
)
from regsearch.results.stored_study import StoredStudy, is_winner

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

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


@dataclass(frozen=True)
class LearningRecord:
    """Train and validation scores ``[K, S]`` of a chosen config, by number of training rows ``[S]``."""

    sizes: Array
    train: Array
    val: Array
    metric: str
    subject: str


@dataclass(frozen=True)
class AblationRecord:
    """What changes when one technique is taken off, each ``[t]``, the one whose loss costs most first."""

    techniques: tuple[str, ...]
    score: Array
    score_se: Array
    gap: Array
    gap_se: Array
    metric: str
    subject: str


def coefficients_record(study: StoredStudy) -> CoefficientsRecord | None:
    """What a finding says of the winner's coefficients; `None` for a winner without a path."""
    found = study.finding("coefficients")
    if found is None or len(found["values"]) < 2 or not found["names"] or not is_winner(study, found):
        return None
    at, coef = _numbers(found["values"]), _numbers(found["coef"])
    chosen = found["chosen"]
    step = len(at) - 1 if chosen is None else int(np.argmin(np.abs(at - chosen)))
    order = np.lexsort((-np.abs(coef).max(axis=1), -np.abs(coef[:, step])))
    names = tuple(str(found["names"][k]) for k in order)
    return CoefficientsRecord(path_axis(str(found["axis"])), at, names, coef[order], chosen, str(found["note"]))


def _numbers(values: object) -> Array:
    """Numbers of a JSON array, null as NaN."""
    return np.array(values, dtype=np.float64)


def draw_coefficients(record: CoefficientsRecord) -> Figure:
    """Coefficients along the path, the largest of the chosen point in colour."""
    figure = blank("Coefficients along the path", y="coefficient", height=460, note=record.note)
    mark_axis(figure, record.along, record.at)
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
            x=record.at, y=values, mode="lines", name=plain(short(name, record.names[:named])),
            line={"color": colour, "width": 2},
            hovertemplate=f"{plain(name)}: %{{y:.4g}}<extra></extra>",
        )  # fmt: skip
    if record.chosen is not None:
        figure.add_vline(x=record.chosen, line={"color": INK, "width": 1.2})
    return figure


def learning_record(study: StoredStudy) -> LearningRecord | None:
    """What a finding says of fewer training rows."""
    found = study.finding("learning_curve")
    if found is None:
        return None
    return LearningRecord(
        _numbers(found["sizes"]), _numbers(found["train"]), _numbers(found["val"]), str(found["metric"]),
        subject(study, found),
    )  # fmt: skip


def subject(study: StoredStudy, found: Mapping[str, Any]) -> str:
    """Whom a finding is about: the winner; or, after further trials or by another rule, the trial chosen then."""
    if is_winner(study, found):
        return "the winner"
    rule = found["rule"]
    return f"trial {found['number']}, {'the best then' if rule == 'best' else f'chosen by {rule}'}"


def draw_learning(record: LearningRecord) -> Figure:
    """Mean scores with their standard errors, by size."""
    figure = blank("Would more rows help?", "training rows", record.metric, note=f"Of {record.subject}")
    for name, scores, colour in (("train", record.train, BLUE), ("validation", record.val, VERMILION)):
        middle, se = np.nanmean(scores, axis=0), standard_error(scores)
        band(figure, record.sizes, middle, se, colour, f"{name} ± 1 standard error")
        figure.data[-1].update(mode="lines+markers")
    if record.sizes.max() > 10 * record.sizes.min():
        figure.update_xaxes(type="log", dtick=math.log10(2) if len(record.sizes) < 8 else 1)
    figure.update_xaxes(tickvals=record.sizes.tolist())
    return figure


def ablation_record(study: StoredStudy) -> AblationRecord | None:
    """What a finding says of the winner without each of its techniques."""
    found = study.finding("ablation")
    if found is None or not found["rows"]:
        return None
    rows = sorted(found["rows"], key=lambda row: row["score_change"])
    score, score_se, gap, gap_se = (
        _numbers([row[part] for row in rows])
        for part in ("score_change", "score_change_se", "gap_change", "gap_change_se")
    )
    techniques = tuple(str(row["technique"]) for row in rows)
    return AblationRecord(techniques, score, score_se, gap, gap_se, str(found["metric"]), subject(study, found))


def draw_ablation(record: AblationRecord) -> Figure:
    """Two bars a technique: what its absence does to the score, and to the gap."""
    from plotly.subplots import make_subplots

    titles = [f"change of {plain(record.metric)}", "change of the gap"]
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.05)
    title, height = "What each technique does", 170 + 34 * len(record.techniques)
    dressed(figure, title, height, note=f"Taken off {record.subject}, one at a time")
    figure.update_layout(showlegend=False)
    sides = ((record.score, record.score_se, VERMILION), (record.gap, record.gap_se, BLUE))
    for at, (values, errors, colour) in enumerate(sides):
        figure.add_bar(
            x=values, y=[plain(short(name, record.techniques)) for name in record.techniques], orientation="h",
            width=0.6,
            marker={"color": colour}, error_x={"array": errors, "color": MUTED, "thickness": 1.2, "width": 3},
            hovertemplate="without %{y}: %{x:.3g}<extra></extra>", row=1, col=at + 1,
        )  # fmt: skip
        figure.update_xaxes(title_text=titles[at], zeroline=True, zerolinecolor=MUTED, nticks=4, row=1, col=at + 1)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure
