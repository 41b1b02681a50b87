"""The techniques, one file each: a new file is found by itself, as is a `Technique` that a user's script defines."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from regsearch.models.neural.technique import Technique
from regsearch.space.tree import kinds


def _in_folder() -> tuple[type[Technique], ...]:
    """What the files of this folder define, by file."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return tuple(cls for module in modules for cls in kinds(Technique).values() if cls.__module__ == module.__name__)


SHIPPED = _in_folder()
__all__ = sorted(cls.__name__ for cls in SHIPPED)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    for cls in SHIPPED:
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def registered() -> tuple[type[Technique], ...]:
    """Every technique: those of this folder, then those that are defined anywhere else."""
    return SHIPPED + tuple(cls for cls in kinds(Technique).values() if cls not in SHIPPED)


def slots(techniques: Iterable[type[Technique]] | None = None) -> dict[str, tuple[type[Technique], ...]]:
    """The arguments of `Net` in alphabetical order, and the techniques that may stand in each.

    The first of a slot is what a bare number or leaf stands for.

    Parameters
    ----------
    techniques
        Which; every registered one by default.
    """
    found = registered() if techniques is None else tuple(techniques)
    names = sorted({slot for cls in found for slot in cls.slots})
    return {name: tuple(cls for cls in found if name in cls.slots) for name in names}
