"""What Optuna's storage calls parameters: one that changed its kind or its options in a changed space gets a number.

A storage takes one name for one kind of distribution, and one list of options, for ever. So the parameter
``penalty``, of which a changed space has other options, is stored as ``penalty~2``; all else knows it by its own name.
So no parameter may have such a name of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_NUMBER = re.compile(r"~\d+$")


def check_names(names: Iterable[str]) -> None:
    """Refuse parameters that are called as if they had changed: what is stored of them would be another's.

    Raises
    ------
    InvalidInput
        Naming the first of them.
    """
    for name in names:
        if _NUMBER.search(name):
            raise InvalidInput(
                f"A parameter's name must not end in ~ and a number, by which changed ones are stored, got {name!r}; "
                f"call it {name.replace('~', '_')!r}."
            )


def own_names(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored by name, by the names that parameters have of their own."""
    return {_NUMBER.sub("", name): value for name, value in stored.items()}


class StoredNames:
    """Under which name a parameter with a distribution is stored: found by what the storage has already.

    Parameters
    ----------
    trials
        All that are stored.
    """

    def __init__(self, trials: Iterable[FrozenTrial]) -> None:
        self._known: dict[str, BaseDistribution] = {}
        for trial in trials:
            self._known |= trial.distributions

    def of(self, name: str, distribution: BaseDistribution) -> str:
        """The first name that takes the distribution."""
        for number in count(1):
            stored = name if number == 1 else f"{name}~{number}"
            if self._takes(stored, distribution):
                self._known[stored] = distribution
                return stored
        raise AssertionError("numbers do not end")

    def _takes(self, stored: str, distribution: BaseDistribution) -> bool:
        from optuna.distributions import check_distribution_compatibility

        if stored not in self._known:
            return True
        try:
            check_distribution_compatibility(self._known[stored], distribution)
        except ValueError:
            return False
        return True
