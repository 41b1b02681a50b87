"""Every technique, one file each; a new file is found by itself."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from regsearch.models.neural.technique import Technique

_FOUND: dict[str, type[Technique]] = {}
for _module in pkgutil.iter_modules(__path__):
    _loaded = importlib.import_module(f"{__name__}.{_module.name}")
    _FOUND |= {
        name: value
        for name, value in vars(_loaded).items()
        if isinstance(value, type) and issubclass(value, Technique) and value.tag() in Technique.registry
    }
SLOTS = {
    slot: tuple(dict.fromkeys(c for c in _FOUND.values() if slot in c.slots))
    for slot in sorted({slot for cls in _FOUND.values() for slot in cls.slots})
}
__all__ = sorted(_FOUND)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _FOUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return _FOUND[name]
