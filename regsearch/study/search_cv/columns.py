"""``cv_results_``: the finished trials of a study as the dict of arrays that GridSearchCV has.

Shapes: R rows, K folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.metrics.averaging import Averaging
from regsearch.models.base import REFERENCE
from regsearch.models.estimator import Estimator
from regsearch.results.choice import Chosen
from regsearch.results.results import Results
from regsearch.space.sampling import fill
from regsearch.storage.trial import Trial

FINISHED = ("complete", "pruned", "failed")


def rows_of(results: Results, chosen: Chosen) -> tuple[list[dict[str, Any]], int]:
    """Every finished trial at its own step, and which of these rows is the choice; a last one for another step."""
    finished = [trial for trial in results.all if trial.state in FINISHED or trial.is_scored]
    rows = [_row(results, trial) for trial in finished]
    index = next(i for i, trial in enumerate(finished) if trial.number == chosen.number)
    if finished[index].step != chosen.step:
        rows.append(_row(results, finished[index], chosen))
        index = len(rows) - 1
    return rows, index


def _row(results: Results, trial: Trial, at: Chosen | None = None) -> dict[str, Any]:
    """A finished trial at its own step, or at that of a choice: what `columns` makes columns of."""
    step = trial.step if at is None else at.step
    complete = trial.is_scored and bool(trial.points)
    metrics = results.identity["metrics"] if complete else ()
    curves = {name: results.curves(trial.number, name) for name in metrics}
    return {
        "trial": trial.number, "state": trial.state, "seconds": trial.seconds,
        "params": _params(results, trial, at),
        "train": {name: found.train[:, step] for name, found in curves.items()},
        "test": {name: found.val[:, step] for name, found in curves.items()},
    }  # fmt: skip


def _params(results: Results, trial: Trial, at: Chosen | None) -> dict[str, Any]:
    """A config as a flat row; that of an `Estimator` as its `set_params` takes it."""
    if not isinstance(results.space, Estimator):
        return dict(trial.shown_params if at is None else at.params)
    config = results.space.reference() if trial.role == REFERENCE else fill(results.space, trial.draws)
    return dict(config.params)


def columns(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], averaging: Averaging) -> dict[str, Any]:
    """GridSearchCV's table of rows, of folds that are averaged so."""
    table: dict[str, Any] = {
        "trial": np.array([row["trial"] for row in rows]),
        "state": np.array([row["state"] for row in rows]),
        "mean_fit_time": np.array([row["seconds"] / averaging.folds for row in rows]),
    }
    for name in dict.fromkeys(name for row in rows for name in row["params"]):
        column = np.ma.MaskedArray(np.empty(len(rows), dtype=object), mask=True)
        for i, row in enumerate(rows):
            if name in row["params"]:
                column[i] = row["params"][name]
        table[f"param_{name}"] = column
    table["params"] = [row["params"] for row in rows]
    absent = np.full(averaging.folds, np.nan)
    for metric in metrics:
        train, test = (np.array([row[part].get(metric, absent) for row in rows]) for part in ("train", "test"))
        table |= _score_columns(train, test, averaging, f"_{metric}" if len(metrics) > 1 else "_score")
    return table


def _score_columns(train: Array, test: Array, averaging: Averaging, suffix: str) -> dict[str, Any]:
    """The columns of scores ``[rows, folds]`` of one metric."""
    from scipy.stats import rankdata

    columns: dict[str, Any] = {}
    means = {part: averaging.mean(scores.T) for part, scores in (("test", test), ("train", train))}
    for part, scores in (("test", test), ("train", train)):
        columns |= {f"split{k}_{part}{suffix}": scores[:, k] for k in range(scores.shape[1])}
        spread = np.sqrt(averaging.mean((scores.T - means[part]) ** 2))
        columns |= {f"mean_{part}{suffix}": means[part], f"std_{part}{suffix}": spread}
    mean = means["test"]
    columns[f"rank_test{suffix}"] = rankdata(np.where(np.isnan(mean), np.inf, -mean), method="min").astype(np.int32)
    columns["generalization_gap" + suffix.removesuffix("_score")] = means["train"] - mean
    return columns
