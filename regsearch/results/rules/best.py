"""The best score."""

from __future__ import annotations

from regsearch.numeric import format_number
from regsearch.results.rules.pick import Pick
from regsearch.results.rules.registry import rule
from regsearch.results.stored_study import StoredStudy, leading_reference, reference_name


@rule
def best(results: StoredStudy) -> Pick:
    """The trial with the best mean validation score where it counts; of equal ones the simplest.

    That is at the best point of its path, but of a net that trains for a fixed number of epochs at the last one, and of
    one that picks the epoch on rows of its own at that: then another point of a path, which rules over all points may
    choose, can score better.
    """
    trial = results.candidates[0]
    count = len(results.candidates)
    why = f"It has the best {results.metric_label} of {count} trials." if count > 1 else "It is the only one."
    if (leading := leading_reference(results)) is not None:
        score = results.point(leading).val
        plain = reference_name(results, leading)
        why += f" The reference ({plain}), which no rule chooses, scores better: {format_number(score, 5)}."
    return Pick(trial.number, trial.step, why)
