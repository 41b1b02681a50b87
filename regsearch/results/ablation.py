"""What each technique of a chosen config does for it: the config again without each of them, on the same folds.

A removal is one technique taken back to what the unregularized reference has. It is fitted twice. *Held* is everything
else, the point of the path included, as it was chosen. But a lambda of weights or columns that are scaled otherwise is
another amount of regularization, and an epoch of a net without dropout another amount of training, so that figure mixes
what a technique does with being at a wrong point. *On its own path* each config walks lambda, or its epochs, and counts
at its own best point, the full config as well: that is what the verdict goes by. Parameters that are no path are held
in both; what the best config without a technique would reach takes a search of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from regsearch._types import Array
from regsearch.errors import SearchFailed
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.statistics import ALPHA, Estimate, tolerance_of
from regsearch.models.axes import path_axis
from regsearch.models.base import Candidate, Model, Outcome, Setup
from regsearch.models.path import Point
from regsearch.progress import Progress
from regsearch.results.choice import Chosen
from regsearch.results.formatting import Measured, format_items, format_value, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.results import Results
from regsearch.results.table import Table
from regsearch.space.config import digest, to_data
from regsearch.space.fields import public_name
from regsearch.space.tree import Node
from regsearch.storage.trial import DIVERGES

FINDING = "ablation"
KEPT = "at the same values of all else"
OWN_PATH = "each at the best point of its own path"
UNKNOWN = "What {metric} is without any one technique is not known."


@dataclass(frozen=True)
class Change:
    """A config without a technique, beside the config with it at a point chosen likewise.

    Attributes
    ----------
    point
        Its scores.
    value
        Where on its path that is; `None` without a path.
    score, gap
        Without the technique minus with it, paired by fold: a negative change of the score means that removing hurts.
    """

    point: Point
    value: float | None
    score: Estimate
    gap: Estimate

    def row(self, prefix: str = "") -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        (score, score_se), (gap, gap_se) = self.score.shown, self.gap.shown
        figures = {
            "score_change": score, "score_change_se": score_se, "gap_change": gap, "gap_change_se": gap_se,
            "score": self.point.val, "gap": self.point.gap, "value": self.value,
        }  # fmt: skip
        row: dict[str, Any] = json_safe({f"{prefix}{name}": value for name, value in figures.items()})
        return row


@dataclass(frozen=True)
class Removal:
    """The chosen config without one technique.

    Attributes
    ----------
    was
        The values that went with it.
    own
        Both configs at the best points of their own paths.
    held
        Both configs at the chosen point; equal to `own` where there is no path.
    """

    technique: str
    was: str
    own: Change
    held: Change

    def row(self) -> dict[str, Any]:
        """As one JSON object: the figures on its own path by their names, those held at the chosen point ``held_``."""
        return {"technique": self.technique, "was": self.was} | self.own.row() | self.held.row("held_")


@dataclass(frozen=True, repr=False)
class Ablation(Presented):
    """What each technique of a chosen config does for it.

    Attributes
    ----------
    number, step, rule, metric, axis
        The chosen trial, where on its path, by which rule, the deciding metric, and what the path walks along; empty
        where there is no path.
    chosen
        The chosen config's scores, fitted again beside the others.
    best, value
        Its scores at the best point of its path, which is another one where the rule chose so, and where that lies.
    rows
        Most important first: the one whose removal costs most, each on its own path.
    failed
        Why a config could not be fitted, by the technique that it was without.
    """

    number: int
    step: int
    rule: str
    metric: str
    axis: str
    chosen: Point
    best: Point
    value: float | None
    rows: tuple[Removal, ...]
    failed: Mapping[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """As one JSON object: what is stored as the finding ``ablation``; ``freedom`` is that of all errors in it."""
        rows = [removal.row() for removal in self.rows]
        origin = {"number": self.number, "step": self.step, "rule": self.rule, "metric": self.metric, "axis": self.axis}
        best = _figures(self.best) | {"value": self.value}
        freedom = self.rows[0].own.score.freedom if self.rows else None
        return origin | {"chosen": _figures(self.chosen), "best": best, "freedom": freedom, "rows": rows}

    @property
    def summary(self) -> str:
        """One sentence: what matters most, or that nothing clearly does; each config at its own best point."""
        if self.failed and not self.rows:
            return UNKNOWN.format(metric=self.metric)
        return summarize(self.row())

    def blocks(self) -> Iterator[Block]:
        """The table, what failed, and a sentence."""
        alike, differences = [self.metric], ["score change", "gap", "gap change"]
        nothing: list[Any] = ["nothing", "", self.best.val, "", self.best.gap, ""]
        head = ["without", "was", *alike, *differences]
        rows: list[list[Any]] = [
            [
                one.technique, one.was, one.own.point.val, Measured.of(one.own.score, "+"), one.own.point.gap,
                Measured.of(one.own.gap, "+"),
            ]
            for one in self.rows
        ]  # fmt: skip
        if self.axis:
            text = path_axis(self.axis).text
            head += [self.axis, "held as chosen", "held change"]
            alike.append("held as chosen")
            differences.append("held change")
            nothing += [text(self.value), self.chosen.val, ""]
            for row, one in zip(rows, self.rows, strict=True):
                row += [text(one.own.value), one.held.point.val, Measured.of(one.held.score, "+")]
        table = Table(head, (nothing, *rows), words={"without", "was"}, alike=alike, differences=differences)
        failures = [f"without {technique}: failed: {reason}" for technique, reason in self.failed.items()]
        yield table
        yield from failures
        yield self.summary


def _figures(point: Point) -> dict[str, Any]:
    row: dict[str, Any] = json_safe({"score": point.val, "se": point.val_se, "train": point.train, "gap": point.gap})
    return row


def summarize(found: Mapping[str, Any]) -> str:
    """What the finding ``ablation`` says, in one sentence."""
    if not found["rows"]:
        return f"Trial {found['number']} has no technique of regularization that could be taken away."
    metric, how = found["metric"], OWN_PATH if found.get("axis") else KEPT
    known = [row for row in found["rows"] if row["score_change"] is not None]
    if not known:
        return UNKNOWN.format(metric=metric)
    known.sort(key=lambda row: float(row["score_change"]))
    largest, least, clear = known[0], known[-1], _clear_losses(known, found.get("freedom"))
    if clear:
        first, *others = clear
        falls = [f"without it {metric} falls by {_size(first)}"]
        falls += [f"without {row['technique']} by {_size(row)}" for row in others]
        lead, unclear = "matters most", ""
        if first is not largest:
            lead = "clearly matters"
            unclear = f"; the larger loss without {largest['technique']}, {_size(largest)}, may be luck of the folds"
        return f"{first['technique']} {lead}: {', '.join(falls)}{unclear}, {how}."
    if largest["score_change"] < 0:
        loss = f"without {largest['technique']}, is {_size(largest)}"
        return f"No technique clearly matters: the largest loss, {loss}, {how}."
    if not least["score_change"]:
        return f"Nothing is lost without any one of them: {metric} stays what it is, {how}."
    rise = f"without {least['technique']} {metric} rises by {_size(least)}"
    return f"Nothing is lost without any one of them: {rise}, {how}."


def _clear_losses(rows: Sequence[Mapping[str, Any]], freedom: float | None) -> list[Mapping[str, Any]]:
    """Those of some techniques without which the score clearly falls: by a t-test of each, at a level for all together.

    The level of each is `ALPHA` over their number (Bonferroni), or the more techniques there are, the more would seem
    to matter by luck.
    """
    level = ALPHA / len(rows)
    losses = [Estimate(-row["score_change"], _error(row), 0, math.inf if freedom is None else freedom) for row in rows]
    return [row for row, loss in zip(rows, losses, strict=True) if loss.p_greater <= level]


def _error(row: Mapping[str, Any]) -> float:
    return math.nan if row["score_change_se"] is None else float(row["score_change_se"])


def _size(row: Mapping[str, Any]) -> str:
    return format_value(abs(row["score_change"]), _error(row))


def ablate(results: Results, chosen: Chosen, setup: Setup, progress: Progress) -> Ablation:
    """Take each technique of a chosen config away in turn, and keep what comes of it as the finding ``ablation``.

    The chosen config and all that is left of it, held at the chosen point and on their own paths, are fitted in one
    stream, so that what they share is computed once.

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
    plain = None if results.space is None else results.space.references()[chosen.trial.family]
    held: dict[str, Model] = {"": chosen.config, **chosen.config.without(plain)}
    walking = results.unfilled(chosen.trial).walking()
    own = held | {"": walking} | {name: one for name, one in walking.without(plain).items() if name in held}
    outcomes = _fitted([*held.values(), *own.values()], setup, progress)
    failed = _failures(held, outcomes) | _failures(own, outcomes)
    if "" in failed:
        raise SearchFailed(f"The chosen config of trial {chosen.number} could not be fitted again: {failed['']}")
    whole, best = outcomes[digest(chosen.config)], outcomes[digest(walking)]
    over = setup.averaging
    rows = [
        Removal(
            name, removed_values(chosen.config, rest),
            _change(outcomes[digest(own[name])], best, over), _change(outcomes[digest(rest)], whole, over),
        )
        for name, rest in held.items() if name and name not in failed
    ]  # fmt: skip
    found = Ablation(
        chosen.number, chosen.step, chosen.rule, results.metric_label, walking.axis if walking != chosen.config else "",
        whole.point, best.point, best.value, tuple(sorted(rows, key=lambda row: row.own.score.mean)), failed,
    )  # fmt: skip
    results.store.save_finding(FINDING, found.row())
    return found


def _fitted(configs: list[Model], setup: Setup, progress: Progress) -> dict[str, Outcome]:
    """The outcomes of configs on the study's folds, by their digests; equal ones are fitted once."""
    unique = list({digest(config): config for config in configs}.values())
    found: dict[str, Outcome] = {}

    def show(doing: str = "") -> None:
        count = f"ablation: {len(found)} of {len(unique)} configs fitted"
        progress.show(f"{count} | {doing}" if doing else count)

    alone = replace(setup.alone(), notice=show)
    show()
    try:
        for outcome in unique[0].backend(alone).stream(Candidate(i, config) for i, config in enumerate(unique)):
            found[digest(outcome.candidate.config)] = outcome
            show()
    finally:
        progress.end()
    return found


def _failures(configs: Mapping[str, Model], outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Why a config could not be fitted, by its name."""
    found = {name: outcomes[digest(config)] for name, config in configs.items()}
    reasons = {name: DIVERGES if one.diverges else one.reason for name, one in found.items()}
    return {name: reasons[name] for name, one in found.items() if (name and one.diverges) or one.state != "complete"}


def _change(outcome: Outcome, whole: Outcome, averaging: Averaging) -> Change:
    (score, gap), (score_before, gap_before) = _folds(outcome), _folds(whole)
    return Change(
        outcome.point, path_axis(outcome.candidate.config.axis).number(outcome.value),
        averaging.difference(score, score_before),
        averaging.difference(gap, gap_before, tolerance_of(score, score_before)),
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
