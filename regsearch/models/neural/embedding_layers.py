"""The layers that embed columns of numbers, plain and stacked; importing this module imports torch.

R rows, B samples, p columns of which c are embedded, each as d numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from regsearch._types import Array
from regsearch.data.weights import weighted_quantiles


class ColumnEmbedding(nn.Module, ABC):
    """Embeds some columns and passes on the others, behind them: ``[B, p]`` to ``[B, c d + p - c]``.

    Parameters
    ----------
    inputs
        p.
    columns
        The c that are embedded.
    width
        d.
    """

    fitted: ClassVar[bool] = False  # whether buffers hold what training rows say
    columns: torch.Tensor
    others: torch.Tensor

    def __init__(self, inputs: int, columns: tuple[int, ...], width: int) -> None:
        super().__init__()
        others = sorted(set(range(inputs)) - set(columns))
        self.outputs = len(columns) * width + len(others)
        for name, places in (("columns", list(columns)), ("others", others)):
            self.register_buffer(name, torch.tensor(places, dtype=torch.long), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, c d + p - c]``."""
        own = {name: value[None] for name, value in [*self.named_parameters(), *self.named_buffers()]}
        return self.stacked(own, x[None], self.columns, self.others)[0]

    def stacked(
        self, p: Mapping[str, torch.Tensor], x: torch.Tensor, columns: torch.Tensor, others: torch.Tensor
    ) -> torch.Tensor:
        """``[R, B, c d + p - c]`` of a batch ``[1 or R, B, p]``, with parameters and buffers ``[R, ...]`` by name."""
        made = self.embedded(p, x.index_select(2, columns)).flatten(2)
        passed = x.index_select(2, others)
        return torch.cat([made, passed.expand(len(made), -1, -1)], 2)

    @abstractmethod
    def embedded(self, p: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """``[R, B, c, d]`` of columns ``[1 or R, B, c]``."""

    def fit(self, x: Array, weight: Array) -> dict[str, Array]:
        """The buffers, by name, that rows ``[n, c]`` of the embedded columns give, by their weights ``[n]``."""
        return {}


class PeriodicLayer(ColumnEmbedding):
    """A column itself, and a linear layer, the column's own, of cosines of it: d is one more than `width`."""

    def __init__(self, inputs: int, columns: tuple[int, ...], frequencies: int, width: int) -> None:
        super().__init__(inputs, columns, width + 1)
        count, bound = len(columns), 1 / math.sqrt(frequencies)
        self.frequency = nn.Parameter(torch.randn(count * frequencies))  # flat: no kernels, so nothing decays them
        self.phase = nn.Parameter(torch.empty(count * frequencies).uniform_(-math.pi, math.pi))
        self.weight = nn.Parameter(torch.empty(count * width, frequencies).uniform_(-bound, bound))  # [out, in]
        self.bias = nn.Parameter(torch.empty(count * width).uniform_(-bound, bound))

    def embedded(self, p: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        weight = p["weight"]
        (rows, _, frequencies), count = weight.shape, x.shape[2]
        turns = x[..., None] * p["frequency"].view(rows, 1, count, frequencies)
        waves = (2 * math.pi * turns + p["phase"].view(rows, 1, count, frequencies)).cos()
        weight, bias = weight.view(rows, count, -1, frequencies), p["bias"].view(rows, 1, count, -1)
        made = torch.einsum("rbck,rcwk->rbcw", waves, weight) + bias
        return torch.cat([x[..., None].expand(rows, -1, -1, 1), made], 3)


class BinsLayer(ColumnEmbedding):
    """For each bin of a column how far a value has got through it: 0 below, 1 above; the outer two have no end."""

    fitted: ClassVar[bool] = True
    low: torch.Tensor
    width: torch.Tensor

    def __init__(self, inputs: int, columns: tuple[int, ...], bins: int) -> None:
        super().__init__(inputs, columns, bins)
        for name in ("low", "width"):  # of a bin that is not there, the width is 0
            self.register_buffer(name, torch.zeros(len(columns), bins))

    def embedded(self, p: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        low, width = p["low"][:, None], p["width"][:, None]
        there = width > 0
        share = (x[..., None] - low) / width.where(there, 1.0)
        least, most = torch.zeros_like(share[0, 0, 0]), torch.ones_like(share[0, 0, 0])
        least[0], most[-1] = -math.inf, math.inf
        return share.maximum(least).minimum(most).where(there, 0.0)

    def fit(self, x: Array, weight: Array) -> dict[str, Array]:
        """Bins that hold as many rows each, fewer where values repeat."""
        count, bins = self.low.shape
        quantiles = weighted_quantiles(x, weight, np.linspace(0, 1, bins + 1).tolist())
        found = np.zeros((2, count, bins))
        for j in range(count):
            edges = np.unique(quantiles[:, j])
            if len(edges) == 2:  # the outer bins are two
                edges = np.array([edges[0], edges.mean(), edges[1]])
            places = np.r_[:1, bins - len(edges) + 2 : bins]  # the last bin is the last, whatever is missing between
            found[:, j, places] = (edges[:-1], np.diff(edges)) if len(edges) > 1 else 0.0
        return {"low": found[0], "width": found[1]}
