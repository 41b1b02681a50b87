"""Trials of a study whose space has changed: which of them lie in the new one, and what they are called there.

A trial lies in a space where the space has its config to the last digit: then it is what the space would have made of
it. Of what does not, everything is kept, and it comes back should a later space have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from regsearch.models.base import REFERENCE, Model
from regsearch.space.config import digest, to_data
from regsearch.space.params import parameter_names, way_to
from regsearch.space.path import Path
from regsearch.space.placing import placed
from regsearch.space.sampling import fill, sample
from regsearch.storage.searched import own_trial, renamed
from regsearch.storage.trial import ATTRIBUTE, OUTSIDE, Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# what of a study's identity follows from its space, and what must be kept of the old one
OF_SPACE = ("reference", "space", "space_hash", "space_data", "column_roles", "parameters", "script", "version")


def moved_identity(stored: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of a study that goes on in a new space."""
    return {**stored, **{name: new[name] for name in OF_SPACE}, "spaces": int(stored.get("spaces", 1)) + 1}


def give_up(storage: Any, known_as: int, trial: Trial) -> None:
    """End a trial that waits or is in flight: as pruned where it stands as it was stopped, which may be chosen.

    Parameters
    ----------
    storage, known_as
        Optuna's storage, and what that knows the trial as.
    """
    from optuna.trial import TrialState

    if not trial.stands or trial.role == REFERENCE:
        storage.set_trial_state_values(known_as, TrialState.FAIL)
        return
    score = trial.point.val
    storage.set_trial_user_attr(known_as, ATTRIBUTE, trial.given_up("the space changed").to_attribute())
    storage.set_trial_intermediate_value(known_as, trial.steps, score)
    storage.set_trial_state_values(known_as, TrialState.PRUNED, [score])


def in_space(space: Model, trial: Trial) -> Trial:
    """A trial as a space has it: under its names, or outside of it; one without a config stays as it is."""
    if trial.config is None:
        return trial
    was = trial.was or trial.state
    draws, why = _draws(space, trial)
    if draws is None:
        return replace(trial, state=OUTSIDE, was=was, outside=why)
    family, names = space.family_of(draws), parameter_names(space)
    reference = trial.role == REFERENCE
    config = space.references()[family] if reference else fill(space, draws)
    chosen = config if trial.value is None else config.at(trial.value)
    return replace(
        trial, state=was, was="", outside="", draws=draws, params=names.row(chosen, family), family=family,
        lacking=names.lacking(chosen, family), off=names.off(chosen, family),
    )  # fmt: skip


def _draws(space: Model, trial: Trial) -> tuple[dict[str, Any] | None, str]:
    """What Optuna would have drawn to get a trial; where nothing does, `None` and why."""
    if trial.role == REFERENCE:
        for family, reference in space.references().items():
            if digest(reference) == trial.key:
                name = parameter_names(space).leaves[way_to("", space.chosen)] if space.chosen else ""
                return ({name: family} if name else {}), ""
        return None, "the space has another reference"
    draws, misfits = placed(space, trial.config, trial.value)
    if misfits:
        return None, "; ".join(misfits)
    config = fill(space, draws)
    return (draws, "") if digest(config) == trial.key else (None, _difference(to_data(config), trial.config))


def _difference(made: Any, stored: Any, name: str = "") -> str:
    """What of a config, as plain data, a space has only nearly: another path, or a whole number for a real one."""
    both = [one for one in (made, stored) if isinstance(one, Mapping)]
    if any(one.get("type") == Path.tag() for one in both):
        return "the space has another path"
    for key in made if len(both) == 2 else ():
        if digest(made[key]) != digest(stored.get(key)):
            return _difference(made[key], stored.get(key), f"{name}.{key}" if name else key)
    return f"{name} is {stored!r}, the space has {made!r}"


@dataclass(frozen=True)
class SpaceChange:
    """How many finished trials lie in a new space, and how many do not."""

    inside: int
    outside: int

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> SpaceChange:
        states = [trial.state for trial in trials if trial.config is not None]
        return cls(len(states) - states.count(OUTSIDE), states.count(OUTSIDE))

    def __str__(self) -> str:
        kept = f"; {self.outside} outside it {'is' if self.outside == 1 else 'are'} kept and never chosen"
        return (
            f"The space has changed: {self.inside} of {self.inside + self.outside} finished trials lie in it and count"
            f"{kept if self.outside else ''}."
        )


def own_in(frozen: FrozenTrial, trial: Trial | None, space: Model) -> FrozenTrial | None:
    """A finished trial with the parameters and ranges of the space that is searched now; `None` outside of it."""
    if trial is None or trial.config is None or trial.role == REFERENCE:
        return own_trial(frozen)
    if trial.state == OUTSIDE:
        return None
    recorded = Recorder.of(space, trial.draws)
    return renamed(frozen, trial.draws, recorded.distributions)


@dataclass
class Recorder:
    """A trial on paper with known parameters: it notes the distributions that a space draws them from."""

    params: Mapping[str, Any]
    distributions: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, space: Model, params: Mapping[str, Any]) -> Recorder:
        """That of a config of a space."""
        made = cls(params)
        sample(space, made)
        return made

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> Any:
        from optuna.distributions import FloatDistribution

        return self._noted(name, FloatDistribution(low, high, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> Any:
        from optuna.distributions import IntDistribution

        return self._noted(name, IntDistribution(low, high, log=log))

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        from optuna.distributions import CategoricalDistribution

        return self._noted(name, CategoricalDistribution(choices))

    def _noted(self, name: str, distribution: Any) -> Any:
        self.distributions[name] = distribution
        return self.params[name]
