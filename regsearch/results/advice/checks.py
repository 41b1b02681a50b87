"""The checks that advice comes from: each a small function from a study to a piece of advice, or none.

None speaks up unless there is something to do about it, and each says the numbers that it goes by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from regsearch.models.axes import EPOCHS, path_axis
from regsearch.models.path import Point
from regsearch.numeric import format_number
from regsearch.results.advice.evidence import (
    CLEAR,
    Scale,
    difference,
    has_gap,
    lead_on_constant,
    may_be_gain,
    no_better_than_constant,
    overfits,
    sampled,
    scale_of,
)
from regsearch.results.advice.leaves import fields_of, space_leaves
from regsearch.results.advice.more_folds import more_folds
from regsearch.results.advice.ranges import (
    RangeExtension,
    limits,
    range_extensions,
    says_of_kinds,
    still_rising_at_end,
)
from regsearch.results.stored_study import StoredStudy, comparable, is_winner, reference_name, unfilled_config
from regsearch.space.path import Path
from regsearch.space.sampling import size
from regsearch.storage.trial import Trial

MOST = 5  # pieces of advice that someone reads
PERFECT = 1e-3  # share of a constant's loss that is left of it when a score counts as perfect
LITTLE = 0.05  # share of the way from a constant to a perfect score that counts as having learned next to nothing
CLOSED = 0.1  # share of what is learned on training rows that may be lost where there is no gap to close
NOISE = 0.1  # standard error, as a share of what the winner gains on a constant, that is worth more folds
SPREAD = 100.0  # ratio of column scales that distorts a penalty
CONDITION = 1000.0  # eigenvalue ratio of strong collinearity: a condition index of about 30 (Belsley et al. 1980)
PER_PARAMETER = 5  # trials that a searched parameter needs at the least
MANY = 20  # trials from which a trend can be seen
ROUND = 10  # totals of trials that are proposed are multiples of it


@dataclass(frozen=True)
class Advice:
    """Something to do.

    Attributes
    ----------
    topic
        What it is about, in a word or two.
    text
        What is the matter, and what to do.
    evidence
        The numbers that say so.
    """

    topic: str
    text: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.text} ({self.evidence})"


@dataclass(frozen=True)
class Case:
    """A study with a score, and what several checks weigh it by."""

    study: StoredStudy

    @property
    def best(self) -> Trial:
        return self.study.candidates[0]

    @property
    def point(self) -> Point:
        return self.study.point(self.best)

    @cached_property
    def scale(self) -> Scale | None:
        return scale_of(self.study)

    @cached_property
    def extensions(self) -> list[RangeExtension]:
        return range_extensions(self.study)

    @cached_property
    def sampled(self) -> list[Trial]:
        return sampled(self.study)


def advise(study: StoredStudy) -> list[Advice]:
    """What to do next about a study: at most five pieces of advice, the most important first, usually fewer."""
    if not study.complete:
        return []
    case = Case(study)
    found = [one for check in CHECKS if (one := check(case)) is not None]
    beside = {topic for one in found for topic in OVERRULED.get(one.topic, ())}
    return [one for one in found if one.topic not in beside][:MOST]


def leak(case: Case) -> Advice | None:
    """Train and validation scores that are all but perfect."""
    point, scale = case.point, case.scale
    if scale is None or min(scale.learned(point.train), scale.learned(point.val)) < 1 - PERFECT:
        return None
    interpretation = case.study.finding("interpretation")
    features = interpretation.get("features", []) if interpretation and is_winner(case.study, interpretation) else []
    suspects = (case.study.finding("suspects") or {}).get("disguised")
    first = f" Begin with {features[0]['name']!r}, which has the largest coefficient." if features else ""
    if suspects:
        first = f" Begin with {suspects[0]!r}, which tells y alone."
    return Advice(
        "leak", f"The scores are too good: look for y, or something made from it, among the columns.{first}",
        f"{case.study.metric_label} train {format_number(point.train, 4)}, validation {format_number(point.val, 4)}, "
        f"perfect {format_number(scale.perfect, 4)}, "
        f"constant {format_number(scale.constant, 4)}",
    )  # fmt: skip


def unscaled(case: Case) -> Advice | None:
    """A penalty on columns of very different units that nothing scales."""
    params, profile = case.best.params, case.study.finding("profile") or {}
    spread = profile.get("scale_spread") or 1.0
    if spread < SPREAD or params.get("scale") != "none" or "scale" in case.study.varied:
        return None
    return Advice(
        "scale", "Columns of very different units are not scaled, so that a penalty weighs most on those with small "
        "numbers; pass scale='standard', or let it be searched: Choice('standard', 'none').",
        f"largest over smallest standard deviation of a column {spread:.3g}, scale=none in every trial",
    )  # fmt: skip


def weak(case: Case) -> Advice | None:
    """Strengths that do next to nothing anywhere in their range, where the winner overfits."""
    return _range_advice("weak", [move for move in case.extensions if move.weak])


def edge(case: Case) -> Advice | None:
    """An optimum at the edge of what was searched."""
    found = [move for move in case.extensions if not move.weak]
    early = [one for one in still_rising_at_end(case.study) if path_axis(one.axis).last]
    if found or not early:
        return _range_advice("edge", found)
    axis, says = path_axis(early[0].axis), says_of_kinds(case.study, early)
    evidence = "; ".join(
        f"trial {one.number} is best at {axis.name} {axis.text(one.value)}, the last of {one.steps} steps"
        for one in early
    )
    if not limits(case.study, early[0]):
        return Advice("edge", f"{says}: let it go further.", evidence)  # only the user's script knows what it ends by
    if axis.descending and any(isinstance(value, Path) for _, value in limits(case.study, early[0])):
        text = (
            f"{says}, where it explains all of y in training or the solver gives up: its score is the least it can do."
        )
        return Advice("edge", f"{text} Get more rows, or search an L2 part.", evidence)
    return None


def _range_advice(topic: str, found: list[RangeExtension]) -> Advice | None:
    if not found:
        return None
    says = dict.fromkeys(move.says for move in found)
    tries = {what: [f"{move.name} = {move.new}" for move in found if move.says == what] for what in says}
    texts = [f"{what}: try {', '.join(new)}." for what, new in tries.items()]
    evidence = dict.fromkeys(move.why for move in found)
    return Advice(topic, " ".join([*texts, "Run it with --widen."]), "; ".join(evidence))


def too_strong(case: Case) -> Advice | None:
    """Nothing that comes near the reference."""
    study, reference, best = case.study, comparable(case.study), _best_sampled(case)
    given_up = sum(trial.state == "pruned" for trial in study.all)
    if reference is None or (best is None and not given_up):
        return None
    behind = f"{given_up} other trials were given up as worse, none was finished"
    if best is not None:
        worse = difference(study, reference, best)
        behind = f"better than the best of {len(case.sampled)} other trials by {worse}"
        if not worse.beyond(CLEAR):
            return None
    return Advice(
        "too strong",
        "All that was searched is worse than the reference: move the ranges towards less regularization.",
        f"{_of_reference(case, reference)}; {behind}",
    )


def no_gain(case: Case) -> Advice | None:
    """Nothing that beats the reference by more than the noise of the folds."""
    study, reference, best = case.study, comparable(case.study), _best_sampled(case)
    if reference is None or best is None or may_be_gain(better := difference(study, best, reference)):
        return None
    text = (
        "Regularization does not help here: the reference is as good without any. Take the simplest that is as good "
        "(--rule paired), or search a larger model, which has something to regularize."
    )
    point = study.point(reference)
    if has_gap(point) and (case.scale is None or case.scale.lost(point) > CLOSED):
        text = (
            "There is a gap between training and validation rows, and nothing that was searched makes up for it: "
            "search other ways to regularize, fewer columns, or get more rows."
        )
    return Advice(
        "no gain", text,
        f"{_of_reference(case, reference)}; the best of {len(case.sampled)} other trials is better by {better}",
    )  # fmt: skip


def _best_sampled(case: Case) -> Trial | None:
    return next((trial for trial in case.study.complete if trial.role != "reference"), None)


def _of_reference(case: Case, reference: Trial) -> str:
    point, name = case.study.point(reference), reference_name(case.study, reference)
    score, gap = format_number(point.val, 4), format_number(point.gap, 3)
    return f"{case.study.metric_label} of the reference ({name}) {score}, gap {gap}"


def underfit(case: Case) -> Advice | None:
    """A winner that knows hardly more of its own training rows than a constant."""
    point, scale = case.point, case.scale
    if scale is None or scale.learned(point.train) > LITTLE:
        return None
    remedy = "give it other columns, or a model that bends, such as a net"
    if case.best.axis == EPOCHS.name:
        remedy = "train for longer or with another lr, or give it other columns"
    return Advice(
        "underfit",
        f"The model learns next to nothing, even of its training rows, which no penalty mends: {remedy}."
        f"{_verdict(case)}",
        f"{_figures(case, scale)}, perfect {format_number(scale.perfect, 4)}",
    )


def overfit(case: Case) -> Advice | None:
    """A winner that still loses most of what it learns on training rows."""
    study, point, scale = case.study, case.point, case.scale
    if scale is None or not overfits(study, scale) or not case.sampled:
        return None
    plain = comparable(study)
    reference = "" if plain is None else f", of the reference {format_number(study.point(plain).gap, 3)}"
    return Advice(
        "overfit", "Even the winner loses most of what it learns on training rows: search other ways to regularize, "
        f"fewer columns or a smaller model, or get more rows.{_verdict(case)}",
        f"gap {format_number(point.gap, 3)} ± {format_number(point.gap_se, 2)}{reference}; {_figures(case, scale)}",
    )  # fmt: skip


def _verdict(case: Case) -> str:
    """Said of a winner that is no better than a constant prediction."""
    better = not no_better_than_constant(case.study, case.scale)
    return "" if better else " Its score is no better than that of a constant prediction."


def _figures(case: Case, scale: Scale) -> str:
    point = case.point
    train = point.train if abs(point.train) > point.least_difference else 0.0
    return (
        f"train {case.study.metric_label} {format_number(train, 4)}, validation {format_number(point.val, 4)}, "
        "better than a constant prediction "
        f"({format_number(scale.constant, 4)}) by {lead_on_constant(case.study, case.best, scale)}"
    )


def noisy(case: Case) -> Advice | None:
    """Folds that disagree more than trials differ."""
    scores, scale, point = [case.study.point(trial).val for trial in case.sampled], case.scale, case.point
    if scale is None or len(scores) < 2 * PER_PARAMETER:
        return None
    ahead = point.val - float(np.median(scores))
    if not point.val_se > max(ahead, NOISE * abs(point.val - scale.constant), point.least_difference):
        return None
    assert case.study.scoring is not None  # or there were no scale
    more = more_folds(case.study.scoring.folds, case.study.scoring.problem)
    return Advice(
        "noise", "The folds disagree more than the trials differ, so which trial is best is chance: take the most "
        f"regularized one (--rule one_se){more and f', or {more}'}.",
        f"standard error of the best score {format_number(point.val_se, 3)}, its lead on the median of {len(scores)} "
        f"trials {format_number(ahead, 2)}",
    )  # fmt: skip


def collinear(case: Case) -> Advice | None:
    """A linear winner whose coefficients hang on columns that nearly repeat each other."""
    study = case.study
    values = (study.finding("profile") or {}).get("eigenvalues")
    params = case.best.params
    if values is None or not case.sampled or not _is_linear(case) or params.get("scale") != "standard":
        return None
    # curvature of the log loss is at most a quarter of that of half the squared error
    ridge = _ridge(study, case.best) * (1 if study.identity["task"] == "regression" else 4)
    before, after = (_ratio(values[1] + one, values[0] + one) for one in (0.0, ridge))
    tried = any(_ridge(study, trial) > 0 for trial in case.sampled)
    if after < CONDITION or (tried and study.identity["columns"] >= study.identity["rows"]):
        return None
    what = "drop or merge some" if tried else "search a penalty with an L2 part (l2, elastic_net), or drop some"
    return Advice(
        "collinear", f"Columns nearly repeat each other, and single coefficients mean little: {what}.",
        f"condition number of the correlation matrix {before:.3g}, with the winner's L2 part {after:.3g}",
    )  # fmt: skip


def _is_linear(case: Case) -> bool:
    return bool((case.best.config or {}).get("type") == "linear")


def _ridge(study: StoredStudy, trial: Trial) -> float:
    """The strength of the L2 part of a trial's penalty; of one that only the user's script has, by its L1 ratio."""
    penalty = getattr(unfilled_config(study, trial), "penalty", None)
    share = getattr(penalty, "l2_share", 1 - float(trial.params.get("l1_ratio", 1.0)))
    return float(trial.lambda_ or 0.0) * float(share)


def _ratio(greatest: float, least: float) -> float:
    return greatest / least if least > 0 else float("inf")


def few(case: Case) -> Advice | None:
    """A search that ended before it was done."""
    study, done = case.study, case.sampled
    searched = [place for place in space_leaves(study) if not isinstance(place.leaf, Path)]
    known = [trial for trial in study.all if trial.state != "outside"]
    tried = len({trial.key for trial in known if trial.config is not None and trial.role != "reference"})
    configs = size(fields_of(study))
    if configs is not None and tried >= configs:
        return None
    wanted = max(PER_PARAMETER * len(searched), 1)  # a path has no parameter, and must be walked
    lacking = (wanted if configs is None else min(wanted, configs)) - tried
    if lacking > 0:
        ran = sum(trial.state != "waiting" for trial in known)
        total = ROUND * math.ceil((ran + lacking) / ROUND)  # --trials counts what was run
        return Advice(
            "trials", f"That is few trials for this space: go on, with --trials {total} or more.",
            f"{tried} configs tried beside the reference, {len(searched)} parameters searched",
        )  # fmt: skip
    early = done[: len(done) * 3 // 4]
    if len(done) < MANY or study.complete[0].number in {trial.number for trial in early}:
        return None
    before = max(early, key=lambda trial: study.point(trial).val)
    gain = difference(study, study.complete[0], before)
    if study.complete[0].role == "reference" or not may_be_gain(gain):
        return None
    return Advice(
        "trials", f"The scores were still rising when the search ended: go on, with --trials {2 * len(known)}.",
        f"the best is trial {study.complete[0].number} of {len(known)}; the last quarter gained {gain}",
    )  # fmt: skip


CHECKS: tuple[Callable[[Case], Advice | None], ...] = (
    leak, unscaled, weak, edge, too_strong, no_gain, underfit, overfit, noisy, collinear, few,
)  # fmt: skip
# by topic, the topics that are beside the point then: their cause is named, or what is to be done first
OVERRULED: Mapping[str, tuple[str, ...]] = {
    "leak": (
        "weak", "edge", "too strong", "no gain", "underfit", "overfit", "noise", "collinear", "trials",
    ),
    "weak": ("no gain", "overfit", "noise", "collinear", "trials"),
    "edge": ("too strong", "no gain"),
    "too strong": ("no gain",),
    "underfit": ("no gain", "overfit", "noise", "collinear"),
    "overfit": ("no gain",),
}  # fmt: skip
