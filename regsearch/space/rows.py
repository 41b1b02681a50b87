"""A flat row of parameters, such as that of a trial, as a point of a space: what Optuna would have drawn to get it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from regsearch.inputs import said
from regsearch.numeric import is_number, is_whole, plain, text_if_not_finite
from regsearch.space.config import to_data
from regsearch.space.levels import Levels
from regsearch.space.params import parameter_names, way_to
from regsearch.space.path import Path
from regsearch.space.tree import Choice, Int, Leaf, Node

UNSAID = object()


@dataclass
class RowPlacing:
    """A point of a space so far.

    Attributes
    ----------
    params
        Optuna's, by name: what the row says, and usual values for the rest.
    used
        Names of the row that it stands for.
    misfits
        What of the row the space does not have, a phrase each.
    """

    params: dict[str, Any] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    misfits: list[str] = field(default_factory=list)

    def add(self, other: RowPlacing) -> None:
        self.params |= other.params
        self.used |= other.used
        self.misfits += other.misfits


def place_row(space: Node, row: Mapping[str, Any]) -> RowPlacing:
    """The point of a space that comes closest to a row by the names of tables or of Optuna, which may lack some."""
    return _Rows(space, {name: plain(value) for name, value in row.items()}).walk(space, "")


class _Rows:
    """Goes down a space with a row in hand."""

    def __init__(self, space: Node, row: Mapping[str, Any]) -> None:
        self.names, self.row = parameter_names(space), row

    def walk(self, value: Any, way: str, levels: Levels | None = None, off: Any = None) -> RowPlacing:
        """What is found below a way; `levels` and `off` are what the field there says of its values."""
        if isinstance(value, Path):
            return RowPlacing()
        if isinstance(value, Choice):
            return self._choose(value, way, levels, off)
        if isinstance(value, Leaf):
            return self._number(value, way, levels)
        found = RowPlacing()
        for key, child, levels_there, off_there in _inside(value):
            found.add(self.walk(child, way_to(way, key), levels_there, off_there))
        return found

    def _said(self, way: str) -> tuple[str, Any]:
        """The name under which the row has a leaf, and its value there."""
        for name in (self.names.leaves[way], self.names.columns[way]):
            if name in self.row:
                return name, self.row[name]
        return self.names.leaves[way], UNSAID

    def _choose(self, choice: Choice, way: str, levels: Levels | None, off: Any) -> RowPlacing:
        """The option under which the most of the row fits; the usual one where several do."""
        usual = choice.levels(levels).usual
        found = [(label, self._option(choice, way, label, one, levels, off)) for label, one in choice.labelled]
        return min(found, key=lambda one: (len(one[1].misfits), -len(one[1].used), one[0] != usual))[1]

    def _option(self, choice: Choice, way: str, label: Any, option: Any, levels: Levels | None, off: Any) -> RowPlacing:
        name, given = self._said(way)
        placing = RowPlacing({self.names.leaves[way]: label})
        placing.add(self.walk(option, f"{way}.{label}", levels, off))
        if given is UNSAID or name in placing.used:
            return placing
        if _shows(option, label, given, off):
            placing.used.add(name)
        elif not placing.misfits or name not in placing.misfits[-1]:
            labels = " or ".join(map(str, choice.labels))
            placing.misfits.append(f"{name} is {said(given)}, the space has {labels}")
        return placing

    def _number(self, leaf: Any, way: str, levels: Levels | None) -> RowPlacing:
        name, given = self._said(way)
        own = self.names.leaves[way]
        if given is UNSAID:
            return RowPlacing({own: leaf.levels(levels).usual})
        whole = isinstance(leaf, Int)
        if whole and isinstance(given, float) and given.is_integer():
            given = int(given)  # a table with a gap in a column of whole numbers has them so
        if not (is_whole(given) if whole else is_number(given)) or not leaf.low <= given <= leaf.high:
            kind = "whole numbers from " if whole else ""
            return RowPlacing(
                {}, set(), [f"{name} is {said(given)}, the space has {kind}{leaf.low:g} to {leaf.high:g}"]
            )
        return RowPlacing({own: given if whole else float(given)}, {name})


def _inside(value: Any) -> Iterator[tuple[str, Any, Levels | None, Any]]:
    """What a value holds: key, child, and what its field says of values."""
    if isinstance(value, Node):
        levels, offs = value.field_levels(), value.offs()
        yield from ((key, child, levels.get(key), offs.get(key)) for key, child in value.fields().items())
    elif isinstance(value, Mapping):
        yield from ((str(key), child, None, None) for key, child in value.items())


def same_in_row(one: Any, other: Any) -> bool:
    """Whether two values of rows are the same; infinity and NaN may be their text, which JSON and MLflow have."""
    return bool(text_if_not_finite(to_data(one)) == text_if_not_finite(to_data(other)))


def _shows(option: Any, label: Any, given: Any, off: Any) -> bool:
    """Whether a row says so of an option: by its label, as what it is, or as nothing."""
    if isinstance(option, Leaf):
        return False  # a number of its range has been taken there
    shown = [label]
    if isinstance(option, Node):
        shown.append(getattr(option, option.main) if option.main else option.kind)
    elif option is None:
        shown += [off, "none"]
    else:
        shown.append(option)
    switch = isinstance(given, bool)
    return any(isinstance(one, bool) == switch and same_in_row(one, given) for one in shown)
