"""A CSV file as the rows of a bundle and what they are to predict."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from regsearch.errors import InvalidInput, NotFound, warn
from regsearch.export.bundle.column import Column
from regsearch.export.bundle.schema import Form, listed
from regsearch.inputs import place


def read_table(
    file: str | os.PathLike[str], target: str | None, form: Form, weights: str | None = None
) -> tuple[Any, Any, Any]:
    """Rows of the types that a model was trained on, the target, and what the rows weigh; `None` without weights.

    Columns that a DataFrame's model was not trained on are ignored, with a warning.

    Parameters
    ----------
    file
        A CSV file with a header. Columns of a DataFrame's model may be in any order, those of an array's are taken in
        theirs.
    target
        The column to predict; several are separated by commas. `None` for those that training predicted.
    weights
        The column that says what rows weigh.

    Raises
    ------
    NotFound
        When there is no file.
    InvalidInput
        When it is no CSV file, or lacks columns.
    """
    import pandas as pd

    if not place(file, "A data file").is_file():
        raise NotFound(f"There is no data file {os.fspath(file)!r}; give the path of a CSV file.")
    text = {str(column.name): str for column in form.columns if column.said == "text"}
    try:
        table = pd.read_csv(file, dtype=text)
    except (ValueError, UnicodeDecodeError) as error:  # every error of pandas' parser is one
        raise InvalidInput(f"{file} must be a CSV file with a header: {error}") from error
    for column in form.columns:
        if column.kind == "date" and column.name in table.columns:
            table[column.name] = _dates(table[column.name], column, file)
    targets = _targets(target, form, table.columns, file)
    others = [*targets, *([] if weights is None else [weights])]
    absent = [name for name in others if name not in table.columns]
    if absent:
        raise InvalidInput(f"{file} has no column {absent[0]!r}; it has {', '.join(map(str, table.columns))}.")
    if weights in targets:
        raise InvalidInput(
            f"A column is to be predicted, or says what rows weigh, got {weights!r} for both; name another."
        )
    y, X = table[targets], table.drop(columns=others)
    return _rows(X, form), y.iloc[:, 0] if len(targets) == 1 else y, None if weights is None else table[weights]


def _targets(target: str | None, form: Form, names: Any, file: str | os.PathLike[str]) -> list[str]:
    if target is not None:
        return [target] if target in names else target.split(",")
    if not set(form.targets) <= set(names):
        raise InvalidInput(
            f"Data need a column to predict, got no --target, and {file} has no column {listed(form.targets)}; name it."
        )
    return [*form.targets]


def _dates(values: Any, column: Column, file: str | os.PathLike[str]) -> Any:
    try:
        return column.read_dates(values)
    except ValueError as error:
        raise InvalidInput(f"The column {values.name!r} of {file} must hold dates: {error}") from error


def _rows(X: Any, form: Form) -> Any:
    if form.rows == "frame":
        named = [str(name) for name in form.names]
        form_of_file = replace(form, columns=tuple(replace(one, name=str(one.name)) for one in form.columns))
        X, others = form_of_file.without_others(X)
        if others:  # a raw file has more than the study took
            which = f"{listed(others)}; --weights names one that weighs rows"
            warn(f"Columns that training did not have are ignored: {which}.")
        X = form_of_file.checked(X)
        X = X.assign(**{name: _typed(column, X[name]) for name, column in zip(named, form.columns, strict=True)})
        X.columns = form.names
        return X
    numbers = X.to_numpy()
    if len(form.shape) > 1:
        return form.checked(numbers.reshape(len(X), *form.shape).astype(form.dtype))
    numbers = form.checked(numbers).astype(form.dtype if form.dtype[0] == "f" else numbers.dtype)
    if form.rows == "sparse":
        from scipy import sparse

        return sparse.csr_array(numbers)
    return numbers


def _typed(column: Column, values: Any) -> Any:
    """A column of a file as it was in training; categories that are new come behind those that were there."""
    import pandas as pd

    if column.kind != "category":
        whole = column.dtype[0] in "iu" and values.isna().any()
        return (
            values
            if whole
            else values.astype("boolean" if values.isna().any() and column.dtype == "bool" else column.dtype)
        )
    if column.said != column.values:
        return values  # of objects that texts stand for
    found = set(values.dropna().unique())
    return pd.Categorical(
        values.astype(object), categories=[*column.categories, *sorted(found - set(column.categories))]
    )
