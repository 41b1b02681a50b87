"""What draws the figures of a page: the part of plotly's JavaScript that their kinds of traces need, compressed.

Two parts are kept here as plotly publishes them (its npm packages ``basic`` and ``cartesian-dist-min``, MIT; their
licence lies beside them). The first is all that figures of regsearch need, a quarter of what plotly's Python package
brings, and sooner at work in a browser; figures of a user's may need more. `tools/plotly` renews both.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Set
from pathlib import Path

BASIC = frozenset({"bar", "pie", "scatter"})
CARTESIAN = BASIC | {
    "box", "contour", "heatmap", "histogram", "histogram2d", "histogram2dcontour", "image", "scatterternary", "violin",
}  # fmt: skip
PARTS = {"basic": BASIC, "cartesian": CARTESIAN}  # the smallest first
FOLDER = Path(__file__).parent / "template"


def plotly_script(kinds: Set[str]) -> str:
    """The smallest of plotly's scripts that draws these kinds of traces."""
    for name, drawn in PARTS.items():
        if kinds <= drawn:
            return gzip.decompress((FOLDER / f"plotly-{name}.min.js.gz").read_bytes()).decode()
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def packed(text: str) -> str:
    """A text compressed by gzip, in base64: nothing in it can end an element of a page. The same for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
