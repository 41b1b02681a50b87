"""The summary of a study: Markdown for the MLflow parent run, and one self-contained HTML page."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.axes import path_axis
from regsearch.chosen import Chosen, listed
from regsearch.mirror import Artifact
from regsearch.path import Point
from regsearch.plots import stills as figures
from regsearch.results import Results
from regsearch.rules import RULES
from regsearch.trials import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; white-space: nowrap; }
td:nth-last-child(-n+2) { white-space: normal; vertical-align: top; }
.wide { overflow-x: auto; }
figure { margin: 1.5rem 0; }
figcaption { font-size: .9rem; opacity: .75; }
svg { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
"""


def note(results: Results) -> str:
    """The summary as Markdown."""
    identity = results.identity
    lines = [
        f"**{results.name}**: {identity['rows']} rows, {identity['columns']} columns, {identity['task']}, "
        f"{identity['cv']}, scored by `{results.metric}`.",
        "",
    ]
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


def write_artifacts(results: Results, folder: Path, pictures: Mapping[str, Figure] | None = None) -> list[Artifact]:
    """Write the report, the study's figures and the given pictures; returns them as artifacts of the parent run."""
    if not results.complete:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {**figures(results), **(pictures or {})}
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=130)
    (folder / "report.html").write_text(page(results, drawn), encoding="utf-8")
    return [
        Artifact(str(folder / "report.html")),
        *(Artifact(str(folder / f"{name}.png"), "figures") for name in drawn),
    ]


def page(results: Results, drawn: Mapping[str, Figure]) -> str:
    """The report as one HTML page that needs nothing from elsewhere."""
    rows = [results.choose(rule) for rule in RULES]
    pictures = "\n".join(
        f"<figure>{_svg(figure)}<figcaption>{html.escape(_caption(name))}</figcaption></figure>"
        for name, figure in drawn.items()
    )
    chosen = _table(
        ["rule", "trial", "score", "se", "train", "gap", "config", "why"],
        [[c.rule, c.number, *_numbers(c.point), listed(c.settings), c.why] for c in rows]
    )  # fmt: skip
    trials = _table(
        ["trial", "role", "score", "se", "train", "gap", "config"],
        [
            [
                t.number,
                t.role,
                *_numbers(results.point(t)),
                listed({k: v for k, v in (t.params or {}).items() if k in results.varied}),
            ]
            for t in results.complete[:50]
        ],
    )
    title = html.escape(results.name)
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>
<h1>{title}</h1>
<p>{html.escape(_about(results))}</p>
<h2>Chosen</h2><div class="wide">{chosen}</div>
{pictures}
<h2>Best trials</h2><div class="wide">{trials}</div>
</body></html>
"""


def _about(results: Results) -> str:
    identity, counts = results.identity, results.counts
    return (
        f"{identity['rows']} rows, {identity['columns']} columns, {identity['task']}, {identity['cv']}, scored by "
        f"{results.metric}; {counts['complete']} trials complete, {counts['pruned']} pruned, {counts['failed']} failed."
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(trial: Chosen | Trial, point: Point) -> list[str]:
    """Number, figures, and the place on the path where there is one."""
    where = [path_axis(trial.axis).text(trial.value)] if trial.axis else []
    return [str(trial.number), f"{point.val:.5g}", f"{point.train:.5g}", f"{point.gap:.3g}", *where]


def _numbers(point: Point) -> list[str]:
    return [f"{value:.4g}" for value in (point.val, point.val_se, point.train, point.gap)]


def _caption(name: str) -> str:
    """A figure's name as a sentence begins."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]
