"""The winner's scores by number of training rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    VERMILION,
    band,
    new_figure,
)
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
from regsearch.results.plots.findings import subject, to_numbers


@dataclass(frozen=True)
class LearningRecord:
    """Train and validation scores ``[K, S]`` of a chosen config, by number of training rows ``[S]``."""

    sizes: Array
    train: Array
    val: Array
    averaging: Averaging
    metric: str
    subject: str


def learning_record(study: StoredStudy) -> LearningRecord | None:
    """What a finding says of fewer training rows."""
    found = study.finding("learning_curve")
    if found is None:
        return None
    return LearningRecord(
        to_numbers(found["sizes"]), to_numbers(found["train"]), to_numbers(found["val"]), study.averaging,
        str(found["metric"]), subject(study, found),
    )  # fmt: skip


@plot(
    "If validation still rises on the right, more rows would help; if the two curves have met, they would not.",
    needs="a learning curve", record=learning_record, order=4,
)  # fmt: skip
def learning_curve(record: LearningRecord) -> Figure:
    """The winner's scores by number of training rows."""
    figure = new_figure("Would more rows help?", "training rows", record.metric, note=f"Of {record.subject}")
    for name, scores, colour in (("train", record.train, BLUE), ("validation", record.val, VERMILION)):
        middle, se = record.averaging.mean(scores), record.averaging.error(scores)
        band(figure, record.sizes, middle, se, colour, f"{name} ± 1 standard error")
        figure.data[-1].update(mode="lines+markers")
    if record.sizes.max() > 10 * record.sizes.min():
        figure.update_xaxes(type="log", dtick=math.log10(2) if len(record.sizes) < 8 else 1)
    figure.update_xaxes(tickvals=record.sizes.tolist())
    return figure
