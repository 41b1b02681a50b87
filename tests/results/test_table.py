"""Tables: their cells in text, Markdown and HTML."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regsearch.numeric import format_number
from regsearch.results.formatting import Measured
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


def test_numbers_of_a_column_are_written_alike() -> None:
    """Points stand below each other, thousands are set apart, scores of one unit have the decimals of the first."""
    rows = [[-33381.2, 812.6, 0.1234], [-9120.0, float("nan"), 12.0]]
    assert Table(("score", "se", "other"), rows, alike=("score",), errors=("se",)).text().splitlines()[1:] == [
        "-33,381  813   0.123",
        " -9,120    -  12.000",
    ]
    measured = [[Measured(0.51234, 0.0123)], [Measured(-0.00001, float("nan"))], [Measured(0.25, 0.5, "+")]]
    lines = Table(("gap",), measured).text().splitlines()
    assert [line.strip() for line in lines] == ["gap", "0.5123 ± 0.0123", "0.0000", "+0.2500 ± 0.5000"]
    assert Table(("tiny",), [[1.5e-9], [2e-9]]).text().split() == ["tiny", "1.500e-09", "2.000e-09"]


def test_errors_are_seen_however_small_beside_the_score() -> None:
    """Differences and errors have two digits of the smallest error shown; rounding is zero, and no zero has a sign."""
    rows = [[54.32, Measured(0.0012, 0.0004, "+"), 0.3], [54.3, Measured(-3e-5, 0.02, "+"), -1e-9]]
    table = Table(("score", "change", "gap"), rows, alike=("score",), differences=("change", "gap"))
    assert [line.split("  ") for line in table.text().splitlines()[1:]] == [
        ["54.32", "+0.00120 ± 0.00040", "0.30000"],
        ["54.30", "-0.00003 ± 0.02000", "0.00000"],
    ]
    columns: Any = {"alike": ("score", "train"), "differences": ("gap",), "errors": ("se",)}
    shown = Table(("score", "se", "train", "gap"), [[5432.1, 0.4, 5432.4, 0.3]], **columns).text()
    assert shown.splitlines()[1].split() == ["5432.10", "0.40", "5432.40", "0.300"]
    noise = Table(("score", "change"), [[54.3, Measured(1e-15, 2e-15, "+")]], alike=("score",), differences=("change",))
    assert noise.text().split()[2:] == ["54.30", "0", "±", "0"]
    mixed = Table(("change",), [[Measured(0.5, math.nan, "+")], [Measured(1e-6, math.nan, "+")]]).text()
    assert mixed.split() == ["change", "+0.5000", "0.0000"]
    assert (format_number(0.0, sign="+"), format_number(-0.0)) == ("0", "0")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-33381.4, 4, "-33,381"), (1234.5, 3, "1234"), (0.12345, 3, "0.123"), (999.96, 3, "1000"), (2.5e8, 3, "2.5e+08"),
     (0.0, 4, "0"), (1e-7, 2, "1e-07")],
)  # fmt: skip
def test_a_number_in_a_sentence(value: float, digits: int, text: str) -> None:
    """Nothing of an ordinary size has an exponent."""
    assert format_number(value, digits) == text
