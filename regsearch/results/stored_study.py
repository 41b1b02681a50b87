"""What rules, figures and advice read of a study: trials, their curves and predictions, and how those are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.data.rare import RareClasses
from regsearch.data.weights import weighing
from regsearch.errors import NotFound, RegsearchError
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.pooled import pooled_scores
from regsearch.metrics.scorer import Metric
from regsearch.models.base import REFERENCE, Model, Setup
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves, Point, Trajectory
from regsearch.space.config import from_data
from regsearch.space.sampling import fill
from regsearch.storage.trial import Trial


@dataclass(frozen=True)
class Scoring:
    """What stored predictions are scored with.

    Attributes
    ----------
    problem
        Targets and weights of the study; where its script is not available, its `X` is a column of zeros.
    metric
        The deciding one.
    """

    problem: Problem
    folds: Folds
    metric: Metric

    @classmethod
    def of(cls, setup: Setup) -> Scoring:
        """That of a study with its data."""
        return cls(setup.problem, setup.folds, setup.metrics[0])

    def of_rows_that_weigh(self) -> Scoring:
        """The same without rows of weight zero, which are nothing to draw from."""
        val = tuple(weighing(rows, self.problem.score_weight) for rows in self.folds.val)
        return replace(self, folds=replace(self.folds, val=val))

    def by_fold(
        self, decisions: Sequence[Array], averaging: Averaging, failures: dict[str, str] | None = None
    ) -> Array:
        """``[K, S]`` scores of decisions ``[n_val, S, m]`` on the rows that each fold validates.

        `failures` are those of `regsearch.metrics.scorer.Metric.along`.
        """
        if self.metric.pooled:
            return pooled_scores(self.metric, self.problem, self.folds.val, decisions, averaging, failures)
        folds = zip(self.folds.val, decisions, strict=True)
        return np.array([self.metric.along(self.problem, rows, one, failures) for rows, one in folds])

    def scores(self, rows: NDArray[np.intp], decisions: Array) -> Array:
        """``[S]`` scores of decisions ``[len(rows), S, m]`` of S trials on some rows, which may repeat."""
        return self.metric.along(self.problem, rows, decisions)


class StoredStudy(Protocol):
    """A study as stored, read only; `regsearch.results.results.Results` is one."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> Mapping[str, Any]: ...

    @property
    def space(self) -> Model | None:
        """The space, where the script that made it is available."""
        ...

    @property
    def metric(self) -> str: ...

    @property
    def metric_label(self) -> str:
        """The metric as it is shown: with what its rows weigh, if they do."""
        ...

    @property
    def weighted(self) -> bool:
        """Whether rows weigh in the scores."""
        ...

    @property
    def test_weighted(self) -> bool:
        """Whether rows weigh in the held-out scores."""
        ...

    @property
    def all(self) -> tuple[Trial, ...]: ...

    @property
    def complete(self) -> tuple[Trial, ...]:
        """The trials that have a score, best first; of equal scores the most regularized first."""
        ...

    @property
    def candidates(self) -> tuple[Trial, ...]:
        """The scored trials that a rule may choose, best first: not the reference, unless there is no other."""
        ...

    @property
    def winner(self) -> Trial:
        """The trial that figures and sentences are about: the best, or what a report was asked of."""
        ...

    @property
    def reference_leads(self) -> bool:
        """Whether the reference scores better than all that a rule may choose."""
        ...

    @property
    def references(self) -> Mapping[str, Trial]:
        """The references by family; of a study of one, by an empty name."""
        ...

    @property
    def reference(self) -> Trial | None:
        """That of the family of the best trial."""
        ...

    @property
    def varied(self) -> frozenset[str]: ...

    @property
    def folds(self) -> Folds | None:
        """The folds as stored; `None` where they were not kept."""
        ...

    @property
    def averaging(self) -> Averaging:
        """How scores of the folds are averaged."""
        ...

    @property
    def scoring(self) -> Scoring | None:
        """`None` where predictions alone cannot be scored: see `regsearch.results.results.Results.scoring`."""
        ...

    def point(self, trial: Trial, metric: str | None = None) -> Point: ...

    def curves(self, number: int, metric: str | None = None) -> Curves: ...

    def trajectory(self, number: int) -> Trajectory: ...

    def standing(self, trial: Trial, step: int) -> Trial:
        """A trial as it stands at another step of its path."""
        ...

    def decisions(self, number: int) -> Array | None:
        """``[n, m]`` decisions for rows outside training; see `regsearch.models.base.Outcome`."""
        ...

    def along(self, number: int) -> PathDecisions | None:
        """The same at other steps of the trial's path; `None` where the path has none, or they are not stored."""
        ...

    def as_if(self, trials: Sequence[Trial], trajectories: Mapping[int, Trajectory]) -> StoredStudy:
        """This study, had those been its trials, with these trajectories by their numbers."""
        ...

    def finding(self, name: str) -> Mapping[str, Any] | None:
        """What an ablation or the like has found and stored; `None` where there was none."""
        ...


def unscored(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What the folds of a stored study lack, as `Folds` has it: folds, and rows of rare classes, that score nothing."""
    rare = identity.get("rare_classes")
    return {
        "weightless": identity.get("weightless_folds", 0), "rare": None if rare is None else RareClasses.of_data(rare)
    }  # fmt: skip


def comparable(study: StoredStudy, family: str | None = None) -> Trial | None:
    """The reference of a family, by default of the best trial's, where there is one to compare with: none diverges."""
    found = study.reference if family is None else study.references.get(family)
    return None if found is None or found.diverges else found


def reference_name(study: StoredStudy, reference: Trial) -> str:
    """What a reference is called: among those of several families, with its own."""
    said = study.identity["reference"]
    return str(said) if isinstance(said, str) else f"{reference.family}, {said[reference.family]}"


def leading_reference(study: StoredStudy, family: str | None = None) -> Trial | None:
    """The reference that scores better than all that a rule may choose, or all of a family; `None` where none does.

    Better by so little that it is not worth a word is as good.
    """
    ranked, tried = (
        [trial for trial in trials if family in (None, trial.family)] for trials in (study.complete, study.candidates)
    )
    leading = next((trial for trial in ranked if trial.role == REFERENCE), None)
    if leading is None or ranked[:1] == tried[:1]:
        return None
    own, best = study.point(leading), study.point(tried[0]) if tried else None
    return None if best is not None and abs(own.val - best.val) <= own.least_difference else leading


def is_winner(study: StoredStudy, found: Mapping[str, Any]) -> bool:
    """Whether a finding is about what is the winner now: trials may have come since, or a rule chose another."""
    best = study.winner
    return (found["number"], found["step"]) == (best.number, best.step)


def unfilled_config(study: StoredStudy, trial: Trial) -> Any:
    """The config of a trial with its path still open; as plain data where only the script could rebuild it."""
    if study.space is not None and trial.role == REFERENCE:
        return study.space.references()[trial.family]
    try:
        if study.space is not None:
            return fill(study.space, trial.draws)
    except NotFound:  # a draw was lost with its line of the journal
        pass
    try:
        return from_data(trial.config)
    except RegsearchError:
        return trial.config
