"""Whether predictions alone are enough for the scorers of a study."""

from __future__ import annotations

from regsearch.errors import InvalidInput
from regsearch.models.base import Setup


def check_scored_by_predictions(setup: Setup, family: str) -> None:
    """Refuse scorers that need more than predictions, for a family whose models are fitted many at a time.

    Raises
    ------
    InvalidInput
        Naming the scorer, and what it said when it was given predictions alone.
    """
    for metric in setup.metrics:
        if metric.needs_fit:
            raise InvalidInput(
                f"{family} scores by predictions, and the scorer {metric.name!r} failed on them: {metric.needs_fit}. "
                "If it reads the fitted estimator, search an Estimator; if it does not fit a "
                f"{setup.problem.task} task, choose another."
            )
