"""What of a space needs more room: an optimum at the edge of what was searched, or a range that does nothing.

Only what can be moved is an edge: a dropout of 0 or an L1 ratio of 1 is the end of the world, not of a range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from regsearch.models.axes import path_axis
from regsearch.models.path import Point
from regsearch.numeric import format_number
from regsearch.results.advice.evidence import (
    Scale,
    difference,
    equals_reference,
    may_be_gain,
    no_better_than_constant,
    overfits,
    scale_of,
)
from regsearch.results.advice.leaves import (
    ENDS,
    End,
    ModelT,
    SpaceLeaf,
    distance,
    draws_of,
    fields_of,
    replaced,
    space_leaves,
    trim_digits,
    values_taken,
    wider,
)
from regsearch.results.stored_study import StoredStudy, comparable
from regsearch.space.domains import bounds_of
from regsearch.space.path import Path
from regsearch.space.tree import Choice, Float, Int
from regsearch.storage.trial import Trial

EDGE = 0.05  # share of a range, on its scale, that counts as its edge
UPPER = 0.25  # share of a range that counts as its upper part
CROWD = 2 / 3  # share of the best trials that lie at an edge
FEWEST = 5  # trials of which best ones can be named
DISORDER = 1  # pairs of the best five that may lie in another order than their scores, where these rise to an edge
FURTHER = 100.0  # how much further down a path goes
LONGER = 2  # how many times as many epochs are trained
NOTHING = 0.1  # share of the reference's gap that is next to nothing
DECADES = 1e5  # how far an end moves where the whole range does next to nothing


@dataclass(frozen=True)
class RangeExtension:
    """A part of a space, the same with more room, and why.

    Attributes
    ----------
    name
        As of a `SpaceLeaf`.
    old, new
        Leaves, or numbers of epochs.
    why
        The numbers that say so.
    says
        What is the matter, as a sentence without its end.
    weak
        Whether the whole range does next to nothing, rather than to end too early.
    """

    name: str
    old: Any
    new: Any
    why: str
    says: str = "The best trials lie at the edge of a range"
    weak: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.old} becomes {self.new}"


def range_extensions(study: StoredStudy) -> list[RangeExtension]:
    """What needs more room, one move for each place: strengths that do nothing, paths and ranges that end too early."""
    scale = scale_of(study)
    first: dict[str, RangeExtension] = {}
    for move in (*_too_weak(study, scale), *_at_ends(study), *_at_edges(study, scale)):
        first.setdefault(move.name, move)
    return list(first.values())


def widened(space: ModelT, extensions: list[RangeExtension]) -> ModelT:
    """A space with some of its ranges extended."""
    return replaced(space, {one.name: one.new for one in extensions})


def best_sampled(study: StoredStudy) -> Trial | None:
    """The trial whose place in the space says where to go on: the best one that was sampled.

    None where the reference is as good and fits no better: what nears it ends where it ends. Where it is better by more
    than the noise of the folds, or as good while all that was searched underfits, that is too strong, and an edge says
    in which direction to leave.
    """
    best = next((trial for trial in study.complete if trial.role != "reference"), None)
    if best is None or best is study.complete[0]:
        return best
    return None if equals_reference(study, best) else best


# --- strengths that do nothing ---------------------------------------------------------------------------------


def _too_weak(study: StoredStudy, scale: Scale | None) -> Iterator[RangeExtension]:
    """Strengths that leave the reference's gap as it is, even in the upper part of their range, where it is large."""
    reference = comparable(study)
    if reference is None or not overfits(study, scale):
        return
    for place in space_leaves(study):
        leaf, end = place.leaf, place.stronger
        if not isinstance(leaf, Float) or not leaf.log or end is None:  # a strength spans orders of magnitude
            continue
        drawn, new = _drawn(study, place), wider(place, leaf, end, DECADES)
        drawn = [(trial, value) for trial, value in drawn if trial.family == reference.family]
        strong = {value: study.point(trial) for trial, value in drawn if distance(leaf, value, end) <= UPPER}
        if len(drawn) >= FEWEST and new != leaf and _do_nothing(list(strong.values()), study.point(reference)):
            why = _gaps(place.name, strong, study.point(reference))
            yield RangeExtension(place.name, leaf, new, why, "All of a range is too weak to regularize", weak=True)


def _do_nothing(points: list[Point], plain: Point) -> bool:
    """Whether points, in the mean, neither close any of the reference's gap nor give up any of its train score."""
    if not points:
        return False
    changes = (fmean(plain.gap - one.gap for one in points), fmean(plain.train - one.train for one in points))
    return max(changes) <= NOTHING * plain.gap


def _gaps(name: str, strong: Mapping[float, Point], plain: Point) -> str:
    tried = " to ".join(dict.fromkeys(f"{value:.3g}" for value in (min(strong), max(strong))))
    gap, train = (fmean(getattr(point, part) for point in strong.values()) for part in ("gap", "train"))
    return (
        f"the strongest {name} tried ({tried}): mean gap {format_number(gap, 3)}, train {format_number(train, 4)}; "
        f"the reference: {format_number(plain.gap, 3)}, {format_number(plain.train, 4)}"
    )


def _drawn(study: StoredStudy, place: SpaceLeaf) -> list[tuple[Trial, Any]]:
    """The trials that drew a leaf, best first, each with its value."""
    trials = [trial for trial in study.complete if trial.role != "reference"]
    drawn = ((trial, draws_of(study, trial)) for trial in trials)
    return [(trial, draws[place.name]) for trial, draws in drawn if place.name in draws]


# --- paths that end too early ----------------------------------------------------------------------------------


def still_rising_at_end(study: StoredStudy) -> list[Trial]:
    """The trials whose scores still rise where their paths end, of the best of each kind: the kinds are not compared.

    The first kind is that of the best trial that was sampled, else of the winner.
    """
    best = best_sampled(study) or study.candidates[0]  # a reference trains for too short a time too
    of_kind = {} if best.stands else {best.kind: best}  # what was stopped has no end yet
    for trial in study.complete:
        if trial.role != "reference" and not trial.stands:
            of_kind.setdefault(trial.kind, trial)
    return [trial for trial in of_kind.values() if _ends_early(study, trial)]


def _ends_early(study: StoredStudy, best: Trial) -> bool:
    """Whether the scores of a trial still rise where its path ends, unless that is where the reference lies."""
    if best.steps == 1 or not study.trajectory(best.number).rising:
        return False
    return not (path_axis(best.axis).descending and equals_reference(study, best))


def says_of_kinds(study: StoredStudy, rising: list[Trial]) -> str:
    """That the best points of some kinds are the last of their paths, the kinds named where a study has several."""
    said = path_axis(rising[0].axis).last
    several = len({trial.kind for trial in study.complete if trial.role != "reference"}) > 1
    kinds = " and ".join(dict.fromkeys(trial.kind for trial in rising))
    return f"{said} for {kinds}" if several and kinds else said


def limits(study: StoredStudy, trial: Trial) -> list[tuple[str, Any]]:
    """Name and content of what says in a space where the path of a trial ends."""
    axis = path_axis(trial.axis)
    return [
        (name, value)
        for name, value in values_taken(fields_of(study), draws_of(study, trial))
        if name.rpartition(".")[2] in axis.limits or (isinstance(value, Path) and axis.name in name.split("."))
    ]


def _at_ends(study: StoredStudy) -> Iterator[RangeExtension]:
    rising = still_rising_at_end(study)
    says = says_of_kinds(study, rising) if rising else ""
    for best in rising:
        axis = path_axis(best.axis)
        for name, value in limits(study, best):
            if isinstance(value, Path) and value.ratio is not None:  # without one it goes on for as long as it can
                why = f"the best step is the last of {best.steps}, {_ratio(best, study):.1e} of the first"
                yield RangeExtension(name, value, _longer_path(value, best, study), why, says)
            elif not isinstance(value, Path) and _at_limit(study, name, value, best):  # else patience ended it
                why = f"best at {axis.name} {axis.text(best.value)}, the last"
                yield from (RangeExtension(name, value, new, why, says) for new in _longer(value, best.steps))


def _longer_path(leaf: Path, best: Trial, study: StoredStudy) -> Path:
    # the families of a space share one ratio, and by default ridge reaches further: none must be cut short
    reached = [_ratio(trial, study) for trial in study.complete if trial.steps > 1 and not trial.stands]
    return leaf.replace(ratio=trim_digits(min(_ratio(best, study) / FURTHER, *reached)))


def _ratio(trial: Trial, study: StoredStudy) -> float:
    axis = study.trajectory(trial.number).axis
    return float(axis[axis > 0][-1] / axis[0])


def _at_limit(study: StoredStudy, name: str, value: Any, trial: Trial) -> bool:
    """Whether a trial took as many steps as a limit allowed it: the reference, the largest."""
    return bool(draws_of(study, trial).get(name, _largest(value)) == trial.steps)


def _largest(value: Any) -> float:
    return max((end for end in bounds_of(value) if isinstance(end, int | float)), default=0)


def _longer(value: Any, reached: int) -> list[Any]:
    """A limit of a training that reached it, further away; nothing where there is room for more."""
    if isinstance(value, Float | Int):
        return [value.replace(high=LONGER * value.high)] if distance(value, reached, "high") <= UPPER else []
    if isinstance(value, Choice):
        return (
            [Choice(*value.options, LONGER * reached, start=value.options[value.start])]
            if reached == _largest(value)
            else []
        )
    return [LONGER * value]


# --- optima at the edge of a range -----------------------------------------------------------------------------


def _at_edges(study: StoredStudy, scale: Scale | None) -> Iterator[RangeExtension]:
    first = best_sampled(study)
    # then less regularization is no way to go
    astray = overfits(study, scale) and no_better_than_constant(study, scale)
    for place in space_leaves(study) if first else ():
        leaf, drawn = place.leaf, _drawn(study, place)
        if isinstance(leaf, Float | Int) and len(drawn) >= FEWEST and drawn[0][0] is first:
            open_: list[End] = [end for end in ENDS if not astray or place.stronger in (None, end)]
            yield from (move for end in open_ if (move := _of_range(place, leaf, end, drawn, study)))


def _of_range(
    place: SpaceLeaf, leaf: Float | Int, end: End, drawn: list[tuple[Trial, Any]], study: StoredStudy
) -> RangeExtension | None:
    away, new = [distance(leaf, value, end) for _, value in drawn], wider(place, leaf, end)
    if away[0] > EDGE or new == leaf or not (_crowd(away) or _rise(away)):
        return None
    limit = f"{place.name} of the best trial lies within 5% of {getattr(leaf, end):.4g}"
    inner = next((trial for (trial, _), far in zip(drawn, away, strict=True) if far > EDGE), None)
    if inner is None:
        return RangeExtension(place.name, leaf, new, f"{limit}, as all others do")
    gain = difference(study, drawn[0][0], inner)
    return (
        RangeExtension(place.name, leaf, new, f"{limit}, {gain} better than any further in")
        if may_be_gain(gain)
        else None
    )


def _crowd(distances: Sequence[float]) -> bool:
    """Whether most of the best trials lie at an edge, by their distances ``[T]`` from it, best trial first."""
    best = distances[: max(3, len(distances) // 10)]
    return sum(away <= EDGE for away in best) >= CROWD * len(best)


def _rise(distances: Sequence[float]) -> bool:
    """Whether the best few trials are the better the nearer to an edge they lie."""
    return sum(nearer > further for nearer, further in combinations(distances[:FEWEST], 2)) <= DISORDER
