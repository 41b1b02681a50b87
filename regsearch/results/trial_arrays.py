"""What trials measured along their paths, and what they said of rows outside training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from regsearch._types import MIXED, NUMBERS, Array
from regsearch.data.frames import index_of
from regsearch.data.tasks import TargetTask
from regsearch.errors import InvalidInput, NotFound
from regsearch.inputs import counted
from regsearch.metrics.predictions import probabilities, values_of_tasks
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves, Trajectory
from regsearch.results.readings import Readings
from regsearch.storage.arrays import TASKS
from regsearch.storage.store import TRIALS, Store, trial_file
from regsearch.storage.trial import Trial

NUMBER = "The number of a trial"
LISTED = 5  # trials that are named


class TrialArrays:
    """What `regsearch.Results` reads of the files of trials; it says what the attributes are."""

    store: Store
    identity: Mapping[str, Any]
    all: tuple[Trial, ...]
    measured: Mapping[int, Trajectory]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the deciding one first."""
        deciding = (str(self.identity["metric"]),)
        return next((tuple(trial.points) for trial in self.all if trial.is_scored), deciding)

    @property
    def lacks_files(self) -> str:
        """Why what trials measured and predicted cannot be read here, in a sentence; empty where it can be."""
        complete = {trial.number: trial for trial in self.all if trial.is_scored}
        read = complete.keys() - self.measured
        if not read:
            return ""
        if not self.store.has_files:
            return (
                f"Its curves and predictions are not in {self.store.root}, so there is no corrected score and no "
                "advice: they were removed, went with the process of a search without tracking=, or lie where the "
                "artifacts= of its script says."
            )
        kept = {*self.store.artifacts.names(TRIALS)}
        gone = sorted(number for number in read if complete[number].sha256 and trial_file(number) not in kept)
        if not gone:
            return ""
        few = ", ".join(map(str, gone[:LISTED])) + (", ..." if len(gone) > LISTED else "")
        return (
            f"Curves and predictions of {'trials' if len(gone) > 1 else 'trial'} {few} are gone from "
            f"{self.store.root} since these results were read, so there is no corrected score and no advice: "
            "study.results() reads what is left, and a run evaluates them again."
        )

    def curves(self, number: int, metric: str | None = None) -> Curves:
        """Scores ``[folds, steps]`` of a trial along its path.

        Raises
        ------
        InvalidInput
            When the number or the metric is none of the study's.
        """
        name, place = self.metrics[0] if metric is None else metric, counted(number, NUMBER)
        if name not in self.metrics:
            raise InvalidInput(f"A metric must be one of the study's ({', '.join(self.metrics)}), got {name!r}.")
        return self.measured[place].curves[name] if place in self.measured else self._readings.curves(place, name)

    def trajectory(self, number: int) -> Trajectory:
        """What a trial measured along its path: axis, curves of every metric, complexity."""
        place = counted(number, NUMBER)
        return self.measured[place] if place in self.measured else self.store.trajectory(place)

    def predictions(self, number: int, step: int | None = None) -> Any:
        """What a trial says of each row outside training: by the models of the folds that validate it, their mean.

        Read from what the search stored, so that neither data nor models are needed. NaN in rows that no fold
        validates. Where folds repeat, a row's number is the mean over repetitions (of classes, the mean of log-odds or
        logits, as a probability), which is better than that of one model alone.

        Parameters
        ----------
        number
            A trial's that is complete, or was stopped and stands.
        step
            Of its path, counted from 0; by default its own. Others are stored here and there along it:
            ``results.along(number).steps``.

        Returns
        -------
        numpy.ndarray
            ``[n]`` numbers in the units of y, means of counts or amounts, log hazards of survival; ``[n, targets]`` of
            several, in the order of y's columns; ``[n, classes]`` probabilities in the order of the sorted labels,
            which is that of ``classes_``. A classifier that has no probabilities is taken at the logistic function of
            its decision, one whose labels have a threshold of their own at its probabilities. Of targets with tasks of
            their own a DataFrame ``[n, targets]`` of numbers and labels, missing where no fold validates, with the
            index of X where that is one of numbers, texts or times without a zone, else numbered in the order of the
            rows. Single precision, where that rounds no difference away.

        Raises
        ------
        NotFound
            When nothing is stored there; it says at which steps something is.
        InvalidInput
            When number or step are none.
        """
        return self.as_predictions(self._decisions_at(counted(number, NUMBER), step))

    def as_predictions(self, decisions: Array) -> Any:
        """What `predictions` makes of decisions ``[n, m]``."""
        if self.identity["task"] == MIXED:
            kept = self.store.load_targets(MIXED, str(self.identity["fingerprint"]))
            tasks = tuple(map(TargetTask.read, self.identity[TASKS]))
            said = values_of_tasks(tasks, decisions, None if kept is None else index_of(kept.X))
            unknown = np.asarray(~np.isfinite(decisions).all(axis=1))
            flags = dict.fromkeys(said.select_dtypes("bool"), "boolean")  # these have a missing value
            return said.astype(flags).mask(np.tile(unknown, (len(tasks), 1)).T) if unknown.any() else said
        if self.identity["task"] not in NUMBERS:
            return probabilities(decisions)
        return decisions[:, 0] if decisions.shape[1] == 1 else decisions

    def _decisions_at(self, number: int, step: int | None) -> Array:
        trial = next((one for one in self.all if one.number == number), None)
        if trial is None:
            raise NotFound(f"{self.identity['study']!r} has no trial {number}; it has {len(self.all)}.")
        own = self.decisions(number) if trial.is_scored else None
        if own is None:
            why = f"it is {trial.state}" if not trial.is_scored else "its training loop says none"
            raise NotFound(f"Trial {number} of {self.identity['study']!r} has no predictions outside training: {why}.")
        if step is None or counted(step, "A step") == trial.step:
            return own
        along = self.along(number)
        places = {} if along is None else {int(one): place for place, one in enumerate(along.steps)}
        if along is None or step not in places:
            kept = ", ".join(map(str, sorted([*places, trial.step])))
            raise NotFound(
                f"Predictions of trial {number} are stored at the steps {kept}, not at {step}; take one near."
            )
        return np.asarray(along.decisions[places[step]], dtype=float)

    def decisions(self, number: int) -> Array | None:
        """``[n, m]`` decisions of a trial for rows outside training, at its own chosen step; `None` if not kept.

        A decision is a number, the log-odds of the second of two classes, or one logit per class.
        """
        return self._readings.predictions(counted(number, NUMBER))

    def along(self, number: int) -> PathDecisions | None:
        """The same at other steps of the trial's path; `None` where the path has none, or they are not stored."""
        return self._readings.along(counted(number, NUMBER))

    @cached_property
    def _readings(self) -> Readings:
        return Readings(self.store)
