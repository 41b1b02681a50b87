"""The names of columns of X that a config has something to say of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.space.tree import Choice

if TYPE_CHECKING:
    from regsearch.models.linear.design import LinearConfig

FEW = 10  # names that an error lists


def check_column_names(config: LinearConfig, problem: Problem) -> None:
    """Refuse a name in a config's factors or limits, or in an option of a choice of them, that no column of X has.

    Raises
    ------
    InvalidInput
        With the name that was perhaps meant; and where a column is unpenalized and has a factor above 0.
    """
    known = problem.column_names
    for field in ("penalty_factors", "unpenalized", "limits"):
        for option in _options(getattr(config, field)):
            _check_known(
                f"{field} must name columns of X", [one if isinstance(one, str) else one[0] for one in option], known
            )
    for penalty in _options(config.penalty):
        _check_known(f"{penalty.kind} must name columns of X in its groups", penalty.names(), known)
    for factors in _options(config.penalty_factors):
        for free in _options(config.unpenalized):
            both = [name for name, factor in factors if factor > 0 and name in free]
            if both:
                raise InvalidInput(
                    f"A column is either unpenalized or has a penalty factor above 0, {both[0]!r} is both; "
                    "remove it from one."
                )


def _check_known(must: str, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            listed = ", ".join(known[:FEW]) + (f" and {len(known) - FEW} more" if len(known) > FEW else "")
            hint = f"did you mean {close[0]!r}?" if close else f"it has {listed}."
            raise InvalidInput(f"{must}, got {name!r}; {hint}")


def _options(value: Any) -> list[Any]:
    options = value.options if isinstance(value, Choice) else (value,)
    return [option or () for option in options]
