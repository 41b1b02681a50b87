"""A config as a scikit-learn estimator: `fit` trains it as a refit does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from regsearch.data import validation
from regsearch.data.problem import make_problem
from regsearch.models.base import Model


class Trainer(BaseEstimator):  # type: ignore[misc]
    """Fits one config to whatever data it is given.

    Parameters
    ----------
    config
        Filled: a linear config with one lambda, a net with a number of epochs.
    seed
        Of the random numbers of training.

    Attributes
    ----------
    model_
        What the config becomes when it is fitted.
    n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    def __init__(self, config: Model, seed: int = 0) -> None:
        self.config, self.seed = config, seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Trainer:
        """Train the config on all rows.

        Parameters
        ----------
        X, y
            Data, as `regsearch.data.problem.make_problem` takes them.
        sample_weight
            ``[n]`` or `None`.

        Raises
        ------
        InvalidInput
            When the config cannot be fitted to them.
        """
        X, y = validation.validate_fit_data(self, X, y)
        said = self._said(y, sample_weight)
        problem = make_problem(X, y, sample_weight=sample_weight, seed=self.seed, **said)
        self.model_ = self.config.refit(problem, self.seed)
        return self

    def _said(self, y: Any, sample_weight: Any) -> dict[str, Any]:
        """What is said of y."""
        return {"task": validation.infer_task(None, get_tags(self).estimator_type, y, sample_weight)}

    def predict(self, X: Any) -> Any:
        """``[n]`` numbers or labels; ``[n, t]`` of several targets."""
        return self._ask("predict", X)

    def _ask(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        return getattr(self.model_, method)(validation.validate_predict_data(self, X))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = tags.input_tags.categorical = True
        return tags


class TrainerRegressor(RegressorMixin, Trainer):  # type: ignore[misc]
    """A config that predicts numbers."""


class TrainerOfClasses(Trainer):
    """A config that tells classes apart, of one target or, beside numbers, of several.

    Attributes
    ----------
    classes_
        Labels; of several targets by target, of those that are classes, as all that is said of them.
    """

    @property
    def classes_(self) -> Any:
        return self.model_.classes_

    def predict_proba(self, X: Any) -> Any:
        """Probabilities ``[n, C]`` of the classes."""
        return self._ask("predict_proba", X)

    def decision_function(self, X: Any) -> Any:
        """Log-odds ``[n]`` of two classes, or a logit per class ``[n, C]``."""
        return self._ask("decision_function", X)


class TrainerClassifier(ClassifierMixin, TrainerOfClasses):  # type: ignore[misc]
    """A config that tells the classes of one target apart."""


class TrainerTasks(TrainerOfClasses):
    """A config that predicts several targets with tasks of their own.

    Parameters
    ----------
    tasks
        By target; a y whose columns have names may have them in any order.
    """

    def __init__(self, config: Model, tasks: Mapping[str, str], seed: int = 0) -> None:
        super().__init__(config, seed)
        self.tasks = tasks

    def _said(self, y: Any, sample_weight: Any) -> dict[str, Any]:
        return {"task": list(self.tasks.values()), "targets": list(self.tasks)}
