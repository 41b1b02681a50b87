"""When a run of a search ends."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.models.deadline import Deadline
from regsearch.numeric import plain

DEFAULT_TRIALS = 100  # of a run without any limit
ALREADY_HAS = "asked for, and it already has"  # what is said of a number of trials that is less than there are


@dataclass(frozen=True)
class Limits:
    """When a run ends; see `regsearch.Study.run`.

    Raises
    ------
    InvalidInput
        When a limit is not a positive number.
    """

    n_trials: int | None = None
    timeout: float | None = None
    patience: int | None = None
    trial_timeout: float | None = None

    def __post_init__(self) -> None:
        for name, kind in (("n_trials", Integral), ("timeout", Real), ("patience", Integral), ("trial_timeout", Real)):
            object.__setattr__(self, name, _checked_limit(name, plain(getattr(self, name)), kind))

    @classmethod
    def of_run(
        cls, n_trials: int | None, timeout: float | None, patience: int | None, trial_timeout: float | None
    ) -> Limits:
        """Those of a run, which ends somewhere."""
        endless = n_trials is None and timeout is None and patience is None
        return cls(DEFAULT_TRIALS if endless else n_trials, timeout, patience, trial_timeout)

    def begin(self) -> Deadline:
        """The deadline of a run that begins now."""
        return Deadline.of_run(self.timeout, self.trial_timeout)


def _checked_limit(what: str, limit: Any, kind: Any) -> Any:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, kind) or not limit > 0):
        number = "whole number" if kind is Integral else "number"
        raise InvalidInput(f"{what} must be a positive {number}, got {limit!r}; leave it out for no such limit.")
    return limit
