"""What the parameters of a study are called, and a config as one flat row under those names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from regsearch.numeric import is_own
from regsearch.space.config import to_data
from regsearch.space.fields import public_name
from regsearch.space.path import Path
from regsearch.space.tree import NAMES, Choice, Leaf, Node

Keys: TypeAlias = tuple[str, ...]  # of a value in a config, from its root; options of a choice have no key of their own


@dataclass(frozen=True)
class ParameterNames:
    """The column of each parameter that a config of a study may have: made once, the same in every trial.

    A parameter is called by its last key where no other of the study ends in it, else by all of its keys:
    ``l1_ratio``, but ``penalty.lambda`` and ``activity_penalty.lambda``. Optuna knows a leaf under the same name, and
    only where several leaves stand in one column, such as those of two options, by the whole way to each:
    ``penalty.elastic_net.l1_ratio``.

    Attributes
    ----------
    names
        By the parameter's keys.
    offs
        By family (an empty one, where a space is of one) and name, the value at which a parameter of it has no effect,
        where there is one: what a row shows of a config that does not have the parameter.
    leaves
        By the dotted way to a leaf, in which the label of an option follows its choice: what Optuna calls it.
    family
        The column that says which family a config is of; empty where a space is of one.
    columns
        By the way to a leaf, the column in which it is shown.
    """

    names: Mapping[Keys, str]
    offs: Mapping[str, Mapping[str, Any]]
    leaves: Mapping[str, str]
    family: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, space: Node, *others: Node) -> ParameterNames:
        """The names for a space, and for configs that are compared with its own, such as a reference."""
        families = dict(getattr(space, space.chosen).labelled) if space.chosen else {"": space}
        known: list[Keys] = [(space.chosen,)] if space.chosen else []
        known += (keys for one in (*families.values(), *others) for keys, _ in _parameters(one, (), None))
        found = dict.fromkeys(known)
        count = Counter(keys[-1] for keys in found)
        names = {keys: keys[-1] if _stands_alone(keys[-1], count) else ".".join(keys) for keys in found}
        columns = {way: names[keys] for way, keys in _leaves(space, "", ())}
        offs = {
            name: {names[keys]: off for keys, off in _parameters(family, (), None) if off is not None}
            for name, family in families.items()
        }
        return cls(names, offs, _leaf_names(columns), space.chosen, columns)

    def flat(self, config: Node) -> dict[str, Any]:
        """The values of a config by name; a node counts as its kind, or as its `main` field."""
        return {self.names.get(keys) or ".".join(keys): value for keys, value in _values(config, ())}

    def row(self, config: Node, family: str = "") -> dict[str, Any]:
        """A config as plain data by name, without an unfilled path, and with the neutral value of what it lacks."""
        row = {self.family: family} if self.family else {}
        row |= {name: to_data(value) for name, value in self.flat(config).items() if not isinstance(value, Path)}
        return row | {name: off for name, off in self.offs[family].items() if row.get(name) is None}

    def lacking(self, config: Node, family: str = "") -> tuple[str, ...]:
        """The names in a row of a config that are of parameters which it does not have, as of another penalty: their
        values are neutral, or follow from what it has, as the L1 ratio of ridge does.
        """
        own = self.flat(config)
        follow = (self.names.get(keys) or ".".join(keys) for keys in _following(config, ()))
        return (*(name for name in self.offs[family] if name not in own), *follow)

    def off(self, config: Node, family: str = "") -> tuple[str, ...]:
        """Those of them that say of a whole part of a config that it is off, such as its dropout."""
        whole = {name for keys, name in self.names.items() if len(keys) == 1}
        return tuple(name for name in self.lacking(config, family) if name in whole)

    def shown(self, config: Node, family: str = "") -> dict[str, Any]:
        """A row of a config without what it lacks, but for what is off."""
        hidden = {*self.lacking(config, family)} - {*self.off(config, family)}
        return {name: value for name, value in self.row(config, family).items() if name not in hidden}


def _stands_alone(key: str, count: Mapping[str, int]) -> bool:
    """Whether a key says by itself which parameter is meant: not that of a class, of those that weigh, by number."""
    return count[key] == 1 and not key.isdigit()


def parameter_names(space: Node) -> ParameterNames:
    """What the parameters of every trial of a study of a space are called, its reference included; made once."""
    found: ParameterNames | None = vars(space).get(NAMES)
    if found is None:
        found = ParameterNames.of(space, *space.beside())
        object.__setattr__(space, NAMES, found)
    return found


def flat(config: Node) -> dict[str, Any]:
    """A config that stands for itself as one flat row: names are short where they are alone in it."""
    return ParameterNames.of(config).flat(config)


def way_to(way: str, key: str) -> str:
    """The dotted way to what a field, a key or an option holds."""
    return f"{way}.{public_name(key)}" if way else public_name(key)


def _leaves(value: Any, way: str, keys: Keys, below: Keys | None = None) -> Iterator[tuple[str, Keys]]:
    """The way to every leaf that a trial draws, and the keys of the column that it is shown in.

    Parameters
    ----------
    below
        The keys that those of a choice's options begin with; by default the choice's own.
    """
    if isinstance(value, Leaf):
        if not isinstance(value, Path):
            yield way, keys
        for option, inside in value.labelled:
            yield from _leaves(inside, f"{way}.{option}", keys if below is None else below)
        return
    for name, child in _inside(value).items():
        if _has_fields(value) and name == value.chosen:
            yield from _leaves(child, way_to(way, name), (*keys, name), keys)
            continue
        main = bool(keys) and _has_fields(value) and name == value.main
        merged = main or (_has_fields(value) and name in value.merged)
        yield from _leaves(child, way_to(way, name), keys if merged else (*keys, public_name(name)))


def _inside(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Node):
        return value.fields()
    return {str(key): child for key, child in value.items()} if isinstance(value, Mapping) else {}


def _leaf_names(columns: Mapping[str, str]) -> dict[str, str]:
    """By the way to each leaf: its column where that is its alone, else the way."""
    count = Counter(columns.values())
    found = {way: column if count[column] == 1 else way for way, column in columns.items()}
    return found if len(set(found.values())) == len(found) else {way: way for way in columns}


def _parameters(value: Any, keys: Keys, off: Any) -> Iterator[tuple[Keys, Any]]:
    """Keys of every parameter that a config of a space may have, and the value at which its field is off, if any."""
    if isinstance(value, Choice):
        for option in value.options:
            yield from _parameters(option, keys, off)
        return
    if keys and not isinstance(value, Mapping):
        yield keys, off
    offs = {public_name(name): found for name, found in value.offs().items()} if _has_fields(value) else {}
    for key, child in _children(value, keys).items():
        yield from _parameters(child, (*keys, key), offs.get(key))
    for name in value.derived if _has_fields(value) else ():
        yield (*keys, public_name(name)), None


def _values(value: Any, keys: Keys) -> Iterator[tuple[Keys, Any]]:
    """Keys and value of every parameter of a filled tree; a node counts as one, then its fields do."""
    if is_own(value):
        yield keys, value
        return
    if keys and not isinstance(value, Mapping):
        main = value.main if _has_fields(value) else ""
        yield keys, getattr(value, main) if main else value.kind if _has_fields(value) else value
    for key, child in _children(value, keys).items():
        yield from _values(child, (*keys, key))
    for name in value.derived if _has_fields(value) else ():
        yield (*keys, public_name(name)), getattr(value, name)


def _following(value: Any, keys: Keys) -> Iterator[Keys]:
    """Keys of what a row shows of a filled tree that is no field of it."""
    if is_own(value):
        return
    for key, child in _children(value, keys).items():
        yield from _following(child, (*keys, key))
    for name in value.derived if _has_fields(value) else ():
        yield (*keys, public_name(name))


def _has_fields(value: Any) -> bool:
    return isinstance(value, Node) and not isinstance(value, Leaf)


def _children(value: Any, keys: Keys) -> Mapping[str, Any]:
    """What a row shows inside of a value; the field that stands for a whole node below the root is shown already."""
    if isinstance(value, Mapping):
        return {public_name(str(key)): child for key, child in value.items()}
    shown = value.shown_fields() if _has_fields(value) else {}
    return {public_name(key): child for key, child in shown.items() if not keys or key != value.main}
