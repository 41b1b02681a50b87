"""Score against gap: whether a score is bought by overfitting."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.numeric import format_number
from regsearch.results.formatting import format_items
from regsearch.results.plots.images import literal, new_image
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    COLOURS,
    INK,
    MUTED,
    PAPER,
    Window,
    escape,
    model_label,
    new_figure,
    outside,
    outside_note,
    thin_out,
    window,
)
from regsearch.results.rules import Pick
from regsearch.results.rules.best import best
from regsearch.results.rules.one_se import one_se
from regsearch.results.stored_study import StoredStudy, comparable
from regsearch.storage.trial import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Image
    from plotly.graph_objects import Figure

MOST_DOTS = 3000
FEWEST_FRAMED = 5  # trials that a frame is made for, if there are so many
LEFT_OUT = 0.25  # of the trials: where more lie outside, a standard error decides what is near
NEAR = 0.02  # of a frame: marks closer than that hide each other
MOST_FAMILIES = len(COLOURS)
SYMBOLS = {"best": "star", "one se": "diamond", "reference": "x"}
ARROWS = {(-1, -1): "↙", (-1, 0): "←", (-1, 1): "↖", (0, -1): "↓", (0, 1): "↑", (1, -1): "↘", (1, 0): "→", (1, 1): "↗"}
NAMED = "circle-open"  # the symbol of a trial that a report was asked of
MARKERS = {"star": "*", "diamond": "D", "x": "X", NAMED: "o"}  # of matplotlib, for plotly's


@dataclass(frozen=True)
class Mark:
    """A point that stands out: what it is called, where it lies, and how it is drawn."""

    label: str
    gap: float
    score: float
    symbol: str


@dataclass(frozen=True)
class Sign:
    """Words with an arrow that point to a mark outside the frame."""

    mark: Mark
    text: str


@dataclass(frozen=True)
class GapRecord:
    """Gap and score of every complete trial.

    Attributes
    ----------
    families
        By family, ``[n, 2]`` gap and score; the reference is a mark.
    labels
        By family, what each of its trials is.
    front
        ``[k, 2]``: of trials and choices, those that no other beats in both gap and score, by gap.
    marks
        What each rule chooses, and the reference; one where they coincide or nearly so.
    x, y
        What is shown of gap and score at first.
    """

    families: dict[str, Array]
    labels: dict[str, list[str]]
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
    def signs(self) -> Iterator[Sign]:
        """What points to each mark outside the frame, so that none is missed."""
        for mark in self.unseen:
            arrow = ARROWS[_side(mark.gap, self.x), _side(mark.score, self.y)]
            where = f"gap {format_number(mark.gap)}, score {format_number(mark.score, 5)}"
            yield Sign(mark, f"{arrow} {mark.label}: {where}")

    @property
    def unseen(self) -> tuple[Mark, ...]:
        """The marks outside the frame: the reference, a choice far from all trials, or none."""
        return tuple(mark for mark in self.marks if not self._holds(np.array([[mark.gap, mark.score]])).all())

    def _holds(self, dots: Array) -> NDArray[np.bool_]:
        return self.x.holds(dots[:, 0]) & self.y.holds(dots[:, 1])


def pareto(dots: Array) -> Array:
    """Of dots ``[n, 2]`` (gap, score), those that no other equals in both and beats in one, by gap ``[k, 2]``."""
    ranked = dots[np.lexsort((-dots[:, 1], dots[:, 0]))]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(ranked[:, 1])[:-1]])
    return np.asarray(ranked[ranked[:, 1] > before])


def gap_record(study: StoredStudy) -> GapRecord | None:
    """Gap against score, one dot a trial; `None` where no gap is finite."""
    trials = [trial for trial in thin_out(study.complete, MOST_DOTS) if np.isfinite(study.point(trial).gap)]
    if not trials:
        return None
    sampled = [trial for trial in trials if trial.role != "reference"]
    common = _common_families(sampled)
    families: dict[str, list[tuple[float, float]]] = {}
    labels: dict[str, list[str]] = {}
    for trial in sampled:
        name = model_label(trial.params)
        name = name if name in common else "others"
        point = study.point(trial)
        families.setdefault(name, []).append((point.gap, point.val))
        labels.setdefault(name, []).append(_label(study, trial))
    dots = np.array([(study.point(trial).gap, study.point(trial).val) for trial in trials])
    top = study.point(study.candidates[0])
    places = {"best": _at(study, best(study)), "one se": _at(study, one_se(study))}
    if study.winner != study.candidates[0]:
        places[f"trial {study.winner.number}"] = study.point(study.winner).gap, study.point(study.winner).val
    places = {name: place for name, place in places.items() if np.isfinite(place).all()}  # a step may have no score
    chosen = np.array(list(places.values()))
    x, y = _frame(dots, np.delete(chosen, 1, axis=0), chosen[1:2], (top.gap_se, top.val_se))
    if (reference := comparable(study)) is not None:
        places["reference"] = study.point(reference).gap, study.point(reference).val
    return GapRecord(
        {name: np.array(of) for name, of in families.items()}, labels, pareto(np.concatenate([dots, chosen])),
        _marks(places, x, y), x, y, study.metric_label,
    )  # fmt: skip


def _side(value: float, shown: Window) -> int:
    """-1 below what is shown, 1 above it, 0 inside."""
    return int(value > shown.high) - int(value < shown.low)


def _frame(
    dots: Array, must: Array, may: Array | None = None, errors: tuple[float, float] = (0.0, 0.0)
) -> tuple[Window, Window]:
    """What is shown of gap and score: the better half of the trials and what lies near it.

    Near is what would make neither side more than three times as long. A few bad trials, the reference, or the end of a
    path that a rule chose would otherwise leave those that a choice is made from a corner of the figure. Where that
    leaves out many, as half of the trials are one model again and again, near is what cannot be told from them, too.

    Parameters
    ----------
    dots
        ``[n, 2]``, best first.
    must, may
        ``[k, 2]``: what is shown in any case, and what is if it is near all that is shown.
    errors
        Standard errors of the best's gap and score.
    """
    near = _near(dots, must, (0.0, 0.0))
    if near.mean() < 1 - LEFT_OUT:
        near |= _near(dots, must, errors)
    shown = np.concatenate([dots[near], must])
    low, high = shown.min(axis=0), shown.max(axis=0)
    room = np.where(high > low, high - low, np.inf)
    others = np.empty((0, 2)) if may is None else may
    fits = ((others >= low - 2 * room) & (others <= high + 2 * room)).all(axis=1)
    x, y = (Window(float(side.min()), float(side.max())) for side in np.concatenate([shown, others[fits]]).T)
    return x, y


def _near(dots: Array, must: Array, errors: tuple[float, float]) -> NDArray[np.bool_]:
    """Which dots lie near the better half of them, or no further from it than a standard error."""
    half = dots[: max(FEWEST_FRAMED, math.ceil(len(dots) / 2))]
    near = np.ones(len(dots), dtype=bool)
    for values, better, inside, error in zip(dots.T, half.T, must.T, errors, strict=True):
        core = window(better, inside)
        room = max(core.high - core.low, error if math.isfinite(error) else 0.0)
        wide = (
            Window(core.low - room, core.high + room) if room else window(values, inside)
        )  # room for those that differ
        near &= wide.holds(values)
    return near


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
            found.append(Mark(name, gap, score, SYMBOLS.get(name, NAMED)))
    return tuple(found)


def _at(study: StoredStudy, pick: Pick) -> tuple[float, float]:
    """Gap and score of what a rule picks."""
    point = study.curves(pick.number).point(pick.step)
    return point.gap, point.val


def _common_families(trials: list[Trial]) -> set[str]:
    names = [model_label(trial.params) for trial in trials]
    return set(sorted(set(names), key=lambda name: -names.count(name))[:MOST_FAMILIES])


def _label(study: StoredStudy, trial: Trial) -> str:
    """A trial in the words of a hover label."""
    settings = {name: value for name, value in trial.own_params.items() if name in study.varied}
    lines = [escape(format_items({name: value})) for name, value in list(settings.items())[:12]]
    return "<br>".join([f"<b>trial {trial.number}</b>", *lines])


def gap_image(record: GapRecord) -> Image:
    """Score against generalization gap."""
    figure, axes = new_image()
    for colour, (name, dots) in zip(COLOURS * 9, record.families.items(), strict=False):
        x, y = record.x.clip(dots[:, 0]), record.y.clip(dots[:, 1])
        axes.scatter(x, y, s=26, color=colour, alpha=0.75, lw=0, label=literal(name))
    signs = {sign.mark: sign.text for sign in record.signs}
    for mark in record.marks:
        x, y = record.x.clip(np.array([mark.gap])), record.y.clip(np.array([mark.score]))
        said = signs.get(mark, mark.label)
        axes.scatter(x, y, s=110, marker=MARKERS[mark.symbol], color="0.15", edgecolors="w", label=literal(said))
    axes.set(
        xlabel="generalization gap (train - validation)", ylabel=literal(f"validation {record.metric}"),
        xlim=record.x.range, ylim=record.y.range, title=outside_note(record.outside) or "Score and gap",
    )  # fmt: skip
    axes.legend(edgecolor="none", framealpha=0.9, fontsize=9)
    return figure


@plot(
    "Up is a better score, left is less overfitting; on the dotted line no trial is better in both, so look for a "
    "point on it that costs little score and saves much gap.",
    needs="a complete trial", record=gap_record, order=1, static=gap_image,
)  # fmt: skip
def gap(record: GapRecord) -> Figure:
    """Score against gap of every trial, the Pareto front, the choices and the reference."""
    among = " and ".join(mark.label for mark in record.unseen)
    more = " included" if record.outside > len(record.unseen) else ""
    said = f" ({among}{more})" if among else ""
    note = f"{outside(record.outside, 'point')}{said}: a double click shows all" if record.outside else ""
    figure = new_figure(
        "Score and gap", "generalization gap (train - validation)", f"validation {record.metric}", 480, note
    )
    where = "gap %{x:.4g}<br>score %{y:.5g}<extra></extra>"
    for at, (name, dots) in enumerate(record.families.items()):
        figure.add_scatter(
            x=dots[:, 0], y=dots[:, 1], mode="markers", name=escape(name), text=record.labels[name],
            hovertemplate=f"%{{text}}<br>{where}",
            marker={"color": COLOURS[at % len(COLOURS)], "opacity": 0.65, "size": 7},
        )  # fmt: skip
    figure.add_scatter(
        x=record.front[:, 0], y=record.front[:, 1], mode="lines", name="Pareto front", hoverinfo="skip",
        line={"color": MUTED, "width": 1.5, "shape": "hv", "dash": "dot"},
    )  # fmt: skip
    for mark in record.marks:
        figure.add_scatter(
            x=[mark.gap], y=[mark.score], mode="markers", name=escape(mark.label),
            hovertemplate=f"{escape(mark.label)}<br>{where}",
            marker={"symbol": mark.symbol, "size": 15, "color": INK, "line": {"color": PAPER, "width": 1.5}},
        )  # fmt: skip
    signs = [escape(sign.text) for sign in record.signs]
    if signs:
        figure.add_annotation(
            x=1, y=1, xref="paper", yref="paper", text="<br>".join(signs), showarrow=False, xanchor="right",
            yanchor="bottom", font={"color": INK, "size": 12},
        )  # fmt: skip
        figure.update_layout(margin_t=90)
    figure.update_xaxes(range=record.x.range)
    figure.update_yaxes(range=record.y.range)
    return figure
