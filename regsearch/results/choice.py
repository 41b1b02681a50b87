"""The choice of one trial at one point of its path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regsearch.models.path import Point
from regsearch.results.text import finite, listed, told


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
