"""The Python blocks of a page: found, run in one namespace, and followed by what they show.

A page is a small program in pieces. A block shows what it prints and, as in a notebook, a plotly figure that its last
line gives. So no figure on a page is typed by hand, and a page whose code breaks is not built.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

FENCE = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A Python block: its code, and where its fence ends in the page."""

    code: str
    end: int


def blocks(page: str) -> list[Block]:
    """The Python blocks of a page, in order."""
    return [Block(found[1], found.end()) for found in FENCE.finditer(page)]


def played(page: str, name: str) -> str:
    """A page with what each of its blocks shows below it; the blocks run in an empty folder that goes afterwards.

    Parameters
    ----------
    page
        Markdown.
    name
        Of the page, for tracebacks.
    """
    parts, start = [], 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block, shown in zip(blocks(page), run(page, name), strict=True):
            parts += [page[start : block.end], shown.replace(f"{Path(folder).resolve()}/", "")]
            start = block.end
    return "".join([*parts, page[start:]])


def played_alone(page: str, name: str) -> str:
    """The same from a process of its own: what a page defines, a rule or a penalty, is unknown to all others.

    Raises
    ------
    subprocess.CalledProcessError
        When a block fails; its traceback stands on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.md"
        file.write_text(page, encoding="utf-8")
        subprocess.run([sys.executable, __file__, str(file), name], check=True)
        return file.read_text(encoding="utf-8")


def run(page: str, name: str) -> Iterator[str]:
    """What each block shows, as Markdown, from running them in one namespace and the current folder."""
    module = ModuleType("page")  # a real one: what a page defines may be sent to other processes, as from a notebook
    sys.modules["page"] = module
    try:
        for number, block in enumerate(blocks(page), 1):
            yield _shown(block.code, f"{name}, block {number}", vars(module))
    finally:
        del sys.modules["page"]


def _shown(code: str, label: str, names: dict[str, Any]) -> str:
    tree = ast.parse(code, label)
    ends = tree.body[-1] if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):  # progress goes to the latter
        exec(compile(ast.Module(tree.body[:-1] if ends else tree.body, []), label, "exec"), names)
        value = eval(compile(ast.Expression(ends.value), label, "eval"), names) if ends else None
    text = printed.getvalue().rstrip()
    kind = "result" if re.search(r"\S {2,}\S", text) else "result wrapped"  # columns must stay below each other
    said = f'\n\n<div class="{kind}" markdown>\n\n```text\n{text}\n```\n\n</div>' if text else ""
    return said + (_figure(value) if hasattr(value, "to_plotly_json") else "")


def _figure(figure: Any) -> str:
    """A figure's data in one line of HTML, and the colours to exchange on dark paper; `assets/figures.js` draws it.

    Title and note are set in text, as the report sets them.
    """
    from regsearch.results.plots.style import DARK

    title, note = (html.escape(figure.layout.meta[name]) for name in ("title", "note"))
    figure.update_layout(title=None, margin_t=12, height=figure.layout.height - 40)
    held = json.dumps({"figure": json.loads(figure.to_json()), "dark": DARK}).replace("<", r"\u003c")
    said = f'<p class="title">{title}</p>' + (f'<p class="note">{note}</p>' if note else "")
    return (
        f'\n\n<figure class="drawn">{said}'
        f'<div class="canvas" role="img" aria-label="{title}" style="height:{figure.layout.height}px"></div>'
        f'<script type="application/json">{held}</script></figure>\n'
    )


if __name__ == "__main__":
    made = Path(sys.argv[1])
    made.write_text(played(made.read_text(encoding="utf-8"), sys.argv[2]), encoding="utf-8")
