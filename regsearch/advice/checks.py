"""The checks that advice comes from: each a small function from a study to a piece of advice, or none.

None speaks up unless there is something to do about it, and each says the numbers that it goes by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch.advice.edges import ends_early, front, moves, places, stored
from regsearch.advice.evidence import Scale, difference, rounding_of, sampled, scale_of
from regsearch.axes import EPOCHS, path_axis
from regsearch.space import size
from regsearch.table import Table
from regsearch.tree import Path

MOST = 5  # pieces of advice that someone reads
PERFECT = 1e-3  # share of a constant's loss that is left of it when a score counts as perfect
LITTLE = 0.05  # share of the way from a constant to a perfect score that counts as having learned next to nothing
LOST = 0.5  # share of what is learned on training rows that does not carry over, to speak of overfitting
CLEAR = 2.0  # standard errors by which the reference must win for a verdict on the ranges
NOISE = 0.1  # standard error, as a share of what the winner gains on a constant, that is worth more folds
SPREAD = 100.0  # ratio of column scales that distorts a penalty
CONDITION = 1000.0  # eigenvalue ratio of strong collinearity: a condition index of about 30 (Belsley et al. 1980)
PER_PARAMETER = 5  # trials that a searched parameter needs at the least
MANY = 20  # trials from which a trend can be told
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


def advise(table: Table) -> list[Advice]:
    """What to do next about a study: at most five pieces of advice, the most important first, usually fewer."""
    if not table.complete:
        return []
    found = (check(table) for check in CHECKS)
    return [one for one in found if one is not None][:MOST]


def leak(table: Table) -> Advice | None:
    """Train and validation scores that are all but perfect."""
    point, scale = table.point(table.complete[0]), scale_of(table)
    if scale is None or min(scale.learned(point.train), scale.learned(point.val)) < 1 - PERFECT:
        return None
    features = (table.finding("meaning") or {}).get("features", [])
    first = f" Begin with {features[0]['name']!r}, which has the largest coefficient." if features else ""
    return Advice(
        "leak", f"The scores are too good: look for y, or something made from it, among the columns.{first}",
        f"{table.metric} train {point.train:.4g}, validation {point.val:.4g}, perfect {scale.perfect:.4g}, "
        f"constant {scale.constant:.4g}",
    )  # fmt: skip


def unscaled(table: Table) -> Advice | None:
    """A penalty on columns of very different units that nothing scales."""
    params, facts = table.complete[0].params or {}, table.finding("facts") or {}
    spread = facts.get("scale_spread") or 1.0
    if spread < SPREAD or params.get("scale") != "none" or "scale" in table.varied:
        return None
    return Advice(
        "scale", "Columns of very different units are not scaled, so that a penalty weighs most on those with small "
        "numbers; pass scale='standard', or let it be searched: Choice('standard', 'none').",
        f"largest over smallest standard deviation of a column {spread:.3g}, scale=none in every trial",
    )  # fmt: skip


def no_gain(table: Table) -> Advice | None:
    """Nothing that beats the reference by more than the noise of the folds."""
    reference, best = table.reference, next((t for t in table.complete if t.role != "reference"), None)
    if reference is None or best is None or (better := difference(table, best, reference)).certain:
        return None
    if edge(table) is not None:  # what was searched ends too early for a verdict
        return None
    text = (
        "Regularization does not help here: the reference is as good without any. Take the simplest that is as good "
        "(--rule paired), or search a larger model, which has something to regularize."
    )
    if difference(table, reference, best).beyond(CLEAR):
        text = "All that was searched is worse than the reference: move the ranges towards less regularization."
    point = table.point(reference)
    return Advice(
        "no gain", text, f"{table.metric} of the reference ({table.identity['reference']}) {point.val:.4g}, gap "
        f"{point.gap:.3g}; the best of {len(sampled(table))} other trials is better by {better}",
    )  # fmt: skip


def underfit(table: Table) -> Advice | None:
    """A winner that knows hardly more of its own training rows than a constant."""
    point, scale = table.point(table.complete[0]), scale_of(table)
    if scale is None or scale.learned(point.train) > LITTLE:
        return None
    remedy = "give it other columns, or a model that bends, such as a net"
    if table.complete[0].axis == EPOCHS.name:
        remedy = "train for longer or with another lr, or give it other columns"
    return Advice(
        "underfit", f"The model learns next to nothing, even of its training rows, which no penalty mends: {remedy}.",
        f"train {table.metric} {point.train:.4g}, of a constant prediction {scale.constant:.4g}, perfect "
        f"{scale.perfect:.4g}",
    )  # fmt: skip


def edge(table: Table) -> Advice | None:
    """An optimum at the edge of what was searched."""
    found, best = moves(table), front(table) or table.complete[0]  # a reference trains for too short a time too
    axis = path_axis(best.axis)
    ranges = [move for move in found if not isinstance(move.old, Path)]
    texts = [f"{move.name} is best at the edge of its range: try {move.new}." for move in ranges]
    evidence = [move.why for move in found]
    if ends_early(table, best) and axis.beyond:
        texts.insert(0, axis.beyond)
        if len(ranges) == len(found):
            evidence.insert(0, f"best at {axis.name} {axis.text(best.value)}, the last")
    if not texts:
        return None
    if found:
        texts.append("Run it with --widen.")
    return Advice("edge", " ".join(texts), "; ".join(evidence))


def overfit(table: Table) -> Advice | None:
    """A winner that still loses most of what it learns on training rows."""
    point, scale = table.point(table.complete[0]), scale_of(table)
    if scale is None or _lost(scale, point.train, point.val) < LOST:
        return None
    if not point.gap > max(2 * point.gap_se, rounding_of(point)):
        return None
    reference = "" if table.reference is None else f", of the reference {table.point(table.reference).gap:.3g}"
    return Advice(
        "overfit", "Even the winner loses most of what it learns on training rows: search other ways to regularize, "
        "fewer columns or a smaller model, or get more rows.",
        f"gap {point.gap:.3g} ± {point.gap_se:.2g}{reference}; train {table.metric} {point.train:.4g}, validation "
        f"{point.val:.4g}, of a constant prediction {scale.constant:.4g}",
    )  # fmt: skip


def _lost(scale: Scale, train: float, val: float) -> float:
    """Share of what is learned on training rows that does not carry over."""
    learned = train - scale.constant
    return (train - val) / learned if learned > 0 else 0.0


def noisy(table: Table) -> Advice | None:
    """Folds that disagree more than trials differ."""
    scores, scale = [table.point(trial).val for trial in sampled(table)], scale_of(table)
    point = table.point(table.complete[0])
    if scale is None or len(scores) < 2 * PER_PARAMETER:
        return None
    ahead = point.val - float(np.median(scores))
    if not point.val_se > max(ahead, NOISE * abs(point.val - scale.constant), rounding_of(point)):
        return None
    return Advice(
        "noise", "The folds disagree more than the trials differ, so which trial is best is chance: take the most "
        "regularized one (--rule one_se), or repeat the folds (cv=RepeatedKFold(n_repeats=5)).",
        f"standard error of the best score {point.val_se:.3g}, its lead on the median of {len(scores)} trials "
        f"{ahead:.2g}",
    )  # fmt: skip


def collinear(table: Table) -> Advice | None:
    """A linear winner whose coefficients hang on columns that nearly repeat each other."""
    values = (table.finding("facts") or {}).get("eigenvalues")
    params = table.complete[0].params or {}
    if values is None or table.identity["space"] != "linear" or params.get("scale") != "standard":
        return None
    # curvature of the log loss is at most a quarter of that of half the squared error
    ridge = _ridge(params) * (1 if table.identity["task"] == "regression" else 4)
    before, after = (_ratio(values[1] + one, values[0] + one) for one in (0.0, ridge))
    tried = any(_ridge(trial.params or {}) > 0 for trial in sampled(table))
    if after < CONDITION or (tried and table.identity["columns"] >= table.identity["rows"]):
        return None
    what = "drop or merge some" if tried else "search a penalty with an L2 part (l2, elastic_net), or drop some"
    return Advice(
        "collinear", f"Columns nearly repeat each other, and single coefficients mean little: {what}.",
        f"condition number of the correlation matrix {before:.3g}, with the winner's L2 part {after:.3g}",
    )  # fmt: skip


def _ridge(params: Mapping[str, Any]) -> float:
    return float(params.get("lambda") or 0.0) * (1 - float(params.get("l1_ratio", 1.0)))


def _ratio(greatest: float, least: float) -> float:
    return greatest / least if least > 0 else float("inf")


def few(table: Table) -> Advice | None:
    """A search that ended before it was done."""
    done, searched = sampled(table), [place for place in places(table.identity) if not isinstance(place.leaf, Path)]
    tried = len({trial.key for trial in table.all if trial.config is not None and trial.role != "reference"})
    configs = size(stored(table.identity))
    if not done or (configs is not None and tried >= configs):
        return None
    wanted = PER_PARAMETER * len(searched)
    lacking = (wanted if configs is None else min(wanted, configs)) - tried
    if lacking > 0:
        ran = sum(trial.state != "waiting" for trial in table.all)
        total = ROUND * math.ceil((ran + lacking) / ROUND)  # --trials counts what was run
        return Advice(
            "trials", f"That is few trials for this space: go on, with --trials {total} or more.",
            f"{tried} configs tried, {len(searched)} parameters searched",
        )  # fmt: skip
    early = done[: len(done) * 3 // 4]
    if len(done) < MANY or table.complete[0].number in {trial.number for trial in early}:
        return None
    before = max(early, key=lambda trial: table.point(trial).val)
    gain = difference(table, table.complete[0], before)
    if table.complete[0].role == "reference" or not gain.certain:
        return None
    return Advice(
        "trials", f"The scores were still rising when the search ended: go on, with --trials {2 * len(table.all)}.",
        f"the best is trial {table.complete[0].number} of {len(table.all)}; the last quarter gained {gain}",
    )  # fmt: skip


CHECKS: tuple[Callable[[Table], Advice | None], ...] = (
    leak, unscaled, edge, no_gain, underfit, overfit, noisy, collinear, few,
)  # fmt: skip
