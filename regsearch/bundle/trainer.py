"""A config as a scikit-learn estimator: `fit` trains it as a refit does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from regsearch.inputs import Task
from regsearch.path import Model
from regsearch.problem import make_problem


class Trainer(BaseEstimator):  # type: ignore[misc]
    """Fits one config to whatever data it is given.

    Parameters
    ----------
    config
        Filled: a linear config with one lambda, a net with a number of epochs.
    seed
        Of the random numbers of training.
    """

    def __init__(self, config: Model, seed: int = 0) -> None:
        self.config, self.seed = config, seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Trainer:
        """Train the config on all rows."""
        problem = make_problem(X, y, sample_weight=sample_weight, task=self.task(y), seed=self.seed)
        self.model_ = self.config.refit(problem, self.seed)
        self.n_features_in_ = problem.columns
        return self

    def predict(self, X: Any) -> Any:
        """``[n]`` numbers or labels."""
        return self.model_.predict(X)

    def task(self, y: Any) -> Task:
        """What y is taken for."""
        return "regression"


class TrainerRegressor(RegressorMixin, Trainer):  # type: ignore[misc]
    """A config that predicts numbers."""


class TrainerClassifier(ClassifierMixin, Trainer):  # type: ignore[misc]
    """A config that tells classes apart."""

    @property
    def classes_(self) -> Any:
        return self.model_.classes_

    def predict_proba(self, X: Any) -> Any:
        """``[n, C]``."""
        return self.model_.predict_proba(X)

    def decision_function(self, X: Any) -> Any:
        """Log-odds ``[n]``, or logits ``[n, C]``."""
        return self.model_.decision_function(X)

    def task(self, y: Any) -> Task:
        return "binary" if len(np.unique(np.asarray(y))) == 2 else "multiclass"
