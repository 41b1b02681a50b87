"""What a study comes to on one screen: its trials, what a rule chooses, what to make of it, and the best trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regsearch.cleaning import printable
from regsearch.metrics.scorer import label_of
from regsearch.results.advice import Advice
from regsearch.results.bias import Corrected
from regsearch.results.by_family import FamilyStandings
from regsearch.results.choice import Chosen, describe
from regsearch.results.formatting import format_items, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.table import Table

TOP = 10  # trials in the table


@dataclass(frozen=True, repr=False)
class Overview(Presented):
    """What ``regsearch show`` prints of a study.

    Attributes
    ----------
    name, metric
        Of the study, and what decides in it.
    counts
        Number of trials in each state.
    chosen
        What the rule chooses; `None` where no trial is complete, `nothing` saying why.
    corrected
        Its score without what it owes to having been chosen.
    advice
        What to do next.
    families
        What each family came to, in a study of several.
    top
        The best trials.
    damage
        What of the study could not be read.
    by_target
        What the choice scores on each of several targets.
    lacking
        Why nothing is said that curves or predictions tell, in a sentence; empty where they can be read.
    """

    name: str
    metric: str
    counts: Mapping[str, int]
    chosen: Chosen | None = None
    corrected: Corrected | None = None
    advice: Sequence[Advice] = ()
    families: FamilyStandings = field(default_factory=FamilyStandings)
    top: Sequence[Chosen] = ()
    damage: Sequence[str] = ()
    nothing: str = ""
    by_target: Mapping[str, float] = field(default_factory=dict)
    lacking: str = ""

    def blocks(self) -> Iterator[Block]:
        """Counts, choice, corrected score, families, advice, table."""
        counts = ", ".join(f"{count} {state}" for state, count in self.counts.items() if count)
        yield f"{self.name}: {counts or 'no trial yet'}"
        if self.damage:
            yield [f"damaged: {one}" for one in self.damage]
        if self.chosen is None:
            yield self.nothing
            return
        yield f"\n{printable(self.chosen.rule)}: {self.chosen}\n"
        if self.by_target:
            yield f"By target: {format_items(self.by_target)}\n"
        if self.lacking:
            yield f"{self.lacking}\n"
        if self.corrected is not None and self.corrected.score is not None:
            yield f"{self.corrected}\n"
        if self.families.rows:
            yield from self.families.blocks()
            yield ""
        if self.advice:
            yield [str(one) for one in self.advice]
            yield ""
        yield trials_on_lines(self.top)

    def row(self) -> dict[str, Any]:
        """The same as one JSON object; what is not finite is null.

        Without a complete trial, what is chosen is null.
        """
        chosen, corrected = self.chosen, self.corrected
        return {
            "study": self.name, "metric": self.metric, "counts": dict(self.counts),
            "weighted": bool(chosen and chosen.weighted), "test_weighted": bool(chosen and chosen.test_weighted),
            "rule": chosen and chosen.rule, "why": chosen.why if chosen else self.nothing,
            "chosen": chosen and chosen.row(), "by_target": json_safe(dict(self.by_target)),
            "corrected": corrected and json_safe(vars(corrected)),
            "families": [one.row() for one in self.families.rows],
            "advice": [str(one) for one in self.advice], "top": [one.row() for one in self.top],
        }  # fmt: skip


def trials_on_lines(top: Sequence[Chosen]) -> Table:
    """A row for each trial; only those that were the best when they finished have a test score."""
    held_out = [label_of("test", top[0].test_weighted)] if any(one.test for one in top) else []
    rows = []
    for one in top:
        point, score = one.point, one.test.get(one.metric)
        figures = [point.val, point.val_se, point.train, point.gap]
        tests = ["-" if score is None else score for _ in held_out]
        rows.append([one.number, *figures, *tests, describe(one.trial, {**one.settings, **one.measures}, " ")])
    name = label_of("score", top[0].weighted)
    return Table(
        ("trial", name, "se", "train", "gap", *held_out, "config"), rows, words={"config"},
        alike=(name, "train", *held_out), differences=("gap",), errors=("se",),
    )  # fmt: skip
