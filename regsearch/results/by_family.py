"""What each family of a study of several came to: its best trial, against the winner and against its own reference.

Scores are compared across families, on the same folds. What regularization changes is compared within a family: the gap
of its best trial with that of its reference.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from regsearch.metrics.scorer import label_of
from regsearch.metrics.statistics import Estimate
from regsearch.models.path import Point
from regsearch.numeric import format_number
from regsearch.results.advice.evidence import CLEAR, difference
from regsearch.results.formatting import Measured, format_estimate, format_value, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.stored_study import StoredStudy, comparable
from regsearch.results.table import Table
from regsearch.storage.trial import Trial


@dataclass(frozen=True)
class FamilyStanding:
    """One family.

    Attributes
    ----------
    best
        The best of its trials that a rule may choose.
    point
        Its score and gap.
    behind
        By how much the study's best trial scores better, mean over folds; of the winner 0.
    reference
        The point of the family's own reference; `None` where that is not complete, or diverges.
    trials
        How many of its trials have a score, or are pruned.
    """

    name: str
    best: Trial
    point: Point
    behind: Estimate
    reference: Point | None
    trials: int

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        plain = self.reference
        row: dict[str, Any] = json_safe({
            "family": self.name, "number": self.best.number, "score": self.point.val, "se": self.point.val_se,
            "behind": self.behind.mean, "behind_se": self.behind.se, "train": self.point.train, "gap": self.point.gap,
            "gap_se": self.point.gap_se, "reference_score": None if plain is None else plain.val,
            "reference_gap": None if plain is None else plain.gap, "trials": self.trials,
        })  # fmt: skip
        return row


@dataclass(frozen=True, repr=False)
class FamilyStandings(Presented):
    """The families, that of the best trial first; none in a study of one.

    Attributes
    ----------
    score
        What the score is called in a table.
    """

    rows: Sequence[FamilyStanding] = ()
    score: str = "score"

    @property
    def summary(self) -> str:
        """Which family wins, and whether the folds can tell; empty in a study of one."""
        if len(self.rows) < 2:
            return ""
        first, second = self.rows[:2]
        lead = second.behind
        score, *gaps = (
            format_number(first.point.val, 5),
            *(format_value(one.point.gap, one.point.gap_se) for one in (first, second)),
        )
        if lead.mean <= lead.rounding:
            return f"{first.name} and {second.name} are as good, {score} with gaps of {gaps[0]} and {gaps[1]}."
        folds = "a single fold" if math.isnan(lead.se) else "the folds"
        clear = "" if lead.beyond(CLEAR) else f": {folds} cannot tell them apart"
        return (
            f"{first.name} wins, {score} with a gap of {gaps[0]}; {second.name} is {format_estimate(lead)} behind, "
            f"with a gap of {gaps[1]}{clear}."
        )

    def table(self) -> Table:
        """A row for each family."""
        differences = ("gap", "reference gap")
        rows = [
            [
                one.name, one.best.number, Measured(one.point.val, one.point.val_se),
                Measured.of(one.behind) if at else "", one.point.train, one.point.gap,
                "-" if one.reference is None else one.reference.gap, one.trials,
            ]
            for at, one in enumerate(self.rows)
        ]  # fmt: skip
        return Table(
            ("family", "trial", self.score, "behind", "train", *differences, "trials"), rows, words={"family"},
            alike=(self.score, "train"), differences=("behind", *differences),
        )  # fmt: skip

    def blocks(self) -> Iterator[Block]:
        """The table, and the sentence."""
        if self.rows:
            yield self.table()
        yield self.summary or "There are not several families of models with a trial to choose, so none to compare."


def family_standings(study: StoredStudy) -> FamilyStandings:
    """The standings of a study's families that have a trial to choose."""
    best: dict[str, Trial] = {}
    for trial in study.candidates:
        best.setdefault(trial.family, trial)
    best.pop("", None)
    return FamilyStandings(
        [_standing(study, name, trial) for name, trial in best.items()], label_of("score", study.weighted)
    )


def _standing(study: StoredStudy, name: str, best: Trial) -> FamilyStanding:
    plain = comparable(study, name)
    return FamilyStanding(
        name, best, study.point(best), difference(study, study.candidates[0], best),
        None if plain is None else study.point(plain),
        sum(one.family == name and (one.is_scored or one.state == "pruned") for one in study.all),
    )  # fmt: skip
