"""Which trial is better, which of equal ones is the most regularized, and which may be chosen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from regsearch._types import Array
from regsearch.models.axes import path_axis
from regsearch.models.base import REFERENCE
from regsearch.storage.trial import Trial

References: TypeAlias = Mapping[str, Trial]  # by family


def rank_trials(trials: Iterable[Trial], metric: str) -> tuple[Trial, ...]:
    """Trials that have a score, best first; of those that differ by rounding alone the most regularized first.

    Those whose point is not solved, or diverges, come after all others: it may score better than what its config
    stands for.
    """
    found = [(trial.points[metric], trial) for trial in trials if trial.points]
    if not found:
        return ()
    top = max((point for point, _ in found), key=lambda point: point.val)
    losses = merge_ties(np.array([-point.val for point, _ in found]), top.tolerance)
    references = references_of(trial for _, trial in found)
    places = [
        (trial.doubtful, loss, *simplicity_key(trial, references))
        for loss, (_, trial) in zip(losses, found, strict=True)
    ]
    return tuple(found[k][1] for k in sorted(range(len(found)), key=places.__getitem__))


def references_of(trials: Iterable[Trial]) -> References:
    """The references among trials, by family."""
    return {trial.family: trial for trial in trials if trial.role == REFERENCE}


def is_better(trial: Trial, leader: Trial | None, references: References, metric: str) -> bool:
    """Whether a trial that comes after its leader and the references is the best of them."""
    compared = [one for one in (leader, trial) if one is not None]
    plain = {one.family: references[one.family] for one in compared if one.family in references}
    far_behind = leader is not None and _is_far_behind(trial, leader, plain, metric)
    if leader is not None and far_behind and not _is_reference(leader, plain):
        return False  # as most are
    ranked = rank_trials([*plain.values(), *compared], metric)
    return candidates(ranked, plain)[:1] == (trial,)


def leaders(trials: Iterable[Trial], references: References, metric: str) -> Iterator[Trial]:
    """After each of some complete trials, in the order in which they ended, the best so far."""
    leader: Trial | None = None
    for trial in trials:
        leader = trial if leader is None or is_better(trial, leader, references, metric) else leader
        yield leader


def _is_far_behind(trial: Trial, leader: Trial, references: References, metric: str) -> bool:
    """Whether a trial scores less than its leader by more than rounding, and a tie of three, can make up for.

    Nobody is behind a leader that is not solved, or diverges.
    """
    if leader.doubtful:
        return False
    points = [one.points[metric] for one in (trial, leader, *references.values()) if metric in one.points]
    return trial.points[metric].val < leader.points[metric].val - 2 * max(point.tolerance for point in points)


def candidates(ranked: tuple[Trial, ...], references: References) -> tuple[Trial, ...]:
    """Those of ranked trials that a rule may choose: all but references and their like, unless there are no others.

    A search is for the regularization that helps; that none does is said, and not chosen. Nor is a trial whose point is
    not solved or diverges, unless no other is.
    """
    searched = tuple(trial for trial in ranked if not _is_reference(trial, references)) or ranked
    return tuple(trial for trial in searched if not trial.doubtful) or searched


def _is_reference(trial: Trial, references: References) -> bool:
    """Whether a trial is the reference of its family, has its config, or is as unpenalized.

    A reference that walks no path is an estimator as given, which may lie in the space: what is sampled so stays.
    """
    reference = references.get(trial.family)
    if reference is None or trial.number == reference.number:
        return reference is not None
    if not reference.axis:
        return False
    one_point = trial.steps == 1  # a path that ends at lambda 0 has others
    same = bool(trial.params) and all(reference.params.get(name) == value for name, value in trial.params.items())
    return trial.key == reference.key or same or (one_point and trial.unpenalized)


def simplicity_key(trial: Trial, references: References) -> tuple[bool, float, float, int]:
    """What decides between trials that are as good: the smallest is the most regularized.

    The reference of its family comes last, and with it what came out as the same config. Then count the degrees of
    freedom, where they are known; then how early on the axis of the paths a trial stands (a large lambda, few epochs);
    then its number.
    """
    reference = references.get(trial.family)
    plain = reference is not None and trial.key == reference.key
    complexity = trial.complexity if math.isfinite(trial.complexity) else math.inf
    along = trial.value or 0.0
    return plain, complexity, -along if path_axis(trial.axis).descending else along, trial.number


def merge_ties(values: Array, tolerance: float) -> Array:
    """Values of which those that lie no further apart than `tolerance` are all made the least of them."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    first = np.append(True, np.diff(ascending) > tolerance)
    equal = np.empty_like(values)
    equal[order] = ascending[first][np.cumsum(first) - 1]
    return equal
