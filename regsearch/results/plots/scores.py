"""Figures of scores: against the gap, along a path, by kind of penalty, and in the order of the search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.statistics import standard_error
from regsearch.models.axes import PathAxis, path_axis
from regsearch.results.bias import overtuning
from regsearch.results.formatting import format_items
from regsearch.results.plots.canvas import (
    BLUE,
    COLOURS,
    INK,
    MUTED,
    PAPER,
    VERMILION,
    Window,
    band,
    blank,
    faded,
    family,
    mark_axis,
    outside,
    outside_note,
    plain,
    thin,
    window,
)
from regsearch.results.rules import Pick
from regsearch.results.rules.best import best
from regsearch.results.rules.one_se import one_se
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_DOTS = 3000
FEWEST_BOXED = 5  # trials: of fewer the dots say all
FEWEST_FRAMED = 5  # trials that a frame is made for, if there are so many
NEAR = 0.02  # of a frame: marks closer than that hide each other
MOST_FAMILIES = len(COLOURS)
SYMBOLS = {"best": "star", "one se": "diamond", "reference": "x"}


@dataclass(frozen=True)
class Mark:
    """A point that stands out: what it is called, where it lies, and how it is drawn."""

    label: str
    gap: float
    score: float
    symbol: str


@dataclass(frozen=True)
class GapRecord:
    """Gap and score of every complete trial.

    Attributes
    ----------
    families
        By family, ``[n, 2]`` gap and score; the reference is a mark.
    told
        By family, what each of its trials is.
    front
        ``[k, 2]``: of trials and choices, those that no other beats in both gap and score, by gap.
    marks
        What each rule chooses, and the reference; one where they coincide or nearly so.
    x, y
        What is shown of gap and score at first.
    """

    families: dict[str, Array]
    told: dict[str, list[str]]
    front: Array
    marks: tuple[Mark, ...]
    x: Window
    y: Window
    metric: str

    @property
    def outside(self) -> int:
        """How many trials lie outside the frame."""
        return sum(int((~self._holds(dots)).sum()) for dots in self.families.values()) + len(self.unseen)

    @property
    def unseen(self) -> tuple[Mark, ...]:
        """The marks outside the frame: the reference, or none."""
        return tuple(mark for mark in self.marks if not self._holds(np.array([[mark.gap, mark.score]])).all())

    def _holds(self, dots: Array) -> NDArray[np.bool_]:
        return self.x.holds(dots[:, 0]) & self.y.holds(dots[:, 1])


@dataclass(frozen=True)
class PathRecord:
    """Mean train and validation score along the path of the best trial; `axis`, `train`, `val` and `se` are ``[S]``.

    `marks` says where the best point lies, and the most regularized one within a standard error of it.
    """

    along: PathAxis
    axis: Array
    train: Array
    val: Array
    se: Array
    marks: dict[str, float]
    y: Window
    metric: str
    title: str


@dataclass(frozen=True)
class KindsRecord:
    """Scores ``[n]`` by kind of penalty, estimator or module, the kind with the best score first."""

    scores: dict[str, Array]
    x: Window
    metric: str


@dataclass(frozen=True)
class HistoryRecord:
    """Trials in their order.

    Attributes
    ----------
    numbers, scores, best
        ``[n]``: number and score of each complete trial, in the order in which they finished, and the best score so
        far.
    held_out
        ``[k, 2]``: place in that order, from 1, and held-out score of those that were the best when they finished.
    """

    numbers: Array
    scores: Array
    best: Array
    held_out: Array
    y: Window
    metric: str


def pareto(dots: Array) -> Array:
    """Of dots ``[n, 2]`` (gap, score), those that no other equals in both and beats in one, by gap ``[k, 2]``."""
    ranked = dots[np.lexsort((-dots[:, 1], dots[:, 0]))]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked[:, 1])[:-1]])
    return np.asarray(ranked[ranked[:, 1] > before])


def gap_record(study: StoredStudy) -> GapRecord | None:
    """Gap against score, one dot a trial; `None` where no gap is finite."""
    trials = [trial for trial in thin(study.complete, MOST_DOTS) if np.isfinite(study.point(trial).gap)]
    if not trials:
        return None
    sampled = [trial for trial in trials if trial.role != "reference"]
    common = _common_families(sampled)
    families: dict[str, list[tuple[float, float]]] = {}
    told: dict[str, list[str]] = {}
    for trial in sampled:
        name = family(trial.params)
        name = name if name in common else "others"
        point = study.point(trial)
        families.setdefault(name, []).append((point.gap, point.val))
        told.setdefault(name, []).append(_told(study, trial))
    dots = np.array([(study.point(trial).gap, study.point(trial).val) for trial in trials])
    places = {"best": _at(study, best(study)), "one se": _at(study, one_se(study))}
    chosen = np.array(list(places.values()))
    x, y = _frame(dots, chosen)
    if study.reference:
        places["reference"] = study.point(study.reference).gap, study.point(study.reference).val
    return GapRecord(
        {name: np.array(of) for name, of in families.items()}, told, pareto(np.concatenate([dots, chosen])),
        _marks(places, x, y), x, y, study.metric,
    )  # fmt: skip


def _frame(dots: Array, chosen: Array) -> tuple[Window, Window]:
    """What is shown of gap and score: the better half of the trials and what lies near it.

    Near is what would make neither side more than three times as long. A few bad trials, or the reference, would
    otherwise leave those that a choice is made from a corner of the figure.

    Parameters
    ----------
    dots
        ``[n, 2]``, best first.
    chosen
        ``[k, 2]``, which is shown in any case.
    """
    half = dots[: max(FEWEST_FRAMED, math.ceil(len(dots) / 2))]
    near = np.ones(len(dots), dtype=bool)
    for values, better, must in zip(dots.T, half.T, chosen.T, strict=True):
        core = window(better, must)
        room = core.high - core.low
        wide = Window(core.low - room, core.high + room) if room else window(values, must)  # room for those that differ
        near &= wide.holds(values)
    shown = np.concatenate([dots[near], chosen])
    x, y = (Window(float(side.min()), float(side.max())) for side in shown.T)
    return x, y


def _marks(places: Mapping[str, tuple[float, float]], x: Window, y: Window) -> tuple[Mark, ...]:
    """Marks at gaps and scores by name, one for those that would hide each other."""
    found: list[Mark] = []
    for name, (gap, score) in places.items():
        for at, mark in enumerate(found):
            if abs(mark.gap - gap) <= NEAR * (x.high - x.low) and abs(mark.score - score) <= NEAR * (y.high - y.low):
                sign = "=" if (mark.gap, mark.score) == (gap, score) else "≈"
                found[at] = replace(mark, label=f"{mark.label} {sign} {name}")
                break
        else:
            found.append(Mark(name, gap, score, SYMBOLS[name]))
    return tuple(found)


def _at(study: StoredStudy, pick: Pick) -> tuple[float, float]:
    """Gap and score of what a rule picks."""
    point = study.curves(pick.number).point(pick.step)
    return point.gap, point.val


def _common_families(trials: list[Trial]) -> set[str]:
    names = [family(trial.params) for trial in trials]
    return set(sorted(set(names), key=lambda name: -names.count(name))[:MOST_FAMILIES])


def _told(study: StoredStudy, trial: Trial) -> str:
    """A trial in the words of a hover label."""
    settings = {name: value for name, value in trial.params.items() if name in study.varied}
    lines = [plain(format_items({name: value})) for name, value in list(settings.items())[:12]]
    return "<br>".join([f"<b>trial {trial.number}</b>", *lines])


def draw_gap(record: GapRecord) -> Figure:
    """Score against generalization gap: all trials at their places, and at first the part that matters."""
    among = "".join(f" ({mark.label} included)" for mark in record.unseen)
    note = f"{outside(record.outside)}{among}: a double click shows all" if record.outside else ""
    figure = blank("Score and gap", "generalization gap (train - validation)", f"validation {record.metric}", 480, note)
    where = "gap %{x:.4g}<br>score %{y:.5g}<extra></extra>"
    for at, (name, dots) in enumerate(record.families.items()):
        figure.add_scatter(
            x=dots[:, 0], y=dots[:, 1], mode="markers", name=plain(name), text=record.told[name],
            hovertemplate=f"%{{text}}<br>{where}",
            marker={"color": COLOURS[at % len(COLOURS)], "opacity": 0.65, "size": 7},
        )  # fmt: skip
    figure.add_scatter(
        x=record.front[:, 0], y=record.front[:, 1], mode="lines", name="Pareto front", hoverinfo="skip",
        line={"color": MUTED, "width": 1.5, "shape": "hv", "dash": "dot"},
    )  # fmt: skip
    for mark in record.marks:
        figure.add_scatter(
            x=[mark.gap], y=[mark.score], mode="markers", name=plain(mark.label),
            hovertemplate=f"{plain(mark.label)}<br>{where}",
            marker={"symbol": mark.symbol, "size": 15, "color": INK, "line": {"color": PAPER, "width": 1.5}},
        )  # fmt: skip
    figure.update_xaxes(range=record.x.range)
    figure.update_yaxes(range=record.y.range)
    return figure


def path_record(study: StoredStudy) -> PathRecord | None:
    """The path of the best trial; `None` when it has a single point."""
    if not study.complete or study.complete[0].steps < 2:
        return None
    best = study.complete[0]
    curves = study.curves(best.number)
    axis = study.trajectory(best.number).axis
    within = curves.reaching(study.point(best).floor)
    train, val = curves.train[curves.fitted].mean(axis=0), curves.mean()
    se = standard_error(curves.val[curves.fitted])
    return PathRecord(
        along=path_axis(best.axis),
        axis=axis,
        train=train,
        val=val,
        se=se,
        marks={"best": float(axis[best.step]), "one standard error": float(axis[within[0]])},
        y=_along_window(train, val, best.step, float(np.nan_to_num(se[best.step]))),
        metric=study.metric,
        title=f"{study.name}, trial {best.number}: {family(best.params)}",
    )


def _along_window(train: Array, val: Array, step: int, se: float) -> Window:
    """What is shown of two curves: the chosen point with its error, and no more of a bad beginning than of the rest."""
    room = window(np.concatenate([train, val]), [val[step] - 2 * se, val[step] + 2 * se, train[step]])
    first, third = np.quantile(val[np.isfinite(val)], [0.25, 0.75])
    low = min(val[step] - 2 * se, first - 1.5 * (third - first), train[step])
    return Window(max(room.low, float(low)), room.high, int((val < low).sum()))


def draw_path(record: PathRecord) -> Figure:
    """Train and validation curves along the path."""
    note = f"{record.y.outside} early or late points lie below the frame" if record.y.outside else ""
    figure = blank(record.title, y=record.metric, note=note)
    mark_axis(figure, record.along, record.axis)
    name = "validation ± 1 standard error"
    figure.add_scatter(x=record.axis, y=record.train, mode="lines", name="train", line={"color": BLUE, "width": 2.5})
    band(figure, record.axis, record.val, record.se, VERMILION, name)
    for (label, value), dash in zip(record.marks.items(), ("solid", "dash"), strict=True):
        figure.add_scatter(
            x=[value, value], y=record.y.range, mode="lines", line={"color": INK, "width": 1.2, "dash": dash},
            name=f"{label}: {record.along.text(value)}", hoverinfo="name",
        )  # fmt: skip
    figure.update_yaxes(range=record.y.range)
    figure.update_layout(hovermode="x")
    return figure


def kinds_record(study: StoredStudy) -> KindsRecord | None:
    """Scores by kind; `None` where there is one kind only."""
    found: dict[str, list[float]] = {}
    for trial in study.complete:
        found.setdefault(trial.kind.replace("_", " ") or "none", []).append(study.point(trial).val)
    if len(found) < 2:
        return None
    scores = {name: np.array(of) for name, of in found.items()}
    every = np.concatenate(list(scores.values()))
    return KindsRecord(scores, window(every, [every.max()]), study.metric)


def draw_kinds(record: KindsRecord) -> Figure:
    """A box and its trials for each kind, the best on top."""
    note = outside_note(record.x.outside)
    height = min(900, 170 + 52 * len(record.scores))
    figure = blank("Score by kind", f"validation {record.metric}", "", height, note)
    rng = np.random.default_rng(0)
    for at, (name, scores) in enumerate(record.scores.items()):
        dots = np.array(thin(scores.tolist(), 200))
        quartiles = np.quantile(record.x.clip(scores), [0, 0.25, 0.5, 0.75, 1])
        if len(scores) >= FEWEST_BOXED:
            figure.add_box(
                y=[at], lowerfence=quartiles[:1], q1=quartiles[1:2], median=quartiles[2:3], q3=quartiles[3:4],
                upperfence=quartiles[4:], orientation="h", name=plain(name), showlegend=False, width=0.5,
                line={"color": MUTED, "width": 1.2}, fillcolor=faded(MUTED, 0.12), hoverinfo="skip",
            )  # fmt: skip
        figure.add_scatter(
            x=record.x.clip(dots), y=at + rng.uniform(-0.2, 0.2, len(dots)), mode="markers", showlegend=False,
            marker={"color": COLOURS[at % len(COLOURS)], "size": 5, "opacity": 0.6}, customdata=dots,
            hovertemplate=f"{plain(name)}<br>%{{customdata:.5g}}<extra></extra>",
        )  # fmt: skip
    labels = [f"{plain(name)} ({len(scores)})" for name, scores in record.scores.items()]
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.5])
    figure.update_xaxes(range=record.x.range)
    return figure


def history_record(study: StoredStudy) -> HistoryRecord | None:
    """Scores in the order of the search; `None` for a single trial."""
    trials = sorted(study.complete, key=lambda trial: (trial.end_ms, trial.number))
    if len(trials) < 2:
        return None
    scores = np.array([study.point(trial).val for trial in trials])
    found = overtuning(study)
    place = {trial.number: at + 1.0 for at, trial in enumerate(trials)}
    held_out = np.column_stack([[place[k] for k in found.numbers], found.test]) if found else np.empty((0, 2))
    best = np.maximum.accumulate(scores)
    y = window(scores, [scores.max()], held_out[-1:, 1])
    return HistoryRecord(np.array([float(t.number) for t in trials]), scores, best, held_out, y, study.metric)


def draw_history(record: HistoryRecord) -> Figure:
    """Every trial's score, the best so far, and what the held-out set says of those that led."""
    note = outside_note(record.y.outside)
    figure = blank("The best score so far", "trials finished", record.metric, note=note)
    place = np.arange(1.0, len(record.scores) + 1)
    picked = np.unique(np.linspace(0, len(record.numbers) - 1, MOST_DOTS).round().astype(int))
    figure.add_scatter(
        x=place[picked], y=record.y.clip(record.scores[picked]), mode="markers", name="trials",
        marker={"color": MUTED, "opacity": 0.35, "size": 5}, customdata=record.numbers[picked],
        hovertemplate="trial %{customdata}: %{y:.5g}<extra></extra>",
    )  # fmt: skip
    steps = np.union1d(np.flatnonzero(np.diff(record.best, prepend=-np.inf) > 0), [len(record.best) - 1])
    figure.add_scatter(
        x=place[steps], y=record.y.clip(record.best[steps]), mode="lines", name="best so far (validation)",
        line={"color": VERMILION, "width": 2.5, "shape": "hv"},
    )  # fmt: skip
    if len(record.held_out):
        figure.add_scatter(
            x=record.held_out[:, 0], y=record.y.clip(record.held_out[:, 1]), mode="lines+markers",
            name="its held-out score", line={"color": BLUE, "width": 1.5, "dash": "dot", "shape": "hv"},
            marker={"size": 8, "symbol": "diamond"},
            customdata=record.held_out[:, 1], hovertemplate="held out: %{customdata:.5g}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(range=record.y.range)
    return figure
