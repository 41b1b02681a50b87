"""What MkDocs calls while it builds the site: pages are run, includes put in place, plotly's script added."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import Any

from blocks import played_alone
from excerpts import ROOT, expanded
from mkdocs.structure.files import File, Files

PLOTLY = "assets/plotly.min.js"


def on_files(files: Files, config: Any) -> Files:
    """Put the script that draws figures beside the pages: the site needs nothing from elsewhere."""
    from regsearch.results.report.drawing import CARTESIAN, plotly_script

    files.append(File.generated(config, PLOTLY, content=plotly_script(CARTESIAN)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Run a page's blocks, then put in what it includes; includes are run by tests of their own."""
    if config.extra["run"] in (True, page.file.src_uri):
        markdown = played_alone(markdown, page.file.src_uri)
    up = posixpath.relpath(".", posixpath.dirname(page.file.src_uri) or ".")
    return expanded(markdown).replace("](/", f"]({up}/")


def on_serve(server: Any, config: Any, builder: Any) -> Any:
    """While somebody writes, look at the package and the changelog too."""
    for watched in (Path("regsearch"), Path("CHANGELOG.md")):
        server.watch(os.fspath(ROOT / watched))
    return server
