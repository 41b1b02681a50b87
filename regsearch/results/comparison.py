"""Two or more studies of the same problem on the same folds, such as a linear model against a net: which one is better?

What is compared is the chosen trial of each study, fold by fold. The standard error allows for training sets that
overlap (Nadeau & Bengio 2003); p is two-sided, of one comparison: the more studies, the more of them are small
by chance. And a choice is the best of many trials, so the study that tried more is flattered more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.metrics.statistics import overlap, resampled_se
from regsearch.models.path import ROUNDING
from regsearch.results.choice import Chosen
from regsearch.results.formatting import aligned, format_value, json_safe
from regsearch.results.results import Results
from regsearch.results.rules import ALPHA, Rule

# what must be equal for scores to be compared fold by fold, and what to call it
MUST_MATCH = {"fingerprint": "data", "folds_hash": "folds"}


@dataclass(frozen=True)
class ComparedStudy:
    """One study of a comparison.

    Attributes
    ----------
    name, space
        The study's, and what it searched (``linear``, ``net``, ...).
    chosen
        Its choice.
    complexity
        Mean over folds: coefficients or weights that are not zero; NaN where unknown.
    counts
        Number of trials by state.
    seconds
        Wall time of all fits together.
    """

    name: str
    space: str
    chosen: Chosen
    complexity: float
    counts: Mapping[str, int]
    seconds: float

    @property
    def finished(self) -> int:
        """Trials that came to an end."""
        return sum(self.counts[state] for state in ("complete", "pruned", "failed"))

    @property
    def seconds_per_trial(self) -> float:
        return self.seconds / max(self.finished, 1)

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        point = self.chosen.point
        row: dict[str, Any] = json_safe(
            {
                "study": self.name, "space": self.space, "number": self.chosen.number, "score": point.val,
                "se": point.val_se, "train": point.train, "gap": point.gap, "complexity": self.complexity,
                "counts": dict(self.counts), "seconds": self.seconds, "seconds_per_trial": self.seconds_per_trial,
            }
        )  # fmt: skip
        return row


@dataclass(frozen=True)
class Difference:
    """A study against the first one.

    Attributes
    ----------
    mean, se
        Of the score differences paired by fold, positive where this study is better; the standard error is corrected.
    p
        Two-sided, of the corrected resampled t-test (Nadeau & Bengio 2003); NaN for a single fold.
    gap, gap_se
        Of the gaps, likewise.
    """

    name: str
    mean: float
    se: float
    p: float
    gap: float
    gap_se: float


@dataclass(frozen=True)
class Comparison:
    """Studies side by side, each against the first."""

    metric: str
    sides: tuple[ComparedStudy, ...]
    differences: tuple[Difference, ...]

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        differences = [json_safe({"study": one.name} | {k: v for k, v in vars(one).items() if k != "name"})
                       for one in self.differences]  # fmt: skip
        return {"metric": self.metric, "studies": [side.row() for side in self.sides], "differences": differences}

    @property
    def summary(self) -> str:
        """One sentence for each study but the first."""
        return "\n".join(_sentence(one, self.sides[0].name, self.metric) for one in self.differences)

    def __str__(self) -> str:
        head = (
            "study", "space", self.metric, "difference", "p", "gap", "gap difference", "complexity", "trials",
            "s/trial", "s",
        )  # fmt: skip
        lines = [_line(side, one) for side, one in zip(self.sides, (None, *self.differences), strict=True)]
        return "\n".join([*aligned([head, *lines]), self.summary])


def compare(first: Results, *others: Results, rule: str | Rule = "best") -> Comparison:
    """Studies of one problem on the same folds, each against the first.

    Parameters
    ----------
    first, others
        Two or more.
    rule
        What chooses the trial of each.

    Raises
    ------
    InvalidInput
        When there is one study only, or data, folds or deciding metric differ.
    """
    if not others:
        raise InvalidInput(f"A comparison needs two studies or more, got {first.name!r} alone; name another.")
    for other in others:
        _check_comparable(first, other)
    sides = tuple(_side(results, rule) for results in (first, *others))
    (val, gap), *rest = (_folds(results, side.chosen) for results, side in zip((first, *others), sides, strict=True))
    ratio = overlap(first.folds, len(val))
    differences = tuple(
        _difference(side.name, own_val - val, own_gap - gap, ratio)
        for side, (own_val, own_gap) in zip(sides[1:], rest, strict=True)
    )
    return Comparison(first.metric, sides, differences)


def _check_comparable(first: Results, other: Results) -> None:
    kept = [(what, first.identity[key], other.identity[key]) for key, what in MUST_MATCH.items()]
    kept.append(("deciding metric", first.identity["scoring"][0], other.identity["scoring"][0]))
    for what, mine, other_s in kept:
        if mine != other_s:
            raise InvalidInput(
                f"Studies are compared on the same {what} only: {first.name!r} has {mine}, {other.name!r} has "
                f"{other_s}; run one of them again with the other's."
            )


def _side(results: Results, rule: str | Rule) -> ComparedStudy:
    chosen = results.choose(rule)
    return ComparedStudy(
        results.name, str(results.identity["space"]), chosen, chosen.trial.complexity, results.counts,
        sum(trial.seconds for trial in results.all),
    )  # fmt: skip


def _folds(results: Results, chosen: Chosen) -> tuple[Array, Array]:
    """``[K]`` validation scores and gaps of a choice."""
    curves = results.curves(chosen.number)
    val = curves.val[:, chosen.step]
    return val, curves.train[:, chosen.step] - val


def _difference(name: str, scores: Array, gaps: Array, ratio: float) -> Difference:
    """Of differences ``[K]`` by fold."""
    mean, se = float(scores.mean()), float(resampled_se(scores, ratio))
    gap_se = float(resampled_se(gaps, ratio))
    return Difference(name, mean, se, _p_value(mean, se, len(scores)), float(gaps.mean()), gap_se)


def _p_value(mean: float, se: float, folds: int) -> float:
    """Two-sided; 1 where the folds do not differ, 0 where each differs by the same, NaN for a single fold."""
    from scipy.stats import t

    if not math.isfinite(se):
        return math.nan
    if abs(mean) <= ROUNDING or se == 0:
        return float(abs(mean) <= ROUNDING)
    return float(2 * t.sf(abs(mean) / se, folds - 1))


def _sentence(one: Difference, first: str, metric: str) -> str:
    by = f"{format_value(abs(one.mean), one.se)} in {metric}"
    known = f"p = {one.p:.2g}" if math.isfinite(one.p) else "a single fold: no test"
    if one.p < ALPHA:
        return f"{one.name} is {'better' if one.mean > 0 else 'worse'} than {first} by {by} ({known})."
    return f"{one.name} and {first} cannot be told apart: they differ by {by} ({known})."


def _line(side: ComparedStudy, one: Difference | None) -> Sequence[str]:
    point = side.chosen.point
    against = ("", "") if one is None else (format_value(one.mean, one.se, "+"), f"{one.p:.2g}")
    gap = "" if one is None else format_value(one.gap, one.gap_se, "+")
    complexity = f"{side.complexity:.4g}" if math.isfinite(side.complexity) else "-"
    return (
        side.name, side.space, format_value(point.val, point.val_se, digits=5), *against, f"{point.gap:.3g}", gap, complexity,
        f"{side.counts['complete']} of {side.finished}", f"{side.seconds_per_trial:.2g}", f"{side.seconds:.3g}",
    )  # fmt: skip
