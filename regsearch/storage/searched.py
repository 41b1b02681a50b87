"""The trials of a study of Optuna's as samplers see them: those that tell of the space, each with a score.

What was never sampled is out of sight: a sampler that samples parameters together does so for those that all complete
trials have, and a reference has none. What was given up is complete there, with the score that it is expected to have
had: as a pruned trial it would be worse than all others to some samplers, and unknown to the rest.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from regsearch.storage.trial import ATTRIBUTE

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ROLE, REFERENCE = "role", "reference"  # user attribute of a trial that was not sampled, and one that it may have


class SearchedTrials:
    """A storage as samplers read it.

    Parameters
    ----------
    expected
        What pruned trials would have scored, by number; one that is not in it has its last score.
    """

    def __init__(self, storage: Any, expected: Mapping[int, float]) -> None:
        self._all, self._expected = storage, expected
        self._telling: set[int] = set()  # numbers of finished trials: samplers read each of them at every proposal
        self._completed: dict[int, FrozenTrial] = {}  # pruned ones as complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        from optuna.trial import TrialState

        completes = states is not None and TrialState.COMPLETE in states
        wanted = (*states, TrialState.PRUNED) if completes and TrialState.PRUNED not in states else states
        found = self._all.get_all_trials(study_id, deepcopy=deepcopy, states=wanted)
        telling = self._telling
        told = [frozen for frozen in found if frozen.number in telling or self._tells(frozen)]
        if states is not None and not completes:
            return told
        return [self._complete(one) if one.state == TrialState.PRUNED else one for one in told]

    def _tells(self, frozen: FrozenTrial) -> bool:
        tells = frozen.state.name == "WAITING" or _tells_of_the_space(frozen)
        if tells and frozen.state.is_finished():
            self._telling.add(frozen.number)
        return tells

    def _complete(self, pruned: FrozenTrial) -> FrozenTrial:
        """A pruned trial as complete with the score that it is expected to have had."""
        from optuna.trial import TrialState

        number, known = pruned.number, self._completed.get(pruned.number)
        score = self._expected.get(number, pruned.value)
        if known is None or known.value != score:
            known = copy.copy(pruned)
            known.state, known.value = TrialState.COMPLETE, score
            self._completed[number] = known
        return known


def _tells_of_the_space(frozen: FrozenTrial) -> bool:
    """Whether a trial has the parameters of a config, and where it is finished, a score.

    Not the reference, nor one that was killed while it was drawn, nor a pruned one whose score was no number.
    """
    given_up = frozen.state.name == "FAIL" and ATTRIBUTE not in frozen.user_attrs
    scored = frozen.state.name != "PRUNED" or bool(frozen.values)
    return frozen.user_attrs.get(ROLE) != REFERENCE and not given_up and scored
