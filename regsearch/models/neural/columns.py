"""The techniques of a block: for each, one tensor per number with an entry for every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from regsearch.models.neural.layout import Layout, Part
from regsearch.models.neural.technique import Columns, Facts, Place, Technique

if TYPE_CHECKING:
    import torch

Key: TypeAlias = tuple[str, str, str]  # slot, pattern of names (or empty), program


@dataclass(frozen=True)
class Row:
    """What the trainer needs of a config.

    Attributes
    ----------
    horizon
        Epochs after which training ends at the latest.
    techniques
        By slot and pattern; the pattern is empty where the technique acts on all that it can act on.
    facts
        See `Facts`.
    """

    lr: float
    batch_size: int
    horizon: int
    techniques: Mapping[tuple[str, str], Technique]
    facts: Facts


@dataclass(frozen=True)
class Settings:
    """What columns are made for."""

    layout: Layout
    places: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Active:
    """A technique that at least one row of a block uses, with the columns of all rows."""

    key: Key
    technique: type[Technique]
    v: Columns
    own: frozenset[str] = field(default_factory=frozenset)

    @property
    def state(self) -> list[str]:
        """Names of the columns that the technique added for itself."""
        return sorted(set(vars(self.v)) - self.own)

    def at(self, place: Place) -> bool:
        """Whether its pattern names a hidden layer."""
        return not self.key[1] or fnmatchcase(place.name, self.key[1])


def make_actives(rows: Sequence[Row], settings: Settings) -> list[Active]:
    """The techniques of some rows, in the order of their slots: what a row gets does not depend on the others."""
    keys: dict[Key, Technique] = {}
    for row in rows:
        for (slot, pattern), technique in row.techniques.items():
            if not technique.structural:
                keys.setdefault((slot, pattern, technique.program(slot).__name__), technique)
    found = (_active(key, keys[key], rows, settings) for key in sorted(keys))
    return [active for active in found if active is not None]


def _active(key: Key, example: Technique, rows: Sequence[Row], settings: Settings) -> Active | None:
    """The columns of one technique; `None` where no row differs from its neutral numbers."""
    slot, pattern, program = key
    neutral = example.neutral().row(rows[0].facts)
    numbers = [
        own.row(row.facts) if (own := row.techniques.get((slot, pattern))) and own.program(slot).__name__ == program
        else neutral
        for row in rows
    ]  # fmt: skip
    on = {name: any(_differs(one[name], off) for one in numbers) for name, off in neutral.items()}
    if not any(on.values()):
        return None
    v = Columns(**{name: _column([one[name] for one in numbers], settings) for name in neutral})
    v.on, v.part = SimpleNamespace(**on), _part(slot, pattern, settings)
    return Active(key, example.program(slot), v, frozenset(vars(v)))


def _differs(value: Any, off: Any) -> bool:
    return bool(value != off)


def _column(values: Sequence[Any], settings: Settings) -> torch.Tensor:
    import torch

    return torch.tensor(values, **settings.options)


def _part(slot: str, pattern: str, settings: Settings) -> Part:
    """The parameters that a technique in a slot acts on."""
    if slot == "activity_penalty":
        return Part(())
    if pattern:
        return settings.layout.matching(pattern)
    return settings.layout.part("bias" if slot == "bias_penalty" else "kernel")
