"""Plots as images, drawn by matplotlib, which MLflow and a bundle show as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regsearch.cleaning import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def literal(text: Any) -> str:
    """Text as matplotlib draws it literally: dollars begin no formula, and nothing steers."""
    return printable(text).replace("$", r"\$")


def new_image() -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2))
    FigureCanvasAgg(figure)  # no pyplot: nothing global is touched
    axes = figure.add_axes((0.13, 0.13, 0.84, 0.78))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes
