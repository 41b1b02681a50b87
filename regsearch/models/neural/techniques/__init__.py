"""The techniques, one file each: a new file is found by itself, as is a `Technique` that a user's script defines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from regsearch.models.neural.function_penalty import function_penalty as function_penalty
from regsearch.models.neural.technique import Technique
from regsearch.space.registry import shipped
from regsearch.space.tree import Node

SHIPPED = shipped(__name__, __path__, Technique)
__all__ = sorted(cls.__name__ for cls in SHIPPED)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    for cls in SHIPPED:
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def slots(techniques: Iterable[type[Technique]] | None = None) -> Mapping[str, tuple[type[Technique], ...]]:
    """The arguments of `Net` in alphabetical order, and the techniques that may stand in each.

    The first of a slot is what a bare number or leaf stands for: the technique that has the slot's name, if one has.

    Parameters
    ----------
    techniques
        Which; every registered one by default: those of this folder, then those that are defined anywhere else.
    """
    return _by_slot(_registered(tuple(Node.registry.values())) if techniques is None else tuple(techniques))


@lru_cache(maxsize=1)  # a config asks several times for what changes when a class is defined
def _registered(classes: tuple[type[Node], ...]) -> tuple[type[Technique], ...]:
    return SHIPPED + tuple(cls for cls in classes if issubclass(cls, Technique) and cls not in SHIPPED)


@lru_cache(maxsize=2)
def _by_slot(techniques: tuple[type[Technique], ...]) -> Mapping[str, tuple[type[Technique], ...]]:
    names = sorted({slot for cls in techniques for slot in cls.slots})
    found = {name: [cls for cls in techniques if name in cls.slots] for name in names}
    return MappingProxyType({
        name: tuple(sorted(classes, key=lambda cls, name=name: cls.kind != name)) for name, classes in found.items()  # type: ignore[misc]
    })  # fmt: skip
