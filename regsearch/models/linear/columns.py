"""What a config says of columns of X by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean
from regsearch.models.linear.general import PenalisedColumns
from regsearch.models.linear.offsets import check_offset
from regsearch.space.tree import Choice

if TYPE_CHECKING:
    from regsearch.models.linear.linear_config import LinearConfig

FEW = 10  # names that an error lists


def check_column_names(config: LinearConfig, problem: Problem) -> None:
    """Refuse a name in a config's factors or limits, or in an option of a choice of them, that no column has.

    Of X that is prepared, both its columns and those that they become have names.

    Raises
    ------
    InvalidInput
        With the name that was perhaps meant; and where a column is unpenalized and has a factor above 0.
    """
    known = problem.places
    for field in ("penalty_factors", "unpenalized", "limits"):
        for option in _options(getattr(config, field)):
            _check_known(
                f"{field} must name columns of X", [one if isinstance(one, str) else one[0] for one in option], known
            )
    for name in filter(None, _options(config.offset)):
        _check_known("offset must name a column of X", [name], known)
        check_offset(name, problem)
        _check_not_fitted(config, name, known)
    for penalty in _options(config.penalty):
        _check_known(f"{penalty.kind} must name columns of X in its groups", penalty.names(), known)
    for factors in _options(config.penalty_factors):
        for free in _options(config.unpenalized):
            out = {place for name in free for place in known[name]}
            both = [name for name, factor in factors if factor > 0 and out.intersection(known[name])]
            if both:
                raise InvalidInput(
                    f"A column is either unpenalized or has a penalty factor above 0, {both[0]!r} is both; "
                    "remove it from one."
                )


def columns_of(
    config: LinearConfig, problem: Problem, powers: Callable[[], Array], scales: Array | None = None
) -> PenalisedColumns:
    """What a filled config asks of each of the encoded columns; those of a category share what is asked of it.

    So do those that a column of X becomes, but for what is asked of one of them by its own name.

    Parameters
    ----------
    powers
        See `PenalisedColumns`.
    scales
        ``[K, p]`` what columns are divided by, for limits; by default 1.
    """
    features = problem.encoded_features
    factors, low, high = (np.full(problem.columns, fill) for fill in (1.0, -np.inf, np.inf))
    named = config.penalty_factors or config.unpenalized or config.limits
    place = problem.places if named else {}  # of many columns it is large

    def widest_first(said: Any) -> list[Any]:
        return sorted(said or (), key=lambda one: -len(place[one[0]]))

    for name, factor in widest_first(config.penalty_factors):
        factors[place[name]] = factor
    for name in config.unpenalized or ():
        factors[place[name]] = 0.0
    for name, *ends in widest_first(config.limits):
        low[place[name]], high[place[name]] = (
            default if end is None else end for end, default in zip(ends, (-np.inf, np.inf), strict=True)
        )
    least, most = _scaled(low[features], scales), _scaled(high[features], scales)
    return PenalisedColumns(lambda: problem.places, features, factors[features], least, most, powers)


def _scaled(limit: Array, scales: Array | None) -> Array:
    """``[K, p]`` limits of scaled coefficients."""
    if scales is None:
        return limit[None]
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(limit), limit * scales, limit)


def _check_known(must: str, names: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            listed = ", ".join([*known][:FEW]) + (f" and {len(known) - FEW} more" if len(known) > FEW else "")
            hint = did_you_mean(name, known, f"it has {listed}.")
            raise InvalidInput(f"{must}, got {name!r}; {hint}")


def _check_not_fitted(config: LinearConfig, offset: str, known: Mapping[str, Any]) -> None:
    """Refuse what a config says of the coefficient of a column that is its offset."""
    said = {
        field: [
            one if isinstance(one, str) else one[0] for option in _options(getattr(config, field)) for one in option
        ]
        for field in ("penalty_factors", "unpenalized", "limits")
    }
    said |= {penalty.kind: list(penalty.names()) for penalty in _options(config.penalty)}
    for field, names in said.items():
        if any(set(known[name]) == set(known[offset]) for name in names if name in known):
            raise InvalidInput(f"The coefficient of the offset {offset!r} is one; remove it from {field}.")


def _options(value: Any) -> list[Any]:
    options = value.options if isinstance(value, Choice) else (value,)
    return [option or () for option in options]
