"""The table of trials: one row for each, whatever became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regsearch.models.path import Point
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

if TYPE_CHECKING:
    import pandas as pd


def trials_table(study: StoredStudy) -> pd.DataFrame:
    """One row per trial that has begun, by number; a parameter called like another column is ``param_NAME``."""
    import pandas as pd

    begun = [trial for trial in study.all if trial.state != "waiting"]
    first, last = [_first_columns(study, one) for one in begun], [_last_columns(study, one) for one in begun]
    own = {name for columns in (*first, *last) for name in columns}
    params = [{f"param_{name}" if name in own else name: value for name, value in t.params.items()} for t in begun]
    rows = [one | between | other for one, between, other in zip(first, params, last, strict=True)]
    return pd.DataFrame(rows).set_index("number") if rows else pd.DataFrame()


def _first_columns(study: StoredStudy, trial: Trial) -> dict[str, Any]:
    """What a row has before the parameters."""
    first = {"number": trial.number, "state": trial.state, "role": trial.role or "sampled"}
    last = {"complexity": trial.complexity, "fit_s": trial.seconds, "at_edge": trial.at_edge}
    doubts = {"unsolved": trial.unsolved, "diverges": trial.diverges}
    return first | (_scores(study.point(trial)) if trial.points else {}) | last | doubts


def _last_columns(study: StoredStudy, trial: Trial) -> dict[str, Any]:
    """What it has after them: the metrics that do not decide first."""
    others = {name: point for name, point in trial.points.items() if name != study.metric}
    return (
        {f"{name}_{part}": value for name, point in others.items() for part, value in _scores(point).items()}
        | {f"test_{name}": value for name, value in trial.test.items()}
        | dict(trial.measures)
        | {"reason": trial.why}
    )


def _scores(point: Point) -> dict[str, float]:
    return {"score": point.val, "se": point.val_se, "train": point.train, "gap": point.gap, "gap_se": point.gap_se}
