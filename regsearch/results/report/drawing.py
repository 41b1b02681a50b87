"""What draws the figures of a page: the part of plotly's JavaScript that their kinds of traces need, compressed.

The part for charts with two axes is kept here as plotly publishes it (``plotly.js-cartesian-dist-min``, MIT; its
licence lies beside it): a third of the whole, which plotly's Python package brings. `tools/plotly` renews it.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Set
from pathlib import Path

CARTESIAN = frozenset({
    "bar", "box", "contour", "heatmap", "histogram", "histogram2d", "histogram2dcontour", "image", "pie", "scatter",
    "scatterternary", "violin",
})  # fmt: skip
FILE = Path(__file__).parent / "template" / "plotly-cartesian.min.js.gz"


def plotly_script(kinds: Set[str]) -> str:
    """The smallest of plotly's scripts that draws these kinds of traces."""
    if kinds <= CARTESIAN:
        return gzip.decompress(FILE.read_bytes()).decode()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def packed(text: str) -> str:
    """A text compressed by gzip, in base64: nothing in it can end an element of a page. The same for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
