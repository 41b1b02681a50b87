"""Numbers that a user gives, of numpy or any other library, as Python's own; and numbers as people read them."""

from __future__ import annotations

import math
from numbers import Integral, Number, Real
from typing import Any

import numpy as np

GROUPED, HUGE = 1e4, 1e7  # from here on thousands are set apart; from here on a number has an exponent
_OWN = frozenset({type(None), bool, int, float, str})


def is_own(value: Any) -> bool:
    """Whether a value is a number, a truth value or a text of Python's own, or `None`.

    Most values of a config are: asking for an abstract class, as `isinstance` does for all others, takes long.
    """
    return type(value) in _OWN


def plain(value: Any) -> Any:
    """A number, a truth value or a text of any library as Python's own; all else as it is."""
    if is_own(value):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # of numpy's own, `item` would lose zeros at the end
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if is_own(value) or not isinstance(value, Number):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def text_if_not_finite(value: Any) -> Any:
    """Infinity and NaN as their text, as MLflow shows a parameter, for files that lack them; all else as it is."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of Python's own, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of Python's own, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def format_number(value: float, digits: int = 4, sign: str = "") -> str:
    """A number as people write it: so many significant digits, whole above them, an exponent only far from one."""
    text = written(value, f"{sign}.{digits}g")
    if not (GROUPED <= abs(value) < HUGE or ("e" in text and 1 <= abs(value) < HUGE)):
        return text
    return f"{value:{sign},.0f}" if abs(value) >= GROUPED else f"{value:{sign}.0f}"


def written(value: float, spec: str) -> str:
    """A number by a format, of which no zero has a sign."""
    text = format(value, spec)
    return text if float(text.replace(",", "")) else text.lstrip("+-")
