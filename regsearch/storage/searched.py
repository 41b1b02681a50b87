"""The trials of a study of Optuna's as samplers see them: those that tell of the space, each with a score.

What was never sampled is out of sight: a sampler that samples parameters together does so for those that all complete
trials have, and a reference has none. What was given up is complete there, with the score that it is expected to have
had: as a pruned trial it would be worse than all others to some samplers, and unknown to the rest. So is what is on its
way, once it has shown something: samplers need not wait for its end.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from regsearch.models.base import REFERENCE
from regsearch.storage.parameter_names import StoredNames, own_names
from regsearch.storage.trial import ATTRIBUTE

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ROLE = "role"  # user attribute of a trial that was not sampled
FIRST = "regsearch_first"  # that of one that its user wants tried before what else waits


class SearchedTrials:
    """A storage as samplers read it.

    Parameters
    ----------
    study_id
        Of the study, as the storage numbers it.
    expected
        What pruned trials would have scored, and running ones will, by number; a pruned one that is not in it has its
        last score.
    """

    def __init__(self, storage: Any, study_id: int, expected: Mapping[int, float]) -> None:
        self._all, self.study_id, self.expected = storage, study_id, expected
        self._completed: dict[int, tuple[float | None, FrozenTrial]] = {}  # as complete, and the score of each
        self.moved: Callable[[FrozenTrial], FrozenTrial | None] = own_trial  # as the space has a trial, if it does
        self._own: dict[int, FrozenTrial | None] = {}  # finished ones so: samplers read each of them at every proposal
        self._names: StoredNames | None = None
        self._waiting: set[int] | None = None  # ids: whoever asks looks for them first, among all trials there are

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        if states == (TrialState.WAITING,):
            return sorted(map(self._all.get_trial, sorted(self._queue(study_id))), key=_turn)
        completes = states is not None and TrialState.COMPLETE in states
        wanted = (*{*states, TrialState.PRUNED, TrialState.RUNNING},) if completes else states
        found = self._all.get_all_trials(study_id, deepcopy=deepcopy, states=wanted)
        told = [own for own in map(self._as_own, found) if own is not None]
        if states is None or completes:
            told = [self._complete(one) if self._is_expected(one) else one for one in told]
        elif TrialState.RUNNING in states:
            told = [one for one in told if not self._is_on_way(one)]
        return told if states is None else [one for one in told if one.state in states]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return own_trial(self._all.get_trial(trial_id))

    def set_trial_param(self, trial_id: int, param_name: str, param_value_internal: float, distribution: Any) -> None:
        if self._names is None:
            self._names = StoredNames(self._all.get_all_trials(self.study_id, deepcopy=False))
        stored = self._names.of(param_name, distribution)
        self._all.set_trial_param(trial_id, stored, param_value_internal, distribution)

    def _as_own(self, frozen: FrozenTrial) -> FrozenTrial | None:
        """A trial as the space has it, where it tells of the space; a finished one is looked at once."""
        number = frozen.number
        if number in self._own:
            return self._own[number]
        if frozen.state.name != "WAITING" and not _tells_of_the_space(frozen):
            return None
        if not frozen.state.is_finished():
            return own_trial(frozen)
        self._own[number] = own = self.moved(frozen)
        return own

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        queue, made = self._queue(study_id), int(self._all.create_new_trial(study_id, template_trial))
        if template_trial is not None and template_trial.state.name == "WAITING":
            queue.add(made)
        return made

    def set_trial_state_values(self, trial_id: int, state: Any, values: Any = None) -> bool:
        changed = bool(self._all.set_trial_state_values(trial_id, state, values))
        if self._waiting is not None:
            (self._waiting.add if state.name == "WAITING" else self._waiting.discard)(trial_id)
        return changed

    def _queue(self, study_id: int) -> set[int]:
        """Ids of the trials that wait: read once, then kept, as one process at a time runs a study."""
        from optuna.trial import TrialState

        if self._waiting is None:
            found = self._all.get_all_trials(study_id, deepcopy=False, states=(TrialState.WAITING,))
            id_of = self._all.get_trial_id_from_study_id_trial_number
            self._waiting = {id_of(study_id, one.number) for one in found}
        return self._waiting

    def _is_expected(self, frozen: FrozenTrial) -> bool:
        return frozen.state.name == "PRUNED" or self._is_on_way(frozen)

    def _is_on_way(self, frozen: FrozenTrial) -> bool:
        """Whether it is running, and a score is expected of it."""
        return frozen.state.name == "RUNNING" and frozen.number in self.expected

    def _complete(self, frozen: FrozenTrial) -> FrozenTrial:
        """A trial as complete with the score that it is expected to have: as no other, it has an intermediate one."""
        number = frozen.number
        score = self.expected.get(number, frozen.value)
        known = self._completed.get(number)
        if known is None or known[0] != score:
            from optuna.trial import TrialState

            complete = copy.copy(frozen)
            complete.state, complete.value = TrialState.COMPLETE, score
            complete.intermediate_values = frozen.intermediate_values or {0: self.expected[number]}
            known = self._completed[number] = score, complete
        return known[1]


def own_trial(frozen: FrozenTrial) -> FrozenTrial:
    """A trial whose parameters have the names of their own; itself where they have."""
    params = own_names(frozen.params)
    return frozen if params.keys() == frozen.params.keys() else renamed(frozen, params, own_names(frozen.distributions))


def renamed(frozen: FrozenTrial, params: Mapping[str, Any], distributions: Mapping[str, Any]) -> FrozenTrial:
    """A trial with other parameters."""
    found = copy.copy(frozen)
    found.params, found.distributions = dict(params), dict(distributions)
    return found


def _turn(waiting: FrozenTrial) -> int:
    """Whether a trial that waits is among the first: references, then what a user wants tried, then the rest."""
    given = waiting.user_attrs
    return 0 if given.get(ROLE) == REFERENCE else 1 if given.get(FIRST) else 2


def _tells_of_the_space(frozen: FrozenTrial) -> bool:
    """Whether a trial has the parameters of a config, and where it is finished, a score.

    Not the reference, nor one that was killed while it was drawn, nor a pruned one whose score was no number.
    """
    given_up = frozen.state.name == "FAIL" and ATTRIBUTE not in frozen.user_attrs
    scored = frozen.state.name != "PRUNED" or bool(frozen.values)
    return frozen.user_attrs.get(ROLE) != REFERENCE and not given_up and scored
