"""The summary as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from regsearch.models.axes import path_axis
from regsearch.models.path import Point
from regsearch.results.choice import Chosen
from regsearch.results.report.sentences import about
from regsearch.results.results import Results
from regsearch.results.rules import RULES
from regsearch.storage.trial import Trial


def note(results: Results) -> str:
    """The summary as Markdown: what was searched, what each rule chooses, and how to get at it."""
    identity = results.identity
    lines = [f"**{results.name}**: {about(results)}", ""]
    if results.complete:
        best = results.best
        head = ["", "trial", "score", "train", "gap", *filter(None, [best.axis])]
        chosen = [(rule, results.choose(rule)) for rule in RULES]
        lines += [_row(head), _row(["---"] * len(head))]
        lines += [_row([rule, *_cells(one, one.point)]) for rule, one in chosen]
        if results.reference is not None:
            lines.append(_row([identity["reference"], *_cells(results.reference, results.point(results.reference))]))
        lines += ["", "Best config: " + ", ".join(f"`{key}={value}`" for key, value in best.settings.items()), ""]
        if identity["script"]:
            lines.append(f"Export it: `regsearch export {results.name} --out DIR`")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(trial: Chosen | Trial, point: Point) -> list[str]:
    """Number, figures, and the place on the path where there is one."""
    where = [path_axis(trial.axis).text(trial.value)] if trial.axis else []
    return [str(trial.number), f"{point.val:.5g}", f"{point.train:.5g}", f"{point.gap:.3g}", *where]
