"""A y of times to an event, as ``(event, time)``: kept as one number per row, negative where the event was not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.features import is_frame
from regsearch.data.tasks import is_by_target
from regsearch.errors import InvalidInput

FIELDS = [("event", bool), ("time", float)]
SURVIVAL = "survival"


def signed_times(y: Any, task: Any) -> tuple[Any, Any]:
    """Times of a y of events and times, negative where censored, and the task; any other y as it is.

    Parameters
    ----------
    y
        A structured array of an event (true or false) and a time, as scikit-survival has it: of no other task. Where
        the task is ``survival``, two columns, an array or a dataframe, or a pair of arrays: events, then times; or
        signed times already.

    Raises
    ------
    InvalidInput
        Where events are neither true nor false, or a time is not above zero.
    """
    if is_by_target(task):
        return y, task
    names = getattr(getattr(y, "dtype", None), "names", None)
    if names is not None and len(names) == 2:
        return _signed(y[names[0]], y[names[1]]), SURVIVAL if task is None else task
    survival = isinstance(task, str) and task == SURVIVAL
    return (_of_columns(y) if survival else y), task


def _of_columns(y: Any) -> Any:
    """Signed times of two columns or a pair of arrays, events first."""
    if is_frame(y) and y.shape[1] == 2:
        time = y.iloc[:, 1]
        return time.__class__(_signed(y.iloc[:, 0].to_numpy(), time.to_numpy()), index=y.index, name=time.name)
    if isinstance(y, tuple) and len(y) == 2:
        return _signed(*map(np.asarray, y))
    values = np.asarray(y)
    return _signed(values[:, 0], values[:, 1]) if values.ndim == 2 and values.shape[1] == 2 else y


def _signed(event: NDArray[Any], time: NDArray[Any]) -> Array:
    if event.dtype.kind != "b" and not np.isin(event, [0, 1]).all():
        wrong = event[~np.isin(event, [0, 1])].tolist()[0]
        raise InvalidInput(f"An event must be true or false, 1 or 0, got {wrong!r}; y is (event, time), events first.")
    if time.dtype.kind not in "fiu" or not (time > 0).all():
        raise InvalidInput(
            "Times to an event must be numbers above 0, got another; drop the rows at risk for no time at all."
        )
    return np.where(event.astype(bool), time, -time.astype(float))


def check_not_survival(task: str, who: str) -> None:
    """Refuse times to an event for a model that has no loss of them.

    Raises
    ------
    InvalidInput
        Saying which model has.
    """
    if task == SURVIVAL:
        raise InvalidInput(f"{who} has no loss of a survival task; search Linear(loss='cox').")


def events_and_times(y: Array) -> NDArray[Any]:
    """``[n]`` events and times, a structured array, of signed times."""
    found = np.empty(len(y), dtype=FIELDS)
    found["event"], found["time"] = y > 0, np.abs(y)
    return found
