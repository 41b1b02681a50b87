"""Figures as text: a number with its error, names and values on a line, values as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from regsearch.cleaning import printable
from regsearch.metrics.statistics import Estimate


def json_safe(value: Any) -> Any:
    """A value as JSON can hold it: what is not finite is `None`, at any depth."""
    if isinstance(value, Mapping):
        return {key: json_safe(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_safe(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_items(figures: Mapping[str, Any], between: str = ", ") -> str:
    """Names and values on one line."""
    return between.join(f"{printable(name)}={_short(value)}" for name, value in figures.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else printable(value)


def format_value(value: float, se: float, sign: str = "", digits: int = 3) -> str:
    """A number with its standard error, where there is one; `sign` as in a format."""
    return f"{value:{sign}.{digits}g}" + (f" ± {se:.2g}" if math.isfinite(se) else "")


def format_estimate(estimate: Estimate, sign: str = "", digits: int = 3) -> str:
    """A mean over folds with its standard error."""
    return format_value(estimate.mean, estimate.se, sign, digits)


def format_duration(seconds: float) -> str:
    """A time as people say it: seconds, minutes, or hours and minutes."""
    minutes = round(seconds / 60)
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
