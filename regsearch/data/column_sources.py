"""Which column of X each of those comes from that a fitted transformer of scikit-learn gives."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from regsearch.errors import FOREIGN

NOT_KNOWN = ""
Origins: TypeAlias = list[frozenset[str]]  # of each column, those of X that it is made of


def column_sources(transformer: Any, made: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """By column that is made, the name of the one of X that it comes from; empty where it comes of several, or of none.

    A step of a `ColumnTransformer` for one column says it. Of others it is asked what they would call columns of other
    names: in ``city_Rome`` or ``a b`` those are found again that it is made of. One that does not answer has names that
    begin as that of one column does, and hold no other's.

    Parameters
    ----------
    made
        The names of what is made.
    columns
        Those of X.
    """
    try:
        found = _origins(transformer, [frozenset({name}) for name in columns])
    except FOREIGN:  # a step without names, or of columns in a form of its own
        found = []
    if len(found) != len(made):
        return tuple(_begins_as(name, columns) for name in made)
    return tuple(next(iter(one)) if len(one) == 1 else NOT_KNOWN for one in found)


def of_every_part(sources: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Sources by name of what several fits made; none where they differ."""
    found: dict[str, str] = {}
    for each in sources:
        for name, source in each.items():
            found[name] = source if found.get(name, source) == source else NOT_KNOWN
    return found


def _origins(transformer: Any, taken: Origins) -> Origins:
    """What the columns that a fitted transformer gives are made of, by what those are made of that it takes."""
    if hasattr(transformer, "output_indices_"):
        return _of_parts(transformer, taken)
    if hasattr(transformer, "transformer_list"):
        return [one for _, part in transformer.transformer_list if part != "drop" for one in _origins(part, taken)]
    for _, step in getattr(transformer, "steps", ()):
        taken = taken if step in (None, "passthrough") else _origins(step, taken)
    return taken if hasattr(transformer, "steps") or transformer == "passthrough" else _of_names(transformer, taken)


def _of_parts(transformer: Any, taken: Origins) -> Origins:
    """Of a `ColumnTransformer`."""
    names = [str(name) for name in getattr(transformer, "feature_names_in_", ())]
    found: Origins = [frozenset()] * max(place.stop for place in transformer.output_indices_.values())
    for label, part, columns in transformer.transformers_:
        where = transformer.output_indices_.get(label, slice(0, 0))
        width, own = where.stop - where.start, [taken[place] for place in _places(columns, names, len(taken))]
        if width:
            alone = len(frozenset().union(*own)) == 1
            found[where] = own[:1] * width if alone else _origins(part, own)
    return found


def _places(columns: Any, names: Sequence[str], count: int) -> list[int]:
    """The places of the columns that a part takes, in whatever way it says so."""
    asked: Any = [columns] if isinstance(columns, str) else columns
    if not isinstance(asked, slice) and all(isinstance(one, str) for one in asked):
        return [names.index(one) for one in asked]
    return [int(place) for place in np.atleast_1d(np.arange(count)[asked])]


def _of_names(transformer: Any, taken: Origins) -> Origins:
    """Of one step, by what it would call columns whose names are marks."""
    free = copy.copy(transformer)
    vars(free).pop("feature_names_in_", None)  # which the names that it is asked with would have to be
    marks = [f"\N{LEFT ANGLE BRACKET}{j}\N{RIGHT ANGLE BRACKET}" for j in range(len(taken))]
    names = [str(name) for name in free.get_feature_names_out(np.array(marks, dtype=object))]
    found = [[taken[int(j)] for j in _MARK.findall(name)] for name in names]
    if not any(found):  # names of its own, which may yet be told by those of what it takes
        known = [next(iter(one)) for one in taken if len(one) == 1]
        return [frozenset(filter(None, [_begins_as(name, known)])) for name in names]
    return [frozenset().union(*one) for one in found]


_MARK = re.compile("\N{LEFT ANGLE BRACKET}([0-9]+)\N{RIGHT ANGLE BRACKET}")


def _begins_as(name: str, columns: Sequence[str]) -> str:
    """The longest name of a column that another begins with, behind that of its step if it has one, and no other's."""
    texts = (name, name.partition("__")[2])
    found = [(one, text) for one in columns for text in texts if text == one or _goes_on(text, one)]
    column, text = max(found, key=lambda one: len(one[0]), default=(NOT_KNOWN, ""))
    rest = text.removeprefix(column)
    return NOT_KNOWN if any(one and re.search(rf"\b{re.escape(one)}\b", rest) for one in columns) else column


def _goes_on(text: str, column: str) -> bool:
    rest = text.removeprefix(column)
    return bool(column) and rest != text and not rest[:1].isalnum()
