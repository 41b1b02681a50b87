"""Dataframes and series of any library as pandas': polars, pyarrow, modin, whatever narwhals knows or speaks Arrow.

Names, categories in their order, missing values, text and dates stay what they are. Columns of numbers are not copied
where their library lends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.errors import InvalidInput, warn

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import pandas as pd

ARROW = ("__arrow_c_stream__", "__arrow_c_array__", "__dataframe__")  # how else a library hands over its columns


def to_pandas(data: Any) -> Any:
    """A dataframe or a series of any library as pandas has it; what is neither, as it is.

    Whole numbers with missing values become floats, as pandas reads them from files; booleans with missing values
    become pandas' ``boolean``; a column of missing values alone is one of numbers. A categorical column of polars has
    the categories that occur in it, sorted; an Enum and a dictionary of Arrow keep theirs.

    Raises
    ------
    InvalidInput
        When a frame is lazy, has a name twice, a dictionary of Arrow whose values are no single ones, or needs pyarrow,
        which is missing.
    """
    if data is None or isinstance(data, (np.ndarray, Sequence)) or hasattr(data, "tocsr"):
        return data
    if _is_pandas(data):
        return _without_arrow_types(data)
    import narwhals.stable.v2 as nw

    try:
        found = nw.from_native(data, pass_through=True, allow_series=True)
        if found is data and any(hasattr(data, name) for name in ARROW):
            found = nw.from_native(_arrow(data), allow_series=True)
        if isinstance(found, nw.DataFrame):
            return _frame(found)
    except nw.exceptions.DuplicateError as error:
        raise InvalidInput(f"Column names must be unique, {' '.join(str(error).split())}; rename one.") from error
    if isinstance(found, nw.LazyFrame):
        raise InvalidInput(
            f"A dataframe must be in memory, got a lazy {type(data).__name__} of {found.implementation}; collect it "
            "first, for example X.collect() of polars."
        )
    return _series(found) if isinstance(found, nw.Series) else found


def index_of(data: Any) -> Any:
    """The labels of the rows of data as pandas has them; `None` where rows have none."""
    found = getattr(data, "index", None)
    return None if found is None or callable(found) else found


def paired(
    X: Any, y: Any = None, *, groups: Any = None, sample_weight: Any = None, score_weight: Any = None, of: str = ""
) -> tuple[Any, Any, Any, Any, Any]:
    """X and what belongs to its rows, as pandas has them, each in the order of the rows of X.

    Rows are paired by their place. Where both X and another have an index of pandas, the two must be equal; labels that
    are the same in another order, and no mere row numbers, pair the rows, and a warning says so.

    Parameters
    ----------
    of
        Said behind the names in messages, such as `` of the test set``.

    Raises
    ------
    InvalidInput
        When two indexes differ, naming both.
    """
    index = index_of(X)
    others = {"y": y, "groups": groups, "sample_weight": sample_weight, "score_weight": score_weight}
    y, groups, sample_weight, score_weight = (_in_order(index, other, name, of) for name, other in others.items())
    return to_pandas(X), y, groups, sample_weight, score_weight


def _in_order(index: Any, other: Any, name: str, of: str) -> Any:
    """What belongs to rows with an index, as pandas has it."""
    labels, other = index_of(other), to_pandas(other)
    if index is None or labels is None or len(index) != len(labels) or index.equals(labels):
        return other  # other lengths are refused with the shapes
    permuted = index.is_unique and labels.is_unique and bool(index.isin(labels).all())
    if not permuted or _numbers_rows(index) or _numbers_rows(labels):
        where, there = (_shown(one) for one in (index, labels))
        raise InvalidInput(
            f"X and {name}{of} must have the same index, got {where} and {there}; if their rows are in the same order, "
            f"pass {name}.to_numpy(), if the labels say which belong together, {name}.loc[X.index]."
        )
    warn(
        f"The indexes of X and {name}{of} have the same labels in another order: rows are paired by label. Pass "
        f"{name}.to_numpy() to pair them by place."
    )
    return other.loc[index]


def _numbers_rows(index: pd.Index) -> bool:
    """Whether an index is that of a frame which was given none: it says nothing of where rows come from."""
    return bool(index.nlevels == 1 and index.dtype.kind in "iu" and (index == np.arange(len(index))).all())


def _shown(index: pd.Index) -> str:
    first = ", ".join(repr(label) for label in index[:3].tolist())
    return f"[{first}, ...]" if len(index) > 3 else f"[{first}]"


def _is_pandas(data: Any) -> bool:
    import pandas as pd

    return isinstance(data, (pd.DataFrame, pd.Series, pd.Index, pd.api.extensions.ExtensionArray))


def _without_arrow_types(data: Any) -> Any:
    """Data of pandas in which dictionaries of Arrow are categories, and its days without a time are dates."""
    import pandas as pd

    if not isinstance(data, pd.DataFrame):
        return _from_arrow(data) if _is_from_arrow(data.dtype) else data
    places = [place for place, dtype in enumerate(data.dtypes) if _is_from_arrow(dtype)]
    if places:
        data = data.copy(deep=False)
    for place in places:
        data.isetitem(place, _from_arrow(data.iloc[:, place]).array)
    return data


def _is_from_arrow(dtype: Any) -> bool:
    import pandas as pd

    return isinstance(dtype, pd.ArrowDtype) and str(dtype).startswith(("dictionary", "date"))


def _from_arrow(values: Any) -> pd.Series[Any]:
    """A Series, or what one is made of, of such a type."""
    if str(values.dtype).startswith("dictionary"):
        return _from_dictionary(values)
    import pandas as pd

    return pd.Series(values, copy=False).astype("datetime64[s]")


def _from_dictionary(values: Any) -> pd.Series[Any]:
    """A Series, or what one is made of, whose values are a dictionary of Arrow."""
    import pandas as pd
    import pyarrow as pa

    name = getattr(values, "name", None)
    found = _of_dictionary(pa.chunked_array([pa.array(values)]), name)
    return pd.Series(found.array, index=index_of(values), name=name, copy=False)


def _of_dictionary(column: Any, name: Any) -> pd.Series[Any]:
    """A dictionary of Arrow as categories; of values that it holds twice, one."""
    import pyarrow as pa

    values = column.type.value_type
    if pa.types.is_nested(values):
        raise InvalidInput(
            f"Categories of a column must be single values, {name!r} has those of Arrow's type {values}; make a "
            "column of each part."
        )
    try:
        found: pd.Series[Any] = column.to_pandas()
    except ValueError:  # pandas has each category once
        found = column.cast(values).dictionary_encode().to_pandas()
    return found


def _arrow(data: Any) -> Any:
    """A table or a column of pyarrow's, of an object that speaks one of Arrow's interchange protocols."""
    try:
        import pyarrow as pa
        from pyarrow.interchange import from_dataframe
    except ImportError as error:
        raise InvalidInput(
            f"A {type(data).__name__} is read by pyarrow, which is missing; pip install pyarrow, or pass a DataFrame "
            "of pandas or polars."
        ) from error
    stream, array, _ = (hasattr(data, name) for name in ARROW)
    if not stream and not array:
        return from_dataframe(data)
    if not stream:
        return pa.chunked_array([pa.array(data)])
    try:
        return pa.table(data)
    except (pa.ArrowInvalid, TypeError):  # a stream of one column, not of rows
        return pa.chunked_array(data)


def _frame(frame: nw.DataFrame[Any]) -> Any:
    if frame.implementation.is_pandas_like():
        return frame.to_pandas()
    import pandas as pd

    columns = {name: _values(frame[name]) for name in frame.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), columns=pd.Index(frame.columns), copy=False)


def _series(series: nw.Series[Any]) -> Any:
    if series.implementation.is_pandas_like():
        return series.to_pandas()
    import pandas as pd

    return pd.Series(_values(series), name=series.name or None, copy=False)


def _values(series: nw.Series[Any]) -> Any:
    """What pandas makes a column of."""
    import narwhals.stable.v2 as nw
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, (nw.Categorical, nw.Enum)):
        return _category(series)
    if dtype.is_numeric():
        exotic = isinstance(dtype, (nw.Decimal, nw.Int128, nw.UInt128))  # of which numpy has no numbers
        return (series.cast(nw.Float64) if exotic else series).to_numpy()
    if dtype.is_temporal() and not isinstance(dtype, nw.Time):
        zone = dtype.time_zone if isinstance(dtype, nw.Datetime) else None
        found: Any = pd.Series(series.to_numpy(), copy=False)
        return found.dt.tz_localize("UTC").dt.tz_convert(zone) if zone else found
    holes = series.null_count()
    if isinstance(dtype, nw.Boolean):
        return pd.array(series.to_list(), dtype="boolean") if holes else series.to_numpy()
    return pd.Series(series.to_list()) if holes < len(series) else np.full(holes, np.nan)


def _category(series: nw.Series[Any]) -> Any:
    import narwhals.stable.v2 as nw
    import pandas as pd

    if series.implementation.is_pyarrow():
        return _of_dictionary(series.to_native(), series.name)
    values, dtype = series.to_list(), series.dtype
    known = dtype.categories if isinstance(dtype, nw.Enum) else None
    levels = sorted({value for value in values if value is not None}) if known is None else known
    return pd.Categorical(values, categories=pd.Index(levels, dtype=None if levels else object))
