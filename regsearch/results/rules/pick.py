"""What a rule returns, and the rule that is none: a trial that was named."""

from __future__ import annotations

from dataclasses import dataclass

from regsearch.errors import NotFound
from regsearch.results.stored_study import StoredStudy

NAMED = "It was named, not chosen by a rule."


@dataclass(frozen=True)
class Pick:
    """What a rule returns: a trial, a step on its path, and the reason in one sentence."""

    number: int
    step: int
    why: str


@dataclass(frozen=True)
class OneTrial:
    """Picks a trial by its number.

    Attributes
    ----------
    number
        Of the trial.
    step
        Where on its path; by default the step at which it counts.
    """

    number: int
    step: int | None = None

    @property
    def __name__(self) -> str:
        return f"trial {self.number}" + ("" if self.step is None else f", step {self.step}")

    def __call__(self, study: StoredStudy) -> Pick:
        """The trial.

        Raises
        ------
        NotFound
            When there is no such complete trial, or no such step on its path.
        """
        trial = next((one for one in study.all if one.number == self.number), None)
        if trial is None:
            ran = max(one.number for one in study.all if one.config is not None)
            raise NotFound(f"{study.name!r} has no trial {self.number}; those that ran are 0 to {ran}.")
        if trial not in study.complete:
            why = f" ({trial.why})" if trial.why else ""
            raise NotFound(
                f"Trial {self.number} of {study.name!r} is {trial.state}{why}, and a complete one is needed; "
                f"{study.complete[0].number} is the best of them."
            )
        if self.step is not None and self.step not in range(trial.steps):
            raise NotFound(
                f"The path of trial {self.number} has the steps 0 to {trial.steps - 1}, got {self.step}; it counts "
                f"at {trial.step}."
            )
        at = trial.step if self.step is None else self.step
        return Pick(self.number, at, NAMED)
