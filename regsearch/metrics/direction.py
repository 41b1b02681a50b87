"""Whether a scorer of the user's own is larger where a prediction is better."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.metrics.counting import DECIMALS
from regsearch.metrics.probes import few_rows, two_extremes

ROUNDING = 1e-14  # of predictions, in what sums of them are off by
Along: TypeAlias = Callable[[Problem, NDArray[np.intp], Array], Array]  # of `regsearch.metrics.scorer.Metric`


def check_direction(name: str, along: Along, problem: Problem) -> None:
    """Refuse a scorer that decides and likes a constant prediction better than the targets themselves.

    Of a scorer that cannot score them nothing is known, and nothing said.

    Raises
    ------
    InvalidInput
        With both scores.
    """
    rows = few_rows(problem)
    extremes = two_extremes(problem, rows)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anyone's scorer: what it says of a constant is no news
            perfect, constant = along(problem, rows, extremes).tolist()
    except Exception:  # noqa: BLE001 - anyone's scorer: it may know what it can score from columns or a method alone
        return
    rounding = 10.0**-DECIMALS * max(abs(constant), abs(perfect)) + ROUNDING * float(np.abs(extremes).max())
    if constant - perfect > rounding:  # whatever the units of y
        raise InvalidInput(
            f"Larger must be better, the scorer {name!r} gives a perfect prediction {perfect:.4g} and a "
            f"constant one {constant:.4g}; pass greater_is_better=False to make_scorer, or return the negative."
        )
