"""Scores of rows that lack a class: scikit-learn's are told of all classes, where they ask how many there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray


def told_of_classes(scorer: Any, classes: NDArray[Any] | None, labels: NDArray[Any]) -> Callable[..., float]:
    """A scorer as it is, or one of scikit-learn's that takes the columns of probabilities for those of all classes.

    Without that it takes them for those of the labels that it sees, and refuses more columns than it sees labels.
    """
    if classes is None or not _asks(scorer) or len(np.unique(labels)) == len(classes):
        return scorer  # type: ignore[no-any-return]
    from sklearn.metrics import make_scorer

    options = {"labels": classes, **scorer._kwargs}
    made: Callable[..., float] = make_scorer(
        scorer._score_func, response_method=scorer._response_method, greater_is_better=scorer._sign > 0, **options
    )
    return made


def _asks(scorer: Any) -> bool:
    """Whether a scorer is one of scikit-learn's that makes scores of probabilities, and may be told of classes."""
    function, needs = getattr(scorer, "_score_func", None), getattr(scorer, "_response_method", ())
    methods = (needs,) if isinstance(needs, str) else tuple(needs)
    return function is not None and "predict_proba" in methods and _takes_labels(function)


@cache
def _takes_labels(function: Callable[..., Any]) -> bool:
    return "labels" in signature(function).parameters
