"""What the columns of a DataFrame are: numbers, booleans, categories, text or dates, and which of them are encoded."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

Kind: TypeAlias = Literal["numeric", "boolean", "category", "text", "date"]
ENCODED: tuple[Kind, ...] = ("numeric", "boolean", "category")  # what linear models and nets take
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:.*)?")  # as files have dates
LOOKED_AT = 20  # entries of a column of text that are compared with that
NUMBER = re.compile(r"[-+.0-9einf]+")  # as Python writes one ...
WHOLE = re.compile(r"-?[0-9]+")  # ... that is whole, and has another text than the same of floats
CLOSED: dict[str, Literal["left", "right", "both", "neither"]] = {
    "[)": "left", "(]": "right", "[]": "both", "()": "neither",
}  # fmt: skip
PARTS = (
    "a date is taken in parts, X[{0!r}].dt.month or .dt.dayofweek, or as days since the first, "
    "(X[{0!r}] - X[{0!r}].min()).dt.days"
)
ZONES = "read its dates, which are of several time zones, with pd.to_datetime(X[{0!r}], utc=True)"
READ = "read its dates with pd.to_datetime(X[{0!r}]); " + PARTS


# what pandas infers of values, and what kind of values that is; anything else is a kind of its own
FAMILIES = {
    "floating": "numbers", "integer": "numbers", "mixed-integer-float": "numbers", "decimal": "numbers",
    "integer-na": "numbers", "string": "text", "boolean": "booleans", "empty": "nothing",
    "datetime64": "dates", "datetime": "dates", "timedelta64": "timedeltas", "timedelta": "timedeltas",
}  # fmt: skip
OF_CATEGORIES = {"decimal": "decimals"}  # which binary numbers of a language are not equal to
DATES = ("date", "datetime")  # of Python, as pandas calls them
PLAIN = ("numbers", "text", "booleans", "nothing")
OBJECTS = ("dates", "interval", "decimals", "timedeltas")  # of which a text tells what it was


def family(values: pd.Series[Any]) -> str:
    """What kind of values a Series holds, or those of its categories: text, numbers, dates, nothing but missing."""
    import pandas as pd

    if values.isna().all():
        return "nothing"
    category = hasattr(values, "cat")
    levels = values.cat.categories if category else values.dropna()
    found = pd.api.types.infer_dtype(levels)
    if found.startswith("mixed"):  # dates of Python and of numpy are dates
        found = pd.api.types.infer_dtype([canonical(level) for level in levels])
    return OF_CATEGORIES[found] if category and found in OF_CATEGORIES else FAMILIES.get(found, found)


def is_plain(values: pd.Series[Any]) -> bool:
    """Whether a Series holds what any file and any language has, and no objects such as intervals."""
    return family(values) in PLAIN


def text_of(value: Any) -> str:
    """The text of a category, the same for equal values: a decimal without the zeros that end it."""
    value = canonical(value)
    if not isinstance(value, decimal.Decimal):
        return str(value)
    digits = max(1, len(value.as_tuple().digits))  # no digit is lost
    return str(value.normalize(decimal.Context(digits, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)))


def canonical(value: Any) -> Any:
    """A date, or a length of time, of Python or numpy as pandas' own; anything else as it is."""
    import pandas as pd

    if isinstance(value, (datetime.datetime, np.datetime64)):
        return pd.Timestamp(value)
    return pd.Timedelta(value) if isinstance(value, (datetime.timedelta, np.timedelta64)) else value


def objects_of(texts: Sequence[str], what: str) -> list[Any]:
    """Dates, intervals, decimals and lengths of time of their texts; what is of another kind stays text.

    Parameters
    ----------
    what
        The kind of values, as `family` calls it.

    Raises
    ------
    ValueError
        When a text is none of them.
    """
    import pandas as pd

    made: dict[str, Callable[[str], Any]] = {
        "dates": pd.Timestamp, "interval": _interval, "decimals": _decimal, "timedeltas": pd.Timedelta,
    }  # fmt: skip
    return list(map(made.get(what, str), texts))


def _decimal(text: str) -> decimal.Decimal:
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation as error:
        raise ValueError(f"a decimal is written as 1.50, not {text!r}") from error


def _interval(text: str) -> Any:
    import pandas as pd

    left, right = text[1:-1].split(", ")
    if text[0] + text[-1] not in CLOSED:
        raise ValueError(f"an interval is written as (0, 1], not {text!r}")
    return pd.Interval(_end(left), _end(right), closed=CLOSED[text[0] + text[-1]])


def _end(text: str) -> Any:
    """An end of an interval, of which the text is the same again."""
    import pandas as pd

    if WHOLE.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text):
        return float(text)
    return pd.Timedelta(text) if "days" in text else pd.Timestamp(text)


def with_own_types(X: pd.DataFrame) -> pd.DataFrame:
    """A DataFrame whose columns of booleans, or of dates, with missing values or without, have a type of their own.

    Files and databases give them as objects.
    """
    import pandas as pd

    made: dict[int, Any] = {}
    for place, dtype in enumerate(X.dtypes):
        if dtype.kind == "O":
            values = X.iloc[:, place]
            held = pd.api.types.infer_dtype(values, skipna=True)
            if held in ("boolean", *DATES):
                made[place] = values.astype("boolean") if held == "boolean" else as_dates(values)
    X = X.copy(deep=False) if made else X
    for place, values in made.items():
        X.isetitem(place, values)
    return X


def as_dates(values: pd.Series[Any]) -> pd.Series[Any]:
    """Dates of Python as pandas has them; those of several time zones, which have no type, stay objects."""
    import pandas as pd

    try:
        return pd.to_datetime(values)
    except (ValueError, TypeError):
        return values


def kinds_of(X: pd.DataFrame) -> dict[Any, Kind]:
    """The kind of each column.

    Raises
    ------
    InvalidInput
        When a column is of none.
    """
    found = {name: _kind(dtype, X, name) for name, dtype in X.dtypes.items()}
    other = [name for name, kind in found.items() if kind is None]
    if other:
        raise InvalidInput(
            f"Columns of X must be numbers, booleans, categories, text or dates, got {_among(X, other)}; "
            f"{_hint(X[other[0]])}."
        )
    return {name: kind for name, kind in found.items() if kind is not None}


def column_kinds(X: pd.DataFrame, who: str = "linear models and nets") -> tuple[list[Any], list[Any], list[Any]]:
    """The (numeric, boolean, categorical) columns of a DataFrame to encode.

    Parameters
    ----------
    who
        Takes these kinds alone, for the error.

    Raises
    ------
    InvalidInput
        When a column is none of them.
    """
    kinds = kinds_of(X)
    other = [name for name, kind in kinds.items() if kind not in ENCODED]
    if other:
        also = "; or have a transformer encode it inside each fold, which gets it as it is: prepare="
        raise InvalidInput(
            f"Columns of X must be numeric, boolean or categorical for {who}, got {_among(X, other)}; "
            f"{_hint(X[other[0]])}{also}."
        )
    numeric, boolean, category = ([name for name, kind in kinds.items() if kind == one] for one in ENCODED)
    return numeric, boolean, category


def _kind(dtype: Any, X: pd.DataFrame, name: Any) -> Kind | None:
    import pandas as pd

    types = pd.api.types
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if types.is_object_dtype(dtype):
        return "text" if types.infer_dtype(X[name], skipna=True) in ("string", "empty") else None
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_numeric_dtype(dtype):
        return None if types.is_complex_dtype(dtype) else "numeric"
    if types.is_datetime64_any_dtype(dtype):
        return "date"
    return "text" if types.is_string_dtype(dtype) else None


def _among(X: pd.DataFrame, names: list[Any]) -> str:
    return f"{len(names)} of another type, the first being {names[0]!r} ({X[names[0]].dtype})"


def _hint(column: pd.Series[Any]) -> str:
    """What to do about a column that cannot be encoded."""
    import pandas as pd

    what = pd.api.types.infer_dtype(column, skipna=True)
    hints = {
        "datetime64": PARTS, "datetime": ZONES, "date": READ, "period": "convert it: X[{0!r}].dt.to_timestamp()",
        "timedelta64": "convert it: X[{0!r}].dt.total_seconds()", "complex": "convert it to X[{0!r}].real and .imag",
        "boolean": "convert it: X[{0!r}].astype('boolean')", "bytes": "decode it: X[{0!r}].str.decode('utf-8')",
        "time": "convert it: pd.to_timedelta(X[{0!r}].astype(str)).dt.total_seconds()",
        **dict.fromkeys(("string", "empty"), "convert it, for example X[{0!r}].astype('category')"),
        **dict.fromkeys(("mixed", "mixed-integer"), "convert it, for example X[{0!r}].astype(str).astype('category')"),
        **{one: "convert it: X[{0!r}].astype(float)" for one, kind in FAMILIES.items() if kind == "numbers"},
    }  # fmt: skip
    if what == "string" and all(map(DATE.fullmatch, column.dropna().astype(str).head(LOOKED_AT))):
        what = "date"
    return hints.get(what, "convert it, or drop it").format(column.name)
