"""A few rows and what the model says of them: whoever loads a bundle can see that it does what it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch.data.features import is_sparse
from regsearch.data.problem import Problem
from regsearch.export.bundle.column import plain
from regsearch.export.bundle.schema import Form

ROWS = 5
NUMBERS = 20_000  # an example of larger rows has fewer of them
APART = 7919  # a prime: columns of one row come from rows far apart


def example_of(problem: Problem, form: Form) -> list[Any]:
    """A few rows as JSON has them: lists, or objects by column name.

    Every column of a table is taken from another row of the data, so that no row is anyone's; rows that
    are no lists stay whole.
    """
    rows = max(1, min(ROWS, problem.rows, NUMBERS // problem.columns))
    places = np.arange(rows) * (problem.rows // rows)
    if len(form.shape) > 1:
        return nested(problem.X[places])
    across = (places[:, None] + APART * np.arange(problem.columns)) % problem.rows
    if form.rows == "frame":
        columns = [problem.X.iloc[across[:, j], j].tolist() for j in range(problem.columns)]
        known = [set(column.categories) if column.kind == "category" else None for column in form.columns]
        return [
            {str(column.name): _said(values[i], among)
             for column, values, among in zip(form.columns, columns, known, strict=True)}
            for i in range(rows)
        ]  # fmt: skip
    found = problem.X[across, np.arange(problem.columns)]
    return nested(np.asarray(found.toarray() if is_sparse(found) else found))


def rows_of(rows: Sequence[Any], form: Form) -> Any:
    """The rows of an example, of the types that they had in training."""
    if form.rows == "frame":
        import pandas as pd

        columns = [column.made([row[str(column.name)] for row in rows]) for column in form.columns]
        frame = pd.concat(columns, axis=1)
        frame.columns = pd.Index(form.names)
        return frame
    filled = np.array(rows, dtype=float if form.dtype[0] == "f" else form.dtype).astype(form.dtype)
    if form.rows == "sparse":
        from scipy import sparse

        return sparse.csr_array(filled)
    return filled


def predictions(model: Any, X: Any) -> dict[str, Any]:
    """What a model says of rows, as plain data: ``predict``, and ``predict_proba`` where it has that.

    Of targets with tasks of their own, each of these by target: ``predict NAME``.
    """
    methods = [name for name in ("predict", "predict_proba") if name == "predict" or hasattr(model, name)]
    said: dict[str, Any] = {}
    for name in methods:
        found = getattr(model, name)(X)
        if hasattr(found, "items"):  # a DataFrame, or a dict
            said |= {f"{name} {target}": nested(np.asarray(values)) for target, values in found.items()}
        else:
            said[name] = nested(np.asarray(found))
    return said


def nested(values: NDArray[Any]) -> list[Any]:
    """An array as lists of what JSON has."""
    if values.ndim == 1:
        return [plain(value) for value in values.tolist()]
    return [nested(part) for part in values]


def difference(stored: Mapping[str, Any], found: Mapping[str, Any]) -> float:
    """The largest difference of two predictions, relative to the size of the stored ones; infinite for other labels."""
    if set(stored) != set(found):
        return float("inf")
    worst = 0.0
    for name, expected in stored.items():
        a, b = np.array(expected), np.array(found[name])
        if a.shape != b.shape or (a.dtype.kind not in "fiu" and (a != b).any()):
            return float("inf")
        if a.dtype.kind in "fiu":
            worst = max(worst, float(np.abs(a - b).max() / max(float(np.abs(a).max()), 1e-300)))
    return worst


def _said(value: Any, among: set[Any] | None) -> Any:
    """A value of a column; a category that JSON cannot say is missing."""
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    found = plain(value)
    return found if among is None or found in among else None
