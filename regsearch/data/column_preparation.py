"""A table with text and dates as numbers: scikit-learn's `ColumnTransformer` of what its columns are taken for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regsearch.data.column_roles import FEW_LEVELS, RARE, WORD, WORDS, ColumnRole, Role, column_roles
from regsearch.data.encoding import one_hot, selector, zero_one
from regsearch.data.frames import to_pandas
from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd


def column_transformer(X: Any, roles: Mapping[Any, Role] | None = None) -> Any:
    """An unfitted transformer of a table's columns to numbers, as studies of text and dates have it by default.

    Words of a column become tf-idf weights, dates their year, month, day, day of the week and hour, text of few words a
    column for each level, levels of few rows together. It is fitted inside each fold.

    Parameters
    ----------
    X
        A DataFrame, of whose values only the kinds of columns are kept.
    roles
        What columns are taken for, by name, where that is to be something else: ``number``, ``boolean``, ``category``,
        ``words``, ``date`` or ``drop``.

    Returns
    -------
    sklearn.compose.ColumnTransformer
        For `prepare=` of `Linear`, `Net` and `Estimator`.

    Raises
    ------
    InvalidInput
        When a column cannot be what is said.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"day": ["2026-01-31", "2026-02-01"], "town": ["Rome", "Bern"]})
    >>> column_transformer(X, {"town": "drop"}).fit(X).get_feature_names_out().tolist()
    ['day year', 'day month', 'day day', 'day day of week']
    """
    X = to_pandas(X)
    found = column_roles(X, roles)
    thin = any(one.role == "words" for one in found)
    return transformer_of(X, found, thin, thin)


def transformer_of(X: pd.DataFrame, roles: tuple[ColumnRole, ...], thin: bool, filled: bool) -> Any:
    """An unfitted transformer of columns that are taken for what roles say.

    Parameters
    ----------
    thin
        Whether what it gives is sparse; else it is an array.
    filled
        Whether it fills missing numbers by means, and does not leave them to who comes behind it.

    Raises
    ------
    InvalidInput
        When it would drop all columns.
    """
    from sklearn.compose import make_column_transformer

    form = _Form(thin, filled)
    parts = [part for make in _PARTS for part in make(X, roles, form)]
    if not parts:
        raise InvalidInput(
            f"A column of X must not be dropped, got {'; '.join(map(str, roles))}; give one another role."
        )
    return make_column_transformer(*parts, sparse_threshold=float(thin), verbose_feature_names_out=False)


@dataclass(frozen=True)
class _Form:
    """What is made: sparse or not, with missing numbers filled or not."""

    thin: bool
    filled: bool

    def of(self, step: Any) -> Any:
        """A step whose missing numbers are filled by means, if they shall be."""
        if not self.filled:
            return step
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        impute = SimpleImputer(keep_empty_features=True)
        return impute if isinstance(step, str) else make_pipeline(step, impute)


def _numbers(X: pd.DataFrame, roles: tuple[ColumnRole, ...], form: _Form) -> list[Any]:
    """Numbers as they are; who comes behind may fill missing ones, which are NaN whatever a type of pandas has."""
    from sklearn.preprocessing import StandardScaler

    names = [one.name for one in roles if one.role == "number"]
    # without any scaling: it reads those types, and what a step that passes columns on would refuse of rows to predict
    floats = StandardScaler(with_mean=False, with_std=False)
    return [(form.of("passthrough") if form.filled else floats, selector(X, names))] if names else []


def _booleans(X: pd.DataFrame, roles: tuple[ColumnRole, ...], form: _Form) -> list[Any]:
    names = [one.name for one in roles if one.role == "boolean"]
    return [(form.of(zero_one(len(names))), selector(X, names))] if names else []


def _categories(X: pd.DataFrame, roles: tuple[ColumnRole, ...], form: _Form) -> list[Any]:
    """Categories as models of tables without text have them."""
    names = [one.name for one in roles if one.role == "category" and one.kind == "category"]
    return [(one_hot([X[name] for name in names]), selector(X, names))] if names else []


def _levels(X: pd.DataFrame, roles: tuple[ColumnRole, ...], form: _Form) -> list[Any]:
    """Text that is categories; a level that a fold has not seen is one of the rare ones, where there are some."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from regsearch.data.column_steps import TextOrNothing, level_name

    made = []
    for few in (True, False):
        some = [one for one in roles if one.role == "category" and one.kind == "text"]
        names = [one.name for one in some if (one.levels <= FEW_LEVELS) == few]
        encoder = OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=None if few else RARE, sparse_output=form.thin,
            feature_name_combiner=level_name,
        )  # fmt: skip
        made += [(make_pipeline(TextOrNothing(), encoder), selector(X, names))] if names else []
    return made


def _dates(X: pd.DataFrame, roles: tuple[ColumnRole, ...], form: _Form) -> list[Any]:
    from regsearch.data.column_steps import DateParts

    found = [one for one in roles if one.role == "date"]
    return [(form.of(DateParts(one.format or None, one.hours)), selector(X, [one.name])) for one in found]


def _words(X: pd.DataFrame, roles: tuple[ColumnRole, ...], form: _Form) -> list[Any]:
    from regsearch.data.column_steps import WordWeights

    found = [one for one in roles if one.role == "words"]
    made = WordWeights(sublinear_tf=True, max_features=WORDS, token_pattern=WORD)
    return [(made, selector(X, [one.name])[0]) for one in found]


_PARTS: tuple[Callable[[pd.DataFrame, tuple[ColumnRole, ...], _Form], list[Any]], ...] = (
    _numbers, _booleans, _categories, _levels, _dates, _words,
)  # fmt: skip
