"""Spaces and configs as plain data and as TOML, both ways: the form that is stored, hashed, reviewed and exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from regsearch.documents import parse_toml
from regsearch.errors import InvalidInput, RegsearchError
from regsearch.numeric import is_own, is_whole, plain
from regsearch.space.fields import public_name
from regsearch.space.naming import identity
from regsearch.space.registry import kind
from regsearch.space.tree import WRITTEN, Choice, Node

# by the id of a user's object: the object, which keeps the id its own, and its identity when it was first asked for
Identities: TypeAlias = dict[int, tuple[Any, str]]
_kept: ContextVar[Identities | None] = ContextVar("kept", default=None)


@contextmanager
def identities_kept(kept: Identities) -> Iterator[None]:
    """While it lasts, a user's object counts as what it was when `kept` first had it, whatever a fit changes in it."""
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)


def _identity(value: Any) -> str:
    kept = _kept.get()
    if kept is None:
        return identity(value)
    if id(value) not in kept:
        kept[id(value)] = value, identity(value)
    return kept[id(value)][1]


def to_data(value: Any) -> Any:
    """A tree as dicts, lists and scalars; each node carries its `type`.

    What is neither (an estimator in `Estimator`) becomes its identity: enough to compare and to read, not to rebuild.
    The data of a node are made once and are not to be changed.
    """
    return written(value).data if isinstance(value, Node) else _data(value, [])


@dataclass(frozen=True)
class Written:
    """A node as plain data."""

    data: Any

    @cached_property
    def digest(self) -> str:
        return _digest(self.data)


def written(node: Node) -> Written:
    """A node as plain data, made once: nodes do not change; a user's object that one holds may."""
    found = vars(node).get(WRITTEN)
    if found is None:
        opaque: list[Any] = []
        found = Written(_data(node, opaque))
        if not opaque:
            object.__setattr__(node, WRITTEN, found)
    return found


def _data(value: Any, opaque: list[Any]) -> Any:
    """A tree as plain data; what is neither node nor data is added to `opaque`."""
    value = plain(value)
    if is_own(value):
        return value
    if isinstance(value, Choice):
        start = {"start": value.start} if value.start else {}
        names = {"names": [*value.names]} if value.names else {}
        return {"type": value.tag(), "options": _data(value.options, opaque), **start, **names}
    if isinstance(value, Node):
        fields = {public_name(name): child for name, child in value.fields().items() if child is not None}
        return {"type": value.tag(), **_data(fields, opaque)}
    if isinstance(value, Mapping):
        return {str(key): _data(child, opaque) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_data(child, opaque) for child in value]
    opaque.append(value)
    return _identity(value)


def from_data(data: Any) -> Any:
    """The tree that plain data stands for; every node checks its own fields.

    Raises
    ------
    InvalidInput
        When a node's fields are not those of its type.
    NotFound
        When a type is not known.
    """
    if not isinstance(data, Mapping):
        return data
    if "type" not in data:
        return {key: from_data(child) for key, child in data.items()}
    cls = kind(str(data["type"]))
    fields = {key: from_data(child) for key, child in data.items() if key != "type"}
    if cls is Choice:
        options = fields.get("options", [])
        if not isinstance(options, list):
            raise InvalidInput(f"The options of a Choice must be a list, got {options!r}; write [{options!r}].")
        made = [None if option == {} else from_data(option) for option in options]
        names = fields.get("names", [])
        if names and not (isinstance(names, list) and len(names) == len(made) and all(map(_may_name, names))):
            raise InvalidInput(f"The names of a Choice of {len(made)} options must be as many, got {names!r}.")
        return Choice.of(made, names, _start(made, fields.get("start", 0)))
    names = cls.arguments()
    unknown = sorted(set(fields) - set(names))
    if unknown:
        raise InvalidInput(f"{cls.__name__} has the fields {', '.join(names)}, got {unknown[0]!r}; remove it.")
    try:
        return cls(**{names[key]: child for key, child in fields.items()})
    except RegsearchError:
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        raise InvalidInput(f"{cls.__name__} cannot be made from {dict(data)!r}: {error}.") from error


def tags_in(data: Any) -> Iterator[str]:
    """The types that plain data name, of all nodes in it."""
    if isinstance(data, Mapping):
        yield from (str(data[key]) for key in ("type",) if key in data)
    inside = data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ()
    for child in inside:
        yield from tags_in(child)


def _start(options: list[Any], place: Any) -> int:
    """The place of the option that a choice starts from; without options, that is refused elsewhere."""
    if options and not (is_whole(place) and 0 <= place < len(options)):
        raise InvalidInput(f"A Choice of {len(options)} options must start from one, counted from 0, got {place!r}.")
    return int(place) if options else 0


def _may_name(name: Any) -> bool:
    """Whether an option can be called so; one without a name of its own has an empty one."""
    return isinstance(name, str) and (not name or (name.isidentifier() and name != "start"))


def to_toml(value: Any) -> str:
    """A tree or plain data as TOML."""
    import tomli_w

    return tomli_w.dumps(without_none(to_data(value)))


def from_toml(text: str) -> Any:
    """The tree that a TOML text stands for.

    Raises
    ------
    InvalidInput
        When the text is not TOML.
    """
    return from_data(parse_toml(text, "The text"))


def digest(value: Any) -> str:
    """16 hex digits that change with anything in a tree."""
    return written(value).digest if isinstance(value, Node) else _digest(_data(value, []))


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def without_none(data: Any) -> Any:
    """TOML has no null: a key without a value is left out, an option that is none is an empty table."""
    if isinstance(data, dict):
        return {key: without_none(child) for key, child in data.items() if child is not None}
    if isinstance(data, list):
        return [{} if child is None else without_none(child) for child in data]
    return data
