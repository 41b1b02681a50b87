"""Two or more studies of the same problem on the same folds, such as a linear model against a net: which one is better?

What is compared is the chosen trial of each study, fold by fold. The standard error allows for training sets that
overlap (Nadeau & Bengio 2003); p is two-sided, of one comparison: the more studies, the more of them are small
by chance. And a choice is the best of many trials, so the study that tried more is flattered more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.errors import InvalidInput
from regsearch.metrics.statistics import ALPHA, Estimate, tolerance_of
from regsearch.models.axes import path_axis
from regsearch.models.path import Point
from regsearch.results.choice import Chosen
from regsearch.results.formatting import Measured, format_value, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.results import Results
from regsearch.results.rules import Rule
from regsearch.results.table import Table


@dataclass(frozen=True)
class ComparedStudy:
    """One study of a comparison.

    Attributes
    ----------
    name, space
        The study's, and what it searched (``linear``, ``net``, ...).
    chosen
        Its choice.
    point
        Scores of the choice by the weights that the first study's have, under whose label they stand. Where its own are
        others, the score alone is known, and train score and gap, whose predictions are not stored, are NaN.
    complexity
        Mean over folds: degrees of freedom of a linear model, non-zero weights of a net; NaN where unknown.
    counts
        Number of trials by state.
    seconds
        Wall time of all fits together.
    """

    name: str
    space: str
    chosen: Chosen
    point: Point
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
        point = self.point
        row: dict[str, Any] = json_safe(
            {
                "study": self.name, "space": self.space, "number": self.chosen.number, "score": point.val,
                "se": point.val_se, "train": point.train, "gap": point.gap, "complexity": self.complexity,
                "counts": dict(self.counts), "seconds": self.seconds, "seconds_per_trial": self.seconds_per_trial,
            }
        )  # fmt: skip
        return row


@dataclass(frozen=True)
class StudyDifference:
    """A study minus the first, mean over folds.

    Attributes
    ----------
    name
        The study's.
    score
        Positive where this study is better. Its two-sided p is that of the corrected resampled t-test (Nadeau & Bengio
        2003).
    gap
        Of the gaps, likewise; NaN where this study's scores weigh rows otherwise than the first's.
    """

    name: str
    score: Estimate
    gap: Estimate

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        row: dict[str, Any] = json_safe({
            "study": self.name, "mean": self.score.mean, "se": self.score.se, "p": self.score.p,
            "gap": self.gap.mean, "gap_se": self.gap.se,
        })  # fmt: skip
        return row


@dataclass(frozen=True, repr=False)
class Comparison(Presented):
    """Studies side by side, each against the first."""

    metric: str
    studies: tuple[ComparedStudy, ...]
    differences: tuple[StudyDifference, ...]

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        studies, differences = ([one.row() for one in part] for part in (self.studies, self.differences))
        return {"metric": self.metric, "studies": studies, "differences": differences}

    @property
    def summary(self) -> str:
        """One sentence for each study but the first."""
        return "\n".join(_sentence(one, self.studies[0].name, self.metric) for one in self.differences)

    def blocks(self) -> Iterator[Block]:
        """The table, and a sentence for each study but the first."""
        head = (
            "study", "space", self.metric, "difference", "p", "gap", "gap difference", "complexity", "trials",
            "s/trial", "s",
        )  # fmt: skip
        rows = [_row(study, one) for study, one in zip(self.studies, (None, *self.differences), strict=True)]
        differences = ("difference", "gap", "gap difference")
        yield Table(head, rows, words={"study", "space"}, alike=(self.metric,), differences=differences)
        yield self.summary


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
        When there is one study only, or data, folds or deciding metric differ. Weights may: scores that weigh rows
        otherwise than the first study's are computed anew by its weights, and shown so.
    """
    if not others:
        raise InvalidInput(f"A comparison needs two studies or more, got {first.name!r} alone; name another.")
    for other in others:
        _check_comparable(first, other)
    choices = [(results, results.choose(rule)) for results in (first, *others)]
    folds = [_folds(first, *choice) for choice in choices]
    studies = tuple(_compared(first, *choice, own_val) for choice, (own_val, _) in zip(choices, folds, strict=True))
    (val, gap), *rest = folds
    over = first.averaging
    differences = tuple(
        StudyDifference(
            study.name, over.difference(own_val, val), over.difference(own_gap, gap, tolerance_of(own_val, val))
        )
        for study, (own_val, own_gap) in zip(studies[1:], rest, strict=True)
    )
    return Comparison(first.metric_label, studies, differences)


def _check_comparable(first: Results, other: Results) -> None:
    kept = [("data", *(_identity(one, "unweighted_fingerprint") for one in (first, other)))]
    kept.append(("folds", first.identity["folds_hash"], other.identity["folds_hash"]))
    kept.append(("weighting of folds", *(one.identity.get("fold_weights", "equal") for one in (first, other))))
    kept.append(("deciding metric", first.identity["scoring"][0], other.identity["scoring"][0]))
    for what, mine, other_s in kept:
        if mine != other_s:
            raise InvalidInput(
                f"Studies are compared on the same {what} only: {first.name!r} has {mine}, {other.name!r} has "
                f"{other_s}; run one of them again with the other's."
            )


def _compared(first: Results, results: Results, chosen: Chosen, val: Array) -> ComparedStudy:
    over, point = first.averaging, chosen.point
    if not _weighs_alike(first, results):
        point = Point(float(over.mean(val)), float(over.error(val)), math.nan, math.nan, math.nan)
    return ComparedStudy(
        results.name, str(results.identity["space"]), chosen, point, chosen.trial.complexity, results.counts,
        sum(trial.seconds for trial in results.all),
    )  # fmt: skip


def _identity(results: Results, key: str) -> str:
    """What a study's data are without weights, or with those of scores; a study without weights has one fingerprint."""
    return str(results.identity.get(key, results.identity["fingerprint"]))


def _folds(first: Results, results: Results, chosen: Chosen) -> tuple[Array, Array]:
    """``[K]`` validation scores and gaps of a choice, by the weights that the first study's scores have.

    Where its own are others the gaps are NaN: predictions of training rows are not stored.
    """
    if not _weighs_alike(first, results):
        val = _rescored(first, results, chosen)
        return val, np.full_like(val, np.nan)
    curves = results.curves(chosen.number)
    val = curves.val[:, chosen.step]
    return val, curves.train[:, chosen.step] - val


def _weighs_alike(first: Results, results: Results) -> bool:
    return _identity(first, "scores_fingerprint") == _identity(results, "scores_fingerprint")


def _rescored(first: Results, results: Results, chosen: Chosen) -> Array:
    """``[K]`` validation scores of a choice's stored predictions as the first study scores."""
    scoring, decisions = first.scoring, results.decisions(chosen.number)
    own = next(trial for trial in results.all if trial.number == chosen.number)
    once = scoring is not None and len(np.unique(rows := np.concatenate(scoring.folds.val))) == len(rows)
    if scoring is None or decisions is None or own.step != chosen.step or not once:
        raise InvalidInput(
            f"The scores of {results.name!r} weigh rows otherwise than those of {first.name!r}, and can be had "
            "alike of stored predictions alone, one for each row, at each trial's best point; run it with the other's "
            "score_weight."
        )
    held = [decisions[val][:, None] for val in scoring.folds.val]
    return np.asarray(scoring.by_fold(held, first.averaging)[:, 0])


def _sentence(one: StudyDifference, first: str, metric: str) -> str:
    score = one.score
    mean, se = score.shown
    by = f"{format_value(abs(mean), se)} in {metric}"
    known = f"p = {score.p:.2g}" if math.isfinite(score.p) else "a single fold: no test"
    if score.p < ALPHA:
        return f"{one.name} is {'better' if score.mean > 0 else 'worse'} than {first} by {by} ({known})."
    return f"{one.name} and {first} cannot be told apart: they differ by {by} ({known})."


def _row(study: ComparedStudy, one: StudyDifference | None) -> Sequence[Any]:
    point = study.point
    against = ("", "") if one is None else (Measured.of(one.score, "+"), f"{one.score.p:.2g}")
    gap = "" if one is None else Measured.of(one.gap, "+")
    complexity = (
        f"{study.complexity:.4g} {path_axis(study.chosen.axis).complexity}" if math.isfinite(study.complexity) else "-"
    )
    return (
        study.name, study.space, Measured(point.val, point.val_se), *against, point.gap, gap,
        complexity, f"{study.counts['complete']} of {study.finished}", f"{study.seconds_per_trial:.2g}",
        f"{study.seconds:.3g}",
    )  # fmt: skip
