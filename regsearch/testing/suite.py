"""What a conformance suite is made of: properties, each a function that raises where its class has it not."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Property: TypeAlias = Callable[[type[Any]], None]


@dataclass(frozen=True)
class Check:
    """One property of every class of a family.

    Attributes
    ----------
    holds
        Raises where a class lacks the property, which the first sentence of its docstring states.
    fix
        What to look at in a class that lacks it.
    """

    holds: Property
    fix: str

    @property
    def name(self) -> str:
        return self.holds.__name__

    @property
    def statement(self) -> str:
        """The property, in one sentence."""
        return " ".join((self.holds.__doc__ or "").partition("\n\n")[0].split())

    def __call__(self, cls: type[Any]) -> None:
        """Raise an AssertionError, with the property, what was found and the fix, unless it holds of a class."""
        try:
            self.holds(cls)
        except Exception as error:
            found = str(error) if isinstance(error, AssertionError) else _raised(error)
            says = f"{cls.__name__} fails {self.name!r}: {self.statement}\n\n{found.strip()}\n\nTo mend it: {self.fix}"
            raise AssertionError(says) from error


def _raised(error: Exception) -> str:
    """What was raised, and where: it may be in code of one's own that has nothing to do with the property."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error}\nRaised in {place.filename}, line {place.lineno}, by: {place.line}"


class Suite:
    """The checks of one family, in the order in which they are written."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def check(self, fix: str) -> Callable[[Property], Property]:
        """Add the decorated function; see `Check`."""

        def added(holds: Property) -> Property:
            self.checks.append(Check(holds, fix))
            return holds

        return added

    def run(self, cls: type[Any]) -> None:
        """Run every check on a class; the first that fails raises its AssertionError."""
        for check in self.checks:
            check(cls)


def require(holds: bool, otherwise: str) -> None:
    """Raise an AssertionError that says what was found, unless something holds; ``python -O`` keeps it."""
    if not holds:
        raise AssertionError(otherwise)
