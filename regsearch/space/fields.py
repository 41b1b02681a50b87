"""The fields of a class of nodes: found once for each, as a search makes nodes, and looks into them, all the time."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from regsearch.space.suggests import Domain


def public_name(name: str) -> str:
    """The name that users, files and logs see: ``lambda_`` is ``lambda``; a key that is no text is its text."""
    return str(name).rstrip("_")


@cache
def field_names(cls: type[Any]) -> tuple[str, ...]:
    """The names of a dataclass's fields, in their order."""
    return tuple(field.name for field in dataclasses.fields(cls))


@cache
def checked_fields(cls: type[Any]) -> tuple[tuple[str, Domain, str, Any], ...]:
    """Name, domain, the beginning of what is said of an error, and neutral value of each field that has a domain."""
    fields = [field for field in dataclasses.fields(cls) if field.metadata.get("domain") is not None]
    return tuple(
        (one.name, one.metadata["domain"], f"{cls.__name__}({public_name(one.name)}=...)", one.metadata["off"])
        for one in fields
    )
