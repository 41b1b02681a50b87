"""What a search starts from in a range: a weak, a usual and a strong value, said by a field or made from the range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from regsearch.errors import InvalidInput
from regsearch.inputs import switch
from regsearch.numeric import is_number, plain

EDGE = 0.2  # how far from an end of a range its weak and its strong value lie, where nothing else is said


class Range(Protocol):
    """A leaf with two ends."""

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...

    @property
    def log(self) -> bool: ...

    @property
    def start(self) -> float | None: ...


@dataclass(frozen=True)
class Levels:
    """Three values, by how strongly they regularize.

    Attributes
    ----------
    weak, usual, strong
        As a field says them; what is `None` follows from the range that is searched. As a leaf gives them, all of them.
    off
        The value without an effect, where there is one.
    """

    weak: Any = None
    usual: Any = None
    strong: Any = None
    off: float | None = None

    @classmethod
    def same(cls, value: Any) -> Levels:
        """One value for all."""
        return cls(value, value, value)

    def mapped(self, change: Callable[[Any], Any]) -> Levels:
        """What `change` makes of each value."""
        return Levels(change(self.weak), change(self.usual), change(self.strong), self.off)

    def rises(self, low: float, high: float) -> bool | None:
        """Whether strength rises with the value in a range; `None` where nothing is said of it."""
        if is_number(self.weak) and is_number(self.strong) and self.weak != self.strong:
            return bool(self.weak < self.strong)
        if self.off is None or low < self.off < high:
            return None
        return self.off <= low


def within(leaf: Range, said: Levels | None) -> Levels:
    """What is weak, usual and strong in a range, of a field that says `said` of its values.

    A weak or strong value outside of the range gives way to one a fifth from the end that it lies beyond. Where the
    usual one is outside, the field has another range in mind, and all three follow from this one.
    """
    said = said or Levels()
    rises = said.rises(leaf.low, leaf.high)
    if said.usual is not None and not _holds(leaf, said.usual):
        said = Levels()
    usual = next((one for one in (leaf.start, said.usual) if one is not None), _middle(leaf))
    if rises is None:
        return Levels.same(usual)
    ends = (_place(leaf, EDGE), _place(leaf, 1 - EDGE))[:: 1 if rises else -1]
    weak, strong = (
        value if value is not None and _holds(leaf, value) else end
        for value, end in zip((said.weak, said.strong), ends, strict=True)
    )
    weaker, stronger = (min, max) if rises else (max, min)
    return Levels(weaker(weak, usual), usual, stronger(strong, usual))


def whole(value: float) -> int:
    """The nearest whole number, of two the smaller."""
    return value if isinstance(value, int) else math.ceil(value - 0.5)


def nearest(value: float, options: Sequence[Any]) -> Any:
    """The number among options that is nearest to a value."""
    return min(options, key=lambda option: abs(option - value))


def _holds(leaf: Range, value: float) -> bool:
    return leaf.low <= value <= leaf.high


def _middle(leaf: Range) -> float:
    return math.sqrt(leaf.low) * math.sqrt(leaf.high) if leaf.log else leaf.low / 2 + leaf.high / 2


def _place(leaf: Range, share: float) -> float:
    """What lies at a share of the way through a range, on its scale."""
    found = leaf.low ** (1 - share) * leaf.high**share if leaf.log else leaf.low * (1 - share) + leaf.high * share
    return min(max(found, leaf.low), leaf.high)


def check_range(leaf: Range) -> None:
    """Keep the ends and the start of a range as Python's own numbers.

    Raises
    ------
    InvalidInput
        Unless they are finite and in order.
    """
    low, high, start, name = plain(leaf.low), plain(leaf.high), plain(leaf.start), type(leaf).__name__
    if not (is_number(low) and is_number(high)):
        raise InvalidInput(f"{name} needs two finite numbers, got ({low!r}, {high!r}); write {name}(low, high).")
    if not low < high:
        raise InvalidInput(f"{name} needs low < high, got ({low!r}, {high!r}); swap or widen the bounds.")
    log = plain(leaf.log)
    switch(log, f"log of {name}")
    if log and low <= 0:
        raise InvalidInput(f"{name} with log=True needs low > 0, got {low!r}; raise low or drop log=True.")
    if start is not None and not (is_number(start) and low <= start <= high):
        raise InvalidInput(f"{name} must start between {low!r} and {high!r}, got {start!r}; move its start there.")
    for field, value in (("low", low), ("high", high), ("log", log), ("start", start)):
        object.__setattr__(leaf, field, value)
