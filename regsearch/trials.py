"""What Optuna remembers of each trial beside its parameters: one user attribute, read back as a `Trial`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from regsearch.axes import path_axis
from regsearch.config import digest, to_data
from regsearch.path import ROUNDING, Array, Outcome, Point
from regsearch.space import flat
from regsearch.tree import Path

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


def ranked(trials: Iterable[Trial], metric: str) -> tuple[Trial, ...]:
    """Trials that have a score, best first; of those that differ by rounding alone the most regularized first."""
    found = [(trial.points[metric], trial) for trial in trials if trial.points]
    if not found:
        return ()
    top = max((point for point, _ in found), key=lambda point: point.val)
    losses = settled(np.array([-point.val for point, _ in found]), rounding(top))
    reference = next((trial for _, trial in found if trial.role == "reference"), None)
    places = [(loss, *simplicity(trial, reference)) for loss, (_, trial) in zip(losses, found, strict=True)]
    return tuple(found[k][1] for k in sorted(range(len(found)), key=places.__getitem__))


def takes_the_lead(trial: Trial, leader: Trial | None, reference: Trial | None, metric: str) -> bool:
    """Whether a trial that comes after its leader and the reference is the best of them."""
    return ranked([one for one in (reference, leader, trial) if one is not None], metric)[:1] == (trial,)


def judged(outcome: Outcome) -> Trial:
    """A complete outcome as far as `ranked` looks at it, before it is stored."""
    return Trial(
        outcome.number, "complete", outcome.role, to_data(outcome.config), axis=outcome.config.axis,
        value=outcome.value, points={outcome.primary: outcome.point(outcome.primary)},
        complexity=float(np.mean(outcome.complexity[:, outcome.step])),
    )  # fmt: skip


def simplicity(trial: Trial, reference: Trial | None) -> tuple[bool, float, float, int]:
    """What decides between trials that are as good: the smallest is the most regularized.

    The reference comes last, and with it what came out as the same config. Then counts the complexity, where it is
    known; then how early on the axis of the paths a trial stands (a large lambda, few epochs); then its number.
    """
    plain = reference is not None and trial.config == reference.config
    complexity = trial.complexity if math.isfinite(trial.complexity) else math.inf
    along = trial.value or 0.0
    return plain, complexity, -along if path_axis(trial.axis).descending else along, trial.number


def rounding(point: Point) -> float:
    """What scores like those of a point must differ by to differ at all."""
    return ROUNDING * max(abs(point.val), abs(point.train))


def settled(values: Array, tolerance: float) -> Array:
    """Values of which those that lie no further apart than `tolerance` are all made the least of them."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    first = np.append(True, np.diff(ascending) > tolerance)
    equal = np.empty_like(values)
    equal[order] = ascending[first][np.cumsum(first) - 1]
    return equal


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
