"""What a plot is, and the plots by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from regsearch.errors import InvalidInput
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Image
    from plotly.graph_objects import Figure

LAST = 100  # the place of plots that have none: after those of regsearch
DrawT = TypeVar("DrawT", bound=Callable[[Any], Any])


@dataclass(frozen=True)
class Plot:
    """One kind of figure.

    Attributes
    ----------
    name
        Of the function that draws it.
    draw
        From a record to a plotly figure.
    caption
        How to read it, in one sentence.
    needs
        What a study must have for it.
    record
        From a study to what is drawn; `None` where there is nothing to show.
    order
        Its place among the others.
    wide
        Whether it needs more room than a phone has: pages let it scroll.
    static
        From the record to a matplotlib figure, for a plot that MLflow shows as an image beside the report.
    caption_of
        From the record to the caption, where that depends on what is drawn.
    """

    name: str
    draw: Callable[[Any], Figure]
    caption: str
    needs: str
    record: Callable[[StoredStudy], Any]
    order: int
    wide: bool
    static: Callable[[Any], Image] | None
    caption_of: Callable[[Any], str] | None = None


PLOTS: dict[str, Plot] = {}


def plots() -> list[Plot]:
    """Every plot that is registered, in the order in which a reader wants them."""
    return sorted(PLOTS.values(), key=lambda plot: plot.order)


def complete_study(study: StoredStudy) -> StoredStudy | None:
    """The study itself, where it has a complete trial."""
    return study if study.complete else None


def plot(
    caption: str,
    *,
    needs: str = "a complete trial",
    record: Callable[[StoredStudy], Any] = complete_study,
    order: int = LAST,
    wide: bool = False,
    static: Callable[[Any], Image] | None = None,
    caption_of: Callable[[Any], str] | None = None,
) -> Callable[[DrawT], DrawT]:
    """Register a function that draws a record, by default the study itself, as a plot of its name.

    Then ``results.plots.NAME()`` draws it, and the report shows it; with `static`, MLflow shows it as an image too.

    Parameters
    ----------
    caption, needs, record, order, wide, static, caption_of
        As of `Plot`.

    Raises
    ------
    InvalidInput
        When a plot of regsearch has that name.
    """

    def register(draw: DrawT) -> DrawT:
        name, own = draw.__name__, f"{__name__.rpartition('.')[0]}."
        known = PLOTS.get(name)
        if known is not None and known.draw.__module__.startswith(own) and known.draw is not draw:
            raise InvalidInput(f"A plot needs a name of its own, {name!r} is one of regsearch's; call it otherwise.")
        PLOTS[name] = Plot(name, draw, caption, needs, record, order, wide, static, caption_of)
        return draw

    return register
