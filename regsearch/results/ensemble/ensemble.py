"""An ensemble of a study's trials: whose predictions are averaged, with which weights, and what that is worth.

Members are selected greedily on the predictions outside training that the search stored
(`regsearch.Results.predictions`), by the study's own metric: nothing is fitted, and no data are needed. What is
averaged are class probabilities, or predicted numbers in the units of y: means of counts and amounts, quantiles, one by
one of several targets. Log hazards of survival are not averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from regsearch._types import Array
from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import said
from regsearch.metrics.scorer import label_of
from regsearch.metrics.statistics import ALPHA, Estimate
from regsearch.numeric import format_number, is_whole, plain
from regsearch.results.bias import Corrected
from regsearch.results.choice import Chosen, describe
from regsearch.results.ensemble.against_best import difference
from regsearch.results.ensemble.anew import SelectionAnew
from regsearch.results.ensemble.correction import corrected
from regsearch.results.ensemble.pool import Entry, TrialPool, affordable, blended
from regsearch.results.ensemble.selection import Judge, Selection
from regsearch.results.ensemble.training import least_train_score
from regsearch.results.formatting import format_estimate, format_value, json_params, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.rules import Pick
from regsearch.results.stored_study import Scoring, StoredStudy
from regsearch.results.table import Table

SIZE, AMONG = 25, 50
RULE = "ensemble"  # what an export says instead of a rule


@dataclass(frozen=True)
class EnsembleMember:
    """A trial of an ensemble.

    Attributes
    ----------
    chosen
        The trial at its own step.
    weight
        Its share of the picks.
    """

    chosen: Chosen
    weight: float

    @property
    def number(self) -> int:
        return self.chosen.number

    @property
    def told(self) -> str:
        """What tells its config from others."""
        return describe(self.chosen.trial, self.chosen.settings)


@dataclass(frozen=True, repr=False)
class Ensemble(Presented):
    """Trials whose predictions are averaged.

    Attributes
    ----------
    study
        The study's name.
    members
        The heaviest first; weights sum to one.
    score, se
        The mean validation score on the rows that the ensemble was selected on, and its standard error over folds.
    corrected
        That score without what it owes to the selection, and its interval; see
        `regsearch.results.ensemble.correction`.
    single
        The trial that is the best alone.
    single_score
        Its score, computed as the ensemble's is: where folds repeat, of mean predictions.
    difference
        The ensemble minus the best trial, where both are chosen on other rows: mean, and an error that
        knows that training sets overlap.
    among
        How many trials it was selected from.
    decisions
        ``[n, m]``: what it says outside training, as `regsearch.Results.decisions` has it of a trial.
    predictions
        The same as `regsearch.Results.predictions` has it.
    metric_label
        The metric as it is shown.
    repeated
        Whether several folds validate a row.
    train
        What it scores at least on the rows that its members were fitted to; `None` where that is not known. See
        `regsearch.results.ensemble.training`.
    """

    study: str
    members: tuple[EnsembleMember, ...]
    score: float
    se: float
    corrected: Corrected
    single: Chosen
    single_score: float
    difference: Estimate
    among: int
    decisions: Array
    predictions: Array
    metric_label: str
    repeated: bool = False
    train: float | None = None

    @property
    def gap(self) -> float | None:
        """The generalization gap, at least: `train` less `score`."""
        return None if self.train is None else self.train - self.score

    @property
    def weights(self) -> Mapping[int, float]:
        """By the trial's number."""
        return {member.number: member.weight for member in self.members}

    @property
    def metric(self) -> str:
        return self.single.metric

    @property
    def verdict(self) -> str:
        """Whether it is better than the best trial, in one sentence."""
        number, by = self.single.number, self.difference
        if len(self.members) == 1:
            same = self.members[0].number == number
            return f"No mean with another trial scores better than trial {self.members[0].chosen.number} alone" + (
                ": use that." if same else f", which comes before trial {number} by predictions outside training."
            )
        if not math.isfinite(by.p):
            return "Whether it is better than the best trial cannot be told: there is no error of their difference."
        amount = f"{format_estimate(by, '+')} in {self.metric_label}, p = {by.p:.2g}"
        if by.p < ALPHA:
            word = "better" if by.mean > 0 else "worse"
            return f"It is {word} than the best trial alone ({amount}), each chosen on other rows."
        return f"It cannot be told from the best trial alone ({amount}), each chosen on other rows."

    def row(self) -> dict[str, Any]:
        """As one JSON object; what is not finite is null."""
        worth = self.corrected
        row: dict[str, Any] = json_safe({
            "study": self.study, "metric": self.metric, "score": self.score, "se": self.se,
            "train_at_least": self.train, "gap_at_least": self.gap,
            "corrected": worth.score, "optimism": worth.optimism, "interval": worth.interval,
            "among": self.among,
            "members": [
                {"number": one.number, "step": one.chosen.step, "weight": one.weight, "score": one.chosen.score,
                 "config": json_params(one.chosen.params)} for one in self.members
            ],
            "single": {"number": self.single.number, "score": self.single_score},
            "difference": {"mean": self.difference.mean, "se": self.difference.se, "p": self.difference.p},
        })  # fmt: skip
        return row

    def blocks(self) -> Iterator[Block]:
        """Its members, its score, and whether it is better than the best trial."""
        yield f"ensemble of {len(self.members)} of the best {self.among} trials of {self.study!r}, by weight"
        rows = [(str(one.number), f"{one.weight:.2f}", float(one.chosen.score), one.told) for one in self.members]
        score = self.metric_label
        yield Table(("trial", "weight", score, "config"), rows, words={"config"}, alike=(score,))
        lines = [f"{self.metric_label} {format_value(self.score, self.se, digits=5)}{self._worth}"]
        alone = f"trial {self.single.number} alone: {format_number(self.single_score, 5)}"
        lines.append(alone + (", of its mean predictions over repeated folds, too" if self.repeated else ""))
        if self.train is not None and self.gap is not None:
            bounds = (format_number(value, 5) for value in (self.train, self.gap))
            lines.append(
                "train at least {}, gap at least {}: by this score a mean is no worse than its members".format(*bounds)
            )
        yield "\n".join([*lines, self.verdict])

    @property
    def _worth(self) -> str:
        found = self.corrected
        return f"; {found.why}" if found.score is None else f", {found.shown}: {found.why}"


class Selectable(StoredStudy, Protocol):
    """A stored study that says what a trial is when it is chosen."""

    def at(self, pick: Pick, rule: str) -> Chosen:
        """The choice that a pick stands for."""
        ...

    def as_predictions(self, decisions: Array) -> Array:
        """What decisions are as people read them."""
        ...


def ensemble(study: Selectable, size: int = SIZE, among: int = AMONG, bags: int = 1) -> Ensemble:
    """Select an ensemble from the trials of a study; see `regsearch.Results.ensemble`."""
    how = Selection(_positive(size, "The size of an ensemble"), _positive(bags, "The number of bags"))
    most, scoring, averaging = _positive(among, "How many trials to select from"), _scoring(study), study.averaging
    pool = TrialPool(study, scoring, min(most, affordable(scoring, how.picks)))
    entries, every = pool.best(), Judge(scoring, averaging, scoring.folds.val)
    weights = how.weights(every, every.parts([one.decisions for one in entries]))
    decisions, single = blended(scoring, entries, weights, np.arange(scoring.problem.rows)), entries[0]
    both = np.stack([decisions, single.decisions], axis=1)
    by_fold = scoring.by_fold([both[val] for val in scoring.folds.val], averaging)
    score, alone = averaging.mean(by_fold).tolist()
    anew = SelectionAnew(pool, how)
    apart = difference(anew, averaging)
    plain_score, members = Corrected(label_of(study.metric, study.weighted), score), _members(study, entries, weights)
    return Ensemble(
        study.name, members, score, float(averaging.error(by_fold)[0]),
        corrected(plain_score, pool, anew, decisions), study.at(Pick(single.number, single.step, ""), "best"), alone,
        apart, len(entries), decisions, study.as_predictions(decisions),
        plain_score.metric, scoring.folds.repeated,
        least_train_score(scoring, [(one.chosen, one.weight) for one in members]),
    )  # fmt: skip


def _positive(value: Any, what: str) -> int:
    count = plain(value)
    if not is_whole(count) or not 0 < count <= 10_000:
        raise InvalidInput(f"{what} must be a whole number from 1 to 10,000, got {said(value)}; {SIZE} is usual.")
    return int(count)


def _scoring(study: Selectable) -> Scoring:
    """What scores a mean of predictions.

    Raises
    ------
    NotFound
        When nothing is complete.
    InvalidInput
        When means cannot be taken, or not be scored.
    """
    if not study.complete:
        raise NotFound(f"{study.name!r} has no complete trial to select from; run it first.")
    if study.identity["task"] == "survival":
        raise InvalidInput(
            "An ensemble averages predictions that have a common scale, log hazards of different models have none; "
            "export the best trial."
        )
    if study.scoring is None:
        raise InvalidInput(
            f"An ensemble is selected by {study.metric!r} on stored predictions, which cannot be scored here: targets "
            "were not stored, or the scorer reads the fitted model, or is your own (then ask study.results() of the "
            "script that made it)."
        )
    return study.scoring.of_rows_that_weigh()


def _members(study: Selectable, entries: Sequence[Entry], weights: Array) -> tuple[EnsembleMember, ...]:
    """Those that weigh anything, the heaviest first."""
    order = np.argsort(-weights, kind="stable")[: np.count_nonzero(weights)].tolist()
    picks = ((Pick(entries[t].number, entries[t].step, ""), float(weights[t])) for t in order)
    return tuple(EnsembleMember(study.at(pick, RULE), weight) for pick, weight in picks)
