"""How much each sampled parameter matters for the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.columns import parameter_columns
from regsearch.results.plots.registry import plot
from regsearch.results.plots.style import (
    BLUE,
    MUTED,
    escape,
    new_figure,
    window,
)
from regsearch.results.stored_study import StoredStudy

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


TREES = 60


REPEATS = 5


FEWEST = 20  # trials that a forest can say something from


@dataclass(frozen=True)
class ImportanceRecord:
    """How much each sampled parameter matters.

    Attributes
    ----------
    names
        Of the parameters, the most important first.
    drop, spread
        ``[p]``: by how much R² of a forest's predictions of the score falls when the parameter is shuffled; mean and
        standard deviation over repeats.
    r2
        Of the forest's predictions for trials that it has not seen.
    """

    names: tuple[str, ...]
    drop: Array
    spread: Array
    r2: float
    metric: str


def importance_record(study: StoredStudy) -> ImportanceRecord | None:
    """What a forest needs to predict scores; `None` with few trials, or where fewer than two parameters vary."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    sampled = [trial for trial in study.complete if trial.role != "reference"]
    found = [column for column in parameter_columns(study, sampled) if not column.along]
    if len(sampled) < FEWEST or len(found) < 2:
        return None
    scores = np.array([study.point(trial).val for trial in sampled])
    target = window(scores, [scores.max()]).clip(scores)  # one diverged trial must not be all that matters
    if np.ptp(target) == 0:
        return None
    X = np.stack([np.nan_to_num(column.at, nan=column.ends[0] - 1) for column in found], axis=1)
    rows = np.random.default_rng(0).permutation(len(X))
    test, train = np.split(rows, [max(len(rows) // 4, 5)])
    forest = RandomForestRegressor(TREES, min_samples_leaf=2, max_features=0.7, random_state=0)
    forest.fit(X[train], target[train])
    found_out = permutation_importance(forest, X[test], target[test], n_repeats=REPEATS, random_state=0)
    order = np.argsort(-found_out.importances_mean, kind="stable")
    return ImportanceRecord(
        tuple(found[k].label for k in order), found_out.importances_mean[order], found_out.importances_std[order],
        float(forest.score(X[test], target[test])), study.metric_label,
    )  # fmt: skip


@plot(
    "The longer the bar, the more the score depends on the parameter within the range that was searched.",
    needs=f"{FEWEST} sampled trials that differ in two parameters", record=importance_record, order=8,
)  # fmt: skip
def importance(record: ImportanceRecord) -> Figure:
    """How much each sampled parameter matters for the score."""
    note = f"a forest predicts the scores of trials that it has not seen with R² {record.r2:.2f}"
    if record.r2 < 0.3:
        note += ": too little to trust the order"
    figure = new_figure(
        "What matters for the score", "fall of R² when shuffled", "", 150 + 28 * len(record.names), note
    )
    figure.add_bar(
        x=np.maximum(record.drop, 0), y=[escape(name) for name in record.names], orientation="h",
        marker={"color": BLUE},
        error_x={"array": record.spread, "color": MUTED, "thickness": 1.2, "width": 3}, showlegend=False,
        hovertemplate="%{y}: %{x:.3g}<extra></extra>", width=0.6,
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(rangemode="tozero")
    return figure
