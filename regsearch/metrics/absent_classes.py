"""Scores of rows that lack a class: scikit-learn's are told of all classes, where they are means over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# functions of probabilities that a row without some class has a score by; others compare the rows of two classes
_BY_ROW = ("log_loss", "d2_log_loss_score", "brier_score_loss", "d2_brier_score", "top_k_accuracy_score")


def told_of_classes(scorer: Any, classes: NDArray[Any] | None, labels: NDArray[Any]) -> Callable[..., float]:
    """A scorer as it is, or one of scikit-learn's that takes the columns of probabilities for those of all classes.

    Without that it takes them for those of the labels that it sees, and refuses more columns than it sees labels.
    """
    if classes is None or not _means_over_rows(scorer) or len(np.unique(labels)) == len(classes):
        return scorer  # type: ignore[no-any-return]
    from sklearn.metrics import make_scorer

    options = {"labels": classes, **scorer._kwargs}
    made: Callable[..., float] = make_scorer(
        scorer._score_func, response_method=scorer._response_method, greater_is_better=scorer._sign > 0, **options
    )
    return made


def _means_over_rows(scorer: Any) -> bool:
    import sklearn.metrics

    function = getattr(scorer, "_score_func", None)
    return function is not None and any(function is getattr(sklearn.metrics, name, None) for name in _BY_ROW)
