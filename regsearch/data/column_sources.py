"""Which column of X each of those comes from that a fitted transformer of scikit-learn gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from regsearch.errors import FOREIGN

NOT_KNOWN = ""


def column_sources(transformer: Any, made: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """By column that is made, the name of the one of X that it comes from; empty where that is not known.

    A step of a `ColumnTransformer` for one column says it; of one for several, and of anything else, names are asked
    that begin as that of the column does, as scikit-learn's encoders write them: ``city_Rome``, ``city=Rome``.

    Parameters
    ----------
    made
        The names of what is made.
    columns
        Those of X.
    """
    first = transformer.steps[0][1] if hasattr(transformer, "steps") else transformer
    told = _of_steps(first, columns) if hasattr(first, "output_indices_") else {}
    return tuple(told.get(name) or _begins_as(name, columns) for name in made)


def of_every_part(sources: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Sources by name of what several fits made; none where they differ."""
    found: dict[str, str] = {}
    for each in sources:
        for name, source in each.items():
            found[name] = source if found.get(name, source) == source else NOT_KNOWN
    return found


def _of_steps(transformer: Any, columns: Sequence[str]) -> dict[str, str]:
    """What the steps of a fitted `ColumnTransformer` say."""
    try:
        names = [str(name) for name in transformer.get_feature_names_out()]
        places = transformer.output_indices_
        parts = [
            (places[label], _named(own, columns)) for label, _, own in transformer.transformers_ if label in places
        ]
    except FOREIGN:  # a step without names, or of columns in a form of its own
        return {}
    return {name: own[0] if len(own) == 1 else _begins_as(name, own) for part, own in parts for name in names[part]}


def _named(taken: Any, columns: Sequence[str]) -> list[str]:
    """The names of the columns that a step takes, in whatever way it says so."""
    if isinstance(taken, str):
        return [taken]
    if all(isinstance(one, str) for one in np.ravel(taken)):
        return [str(one) for one in taken]
    return [columns[place] for place in np.atleast_1d(np.arange(len(columns))[taken])]


def _begins_as(name: str, columns: Sequence[str]) -> str:
    """The longest name of a column that another begins with, behind that of its step if it has one."""
    texts = (name, name.partition("__")[2])
    found = [one for one in columns for text in texts if text == one or _goes_on(text, one)]
    return max(found, key=len, default=NOT_KNOWN)


def _goes_on(text: str, column: str) -> bool:
    rest = text.removeprefix(column)
    return bool(column) and rest != text and not rest[:1].isalnum()
