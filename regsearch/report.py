"""The summary of a study: Markdown for the MLflow parent run, and one self-contained HTML page."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regsearch.mirror import Artifact
from regsearch.plots import figures
from regsearch.results import Chosen, Results
from regsearch.trials import Trial

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8884; white-space: nowrap; }
td:nth-last-child(-n+2) { white-space: normal; vertical-align: top; }
.wide { overflow-x: auto; }
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
        lines += ["| | trial | score | train | gap |", "| --- | --- | --- | --- | --- |"]
        lines += [_row(rule, results.choose(rule)) for rule in ("best", "one_se")]
        if results.reference is not None:
            lines.append(_reference_row(results, results.reference))
        lines += ["", "Best config: " + ", ".join(f"`{key}={value}`" for key, value in best.params.items()), ""]
        if identity["script"]:
            lines.append(f"Export it: `regsearch export {results.name} --out DIR`")
    return "\n".join(lines)


def write_artifacts(results: Results, folder: Path) -> list[Artifact]:
    """Write the report and the figures; returns them as artifacts of the parent run."""
    if not results.complete:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    drawn = figures(results)
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=130)
    (folder / "report.html").write_text(page(results, drawn), encoding="utf-8")
    return [
        Artifact(str(folder / "report.html")),
        *(Artifact(str(folder / f"{name}.png"), "figures") for name in drawn),
    ]


def page(results: Results, drawn: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs nothing from elsewhere."""
    rows = [results.choose(rule) for rule in ("best", "one_se")]
    pictures = "\n".join(f"<figure>{_svg(figure)}</figure>" for figure in drawn.values())
    chosen = _table(
        ["rule", "trial", "score", "se", "train", "gap", "config", "why"],
        [[c.rule, c.number, *_figures(c), _settings(c.params), c.why] for c in rows]
    )  # fmt: skip
    trials = _table(
        ["trial", "role", "score", "se", "train", "gap", "config"],
        [[t.number, t.role, *_numbers(results, t), _settings(t.params or {})] for t in results.complete[:50]],
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


def _row(name: str, chosen: Chosen) -> str:
    return f"| {name} | {chosen.number} | {chosen.score:.5g} | {chosen.point.train:.5g} | {chosen.gap:.3g} |"


def _reference_row(results: Results, trial: Trial) -> str:
    point = results.point(trial)
    return (
        f"| {results.identity['reference']} | {trial.number} | {point.val:.5g} | {point.train:.5g} | {point.gap:.3g} |"
    )


def _figures(chosen: Chosen) -> list[str]:
    return [f"{value:.4g}" for value in (chosen.score, chosen.point.val_se, chosen.point.train, chosen.gap)]


def _numbers(results: Results, trial: Trial) -> list[str]:
    point = results.point(trial)
    return [f"{value:.4g}" for value in (point.val, point.val_se, point.train, point.gap)]


def _settings(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]
