"""The axes that paths walk along: how each is named, drawn and logged, and what to do where one ends too early."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array
from regsearch.numeric import format_number

COUNTED = {"df": "degrees of freedom", "nonzero": "weights that are not zero"}


@dataclass(frozen=True)
class PathAxis:
    """How the values of one axis are shown.

    Attributes
    ----------
    name
        As `regsearch.models.base.Model.axis` has it; empty for models without a path.
    label
        What is written below a drawn axis; the name by default.
    log
        Whether its values span orders of magnitude: they are drawn and logged by their logarithm.
    descending
        Whether it is drawn from its largest value.
    whole
        Whether its values are whole numbers.
    last
        What to say when the best point is the last one.
    edge
        The same in the words of a table.
    complexity
        What the complexity of a point on it counts: ``df`` (degrees of freedom) or ``nonzero`` (weights).
    limits
        Names of the fields of a config that say where a path ends; a `Path` says so by itself.
    """

    name: str
    label: str = ""
    log: bool = False
    descending: bool = False
    whole: bool = False
    last: str = ""
    edge: str = "last of its path"
    complexity: str = "nonzero"
    limits: tuple[str, ...] = ()

    @property
    def counted(self) -> str:
        """What the complexity counts, in words."""
        return COUNTED[self.complexity]

    def number(self, value: float | None) -> float | None:
        """A value as it belongs in a config."""
        return round(value) if self.whole and value is not None else value

    def text(self, value: float | None) -> str:
        """A value for people, a dash where there is none."""
        if value is None:
            return "-"
        return f"{value:.0f}" if self.whole else format_number(value, 3)

    def positions(self, values: Array) -> Array:
        """Where values are drawn: on a log scale, zero lies a twentieth of the scale beyond the least of the others."""
        seen = values[values > 0]
        if not self.log or len(seen) == len(values) or not len(seen):
            return values
        beyond = seen.min() * min((seen.min() / seen.max()) ** 0.05, 0.8)
        return np.where(values > 0, values, beyond)

    def metrics(self, value: float | None) -> dict[str, float]:
        """A value as it is logged: nothing where there is none or no axis, or where it has no logarithm."""
        if value is None or not self.name or (self.log and value <= 0):
            return {}
        return {f"log10_{self.name}": math.log10(value)} if self.log else {self.name: float(value)}


LAMBDA = PathAxis(
    "lambda", "lambda (more regularization on the left)", log=True, descending=True,
    last="The best lambda is the last of its path", complexity="df",
)  # fmt: skip
EPOCHS = PathAxis(
    "epochs",
    whole=True,
    last="The best epoch is the last that was trained",
    edge="last that was trained",
    limits=("max_epochs", "epochs"),
)
_KNOWN = {axis.name: axis for axis in (LAMBDA, EPOCHS)}


def path_axis(name: str) -> PathAxis:
    """The axis of that name; one that is not known here counts the rounds of an estimator, as its parameter does."""
    last = f"The best {name} is the last that was fitted"
    return _KNOWN.get(name) or PathAxis(name, whole=True, last=last, edge="last that was fitted", limits=(name,))
