"""Where the leaves of a stored study's space are, how far they reach, and the same space with other leaves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from regsearch.errors import RegsearchError
from regsearch.models.base import Model
from regsearch.results.stored_study import StoredStudy
from regsearch.space.config import from_data
from regsearch.space.fields import public_name
from regsearch.space.registry import find
from regsearch.space.tree import Choice, Float, Int, Leaf, Node
from regsearch.storage.trial import Trial

DECADE = 10.0  # how far an end moves on a log scale; on another, by the width of the range
ModelT = TypeVar("ModelT", bound=Model)
End: TypeAlias = Literal["low", "high"]
ENDS: tuple[End, ...] = ("low", "high")


@dataclass(frozen=True)
class SpaceLeaf:
    """A leaf of a space.

    Attributes
    ----------
    name
        The dotted way to it.
    least, greatest
        The ends of what its field admits.
    off
        The value at which it does not regularize; `None` where there is none.
    """

    name: str
    leaf: Leaf
    least: float = -math.inf
    greatest: float = math.inf
    off: Any = None

    @property
    def stronger(self) -> End | None:
        """The end of a range that regularizes the most; `None` where it has none."""
        leaf, off = self.leaf, self.off
        if not isinstance(leaf, Float | Int) or not isinstance(off, float | int):
            return None
        return "high" if off <= leaf.low else "low" if off >= leaf.high else None


def fields_of(study: StoredStudy) -> Mapping[str, Any]:
    """The fields of a study's space; as stored where its script is not available, none where only that could say."""
    if study.space is not None:
        return study.space.fields()
    stored = {key: child for key, child in study.identity["space_data"].items() if key != "type"}
    try:
        found: Mapping[str, Any] = from_data(stored)
    except RegsearchError:  # a node of the user's own
        return {}
    return found


def space_leaves(study: StoredStudy) -> list[SpaceLeaf]:
    """Every leaf of the space of a study, those below the options of a choice included."""
    declared = _declared(find(study.identity["space_data"]["type"]))
    fields = {public_name(key): child for key, child in fields_of(study).items()}
    return [place for name, child in fields.items() for place in _places(child, name, declared.get(name, {}))]


def _places(value: Any, name: str, declared: Mapping[str, Any]) -> Iterator[SpaceLeaf]:
    if isinstance(value, Leaf):
        domain = declared.get("domain")
        least, greatest = getattr(domain, "low", -math.inf), getattr(domain, "high", math.inf)
        yield SpaceLeaf(name, value, least, greatest, declared.get("off"))
        for label, option in value.labelled:
            yield from _places(option, f"{name}.{label}", declared)
        return
    inside = _declared(type(value))
    for key, child in _children(value).items():
        yield from _places(child, f"{name}.{public_name(key)}", inside.get(public_name(key), {}))


def _declared(cls: Any) -> dict[str, Mapping[str, Any]]:
    """What the fields of a class declare, by public name; one that does not regularize is never off."""
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    never = {} if getattr(cls, "regularizes", True) else {"off": None}
    return {public_name(field.name): {**field.metadata, **never} for field in fields}


def draws_of(study: StoredStudy, trial: Trial) -> dict[str, Any]:
    """What a trial drew, by the dotted ways to the leaves."""
    names: Mapping[str, str] = study.identity["parameters"]
    return {way: trial.draws[name] for way, name in names.items() if name in trial.draws}


def values_taken(value: Any, draws: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """Way and content of all that a trial with some draws had of a space; of a choice that it did not make, of all."""
    yield name, value
    if isinstance(value, Choice):
        for option in value.options if name not in draws else (value.stored(draws[name]),):
            yield from values_taken(option, draws, f"{name}.{value.label_of(option)}")
    elif not isinstance(value, Leaf):
        for key, child in _children(value).items():
            yield from values_taken(child, draws, f"{name}.{public_name(key)}" if name else public_name(key))


def _children(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Node):
        return value.fields()
    return value if isinstance(value, Mapping) else {}


# --- ranges ----------------------------------------------------------------------------------------------------


def distance(leaf: Float | Int, value: float, end: End) -> float:
    """How far from an end of its range a value lies, from 0 to 1 on the range's scale."""
    low, high, value = (math.log(one) if leaf.log else float(one) for one in (leaf.low, leaf.high, value))
    position = (value - low) / (high - low)
    return position if end == "low" else 1 - position


def wider(place: SpaceLeaf, leaf: Float | Int, end: End, by: float = DECADE) -> Float | Int:
    """The range with one end moved, within what its field admits; a range without negative numbers gets none."""
    width = leaf.high - leaf.low
    if end == "high":
        reach = min(trim_digits(leaf.high * by if leaf.log else leaf.high + width), place.greatest)
        return leaf.replace(high=max(math.floor(reach) if isinstance(leaf, Int) else reach, leaf.high))
    least = max(place.least, 0.0 if leaf.low >= 0 else -math.inf)
    reach = max(trim_digits(leaf.low / by if leaf.log else leaf.low - width), least)
    if isinstance(leaf, Int):
        reach = max(math.ceil(reach), int(leaf.log))  # a log scale starts at 1
    return leaf.replace(low=min(reach, leaf.low))


def trim_digits(value: float) -> float:
    """Without the last digits: 0.1 / 10 is not quite 0.01."""
    return float(f"{value:.12g}")


# --- the space with other leaves -------------------------------------------------------------------------------


def replaced(space: ModelT, new: Mapping[str, Any]) -> ModelT:
    """A space with other leaves or values, by their dotted names, in the places of the old ones."""
    return space.replace(**{key: _replaced(child, public_name(key), new) for key, child in space.fields().items()})


def _replaced(value: Any, name: str, new: Mapping[str, Any]) -> Any:
    if name in new:
        return new[name]
    if isinstance(value, Choice):
        return value.with_options(*(_replaced(option, f"{name}.{label}", new) for label, option in value.labelled))
    if isinstance(value, Leaf):
        return value
    children = {key: _replaced(child, f"{name}.{public_name(key)}", new) for key, child in _children(value).items()}
    return value.replace(**children) if isinstance(value, Node) else children or value
