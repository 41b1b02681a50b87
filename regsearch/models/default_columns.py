"""What a table's columns become in front of a model that does not take them, where nobody says it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Rows
from regsearch.data.column_preparation import transformer_of
from regsearch.data.column_roles import ColumnRole, column_roles, has_text_or_dates, said_of
from regsearch.data.columns import kinds_of
from regsearch.data.encoding import transformer
from regsearch.data.features import count_missing, is_frame, is_sparse
from regsearch.data.problem import Problem
from regsearch.errors import FOREIGN, InvalidInput
from regsearch.models.fitting import fitted_on
from regsearch.models.preparation import Prepare
from regsearch.space.config import to_data

COLUMNS = "columns"  # what the preparation is called in configs
FEW = 100  # rows that an estimator is tried on, spread over all ...
OF_EACH = 10  # ... beside the first of each class, and of those where a column has none


@dataclass(frozen=True)
class DefaultColumns:
    """The columns of a problem's table, and what numbers are made of them by default.

    Some models encode categories and fill missing numbers themselves: linear models, nets. To others a table is to be
    numbers without holes, or with them. Of an array those columns count that have holes.
    """

    problem: Problem

    @cached_property
    def roles(self) -> tuple[ColumnRole, ...]:
        X = self.problem.X
        if is_frame(X):
            return column_roles(X)
        names = self.problem.column_names
        return tuple(ColumnRole(names[j], "numeric", "number", holes=True) for j in np.flatnonzero(self._holes.any(0)))

    @property
    def known(self) -> bool:
        """Whether every column can be taken for something."""
        try:
            return bool(self.roles)
        except InvalidInput:
            return False

    @property
    def needed(self) -> bool:
        """Whether there are text or dates, which no model takes as they are."""
        return is_frame(self.problem.X) and has_text_or_dates(self.problem.X)

    @property
    def plain(self) -> bool:
        """Whether there are numbers and nothing but numbers, which every model takes as they are."""
        X = self.problem.X
        if is_frame(X):
            return set(kinds_of(X).values()) <= {"numeric", "boolean"} and not X.isna().any(axis=None)
        return is_sparse(X) or self.problem.grid is not None or not count_missing(X)

    @cached_property
    def encoding(self) -> Prepare:
        """For a model that encodes and fills the rest itself."""
        return self._made(self._has_words, self._has_words)

    def for_estimator(self, allows_holes: bool) -> Iterator[Prepare]:
        """For one of scikit-learn's, that takes missing numbers or not: sparse where there are words, then dense."""
        for thin in (True, False) if self._has_words else (False,):
            yield self._made(thin, not allows_holes)

    def taken_by(self, attempts: Iterable[Callable[[], Any]], method: str = "fit") -> bool:
        """Whether one of some unfitted estimators can be fitted to a few rows, and has a method then."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return any(hasattr(self._fitted(make), method) for make in attempts)

    @property
    def every(self) -> tuple[Prepare, ...]:
        """All that a model may get."""
        return self.encoding, *self.for_estimator(allows_holes=True), *self._filling

    def told(self, used: Iterable[Prepare]) -> str:
        """What is made of the columns by what models got, in a line."""
        filling = [*map(to_data, self._filling)]
        filled = any(to_data(one) in filling for one in used)
        holes = [str(role.name) for role in self.roles if role.role in ("number", "boolean") and role.holes]
        means = f"missing numbers of {', '.join(holes[:3])}{', …' * (len(holes) > 3)}: their means"
        said = "; ".join(filter(None, (said_of(self.roles), means * bool(filled and holes))))
        return f"Prepared inside each fold: {said}; prepare= changes that."

    @property
    def _filling(self) -> tuple[Prepare, ...]:
        return tuple(self.for_estimator(allows_holes=False))

    @property
    def _has_words(self) -> bool:
        return any(one.role == "words" for one in self.roles)

    @property
    def _holes(self) -> NDArray[np.bool_]:
        """``[n, p]``: where X has nothing."""
        X = self.problem.X
        return np.asarray(X.isna() if is_frame(X) else np.isnan(X))

    def _made(self, thin: bool, filled: bool) -> Prepare:
        X = self.problem.X
        made = transformer_of(X, self.roles, thin, filled) if is_frame(X) else transformer(X)
        return Prepare(made, name=COLUMNS)

    def _fitted(self, make: Callable[[], Any]) -> Any:
        """The estimator, fitted to a few rows; `None` where it cannot be."""
        try:
            return fitted_on(make(), self.problem, self._few)
        except FOREIGN:  # anyone's code
            return None

    @cached_property
    def _few(self) -> Rows:
        """A few rows, of which each class and the holes of each column are some."""
        problem = self.problem
        every = np.arange(problem.rows)
        found = [np.linspace(0, problem.rows - 1, min(FEW, problem.rows)).astype(int)]
        found += [np.flatnonzero(column)[:OF_EACH] for column in self._holes.T]
        labels = problem.fit_labels(every)
        found += [] if problem.classes is None else [np.flatnonzero(labels == one)[:OF_EACH] for one in problem.classes]
        return np.unique(np.concatenate(found))
