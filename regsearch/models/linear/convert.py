"""Lambda on glmnet's scale, as other libraries write it: the one place where strengths are converted.

=========================  ==========================================================
scikit-learn               objective
=========================  ==========================================================
ElasticNet, Lasso          ``1/(2n) |y - Xw|^2 + alpha * (l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2)``
Ridge                      ``|y - Xw|^2 + alpha |w|^2``
LogisticRegression         ``C * sum_i loss_i + l1_ratio |w|_1 + (1 - l1_ratio)/2 |w|^2``
=========================  ==========================================================

`n` is the sum of the sample weights where there are any, the number of rows otherwise.
"""

from __future__ import annotations


def to_alpha(lambda_: float) -> float:
    """`alpha` of ElasticNet and Lasso: the same scale."""
    return lambda_


def from_alpha(alpha: float) -> float:
    """Lambda of an `alpha` of ElasticNet or Lasso."""
    return alpha


def to_ridge_alpha(lambda_: float, n: float) -> float:
    """`alpha` of Ridge, which sums the loss over rows and halves neither part."""
    return lambda_ * n


def from_ridge_alpha(alpha: float, n: float) -> float:
    """Lambda of an `alpha` of Ridge."""
    return alpha / n


def to_C(lambda_: float, n: float) -> float:
    """`C` of LogisticRegression, which sums the loss over rows."""
    return 1.0 / (lambda_ * n)


def from_C(C: float, n: float) -> float:
    """Lambda of a `C` of LogisticRegression."""
    return 1.0 / (C * n)
