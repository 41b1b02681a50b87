"""What is written of a report: the page, and the pictures that MLflow shows beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from regsearch.errors import NotFound
from regsearch.mirror import Artifact
from regsearch.plots import stills
from regsearch.report.page import page
from regsearch.results import Results
from regsearch.serial import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_report(results: Results, file: str | os.PathLike[str], pictures: Mapping[str, Figure] | None = None) -> Path:
    """Write the report as one HTML page that needs nothing from elsewhere; returns where it is.

    The page appears whole or not at all: an earlier one stays until the new one takes its place.

    Parameters
    ----------
    file
        The page; its folder is made.
    pictures
        Further pictures by name, such as those of the space; see `regsearch.path.Model.figures`.

    Raises
    ------
    NotFound
        When no trial is complete.
    """
    if not results.complete:
        raise NotFound(f"{results.name!r} has no complete trial to report on; run it first.")
    written = Path(file).expanduser().absolute()
    written.parent.mkdir(parents=True, exist_ok=True)
    write_whole(written, page(results, pictures or {}).encode())
    return written


def write_artifacts(results: Results, folder: Path, pictures: Mapping[str, Figure] | None = None) -> list[Artifact]:
    """Write the report, the study's figures and the given pictures; returns them as artifacts of the parent run."""
    if not results.complete:
        return []
    report = write_report(results, folder / "report.html", pictures)
    drawn = {**stills(results), **(pictures or {})}
    for name, figure in drawn.items():
        figure.savefig(folder / f"{name}.png", dpi=130)
    return [Artifact(str(report)), *(Artifact(str(folder / f"{name}.png"), "figures") for name in drawn)]
