"""What Optuna remembers of each trial beside its parameters: one user attribute, read back as a `Trial`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from regsearch.models.base import Outcome
from regsearch.models.path import Point
from regsearch.space.config import digest, to_data
from regsearch.space.params import flat
from regsearch.space.tree import Path

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ATTRIBUTE = "regsearch"
State: TypeAlias = Literal["complete", "pruned", "failed", "running", "waiting"]
_STATES: dict[str, State] = {
    "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting",
}  # fmt: skip
INTERRUPTED = "interrupted before it finished"


@dataclass(frozen=True)
class Trial:
    """One trial, as stored.

    Attributes
    ----------
    role
        ``reference`` (no regularization), ``start`` (a default), or empty when it was sampled.
    config
        The config as plain data, its path unfilled.
    draws
        What Optuna drew, by parameter name.
    params
        The chosen config as a flat row.
    axis, value
        What the path walks along (``lambda``, ``epochs``), and where on it the chosen step lies; empty and `None` where
        there is no path.
    step, steps
        The chosen step, and how many there are.
    points
        By metric, the first deciding.
    complexity
        Mean over folds at the chosen step; NaN when unknown.
    measures
        Other figures of the chosen point, by name.
    test
        Scores on the held-out set, for trials that were the best when they finished.
    test_parts
        The deciding one without each tenth of the held-out rows, from which errors come; empty where it has none.
    """

    number: int
    state: State
    role: str = ""
    config: Any = None
    draws: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    axis: str = ""
    value: float | None = None
    step: int = 0
    steps: int = 1
    points: Mapping[str, Point] | None = None
    complexity: float = math.nan
    measures: Mapping[str, float] | None = None
    seconds: float = 0.0
    reason: str = ""
    test: Mapping[str, float] | None = None
    test_parts: Sequence[float] = ()
    start_ms: int = 0
    end_ms: int = 0

    @property
    def kind(self) -> str:
        """What people call it: its penalty, else its estimator or module."""
        params = self.params or {}
        names = [params.get(key) for key in ("penalty", "estimator", "module")]
        return next((str(name) for name in names if name not in (None, "none")), str(names[0] or ""))

    @property
    def key(self) -> str:
        """Equal for equal configs."""
        return digest(self.config)


# --- which is better -------------------------------------------------------------------------------------------


# --- stored and read back --------------------------------------------------------------------------------------


def remember(
    outcome: Outcome, columns: Mapping[str, Any], test: Mapping[str, float], test_parts: Sequence[float]
) -> dict[str, Any]:
    """The user attribute of a trial; `columns` gives the neutral value of parameters that the config does not have."""
    fitted = outcome.curves and outcome.state != "failed"
    row = {name: value for name, value in flat(outcome.chosen).items() if not isinstance(value, Path)}
    return {
        "role": outcome.role,
        "config": to_data(outcome.config),
        "params": {name: to_data(value) for name, value in row.items()}
        | {name: off for name, off in columns.items() if row.get(name) is None and not _told(row, name)},
        "axis": outcome.config.axis,
        "value": outcome.value,
        "step": outcome.step,
        "steps": len(outcome.axis),
        "points": {name: asdict(outcome.point(name)) for name in outcome.curves} if fitted else {},
        "complexity": float(np.mean(outcome.complexity[:, outcome.step])),
        "measures": dict(outcome.measures),
        "seconds": outcome.seconds,
        "reason": outcome.reason,
        "test": dict(test),
        "test_parts": list(test_parts),
    }


def _told(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row has a name by its full way, as it does where two fields share it."""
    return any(key.endswith(f".{name}") for key in row)


def recall(stored: FrozenTrial) -> Trial:
    """The trial that Optuna stored; one that never finished has a state and little else."""
    attribute = stored.user_attrs.get(ATTRIBUTE)
    times = [
        0 if time is None else round(time.timestamp() * 1000)
        for time in (stored.datetime_start, stored.datetime_complete)
    ]
    base = Trial(
        stored.number, _STATES[stored.state.name], draws=dict(stored.params), role=stored.user_attrs.get("role", ""),
        reason=INTERRUPTED if stored.state.name in ("RUNNING", "FAIL") else "", start_ms=times[0], end_ms=times[1],
    )  # fmt: skip
    if attribute is None or not stored.state.is_finished():
        return base
    points = {name: Point(**point) for name, point in attribute["points"].items()}
    return Trial(**{**vars(base), **attribute, "points": points})
