"""What each technique of a chosen config does for it: the config again without each of them, on the same folds.

A removal is one technique taken back to what the unregularized reference has; everything else, the strength of the
others included, stays as it was chosen. So an ablation says what a technique adds to *this* config: not what the best
config without it would reach, which takes a search of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from regsearch._types import Array
from regsearch.errors import SearchFailed
from regsearch.metrics.statistics import Estimate, overlap, paired_difference
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.path import Point
from regsearch.progress import Progress
from regsearch.results.choice import Chosen
from regsearch.results.formatting import format_estimate, format_items, format_value, json_safe
from regsearch.results.results import Results
from regsearch.results.table import Table
from regsearch.space.config import to_data
from regsearch.space.tree import Node, public_name

FINDING = "ablation"
CLEAR = 2.0  # standard errors that a change must come to before a sentence calls it one
KEPT = "at the same values of all else"  # such as lambda, which a search without the technique would choose anew


@dataclass(frozen=True)
class Removal:
    """The chosen config without one technique.

    Attributes
    ----------
    was
        The values that went with it.
    point
        Its scores.
    score_change, gap_change
        Without the technique minus with it, paired by fold: a negative score change means that removing hurts.
    """

    technique: str
    was: str
    point: Point
    score_change: Estimate
    gap_change: Estimate

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        row: dict[str, Any] = json_safe({
            "technique": self.technique, "was": self.was,
            "score_change": self.score_change.mean, "score_change_se": self.score_change.se,
            "gap_change": self.gap_change.mean, "gap_change_se": self.gap_change.se,
            "score": self.point.val, "gap": self.point.gap,
        })  # fmt: skip
        return row


@dataclass(frozen=True)
class Ablation:
    """What each technique of a chosen config does for it.

    Attributes
    ----------
    number, step, rule, metric
        The chosen trial, where on its path, by which rule, and the deciding metric.
    chosen
        The chosen config's scores, fitted again beside the others.
    rows
        Most important first: the one whose removal costs most.
    failed
        Why a config could not be fitted, by the technique that it was without.
    """

    number: int
    step: int
    rule: str
    metric: str
    chosen: Point
    rows: tuple[Removal, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """As one JSON object: what is stored as the finding ``ablation``."""
        point = self.chosen
        with_all = {"score": point.val, "se": point.val_se, "train": point.train, "gap": point.gap}
        rows = [removal.row() for removal in self.rows]
        origin = {"number": self.number, "step": self.step, "rule": self.rule}
        return origin | {"metric": self.metric, "chosen": json_safe(with_all), "rows": rows}

    @property
    def summary(self) -> str:
        """One sentence: what matters most, or that nothing clearly does; all with the other settings as chosen."""
        return summarize(self.row())

    def __str__(self) -> str:
        head = ("without", "was", self.metric, "score change", "gap", "gap change")
        whole = ("nothing", "", f"{self.chosen.val:.5g}", "", f"{self.chosen.gap:.3g}", "")
        rows = [
            (
                one.technique, one.was, f"{one.point.val:.5g}", format_estimate(one.score_change, "+"),
                f"{one.point.gap:.3g}", format_estimate(one.gap_change, "+"),
            )
            for one in self.rows
        ]  # fmt: skip
        table = Table(head, [whole, *rows], words={"without", "was"})
        failures = [f"without {technique}: failed: {reason}" for technique, reason in self.failed.items()]
        return "\n".join([table.text(), *failures, self.summary])


def summarize(found: Mapping[str, Any]) -> str:
    """What the finding ``ablation`` says, in one sentence."""
    if not found["rows"]:
        return f"Trial {found['number']} has no technique of regularization that could be taken away."
    changes = [
        (row["score_change"], math.nan if row["score_change_se"] is None else row["score_change_se"], row["technique"])
        for row in found["rows"]
    ]
    change, se, technique = min(changes)
    said = format_value(abs(change), se)
    if change < -CLEAR * se:
        return f"{technique} matters most: without it {found['metric']} falls by {said}, {KEPT}."
    if change < 0:
        return f"No technique clearly matters: the largest loss, without {technique}, is {said}, {KEPT}."
    change, se, technique = max(changes)
    rise = f"without {technique} {found['metric']} rises by {format_value(change, se)}"
    return f"Nothing is lost without any one of them: {rise}, {KEPT}."


def ablate(results: Results, chosen: Chosen, setup: Setup, progress: Progress) -> Ablation:
    """Take each technique of a chosen config away in turn, and keep what comes of it as the finding ``ablation``.

    The chosen config and all that is left of it are fitted in one stream, so that what they share is computed once.

    Parameters
    ----------
    results, chosen
        Where the config comes from.
    setup
        The study's problem, folds and metrics.

    Raises
    ------
    SearchFailed
        When the chosen config itself cannot be fitted again.
    """
    configs = {"": chosen.config} | chosen.config.without()
    outcomes = _fitted(list(configs.values()), setup, progress)
    scored = {name: outcome for name, outcome in zip(configs, outcomes, strict=True) if outcome.state == "complete"}
    failed = {name: one.reason for name, one in zip(configs, outcomes, strict=True) if one.state != "complete"}
    if "" in failed:
        raise SearchFailed(f"The chosen config of trial {chosen.number} could not be fitted again: {failed['']}")
    whole = scored.pop("")
    ratio = overlap(setup.folds)
    rows = [
        _removal(name, removed_values(chosen.config, configs[name]), outcome, whole, ratio)
        for name, outcome in scored.items()
    ]
    found = Ablation(
        chosen.number, chosen.step, chosen.rule, results.metric, whole.point,
        tuple(sorted(rows, key=lambda row: row.score_change.mean)), failed,
    )  # fmt: skip
    results.store.save_finding(FINDING, found.row())
    return found


def _fitted(configs: list[Any], setup: Setup, progress: Progress) -> list[Outcome]:
    """The outcomes of configs on the study's folds, in their order."""
    found: dict[int, Outcome] = {}

    def show(doing: str = "") -> None:
        count = f"ablation: {len(found)} of {len(configs)} configs fitted"
        progress.show(f"{count} | {doing}" if doing else count)

    alone = replace(setup.alone(), notice=show)
    show()
    try:
        for outcome in configs[0].backend(alone).stream(Candidate(i, config) for i, config in enumerate(configs)):
            found[outcome.number] = outcome
            show()
    finally:
        progress.end()
    return [found[i] for i in range(len(configs))]


def _removal(technique: str, was: str, outcome: Outcome, whole: Outcome, ratio: float | None) -> Removal:
    (score, gap), (score_before, gap_before) = _folds(outcome), _folds(whole)
    return Removal(
        technique, was, outcome.point, paired_difference(score, score_before, ratio),
        paired_difference(gap, gap_before, ratio),
    )  # fmt: skip


def _folds(outcome: Outcome) -> tuple[Array, Array]:
    """``[K]`` validation scores and gaps at the chosen step."""
    curves = outcome.trajectory.deciding
    val = curves.val[:, outcome.step]
    return val, curves.train[:, outcome.step] - val


# --- what went -------------------------------------------------------------------------------------------------


def removed_values(config: Node, rest: Node) -> str:
    """The values of a config that what is left of it does not have: one as it is, several with their names."""
    values = list(_gone("", config, rest))
    if len(values) == 1:
        return format_items({"": values[0][1]}).removeprefix("=")
    return " ".join(format_items({name: value}) for name, value in values)


def _gone(name: str, own: Any, rest: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of every value below `own` that `rest` does not have."""
    if to_data(own) == to_data(rest):
        return
    if isinstance(own, Mapping) or (isinstance(own, Node) and type(own) is type(rest)):
        others = _below(rest)
        for child, value in _below(own).items():
            yield from _gone(public_name(child), value, others.get(child))
    elif isinstance(own, Node):
        yield name, getattr(own, own.main) if own.main else own.kind
        for child, value in own.fields().items():
            yield from _gone(public_name(child), value, None) if child != own.main else ()
    else:
        yield name, own


def _below(value: Any) -> Mapping[str, Any]:
    return value.fields() if isinstance(value, Node) else value if isinstance(value, Mapping) else {}
