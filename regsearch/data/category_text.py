"""Categories that are intervals, dates or other objects as text, so that what is fitted to them is plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator, TransformerMixin

from regsearch.data.columns import is_plain, text_of

if TYPE_CHECKING:
    import pandas as pd


class CategoriesToText(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn the values of columns into their text, but for text, numbers and booleans; it learns nothing."""

    def fit(self, X: Any, y: Any = None) -> CategoriesToText:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The same columns; text stays text, so that rows may have either."""
        return X.assign(**{name: _text(X[name]) for name in X.columns if not is_plain(X[name])})

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        return input_features


def _text(column: pd.Series[Any]) -> Any:
    if hasattr(column, "cat"):
        return column.cat.rename_categories([text_of(level) for level in column.cat.categories])
    return column.map(text_of, na_action="ignore")
