"""The class that a name in a file stands for: found by the module of its family, whatever was imported before."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from regsearch.errors import NotFound
from regsearch.inputs import did_you_mean
from regsearch.space.tree import Node

# The module that registers a family, by the scope of its classes or by the kind of the one model that it has; what has
# neither is a linear model, or a penalty or loss of one. Names and not imports: models are built on spaces.
FAMILIES = {
    "net": "regsearch.models.neural", "estimator": "regsearch.models.estimator", "loop": "regsearch.models.own_loop",
    "prepare": "regsearch.models.preparation", "families": "regsearch.models.families",
    "": "regsearch.models.linear",
}  # fmt: skip

CALLED = {  # by what people call it, the penalty
    "lasso": "l1", "ridge": "l2", "tikhonov": "l2", "elasticnet": "elastic_net", "enet": "elastic_net",
    "subset": "best_subset",
}  # fmt: skip


def shipped(package: str, folders: Iterable[str], family: type[Node]) -> tuple[type[Any], ...]:
    """The classes of a family that the modules of a package define, by module: a new file there is found by itself."""
    modules = [importlib.import_module(f"{package}.{found.name}") for found in pkgutil.iter_modules(folders)]
    known = [cls for cls in Node.registry.values() if issubclass(cls, family)]
    return tuple(cls for module in modules for cls in known if cls.__module__ == module.__name__)


def find(tag: str) -> type[Any] | None:
    """The class with that name in files; `None` where there is none."""
    if tag not in Node.registry:
        scope = tag.partition(".")[0]
        importlib.import_module(FAMILIES.get(scope, FAMILIES[""]))
    return Node.registry.get(tag)


def registered() -> dict[str, type[Node]]:
    """Every class by its name in files, those of the user's own that were defined among them."""
    for module in FAMILIES.values():
        importlib.import_module(module)
    return dict(sorted(Node.registry.items()))


def kinds(family: type[Node]) -> dict[str, type[Any]]:
    """The classes of a family by what they are called, in the order of their names in files."""
    return {cls.kind: cls for cls in registered().values() if issubclass(cls, family)}


def kind(name: str, family: type[Node] = Node) -> type[Any]:
    """The class called `name` in `family`, or with that name in files.

    Raises
    ------
    NotFound
        When no such class is known; the message lists those that are.
    """
    found = find(name) or kinds(family).get(name)
    if found is None or not issubclass(found, family):
        known = sorted(cls.tag() for cls in kinds(family).values())
        hint = did_you_mean(name, known, f"known: {', '.join(known)}.", CALLED)
        raise NotFound(f"No {family.__name__.lower()} is called {name!r}; {hint}")
    return found
