"""What a class of any family says is weak, usual and strong: the property that both suites hold it to."""

from __future__ import annotations

import dataclasses
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.space.fields import public_name
from regsearch.space.tree import Leaf, Node
from regsearch.testing.suite import require

IN_ORDER = "let weak, usual and strong of tunable lie in the range that is the field's default, each farther from off."


def check_levels(cls: type[Node]) -> None:
    """Raise an AssertionError unless what fields say lies in their domain and range, in the order of its strength."""
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        said = field.metadata.get("levels")
        if said is None:
            continue
        where = f"{cls.__name__}.{public_name(field.name)}"
        values = {name: getattr(said, name) for name in ("weak", "usual", "strong")}
        given = {name: value for name, value in values.items() if value is not None}
        for name, value in given.items():
            require(_admits(field.metadata["domain"], value), f"{where} does not admit what is {name}, {value!r}.")
        if isinstance(field.default, Leaf):
            found = field.default.levels(said)
            taken = {name: getattr(found, name) for name in given}
            require(taken == given, f"{where} says {given}, and {field.default} has {taken}.")
        in_order = [value for value in (said.off, *given.values()) if value is not None]
        rising = in_order == sorted(in_order) or in_order == sorted(in_order, reverse=True)
        require(rising, f"{where} is off at {said.off!r}, and what is weak, usual, strong is {given}.")


def _admits(domain: Any, value: Any) -> bool:
    try:
        return bool(domain.admit(value, "") == value)
    except InvalidInput:
        return False
