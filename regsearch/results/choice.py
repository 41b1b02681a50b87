"""The choice of one trial at one point of its path."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from regsearch.metrics.scorer import label_of
from regsearch.models.axes import LAMBDA, path_axis
from regsearch.models.path import Point
from regsearch.numeric import format_number
from regsearch.results.formatting import format_items, format_value, json_params, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.storage.trial import DIVERGES, UNSOLVED, Trial


@dataclass(frozen=True, repr=False)
class Chosen(Presented):
    """A trial at one point of its path.

    Attributes
    ----------
    trial
        At the chosen step, which need not be its own best: every figure is that of this step. Held-out scores and other
        measures are known of its own step alone.
    rule, why
        The rule's name, and its reason in one sentence.
    config
        The filled config: what is exported.
    varied
        Names of the parameters in which trials of the study differ.
    weighted, test_weighted
        Whether rows weigh in the scores, and in the held-out ones.
    """

    trial: Trial
    rule: str
    why: str
    config: Any
    varied: frozenset[str] = frozenset()
    weighted: bool = False
    test_weighted: bool = False

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def step(self) -> int:
        return self.trial.step

    @property
    def params(self) -> Mapping[str, Any]:
        """The config as a flat row, without what it does not have."""
        return self.trial.shown_params

    @property
    def axis(self) -> str:
        """What the path walks along (``lambda``, ``epochs``); empty without a path."""
        return self.trial.axis

    @property
    def value(self) -> float | None:
        """Where on its path this point lies; `None` without one."""
        return self.trial.value

    @property
    def at_edge(self) -> bool:
        """Whether the path ends at this point while the score still rises."""
        return self.trial.at_edge

    @property
    def stands(self) -> bool:
        """Whether the trial was stopped and is chosen as it stands."""
        return self.trial.stands

    @property
    def unsolved(self) -> bool:
        """Whether the solver of a fold ended above its tolerance at this point."""
        return self.trial.unsolved

    @property
    def diverges(self) -> bool:
        """Whether the fit at this point has no limit, so that its score is arbitrary."""
        return self.trial.diverges

    @property
    def unpenalized(self) -> bool:
        """Whether a penalty was searched, and the path ends at this point, where lambda is 0."""
        return self.trial.unpenalized and self.trial.role != "reference"

    @property
    def test(self) -> Mapping[str, float]:
        """Held-out scores by metric, where there are some."""
        return self.trial.test

    @property
    def measures(self) -> Mapping[str, float]:
        """Other figures by name, where there are some."""
        return self.trial.measures

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters that tell this trial from others, and where a path of lambda is; all where none differ."""
        told = self.varied | ({LAMBDA.name} if self.varied and self.axis == LAMBDA.name else set())
        own = self.trial.own_params
        return {name: value for name, value in own.items() if name in told} or own

    @property
    def lambda_(self) -> float | None:
        """The penalty's lambda, if the config has one: not that of biases or of activity."""
        return self.trial.lambda_

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.trial.metric

    @property
    def point(self) -> Point:
        """Score, standard error, train score and gap of the deciding metric."""
        return self.trial.point

    @property
    def score(self) -> float:
        return self.point.val

    @property
    def gap(self) -> float:
        return self.point.gap

    def row(self) -> dict[str, Any]:
        """The choice as one JSON object; what is not finite is null, a parameter that is not its text."""
        row = {
            "number": self.number, "config": json_params(self.params), "lambda": self.lambda_, "axis": self.axis,
            "value": self.value, "at_edge": self.at_edge, "unsolved": self.unsolved, "diverges": self.diverges,
            "stopped": self.stands, "score": self.point.val, "se": self.point.val_se, "train": self.point.train,
            "gap": self.point.gap, "gap_se": self.point.gap_se, "test": self.test, "measures": self.measures,
        }  # fmt: skip
        return {key: json_safe(value) for key, value in row.items()}

    def blocks(self) -> Iterator[Block]:
        """The config, its scores, and why it was chosen."""
        others = {label_of("held out", self.test_weighted): self.test, "measures": self.measures}
        lines = (
            f"trial {self.number}: {format_items(self.settings)}",
            f"{label_of(self.metric, self.weighted)} {format_value(self.point.val, self.point.val_se, digits=5)} "
            f"(train {format_number(self.point.train, 5)}, gap {format_number(self.point.gap, 3)})",
            *([f"The score still rises there: it is the {path_axis(self.axis).edge}."] if self.at_edge else ()),
            *(["Its lambda is 0: that is the fit without a penalty."] if self.unpenalized else ()),
            *(f"{what}: {format_items(figures)}" for what, figures in others.items() if figures),
            self.why,
        )
        yield "\n".join(lines)


def describe(trial: Trial, settings: Mapping[str, Any], between: str = ", ") -> str:
    """Settings of a trial on one line, with what `marks` says of its point."""
    return format_items(settings, between) + marks(trial)


def marks(trial: Trial | Chosen) -> str:
    """What is to be known of the place of a trial's point, in brackets; usually nothing."""
    known = {"not solved": trial.unsolved, "diverges": trial.diverges, "stopped": trial.stands}
    said = [*([path_axis(trial.axis).edge] if trial.at_edge else []), *(text for text, so in known.items() if so)]
    return f" ({', '.join(said)})" if said else ""


def reasons(why: str, trial: Trial) -> str:
    """Why a rule chose a trial, and what to think of that where the trial is not solved, or has no score there."""
    doubts = [f"It is not solved: there {UNSOLVED}."] * trial.unsolved + [f"It diverges: {DIVERGES}."] * trial.diverges
    if nothing := without_score(trial):
        doubts.append(f"It has no score there: {nothing}.")
    if trial.stands:
        ahead = "the next run goes on with it" if trial.state == "stopped" else "no run goes on with it"
        doubts.append(f"It was stopped ({trial.reason}): {ahead}.")
    return " ".join([why, *doubts]).strip()


def without_score(trial: Trial) -> str:
    """Why a trial has no score at its step, as one that was named may have none, without an end; usually nothing."""
    return "" if math.isfinite(trial.point.val) else f"{trial.metric} is not defined in some fold"
