"""What every class of a family is, as its suite checks it."""

from __future__ import annotations

import dataclasses

from regsearch.space.tree import Node
from regsearch.testing.suite import require

DECLARE = "decorate it with @dataclass(frozen=True), document it, declare its fields by tunable(domain, default)."


def check_declared(cls: type[Node]) -> None:
    """Raise an AssertionError unless a class is a documented frozen dataclass whose fields all declare a domain."""
    require("__dataclass_params__" in vars(cls), "It is no dataclass.")
    require(cls.__dataclass_params__.frozen, "It is not frozen.")  # type: ignore[attr-defined]
    undeclared = [field.name for field in dataclasses.fields(cls) if "domain" not in field.metadata]  # type: ignore[arg-type]
    require(not undeclared, f"No domain is declared for {', '.join(undeclared)}.")
    require(bool(cls.__doc__) and not str(cls.__doc__).startswith(f"{cls.__name__}("), "It has no docstring.")
