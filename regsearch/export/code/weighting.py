"""What plain code does otherwise than the exported model where rows weigh."""

from __future__ import annotations

import numpy as np

from regsearch.data.problem import Problem
from regsearch.data.weights import weighing
from regsearch.models.base import Model
from regsearch.models.estimator import Estimator


def unlike(config: Model, problem: Problem) -> str:
    """What the code of a config does otherwise than its bundle, in a sentence; empty where they are the same.

    scikit-learn's imputers and `RobustScaler` take no weights. Rows of weight zero are left out of the code's fit, too.
    """
    if isinstance(config, Estimator) or problem.sample_weight is None:
        return ""  # an estimator of the user's own is fitted as it is
    weights = problem.sample_weight[weighing(np.arange(problem.rows), problem.sample_weight)]
    if np.ptp(weights) == 0:
        return ""
    filled = problem.has_holes
    ranged = config.kind == "linear" and getattr(config, "scale", "") == "robust"
    parts = ["the means that fill missing values"] * filled + ["the medians and quartiles of RobustScaler"] * ranged
    if not parts:
        return ""
    return (
        f"Rows weigh in {' and '.join(parts)} of the exported model, and all count alike in those of this code: "
        "scikit-learn takes no weights there, so the two predict alike, and not the same."
    )
