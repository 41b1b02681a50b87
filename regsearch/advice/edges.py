"""Where an optimum sits at the edge of what was searched, and the same space with that edge moved.

Only what can be moved is an edge: a dropout of 0 or an L1 ratio of 1 is the end of the world, not of a range.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

from regsearch.advice.evidence import difference, nears
from regsearch.axes import path_axis
from regsearch.config import from_data
from regsearch.errors import RegsearchError
from regsearch.path import Model, choose_step
from regsearch.table import Table
from regsearch.tree import Choice, Float, Int, Leaf, Node, Path, label, public
from regsearch.trials import Trial

EDGE = 0.05  # share of a range, on its scale, that counts as its edge
CROWD = 2 / 3  # share of the best trials that lie there
FEWEST = 5  # trials of which best ones can be told
DISORDER = 1  # pairs of the best five that may lie in another order than their scores, where these rise to an edge
DECADE = 10.0  # how far an end moves on a log scale; on another, by the width of the range
FURTHER = 100.0  # how much further down a path goes
ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True)
class Place:
    """A leaf of a space: its dotted name, as in `Trial.draws`, and the ends of what its field admits."""

    name: str
    leaf: Leaf
    least: float = -math.inf
    greatest: float = math.inf


@dataclass(frozen=True)
class Move:
    """A range, the same one wider, and why."""

    name: str
    old: Leaf
    new: Leaf
    why: str

    def __str__(self) -> str:
        return f"{self.name}: {self.old} becomes {self.new}"


def stored(identity: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a space as stored with a study; none where only the user's script could rebuild them."""
    fields = {key: child for key, child in identity["space_data"].items() if key != "type"}
    try:
        found: Mapping[str, Any] = from_data(fields)
    except RegsearchError:  # a node of the user's own
        return {}
    return found


def places(identity: Mapping[str, Any]) -> list[Place]:
    """Every leaf of the space of a study, those below the options of a choice included."""
    domains = _domains(Node.registry.get(identity["space_data"]["type"]))
    return [place for key, child in stored(identity).items() for place in _places(child, public(key), domains.get(key))]


def _places(value: Any, name: str, domain: Any) -> Iterator[Place]:
    if isinstance(value, Leaf):
        yield Place(name, value, getattr(domain, "low", -math.inf), getattr(domain, "high", math.inf))
        options = value.options if isinstance(value, Choice) else ()
        for option in options:
            yield from _places(option, f"{name}.{label(option)}", domain)
        return
    domains = _domains(type(value))
    for key, child in _children(value).items():
        yield from _places(child, f"{name}.{public(key)}", domains.get(public(key)))


def _children(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Node):
        return value.fields()
    return value if isinstance(value, Mapping) else {}


def _domains(cls: Any) -> dict[str, Any]:
    """What the fields of a class admit, by public name."""
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return {public(field.name): field.metadata.get("domain") for field in fields}


# --- where the optimum sits ------------------------------------------------------------------------------------


def moves(table: Table) -> list[Move]:
    """The ranges at whose edge the best trials crowd, each with a wider one."""
    best = front(table)
    if best is None:
        return []
    found = [
        _of_path(place, best, table) if isinstance(place.leaf, Path) else _of_range(place, best, table)
        for place in places(table.identity)
    ]
    return [move for move in found if move is not None]


def front(table: Table) -> Trial | None:
    """The trial whose place in the space says where to go on: the best one that was sampled.

    None where the reference is as good and fits no better: what nears it ends where it ends. Where it is better by more
    than the noise of the folds, or as good while all that was searched underfits, that is too strong, and an edge says
    in which direction to leave.
    """
    best = next((trial for trial in table.complete if trial.role != "reference"), None)
    if best is None or best is table.complete[0]:
        return best
    return None if nears(table, best) else best


def ends_early(table: Table, best: Trial) -> bool:
    """Whether the scores of a trial still rise where its path ends, unless that is where the reference lies."""
    if best.steps == 1 or choose_step(table.curves(best.number).mean()) < best.steps - 1:
        return False
    return not (path_axis(best.axis).descending and nears(table, best))


def _of_path(place: Place, best: Trial, table: Table) -> Move | None:
    leaf = place.leaf
    if not isinstance(leaf, Path) or place.name.rpartition(".")[2] != best.axis or not ends_early(table, best):
        return None
    ratio = _ratio(best, table)
    # the families of a space share one ratio, and by default ridge reaches further: none must be cut short
    reached = [_ratio(trial, table) for trial in table.complete if trial.steps > 1]
    wider = leaf.replace(ratio=_short(min(ratio / FURTHER, *reached)))
    return Move(place.name, leaf, wider, f"the best step is the last of {best.steps}, {ratio:.1e} of the first")


def _ratio(trial: Trial, table: Table) -> float:
    axis = table.arrays(trial.number)["axis"]
    return float(axis[-1] / axis[0])


def _of_range(place: Place, first: Trial, table: Table) -> Move | None:
    leaf = place.leaf
    drawn = [trial for trial in table.complete if trial.role != "reference" and place.name in (trial.draws or {})]
    if not isinstance(leaf, (Float, Int)) or len(drawn) < FEWEST or first is not drawn[0]:
        return None
    at = [_position(leaf, (trial.draws or {})[place.name]) for trial in drawn]
    for end, distances in (("low", at), ("high", [1 - one for one in at])):
        wider = _wider(place, leaf, end)
        if distances[0] > EDGE or wider == leaf or not (_crowd(distances) or _rise(distances)):
            continue
        limit = f"{place.name} of the best trial lies within 5% of {getattr(leaf, end):.4g}"
        inner = next((trial for trial, distance in zip(drawn, distances, strict=True) if distance > EDGE), None)
        if inner is None:
            return Move(place.name, leaf, wider, f"{limit}, as all others do")
        gain = difference(table, first, inner)
        if gain.certain:
            return Move(place.name, leaf, wider, f"{limit}, {gain} better than any further in")
    return None


def _crowd(distances: Sequence[float]) -> bool:
    """Whether most of the best trials lie at an edge, by their distances ``[T]`` from it, best trial first."""
    best = distances[: max(3, len(distances) // 10)]
    return sum(distance <= EDGE for distance in best) >= CROWD * len(best)


def _rise(distances: Sequence[float]) -> bool:
    """Whether the best few trials are the better the nearer to an edge they lie."""
    return sum(nearer > further for nearer, further in combinations(distances[:FEWEST], 2)) <= DISORDER


def _position(leaf: Float | Int, value: float) -> float:
    """Where in its range a value lies, from 0 to 1 on the range's scale."""
    low, high, value = (math.log(one) if leaf.log else float(one) for one in (leaf.low, leaf.high, value))
    return (value - low) / (high - low)


def _wider(place: Place, leaf: Float | Int, end: str) -> Float | Int:
    """The range with one end moved, within what its field admits; a range without negative numbers gets none."""
    width = leaf.high - leaf.low
    if end == "high":
        reach = min(_short(leaf.high * DECADE if leaf.log else leaf.high + width), place.greatest)
        return leaf.replace(high=max(math.floor(reach) if isinstance(leaf, Int) else reach, leaf.high))
    least = max(place.least, 0.0 if leaf.low >= 0 else -math.inf)
    reach = max(_short(leaf.low / DECADE if leaf.log else leaf.low - width), least)
    if isinstance(leaf, Int):
        reach = max(math.ceil(reach), int(leaf.log))  # a log scale starts at 1
    return leaf.replace(low=min(reach, leaf.low))


def _short(value: float) -> float:
    """Without the last digits: 0.1 / 10 is not quite 0.01."""
    return float(f"{value:.12g}")


# --- the space with its edges moved ----------------------------------------------------------------------------


def widened(space: ModelT, moved: list[Move]) -> ModelT:
    """A space with the ranges of some moves in the places of the old ones."""
    leaves = {move.name: move.new for move in moved}
    return space.replace(**{key: _moved(child, public(key), leaves) for key, child in space.fields().items()})


def _moved(value: Any, name: str, leaves: Mapping[str, Leaf]) -> Any:
    if isinstance(value, Choice):
        return Choice(*(_moved(option, f"{name}.{label(option)}", leaves) for option in value.options))
    if isinstance(value, Leaf):
        return leaves.get(name, value)
    children = {key: _moved(child, f"{name}.{public(key)}", leaves) for key, child in _children(value).items()}
    return value.replace(**children) if isinstance(value, Node) else children or value
