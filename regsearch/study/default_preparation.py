"""What a study makes of text and dates where nobody says it, and how a stored study comes by the same again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regsearch.data.column_roles import ColumnRole
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.default_columns import COLUMNS, DefaultColumns
from regsearch.models.preparation import Prepare
from regsearch.space.config import to_data
from regsearch.study.options import StudyOptions


@dataclass(frozen=True)
class PreparedByDefault:
    """What a study's columns are taken for, where nobody says it, and what is made of them, in a line; or neither."""

    roles: tuple[ColumnRole, ...] = ()
    line: str = ""


def prepared_for(options: StudyOptions, problem: Problem) -> tuple[StudyOptions, PreparedByDefault]:
    """The options of a study of a table, with a space whose models get numbers, and what was done for that.

    A model without a transformer that does not take the columns as they are gets one; it may have that one already.
    """
    columns = DefaultColumns(problem)
    if columns.plain:
        return options, PreparedByDefault()
    space = options.space.prepared_by(columns)
    data = to_data(space)
    used = [one for one in columns.every if _holds(data, to_data(one))] if unprepared(data) != data else []
    if not used:
        return options, PreparedByDefault()
    return dataclasses.replace(options, space=space), PreparedByDefault(columns.roles, columns.told(used))


def roles_data(roles: Sequence[ColumnRole]) -> list[dict[str, Any]]:
    """Roles as JSON has them."""
    found: list[dict[str, Any]] = json.loads(json.dumps([dataclasses.asdict(one) for one in roles], default=str))
    return found


def stored_roles(identity: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What a stored study's columns were taken for by default; nothing of one that is older than such defaults."""
    found: Sequence[Mapping[str, Any]] = identity.get("column_roles", ())
    return found


def unprepared(data: Any) -> Any:
    """The data of a space without what it has been prepared by by default: such data can be read back."""
    if isinstance(data, Mapping):
        return {key: None if _is_default(child) else unprepared(child) for key, child in data.items()}
    return [unprepared(child) for child in data] if isinstance(data, list) else data


def check_roles(stored: Mapping[str, Any], roles: Sequence[ColumnRole]) -> None:
    """Refuse a table whose columns are taken for other than those that a stored study was made with.

    Raises
    ------
    InvalidInput
        Naming the first such column, what it was and what it is.
    """
    old, new = ({one.name: one for one in found} for found in (_read(stored_roles(stored)), _read(roles_data(roles))))
    for name in [*old, *new]:
        was, is_now = old.get(name), new.get(name)
        if was != is_now:
            raise InvalidInput(
                f"Columns of X must be what they were when {stored['study']!r} was made, got {name!r}: then "
                f"{_of(was)}, now {_of(is_now)}; pass its data as they were read then, or space= with a prepare= of "
                "your own."
            )


def _is_default(data: Any) -> bool:
    return isinstance(data, Mapping) and data.get("type") == Prepare.tag() and data.get("name") == COLUMNS


def _holds(data: Any, part: Any) -> bool:
    """Whether data are a part or have it somewhere in them."""
    inside = data.values() if isinstance(data, Mapping) else data if isinstance(data, list) else ()
    return bool(data == part) or any(_holds(child, part) for child in inside)


def _read(data: Sequence[Mapping[str, Any]]) -> tuple[ColumnRole, ...]:
    known = ColumnRole.__dataclass_fields__
    return tuple(ColumnRole(**{key: value for key, value in one.items() if key in known}) for one in data)


def _of(role: ColumnRole | None) -> str:
    if role is None:
        return "no such column"
    said = str(role).removeprefix(f"{role.name}: ")
    return f"{'text, ' * (role.kind == 'text')}{said}{' with times of the day' * role.hours}"
