"""The table of trials: one row for each, whatever became of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Any

from regsearch.models.path import Point
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

if TYPE_CHECKING:
    import pandas as pd

PARAM = "param_"  # begins a parameter that is called like another column
_BEGUN: Mapping[str, Callable[[Trial], Any]] = {
    "number": lambda trial: trial.number, "state": lambda trial: trial.state,
    "role": lambda trial: trial.role or "sampled",
}  # fmt: skip
_SCORES: Mapping[str, Callable[[Point], float]] = {
    "score": lambda point: point.val, "se": lambda point: point.val_se, "train": lambda point: point.train,
    "gap": lambda point: point.gap, "gap_se": lambda point: point.gap_se,
}  # fmt: skip
_FITTED: Mapping[str, Callable[[Trial], Any]] = {
    "complexity": lambda trial: trial.complexity, "fit_s": lambda trial: trial.seconds,
    "at_edge": lambda trial: trial.at_edge, "unsolved": lambda trial: trial.unsolved,
    "diverges": lambda trial: trial.diverges,
}  # fmt: skip
_ENDED: Mapping[str, Callable[[Trial], Any]] = {"reason": lambda trial: trial.why}
_ALWAYS = {*_BEGUN, *_SCORES, *_FITTED, *_ENDED}
_TEST = "test_"
_GROUP = "/"  # in the name of a measure


def trials_table(study: StoredStudy) -> pd.DataFrame:
    """One row per trial that has begun, by number; a parameter called like another column is ``param_NAME``."""
    import pandas as pd

    begun = [trial for trial in study.all if trial.state != "waiting"]
    first, last = [_first_columns(study, one) for one in begun], [_last_columns(study, one) for one in begun]
    own = {name for columns in (*first, *last) for name in columns}
    params = [
        {f"{PARAM}{name}" if name in own else name: value for name, value in t.shown_params.items()} for t in begun
    ]
    rows = [one | between | other for one, between, other in zip(first, params, last, strict=True)]
    return pd.DataFrame(rows).set_index("number") if rows else pd.DataFrame()


def params_in_row(row: Mapping[str, Any], known: Container[str]) -> dict[str, Any]:
    """What a row of the table, or a part of one, says of parameters, under their own names.

    Parameters
    ----------
    known
        The parameters of the space that is asked: other names stay, unless they are the table's own columns. A missing
        number in a row that has some of those is a parameter that the trial does not have.
    """
    renamed = {name: name.removeprefix(PARAM) for name in row if name not in known}
    renamed = {name: own for name, own in renamed.items() if own != name and own in known}
    hidden = set(renamed.values())  # in such a row, the column of that name is the table's
    own = {name for name in row if name in hidden or (name not in known and _is_own(name, row))}
    found = {renamed.get(name, name): value for name, value in row.items() if name not in own}
    return {name: value for name, value in found.items() if not own or not _is_nan(value)}


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_own(name: str, row: Mapping[str, Any]) -> bool:
    """Whether a column is the table's own: one of those that each has, of a metric, or of a measure."""
    metrics = (name.removesuffix(f"_{part}") for part in _SCORES if name.endswith(f"_{part}"))
    of_metric = any(all(f"{metric}_{part}" in row for part in _SCORES) for metric in metrics)
    return name in _ALWAYS or of_metric or name.startswith(_TEST) or _GROUP in name


def _first_columns(study: StoredStudy, trial: Trial) -> dict[str, Any]:
    """What a row has before the parameters."""
    return _read(_BEGUN, trial) | (_read(_SCORES, study.point(trial)) if trial.points else {}) | _read(_FITTED, trial)


def _last_columns(study: StoredStudy, trial: Trial) -> dict[str, Any]:
    """What it has after them: the metrics that do not decide first."""
    others = {name: point for name, point in trial.points.items() if name != study.metric}
    return (
        {f"{name}_{part}": value for name, point in others.items() for part, value in _read(_SCORES, point).items()}
        | {f"{_TEST}{name}": value for name, value in trial.test.items()}
        | dict(trial.measures)
        | _read(_ENDED, trial)
    )


def _read(columns: Mapping[str, Callable[[Any], Any]], of: Any) -> dict[str, Any]:
    return {name: value(of) for name, value in columns.items()}
