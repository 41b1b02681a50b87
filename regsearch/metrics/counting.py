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

SIGNED = ("matthews_corrcoef",)  # those that are -1 where all is wrong; the others are 0


def counts(scorer: Any) -> bool:
    """Whether a scorer counts rows or pairs of rows, by one of scikit-learn's functions that do."""
    return _is_one_of(COUNTING, scorer)


def lowest(scorer: Any) -> float:
    """The least that a scorer that counts says."""
    options = getattr(scorer, "_kwargs", {})
    return -1.0 if _is_one_of(SIGNED, scorer) or options.get("adjusted") else 0.0


def _is_one_of(names: tuple[str, ...], scorer: Any) -> bool:
    import sklearn.metrics

    function = getattr(scorer, "_score_func", None)
    return any(function is getattr(sklearn.metrics, name) for name in names)
