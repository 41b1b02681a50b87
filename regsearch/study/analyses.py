"""What a study that was run is asked afterwards: its choice exported, taken apart, on fewer rows, on rows held out."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from regsearch.data.problem import Problem
from regsearch.data.tasks import said_task
from regsearch.export.ensembles import export_ensemble
from regsearch.export.write import export
from regsearch.models.base import Setup
from regsearch.parallel.crew import Workers
from regsearch.progress import Progress
from regsearch.results.ablation import Ablation, ablate
from regsearch.results.choice import Chosen
from regsearch.results.ensemble import Ensemble
from regsearch.results.learning_curve import SIZES, LearningCurve, learning_curve
from regsearch.results.nested_cv import NestedCV, NestedResult, outer_folds
from regsearch.results.results import Results
from regsearch.results.rules import Rule
from regsearch.storage.store import Store
from regsearch.study.options import StudyOptions


class Analyses:
    """What `regsearch.Study` does with what it has stored; it says what the attributes are."""

    name: str
    options: StudyOptions
    store: Store
    problem: Problem
    setup: Setup
    _drawn: dict[str, Any] | None

    def results(self) -> Results:
        """What is stored of the study so far."""
        raise NotImplementedError

    def run(self, *args: Any, **kwargs: Any) -> Results:
        """Search until a limit is reached."""
        raise NotImplementedError

    def _with(self, name: str, X: Any, y: Any, **options: Any) -> Self:
        """A study of the same script with another name, data or options."""
        raise NotImplementedError

    def export(self, out: str | os.PathLike[str], rule: str | int | Rule | Chosen | Ensemble = "best") -> Path:
        """Refit what a rule chooses, or every member of an ensemble, on all rows and write it to a folder.

        See `regsearch.export.write.export` and `regsearch.export.ensembles.export_ensemble`.

        Parameters
        ----------
        out
            A folder that does not exist, is empty, or is an earlier bundle, which is replaced.
        rule
            As `Results.choose` takes it, or what `Results.ensemble` found.

        Raises
        ------
        StudyMismatch
            As `results`.
        """
        results = self.results()
        if isinstance(rule, Ensemble):
            return export_ensemble(results, rule, self.problem, out, self._drawn)
        return export(results, results.choose(rule), self.problem, out, self._drawn)

    def ablate(self, rule: str | int | Rule | Chosen = "best", *, quiet: bool = False) -> Ablation:
        """What each technique of the chosen config does for it; see `regsearch.results.ablation.ablate`.

        Raises
        ------
        StudyMismatch
            As `results`.
        """
        results = self.results()
        return ablate(results, results.choose(rule), self.setup, Progress(quiet=quiet))

    def learning_curve(
        self, sizes: Sequence[float] = SIZES, rule: str | int | Rule | Chosen = "best", *, quiet: bool = False
    ) -> LearningCurve:
        """The chosen config on growing parts of the training rows; see `regsearch.results.learning_curve`.

        Parameters
        ----------
        sizes
            Shares of each fold's training rows, ascending, 1 being all of them.

        Raises
        ------
        StudyMismatch
            As `results`.
        InvalidInput
            When the sizes are not ascending shares, or the smallest leaves too little to train on.
        """
        results = self.results()
        return learning_curve(results, results.choose(rule), self.setup, sizes, Progress(quiet=quiet))

    def nested(
        self,
        outer: Any = 5,
        n_trials: int | None = None,
        *,
        rule: str | Rule = "best",
        timeout: float | None = None,
        patience: int | None = None,
        trial_timeout: float | None = None,
        workers: int | Workers | None = None,
        deterministic: bool = False,
        quiet: bool = False,
    ) -> NestedResult:
        """Nested cross-validation: what this search and its choice are worth on rows that neither saw.

        Each outer fold's training rows are searched by a study of their own, ``NAME.outer0`` and so on under the same
        root, without MLflow; what the rule chooses is refitted on them and scored on the outer test rows, and kept as
        the finding ``nested``. Held-out rows are not touched. Interrupted, it goes on when it is run again.

        Parameters
        ----------
        outer
            Outer folds, as `cv`; an int goes by groups, classes and time as the study's folds do.
        n_trials, timeout, patience, trial_timeout, workers, deterministic
            Of each inner search, as in `run`.
        rule
            Chooses in each inner study.

        Returns
        -------
        NestedResult
            Of the outer folds that are finished, also after Ctrl-C.

        Raises
        ------
        InvalidInput
            When an outer or inner split is impossible; nothing has been fitted then.
        StudyMismatch
            When an inner study is stored with other data, folds, scoring or seed.
        """
        folds = outer_folds(outer, self.options.cv, self.problem, self.options.seed)
        for number, train in enumerate(folds.train):
            self._inner(number, self.problem.part(train))  # what cannot be searched says so before the first fit

        def search(number: int, part: Problem) -> Results:
            how: dict[str, Any] = {"trial_timeout": trial_timeout, "workers": workers, "deterministic": deterministic}
            return self._inner(number, part).run(n_trials, timeout, patience, **how, quiet=quiet)

        of_study = self.store, self.problem, self.setup.metrics, self.options.seed
        return NestedCV(*of_study, folds, self.setup.fold_weights, search, rule).run(Progress(quiet=quiet))

    def _inner(self, number: int, part: Problem) -> Self:
        """The study of one outer fold's training rows."""
        return self._with(
            f"{self.name}.outer{number}", part.X, part.labels, groups=part.groups, sample_weight=part.sample_weight,
            score_weight=part.score_weight, test=None, task=said_task(part.task, part.tasks),
            start_from=None, try_first=(), tracking=False,
            sampler=copy.deepcopy(self.options.sampler),
        )  # fmt: skip
