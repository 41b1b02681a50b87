"""Steps that make numbers of text and dates, in scikit-learn's pipelines: bundles have them, and readers trust them.

They learn nothing of rows but their words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer

from regsearch._types import Array
from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

DATE_PARTS = ("year", "month", "day", "day of week")


class TextOrNothing(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns of text, a missing one as the empty text, whatever a table has for missing ones."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> TextOrNothing:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same columns, as objects."""
        return X.astype(object).where(X.notna(), "").astype(str).astype(object)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        return input_features


class WordWeights(TfidfVectorizer):  # type: ignore[misc]
    """tf-idf of the words of one column of text, named ``column=word``; missing text has none."""

    def fit(self, raw_documents: pd.Series[Any], y: Any = None) -> WordWeights:
        """Learn the words of a Series."""
        self.column_ = str(raw_documents.name)
        super().fit(_documents(raw_documents), y)
        return self

    def fit_transform(self, raw_documents: pd.Series[Any], y: Any = None) -> Any:
        """Learn the words of a Series; their weights, CSR."""
        self.column_ = str(raw_documents.name)
        return super().fit_transform(_documents(raw_documents), y)

    def transform(self, raw_documents: pd.Series[Any]) -> Any:
        """The weights of the words of a Series, CSR."""
        return super().transform(_documents(raw_documents))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        return np.array([f"{self.column_}={word}" for word in super().get_feature_names_out()], dtype=object)


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Year, month, day, day of the week (Monday is 0) and hour of a column of dates, NaN where one is missing.

    Parameters
    ----------
    format
        That of dates as text, as `strptime` has it; `None` for dates.
    hours
        Whether there are times of the day.
    """

    def __init__(self, format: str | None = None, hours: bool = False) -> None:  # noqa: A002 - as pandas calls it
        self.format, self.hours = format, hours

    def fit(self, X: pd.DataFrame, y: Any = None) -> DateParts:
        """Take note of the column's name."""
        self.column_ = str(X.columns[0])
        return self

    def transform(self, X: pd.DataFrame) -> Array:
        """``[n, parts]``.

        Raises
        ------
        InvalidInput
            When a text is no such date.
        """
        dates = self._dates(X.iloc[:, 0])
        parts = [dates.dt.year, dates.dt.month, dates.dt.day, dates.dt.day_of_week, *([dates.dt.hour] * self.hours)]
        return np.column_stack([part.to_numpy(dtype=float, na_value=np.nan) for part in parts])

    def _dates(self, values: pd.Series[Any]) -> pd.Series[Any]:
        import pandas as pd

        if self.format is None:
            return self._typed(values)
        dates = pd.to_datetime(values.astype(object), format=self.format, errors="coerce")
        wrong = values[dates.isna() & values.notna()]
        if len(wrong):
            raise InvalidInput(
                f"The column {values.name!r} must hold dates as {self.format}, got {wrong.iloc[0]!r:.40}; write it so."
            )
        return dates

    def _typed(self, values: pd.Series[Any]) -> pd.Series[Any]:
        """Dates as they are; days of Python or Arrow, as databases give them, as pandas has them."""
        import pandas as pd

        if str(values.dtype).startswith(("datetime64", "timestamp")):
            return values
        known = values.dropna()
        if len(known) and pd.api.types.infer_dtype(known) not in ("date", "datetime", "datetime64"):
            raise InvalidInput(
                f"The column {values.name!r} must hold dates, got {known.iloc[0]!r:.40}; read it with pd.to_datetime."
            )
        return pd.to_datetime(values.astype(object).where(values.notna(), None))

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        parts = (*DATE_PARTS, *(["hour"] * self.hours))
        return np.array([f"{self.column_} {part}" for part in parts], dtype=object)


def level_name(column: Any, level: Any) -> str:
    """What the column of a level of a category is called."""
    return f"{column}={level}"


def _documents(text: pd.Series[Any]) -> list[str]:
    return [str(one) for one in text.astype(object).where(text.notna(), "")]
