"""The report as one HTML page that needs nothing from elsewhere, in the order in which a reader asks.

What it says is a `Report`, made here; how it says that is a Jinja template, ``template/page.html`` with its style and
its script. A folder of a user's takes the place of any of these files: see the page of the documentation on reports.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import printable
from regsearch.metrics.scorer import label_of
from regsearch.models.path import Point
from regsearch.results.advice import Advice
from regsearch.results.by_family import FamilyStandings
from regsearch.results.choice import describe, reasons
from regsearch.results.plots.accessor import DrawnPlot
from regsearch.results.plots.style import DARK
from regsearch.results.report.drawing import packed, plotly_script
from regsearch.results.report.sentences import about, interpretation, verdict
from regsearch.results.report.templates import rendered
from regsearch.results.results import Results
from regsearch.results.rules import RULES
from regsearch.results.stored_study import reference_name
from regsearch.results.table import Table

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TOP = 50  # trials in the table
SENTENCES = {"config", "why"}  # columns that may take several lines


@dataclass(frozen=True)
class PageFigure:
    """A figure's place in a page: its words as text, and its data packed until it is looked at."""

    name: str
    title: str
    note: str
    caption: str
    wide: bool
    height: int
    data: str

    @classmethod
    def of(cls, drawn: DrawnPlot) -> PageFigure:
        """A drawn figure, less the title and the note that the page sets in text."""
        figure = drawn.figure
        title, note = figure.layout.meta["title"], figure.layout.meta["note"]
        margin = 60 if figure.layout.margin.t else 12  # of its own where words stand above its axes
        height = figure.layout.height - 40
        figure.update_layout(title=None, margin_t=margin, height=height)
        return cls(drawn.name, title, note, drawn.caption, drawn.wide, height, packed(figure.to_json()))


@dataclass(frozen=True)
class Report:
    """What a report says, for a template; every text is plain, and a table is written as HTML by itself.

    Attributes
    ----------
    title, about
        The study's name, and what was searched.
    verdict
        Questions, each with its answer.
    advice
        What to do next, each with its ``text`` and its ``evidence``.
    choices, trials
        What each rule chooses, and the best trials: `shown` of `complete`.
    families
        With a ``summary`` and a ``table()``; it has no ``rows`` in a study of one.
    figures
        Each with ``name``, ``title``, ``note``, ``caption``, ``height`` in pixels, whether it is ``wide``, and its
        ``data``: plotly's JSON, compressed by gzip and written in base64.
    meaning
        Sentences on what the winner's numbers mean.
    pictures
        By what they are called, addresses of images that are in the page.
    plotly
        The plotting library as a script, packed as the figures' data are.
    dark
        Colours of figures on light paper, each with the one in its place on dark.
    """

    title: str
    about: str
    verdict: Sequence[tuple[str, str]]
    advice: Sequence[Advice]
    choices: Table
    families: FamilyStandings
    figures: Sequence[PageFigure]
    meaning: Sequence[str]
    trials: Table
    shown: int
    complete: int
    pictures: Mapping[str, str]
    plotly: str
    dark: Mapping[str, str]


def page(results: Results, templates: str | os.PathLike[str] | None = None) -> str:
    """The report of a study that has a complete trial, by the templates of a folder where it has some."""
    return rendered(templates, report=_report(results))


def _report(results: Results) -> Report:
    drawn = results.plots.drawn()
    pictures = {
        printable(name.replace("_", " ").capitalize()): f"data:image/png;base64,{base64.b64encode(png).decode()}"
        for name, png in results.store.pictures.items()
    }
    return Report(
        title=results.name, about=about(results), verdict=verdict(results), advice=results.advice,
        choices=_choices(results), families=results.families, figures=[PageFigure.of(one) for one in drawn],
        meaning=interpretation(results), trials=_trials(results), shown=min(TOP, len(results.complete)),
        complete=len(results.complete), pictures=pictures, plotly=packed(plotly_script(_kinds(drawn))), dark=DARK,
    )  # fmt: skip


def _kinds(drawn: Sequence[DrawnPlot]) -> set[str]:
    """The kinds of traces that these figures have."""
    figures: list[Figure] = [one.figure for one in drawn]
    return {trace.type for figure in figures for trace in figure.data}


def _choices(results: Results) -> Table:
    chosen = [results.choose(rule) for rule in RULES]
    rows: list[list[Any]] = [
        [one.rule, one.number, *_numbers(one.point), describe(one.trial, one.settings), one.why] for one in chosen
    ]
    if results.reference is not None:
        one, name = results.reference, reference_name(results, results.reference)
        rows.append(
            ["reference", one.number, *_numbers(results.point(one)), "", reasons(f"For comparison: {name}.", one)]
        )
    return _table(results, ["rule", "trial"], ["config", "why"], rows)


def _trials(results: Results) -> Table:
    rows = [
        [trial.number, trial.role, *_numbers(results.point(trial)),
         describe(trial, {name: value for name, value in trial.own_params.items() if name in results.varied})]
        for trial in results.complete[:TOP]
    ]  # fmt: skip
    return _table(results, ["trial", "role"], ["config"], rows)


def _table(results: Results, before: list[str], after: list[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Rows that have `_numbers` between other columns."""
    score = label_of("score", results.weighted)
    return Table(
        [*before, score, "se", "train", "gap", *after], rows, {"rule", "role"}, SENTENCES, alike=(score, "train"),
        differences=("gap",), errors=("se",),
    )  # fmt: skip


def _numbers(point: Point) -> list[float]:
    return [point.val, point.val_se, point.train, point.gap]
