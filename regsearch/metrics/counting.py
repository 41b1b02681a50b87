"""Scores that count rows, or pairs of rows."""

from __future__ import annotations

from typing import Any

DECIMALS = 12  # of a score that counts rows or pairs of rows: far finer than what it resolves, coarser than rounding
COUNTING = (
    "accuracy_score",
    "average_precision_score",
    "balanced_accuracy_score",
    "f1_score",
    "fbeta_score",
    "jaccard_score",
    "matthews_corrcoef",
    "precision_score",
    "recall_score",
    "roc_auc_score",
    "top_k_accuracy_score",
)


def counts(scorer: Any) -> bool:
    """Whether a scorer counts rows or pairs of rows, by one of scikit-learn's functions that do."""
    import sklearn.metrics

    function = getattr(scorer, "_score_func", None)
    return any(function is getattr(sklearn.metrics, name) for name in COUNTING)
