"""The choice of one trial at one point of its path."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regsearch.path import Point


@dataclass(frozen=True)
class Chosen:
    """A trial at one point of its path.

    Attributes
    ----------
    config
        The filled config: what is exported.
    axis, value
        What the path walks along (``lambda``, ``epochs``), and where on it this point lies; empty and `None` without a
        path.
    point
        Score, standard error, train score and gap of the deciding metric.
    rule, why
        The rule's name, and its reason in one sentence.
    test, measures
        Held-out scores and other figures, where the trial has them: of its own chosen point, at no other.
    varied
        Names of the parameters in which trials of the study differ.
    """

    number: int
    step: int
    config: Any
    params: Mapping[str, Any]
    value: float | None
    point: Point
    metric: str
    rule: str
    why: str
    axis: str = ""
    test: Mapping[str, float] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)
    varied: frozenset[str] = frozenset()

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that tell this trial from others; all of them where none differ."""
        return {name: value for name, value in self.params.items() if name in self.varied} or dict(self.params)

    @property
    def lambda_(self) -> float | None:
        """The penalty's lambda, if the config has one."""
        found: float | None = self.params.get("lambda")
        return found

    @property
    def score(self) -> float:
        return self.point.val

    @property
    def gap(self) -> float:
        return self.point.gap

    def row(self) -> dict[str, Any]:
        """The choice as one JSON object; what is not finite is null."""
        row = {
            "number": self.number, "config": dict(self.params), "lambda": self.lambda_, "axis": self.axis,
            "value": self.value, "score": self.point.val, "se": self.point.val_se, "train": self.point.train,
            "gap": self.point.gap, "gap_se": self.point.gap_se, "test": self.test, "measures": self.measures,
        }  # fmt: skip
        return {key: finite(value) for key, value in row.items()}

    def __str__(self) -> str:
        others = {"held out": self.test, "measures": self.measures}
        lines = [
            f"trial {self.number}: {listed(self.settings)}",
            f"{self.metric} {told(self.point.val, self.point.val_se, digits=5)} (train {self.point.train:.5g}, "
            f"gap {self.point.gap:.3g})",
            *(f"{what}: {listed(figures)}" for what, figures in others.items() if figures),
            self.why,
        ]
        return "\n".join(lines)


def finite(value: Any) -> Any:
    """A value as JSON can hold it: what is not finite is `None`, at any depth."""
    if isinstance(value, Mapping):
        return {key: finite(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def listed(figures: Mapping[str, Any], between: str = ", ") -> str:
    """Names and values on one line."""
    return between.join(f"{name}={_short(value)}" for name, value in figures.items())


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines whose columns line up: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def told(value: float, se: float, sign: str = "", digits: int = 3) -> str:
    """A number with its standard error, where there is one; `sign` as in a format."""
    return f"{value:{sign}.{digits}g}" + (f" ± {se:.2g}" if math.isfinite(se) else "")
