"""What MLflow is told: a study, its trials and its summary, as the mirror's records.

Everything here is made from what is stored, so a mirror can be rebuilt at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.axes import LAMBDA, path_axis
from regsearch.mirror import Artifact, Dataset, Series, StudyRecord, SummaryRecord, TrialRecord
from regsearch.path import Curves
from regsearch.trials import Trial

_STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}


def study_record(identity: Mapping[str, Any]) -> StudyRecord:
    """The parent run of a study."""
    shown = ("task", "metric", "seed", "cv", "folds", "space")
    tagged = ("study", "version", "fingerprint", "folds_hash", "space_hash")
    return StudyRecord(
        study=identity["study"],
        experiment=identity["experiment"],
        study_id=identity["id"],
        start_ms=identity["created_ms"],
        params={key: identity[key] for key in shown},
        tags={f"regsearch.{key}": str(identity[key]) for key in tagged},
        dataset=Dataset(
            name=identity["study"], digest=identity["fingerprint"], source=identity["script"] or "memory",
            rows=identity["rows"], columns=identity["columns"], task=identity["task"], target=identity["target"],
        ),
    )  # fmt: skip


def trial_record(trial: Trial, arrays: Mapping[str, NDArray[Any]], metric: str) -> TrialRecord:
    """The child run of a trial; `metric` is the one that decides, the others get their names in front."""
    metrics = {"time/fit_s": trial.seconds, "complexity/nonzero": trial.complexity, **(trial.measures or {})}
    metrics |= path_axis(trial.axis).metrics(trial.value)
    metrics |= LAMBDA.metrics((trial.params or {}).get("lambda"))  # a net may have one beside its epochs
    for name, point in (trial.points or {}).items():
        front = "" if name == metric else f"{name}/"
        metrics |= {
            f"{front}val/mean": point.val, f"{front}val/se": point.val_se, f"{front}train/mean": point.train,
            f"{front}gap/mean": point.gap, f"{front}gap/se": point.gap_se,
        }  # fmt: skip
    metrics |= {f"test/{name}": score for name, score in (trial.test or {}).items()}
    tags = {"regsearch.role": trial.role or "sampled"}
    if trial.reason:
        tags["regsearch.reason"] = trial.reason
    return TrialRecord(
        number=trial.number,
        state=_STATES[trial.state],  # type: ignore[arg-type]
        start_ms=trial.start_ms,
        end_ms=trial.end_ms,
        name=f"{trial.number} {'reference' if trial.role == 'reference' else trial.kind[:40]}",
        params={name: _readable(value) for name, value in (trial.params or {}).items()},
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        series=_series(arrays, metric, trial.step),
        tags=tags,
    )


def summary_record(
    status: Any,
    end_ms: int,
    trials: Sequence[Trial],
    metric: str,
    best: Trial | None,
    note: str,
    artifacts: Sequence[Artifact],
) -> SummaryRecord:
    """The end of a study: the winner's figures and the best score so far, trial by trial."""
    done = [trial for trial in trials if trial.state == "complete" and trial.points]
    scores = np.maximum.accumulate([trial.points[metric].val for trial in done if trial.points] or [-math.inf])
    metrics = {"trials/complete": float(len(done)), "trials/all": float(len(trials))}
    if best is not None and best.points:
        point = best.points[metric]
        metrics |= {"val/mean": point.val, "val/se": point.val_se, "train/mean": point.train, "gap/mean": point.gap}
        metrics |= {"gap/se": point.gap_se} | {f"test/{name}": value for name, value in (best.test or {}).items()}
    return SummaryRecord(
        status=status,
        end_ms=end_ms,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        series={"best/val": Series(tuple(trial.number for trial in done), tuple(scores))} if done else {},
        note=note,
        artifacts=tuple(artifacts),
    )


def _readable(value: Any) -> Any:
    """Six digits of a real number: what a table column has room for. The exact value is in the study's own storage."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _series(arrays: Mapping[str, NDArray[Any]], metric: str, step: int) -> dict[str, Series]:
    """Curves along the path, over the folds that were fitted, and values by fold of the deciding metric."""
    if f"val/{metric}" not in arrays:
        return {}
    curves = Curves(arrays[f"train/{metric}"], arrays[f"val/{metric}"])
    train, val, fitted = curves.train, curves.val, curves.fitted
    series = {"fold/val": Series.folds(val[:, step]), "fold/train": Series.folds(train[:, step])}
    if val.shape[1] > 1 and fitted.any():
        paths = {"path/val": val, "path/train": train, "path/gap": train - val}
        series |= {name: Series.path(curve[fitted].mean(axis=0)) for name, curve in paths.items()}
    return series
