"""Nets in evaluation mode: what rows of parameters say of the samples of a fold, and how well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.scorer import Metric
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.network.hooks import HiddenHooks
from regsearch.models.neural.network.loss import Tally
from regsearch.models.neural.network.network import Network
from regsearch.models.neural.network.table_data import CHUNK

if TYPE_CHECKING:
    import torch

    from regsearch.models.neural.network.architecture import Forward

NO_HOOKS = HiddenHooks()  # no technique acts in evaluation
SAMPLES = 2**11  # rows times samples that are evaluated together: bounds memory, and keeps it in a CPU's cache ...
MANY_SAMPLES = 2**19  # ... which other devices need not fit, and to them a call costs as much as many samples do


@dataclass(frozen=True)
class Evaluator:
    """A fold's net in evaluation mode.

    Attributes
    ----------
    forward
        The forward pass of one thread.
    """

    fold: Fold
    network: Network
    forward: Forward

    def copy(self) -> Evaluator:
        """With a forward pass of its own."""
        return Evaluator(self.fold, self.network, self.network.make_forward())

    def measure(
        self, theta: torch.Tensor, part: str, metrics: tuple[Metric, ...], keep: list[NDArray[np.float32]] | None = None
    ) -> Array:
        """``[metrics, R]`` scores of rows ``[R, Q]`` on a part of the fold.

        Parameters
        ----------
        keep
            Takes in the decisions ``[R, samples, m]``, some samples at a time.
        """
        tally = Tally(metrics, self.fold, part)
        for out, samples in self.outputs(theta, part):
            tally.add(out, samples)
            if keep is not None:
                keep.append(self.fold.decisions(out).float().transpose(1, 2).cpu().numpy())
        return tally.scores()

    def outputs(self, theta: torch.Tensor, part: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Outputs ``[R, m, B]`` and the samples they are for, some samples of a part at a time."""
        import torch

        device = self.fold.data.device
        views = self.network.layout.views(theta.to(device))
        most = SAMPLES if device.type == "cpu" else MANY_SAMPLES
        size = max(64, min(CHUNK, most // len(theta)))
        for samples in torch.split(self.fold.rows[part], size):
            with torch.no_grad():
                x = self.fold.scaling.apply(self.fold.data.take(samples))
                out = self.forward(views, x, NO_HOOKS, False)
            yield out, samples

    def nonzero(self, theta: torch.Tensor) -> Array:
        """``[R]``: kernels that are not zero."""
        import torch

        kernels = self.network.layout.part("kernel").views(theta)
        return np.asarray(torch.stack([(view != 0).sum(1) for view in kernels]).sum(0).cpu().numpy(), dtype=float)
