"""What the folds say of the rows that they validate, as one array of all rows, at some steps of a path."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows

STEPS = 24  # of a path, beside the chosen one, whose decisions are kept at most: their neighbours say all but the same
BYTES = 2**18  # that they may take of a trial: of many rows fewer steps, where there is less luck in choosing one

ROUNDED = 1e-4  # of the deviation of decisions: how far single precision may round them
HALF_A_DIGIT = 2.0**-24  # of a number: how far it does at most, ...
TINY, HUGE = 1e-30, 1e30  # ... between these


@dataclass(frozen=True)
class PathDecisions:
    """Decisions outside training at some steps of a path beside the chosen one, for whoever chooses a step again.

    Attributes
    ----------
    steps
        ``[s]``, ascending.
    decisions
        ``[s, n, m]``, `compact`; see `regsearch.models.base.Outcome`.
    """

    steps: NDArray[np.intp]
    decisions: NDArray[np.floating[Any]]

    @classmethod
    def of(cls, steps: Sequence[int], decisions: Sequence[Array] | Array) -> PathDecisions | None:
        """Those of some steps, each ``[n, m]``; `None` for no step."""
        return cls.joined(steps, [np.asarray(decisions)])

    @classmethod
    def joined(cls, steps: Sequence[int], parts: Iterable[Array]) -> PathDecisions | None:
        """The same of a few steps each time, ``[s, n, m]``, which are compact before there are more."""
        if not len(steps):
            return None
        found = [compact(part) for part in parts if len(part)]
        return cls(np.asarray(steps, dtype=np.intp), found[0] if len(found) == 1 else np.concatenate(found))


def compact(decisions: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Decisions in single precision; as they are where that would round their differences, far from 0."""
    known, ends = decisions, _ends(decisions)
    if not np.isfinite(ends).all():
        known = decisions[np.isfinite(decisions)]
        ends = _ends(known)
    largest = max(ends[1], -ends[0])
    half_a_digit = HALF_A_DIGIT * largest
    if half_a_digit > TINY and largest < HUGE:  # which says so without a look at each
        apart = (ends[1] - ends[0]) / math.sqrt(2 * known.size)  # what two numbers alone make a deviation of
        if half_a_digit <= ROUNDED * apart or half_a_digit <= ROUNDED * _deviation(known):
            return decisions.astype(np.float32)
    off = float(np.abs(known - known.astype(np.float32)).max(initial=0.0))
    return decisions.astype(np.float32) if off <= ROUNDED * _deviation(known) else decisions


def _ends(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The least and the greatest; zeros of none."""
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _deviation(values: NDArray[np.floating[Any]]) -> float:
    return float(values.std()) if values.size else 0.0


def steps_kept(rows: int, outputs: int) -> int:
    """At how many steps beside the chosen one decisions ``[rows, outputs]`` are kept."""
    return min(STEPS, BYTES // (rows * outputs * np.dtype(np.float32).itemsize))


def spread_steps(steps: int, chosen: int, count: int) -> list[int]:
    """At most so many steps of a path, evenly spread, without the chosen one."""
    gap = (steps - 1) / (count + 1)
    spread = {round(place * gap) for place in range(1, count + 1)} if count < steps - 1 else set(range(steps))
    return sorted(spread - {chosen})


@dataclass
class SpreadSteps:
    """Some steps of a path whose length is not known yet: when there are too many, every other one goes.

    Attributes
    ----------
    most
        How many are kept at most.
    kept
        What there is of each step.
    """

    most: int
    kept: dict[int, Any] = field(default_factory=dict)
    stride: int = 1

    def add(self, step: int, value: Any) -> None:
        """Take in the next step."""
        if self.most and step % self.stride == 0:
            self.kept[step] = value
        while len(self.kept) > self.most:
            self.stride *= 2
            self.kept = {step: value for step, value in self.kept.items() if step % self.stride == 0}


def out_of_fold_mean(parts: Iterable[tuple[Rows, Array]], shape: tuple[int, int]) -> Array:
    """Mean decision of each row over the folds that validate it.

    Parameters
    ----------
    parts
        Rows ``[r]`` without repetition and decisions ``[r, m]`` for them, of each fold, or of pieces of folds.
    shape
        ``(n, m)``.

    Returns
    -------
    Array
        ``[n, m]``; NaN in rows that no fold validates.
    """
    total, times = np.zeros(shape, order="F"), np.zeros(shape[0], dtype=np.int32)
    for rows, decisions in parts:
        before = times[rows]
        again = before.any()
        for of_all, made in zip(total.T, decisions.T, strict=True):  # quicker than whole rows, which are short
            of_all[rows] = of_all[rows] + made if again else made
        times[rows] = before + 1
    if (times != 1).any():
        with np.errstate(invalid="ignore"):
            total /= times[:, None]
    return total
