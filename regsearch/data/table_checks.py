"""Whether data are what a model of tables takes."""

from __future__ import annotations

from regsearch.data.columns import column_kinds
from regsearch.data.features import is_frame
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput


def check_table(problem: Problem, who: str) -> None:
    """Refuse images for a model of tables.

    Raises
    ------
    InvalidInput
        Saying how to make a table of them.
    """
    if problem.grid is not None:
        raise InvalidInput(
            f"{who} needs a table X [rows, columns], got rows of the shape {problem.grid}; "
            "flatten them: X.reshape(len(X), -1)."
        )


def check_columns(problem: Problem, who: str) -> None:
    """Refuse columns that are not encoded, such as text and dates, for a model that sees them as numbers.

    Raises
    ------
    InvalidInput
        Saying what to make of the first.
    """
    if is_frame(problem.X):
        column_kinds(problem.X, who)
