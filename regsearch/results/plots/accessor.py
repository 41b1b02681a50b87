"""What a user asks for figures: ``results.plots``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.errors import NotFound
from regsearch.results.plots.registry import PLOTS, Plot, plots
from regsearch.results.presented import Block, Presented
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Image
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class DrawnPlot:
    """A figure with its name, its caption and whether it needs more room than a phone has."""

    name: str
    figure: Figure
    caption: str
    wide: bool


@dataclass(frozen=True, repr=False)
class Plots(Presented):
    """Figures of a study as plotly figures: each registered plot is a method of its name, such as ``gap()``.

    A method raises `NotFound` where the study has nothing to show in it.
    """

    study: StoredStudy

    def blocks(self) -> Iterator[Block]:
        """What there is to draw."""
        yield f"Figures of {self.study.name}, each drawn by its name, as in plots.{self.names[0]}():"
        yield list(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The plots that there are."""
        return tuple(plot.name for plot in plots())

    def __getattr__(self, name: str) -> Callable[[], Figure]:
        if name not in PLOTS:
            raise AttributeError(f"There is no plot {name!r}; there are {', '.join(PLOTS)}.")
        plot = PLOTS[name]

        def draw() -> Figure:
            record = plot.record(self.study)
            if record is None:
                raise NotFound(f"The figure {name!r} needs {plot.needs}; the study {self.study.name!r} has none yet.")
            return plot.draw(record)

        draw.__name__, draw.__doc__ = name, plot.draw.__doc__
        return draw

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *PLOTS]

    def all(self) -> dict[str, Figure]:
        """Every figure that has something to show, by name."""
        return {drawn.name: drawn.figure for drawn in self.drawn()}

    def drawn(self) -> list[DrawnPlot]:
        """Every figure that has something to show, with its caption."""
        found = _recorded(self.study, plots())
        return [DrawnPlot(plot.name, plot.draw(record), _caption(plot, record), plot.wide) for plot, record in found]


def static_images(study: StoredStudy) -> dict[str, Image]:
    """The plots that MLflow shows as images, where there is something to show, by name."""
    found = _recorded(study, [plot for plot in plots() if plot.static is not None])
    return {plot.name: plot.static(record) for plot, record in found if plot.static is not None}


def _recorded(study: StoredStudy, some: Iterable[Plot]) -> Iterator[tuple[Plot, Any]]:
    """Plots that have something to show, each with its record, which some share."""
    records: dict[Callable[[StoredStudy], Any], Any] = {}
    for plot in some:
        if plot.record not in records:
            records[plot.record] = plot.record(study)
        if records[plot.record] is not None:
            yield plot, records[plot.record]


def _caption(plot: Plot, record: Any) -> str:
    return plot.caption if plot.caption_of is None else plot.caption_of(record)
