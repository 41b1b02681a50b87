"""The options of a study as one record, shared by all that makes studies of each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regsearch.cleaning import remember_secrets
from regsearch.data.dataset import read_dataset
from regsearch.data.fold_targets import aimed, check_transform
from regsearch.data.folds import make_folds, runs_forward
from regsearch.data.problem import SAME, Problem, make_problem
from regsearch.data.survival import signed_times
from regsearch.errors import InvalidInput
from regsearch.inputs import one_name, place, said, switch, takes
from regsearch.metrics.averaging import FOLD_WEIGHTS, FoldWeights
from regsearch.metrics.pooled import check_defined, pooled_metrics
from regsearch.metrics.scorer import check_test, resolve
from regsearch.mirror.address import check_address
from regsearch.mirror.pages import tracking_uri
from regsearch.models.base import Model, Setup
from regsearch.models.families import as_space
from regsearch.models.target import transform_of
from regsearch.numeric import is_whole, plain
from regsearch.storage.artifacts import Artifacts
from regsearch.storage.store import Store

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What a study is made with beside its name, X and y; `regsearch.Study` says what each means.

    Raises
    ------
    InvalidInput
        When an option cannot be what it is.
    """

    space: Model
    cv: Any = 5
    fold_weights: FoldWeights = "equal"
    scoring: Any = None
    pooled: bool | None = None
    groups: Any = None
    sample_weight: Any = None
    score_weight: Any = SAME
    test: Any = None
    task: Any = None
    target: Any = None
    seed: int = 0
    root: str | os.PathLike[str] = "mlruns"
    storage: str | None = None
    sampler: optuna.samplers.BaseSampler | Callable[[int], optuna.samplers.BaseSampler] | None = None
    tracking: str | bool | None = None
    experiment: str | None = None
    prune: bool = True
    n_jobs: int | None = None
    start_from: str | os.PathLike[str] | None = None
    try_first: Any = ()
    artifacts: Callable[[str], Artifacts] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.cv, Iterator):  # the folds are looked at more than once
            object.__setattr__(self, "cv", list(self.cv))
        for name in ("cv", "seed", "n_jobs", "test", "pooled"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        for address in (self.storage, self.tracking):
            remember_secrets(address)
        object.__setattr__(self, "space", as_space(self.space))
        self._check_space()
        self._check_numbers()
        self._check_places()
        self._check_services()

    @property
    def first(self) -> list[tuple[str, Any]]:
        """What is to be tried first, and what it is called in an error."""
        given = self.try_first
        several = (
            [(f"try_first[{i}]", one) for i, one in enumerate(given)] if isinstance(given, (list, tuple)) else None
        )
        begun = [] if self.start_from is None else [("start_from", self.start_from)]
        return begun + ([("try_first", given)] if several is None else several)

    def store_of(self, name: str) -> Store:
        """Where a study of that name is kept."""
        return Store(self.root, name, self.storage, None if self.artifacts is None else self._artifacts_of(name))

    def _artifacts_of(self, name: str) -> Artifacts:
        assert self.artifacts is not None
        made = self.artifacts(name)
        if not isinstance(made, Artifacts):
            raise InvalidInput(f"artifacts must make an `Artifacts`, got {said(made)} for {name!r}; return one.")
        return made

    def problem_of(self, X: Any, y: Any) -> tuple[Problem, dict[str, Any] | None]:
        """The checked data of a study, and how its held-out rows were drawn, if they were.

        Raises
        ------
        InvalidInput
            When the data cannot be searched.
        """
        X, y = read_dataset(X, y)
        y, task = signed_times(y, self.space.task if self.task is None else self.task)
        share = self.test if isinstance(self.test, float) else None
        ordered = share is not None and runs_forward(self.cv, len(y), y, self.groups)
        problem = make_problem(
            X, y, groups=self.groups, sample_weight=self.sample_weight, score_weight=self.score_weight,
            test=self.test, task=task, ordered=ordered, seed=self.seed,
        )  # fmt: skip
        problem = aimed(problem, transform_of(self.target, problem.rows))
        return problem, None if share is None else {"share": share, "ordered": ordered}

    def setup_of(self, problem: Problem) -> Setup:
        """Folds and metrics for a problem.

        Raises
        ------
        InvalidInput
            When its rows cannot be folded or scored so.
        """
        folds = make_folds(self.cv, problem, self.seed)
        metrics = resolve(self.space.scoring(problem) if self.scoring is None else self.scoring, problem)
        metrics = pooled_metrics(metrics, problem, folds, self.pooled)
        check_defined(metrics[0], problem, folds)
        check_transform(problem, folds.train)
        if problem.test is not None:
            check_test(metrics, problem.test)
        return Setup(problem, folds, metrics, self.seed, self.n_jobs, self.prune, fold_weights=self.fold_weights)

    def tracking_of(self, root: Path) -> str | None:
        """The MLflow tracking URI of a study below a root; `None` where MLflow is kept out.

        Raises
        ------
        InvalidInput
            When there can be no MLflow store at the address that was given.
        """
        if self.tracking is False:
            return None
        if isinstance(self.tracking, str):
            check_address(self.tracking)
            return self.tracking
        return tracking_uri(root)

    def _check_space(self) -> None:
        if not isinstance(self.space, Model):
            given, example = self.space, "space=spaces.linear() searches linear models"
            if hasattr(given, "fit") and not isinstance(given, type):
                example = f"wrap an estimator with what is searched: Estimator({type(given).__name__}(...), {{...}})"
            raise InvalidInput(
                f"space must be a model such as Linear(...) or spaces.linear(), got {said(given)}; {example}."
            )

    def _check_numbers(self) -> None:
        if not isinstance(self.fold_weights, str) or self.fold_weights not in FOLD_WEIGHTS:
            raise InvalidInput(
                f"fold_weights must be 'equal' or 'size', got {said(self.fold_weights)}; leave it out for folds that "
                "count alike."
            )
        if self.pooled is not None and not isinstance(self.pooled, bool):
            raise InvalidInput(
                f"pooled must be True or False, got {said(self.pooled)}; leave it out to be decided by need."
            )
        seed, n_jobs = self.seed, self.n_jobs
        if not is_whole(seed) or not 0 <= seed < 2**32:
            raise InvalidInput(f"seed must be a whole number from 0 to 2**32 - 1, got {said(seed)}; 0 is the default.")
        if n_jobs is not None and (not is_whole(n_jobs) or n_jobs == 0):
            raise InvalidInput(f"n_jobs must be a whole number but 0, got {said(n_jobs)}; -1 takes every core.")

    def _check_services(self) -> None:
        sampler, tracking, artifacts = self.sampler, self.tracking, self.artifacts
        usable = sampler is None or callable(sampler) or hasattr(sampler, "sample_relative")
        if not usable or isinstance(sampler, type):
            raise InvalidInput(f"sampler must be an Optuna sampler, got {said(sampler)}; leave it out for ours.")
        if callable(sampler):
            takes(1, sampler, "A sampler's maker", "it gets the number of trials so far.")
        if artifacts is not None and not callable(artifacts):
            raise InvalidInput(
                f"artifacts must be a function from a study's name to an `Artifacts`, got {said(artifacts)}; "
                "leave it out for the study's folder."
            )
        if artifacts is not None:
            takes(1, artifacts, "artifacts", "it gets the study's name.")
        if tracking is not None and not isinstance(tracking, bool):
            one_name(tracking, "tracking", "give an MLflow tracking URI or False, or leave it out.")

    def _check_places(self) -> None:
        place(self.root, "root")
        if self.start_from is not None:
            place(self.start_from, "start_from")
        if self.storage is not None:
            one_name(
                self.storage, "storage", "give a URL that Optuna can open, or leave it out for a file in the root."
            )
        if self.experiment is not None:
            one_name(self.experiment, "experiment", "leave it out for the study's name.")
        switch(self.prune, "prune")
