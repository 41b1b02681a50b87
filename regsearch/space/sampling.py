"""The search space: a production config with distributions at its leaves.

A *space* is a tree of frozen dataclasses (`Node`). Wherever a plain value may stand, a `Leaf` may stand
instead: `Float`, `Int`, `Choice`, or `Path` (the axis that one trial walks as a whole). Filling every
distribution gives the *config*: the same tree, the same classes.

================  ===============================================================
`sample`          distributions drawn by an Optuna trial
`fill`            distributions replaced by stored parameters
`default`         distributions at their usual values
`random_params`   parameters of a config drawn at random
`size`            the number of configs, `None` when not finite; those that two options have count twice
`distinct`        the number of different ones
================  ===============================================================

`regsearch.space.starts` has the configs that a search begins with, `regsearch.space.params` the config as one flat row
of a table, under short names.

A parameter has the name of its column in a table of trials; where two options of a `Choice` have leaves of one name, it
is the dotted way to the leaf, of which the label of the option is part (``penalty.elastic_net.l1_ratio``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import said
from regsearch.numeric import is_own
from regsearch.space.config import digest
from regsearch.space.levels import Levels
from regsearch.space.params import parameter_names, way_to
from regsearch.space.path import Path
from regsearch.space.suggests import Suggests
from regsearch.space.tree import Choice, Int, Leaf, Node

if TYPE_CHECKING:
    import numpy as np

NodeT = TypeVar("NodeT", bound=Node)
Draw: TypeAlias = Callable[[Leaf, str, Levels | None], Any]


def _walk(value: Any, way: str, draw: Draw, said: Levels | None = None) -> Any:
    """`value` with every leaf below it drawn.

    `draw` is given a leaf, the way to it, and what the field that holds it says of its values.
    """
    if is_own(value):
        return value
    if isinstance(value, Choice):
        option = draw(value, way, said)
        return _walk(option, f"{way}.{value.label_of(option)}", draw, said)
    if isinstance(value, Leaf):
        return draw(value, way, said)
    if isinstance(value, Node):
        return _walk_fields(value, way, draw)
    if isinstance(value, Mapping):
        return {key: _walk(child, way_to(way, key), draw) for key, child in value.items()}
    return value


def _walk_fields(node: Node, way: str, draw: Draw) -> Any:
    """A node with every leaf below it drawn, which is itself where there is none; or what it has chosen."""
    fields = node.fields()
    levels = node.field_levels() if any(isinstance(child, Leaf) for child in fields.values()) else {}
    found = {key: _walk(child, way_to(way, key), draw, levels.get(key)) for key, child in fields.items()}
    if node.chosen:
        return found[node.chosen]
    same = all(found[key] is child for key, child in fields.items())
    return node if same else node.replace(**found)


def drawn(space: NodeT, draw: Draw) -> NodeT:
    """A space with every leaf but paths drawn, by the ways to them."""
    found: NodeT = _walk(space, "", lambda leaf, way, said: leaf if isinstance(leaf, Path) else draw(leaf, way, said))
    return found


def _drawn(space: NodeT, draw: Callable[[Leaf, str], Any]) -> NodeT:
    """A space with every leaf but paths drawn, by the names of their parameters."""
    names = parameter_names(space).leaves
    return drawn(space, lambda leaf, way, _: draw(leaf, names[way]))


def sample(space: NodeT, trial: Suggests) -> NodeT:
    """The config that an Optuna trial suggests."""
    return _drawn(space, lambda leaf, name: leaf.draw(trial, name))


def fill(space: NodeT, params: Mapping[str, Any]) -> NodeT:
    """The config that stored Optuna parameters stand for.

    Raises
    ------
    NotFound
        When a parameter that the config needs is missing.
    """

    def stored(leaf: Leaf, name: str) -> Any:
        if name not in params:
            raise NotFound(f"The parameter {name!r} is not stored; known: {', '.join(sorted(params))}.")
        return leaf.stored(params[name])

    return _drawn(space, stored)


def default(space: NodeT) -> NodeT:
    """The config with every leaf at its usual value."""
    return drawn(space, lambda leaf, way, said: leaf.stored(leaf.levels(said).usual))


def random_params(space: Node, random: np.random.Generator) -> dict[str, Any]:
    """Optuna parameters of a config drawn at random, each leaf by its own distribution."""
    params: dict[str, Any] = {}

    def draw(leaf: Leaf, name: str) -> Any:
        params[name] = leaf.random(random)
        return leaf.stored(params[name])

    _drawn(space, draw)
    return params


def size(value: Any) -> int | None:
    """The number of distinct configs in a space, or `None` when there is no end of them."""
    if isinstance(value, Choice):
        counts = [size(option) for option in value.options]
        return None if None in counts else sum(count for count in counts if count is not None)
    if isinstance(value, Leaf):
        return value.count()
    if isinstance(value, Node):
        value = value.fields()
    if isinstance(value, Mapping):
        counts = [size(child) for child in value.values()]
        return None if None in counts else math.prod(count for count in counts if count is not None)
    return 1


def distinct(space: Node, most: int) -> int | None:
    """The number of configs of a space that differ; where it has more than `most`, or leaves of one's own, its size."""
    count, known = size(space), all(type(leaf) in (Int, Choice, Path) for leaf in leaves(space))
    return len(set(map(digest, _every(space)))) if known and count is not None and count <= most else count


def _every(value: Any) -> Iterator[Any]:
    """Every config of a finite space; one that two options have comes twice."""
    if isinstance(value, Choice):
        for option in value.options:
            yield from _every(option)
    elif isinstance(value, Int):
        yield from range(value.low, value.high + 1)
    elif isinstance(value, Node) and value.chosen:
        yield from _every(getattr(value, value.chosen))
    elif isinstance(value, Mapping) or (isinstance(value, Node) and not isinstance(value, Leaf)):
        fields = value.fields() if isinstance(value, Node) else value
        for found in itertools.product(*map(_every, fields.values())):
            config = dict(zip(fields, found, strict=True))
            yield value.replace(**config) if isinstance(value, Node) else config
    else:
        yield value


def leaves(space: Any) -> Sequence[Leaf]:
    """Every leaf of a space, those below the options of a choice included."""
    if isinstance(space, Choice):
        return [space, *(leaf for option in space.options for leaf in leaves(option))]
    if isinstance(space, Leaf):
        return [space]
    children = space.fields() if isinstance(space, Node) else space if isinstance(space, Mapping) else {}
    return [leaf for child in children.values() for leaf in leaves(child)]


def check_searched(space: Node) -> None:
    """Refuse a space without a leaf, or with one in a list, where none is drawn.

    Raises
    ------
    InvalidInput
        When there is nothing to search, or what cannot be.
    """
    for way, value in _lists(space, ""):
        if _has_leaf(value):
            raise InvalidInput(
                f"A leaf must stand for the whole value of a parameter, got {said(value)} for {way}; list such values: "
                "Choice((8, 8), (16, 8))."
            )
    if leaves(space):
        return
    listed = [(name, one) for name, one in getattr(space, "params", {}).items() if isinstance(one, list) and one]
    fix = "let a parameter be a Float, Int, Choice or Path"
    if listed:
        (name, options), *_ = listed
        fix = f"a list is one value of {name}: Choice({', '.join(map(repr, options[:5]))}) searches over several"
    raise InvalidInput(f"A space must have something to search, got no leaf; {fix}.")


def _lists(value: Any, way: str) -> Iterator[tuple[str, Any]]:
    """The lists in a space, which are values as a whole, and the ways to them."""
    if isinstance(value, Choice):
        for label, option in value.labelled:
            yield from _lists(option, f"{way}.{label}")
    elif isinstance(value, (list, tuple)):
        yield way, value
    elif isinstance(value, Node | Mapping):
        for key, child in (value.fields() if isinstance(value, Node) else value).items():
            yield from _lists(child, way_to(way, key))


def _has_leaf(value: Any) -> bool:
    return any(map(_has_leaf, value)) if isinstance(value, (list, tuple)) else isinstance(value, Leaf)
