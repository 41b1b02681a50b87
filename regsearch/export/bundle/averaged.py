"""The model of an ensemble: the mean of what its members predict, as it was selected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from regsearch._types import MIXED, Array, Task
from regsearch.data.frames import index_of
from regsearch.data.problem import Problem
from regsearch.data.tasks import TargetTask
from regsearch.errors import InvalidInput
from regsearch.export.bundle.schema import Form
from regsearch.metrics.blending import to_average, to_decisions
from regsearch.metrics.predictions import decisions_of_tasks, labels_of_tasks, probabilities_of_tasks, values_of_tasks
from regsearch.models.fitting import decisions_of


class Averaged(BaseEstimator):  # type: ignore[misc]
    """Fitted models whose predictions are averaged.

    Parameters
    ----------
    models
        The members, fitted to the same rows.
    weights
        Theirs, which sum to one.
    """

    def __init__(self, models: Sequence[Any], weights: Sequence[float]) -> None:
        self.models, self.weights = models, weights

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return f"{type(self).__name__}({len(self.models)} models)"

    def __sklearn_clone__(self) -> Averaged:
        """Itself, as a frozen estimator."""
        return self

    def fit(self, X: Any, y: Any) -> Averaged:
        """Refuse: the members are trained. scikit-learn takes only what has a ``fit`` for an estimator.

        Raises
        ------
        InvalidInput
            Always.
        """
        raise InvalidInput(
            f"An {type(self).__name__} is trained and cannot be fitted again; `regsearch retrain` fits its members to "
            "other data."
        )


class AveragedRegressor(RegressorMixin, Averaged):  # type: ignore[misc]
    """The weighted mean of predicted numbers."""

    def predict(self, X: Any) -> Array:
        """``[n]``, or ``[n, targets]``."""
        said = (w * np.asarray(one.predict(X), dtype=float) for one, w in zip(self.models, self.weights, strict=True))
        return np.asarray(sum(said))


def _all_have_probabilities(model: AveragedClassifier) -> bool:
    return all(hasattr(one, "predict_proba") for one in model.models)


class AveragedClassifier(ClassifierMixin, Averaged):  # type: ignore[misc]
    """The weighted mean of class probabilities; of a member without them the logistic function of its decision."""

    @property
    def classes_(self) -> NDArray[Any]:
        return np.asarray(self.models[0].classes_)

    def _mean(self, X: Any) -> Array:
        """``[n, C]``."""
        like = _like(self.classes_)
        said = (
            w * to_average(like, decisions_of(one, X, like)) for one, w in zip(self.models, self.weights, strict=True)
        )
        return np.asarray(sum(said))

    @available_if(_all_have_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Array:
        """``[n, C]``."""
        return self._mean(X)

    def decision_function(self, X: Any) -> Array:
        """Log-odds ``[n]`` of the second of two classes, or logarithms of probabilities ``[n, C]``."""
        like = _like(self.classes_)
        found = to_decisions(like, self._mean(X))
        return found[:, 0] if like.outputs == 1 else found

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels ``[n]``."""
        return np.asarray(self.classes_[self._mean(X).argmax(axis=1)])


class AveragedTasks(Averaged):
    """The weighted means of numbers and of class probabilities, of several targets with tasks of their own.

    Parameters
    ----------
    tasks
        Of each target.
    """

    def __init__(self, models: Sequence[Any], weights: Sequence[float], tasks: Sequence[TargetTask]) -> None:
        super().__init__(models, weights)
        self.tasks = tasks

    @property
    def classes_(self) -> dict[str, NDArray[Any]]:
        """Labels by target, of those that are classes."""
        return labels_of_tasks(self.tasks)

    def decision(self, X: Any) -> Array:
        """``[n, m]``: numbers, log-odds of two classes, logarithms of the probabilities of several."""
        targets = tuple(one.name for one in self.tasks)
        like = Problem(np.zeros((1, 1)), np.zeros((1, len(targets))), MIXED, target_names=targets, tasks=(*self.tasks,))
        pairs = zip(self.models, self.weights, strict=True)
        return to_decisions(like, np.asarray(sum(w * to_average(like, one.decision(X)) for one, w in pairs)))

    def predict(self, X: Any) -> Any:
        """A DataFrame ``[n, t]`` with the index of X: numbers and labels, each column of its own type."""
        return values_of_tasks(self.tasks, self.decision(X), index_of(X))

    def predict_proba(self, X: Any) -> dict[str, Array]:
        """``[n, C]`` by target, of those that are classes."""
        return probabilities_of_tasks(self.tasks, self.decision(X))

    def decision_function(self, X: Any) -> dict[str, Array]:
        """Log-odds ``[n]`` of two classes, or a logit per class ``[n, C]``, by target, of those that are classes."""
        return decisions_of_tasks(self.tasks, self.decision(X))


def _like(classes: NDArray[Any]) -> Problem:
    """A problem with these classes: what decisions are read by."""
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    return Problem(np.zeros((len(classes), 1)), np.arange(len(classes)), task, classes=classes)


def averaged(models: Sequence[Any], weights: Sequence[float], form: Form) -> Averaged:
    """The mean of models that predict what a form says."""
    if form.tasks:
        return AveragedTasks([*models], [*weights], form.tasks)
    return (AveragedRegressor if form.classes is None else AveragedClassifier)([*models], [*weights])
