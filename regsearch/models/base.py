"""What one trial is and what it produced.

Shapes: K folds, S steps of the path (one step for an estimator without an axis).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.metrics.scorer import DEFAULTS, Metric
from regsearch.models.path import Curves, Point
from regsearch.space.config import to_data
from regsearch.space.tree import Node, public

if TYPE_CHECKING:
    from matplotlib.figure import Figure

State: TypeAlias = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Candidate:
    """A config to evaluate; `role` is ``reference``, ``start`` or empty when it was sampled."""

    number: int
    config: Model
    role: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a trial produced.

    Attributes
    ----------
    curves
        By metric name; the first decides.
    axis
        ``[S]``: where each step lies on the model's axis (lambda, epochs); NaN when the config has none.
    complexity
        ``[K, S]``: effective degrees of freedom or non-zero coefficients; NaN when unknown.
    step
        The chosen step, common to all folds.
    predictions
        ``[n, m]`` decisions for rows outside training at the chosen step, as `regsearch.metrics.scorer` means them: of
        a classifier log-odds or logits, or +-1 and one-hot where it has only labels. NaN in rows that no fold
        validates; the mean where several do.
    seconds
        Wall time of the fits.
    measures
        Other figures of the chosen point, by name, for logs.
    reason
        Why it was pruned or failed.
    """

    number: int
    config: Model
    state: State
    role: str = ""
    curves: Mapping[str, Curves] = field(default_factory=dict)
    axis: Array = field(default_factory=lambda: np.full(1, np.nan))
    complexity: Array = field(default_factory=lambda: np.full((1, 1), np.nan))
    step: int = 0
    predictions: Array | None = None
    seconds: float = 0.0
    measures: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def value(self) -> float | None:
        """Where on its axis the chosen step lies, if the config has an axis."""
        value = float(self.axis[self.step])
        return None if math.isnan(value) else value

    @property
    def chosen(self) -> Model:
        """The config with the chosen point of the path filled in: what is exported."""
        return self.config.at(self.value)

    def point(self, metric: str) -> Point:
        """A metric at the chosen step, over the folds that were fitted; NaN where it is not defined in one of them."""
        return self.curves[metric].point(self.step, self.curves[self.primary].fitted)

    @property
    def primary(self) -> str:
        return next(iter(self.curves))


class Incumbent:
    """The best outcome so far, and whether another can still beat it.

    Forgiving fold pruning: a config is given up when the mean of its first folds is worse than the incumbent's worst
    fold.
    """

    def __init__(self) -> None:
        self.best = -math.inf
        self.worst_fold = -math.inf

    def offer(self, outcome: Outcome) -> bool:
        """Take note of a complete outcome; whether it is the new best."""
        scores = outcome.curves[outcome.primary].val[:, outcome.step]
        if not scores.mean() > self.best:
            return False
        self.accept(scores)
        return True

    def accept(self, scores: Array) -> None:
        """Make these fold scores the ones to beat."""
        self.best, self.worst_fold = float(scores.mean()), float(scores.min())

    def hopeless(self, scores: Array) -> bool:
        """Whether folds with these scores are enough to give a config up."""
        return bool(len(scores) and np.mean(scores) < self.worst_fold)


@dataclass(frozen=True)
class Setup:
    """Everything a backend needs beside the candidates.

    Attributes
    ----------
    metrics
        What to measure; the first decides.
    incumbent
        Kept by the search, read by backends that can give up early; `None` turns pruning off.
    past
        Mean validation curves ``[S]`` of the trials that a resumed search had finished: what is pruned must not start
        from nothing.
    notice
        Told, in a few words, what is being done between two outcomes.
    """

    problem: Problem
    folds: Folds
    metrics: tuple[Metric, ...]
    seed: int = 0
    n_jobs: int | None = None
    incumbent: Incumbent | None = None
    past: tuple[Array, ...] = ()
    notice: Callable[[str], None] = lambda text: None


class Backend(Protocol):
    """Evaluates candidates: pulls one whenever it has room, yields outcomes as they finish."""

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]: ...


class Model(Node, abstract=True):
    """The root of a space: a family of models that can be searched."""

    unregularized: ClassVar[str] = "without regularization"  # what the reference is called
    packages: ClassVar[tuple[str, ...]] = ()  # what a refitted model needs beside scikit-learn
    axis: ClassVar[str] = ""  # what a path of this family walks along: lambda, epochs

    def check(self, setup: Setup) -> None:
        """Refuse, before any fit, a problem that this family cannot be fitted to."""

    def scoring(self, problem: Problem) -> str:
        """The scorer that decides when the user names none."""
        return DEFAULTS[problem.task]

    @abstractmethod
    def backend(self, setup: Setup) -> Backend:
        """What evaluates configs of this family."""

    @abstractmethod
    def reference(self) -> Model:
        """The config without regularization that every study reports."""

    def without(self) -> dict[str, Model]:
        """This filled config with each technique of regularization in turn as the reference has it, by its name."""
        plain = self.reference().fields()
        return {
            public(name): self.replace(**{name: plain.get(name)})
            for name, value in self.fields().items()
            if to_data(value) != to_data(plain.get(name))
        }

    def at(self, value: float | None) -> Model:
        """This config with one point of its path filled in; itself when it has no path."""
        return self

    @abstractmethod
    def refit(self, problem: Problem, seed: int) -> Any:
        """This config fitted to all rows, as a scikit-learn estimator of the original columns and labels."""

    def explain(self, problem: Problem, folds: Folds, seed: int) -> Mapping[str, Mapping[str, Any]]:
        """What the numbers of this filled config mean on the data: findings as JSON has them, by name."""
        return {}

    def figures(self, problem: Problem, seed: int) -> Mapping[str, Figure]:
        """Pictures that show what settings of this space mean on the data, by name."""
        return {}
