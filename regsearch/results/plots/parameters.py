"""What figures of parameters share: the parameters of trials and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.columns import ParameterColumn, parameter_columns
from regsearch.results.plots.style import (
    Window,
    outside_note,
    window,
)
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    pass

MOST_AXES = 12


@dataclass(frozen=True)
class SpaceRecord:
    """Parameters of trials, best first, and their scores ``[n]``."""

    columns: tuple[ParameterColumn, ...]
    scores: Array
    numbers: tuple[int, ...]
    y: Window
    metric: str
    left_out: int = 0

    @property
    def note(self) -> str:
        """What is not shown."""
        said = [outside_note(self.y.outside)]
        said += [f"{self.left_out} more parameters vary"] if self.left_out else []
        return "; ".join(part for part in said if part)


def space_record(study: StoredStudy) -> SpaceRecord | None:
    """Parameters and scores of complete trials; `None` where nothing varies."""
    found = parameter_columns(study, study.complete)
    if not found or len(study.complete) < 2:
        return None
    scores = np.array([study.point(trial).val for trial in study.complete])
    numbers = tuple(trial.number for trial in study.complete)
    y = window(scores, [scores.max()])
    return SpaceRecord(tuple(found[:MOST_AXES]), scores, numbers, y, study.metric_label, max(0, len(found) - MOST_AXES))
