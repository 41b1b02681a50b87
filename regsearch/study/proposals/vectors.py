"""Configs as rows of numbers, for what reckons with many of them at once. n configs, L leaves, D columns.

A row has one number a leaf: a number on its scale from 0 to 1, or the place of an option among those of its choice.
What stands below an option that was not chosen has no effect, whatever its number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.space.params import parameter_names, way_to
from regsearch.space.path import Path
from regsearch.space.tree import Choice, Float, Int, Leaf, Node

NEUTRAL = 0.5  # a column of what has no effect
MOVED, CHANGED = 0.3, 0.1  # shares of the leaves of a row that become others in a row near it: numbers, and choices
Needs: TypeAlias = tuple[tuple[str, int], ...]  # choices, and the option of each, that a leaf stands below


@dataclass(frozen=True)
class LeafColumn:
    """A leaf by the name of its parameter."""

    name: str
    leaf: Any
    needs: Needs

    def place(self, value: Any) -> float:
        """A stored value as a number of a row."""
        if isinstance(self.leaf, Choice):
            return float(self.leaf.labels.index(value))
        low, high, at = self._scaled(self.leaf.low), self._scaled(self.leaf.high), self._scaled(value)
        return (at - low) / (high - low) if high > low else NEUTRAL  # of neighbours, which have one logarithm

    def value(self, place: float) -> Any:
        """What is stored for a number of a row."""
        if isinstance(self.leaf, Choice):
            return self.leaf.labels[int(place)]
        low, high = self._scaled(self.leaf.low), self._scaled(self.leaf.high)
        at = low + place * (high - low)
        value = min(max(math.exp(at) if self.leaf.log else at, self.leaf.low), self.leaf.high)
        return round(value) if isinstance(self.leaf, Int) else float(value)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.leaf.log else float(value)


@dataclass(frozen=True)
class Vectors:
    """The leaves of a space, in the order of its tree."""

    columns: tuple[LeafColumn, ...]

    @classmethod
    def of(cls, space: Node) -> Vectors | None:
        """Those of a space; `None` where it has leaves of a kind that is not known here."""
        columns = tuple(_columns(space, "", (), parameter_names(space).leaves))
        known = all(type(column.leaf) in (Float, Int, Choice) for column in columns)
        return cls(columns) if known else None

    @cached_property
    def options(self) -> NDArray[np.int64]:
        """``[L]`` the number of options of each choice; 0 of a number."""
        return np.array([len(c.leaf.options) if isinstance(c.leaf, Choice) else 0 for c in self.columns])

    @property
    def numbers(self) -> int:
        """How many leaves are numbers."""
        return int((self.options == 0).sum())

    # --- configs -----------------------------------------------------------------------------------------------

    def row(self, params: Mapping[str, Any]) -> Array:
        """``[L]`` of stored parameters; NaN where there is none."""
        return np.array([c.place(params[c.name]) if c.name in params else np.nan for c in self.columns])

    def params(self, row: Array) -> dict[str, Any]:
        """What is stored of a row ``[L]``."""
        active = self.active(row[None])[0]
        return {c.name: c.value(at) for c, at, is_active in zip(self.columns, row, active, strict=True) if is_active}

    def active(self, rows: Array) -> NDArray[np.bool_]:
        """``[n, L]``: which leaves of rows ``[n, L]`` have an effect."""
        places = {column.name: i for i, column in enumerate(self.columns)}
        found = np.ones(rows.shape, dtype=bool)
        for i, column in enumerate(self.columns):
            for choice, option in column.needs:
                found[:, i] &= rows[:, places[choice]] == option
        return found

    def features(self, rows: Array) -> Array:
        """``[n, D]`` of rows ``[n, L]``: a column a number and one an option, neutral where there is no effect."""
        active = self.active(rows)
        columns = []
        for i, count in enumerate(self.options):
            if count:
                columns += [(rows[:, i] == option) & active[:, i] for option in range(count)]
            else:
                columns.append(np.where(active[:, i], rows[:, i], NEUTRAL))
        return np.array(columns, dtype=float).T

    # --- at random ---------------------------------------------------------------------------------------------

    def draw(self, random: np.random.Generator, count: int) -> Array:
        """``[count, L]`` rows at random, each leaf by its own distribution."""
        places = random.random((count, len(self.columns)))
        return np.where(self.options > 0, np.floor(places * np.maximum(self.options, 1)), places)

    def draw_near(self, rows: Array, random: np.random.Generator, count: int, sd: float) -> Array:
        """``[count, L]`` rows, each near one of rows ``[n, L]``: numbers move by about `sd`, choices seldom change."""
        new = self.draw(random, count)
        old = rows[random.integers(len(rows), size=count)]
        old = np.where(np.isnan(old), new, old)
        moves = random.random(old.shape) < max(MOVED, 2 / len(self.columns))
        moved = np.clip(old + sd * moves * random.standard_normal(old.shape), 0.0, 1.0)
        changed = np.where(random.random(old.shape) < CHANGED, new, old)
        return np.where(self.options > 0, changed, moved)


def _columns(value: Any, way: str, needs: Needs, names: Mapping[str, str]) -> Iterator[LeafColumn]:
    """The leaves at and below a value of a space, paths left out."""
    if isinstance(value, Choice):
        yield LeafColumn(names[way], value, needs)
        for i, option in enumerate(value.options):
            yield from _columns(option, f"{way}.{value.label_of(option)}", (*needs, (names[way], i)), names)
    elif isinstance(value, Leaf):
        if not isinstance(value, Path):
            yield LeafColumn(names[way], value, needs)
    elif isinstance(value, Node | Mapping):
        for key, child in (value.fields() if isinstance(value, Node) else value).items():
            yield from _columns(child, way_to(way, key), needs, names)
