"""What is made of each column of a table with text and dates, where nobody says it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from regsearch.data.columns import ENCODED, Kind, kinds_of
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Role: TypeAlias = Literal["number", "boolean", "category", "words", "date", "drop"]
FEW_LEVELS = 20  # distinct texts up to which they are categories ...
MANY_WORDS = 3.0  # ... and words in one, on average, from which they are not
LOOKED_AT = 1000  # distinct texts
RARE = 5  # rows of a level of more than few below which it is one of the rare ones
WORD = r"(?u)\b\w+\b"  # of a text in small letters, as scikit-learn finds it
WORDS = 10_000  # of a column at most: the most frequent ones
# numbers as people write them: with a currency, thousands set apart, a decimal comma, per cent or a short unit behind
_AMOUNT = r"[-+]?(?:\d{1,3}(?:[,']\d{3})+|\d+)(?:[.,]\d+)?"
WRITTEN = re.compile(rf"\s*(?:[$€£¥]|[A-Z]{{3}}\s)?\s*{_AMOUNT}\s*(?:[%‰°$€£¥]|\s[A-Za-z]{{1,3}}[²³]?)?\s*")
COMMA = re.compile(r"[^.,]*,(?:\d{1,2}|\d{4,})\D*")  # one that is decimal, as it parts no thousands
MOST = 0.9  # of a column's texts
FORMATS = (  # of dates as text: the first one that all of a column have
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y",
    "%d.%m.%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
)  # fmt: skip
_USUAL: Mapping[Kind, Role] = {"numeric": "number", "boolean": "boolean", "category": "category", "date": "date"}


@dataclass(frozen=True)
class ColumnRole:
    """What a column is taken for.

    Attributes
    ----------
    kind
        What it is in the table.
    format
        Of dates as text; empty elsewhere.
    hours
        Whether its dates have times of the day.
    levels
        How many distinct texts there are, of text.
    swapped
        Whether all of its dates can be read with day and month swapped, too.
    rare
        Whether it is text of many levels of which each is a rare one.
    holes
        Whether it has missing entries.
    """

    name: Any
    kind: Kind
    role: Role
    format: str = ""
    hours: bool = False
    levels: int = 0
    swapped: bool = False
    rare: bool = False
    holes: bool = False

    def __str__(self) -> str:
        if self.role == "words":
            return f"{self.name}: words (tf-idf)"
        if self.role == "date":
            read = f", read as {self.format}" if self.format else ""
            return f"{self.name}: date in parts{read}{', though days and months could be swapped' * self.swapped}"
        if self.role == "category" and self.kind == "text":
            merged = f", {'all' if self.rare else 'those'} of under {RARE} rows{':' * self.rare} as one"
            count = f"{self.levels} categor{'y' if self.levels == 1 else 'ies'}"
            return f"{self.name}: {count}{merged if self.levels > FEW_LEVELS else ''}"
        if self.role == "drop" and self.rare:
            return f"{self.name}: dropped, each of its {self.levels} texts is in under {RARE} rows"
        return f"{self.name}: {self.role}"


def column_roles(X: Any, roles: Mapping[Any, Role] | None = None) -> tuple[ColumnRole, ...]:
    """What each column of a DataFrame is taken for: as it is said, else by its form, whatever y is.

    Text of which there are few, or of few words, is a category; text that is all dates is a date; other text is words.
    So is text of few words whose levels are all rare, if it has words that some of them share; else it is dropped.

    Raises
    ------
    InvalidInput
        When a column has no such kind, holds numbers as text, or a role is none.
    """
    given = dict(roles or {})
    for name, role in given.items():
        if name not in X.columns:
            raise InvalidInput(
                f"Roles are those of columns, got {name!r}; {did_you_mean(name, map(str, X.columns), 'name one of X.')}"
            )
        if role not in get_args(Role):
            raise InvalidInput(f"A column's role must be {', '.join(get_args(Role))}, got {role!r} for {name!r}.")
    found = [_role(X[name], kind, given.get(name)) for name, kind in kinds_of(X).items()]
    return tuple(replace(one, holes=bool(X[one.name].isna().any())) for one in found)


def has_text_or_dates(X: Any) -> bool:
    """Whether a DataFrame has columns that no model takes as they are."""
    return not all(kind in ENCODED for kind in kinds_of(X).values())


def said_of(roles: tuple[ColumnRole, ...]) -> str:
    """What is made of columns that are no numbers, in a line."""
    return "; ".join(str(one) for one in roles if one.kind not in ("numeric", "boolean"))


def _role(values: pd.Series[Any], kind: Kind, said: Role | None) -> ColumnRole:
    if kind == "text":
        found = _of_text(values)
        if said is None:
            _check_no_numbers(values, found)
        if said is None or said == found.role:
            return found
        if said in ("number", "boolean"):
            raise InvalidInput(
                f"The text column {values.name!r} must be category, words, date or drop, got {said!r}; convert it."
            )
        if said == "date":
            raise InvalidInput(
                f"The column {values.name!r} must hold dates of one known form; read it with pd.to_datetime."
            )
        return replace(found, role=said, format="", hours=False, swapped=False)
    usual = _USUAL[kind]
    if said not in (None, usual, "drop"):
        raise InvalidInput(f"The {kind} column {values.name!r} is a {usual} or dropped, got {said!r}; convert it.")
    hours = kind == "date" and bool((values.dropna() != values.dropna().dt.normalize()).any())
    return ColumnRole(values.name, kind, said or usual, hours=hours)


def _of_text(values: pd.Series[Any]) -> ColumnRole:
    texts = values.dropna().drop_duplicates().astype(object)
    levels = len(texts)
    formats = _formats(texts) if levels else []
    if formats:
        first = formats[0]
        return ColumnRole(values.name, "text", "date", first, "%H" in first, levels, len(formats) > 1)
    if levels <= FEW_LEVELS:
        return ColumnRole(values.name, "text", "category", levels=levels)
    some = [str(one) for one in texts.head(LOOKED_AT)]
    rare = bool(values.value_counts().iloc[0] < RARE)
    found: Role = "words" if sum(len(one.split()) for one in some) >= MANY_WORDS * len(some) else "category"
    if found == "category" and rare:  # one column that is the same throughout, as a category
        found = "words" if _share_words(some) else "drop"
    return ColumnRole(values.name, "text", found, levels=levels, rare=rare)


def _share_words(texts: Sequence[str]) -> bool:
    """Whether there is a word that enough of some distinct texts have, and enough have not."""
    counts = Counter(word for text in texts for word in set(re.findall(WORD, text.lower())))
    return any(RARE <= count <= len(texts) - RARE for count in counts.values())


def _check_no_numbers(values: pd.Series[Any], found: ColumnRole) -> None:
    """Refuse numbers that are text, as one that is none makes them; a few numbers that all are may be codes.

    Raises
    ------
    InvalidInput
        When most of the texts are numbers.
    """
    import pandas as pd

    texts = values.dropna().drop_duplicates().astype(object)
    numbers = pd.to_numeric(texts, errors="coerce").notna()
    others = texts[~numbers]
    if not numbers.mean() > 0.5:
        _check_not_written(values.name, [str(text) for text in texts])
        return
    if not (len(others) or found.rare):
        return
    first, name = (others if len(others) else texts).iloc[0], f"X[{values.name!r}]"
    fix = "make what is none missing, " if len(others) else "convert it, "
    raise InvalidInput(
        f"The column {values.name!r} must hold numbers or text, {int(numbers.sum())} of its {len(texts)} texts are "
        f"numbers and {'not all, got' if len(others) else 'hardly one repeats, such as'} {first!r:.40}; {fix}"
        f"{name} = pd.to_numeric({name}, errors='coerce'), or make a category of it, {name}.astype('category')."
    )


def _check_not_written(name: Any, texts: Sequence[str]) -> None:
    """Refuse many distinct numbers of which each has the same sign or unit beside it, or commas in it."""
    some = texts[:LOOKED_AT]
    found = [text for text in some if WRITTEN.fullmatch(text)]
    beside = Counter(re.sub(r"[-+\d.,'\s]", "", text) for text in found)
    if len(texts) <= FEW_LEVELS or max(beside.values(), default=0) < MOST * len(some):
        return
    column = f"X[{name!r}]"
    comma = any(map(COMMA.fullmatch, found))
    digits = f"{column}.str.replace({r'[^0-9,.+-]' if comma else r'[^0-9.+-]'!r}, '', regex=True)"
    read = f"{digits}.str.replace(',', '.')" if comma else digits
    raise InvalidInput(
        f"The column {name!r} must hold numbers or text, its texts are numbers as people write them, such as "
        f"{found[0]!r:.40}; convert it, {column} = pd.to_numeric({read}, errors='coerce'), or make a category of it, "
        f"{column}.astype('category')."
    )


def is_date_text(texts: pd.Series[Any]) -> bool:
    """Whether some distinct texts are all dates of one of the usual forms."""
    return bool(_formats(texts))


def _formats(texts: pd.Series[Any]) -> list[str]:
    """The formats in which all of some texts are dates; a few texts rule out most."""
    few = [one for one in FORMATS if _reads(texts.head(FEW_LEVELS), one)]
    return [one for one in few if _reads(texts, one)]


def _reads(texts: pd.Series[Any], form: str) -> bool:
    import pandas as pd

    return bool(pd.to_datetime(texts, format=form, errors="coerce").notna().all())
