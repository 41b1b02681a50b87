"""What people read: the same in a terminal, as the representation of an object, and in a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from samples import study

from regsearch import InvalidInput, NotFound, Pick, spaces
from regsearch.cli import main
from regsearch.results.comparison import compare
from regsearch.results.presented import STYLE, Block, Presented
from regsearch.results.results import Results
from regsearch.results.table import Table


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return study(tmp_path_factory.mktemp("presented"), space=spaces.linear()).run(6, quiet=True)


def words(page: str) -> str:
    """The text of a page, spaces and lists apart."""
    bare = re.sub(r"<style>.*?</style>", "", page)
    return " ".join(re.sub(r"[-\s]+", " ", unescape(re.sub(r"<[^>]+>", " ", bare))).split())


def test_words_of_a_table_are_left_aligned_in_a_notebook() -> None:
    """A notebook aligns cells to the right by a selector of two classes; those of ours count as much, or more."""
    rules = [rule.split("{") for rule in STYLE.removeprefix("<style>").removesuffix("</style>").split("}") if rule]
    aligned = [one for selector, body in rules if "text-align" in body for one in selector.split(",")]
    assert aligned
    assert all(one.count(".") >= 2 for one in aligned)


def test_a_result_is_represented_by_what_is_shown(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    """`repr` of results is what ``regsearch show`` prints, on a screen; so is what a notebook displays."""
    assert main(["show", results.name, "--root", str(results.store.root)]) == 0
    printed = capsys.readouterr().out
    assert repr(results) == str(results) == printed.removesuffix("\n")
    assert len(printed) < 4000
    for one in (results, results.best, compare(results, results), study(results.store.root)):
        assert words(one._repr_html_()) == words(str(one)), one


def test_a_study_without_trials(tmp_path: Path) -> None:
    """What was never run is represented too, and what is stored of other data says so."""
    assert "no trial yet: run it" in repr(study(tmp_path))
    study(tmp_path).run(1, quiet=True)
    other = study(tmp_path, data=(np.eye(40), np.arange(40.0)))
    assert "goes on with the same data only" in repr(other)


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)


class Hostile(Presented):
    def blocks(self) -> Iterator[Block]:
        text = "<script>alert(1)</script>\x1b[31m postgresql://me:hunter22@host.org/db"
        yield text
        yield [text]
        yield Table((text,), [(text,)])


def test_no_name_makes_an_element() -> None:
    """Whatever a name holds is text in a notebook: no element, no escape sequence, no password of a sentence."""
    page = Hostile()._repr_html_()
    assert Tags(page).found <= {"style", "div", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert "\x1b" not in page
    assert "hunter22" not in page.partition("<table>")[0]


def test_a_trial_by_its_number(results: Results) -> None:
    """A number chooses a trial where it scores best, a step another point of its path; its luck is not known."""
    trial = next(one for one in results.complete[1:] if one.steps > 3)
    chosen = results.choose(trial.number)
    assert (chosen.number, chosen.step, chosen.rule) == (trial.number, trial.step, f"trial {trial.number}")
    assert chosen.score == trial.point.val
    other = results.choose(trial.number, step=2)
    assert other == results.at(Pick(trial.number, 2, other.why), other.rule)
    assert results.choose(other) is other
    assert other.score == pytest.approx(results.curves(trial.number).val[:, 2].mean())
    found = results.correct(trial.number)
    assert (found.plain, found.score) == (chosen.score, None)
    with pytest.raises(NotFound, match="has no trial 999"):
        results.choose(999)
    with pytest.raises(NotFound, match=f"the steps 0 to {trial.steps - 1}, got {trial.steps}"):
        results.choose(trial.number, step=trial.steps)
    with pytest.raises(InvalidInput, match="A step is that of a trial's path"):
        results.choose("best", step=1)
