"""Figures of parameters: all of them as parallel axes, how much each matters, and the score along each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.canvas import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    SKY,
    VERMILION,
    Window,
    blank,
    cut,
    dressed,
    outside_note,
    plain,
    thin,
    window,
)
from regsearch.results.plots.columns import Column, columns
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_LINES = 300
MOST_AXES = 12
MOST_ABREAST = 3  # categories below one of three panels
MOST_DOTS = 400  # in each panel
BANDS = ((0.05, "best 5%", VERMILION, 0.9), (0.25, "best 25%", BLUE, 0.55), (0.5, "best half", SKY, 0.4),
         (1.0, "rest", MUTED, 0.18))  # fmt: skip
TREES = 60
REPEATS = 5
FEWEST = 20  # trials that a forest can say something from


@dataclass(frozen=True)
class SpaceRecord:
    """Parameters of trials, best first, and their scores ``[n]``."""

    columns: tuple[Column, ...]
    scores: Array
    numbers: tuple[int, ...]
    y: Window
    metric: str
    left_out: int = 0

    @property
    def note(self) -> str:
        """What is not shown."""
        said = [outside_note(self.y.outside)]
        said += [f"{self.left_out} more parameters vary"] if self.left_out else []
        return "; ".join(part for part in said if part)


@dataclass(frozen=True)
class ImportanceRecord:
    """How much each sampled parameter matters.

    Attributes
    ----------
    names
        Of the parameters, the most important first.
    drop, spread
        ``[p]``: by how much R² of a forest's predictions of the score falls when the parameter is shuffled; mean and
        standard deviation over repeats.
    r2
        Of the forest's predictions for trials that it has not seen.
    """

    names: tuple[str, ...]
    drop: Array
    spread: Array
    r2: float
    metric: str


def space_record(study: StoredStudy) -> SpaceRecord | None:
    """Parameters and scores of complete trials; `None` where nothing varies."""
    found = columns(study, study.complete)
    if not found or len(study.complete) < 2:
        return None
    scores = np.array([study.point(trial).val for trial in study.complete])
    numbers = tuple(trial.number for trial in study.complete)
    y = window(scores, [scores.max()])
    return SpaceRecord(tuple(found[:MOST_AXES]), scores, numbers, y, study.metric, max(0, len(found) - MOST_AXES))


def draw_parallel(record: SpaceRecord) -> Figure:
    """Every trial as a line through its parameters to its score."""
    score = Column(record.metric, record.metric, record.y.clip(record.scores), _score_ticks(record.y))
    axes = (*record.columns, score)
    figure = blank("Parameters of good trials", height=460, note=record.note)
    high = np.stack([_height(column) for column in axes], axis=1)
    rank = np.argsort(np.argsort(-record.scores, kind="stable")) / len(record.scores)
    shown = np.array(thin(range(len(record.scores)), MOST_LINES))
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
                x=at, y=(place - low) / ((top - low) or 1), text=plain(said), showarrow=False, bgcolor=PAPER,
                opacity=0.85, font={"size": 11, "color": INK}, xanchor="right" if column is score else "left",
                xshift=-3 if column is score else 3,
            )  # fmt: skip
    labels = [plain(column.label) for column in axes]
    figure.update_xaxes(
        tickvals=list(range(len(axes))), ticktext=labels, side="top", showgrid=False, ticks="",
        range=[-0.15, len(axes) - 0.85],
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-0.05, 1.05])
    figure.update_layout(margin_t=90)  # the names of the axes stand below the title
    return figure


def _height(column: Column) -> Array:
    """``[n]`` places between 0 and 1, those of categories shaken a little so that lines do not hide each other."""
    low, high = column.ends
    places: Array = (column.at - low) / ((high - low) or 1)
    shaken = np.random.default_rng(0).uniform(-0.02, 0.02, len(places)) if column.words else 0.0
    return np.asarray(places + shaken)


def _score_ticks(y: Window) -> tuple[tuple[float, str], ...]:
    return tuple((float(at), f"{at:.4g}") for at in np.linspace(y.low, y.high, 5))


def importance_record(study: StoredStudy) -> ImportanceRecord | None:
    """What a forest needs to predict scores; `None` with few trials, or where fewer than two parameters vary."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    sampled = [trial for trial in study.complete if trial.role != "reference"]
    found = [column for column in columns(study, sampled) if not column.along]
    if len(sampled) < FEWEST or len(found) < 2:
        return None
    scores = np.array([study.point(trial).val for trial in sampled])
    target = window(scores, [scores.max()]).clip(scores)  # one diverged trial must not be all that matters
    if np.ptp(target) == 0:
        return None
    X = np.stack([np.nan_to_num(column.at, nan=column.ends[0] - 1) for column in found], axis=1)
    rows = np.random.default_rng(0).permutation(len(X))
    test, train = np.split(rows, [max(len(rows) // 4, 5)])
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=0.7, random_state=0)
    forest.fit(X[train], target[train])
    found_out = permutation_importance(forest, X[test], target[test], n_repeats=REPEATS, random_state=0)
    order = np.argsort(-found_out.importances_mean, kind="stable")
    return ImportanceRecord(
        tuple(found[k].label for k in order), found_out.importances_mean[order], found_out.importances_std[order],
        float(forest.score(X[test], target[test])), study.metric,
    )  # fmt: skip


def draw_importance(record: ImportanceRecord) -> Figure:
    """A bar for each parameter, the most important on top."""
    note = f"a forest predicts the scores of trials that it has not seen with R² {record.r2:.2f}"
    if record.r2 < 0.3:
        note += ": too little to trust the order"
    figure = blank("What matters for the score", "fall of R² when shuffled", "", 150 + 28 * len(record.names), note)
    figure.add_bar(
        x=np.maximum(record.drop, 0), y=[plain(name) for name in record.names], orientation="h", marker={"color": BLUE},
        error_x={"array": record.spread, "color": MUTED, "thickness": 1.2, "width": 3}, showlegend=False,
        hovertemplate="%{y}: %{x:.3g}<extra></extra>", width=0.6,
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(rangemode="tozero")
    return figure


def draw_slices(record: SpaceRecord) -> Figure:
    """The score along each parameter, one panel each."""
    from plotly.subplots import make_subplots

    count = len(record.columns)
    across = min(2 if any(len(column.ticks) > MOST_ABREAST for column in record.columns) else 3, count)
    down = math.ceil(count / across)
    height = 130 + 235 * down
    grid = make_subplots(
        down, across, shared_yaxes=True, horizontal_spacing=0.04, vertical_spacing=min(0.35, 85 / (235 * down))
    )
    dressed(grid, "Score along each parameter", height, record.note).update_layout(showlegend=False)
    shown = thin(range(len(record.scores)), MOST_DOTS)
    for at, column in enumerate(record.columns):
        _slice(grid, record, column, shown, {"row": at // across + 1, "col": at % across + 1})
    for row in range(1, down + 1):
        grid.update_yaxes(title_text=plain(record.metric), row=row, col=1)
    grid.update_yaxes(range=record.y.range)
    return grid


def _slice(grid: Figure, record: SpaceRecord, column: Column, shown: list[int], place: dict[str, Any]) -> None:
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
        title_text=plain(column.label), tickvals=ticks, ticktext=[_stacked(said) for said in labels], tickangle=0,
        range=[low - margin, high + margin], **place,
    )  # fmt: skip


def _stacked(said: str) -> str:
    """Words below each other, so that those of neighbouring ticks do not meet."""
    return "<br>".join(plain(cut(word, 9)) for word in said.split(" ")[:2])
