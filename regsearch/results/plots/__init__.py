"""Figures of a study: first the record of what is drawn, then the drawing.

>>> results.plots.gap()  # doctest: +SKIP

returns a plotly figure; `Plots.names` lists what there is. One file each: a function with `@plot` in a new file of this
folder, or in a script, is found by its name.
"""

from __future__ import annotations

import importlib
import pkgutil

from regsearch.results.plots.accessor import DrawnPlot, Plots, static_images
from regsearch.results.plots.registry import PLOTS, Plot, plot, plots

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["PLOTS", "DrawnPlot", "Plot", "Plots", "plot", "plots", "static_images"]
