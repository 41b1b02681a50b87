"""The report as one HTML page that needs nothing from elsewhere, in the order in which a reader asks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from regsearch.cleaning import as_html
from regsearch.metrics.scorer import label_of
from regsearch.models.path import Point
from regsearch.results.choice import describe, reasons
from regsearch.results.plots.accessor import DrawnPlot
from regsearch.results.plots.style import DARK
from regsearch.results.report.sentences import about, interpretation, verdict
from regsearch.results.results import Results
from regsearch.results.rules import RULES
from regsearch.results.stored_study import reference_name
from regsearch.results.table import Table

HERE = Path(__file__).parent
TOP = 50  # trials in the table
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
SENTENCES = {"config", "why"}  # columns that may take several lines


def page(results: Results) -> str:
    """The report of a study that has a complete trial."""
    from plotly.offline import get_plotlyjs

    title = _text(results.name)
    style, script = ((HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    sections = [
        _section("Verdict", _verdict(results)),
        _section("What to do next", _advice(results)),
        _section("What each rule chooses", _choices(results)),
        _section("Families", _families(results)),
        _section("Figures", "".join(map(_plot, results.plots.drawn()))),
        _section("What the numbers mean", _list(map(_text, interpretation(results)))),
        _section(f"Best trials ({min(TOP, len(results.complete))} of {len(results.complete)})", _trials(results)),
        _section("On your data", "".join(_picture(name, png) for name, png in results.store.pictures.items())),
    ]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<style>{style}</style></head><body>
<header><h1>{title}</h1><p class="about">{_text(about(results))}</p></header>
<main>{"".join(sections)}</main>
<noscript><p>The figures need JavaScript; everything else is here.</p></noscript>
{_data(json.dumps(DARK), "dark")}
<script>{get_plotlyjs()}</script>
<script>{script}</script>
</body></html>
"""


def _section(title: str, content: str) -> str:
    """A titled part of the page; nothing where it has no content."""
    return f"<section><h2>{_text(title)}</h2>{content}</section>\n" if content else ""


def _verdict(results: Results) -> str:
    answers = (f"<dt>{_text(asked)}</dt><dd>{_text(answer)}</dd>" for asked, answer in verdict(results))
    return f'<dl class="verdict">{"".join(answers)}</dl>'


def _advice(results: Results) -> str:
    said = [f'<p>{_text(one.text)}</p><p class="evidence">{_text(one.evidence)}</p>' for one in results.advice]
    return _list(said, "advice")


def _choices(results: Results) -> str:
    chosen = [results.choose(rule) for rule in RULES]
    rows: list[list[Any]] = [
        [one.rule, one.number, *_numbers(one.point), describe(one.trial, one.settings), one.why] for one in chosen
    ]
    if results.reference is not None:
        one, name = results.reference, reference_name(results, results.reference)
        rows.append(
            ["reference", one.number, *_numbers(results.point(one)), "", reasons(f"For comparison: {name}.", one)]
        )
    head = ["rule", "trial", label_of("score", results.weighted), "se", "train", "gap", "config", "why"]
    return Table(head, rows, words={"rule"}, sentences=SENTENCES).html()


def _families(results: Results) -> str:
    """What each family came to; nothing in a study of one."""
    found = results.families
    return f"<p>{_text(found.summary)}</p>{found.table().html()}" if found.rows else ""


def _trials(results: Results) -> str:
    rows = [
        [trial.number, trial.role, *_numbers(results.point(trial)),
         describe(trial, {name: value for name, value in trial.own_params.items() if name in results.varied})]
        for trial in results.complete[:TOP]
    ]  # fmt: skip
    head = ["trial", "role", label_of("score", results.weighted), "se", "train", "gap", "config"]
    return Table(head, rows, words={"role"}, sentences=SENTENCES).html()


def _numbers(point: Point) -> list[str]:
    return [f"{value:.4g}" for value in (point.val, point.val_se, point.train, point.gap)]


def _list(items: Iterable[str], kind: str = "") -> str:
    """Items of HTML; nothing where there are none."""
    inside = "".join(f"<li>{item}</li>" for item in items)
    named = f' class="{kind}"' if kind else ""
    return f"<ul{named}>{inside}</ul>" if inside else ""


def _plot(drawn: DrawnPlot) -> str:
    """A figure's place, its caption, and its data for when it is looked at; the title is set in text."""
    figure = drawn.figure
    title, note = figure.layout.meta["title"], figure.layout.meta["note"]
    margin = 60 if figure.layout.margin.t else 12  # of its own where words stand above its axes
    figure.update_layout(title=None, margin_t=margin, height=figure.layout.height - 40)
    return (
        f'<figure class="plot{" wide" if drawn.wide else ""}" id="{drawn.name}"><h3>{_text(title)}</h3>'
        f'<p class="note">{_text(note)}</p>'
        f'<div class="scroll" tabindex="0"><div class="canvas" role="img" aria-label="{_text(title)}" '
        f'style="height:{figure.layout.height}px"></div></div>'
        f"<figcaption>{_text(drawn.caption)}</figcaption>{_data(figure.to_json())}</figure>\n"
    )


def _data(text: str, name: str = "") -> str:
    """JSON inside a page: no text of the user's can end its element."""
    ident = f' id="{name}"' if name else ""
    safe = text.replace("<", r"\u003c")
    return f'<script type="application/json"{ident}>{safe}</script>'


def _picture(name: str, png: bytes) -> str:
    said = _text(name.replace("_", " ").capitalize())
    data = base64.b64encode(png).decode()
    return f'<figure><img alt="{said}" src="data:image/png;base64,{data}"><figcaption>{said}</figcaption></figure>\n'


def _text(text: Any) -> str:
    return as_html(text)
