"""Ready-made spaces, with the default ranges of the field."""

from __future__ import annotations

from regsearch.linear import AdaptiveLasso, Linear
from regsearch.tree import Choice, Float, Path


def linear() -> Linear:
    """Penalty type, lambda, L1 ratio, adaptive weights and scaling of a linear model."""
    return Linear(
        penalty=Choice("elastic_net", "l1", "l2", AdaptiveLasso(gamma=Float(0.5, 2.0))),
        lambda_=Path(100),
        scale=Choice("standard", "minmax", "none"),
    )
