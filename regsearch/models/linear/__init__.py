"""Penalised linear models: penalties, losses, path solvers, and the backend that runs a whole path as one trial."""

from typing import Any

from regsearch.models.linear import losses, penalties
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.model import Linear
from regsearch.models.linear.penalty import Penalty

__all__ = ["Linear", "Loss", "Penalty", *losses.__all__, *penalties.__all__]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    return getattr(losses if name in losses.__all__ else penalties, name)
