"""What is written of a report: the page, and the pictures that MLflow shows beside it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import place
from regsearch.mirror import Artifact
from regsearch.models.persist import write_whole
from regsearch.results.choice import Chosen
from regsearch.results.plots import static_images
from regsearch.results.report.page import page
from regsearch.results.results import Results


def write_report(
    results: Results,
    file: str | os.PathLike[str],
    chosen: Chosen | None = None,
    *,
    templates: str | os.PathLike[str] | None = None,
) -> Path:
    """Write the report as one HTML page that needs nothing from elsewhere; returns where it is.

    The page appears whole or not at all: an earlier one stays until the new one takes its place.

    Parameters
    ----------
    file
        The page, whose folder is made; or a folder that is there, in which it is called as the study.
    chosen
        What it is about, in place of the best trial.
    templates
        A folder with files that take the place of regsearch's ``page.html``, ``page.css`` or ``page.js``: Jinja
        templates, of which the first may extend ``regsearch/page.html`` and fill its blocks.

    Raises
    ------
    NotFound
        When no trial is complete, files of trials are gone, or the folder has no templates.
    InvalidInput
        When the file cannot be written, or a template is wrong.
    """
    if not results.complete:
        raise NotFound(f"{results.name!r} has no complete trial to report on; run it first.")
    if lacking := results.lacks_files:
        raise NotFound(f"{results.name!r} cannot be reported on. {lacking}")
    written = place(file, "The report").absolute()
    if written.is_dir():
        written /= f"{results.name}.html"
    if written.is_dir():
        raise InvalidInput(f"The report is one HTML file, got the folder {written}; name a file in it.")
    about = results if chosen is None else dataclasses.replace(results, subject=chosen)
    try:
        written.parent.mkdir(parents=True, exist_ok=True)
        write_whole(written, page(about, templates).encode())
    except OSError as error:
        raise InvalidInput(f"The report cannot be written to {written} ({error.strerror}); choose another.") from error
    return written


def write_artifacts(results: Results, folder: Path) -> list[Artifact]:
    """Write the report and the study's figures; returns them, and its pictures, as artifacts of the parent run."""
    if not results.complete:
        return []
    report = write_report(results, folder / "report.html")
    drawn = {folder / f"{name}.png": figure for name, figure in static_images(results).items()}
    for file, figure in drawn.items():
        figure.savefig(file, dpi=130)
    kept = {folder / f"{name}.png": png for name, png in results.store.pictures.items()}
    for file, png in kept.items():
        write_whole(file, png)
    return [Artifact(str(report)), *(Artifact(str(file), "figures") for file in [*drawn, *kept])]
