"""What the models of a problem's folds are fitted to, where y is transformed, and how that is undone.

Notation: n rows, K folds, t targets, m = t outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.problem import Problem
from regsearch.data.target_transforms import FittedTransform, TargetTransform
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput

BACK = 1e-6  # of y's deviation: what undoing may be off by ...
SHARE = 0.99  # ... in this share of the rows; one that clips the rest, as of a sample's range, may be off there


@dataclass(frozen=True)
class FoldTargets:
    """What the models of some folds are fitted to.

    Attributes
    ----------
    y
        ``[n]`` or ``[n, t]`` for all of them; with a transformer ``[K, n]`` or ``[K, n, t]``, where each fold knows its
        own rows alone, and their mean elsewhere.
    fitted
        The transformer of each fold; empty without one.
    """

    y: Array
    fitted: tuple[FittedTransform, ...] = ()

    @classmethod
    def of(cls, problem: Problem, train: Sequence[Rows]) -> FoldTargets:
        """Those of folds that train on some sets of rows."""
        transform = problem.transform
        if transform is None:
            return cls(problem.y)
        found = [_seen(transform, problem, rows) for rows in train]
        return cls(np.stack([y for y, _ in found]), tuple(fitted for _, fitted in found))

    def with_rows(self, k: int, problem: Problem, rows: Rows) -> Array:
        """The targets of fold k, some rows beside those that it trains on among them, but for what is not finite."""
        y: Array = self.y[k].copy()
        if len(rows):
            made = self.fitted[k].transformed(problem.y[rows])
            y[rows] = np.where(np.isfinite(made), made, y[rows])
        return y

    def undone(self, k: int, decisions: Array) -> Array:
        """Decisions ``[..., m]`` of fold k in the units of y."""
        return self.fitted[k].undone(decisions) if self.fitted else decisions


def aimed(problem: Problem, transform: TargetTransform | None) -> Problem:
    """A problem whose models are fitted to what a transformer makes of y."""
    return problem if transform is None else replace(problem, transform=transform)


def fitted_to(problem: Problem) -> tuple[Problem, FittedTransform | None]:
    """A problem whose y is what a model of all rows is fitted to, and the transformer that made it."""
    if problem.transform is None:
        return problem, None
    y, fitted = _seen(problem.transform, problem, np.arange(problem.rows))
    return replace(problem, y=y, transform=None, test=None), fitted


def transformer_of(fitted: Any) -> Any:
    """The transformer of y that a fitted model undoes, not fitted; `None` where there is none."""
    from sklearn.base import clone

    own = getattr(fitted, "transformer_", getattr(fitted, "target", None))
    return None if own is None else clone(own)


def regressor(fitted: Any, problem: Problem, transformer: FittedTransform) -> Any:
    """A model that was fitted to a problem's transformed y, as scikit-learn's that undoes this in what it predicts."""
    from sklearn.base import clone
    from sklearn.compose import TransformedTargetRegressor

    assert problem.transform is not None
    unfitted = clone(problem.transform.transformer)
    made = TransformedTargetRegressor(clone(fitted), transformer=unfitted, check_inverse=False)
    made.regressor_, made.transformer_, made._training_dim = fitted, transformer.transformer, problem.y.ndim
    if hasattr(fitted, "feature_names_in_"):
        made.feature_names_in_ = fitted.feature_names_in_
    return made


def _seen(transform: TargetTransform, problem: Problem, rows: Rows) -> tuple[Array, FittedTransform]:
    """Transformed targets of rows to train on, and their mean elsewhere."""
    rows = weighing(rows, problem.sample_weight)
    fitted = transform.fit(problem.y, rows)
    made = fitted.transformed(problem.y[rows])
    y = np.tile(made.mean(axis=0), (problem.rows,) + (1,) * (problem.y.ndim - 1)).reshape(problem.y.shape)
    y[rows] = made
    return y, fitted


def check_transform(problem: Problem, train: Sequence[Rows]) -> None:
    """Refuse a transformer of y that cannot be fitted in some fold, or is not undone.

    Raises
    ------
    InvalidInput
        Saying why.
    """
    transform = problem.transform
    if transform is None:
        return
    if problem.task != "regression":
        raise InvalidInput(
            f"target= transforms the y of a regression, got a {problem.task} task; leave it out, or pass "
            "task='regression' where the labels are quantities."
        )
    for part in (np.arange(problem.rows), *train):
        rows = weighing(part, problem.sample_weight)
        fitted, y = transform.fit(problem.y, rows), problem.y[rows]
        off = np.abs(fitted.undone(fitted.transformed(y).reshape(len(y), -1)) - y.reshape(len(y), -1))
        near = off <= BACK * np.maximum(y.std(axis=0), np.finfo(float).tiny)
        if near.mean() < SHARE:
            raise InvalidInput(
                "What a target transformer makes of y must be undone by its inverse_transform, that of "
                f"{transform.name} is off by up to {np.nanmax(off):.4g}; take one whose inverse is exact."
            )
