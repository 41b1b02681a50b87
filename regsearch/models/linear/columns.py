"""Factors and limits of a config, by the names of the columns of X, as the solvers read them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.models.linear.general import PenalisedColumns
from regsearch.space.tree import Choice

if TYPE_CHECKING:
    from regsearch.models.linear.design import Design, LinearConfig

FEW = 10  # names that an error lists


def columns_of(config: LinearConfig, problem: Problem, design: Design) -> PenalisedColumns:
    """What a filled config asks of each of the encoded columns; those of a category share what is asked of it."""
    features = problem.encoded_features
    factors, low, high = (np.full(problem.columns, fill) for fill in (1.0, -np.inf, np.inf))
    place = {name: j for j, name in enumerate(problem.column_names)}
    for name, factor in config.penalty_factors or ():
        factors[place[name]] = factor
    for name in config.unpenalized or ():
        factors[place[name]] = 0.0
    for name, *ends in config.limits or ():
        low[place[name]], high[place[name]] = (
            default if end is None else end for end, default in zip(ends, (-np.inf, np.inf), strict=True)
        )
    scales = design.scales(config.scale) if config.limits else np.ones((1, len(features)))
    return PenalisedColumns(
        features, factors[features], _scaled(low[features], scales), _scaled(high[features], scales)
    )


def check_column_names(config: LinearConfig, problem: Problem) -> None:
    """Refuse a name in a config's factors or limits, or in an option of a choice of them, that no column of X has.

    Raises
    ------
    InvalidInput
        With the name that was perhaps meant; and where a column is unpenalized and has a factor above 0.
    """
    known = problem.column_names
    for field in ("penalty_factors", "unpenalized", "limits"):
        for option in _options(getattr(config, field)):
            _check_known(field, [one if isinstance(one, str) else one[0] for one in option], known)
    for factors in _options(config.penalty_factors):
        for free in _options(config.unpenalized):
            both = [name for name, factor in factors if factor > 0 and name in free]
            if both:
                raise InvalidInput(
                    f"A column is either unpenalized or has a penalty factor above 0, {both[0]!r} is both; "
                    "remove it from one."
                )


def _check_known(field: str, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            listed = ", ".join(known[:FEW]) + (f" and {len(known) - FEW} more" if len(known) > FEW else "")
            hint = f"did you mean {close[0]!r}?" if close else f"it has {listed}."
            raise InvalidInput(f"{field} must name columns of X, got {name!r}; {hint}")


def _options(value: Any) -> list[Any]:
    options = value.options if isinstance(value, Choice) else (value,)
    return [option or () for option in options]


def _scaled(limit: Array, scales: Array) -> Array:
    """``[K, p]`` limits of scaled coefficients."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(limit), limit * scales, limit)
