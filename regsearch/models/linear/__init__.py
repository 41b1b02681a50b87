"""Penalised linear models: penalties, path solvers, and the backend that runs a whole path as one trial."""

from typing import Any

from regsearch.models.linear import penalties
from regsearch.models.linear.model import Linear
from regsearch.models.linear.penalty import Penalty

__all__ = ["Linear", "Penalty", *penalties.__all__]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    return getattr(penalties, name)
