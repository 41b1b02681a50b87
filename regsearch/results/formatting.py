"""Figures as text: a number with its error, names and values on a line, values as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regsearch.cleaning import printable
from regsearch.metrics.statistics import Estimate
from regsearch.numeric import GROUPED, HUGE, format_number, text_if_not_finite, written

TINY = 1e-5  # below it, too
ERROR_DIGITS = 2  # significant ones of a standard error


class Measured(NamedTuple):
    """A cell of a table: a number with its standard error, NaN where that is not known; `sign` as in a format."""

    value: float
    se: float
    sign: str = ""

    @classmethod
    def of(cls, estimate: Estimate, sign: str = "") -> Measured:
        """A mean over folds with its standard error."""
        return cls(*estimate.shown, sign)


class NumberFormat(NamedTuple):
    """How the numbers of a column are written, all alike, so that their points stand below each other."""

    spec: str

    @classmethod
    def of(
        cls, values: Iterable[float], digits: int = 4, errors: Iterable[float] = (), least: float = 0.0
    ) -> NumberFormat:
        """That in which the middle one of these, by size, has so many significant digits; whole numbers stay whole.

        Parameters
        ----------
        errors
            Standard errors, of which the smallest has at least two.
        least
            What is smaller is rounding, and taken for zero.
        """
        sizes, known = _positive(values, least), _positive(errors, least)
        if not len(sizes):
            sizes = known
        if not len(sizes):
            return cls(".0f")
        typical = float(np.median(sizes))
        if not TINY <= typical < HUGE:
            return cls(f".{digits - 1}e")
        decimals = [_decimals(typical, digits), *(_decimals(float(one), ERROR_DIGITS) for one in known)]
        return cls(f"{',' if sizes.max() >= GROUPED else ''}.{max(decimals)}f")

    def text(self, cell: float | Measured) -> str:
        """A number in this format, with its error; a dash for one that there is not."""
        value, se, sign = cell if isinstance(cell, Measured) else Measured(cell, math.nan)
        return self._number(value, sign) + (f" ± {self._number(se)}" if math.isfinite(se) else "")

    def _number(self, value: float, sign: str = "") -> str:
        if not math.isfinite(value):
            return "-" if math.isnan(value) else f"{value}"
        return written(value, sign + (self.spec if abs(value) < HUGE else ".3e"))


def _positive(values: Iterable[float], least: float) -> NDArray[np.float64]:
    """The sizes of what is finite and no zero."""
    return np.array([abs(value) for value in values if math.isfinite(value) and abs(value) > least])


def _decimals(value: float, digits: int) -> int:
    """In which a number has so many significant digits."""
    return max(0, digits - 1 - math.floor(math.log10(value)))


def json_safe(value: Any) -> Any:
    """A value as JSON can hold it: what is not finite is `None`, at any depth."""
    if isinstance(value, Mapping):
        return {key: json_safe(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them: one that is infinite or NaN is its text, which no missing one is taken for."""
    return {name: text_if_not_finite(value) for name, value in params.items()}


def format_items(figures: Mapping[str, Any], between: str = ", ") -> str:
    """Names and values on one line."""
    return between.join(f"{printable(name)}={_short(value)}" for name, value in figures.items())


def _short(value: Any) -> str:
    if not isinstance(value, (float, np.floating)):
        return printable(value)
    plain = GROUPED <= abs(float(value)) < HUGE  # as one would type it: thousands are not set apart
    return f"{value:.0f}" if plain else f"{value:.4g}"


def format_value(value: float, se: float, sign: str = "", digits: int = 3) -> str:
    """A number with its standard error, where there is one; `sign` as in a format."""
    return format_number(value, digits, sign) + (f" ± {format_number(se, ERROR_DIGITS)}" if math.isfinite(se) else "")


def format_estimate(estimate: Estimate, sign: str = "", digits: int = 3) -> str:
    """A mean over folds with its standard error."""
    return format_value(*estimate.shown, sign, digits)


def format_duration(seconds: float) -> str:
    """A time as people say it: seconds, minutes, or hours and minutes."""
    minutes = round(seconds / 60)
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
