"""X and y with the checks that scikit-learn makes of every estimator, before those of a problem."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from regsearch._types import MIXED
from regsearch.data.features import checked_weights, is_frame, is_sparse
from regsearch.data.frames import to_pandas
from regsearch.data.survival import SURVIVAL
from regsearch.data.tasks import is_by_target
from regsearch.errors import InvalidInput
from regsearch.inputs import said

TASKS = {  # and what scikit-learn calls an estimator of each; it has no word for survival
    "regression": "regressor", "classification": "classifier", "binary": "classifier", "multiclass": "classifier",
    SURVIVAL: None, MIXED: None,
}  # fmt: skip
UNCHECKED = "no_validation"  # scikit-learn's word for a y that is checked elsewhere


def validate_fit_data(estimator: BaseEstimator, X: Any, y: Any) -> tuple[Any, Any]:
    """X and y to fit to; what the estimator then expects of columns is noted in it. Frames stay frames."""
    X = _checked(estimator, to_pandas(X), reset=True, y=None if y is None else UNCHECKED)
    y = _targets(to_pandas(y))
    check_consistent_length(X, y)
    return X, y


def validate_predict_data(estimator: BaseEstimator, X: Any) -> Any:
    """X with the columns of fit; a frame where fit had named ones, for what picks columns by name."""
    X = _checked(estimator, to_pandas(X), reset=False)
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or is_frame(X) or is_sparse(X):
        return X
    import pandas as pd

    return pd.DataFrame(X, columns=names)  # scikit-learn has warned; columns count by their order


def infer_task(given: Any, kind: str | None, y: Any, sample_weight: Any) -> Any:
    """The task of a problem; `None` to have it inferred.

    Parameters
    ----------
    given
        What the user says; tasks by target stay these.
    kind
        ``classifier`` or ``regressor``, as far as that is known.
    """
    if is_by_target(given):
        return given
    known = [name for name in TASKS if name != MIXED]
    if given is not None and not (isinstance(given, str) and given in known):
        raise InvalidInput(
            f"task must be {', '.join(known)}, a list or dict of these for several targets, or None, got "
            f"{said(given)}; None infers it."
        )
    if given == SURVIVAL:
        return "survival"
    if kind != "classifier":
        return "regression" if kind == "regressor" else None
    check_classification_targets(y)
    weights = checked_weights(sample_weight, len(y))
    count = len(np.unique(y if weights is None else np.asarray(y)[weights > 0]))
    if count < 2:
        raise InvalidInput("A classification needs two classes or more in rows that weigh anything, got one class.")
    many = given == "multiclass" or (given != "binary" and count > 2)
    return "multiclass" if many else "binary"


def _checked(estimator: BaseEstimator, X: Any, *, reset: bool, y: Any = UNCHECKED) -> Any:
    if is_frame(X):  # of columns of any kind: the study checks them
        return validate_data(estimator, X, y, reset=reset, skip_check_array=True)
    return validate_data(
        estimator, X, y, reset=reset, accept_sparse="csr", allow_nd=True, ensure_min_samples=2 if reset else 1,
        ensure_all_finite="allow-nan" if get_tags(estimator).input_tags.allow_nan else True,
    )  # fmt: skip


def _targets(y: Any) -> Any:
    """A single column is flattened, with scikit-learn's warning."""
    if is_frame(y) and y.shape[1] > 1:
        return y
    checked = check_array(y, ensure_2d=False, dtype=None, ensure_all_finite=False, input_name="y")
    if checked.ndim == 2 and checked.shape[1] == 1:
        column = column_or_1d(y, warn=True)
        return y.iloc[:, 0] if is_frame(y) else column
    if checked.dtype.kind == "f":
        assert_all_finite(checked, input_name="y")
    return y if hasattr(y, "name") else checked  # a Series has a name to log
