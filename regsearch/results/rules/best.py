"""The best score."""

from __future__ import annotations

from regsearch.results.rules.registry import Pick, rule
from regsearch.results.stored_study import StoredStudy


@rule
def best(results: StoredStudy) -> Pick:
    """The trial with the best mean validation score, at the best point of its path; of equal ones the simplest."""
    trial = results.complete[0]
    return Pick(
        trial.number, trial.step, f"It has the best {results.metric_label} of {len(results.complete)} complete trials."
    )
