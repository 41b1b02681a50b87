"""What people read of a study: paragraphs, lists and tables, the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from regsearch.cleaning import as_html, clean, printable
from regsearch.results.table import Table

Block: TypeAlias = str | Sequence[str] | Table  # a paragraph, whose lines stay; a list; a table

# Notebooks align every cell alike, by a selector of two classes, and read what stands between dollars as a formula.
STYLE = (
    "<style>.regsearch .scroll td,.regsearch .scroll th{text-align:left;vertical-align:top}"
    ".regsearch .scroll td,.regsearch .scroll th{padding:.15rem .75rem .15rem 0;white-space:nowrap}"
    ".regsearch .scroll .number{text-align:right}.regsearch .scroll{overflow-x:auto}</style>"
)


class Presented:
    """A result that is shown as blocks: printed, represented and displayed in a notebook."""

    def blocks(self) -> Iterator[Block]:
        """What is read, in its order."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(map(_as_text, self.blocks()))

    def __repr__(self) -> str:
        return clean(self)

    def _repr_html_(self) -> str:
        """What a notebook displays."""
        shown = "".join(map(_as_html, self.blocks()))
        return f'{STYLE}<div class="regsearch tex2jax_ignore mathjax_ignore">{shown}</div>'


def _as_text(block: Block) -> str:
    if isinstance(block, Table):
        return block.text()
    return block if isinstance(block, str) else "\n".join(f"- {printable(one)}" for one in block)


def _as_html(block: Block) -> str:
    if isinstance(block, Table):
        return block.html()
    if isinstance(block, str):
        lines = "<br>".join(as_html(line) for line in clean(block).splitlines() if line)
        return f"<p>{lines}</p>" if lines else ""
    return f"<ul>{''.join(f'<li>{as_html(clean(one))}</li>' for one in block)}</ul>"
