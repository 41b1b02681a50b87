"""The configs that a search begins with, composed from what fields say is weak, usual and strong.

First everything usual, then options that are good on most data, each strong with all else weak; everything weak; the
same with one technique strong, for each that is worth it, else everything strong. At the end each option of each choice
that none of these had. A space of several families begins with the first start of each, the cheapest family first,
then with the second of each, and so on. What the fields say, what comes early and what stands alone is measured by
`tools/starts.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import Any

from regsearch.space.config import digest
from regsearch.space.levels import Levels
from regsearch.space.params import parameter_names, way_to
from regsearch.space.sampling import drawn
from regsearch.space.tree import Choice, Leaf, Node

WEAK, USUAL, STRONG = "weak", "usual", "strong"


@dataclass(frozen=True)
class Corner:
    """A config of a space, by how strong everything in it is.

    Attributes
    ----------
    level
        Of every leaf: weak, usual or strong ...
    strong
        ... but at this way and below the options that are held, where all is strong.
    held
        By the way to a choice, the option that is taken.
    """

    level: str
    strong: str = ""
    held: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _raised(self) -> tuple[str, ...]:
        """How the ways begin to what is strong."""
        return tuple(f"{way}." for way in (self.strong, *(f"{way}.{taken}" for way, taken in self.held.items())) if way)

    def of(self, leaf: Leaf, way: str, said: Levels | None) -> Any:
        """The value of a leaf, as Optuna stores it."""
        level = STRONG if f"{way}.".startswith(self._raised) else self.level
        return self.held.get(way, getattr(leaf.levels(said), level))


@dataclass(frozen=True)
class _Place:
    """A node, or an option of a choice, with the way to it and what choices must be held to for it to be there."""

    value: Any
    way: str
    held: Mapping[str, Any]
    option: bool = False

    @property
    def corner(self) -> Corner:
        """What is here strong, and all else weak."""
        return Corner(WEAK, self.way, self.held)

    @property
    def started_early(self) -> bool:
        return self.option and isinstance(self.value, Node) and self.value.started_early

    @property
    def started_alone(self) -> bool:
        return isinstance(self.value, Node) and self.value.started_alone


def initial_params(space: Node) -> list[dict[str, Any]]:
    """Optuna parameters of the configs to try first, no two of which give the same config."""
    if space.chosen:
        starts_of = [_of_family(space, *family) for family in _families(space)]
        return [params for turn in zip_longest(*starts_of) for params in turn if params is not None]
    starts = _Starts(space)
    options = sorted((place for place in starts.places if place.option), key=lambda place: len(place.held))
    starts.add(Corner(USUAL))
    starts.show([place for place in options if place.started_early])
    starts.add(Corner(WEAK))
    alone = [place.corner for place in starts.places if place.started_alone]
    for corner in alone or [Corner(STRONG)]:
        starts.add(corner)
    starts.show(options)
    return list(starts.found.values())


def reference_params(space: Node) -> list[dict[str, Any]]:
    """Optuna parameters of the references that a search begins with: one, or one of each family, the cheapest first."""
    if not space.chosen:
        return [{}]
    name = parameter_names(space).leaves[way_to("", space.chosen)]
    return [{name: label} for label, _ in _families(space)]


def _families(space: Node) -> list[tuple[str, Any]]:
    """The families of a space by their labels, the cheapest first."""
    return sorted(getattr(space, space.chosen).labelled, key=lambda one: one[1].cost)


def _of_family(space: Node, label: str, family: Node) -> list[dict[str, Any]]:
    """The starts of one family of a space, by the names of the space's parameters."""
    names, choice = parameter_names(space).leaves, way_to("", space.chosen)
    below = f"{choice}.{label}"
    own = {name: names[f"{below}.{way}"] for way, name in parameter_names(family).leaves.items()}
    taken = {names[choice]: label}
    return [taken | {own[name]: value for name, value in params.items()} for params in initial_params(family)]


class _Starts:
    """The starts of a space so far: their parameters by the digest of the config, and the options that they show."""

    def __init__(self, space: Node) -> None:
        self.space = space
        self.names = parameter_names(space).leaves
        self.places = list(_places(space, "", {}))
        self.found: dict[str, dict[str, Any]] = {}
        self.shown: set[tuple[str, Any]] = set()

    def add(self, corner: Corner) -> None:
        params: dict[str, Any] = {}

        def draw(leaf: Leaf, way: str, said: Levels | None) -> Any:
            found = params[self.names[way]] = corner.of(leaf, way, said)
            if isinstance(leaf, Choice):
                self.shown.add((way, found))
            return leaf.stored(found)

        self.found.setdefault(digest(drawn(self.space, draw)), params)

    def show(self, options: list[_Place]) -> None:
        """Add a start for each option that none has."""
        for place in options:
            if not self.shown.issuperset(place.held.items()):
                self.add(place.corner)


def _places(value: Any, way: str, held: Mapping[str, Any]) -> Iterator[_Place]:
    """Every node and every option of a space, from the root down."""
    if isinstance(value, Choice):
        for option in value.options:
            below, taken = f"{way}.{value.label_of(option)}", {**held, way: value.label_of(option)}
            yield _Place(option, below, taken, option=True)
            yield from _inside(option, below, taken)
    elif isinstance(value, Node):
        yield _Place(value, way, held)
        yield from _inside(value, way, held)
    elif isinstance(value, Mapping):
        yield from _inside(value, way, held)


def _inside(value: Any, way: str, held: Mapping[str, Any]) -> Iterator[_Place]:
    children = value.fields() if isinstance(value, Node) and not isinstance(value, Leaf) else value
    for key, child in children.items() if isinstance(children, Mapping) else ():
        yield from _places(child, way_to(way, str(key)), held)
