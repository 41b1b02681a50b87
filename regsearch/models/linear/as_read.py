"""What columns have in common that are centred and scaled as they are read; see `newton.py` for the notation."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from regsearch._types import Array, Rows
from regsearch.models.linear.rooms import Rooms


@dataclass(frozen=True)
class ColumnsAsRead:
    """Some columns of a fold's training rows: none of them is held as it is used; see `ColumnsInPlay`.

    Attributes
    ----------
    rows, columns
        Which of the data.
    center, inverse
        ``[a]``: what is taken off each, and what it is multiplied by then.
    """

    rows: Rows
    columns: Rows
    center: Array
    inverse: Array

    @property
    def shift(self) -> Array:
        """``[a]``: nothing is left to be subtracted."""
        return np.zeros(len(self.columns))

    @abstractmethod
    def correlate(self, residual: Array) -> Array:
        """``[m, a]`` of residuals ``[m, n]``."""

    @abstractmethod
    def products(self, factors: Array, mask: Array, rooms: Rooms) -> tuple[Array, Array]:
        """``SS'`` in its room, and ``S factors'``; S ``[e, n]`` has each output's columns in play times its factors."""

    def sums(self, weights: Array) -> Array:
        """``[a]`` of weights ``[n]``."""
        return np.asarray(self.correlate(weights[None])[0])

    def gram(self, weights: Array, columns: Array, rooms: Rooms) -> Array:
        """Weighted products of some columns."""
        return self.products(np.sqrt(weights)[None], columns[None], rooms)[0]
