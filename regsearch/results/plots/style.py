"""What every figure shares: colours, an empty figure, windows that outliers do not stretch, and words that fit.

Colours are Okabe and Ito's (2008), which the colour-blind can tell apart. A figure is drawn for light paper; `DARK`
says which colours to exchange where it is shown on dark.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.cleaning import printable
from regsearch.models.axes import PathAxis

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, VERMILION, GREEN, PINK, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILION, GREEN, PINK, ORANGE, SKY)
INK, MUTED, GRID, PAPER = "#20242a", "#5c6570", "#e4e7eb", "#ffffff"
DARK = {INK: "#e8eaed", MUTED: "#a3adb8", GRID: "#343a42", PAPER: "#16191d", BLUE: "#3b9ae0"}
HEIGHT = 420  # pixels
REACH = 3.0  # interquartile ranges beyond the quartiles: further out is outside the frame
ROUNDING = 1e-9  # of a number's size: values that differ by no more are one, which no axis can tell apart
Item = TypeVar("Item")


@dataclass(frozen=True)
class Window:
    """The part of an axis that is shown, and how many values lie outside it."""

    low: float
    high: float
    outside: int = 0

    @property
    def range(self) -> list[float]:
        """Low and high with a margin."""
        size, length = max(abs(self.low), abs(self.high)), self.high - self.low
        margin = 0.05 * length if length > ROUNDING * size else 0.5 * size or 0.5
        return [self.low - margin, self.high + margin]

    def clip(self, values: Array) -> Array:
        """Values moved onto the nearest edge where they lie outside."""
        return np.clip(values, self.low, self.high)

    def holds(self, values: Array) -> NDArray[np.bool_]:
        """Which values lie inside."""
        return np.asarray((values >= self.low) & (values <= self.high))


def window(values: Array, must: Iterable[float] = (), may: Iterable[float] = ()) -> Window:
    """A window of values that a few far ones do not stretch.

    Parameters
    ----------
    values
        ``[n]``; those that are not finite count as outside.
    must, may
        What lies inside in any case, and what does unless the window would become three times as large.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Window(0.0, 1.0, len(values))
    first, third = np.quantile(finite, [0.25, 0.75])
    spread = (third - first) or float(np.ptp(finite)) / 4
    usual = finite[(finite >= first - REACH * spread) & (finite <= third + REACH * spread)]
    low, high = min([usual.min(), *_finite(must)]), max([usual.max(), *_finite(must)])
    room = high - low
    near = [value for value in _finite(may) if low - 2 * room <= value <= high + 2 * room]
    shown = Window(float(min([low, *near])), float(max([high, *near])))
    return Window(shown.low, shown.high, int((~shown.holds(values)).sum()))


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def outside(count: int, what: str = "trial") -> str:
    """How many trials, or what else is drawn, are not where the frame is."""
    return f"{count} {what}{'s lie' if count > 1 else ' lies'} outside the frame"


def outside_note(count: int) -> str:
    """How many dots an edge stands for; empty for none."""
    return f"{outside(count)}, drawn on its edge" if count else ""


def thin_out(ranked: Sequence[Item], count: int) -> list[Item]:
    """At most `count` items, best first: the best half of them as they are, of the rest every so many."""
    if len(ranked) <= count:
        return list(ranked)
    head = count // 2
    picked = np.linspace(head, len(ranked) - 1, count - head).round().astype(int)
    return [*ranked[:head], *(ranked[int(at)] for at in picked)]


def escape(text: Any) -> str:
    """Text as plotly shows it literally, whatever the user put into it."""
    return html.escape(printable(text), quote=False).replace("%{", "% {")


def short_name(name: str, others: Iterable[str] = (), most: int = 24) -> str:
    """A name in at most so many letters: its last part where that tells it from others, else whole, cut where too long.

    No two of `others`, to which `name` may belong, are shown alike, however much they have in common.
    """
    said = {one: _last(one, [name, *others]) for one in (name, *others)}
    own = said[name]
    if len(own) > most:
        alike = sorted(
            one for one, words in said.items() if len(words) > most and words[: most // 4] == own[: most // 4]
        )
    else:
        alike = sorted(one for one, words in said.items() if words == own)
    return _apart([said[one] for one in alike], most)[alike.index(name)]


def _last(name: str, others: Iterable[str]) -> str:
    """A name's last part where no other ends alike, else its whole, in words."""
    last = name.rpartition(".")[2].rpartition("__")[2] or name
    alike = [other for other in others if other != name and other.endswith(last)]
    return (name if alike else last).replace("_", " ")


def _apart(said: Sequence[str], most: int) -> list[str]:
    """Words that begin alike, each in at most so many letters, and no two in the same.

    They lose their middle where that leaves them different, else what comes before and after the place where they
    differ; where they differ at no one place, they are numbered.
    """
    middles = [cut(one, most) for one in said]
    if len(set(middles)) == len(said):
        return middles
    head, room = most // 4, most - most // 4 - 2
    differ = next((at for at, pair in enumerate(zip(min(said), max(said), strict=False)) if len(set(pair)) > 1), 0)
    starts = sorted(range(head, max(map(len, said))), key=lambda at: abs(at - differ + room // 2))
    best = max(([one[at : at + room] for one in said] for at in starts), key=lambda parts: len(set(parts)), default=[])
    if len(set(best)) == len(said):
        return [f"{one[:head]}…{part}{'' if one.endswith(part) else '…'}" for one, part in zip(said, best, strict=True)]
    return [f"{cut(one, most - len(f' ({at})'))} ({at})" for at, one in enumerate(said, 1)]


def cut(said: str, most: int) -> str:
    """Words of at most so many letters; longer ones lose their middle."""
    return said if len(said) <= most else f"{said[: most // 2]}…{said[len(said) - most // 2 + 1 :]}"


def model_label(params: Mapping[str, Any]) -> str:
    """What a trial is called in a legend: its module or estimator, and its penalty."""
    given = [params.get(key) for key in ("module", "estimator", "penalty")]
    return ", ".join(str(name) for name in given if name not in (None, "none")).replace("_", " ") or "none"


def with_opacity(colour: str, opacity: float) -> str:
    """A colour ``#rrggbb`` with an opacity."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def new_figure(title: str, x: str = "", y: str = "", height: int = HEIGHT, note: str = "") -> Figure:
    """An empty figure with named axes; a note stands small below the title."""
    from plotly.graph_objects import Figure

    figure = apply_style(Figure(), title, height, note)
    figure.update_xaxes(title_text=escape(x))
    figure.update_yaxes(title_text=escape(y))
    return figure


def apply_style(figure: Figure, title: str, height: int, note: str = "") -> Figure:
    """A figure with the common style and a title; `meta` has the title and the note for pages that set them in text."""
    small = f"<br><sub>{escape(note)}</sub>" if note else ""
    figure.update_layout(
        template=_template(), height=height, title_text=escape(title) + small, meta={"title": title, "note": note}
    )
    return figure


def _template() -> Any:
    from plotly.graph_objects import layout

    axis = {
        "gridcolor": GRID, "linecolor": MUTED, "zeroline": False, "ticks": "outside", "tickcolor": GRID,
        "automargin": True, "title": {"standoff": 8, "font": {"size": 13}}, "showline": False,
    }  # fmt: skip
    return layout.Template(
        layout={
            "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13, "color": INK},
            "paper_bgcolor": PAPER, "plot_bgcolor": PAPER, "colorway": list(COLOURS), "xaxis": axis, "yaxis": axis,
            "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "xanchor": "left",
                       "itemsizing": "constant"},
            "margin": {"l": 56, "r": 16, "t": 64, "b": 48},
            "title": {"x": 0, "xref": "paper", "font": {"size": 16}, "yref": "container", "y": 1, "yanchor": "top",
                      "pad": {"t": 14}},
            "hoverlabel": {"align": "left", "bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK}},
            "hovermode": "closest",
        }
    )  # fmt: skip


def format_path_axis(figure: Figure, along: PathAxis, values: Array) -> None:
    """Scale, direction and name of a path's axis, with a tick a decade where its values span more than one."""
    if along.log and np.ptp(np.log10(values)) > 1.5:
        figure.update_xaxes(dtick=1)
    figure.update_xaxes(
        title_text=(along.label or along.name).replace(" (", "<br>("), type="log" if along.log else "linear",
        autorange="reversed" if along.descending else True, exponentformat="power", minor={"ticks": "outside"},
    )  # fmt: skip


def band(figure: Figure, x: Array, middle: Array, half: Array, colour: str, name: str) -> None:
    """A line with a band around it, one entry of the legend."""
    known = np.isfinite(half)
    if known.any():
        edge = np.concatenate([(middle + half)[known], (middle - half)[known][::-1]])
        figure.add_scatter(
            x=np.concatenate([x[known], x[known][::-1]]), y=edge, fill="toself", fillcolor=with_opacity(colour, 0.18),
            line={"width": 0}, hoverinfo="skip", showlegend=False, legendgroup=name, mode="lines",
        )  # fmt: skip
    figure.add_scatter(x=x, y=middle, line={"color": colour, "width": 2.5}, name=name, legendgroup=name, mode="lines")
