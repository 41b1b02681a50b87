"""Figures of a study: first the record of what is drawn, then the drawing.

>>> results.plots.gap()  # doctest: +SKIP

returns a plotly figure; `Plots.names` lists what there is.
"""

from __future__ import annotations

from regsearch.results.plots.face import FIGURES, Drawn, Plots
from regsearch.results.plots.still import stills

__all__ = ["FIGURES", "Drawn", "Plots", "stills"]
