"""Functions of the user's that hear of each finished trial of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from regsearch.cleaning import cleaned, first_line
from regsearch.errors import CallbackFailed, InvalidInput
from regsearch.inputs import said, takes
from regsearch.models.deadline import StopRequest
from regsearch.space.naming import readable
from regsearch.storage.trial import Trial

Callback: TypeAlias = Callable[[Any, Trial], Any]  # of the study, and the trial


def callbacks_of(given: Callback | Sequence[Callback] | None) -> tuple[Callback, ...]:
    """Callbacks, of which one may be given alone.

    Raises
    ------
    InvalidInput
        When one cannot be called with a study and a trial.
    """
    found = (given,) if callable(given) else given
    if found is None:
        return ()
    if not isinstance(found, (list, tuple)) or not all(map(callable, found)):
        raise InvalidInput(f"on_trial must be a function or a list of functions, got {said(given)}; leave it out.")
    for one in found:
        takes(2, one, "on_trial", "it gets the study and the trial that has finished.")
    return tuple(found)


@dataclass
class Listeners:
    """Callbacks of one run, in their order; the first that raises an error is the last that is called.

    Attributes
    ----------
    callbacks
        See `callbacks_of`.
    study
        What they get beside the trial.
    request
        How one that raises an error ends the run: what is in flight is kept as far as it got.
    failure
        What the run raises in the end.
    """

    callbacks: tuple[Callback, ...]
    study: Any
    request: StopRequest
    failure: CallbackFailed | None = None

    def hear(self, trial: Trial) -> None:
        """Tell of a trial, unless it has only come to where its run ended."""
        for callback in self.callbacks if trial.state != "stopped" else ():
            if self.failure is not None:
                return
            try:
                callback(self.study, trial)
            except Exception as error:  # noqa: BLE001 - anyone's code
                self.failure = CallbackFailed(
                    f"A callback must not raise an error, {readable(callback)} did after trial {trial.number} "
                    f"({type(error).__name__}: {first_line(error)}); what is finished is kept: mend it and run again."
                )
                self.failure.__cause__ = cleaned(error)
                self.request.make()
