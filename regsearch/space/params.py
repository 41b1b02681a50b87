"""A config as one flat row with short names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regsearch.space.tree import Choice, Leaf, Node, public


def _rows(value: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every (way, value) pair of a filled tree; a node counts as its kind, then as its own fields."""
    if isinstance(value, Node) and not isinstance(value, Leaf):
        if names:
            yield names, getattr(value, value.main) if value.main else value.kind
        for key, child in value.shown().items():
            if key != value.main or not names:
                yield from _rows(child, (*names, public(key)))
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _rows(child, (*names, str(key)))
    elif names:
        yield names, value


def flat(config: Node) -> dict[str, Any]:
    """The config as one flat row: short names, the full way only where two values would share a name."""
    rows = list(_rows(config, ()))
    short = [way[-1] for way, _ in rows]
    return {way[-1] if short.count(way[-1]) == 1 else ".".join(way): value for way, value in rows}


def columns(space: Any) -> dict[str, Any]:
    """Every short name that a config of this space may have, with the value at which it is off."""
    found: dict[str, Any] = {}
    if isinstance(space, Choice):
        for option in space.options:
            found |= columns(option)
    elif isinstance(space, Node) and not isinstance(space, Leaf):
        offs = space.offs()
        for name, value in space.fields().items():
            shown = name != space.main  # what stands for the whole node has its place already
            found |= {public(name): offs.get(name) if shown else None} | columns(value)
    return {name: off for name, off in found.items() if off is not None}
