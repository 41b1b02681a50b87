"""Overtuning: whether a search went on improving its validation score at the cost of rows that it never read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regsearch.metrics.scorer import label_of
from regsearch.metrics.statistics import ALPHA, PARTS, difference_se, tolerance_of
from regsearch.numeric import format_number
from regsearch.results.formatting import format_value
from regsearch.results.ranking import is_better
from regsearch.results.stored_study import StoredStudy
from regsearch.storage.trial import Trial


@dataclass(frozen=True)
class Overtuning:
    """The incumbents of a search, in order, and what became of them on the held-out set.

    Attributes
    ----------
    numbers
        Trials that were the best when they finished and have a held-out score; the reference only where another scores
        better, as no rule chooses it.
    val, test
        Their mean validation and held-out scores; larger is better.
    lost
        The best held-out score among them minus that of the last: 0 when the search's choice is the best of them. The
        more of them, the larger by luck.
    lost_se
        Its standard error, of the two paired on the same held-out rows; NaN where it is not known.
    relative
        `lost` over the most that an incumbent gained on the first one, on the held-out set; above 1 the choice is
        worse there than where the search began. `None` where no incumbent gained anything. As large by luck as `lost`.
    why
        The same in one sentence.
    """

    metric: str
    numbers: tuple[int, ...]
    val: tuple[float, ...]
    test: tuple[float, ...]
    lost: float
    lost_se: float
    relative: float | None
    why: str

    def __str__(self) -> str:
        return self.why


def overtuning(study: StoredStudy) -> Overtuning | None:
    """What the search lost on the held-out set by following the validation score; `None` without held-out scores.

    References
    ----------
    Schneider, Bischl & Feurer (2025), "Overtuning in hyperparameter optimization", AutoML 2025.
    """
    leader: Trial | None = None
    found: list[tuple[int, float, float, Sequence[float]]] = []
    ended = [trial for trial in study.complete if not trial.stands]  # what is stopped has no held-out score yet
    for trial in sorted(ended, key=lambda trial: (trial.end_ms, trial.number)):
        if is_better(trial, leader, study.references, study.metric):
            leader, score = trial, study.point(trial).val
            # the reference, and what is not solved, may lead before there is a trial to choose: one that scores less
            # than they follows no validation score
            found = [one for one in found if one[1] <= score + tolerance_of(np.array([score]))]
            if study.metric in trial.test:
                found.append((trial.number, score, trial.test[study.metric], trial.test_parts))
    if not found:
        return None
    numbers, val, test, parts = zip(*found, strict=True)
    rounding = tolerance_of(np.array(test))
    lost, gained = max(test) - test[-1], max(test) - test[0]
    lost = lost if lost > rounding else 0.0
    relative = lost / gained if gained > rounding else None
    se = difference_se(parts[test.index(max(test))], parts[-1]) if lost else 0.0
    name = label_of(study.metric, study.test_weighted)
    return Overtuning(name, numbers, val, test, lost, se, relative, _sentence(name, test, lost, se, relative))


def _sentence(metric: str, test: tuple[float, ...], lost: float, se: float, relative: float | None) -> str:
    many = f"{len(test)} incumbents" if len(test) > 1 else "1 incumbent"
    if not lost:
        return f"No overtuning: the last of {many} has the best held-out {metric} ({format_number(test[-1], 5)})."
    below = f"{format_value(lost, se, digits=2)} below the best"
    last = f"the last of {many} has a held-out {metric} of {format_number(test[-1], 5)}, {below}"
    if not math.isfinite(se):
        return f"Whether the search overtuned is not known: {last} of them, with no error to weigh it by."
    if lost <= _critical(len(test)) * se:
        return f"No clear overtuning: {last} of them, which so few held-out rows cannot tell from none."
    if relative is None:
        return f"Overtuning: {last} of them, the first: the search only made it worse."
    return f"Overtuning: {last} of them, {relative:.0%} of what had been gained since the first."


def _critical(incumbents: int) -> float:
    """Standard errors that the loss must come to before a sentence calls it one.

    It is the largest of as many differences as there are incumbents before the last: each is tested at `ALPHA` over
    their number (Bonferroni), with the degrees of freedom of an error that comes of so many parts.
    """
    from scipy.stats import t

    return float(t.isf(ALPHA / max(incumbents - 1, 1), PARTS - 1))
