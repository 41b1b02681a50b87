"""One fit of an estimator: on some rows, with what it says of others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.features import take_rows
from regsearch.data.fold_targets import regressor
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing

UNSAID = "deprecated"  # what TargetEncoder has for none, and it draws all the same


def seeded(estimator: Any, seed: int) -> Any:
    """Set every ``random_state`` that the user left open: a config's result must not depend on chance."""
    states = {k: v for k, v in estimator.get_params().items() if k.rpartition("__")[2] == "random_state"}
    return estimator.set_params(**{k: seed for k, v in states.items() if v is None or str(v) == UNSAID})


def fitted_on(estimator: Any, problem: Problem, rows: Rows) -> Any:
    """An estimator fitted on some rows of a problem, to their y as it is transformed, with their weights."""
    rows = weighing(rows, problem.sample_weight)
    X, y = take_rows(problem.X, rows), problem.fit_labels(rows)
    if problem.sample_weight is None:
        return estimator.fit(X, y)
    import sklearn

    weights = problem.sample_weight[rows]
    if not hasattr(estimator, "steps") or asks_for_weights(estimator):
        return estimator.fit(X, y, sample_weight=weights)
    with sklearn.config_context(enable_metadata_routing=False):  # with it, a step can no longer be named
        return estimator.fit(X, y, **{f"{estimator.steps[-1][0]}__sample_weight": weights})


def whole(fitted: Any, problem: Problem, rows: Rows) -> Any:
    """What `fitted_on` made, as an estimator that says y."""
    transform = problem.transform
    if transform is None:
        return fitted
    return regressor(fitted, problem, transform.fit(problem.y, weighing(rows, problem.sample_weight)))


def asks_for_weights(pipeline: Any) -> bool:
    """Whether steps ask for sample weights themselves, by scikit-learn's metadata routing."""
    import sklearn
    from sklearn.utils.metadata_routing import get_routing_for_object

    if not sklearn.get_config()["enable_metadata_routing"]:
        return False
    return bool(get_routing_for_object(pipeline).consumes("fit", ["sample_weight"]))


def decisions_of(fitted: Any, X: Any, problem: Problem) -> Array:
    """Decisions ``[n, m]``, as `regsearch.metrics.scorer` means them."""
    method = response(fitted, problem)
    return as_decisions(method, getattr(fitted, method)(X), problem)


def response(fitted: Any, problem: Problem, prefix: str = "") -> str:
    """The method that decisions are made from, of those of an estimator whose names begin with a prefix.

    That of probabilities, else the decision function of two classes, which has the sign of the label, else the labels.
    """
    binary = problem.classes is not None and problem.outputs == 1
    wanted = {"predict_proba": problem.classes is not None, "decision_function": binary}
    return next((name for name, fits in wanted.items() if fits and hasattr(fitted, prefix + name)), "predict")


def as_decisions(method: str, said: Any, problem: Problem) -> Array:
    """Decisions ``[n, m]`` from what a method of an estimator said: of labels, +-1 or one-hot."""
    if problem.classes is None:
        return np.asarray(said, dtype=float).reshape(-1, problem.outputs)
    if method == "predict_proba":
        return logits(np.asarray(said))
    if method == "decision_function":
        return np.asarray(said, dtype=float).reshape(-1, problem.outputs)
    codes = np.searchsorted(problem.classes, said)
    each = np.array([[-1.0], [1.0]]) if problem.outputs == 1 else np.eye(problem.outputs)
    return np.asarray(each[codes])


def logits(proba: NDArray[Any]) -> Array:
    """Log-odds ``[n, 1]`` of probabilities ``[n, 2]``, else their logarithms ``[n, C]``; always finite.

    scikit-learn's log loss takes no probability for less than the rounding error of its type, so its loss is that of
    the logarithm there. Beyond it, logarithms go on falling, but by a millionth: the loss stays what it was, and so
    does the order of probabilities that are smaller still.
    """
    tiny = np.finfo(float).tiny
    least = np.log(np.finfo(proba.dtype if proba.dtype.kind == "f" else float).eps)
    proba = proba.astype(float)

    def log(values: Array) -> Array:
        logs: Array = np.log(np.maximum(values, tiny))
        return np.asarray(np.where(logs < least, least + 1e-6 * (logs - least), logs), dtype=float)

    return log(proba[:, 1:]) - log(1 - proba[:, 1:]) if proba.shape[1] == 2 else log(proba)
