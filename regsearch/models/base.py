"""What one trial is and what it produced.

Shapes: K folds, S steps of the path (one step for an estimator without an axis).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

from regsearch._types import Array, Task
from regsearch.data.fold_targets import fitted_to, regressor
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.data.target_transforms import FittedTransform
from regsearch.metrics.averaging import Averaging, FoldWeights
from regsearch.metrics.scorer import DEFAULTS, Metric
from regsearch.models.deadline import NO_DEADLINE, Deadline, Stop
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves, Point, Trajectory
from regsearch.space.config import to_data
from regsearch.space.fields import public_name
from regsearch.space.sampling import fill
from regsearch.space.tree import Choice, Node

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regsearch.models.default_columns import DefaultColumns

REFERENCE = "reference"  # the role of a candidate that is not regularized
State: TypeAlias = Literal["complete", "pruned", "failed", "stopped"]


@dataclass(frozen=True)
class Candidate:
    """A config to evaluate.

    Attributes
    ----------
    role
        ``reference``, ``start``, or empty where it was sampled.
    draws
        What the space was filled with; of a reference its family, where a space has several.
    family
        Which family of a space of several it is of; empty elsewhere.
    """

    number: int
    config: Model
    role: str = ""
    draws: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""

    @classmethod
    def of(cls, space: Model, number: int, role: str, draws: Mapping[str, Any]) -> Candidate:
        """The candidate that stored parameters stand for."""
        family = space.family_of(draws)
        config = space.references()[family] if role == REFERENCE else fill(space, draws)
        return cls(number, config, role, draws, family)


@dataclass(frozen=True)
class Outcome:
    """What evaluating a candidate produced.

    Attributes
    ----------
    state
        ``stopped`` with its run, which had no more time: it is to be evaluated again.
    trajectory
        What was measured along its path; of one that did not get to its end, as far as it got.
    step
        The chosen step, common to all folds.
    predictions
        ``[n, m]`` decisions for rows outside training at the chosen step, as `regsearch.metrics.scorer` means them: of
        a classifier log-odds or logits, or +-1 and one-hot where it has only labels. NaN in rows that no fold
        validates; the mean where several do.
    along
        The same at other steps of the path, where that was chosen by score.
    seconds
        Wall time of the fits.
    measures
        Other figures of the chosen point, by name, for logs.
    reason
        Why it was pruned or stopped, or failed.
    diverges
        Whether the fit at the chosen step has no limit, so that its deciding score is that of where it was stopped.
    reads_more
        Whether the deciding score reads what `predictions` do not say: labels that are not the likeliest by them, or
        the order of rows by a decision function that they are not. They do not give it.
    stands
        Of one that is stopped, whether it has all that a complete one of a shorter path has, and may be chosen so.
    """

    candidate: Candidate
    state: State
    trajectory: Trajectory = field(default_factory=Trajectory)
    step: int = 0
    predictions: Array | None = None
    along: PathDecisions | None = None
    seconds: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    diverges: bool = False
    reads_more: bool = False
    stands: bool = False

    def stopped(self, stop: Stop) -> Outcome:
        """What would be complete if its path ended where it was stopped, and is to be gone on with."""
        return replace(self, state="stopped", reason=stop.why, stands=True)

    @classmethod
    def left(
        cls, candidate: Candidate, stop: Stop, trajectory: Trajectory, seconds: float, step: int = 0,
        measures: Mapping[str, float] | None = None,
    ) -> Outcome:  # fmt: skip
        """The outcome of a candidate that was left before its end.

        One that is stopped without a score has nothing to keep, one that took too long for any has failed.
        """
        if trajectory.scored or (stop.state == "pruned" and trajectory.curves):
            return cls(
                candidate, stop.state, trajectory, step, seconds=seconds, measures=measures or {}, reason=stop.why
            )
        state: State = "failed" if stop.state == "pruned" else stop.state
        return cls(candidate, state, seconds=seconds, reason=stop.why)

    @property
    def number(self) -> int:
        return self.candidate.number

    @property
    def value(self) -> float | None:
        """Where on its axis the chosen step lies, if the config has an axis."""
        return self.trajectory.value(self.step)

    @cached_property
    def chosen_config(self) -> Model:
        """The config with the chosen point of its path filled in: what is exported."""
        return self.candidate.config.at(self.value)

    @property
    def evidence(self) -> Array | None:
        """``[K, S]`` validation scores that others are judged by; `None` of the reference, and where nothing ended."""
        searched = self.candidate.role != REFERENCE and self.state in ("complete", "pruned")
        return self.trajectory.deciding.val if searched and self.trajectory.curves else None

    @property
    def points(self) -> dict[str, Point]:
        """Every metric at the chosen step; the first decides."""
        return self.trajectory.points(self.step)

    @property
    def point(self) -> Point:
        """The deciding metric at the chosen step."""
        return self.trajectory.deciding.point(self.step)


class SearchHistory(Protocol):
    """What finished trials have shown: read by backends that give candidates up."""

    @property
    def best_folds(self) -> Array | None:
        """``[K]`` validation scores of the best complete trial at its chosen step; `None` before there is one."""
        ...

    @property
    def curves(self) -> Sequence[Array]:
        """Validation curves ``[K, S]`` of the trials that were complete or pruned, the reference left out.

        A backend reads them when it begins; others that it was not there to see may be added to the same list later.
        """
        ...

    def of(self, family: str) -> SearchHistory:
        """The same of the trials of one family alone."""
        ...


@dataclass(frozen=True)
class FixedHistory:
    """A history that stands still: by default that of a search that has not begun."""

    best_folds: Array | None = None
    curves: Sequence[Array] = ()

    def of(self, family: str) -> FixedHistory:
        """Itself: it says nothing of families."""
        return self


@dataclass(frozen=True)
class Setup:
    """Everything a backend needs beside the candidates.

    Attributes
    ----------
    metrics
        What to measure; the first decides.
    prune
        Whether candidates may be given up early.
    history
        Of the search so far, which keeps it: what is given up must not depend on when a search was resumed.
    notice
        Told, in a few words, what is being done between two outcomes.
    on_way
        Told what the deciding metric of a candidate was so far where it has passed a rung.
    fold_weights
        Whether folds count alike in means, or by the weight of the rows that validate.
    deadline
        When candidates are to end, whatever they have come to: asked between two epochs, chunks of lambdas or folds.
    cores
        How many there are for what takes all of them; `None` for those of the machine.
    """

    problem: Problem
    folds: Folds
    metrics: tuple[Metric, ...]
    seed: int = 0
    n_jobs: int | None = None
    prune: bool = False
    history: SearchHistory = field(default_factory=FixedHistory)
    notice: Callable[[str], None] = lambda text: None
    on_way: Callable[[Candidate, Curves], None] = lambda candidate, curves: None
    fold_weights: FoldWeights = "equal"
    deadline: Deadline = NO_DEADLINE
    cores: int | None = None

    @cached_property
    def averaging(self) -> Averaging:
        """How scores of the folds are averaged."""
        return Averaging.of(self.folds, self.problem.score_weight, self.fold_weights)

    def prunes_in_folds(self, candidate: Candidate) -> bool:
        """Whether a candidate may be given up after some folds: not the reference, nor where none has its own score."""
        return self.prune and not self.metrics[0].pooled and candidate.role != REFERENCE and len(self.folds) > 1

    def alone(self) -> Setup:
        """The same for configs that are evaluated beside no search: to their end, by the deciding metric alone."""
        return replace(self, metrics=self.metrics[:1], prune=False, history=FixedHistory(), deadline=NO_DEADLINE)


class Backend(Protocol):
    """Evaluates candidates: pulls one whenever it has room, yields outcomes as they finish."""

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]: ...


class Model(Node, abstract=True):
    """The root of a space: a family of models that can be searched."""

    unregularized: ClassVar[str] = "without regularization"  # what the reference is called
    packages: ClassVar[tuple[str, ...]] = ()  # what a refitted model needs beside scikit-learn
    gives_up: ClassVar[bool] = True  # whether its backend gives candidates up for what others came to
    cost: ClassVar[int] = 1  # of a fit, beside that of other families: a search of several begins with the cheapest
    keeps_its_model: ClassVar[bool] = False  # whether no config of it can be exported: its model is the user's own
    holds: ClassVar[int] = 1  # candidates that its backend evaluates at a time

    @property
    def title(self) -> str:
        """What a study says that it searches."""
        return self.kind

    @property
    def reference_name(self) -> Any:
        """What the reference is called; of several families, by family."""
        return self.unregularized

    @property
    def axes(self) -> tuple[str, ...]:
        """What paths of its configs walk along."""
        return (self.axis,) if self.axis else ()

    def family_of(self, draws: Mapping[str, Any]) -> str:
        """Which family a config is of that was filled with these parameters; empty where there is one."""
        return ""

    @property
    def axis(self) -> str:
        """What a path of this config walks along, such as lambda or epochs; empty where it has none."""
        return ""

    @property
    def task(self) -> Task | None:
        """The task that its configs have whatever y looks like; `None` where y tells."""
        return None

    def check(self, setup: Setup) -> None:
        """Refuse, before any fit, a problem that this family cannot be fitted to."""

    @property
    def variance_power(self) -> float:
        """Of a filled config for numbers: the power of the mean that the variance of y is taken to grow with."""
        return 0.0

    def scoring(self, problem: Problem) -> str:
        """The scorer that decides when the user names none."""
        return DEFAULTS[problem.task]

    def prepared_by(self, columns: DefaultColumns) -> Model:
        """This space with a transformer in front where it has none, and does not take columns as they are."""
        return self

    def preload(self) -> None:
        """Load what evaluating takes, in a process that others are then forked from: nothing that starts threads."""

    @abstractmethod
    def backend(self, setup: Setup) -> Backend:
        """What evaluates configs of this family."""

    @abstractmethod
    def reference(self) -> Model:
        """The config without regularization that every study reports; of several families a space of one for each."""

    def references(self) -> Mapping[str, Model]:
        """The references by family: a family's trials are compared with its own."""
        return {"": self.reference()}

    def beside(self) -> tuple[Node, ...]:
        return tuple(self.references().values())

    def without(self, plain: Model | None = None) -> dict[str, Model]:
        """This config with each technique of regularization in turn as the reference has it, by its name.

        Its path may be filled in or open: it stays as it is.

        Parameters
        ----------
        plain
            The reference of the study, for what this config alone does not tell: a scale or class weights that were
            searched.
        """
        off = self.reference().fields()
        return {
            public_name(name): self.replace(**{name: off.get(name)})
            for name, value in self.fields().items()
            if to_data(value) != to_data(off.get(name))
        }

    def _as_in(self, plain: Model | None, *names: str) -> dict[str, Model]:
        """This config with each of some fields as a config of the same family has it, where it has another value."""
        if not isinstance(plain, type(self)):
            return {}
        values = {name: getattr(plain, name) for name in names}
        return {name: self.replace(**{name: value}) for name, value in values.items() if value != getattr(self, name)}

    def walking(self) -> Model:
        """This config with a path to walk along, where its family has one and a single point of it was asked for."""
        return self

    def at(self, value: float | None) -> Model:
        """This config with one point of its path filled in; itself when it has no path."""
        return self

    def refit(self, problem: Problem, seed: int, deadline: Deadline = NO_DEADLINE) -> Any:
        """This config fitted to all rows, as a scikit-learn estimator of the original columns and labels.

        Raises
        ------
        OutOfTime
            Where it takes many steps, between two of which the deadline passes.
        """
        seen, transformer = fitted_to(problem)
        fitted = self._refit(seen, seed, deadline)
        return fitted if transformer is None else self._undoing(fitted, problem, transformer)

    def scored(self, fitted: Any, problem: Problem) -> Any:
        """What scorers take for a model that `refit` has made: an estimator as scikit-learn has them."""
        return fitted

    def as_long_on(self, share: float) -> Model:
        """This filled config as it sees as many samples in training on a share of the rows: with more epochs."""
        return self

    @abstractmethod
    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        """`refit` to the problem's own y."""

    def _undoing(self, fitted: Any, problem: Problem, transformer: FittedTransform) -> Any:
        """A model fitted to what a transformer made of y, as one that says y."""
        return regressor(fitted, problem, transformer)

    def cannot_be_exported(self) -> str:
        """Why a config of this space could not be exported, as far as that is known before a fit; else empty."""
        return ""

    def explain(self, problem: Problem, folds: Folds, seed: int) -> Mapping[str, Mapping[str, Any]]:
        """What the numbers of this filled config mean on the data: findings as JSON has them, by name."""
        return {}

    def figures(self, problem: Problem, seed: int) -> Mapping[str, Figure]:
        """Pictures that show what settings of this space mean on the data, by name."""
        return {}


Space: TypeAlias = Model | Choice  # what a study is given: a choice is of several families
