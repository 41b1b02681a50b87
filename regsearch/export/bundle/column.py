"""The form of one column of a table: its kind, its type, its categories, and the values that it admits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np

from regsearch.data.columns import OBJECTS, PLAIN, Kind, as_dates, canonical, family, objects_of, text_of
from regsearch.errors import InvalidInput

# of what a text stands for more than one way to write: types whose texts do as well
TEXT: Mapping[str, tuple[type, ...]] = {"dates": (str,), "timedeltas": (str,), "decimals": (str, int, float)}
# numpy's kinds of pandas' types
KINDS_OF_DTYPES = {"numeric": "fiub", "boolean": "b", "category": "O", "text": "OTU", "date": "Mm"}
ADMITTED = {"numeric": {"numbers", "booleans"}, "boolean": {"booleans"}}
ALSO = {"decimals": ("numbers",)}  # what stands for categories as well: 0.1 for Decimal("0.10")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    dtype
        pandas' name of its type.
    categories
        Of a category, in their order; those that JSON cannot say as text.
    values
        What its categories are, or it holds itself: ``text``, ``numbers``, ``booleans``, ``dates`` or what pandas calls
        them; empty for numbers and booleans.
    """

    name: str | int
    kind: Kind
    dtype: str
    categories: tuple[Any, ...] = ()
    values: str = ""

    @property
    def said(self) -> str:
        """What its values are in JSON: categories that it lacks, such as intervals, are their text."""
        return "text" if self.kind == "category" and self.values not in PLAIN else self.values

    def admitted(self, given: Any) -> Any:
        """A Series as the model takes it.

        Raises
        ------
        InvalidInput
            When it holds values of another type.
        """
        found = family(given)
        days = ("date",) if self.kind == "date" else ()
        own = {self.values, self.said, *ALSO.get(self.values, ()), *days}
        if found != "nothing" and found not in ADMITTED.get(self.kind, own):
            wanted = f"a category of {self.values}" if self.kind == "category" else self.kind
            raise InvalidInput(
                f"The column {self.name!r} must be {wanted} as in training, got {found} ({given.dtype}); convert it."
            )
        if self.kind == "numeric":
            return given.astype(float) if given.dtype.kind == "O" else given
        if self.kind == "boolean":
            return given.astype("boolean") if given.dtype.kind == "O" and found == "booleans" else given
        if self.kind == "date":
            return self._dates(given)
        if self.kind != "category":
            return given
        if self.objects and (found == "text" or self.values in OBJECTS):
            return self._of_training(given)
        return given if hasattr(given, "cat") else given.astype(object).astype("category")

    @cached_property
    def zone(self) -> Any:
        """The time zone of dates; `None` without one."""
        import pandas as pd

        return _zone(pd.api.types.pandas_dtype(self.dtype)) if self.kind == "date" else None

    def read_dates(self, texts: Any) -> Any:
        """The dates of texts of a file or a request, a Series.

        Raises
        ------
        ValueError
            When one is no date.
        """
        import pandas as pd

        try:
            return pd.to_datetime(texts)
        except ValueError:
            if self.zone is None:
                raise
            return pd.to_datetime(texts, utc=True)  # summer and winter of one zone have texts of two

    def _dates(self, given: Any) -> Any:
        """Dates in the time zone of training, whose parts are those of its clocks."""
        found = as_dates(given) if given.dtype.kind == "O" else given
        if found.dtype.kind == "O":
            raise InvalidInput(
                f"The column {self.name!r} must hold dates of one time zone, got several; "
                "convert it: pd.to_datetime(..., utc=True)."
            )
        zone = _zone(found.dtype)
        if str(zone) == str(self.zone):
            return found
        if found.isna().all():
            return found.dt.tz_localize(None).dt.tz_localize(self.zone)
        if zone is None or self.zone is None:
            wanted, got = (
                "without a time zone" if one is None else f"of the time zone {one}" for one in (self.zone, zone)
            )
            raise InvalidInput(
                f"The column {self.name!r} must hold dates {wanted} as in training, got them {got}; convert it with "
                ".dt.tz_localize."
            )
        return found.dt.tz_convert(self.zone)

    def _of_training(self, given: Any) -> Any:
        """The categories of training that values or their texts stand for, and those that it did not have behind them.

        pandas, left to guess, makes intervals of floats of those of whole numbers: equal ones, with another text.
        """
        import pandas as pd

        codes, values = pd.factorize(given.astype(object))
        values = [self._meant(value) for value in values]
        place = {key: j for j, pair in enumerate(self.objects.items()) for key in pair}
        levels = [*self.objects.values(), *dict.fromkeys(value for value in values if value not in place)]
        place |= {value: j for j, value in enumerate(levels)}
        found = np.array([*(place[value] for value in values), -1])[codes]
        return pd.Series(pd.Categorical.from_codes(found, pd.Index(levels)), index=given.index, name=given.name)

    def _meant(self, value: Any) -> Any:
        """The date, decimal or the like that a value of a category stands for; it may have another text."""
        if value in self.objects:
            return value
        if not isinstance(value, TEXT.get(self.values, ())):
            return canonical(value)
        try:
            return objects_of([str(value)], self.values)[0]
        except ValueError:  # a category that training did not have
            return value

    def strangers(self, given: Any) -> list[Any]:
        """What an admitted Series of a category has that training did not have."""
        values = given.array  # its parts are at hand, where a Series makes new ones: one row is to be quick
        found = np.unique(values.codes)
        return [value for value in values.categories[found[found >= 0]].tolist() if plain(value) not in self._known]

    @cached_property
    def objects(self) -> dict[str, Any]:
        """Of a category of dates or intervals, what its texts stand for."""
        if self.said == self.values:
            return {}
        return dict(zip(self.categories, objects_of(self.categories, self.values), strict=True))

    @cached_property
    def _known(self) -> frozenset[Any]:
        return frozenset(self.categories)

    def made(self, values: Sequence[Any]) -> Any:
        """A Series of plain values, of the type that the column had in training."""
        import pandas as pd

        if self.kind == "category":
            known = list(self.objects.values()) or self.categories
            return pd.Series(pd.Categorical([self.objects.get(one, one) for one in values], categories=pd.Index(known)))
        if self.kind == "date":
            return pd.Series(list(values), dtype=object).astype(pd.api.types.pandas_dtype(self.dtype))
        if self.kind == "boolean" and any(value is None for value in values):
            return pd.Series(list(values), dtype="boolean" if self.dtype == "bool" else self.dtype)
        missing = any(value is None for value in values) and self.dtype[0] in "iu"
        return pd.Series(list(values), dtype="float64" if missing else self.dtype)


def _zone(dtype: Any) -> Any:
    """The time zone of a type of dates, of pandas or of Arrow; `None` without one."""
    return getattr(dtype, "tz", None) or getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None)


def column_of(name: Any, kind: Kind, values: Any) -> Column:
    """The form of a column of training."""
    if kind == "category":
        levels = tuple(map(plain, values.cat.categories.tolist()))
        return Column(plain_name(name), kind, "category", levels, family(values))
    said = {"text": "text", "date": "dates"}.get(kind, "")
    return Column(plain_name(name), kind, str(values.dtype), (), said)


def plain(value: Any) -> Any:
    """A value as JSON has it: missing ones as null, others that it lacks as their text."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return bool(value) if isinstance(value, np.bool_) else text_of(value)


def plain_name(name: Any) -> str | int:
    """The name of a column as JSON has it."""
    found = plain(name)
    return found if isinstance(found, (str, int)) else str(name)


def distinct(values: Sequence[Any], least: int) -> bool:
    """Whether there are so many plain values at least, none twice."""
    plainly = all(isinstance(value, (bool, int, float, str)) for value in values)
    return plainly and len(values) >= least and len({(type(one), one) for one in values}) == len(values)


def column_faults(column: Column) -> Iterator[str]:
    from pandas.api.types import pandas_dtype

    if not isinstance(column.name, (str, int)) or isinstance(column.name, bool):
        yield f"a column is named by text or a number, not {column.name!r}"
    if column.kind not in get_args(Kind) or not isinstance(column.values, str):
        yield f"a column is {' or '.join(get_args(Kind))}, not {column.kind!r} of {column.values!r}"
    if pandas_dtype(column.dtype).kind not in (KINDS_OF_DTYPES[column.kind]):
        yield f"the column {column.name!r} cannot be {column.kind} and of the type {column.dtype!r}"
    if column.kind != "category" and (column.categories or (column.values and column.kind in ADMITTED)):
        yield f"the {column.kind} column {column.name!r} cannot have categories"
    if not distinct(column.categories, 0):
        yield f"the column {column.name!r} cannot have the categories {column.categories!r}"
