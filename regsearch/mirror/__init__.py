"""A copy of the study in MLflow, written by a process of its own.

Optuna's storage is the truth; this copy can be rebuilt from it at any time. Importing this package does not
import MLflow: only the writer process does.
"""

from __future__ import annotations

from regsearch.mirror.process import Mirror, Status
from regsearch.mirror.records import (
    Artifact,
    Dataset,
    Ready,
    Series,
    StudyRecord,
    SummaryRecord,
    TrialRecord,
    View,
)

__all__ = [
    "Artifact",
    "Dataset",
    "Mirror",
    "Ready",
    "Series",
    "Status",
    "StudyRecord",
    "SummaryRecord",
    "TrialRecord",
    "View",
]
