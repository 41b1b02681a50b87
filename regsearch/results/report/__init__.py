"""The summary of a study: Markdown for the MLflow parent run, and one self-contained HTML page."""

from __future__ import annotations

from regsearch.results.report.files import write_artifacts, write_report
from regsearch.results.report.note import note
from regsearch.results.report.page import page

__all__ = ["note", "page", "write_artifacts", "write_report"]
