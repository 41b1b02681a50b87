"""JSON and TOML from files that anyone may have written: neither longer nor deeper than they may be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from regsearch.errors import InvalidInput

JSON_BYTES = 64 << 20  # a schema of a hundred thousand columns is a tenth of it
TOML_BYTES = 1 << 20
NUMBER = "float"  # the key of an object that stands for a number that JSON does not have, such as {"float": "inf"}
DEEPEST = 64  # levels of lists and tables: a config of a pipeline in a pipeline has ten
PARTS = 16  # of a dotted key: what a parser does with one grows with their square
_PART = r"(?:[\w-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_LONG_KEY = re.compile(rf"(?<![\w\"'-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{{PARTS}}}(?=[ \t.]*[=\]])")


def read_bounded(file: Path, most: int) -> bytes:
    """A file of at most so many bytes.

    Raises
    ------
    InvalidInput
        When it is larger, or cannot be read.
    """
    try:
        with file.open("rb") as opened:
            found = opened.read(most + 1)
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read ({error.strerror}); see who may read it.") from error
    if len(found) > most:
        raise InvalidInput(f"{file} must have at most {most >> 20} MiB, it has more; export it again.")
    return found


def parse_json(text: bytes | str, what: str) -> Any:
    """What a JSON text holds, which has only what JSON has: no NaN.

    Raises
    ------
    InvalidInput
        When it is none, or too deep.
    """
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is damaged, it must be JSON ({error}); export it again.") from error
    return _shallow(found, what)


def without_constants(value: Any) -> Any:
    """Plain data as JSON can hold them and `with_constants` gives them back: infinity and NaN are ``{"float": "inf"}``.

    A text alone would be taken for one: a parameter may be "nan", too.
    """
    if isinstance(value, Mapping):
        return {key: without_constants(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_constants(child) for child in value]
    return {NUMBER: str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def with_constants(value: Any) -> Any:
    """The plain data that `without_constants` was given."""
    if isinstance(value, Mapping):
        lone = value.get(NUMBER) if len(value) == 1 else None
        if lone in ("inf", "-inf", "nan"):
            return float(lone)
        return {key: with_constants(child) for key, child in value.items()}
    return [with_constants(child) for child in value] if isinstance(value, list) else value


def parse_toml(text: str, what: str) -> dict[str, Any]:
    """What a TOML text holds.

    Raises
    ------
    InvalidInput
        When it is none, too long or too deep.
    """
    import tomllib

    if len(text) > TOML_BYTES:
        raise InvalidInput(f"{what} must have at most {TOML_BYTES >> 20} MiB of TOML, got {len(text)} characters.")
    if _LONG_KEY.search(text):
        raise InvalidInput(f"{what} must have keys of at most {PARTS} parts, it has a longer one; write tables.")
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of TOML, and of numbers that are too long for Python
        raise InvalidInput(f"{what} must be TOML: {error}.") from error
    shallow: dict[str, Any] = _shallow(found, what)
    return shallow


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _shallow(document: Any, what: str) -> Any:
    """A document that is no deeper than it may be; looked through level by level, as it may be deeper than a stack."""
    level = [document]
    for _ in range(DEEPEST):
        level = [child for one in level if isinstance(one, (dict, list)) for child in _children(one)]
        if not level:
            return document
    raise InvalidInput(f"{what} must have at most {DEEPEST} levels of lists and tables, it has more; export it again.")


def _children(one: dict[str, Any] | list[Any]) -> list[Any]:
    return list(one.values()) if isinstance(one, dict) else one
