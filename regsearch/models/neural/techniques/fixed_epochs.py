"""No early stopping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from regsearch.models.neural.technique import Stopping
from regsearch.space.domains import Whole
from regsearch.space.tree import tunable


@dataclass(frozen=True)
class FixedEpochs(Stopping):
    """Training takes a number of epochs and the last one counts.

    Parameters
    ----------
    epochs
        How many.
    max_epochs
        The horizon of a learning-rate schedule; 0 takes `epochs`.
    """

    epochs: Any = tunable(Whole(1), 100)
    max_epochs: Any = tunable(Whole(0), 0)
