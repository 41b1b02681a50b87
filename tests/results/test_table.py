"""Tables: their cells in text, Markdown and HTML."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from regsearch.results.table import Table

WORDS = st.text("abc é%", min_size=1, max_size=8).map(lambda text: text.replace(" ", "x"))


@given(st.lists(st.tuples(WORDS, st.integers(), WORDS), max_size=6))
def test_columns_line_up(rows: list[tuple[str, int, str]]) -> None:
    """In text a column of words begins at one place and one of numbers ends at one, and no line has a tail."""
    table = Table(("name", "count", "why"), rows, words={"name"}, sentences={"why"})
    lines = table.text().splitlines()
    assert [line.split() for line in lines] == [
        ["name", "count", "why"],
        *([str(cell) for cell in row] for row in rows),
    ]
    places = {(match.start(1), match.end(2), match.start(3)) for match in map(PARTS.match, lines) if match}
    assert len(places) == 1
    assert all(line == line.rstrip() for line in lines)


PARTS = re.compile(r"(\S+) +(\S+)  (\S+)$")


def test_markdown() -> None:
    """In Markdown each row is a line, an empty name is one too, and what would end a cell is escaped."""
    table = Table(("", "b"), [["a|b", 1], ["", 2]])
    assert table.markdown() == "|  | b |\n| --- | --- |\n| a\\|b | 1 |\n|  | 2 |"


def test_html() -> None:
    """In HTML numbers stand to the right, sentences may break, and nothing of a cell is markup."""
    text = Table(("n", "w", "s"), [[1, "<b>", "a & b"]], words={"w"}, sentences={"s"}).html()
    assert '<th scope="col" class="number">n</th><th scope="col">w</th><th scope="col" class="text">s</th>' in text
    assert '<tr><td class="number">1</td><td>&lt;b&gt;</td><td class="text">a &amp; b</td></tr>' in text


def test_no_rows() -> None:
    """A table without rows is its head."""
    assert Table(("a", "b"), []).text() == "a  b"
