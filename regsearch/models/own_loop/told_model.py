"""The model that a loop returned, as scorers take it: an estimator of scikit-learn's, whatever it is itself."""

from __future__ import annotations

from functools import cache
from typing import Any

from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.metrics.predictions import fixed_prediction
from regsearch.models.own_loop.fold import decisions_of


def told_model(fitted: Any, problem: Problem) -> Any:
    """An estimator that says what a model says, read as `LoopFold.score` reads it.

    A torch module with a method `predict` is no estimator for scikit-learn's scorers, which ask what kind it is of.

    Parameters
    ----------
    fitted
        With `predict`, which may say probabilities; of classes `predict_proba` comes first, where it has that.
    problem
        Whose classes and targets it was fitted to.
    """
    told = _told_classes()[problem.classes is not None]()
    vars(told).update(_model=fitted, _problem=problem, classes_=problem.classes)
    return told


@cache
def _told_classes() -> tuple[type[Any], type[Any]]:
    """The classes of `told_model`: of numbers and of labels."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Told(BaseEstimator):  # type: ignore[misc]
        def __sklearn_is_fitted__(self) -> bool:
            return True

        def _of(self, X: Any) -> Any:
            """What says of these rows what the model does."""
            asked = self._model.predict
            if self._problem.classes is not None:
                asked = getattr(self._model, "predict_proba", asked)
            return fixed_prediction(self._problem, decisions_of(asked(X), X.shape[0], self._problem))

        def predict(self, X: Any) -> NDArray[Any]:
            said: NDArray[Any] = self._of(X).predict(X)
            return said

    class ToldRegressor(RegressorMixin, Told):  # type: ignore[misc]
        pass

    class ToldClassifier(ClassifierMixin, Told):  # type: ignore[misc]
        def predict_proba(self, X: Any) -> Array:
            said: Array = self._of(X).predict_proba(X)
            return said

        def decision_function(self, X: Any) -> Array:
            said: Array = self._of(X).decision_function(X)
            return said

    return ToldRegressor, ToldClassifier
