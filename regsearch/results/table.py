"""Tables for people: a head and rows of cells, as text whose columns line up, as Markdown, and as HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from regsearch.cleaning import as_html, as_words, printable
from regsearch.metrics.statistics import ROUNDING
from regsearch.results.formatting import Measured, NumberFormat


@dataclass(frozen=True)
class Table:
    """Cells in rows under a head.

    Attributes
    ----------
    head, rows
        Names of the columns, and the cells below them: text, or what is one by `str`; a `float` or `Measured` is
        written as the others of its column are, with the same decimals.
    words
        Names of the columns that hold words, and stand to the left; the others hold numbers, to the right.
    sentences
        Names of the columns that hold many words: a page breaks them into lines.
    alike
        Names of the columns that hold scores of one unit: all have the decimals of the first.
    differences
        Names of the columns that hold differences of those, such as gaps: each has decimals of its own, in which the
        smallest standard error of the table has two significant digits.
    errors
        Names of the columns that hold standard errors of those.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    words: Container[str] = ()
    sentences: Container[str] = ()
    alike: Sequence[str] = ()
    differences: Sequence[str] = ()
    errors: Sequence[str] = ()

    @cached_property
    def _lines(self) -> list[list[Any]]:
        """The rows, each number in the format of its column."""
        columns = {name: [row[at] for row in self.rows] for at, name in enumerate(self.head)}
        formats = {name: NumberFormat.of(_sizes(cells), errors=_errors(cells)) for name, cells in columns.items()}
        formats |= self._of_one_unit(columns)
        return [[_written(cell, formats[name]) for name, cell in zip(self.head, row, strict=True)] for row in self.rows]

    def _of_one_unit(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, NumberFormat]:
        """The formats of scores, and of their differences and errors, which may be far smaller."""
        if not self.alike:
            return {}
        scores = [*_sizes(columns[self.alike[0]])]
        least = ROUNDING * max(filter(math.isfinite, scores), default=0.0)
        own = [error for name in self.errors for error in _sizes(columns[name])]
        own += [error for name in self.alike for error in _errors(columns[name])]
        shown = own + [error for name in self.differences for error in _errors(columns[name])]
        made = dict.fromkeys(self.alike, NumberFormat.of(scores, 4, own, least))
        made |= {name: NumberFormat.of(_sizes(columns[name]), 3, shown, least) for name in self.differences}
        return made | {name: NumberFormat.of(_sizes(columns[name]), 2, own, least) for name in self.errors}

    def text(self) -> str:
        """Lines for a terminal."""
        lines = [[printable(cell) for cell in row] for row in (self.head, *self._lines)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(map(self._padded, self.head, line, widths)).rstrip() for line in lines)

    def _padded(self, name: str, cell: str, width: int) -> str:
        return cell.ljust(width) if name in self.words or name in self.sentences else cell.rjust(width)

    def markdown(self, write: Callable[[Any], str] = as_words) -> str:
        """A table of GitHub's Markdown; `write` gives the text of a cell, `str` that of cells that are Markdown."""
        head, *cells = [[write(cell).replace("|", r"\|") for cell in row] for row in (self.head, *self._lines)]
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *cells))

    def html(self) -> str:
        """A table that is scrolled where it is wider than the page."""
        head = "".join(f'<th scope="col"{self._class(name)}>{as_html(name)}</th>' for name in self.head)
        body = "".join(f"<tr>{''.join(map(self._html_cell, self.head, row))}</tr>" for row in self._lines)
        short = sum(name not in self.sentences for name in self.head)
        lines = f' class="lines" style="--short:{short}"' if short < len(self.head) else ""  # for pages of phones
        table = f"<table{lines}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="scroll" tabindex="0">{table}</div>'

    __html__ = html  # templates and notebooks take it as it is

    def _html_cell(self, name: str, cell: Any) -> str:
        return f"<td{self._class(name)}>{as_html(cell)}</td>"

    def _class(self, name: str) -> str:
        if name in self.sentences:
            return ' class="text"'
        return "" if name in self.words else ' class="number"'


def _sizes(cells: Iterable[Any]) -> Iterator[float]:
    """The sizes of the numbers among the cells that are written as their column is; of an error that is larger, its."""
    for cell in cells:
        if isinstance(cell, float | Measured):
            value, se, _ = cell if isinstance(cell, Measured) else Measured(cell, math.nan)
            yield max(abs(value), se) if math.isfinite(se) else abs(value)


def _errors(cells: Iterable[Any]) -> list[float]:
    """The standard errors beside them."""
    return [cell.se for cell in cells if isinstance(cell, Measured)]


def _written(cell: Any, number: NumberFormat) -> Any:
    return number.text(cell) if isinstance(cell, float | Measured) else cell
