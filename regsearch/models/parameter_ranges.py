"""What a space says and draws for an estimator, held against its parameters and what scikit-learn says they take."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from regsearch.errors import InvalidInput
from regsearch.inputs import did_you_mean
from regsearch.space.domains import bounds_of
from regsearch.space.tree import Choice, Float


def check_names(estimator: Any, names: Iterable[str]) -> None:
    """Refuse a name that is no parameter of an estimator.

    Raises
    ------
    InvalidInput
        With the name that was perhaps meant.
    """
    known = estimator.get_params()
    for name in names:
        if name not in known:
            if name in inspect.signature(type(estimator).__init__).parameters:  # CatBoost's know what they were given
                cls, given = type(estimator).__name__, ", ".join(sorted(known)) or "none"
                raise InvalidInput(
                    f"{cls} knows only the parameters that it was given, {given}, and {name!r} is none of them; name "
                    f"one of these, or make it with {cls}({name}=...)."
                )
            of_steps = {key.rpartition("__")[2].lower(): key for key in sorted(known, reverse=True) if "__" in key}
            hint = did_you_mean(name, known, f"it has {', '.join(sorted(known))}.", of_steps)
            raise InvalidInput(f"{type(estimator).__name__} has no parameter {name!r}; {hint}")


def check_ranges(estimator: Any, params: Mapping[str, Any]) -> None:
    """Refuse a value, an option or the end of a range that an estimator or a step of it would refuse in every fit.

    Parameters
    ----------
    estimator
        As the user gave it; what says nothing of its parameters takes all.
    params
        Leaves or values by parameter name, nested with ``__``.

    Raises
    ------
    InvalidInput
        Naming the parameter, the value and what the estimator takes.
    """
    import sklearn

    if sklearn.get_config()["skip_parameter_validation"]:
        return
    for name, value in params.items():
        step, _, own = name.rpartition("__")
        for owner in _owners(estimator, params, step):
            for drawn in _ends(value):
                _check(name, owner, own, drawn)


def _owners(estimator: Any, params: Mapping[str, Any], step: str) -> list[Any]:
    """The estimators whose parameter is meant: one, or the options of a step that is searched itself."""
    if not step:
        return [estimator]
    found = bounds_of(params[step]) if step in params else [estimator.get_params().get(step)]
    return [owner for owner in found if hasattr(owner, "get_params")]


def _ends(value: Any) -> list[Any]:
    """The least and the greatest that a parameter is given, of each option; of a range of real numbers as such."""
    if isinstance(value, Choice):
        return [end for option in value.options for end in _ends(option)]
    return [*map(float, bounds_of(value))] if isinstance(value, Float) else bounds_of(value)


def _constraints(owner: Any) -> Mapping[str, Any]:
    """What scikit-learn's own estimators, and those made like them, say of their parameters."""
    return getattr(owner, "_parameter_constraints", {})


def _check(name: str, owner: Any, own: str, drawn: Any) -> None:
    from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

    try:
        validate_parameter_constraints(_constraints(owner), {own: drawn}, type(owner).__name__)
    except InvalidParameterError as error:
        raise InvalidInput(
            f"What a space draws must lie in what its estimator takes, {name!r} does not: {error} Narrow it."
        ) from error
