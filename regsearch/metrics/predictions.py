"""What decisions say: class probabilities, classes, and a fitted estimator that predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.data.tasks import TargetTask, frame_of_values, slices

ONE = 4e-6  # that sums of probabilities in single precision are off one by at most


def fixed_prediction(problem: Problem, decision: Array) -> Any:
    """A fitted scikit-learn estimator whose prediction, for any X, is the given decision ``[n, m]``."""
    if problem.tasks:
        return FixedTasks(problem.tasks, decision)
    return fixed_estimator(problem.classes, decision, problem.targets)


def fixed_estimator(classes: NDArray[Any] | None, decision: Array, targets: int = 1) -> Any:
    """The same of labels, or of numbers of some targets."""
    fixed = _fixed_classes()[classes is not None]()
    vars(fixed).update(_decision=decision, _targets=targets)
    if classes is not None:
        fixed.classes_ = classes
    return fixed


@cache
def _fixed_classes() -> tuple[type[Any], type[Any]]:
    """The classes of `fixed_prediction`, made once: scikit-learn looks through each new class for what it routes."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Fixed(BaseEstimator):  # type: ignore[misc]
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def __sklearn_clone__(self) -> Any:
            return self

    class FixedRegressor(RegressorMixin, Fixed):  # type: ignore[misc]
        def predict(self, X: Any) -> Array:
            return np.asarray(self._decision[:, 0] if self._targets == 1 else self._decision)

    class FixedClassifier(ClassifierMixin, Fixed):  # type: ignore[misc]
        def decision_function(self, X: Any) -> Array:
            return np.asarray(self._decision[:, 0] if self._decision.shape[1] == 1 else self._decision)

        def predict_proba(self, X: Any) -> Array:
            return told_probabilities(self._decision)

        def predict(self, X: Any) -> NDArray[Any]:
            return np.asarray(np.asarray(self.classes_)[winners(self._decision)])

    return FixedRegressor, FixedClassifier


class FixedTasks:
    """What predicts a given decision ``[n, m]`` for any X: of targets with tasks of their own."""

    def __init__(self, tasks: Sequence[TargetTask], decision: Array) -> None:
        self._tasks, self._decision = tasks, decision

    @property
    def classes_(self) -> dict[str, NDArray[Any]]:
        return labels_of_tasks(self._tasks)

    def predict(self, X: Any) -> Any:
        return values_of_tasks(self._tasks, self._decision)

    def predict_proba(self, X: Any) -> dict[str, Array]:
        return probabilities_of_tasks(self._tasks, self._decision)

    def decision_function(self, X: Any) -> dict[str, Array]:
        return decisions_of_tasks(self._tasks, self._decision)


def labels_of_tasks(tasks: Sequence[TargetTask]) -> dict[str, NDArray[Any]]:
    """Labels by target, of those that are classes."""
    return {one.name: labels for one in tasks if (labels := one.labels) is not None}


def values_of_tasks(tasks: Sequence[TargetTask], decision: Array, index: Any = None) -> Any:
    """A DataFrame ``[n, t]`` of what a decision ``[n, m]`` says: numbers, and labels of their own type."""
    said = [
        decision[:, part.start] if one.classes is None else winners(decision[:, part])
        for one, part in zip(tasks, slices(tasks), strict=True)
    ]
    return frame_of_values(tasks, np.column_stack(said), index)


def probabilities_of_tasks(tasks: Sequence[TargetTask], decision: Array) -> dict[str, Array]:
    """Class probabilities ``[n, C]`` by target, of those that are classes."""
    pairs = zip(tasks, slices(tasks), strict=True)
    return {one.name: probabilities(decision[:, part]) for one, part in pairs if one.classes is not None}


def decisions_of_tasks(tasks: Sequence[TargetTask], decision: Array) -> dict[str, Array]:
    """Log-odds ``[n]`` of two classes, or a logit per class ``[n, C]``, by target, of those that are classes."""
    pairs = zip(tasks, slices(tasks), strict=True)
    return {
        one.name: decision[:, part.start] if one.outputs == 1 else decision[:, part]
        for one, part in pairs
        if one.classes is not None
    }


def watched_prediction(problem: Problem, decision: Array, read: set[str]) -> Any:
    """The same, which notes what is read of it beside its predictions, by the names of attributes."""
    fixed = fixed_prediction(problem, decision)

    class Watched(type(fixed)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            if name not in _PREDICTIONS:
                read.add(name)
            return super().__getattribute__(name)

        def __getitem__(self, key: Any) -> Any:
            read.add("__getitem__")
            raise TypeError(f"{type(fixed).__name__!r} object is not subscriptable")

        def __len__(self) -> int:
            read.add("__len__")
            raise TypeError(f"object of type {type(fixed).__name__!r} has no len()")

    watched = Watched.__new__(Watched)
    watched.__dict__.update(vars(fixed))
    read.clear()
    return watched


_PREDICTIONS = ("predict", "predict_proba", "decision_function", "classes_", "_decision", "_targets", "_tasks")


def probabilities(decision: Array) -> Array:
    """Class probabilities ``[..., C]`` of a decision ``[..., m]``."""
    from scipy.special import expit, softmax

    if decision.shape[-1] == 1:
        positive = expit(decision)
        return np.concatenate([1 - positive, positive], axis=-1)
    return np.asarray(softmax(decision, axis=-1))


def told_probabilities(decision: Array) -> Array:
    """The same; where logits are the logarithms of probabilities, those that were told, equal ones still equal.

    Their sum over classes, which is one but for rounding, would round those of each row otherwise, and rows of trees
    and neighbours have few different ones.
    """
    if decision.shape[-1] > 1:
        with np.errstate(over="ignore"):
            told = np.exp(decision)
            if np.all(np.abs(told.sum(axis=-1) - 1) <= ONE):
                return np.asarray(told)
    return probabilities(decision)


def winners(decision: Array) -> NDArray[np.intp]:
    """Class codes ``[...]`` of a decision ``[..., m]``."""
    return np.asarray(decision[..., 0] > 0, dtype=np.intp) if decision.shape[-1] == 1 else decision.argmax(axis=-1)


def log_sum_exp(logits: Array) -> Array:
    """The logarithm of the summed exponentials ``[...]`` of logits ``[..., classes]``.

    scipy's takes several times as long on the few classes of many rows, and as much memory again.
    """
    top = logits.max(axis=-1, keepdims=True)
    top[~np.isfinite(top)] = 0.0
    each = logits - top
    with np.errstate(divide="ignore", over="ignore"):  # of none but -inf; of some beside inf
        total = np.exp(each, out=each).sum(axis=-1)
        np.log(total, out=total)
    total += top[..., 0]
    return np.asarray(total)
