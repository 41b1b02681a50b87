"""A stored config as a point of another space: what Optuna would have drawn to get it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.space.config import digest, to_data
from regsearch.space.fields import public_name
from regsearch.space.params import parameter_names, way_to
from regsearch.space.path import Path
from regsearch.space.tree import Choice, Float, Int, Leaf, Node

EMPTY: Mapping[str, Any] = MappingProxyType({})


def params_for(space: Node, data: Any, value: float | None, source: str) -> dict[str, Any]:
    """Optuna parameters under which a space gives a config.

    Parameters
    ----------
    space
        The space to search.
    data
        The config as plain data, its path unfilled.
    value
        The chosen point of its path, for a space that samples what the config walked along.
    source
        What the config is called in an error.

    Raises
    ------
    InvalidInput
        Naming everything of the config that the space does not have.
    """
    params, misfits = _placed(space, data, _Placing(value, as_given=False))
    if misfits:
        raise InvalidInput(
            f"A config to try first must lie in the space, that of {source} does not: {'; '.join(misfits)}. "
            "Widen the space, or leave the config out."
        )
    return params


def placed(space: Node, data: Any, value: float | None) -> tuple[dict[str, Any], list[str]]:
    """The same, and what of the config the space does not have, a phrase each; numbers stay whole where they are."""
    return _placed(space, data, _Placing(value, as_given=True))


def _placed(space: Node, data: Any, placing: _Placing) -> tuple[dict[str, Any], list[str]]:
    placing.walk(space, data, "")
    names = parameter_names(space).leaves
    return {names[way]: found for way, found in placing.params.items()}, placing.misfits


class _Placing:
    """What was found so far on the way down a space and a config."""

    def __init__(self, value: float | None, as_given: bool) -> None:
        self.value, self.as_given = value, as_given
        self.params: dict[str, Any] = {}
        self.misfits: list[str] = []

    def walk(self, space: Any, data: Any, name: str, empty: Any = None) -> None:
        """Go down a space and a config; `empty` is what the node above keeps of a field that is none."""
        if isinstance(space, Path):
            return
        if isinstance(space, Choice):
            self._choose(space, data, name, empty)
        elif isinstance(space, Leaf):
            self._number(space, data, name)
        elif isinstance(space, Node):
            self._node(space, data, name)
        elif isinstance(space, Mapping):
            self._inside(space, data, name, {})
        elif to_data(space) != data and digest(space) != digest(data):  # no NaN is equal to another
            self._misfit(name, data, to_data(space))

    def _node(self, space: Node, data: Any, name: str) -> None:
        fields = space.fields()
        if space.chosen:
            self.walk(fields[space.chosen], data, way_to(name, space.chosen))
            return
        searched = [
            key
            for key, child in fields.items()
            if isinstance(child, Choice) and any(one is None for one in child.options)
        ]
        empty = {public_name(key): space.replace(**{key: None}).fields().get(key) for key in searched}
        own = {public_name(key): child for key, child in fields.items()}
        self._inside(own, data, name, {"type": space.tag()}, empty)

    def _choose(self, space: Choice, data: Any, name: str, empty: Any) -> None:
        tried = [
            self._option(empty if option is None else option, data, name, label)
            for option, label in zip(space.options, space.labels, strict=True)
        ]
        both, own = list(zip(space.options, tried, strict=True)), digest(data)
        fits = [placing for placing in tried if not placing.misfits]
        same = [placing for option, placing in both if digest(option) == own]
        ranges = [placing for option, placing in both if isinstance(option, Float | Int) and not placing.misfits]
        equal = [placing for option, placing in both if to_data(option) == data]  # a whole number to a real one
        alike = [placing for option, placing in both if self._alike(option, data)]
        if not fits and not alike:
            self._misfit(name, data, " or ".join(map(str, space.labels)))
            return
        # any number lies on a path, an option that is the number says more
        found = [*same, *ranges, *equal, *fits, *alike][0]
        self.params |= found.params
        self.misfits += found.misfits

    def _option(self, option: Any, data: Any, name: str, label: Any) -> _Placing:
        """What was found on the way down one option."""
        placing = _Placing(self.value, self.as_given)
        placing.params[name] = label
        placing.walk(option, data, f"{name}.{label}")
        return placing

    @staticmethod
    def _alike(option: Any, data: Any) -> bool:
        """Whether an option is of the kind of a config that it does not hold: what is to be said of that one."""
        if not isinstance(option, Node) or isinstance(option, Leaf):
            return isinstance(option, Leaf)
        return isinstance(data, Mapping) and data.get("type") == option.tag()

    def _number(self, space: Leaf, data: Any, name: str) -> None:
        assert isinstance(space, Float | Int), "a Path and a Choice are leaves of other ways"
        number = self.value if isinstance(data, Mapping) and data.get("type") == Path.tag() else data
        kind = (int, float) if isinstance(space, Float) else int
        if isinstance(number, bool) or not isinstance(number, kind) or not space.low <= number <= space.high:
            self._misfit(name, number, f"{space.low:g} to {space.high:g}")
            return
        self.params[name] = number if self.as_given or isinstance(space, Int) else float(number)

    def _inside(
        self, space: Mapping[str, Any], data: Any, name: str, tag: Mapping[str, Any], empty: Mapping[str, Any] = EMPTY
    ) -> None:
        given = dict(data) if isinstance(data, Mapping) else {}
        if tag and given.pop("type", None) != tag["type"]:  # one of a plain dict is a key like any other
            self._misfit(name or "kind", data, tag["type"])
            return
        for key, child in space.items():
            self.walk(child, given.pop(str(key), None), way_to(name, key), empty.get(key))
        for key, other in given.items():
            self._misfit(f"{name}.{key}" if name else key, other, None)

    def _misfit(self, name: str, data: Any, wanted: Any) -> None:
        said = data.get("type", dict(data)) if isinstance(data, Mapping) else data
        self.misfits.append(f"{name} is {said}, the space has {wanted}")
