"""The summary as Markdown."""

from __future__ import annotations

from typing import Any

from regsearch.cleaning import as_code, as_words
from regsearch.metrics.scorer import label_of
from regsearch.models.axes import path_axis
from regsearch.models.path import Point
from regsearch.results.by_target import scores_by_target
from regsearch.results.choice import Chosen, marks
from regsearch.results.report.sentences import about
from regsearch.results.results import Results
from regsearch.results.rules import RULES
from regsearch.results.stored_study import reference_name
from regsearch.results.table import Table
from regsearch.storage.trial import Trial


def note(results: Results) -> str:
    """The summary as Markdown: what was searched, what each rule chooses, and how to get at it."""
    identity = results.identity
    lines = [f"**{results.name}**: {as_words(about(results))}", ""]
    if results.complete:
        best = results.best
        alike = [label_of("score", results.weighted), "train"]
        head = ["", "trial", *alike, "gap", *filter(None, [best.axis])]
        chosen = [(rule, results.choose(rule)) for rule in RULES]
        rows = [[rule, *_cells(one, one.point)] for rule, one in chosen]
        if results.reference is not None:
            rows.append(
                [
                    reference_name(results, results.reference),
                    *_cells(results.reference, results.point(results.reference)),
                ]
            )
        families = results.families
        if families.rows:
            lines += [families.table().markdown(_apart), "", as_words(families.summary), ""]
        settings = ", ".join(as_code(f"{key}={value}") for key, value in best.settings.items())
        choices = Table(head, rows, alike=alike, differences=["gap"])
        lines += [choices.markdown(_apart), "", f"Best config: {settings}", ""]
        targets = scores_by_target(results, best)
        if targets:
            lines += [Table(["target", alike[0]], list(targets.items()), alike=alike[:1]).markdown(_apart), ""]
        if identity["script"]:
            lines.append(f"Export it: `regsearch export {results.name} --out DIR`")
    return "\n".join(lines)


def _apart(cell: Any) -> str:
    """A cell as words, with room to the next: MLflow sets cells side by side without any."""
    return f"{as_words(cell)}&nbsp;&nbsp;"


def _cells(trial: Chosen | Trial, point: Point) -> list[Any]:
    """Number, figures, and the place on the path where there is one."""
    along = path_axis(trial.axis)
    where = [along.text(trial.value) + marks(trial)] if trial.axis else []
    return [trial.number, point.val, point.train, point.gap, *where]
