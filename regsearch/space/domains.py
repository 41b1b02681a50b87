"""What a field of a node admits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.inputs import said
from regsearch.numeric import is_number, is_whole, plain
from regsearch.space.path import Path
from regsearch.space.registry import kind, kinds
from regsearch.space.suggests import Domain
from regsearch.space.tree import Choice, Float, Int, Node

WIDEST, DEEPEST = 1_000_000, 1_000  # units of a layer, and layers


@dataclass(frozen=True)
class Between:
    """A field that holds a number in ``[low, high]``, or a leaf whose range lies inside."""

    low: float
    high: float

    def admit(self, value: Any, where: str) -> Any:
        value = plain(value)
        bounds = (value.low, value.high) if isinstance(value, (Float, Int)) else (value, value)
        if not all(is_number(bound) for bound in bounds):
            raise InvalidInput(f"{where} must be a number or a Float, got {value!r}.")
        if not (self.low <= bounds[0] and bounds[1] <= self.high):
            raise InvalidInput(f"{where} must lie in [{self.low:g}, {self.high:g}], got {value!r}; narrow it.")
        return value


@dataclass(frozen=True)
class Whole:
    """A field that holds a whole number of at least `low`, or a leaf of such."""

    low: int = 0

    def admit(self, value: Any, where: str) -> Any:
        value = plain(value)
        lowest = value.low if isinstance(value, Int) else value
        if not is_whole(lowest):
            raise InvalidInput(f"{where} must be a whole number or an Int, got {value!r}.")
        if lowest < self.low:
            raise InvalidInput(f"{where} must be at least {self.low}, got {value!r}; raise it.")
        return value


@dataclass(frozen=True)
class Sizes:
    """A field that holds a few whole numbers of at least 1, such as the widths of layers."""

    def admit(self, value: Any, where: str) -> Any:
        sizes = tuple(map(plain, value)) if isinstance(value, (tuple, list)) else (plain(value),)
        if not 0 < len(sizes) <= DEEPEST or any(not is_whole(size) or not 1 <= size <= WIDEST for size in sizes):
            raise InvalidInput(
                f"{where} must be whole numbers of at least 1 and at most {WIDEST:,}, {DEEPEST:,} of them at most, got "
                f"{said(value)}; (64, 64) is usual."
            )
        return sizes


@dataclass(frozen=True)
class PathField:
    """A field that holds the path's axis: a `Path`, a number of at least `low`, or a `Float` above it."""

    low: float = 0.0

    def admit(self, value: Any, where: str) -> Any:
        return value if isinstance(value, Path) else Between(self.low, math.inf).admit(value, where)


@dataclass(frozen=True)
class OneOf:
    """A field that holds one of a few names."""

    names: tuple[str, ...]

    def admit(self, value: Any, where: str) -> Any:
        if not isinstance(value, str) or value not in self.names:
            raise InvalidInput(f"{where} must be one of {', '.join(self.names)}, got {said(value)}.")
        return value


@dataclass(frozen=True)
class ClassWeights:
    """A field that holds what classes weigh in fits: ``balanced``, weights by label, or `None`.

    Weights by label are kept as pairs ``(label, weight)``, of which files keep the labels' types; `none` is what `None`
    is kept as.
    """

    none: str | None = None

    def admit(self, value: Any, where: str) -> Any:
        if value is None or (isinstance(value, str) and value in ("balanced", self.none)):
            return value or self.none
        pairs = list(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
            raise InvalidInput(f"{where} must be None, 'balanced' or a dict from labels to weights, got {said(value)}.")
        kept = tuple((plain(label), plain(weight)) for label, weight in pairs)
        wrong = [pair for pair in kept if not is_number(pair[1]) or pair[1] <= 0]
        if wrong:
            raise InvalidInput(
                f"{where} needs weights above 0, got {wrong[0][1]!r} for the class {wrong[0][0]!r}; drop the rows of a "
                "class that is not to count."
            )
        return kept


@dataclass(frozen=True)
class ColumnNames:
    """A field that holds names of columns of X, in order and each once; `None` where there is none."""

    def admit(self, value: Any, where: str) -> Any:
        if value is None:
            return None
        names = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
        wrong = [name for name in names if not isinstance(name, str)]
        if wrong or isinstance(value, str):
            raise InvalidInput(
                f"{where} must be a list of names of columns, got {said(value)}; write ['age', 'batch']."
            )
        return tuple(sorted(set(names))) or None


@dataclass(frozen=True)
class ColumnName:
    """A field that holds the name of a column of X."""

    def admit(self, value: Any, where: str) -> Any:
        if not isinstance(value, str):
            raise InvalidInput(f"{where} must be the name of a column, got {said(value)}; write 'exposure'.")
        return value


@dataclass(frozen=True)
class ColumnFactors:
    """A field that holds a number of at least 0 for columns of X by name, kept as pairs; `None` where there is none."""

    def admit(self, value: Any, where: str) -> Any:
        pairs = _by_name(value, 2, where, "numbers: {'age': 0.5}")
        kept = tuple((name, plain(factor)) for name, factor in pairs)
        wrong = [pair for pair in kept if not is_number(pair[1]) or not 0 <= pair[1] < math.inf]
        if wrong:
            raise InvalidInput(
                f"{where} needs finite numbers of at least 0, got {wrong[0][1]!r} for {wrong[0][0]!r}; to keep a "
                f"column out, drop it, or limits={{{wrong[0][0]!r}: (0, 0)}}."
            )
        return kept or None


@dataclass(frozen=True)
class ColumnLimits:
    """A field that holds the limits of coefficients of columns of X by name, kept as ``(name, low, high)``.

    An end that is `None` is no limit, as is an empty table, which stands for `None` in files.
    """

    def admit(self, value: Any, where: str) -> Any:
        spread = {name: _ends(ends, where) for name, ends in value.items()} if isinstance(value, Mapping) else value
        triples = [(name, *ends) for name, ends in spread.items()] if isinstance(spread, dict) else spread
        kept = []
        for name, *ends in _by_name(triples, 3, where, "pairs (low, high): {'dose': (0, None)}"):
            low, high = (
                None if end is None or end == {} or plain(end) in (-math.inf, math.inf) else plain(end) for end in ends
            )
            given = [end for end in (low, high) if end is not None]
            if not all(map(is_number, given)) or not (low or 0) <= 0 <= (high or 0):
                raise InvalidInput(
                    f"{where} must have low <= 0 <= high, None for no limit, as a penalty shrinks to 0; got "
                    f"({low!r}, {high!r}) for {name!r}."
                )
            kept += [(name, low, high)] * bool(given)
        return tuple(kept) or None


def _ends(ends: Any, where: str) -> Any:
    if not isinstance(ends, (list, tuple)) or len(ends) != 2:
        raise InvalidInput(
            f"{where} must be pairs (low, high) by column, got {said(ends)}; write {{'dose': (0, None)}}."
        )
    return ends


def _by_name(value: Any, size: int, where: str, example: str) -> list[Any]:
    """What a field says of columns, each once and in the order of their names."""
    entries = [] if value is None else list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)) or not all(
        isinstance(one, (list, tuple)) and len(one) == size and isinstance(one[0], str) for one in entries
    ):
        raise InvalidInput(f"{where} must be a dict from names of columns to {example}; got {said(value)}.")
    return sorted({one[0]: one for one in entries}.values(), key=lambda one: one[0])


@dataclass(frozen=True)
class Family:
    """A field that holds a node of one family; its kind, as a string, stands for the node with its defaults."""

    base: type[Node]

    def admit(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            value = kind(value, self.base)()
        if not isinstance(value, self.base):
            known = f"known names: {', '.join(kinds(self.base))}"
            fix = f"Choice({', '.join(map(repr, value))}) searches over several" if isinstance(value, list) else known
            raise InvalidInput(f"{where} must be a {self.base.__name__}, got {value!r}; {fix}.")
        return value


@dataclass(frozen=True)
class OrNone:
    """A field that holds what a domain admits, or `None`; `none` is what `None` is called in a row."""

    domain: Domain
    none: str

    def admit(self, value: Any, where: str) -> Any:
        return None if value is None or value == self.none else self.domain.admit(value, where)


def bounds_of(value: Any) -> list[Any]:
    """The least and the greatest number that a field may hold, of each option; a plain value is both."""
    if isinstance(value, Choice):
        return [end for option in value.options for end in bounds_of(option)]
    return [value.low, value.high] if isinstance(value, Float | Int) else [value]
