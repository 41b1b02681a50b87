"""The parameters of a study as columns of numbers that can be drawn and learned from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.results.plots.style import cut, short_name
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial

DECADES = 2.0  # a parameter that spans more is shown by its logarithm
MOST_WORDS = 8  # categories with a place of their own


@dataclass(frozen=True)
class ParameterColumn:
    """One parameter.

    Attributes
    ----------
    name, label
        As stored, and as written on an axis.
    at
        ``[n]`` places on the axis, by trial: the value, its logarithm, or the number of a category; NaN where a trial
        does not have the parameter.
    ticks
        Places on the axis and what is written there.
    words
        Whether it is made of categories.
    along
        Whether paths walk along it: it was chosen afterwards, not sampled.
    """

    name: str
    label: str
    at: Array
    ticks: tuple[tuple[float, str], ...]
    words: bool = False
    along: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest place."""
        places = [*self.at[np.isfinite(self.at)], *(at for at, _ in self.ticks if self.words)]
        return float(min(places)), float(max(places))


def parameter_columns(study: StoredStudy, trials: Sequence[Trial]) -> list[ParameterColumn]:
    """The parameters in which these trials differ, in the order that configs have them."""
    rows = [trial.params for trial in trials]
    order = [name for name in dict.fromkeys(name for row in rows for name in row) if name in study.varied]
    axes = {trial.axis for trial in trials}
    made = [_column(name, short_name(name, order), [row.get(name) for row in rows], name in axes) for name in order]
    return [column for column in made if len(np.unique(column.at[np.isfinite(column.at)])) > 1]


def _column(name: str, label: str, values: list[Any], along: bool) -> ParameterColumn:
    given = [value for value in values if value is not None]
    if all(_is_number(value) for value in given):
        numbers = np.array([math.nan if value is None else float(value) for value in values])
        return _logarithms(name, label, numbers, along) or _numbers(name, label, numbers, along)
    words = [_word(value) for value in values]
    known = sorted(set(words), key=lambda word: -words.count(word))
    own = sorted(known[: MOST_WORDS - 1]) if len(known) > MOST_WORDS else sorted(known)
    place = {word: at for at, word in enumerate(own)}
    at = np.array([float(place.get(word, len(own))) for word in words])
    ticks = [*own, "others"] if len(known) > len(own) else own
    return ParameterColumn(
        name, label, at, tuple((float(k), cut(word.replace("_", " "), 16)) for k, word in enumerate(ticks)), True, along
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float))


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def _numbers(name: str, label: str, numbers: Array, along: bool) -> ParameterColumn:
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return ParameterColumn(name, label, numbers, number_ticks(low, high), along=along)


def number_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Round numbers of a range, a few, with what is written there."""
    from matplotlib.ticker import MaxNLocator

    return tuple((float(at), f"{at:.6g}") for at in MaxNLocator(4).tick_values(low, high) if low <= at <= high)


def _logarithms(name: str, label: str, numbers: Array, along: bool) -> ParameterColumn | None:
    """By decades, zero (a technique that is off) half a decade below the others; `None` where a line does."""
    positive = numbers[np.isfinite(numbers) & (numbers > 0)]
    if (numbers < 0).any() or not len(positive) or np.ptp(np.log10(positive)) < DECADES:
        return None
    low, high = np.log10(positive).min(), np.log10(positive).max()
    off = low - max(0.5, 0.08 * (high - low))
    at = np.where(numbers > 0, np.log10(np.where(numbers > 0, numbers, 1.0)), np.where(numbers == 0, off, np.nan))
    every = math.ceil((high - low) / 4)
    zero = [(off, "0")] if (numbers == 0).any() else []
    free = off + 0.12 * (high - off) if zero else low  # what is written at zero needs room
    decades = [k for k in range(math.ceil(low), math.floor(high) + 1) if k % every == 0 and k >= free]
    return ParameterColumn(name, label, at, (*zero, *((float(k), f"{10.0**k:g}") for k in decades)), along=along)
