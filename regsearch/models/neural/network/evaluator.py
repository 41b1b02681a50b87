"""Nets in evaluation mode: what rows of parameters say of the samples of a fold, and how well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.scorer import Metric
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.network.hooks import HiddenHooks
from regsearch.models.neural.network.loss import Tally, losses
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
        self, theta: torch.Tensor, part: str, metrics: tuple[Metric, ...],
        keep: list[NDArray[np.float32]] | None = None, nets: Sequence[int] | None = None,
    ) -> Array:  # fmt: skip
        """``[metrics, R]`` scores of rows ``[R, S Q]``, each of S nets, on a part of the fold.

        Parameters
        ----------
        keep
            Takes in the decisions ``[R, samples, m]``, some samples at a time.
        nets
            How many of the first nets of a row are its own; all by default.
        """
        tally = Tally(metrics, self.fold, part)
        for out, samples in self.outputs(theta, part, nets):
            tally.add(out, samples)
            if keep is not None:
                keep.append(self.fold.decisions(out).float().transpose(1, 2).cpu().numpy())
        return tally.scores()

    def loss(self, theta: torch.Tensor, part: str) -> torch.Tensor:
        """``[R]``: the loss that nets train by of rows ``[R, Q]`` on a part, of targets and weights as they train."""
        fold, total = self.fold, theta.new_zeros(len(theta)).double()
        for out, samples in self.outputs(theta, part):
            each = losses(fold.data.parts, out, fold.y[:, samples][None], fold.shares)
            total += (each @ fold.weight[samples]).double()
        return total / fold.weight[fold.rows[part]].sum()

    def outputs(
        self, theta: torch.Tensor, part: str, nets: Sequence[int] | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Outputs ``[R, m, B]`` and the samples they are for, some samples of a part at a time."""
        import torch

        device, length = self.fold.data.device, self.network.layout.length
        theta, counts = theta.to(device), [theta.shape[1] // length] * len(theta) if nets is None else nets
        further = [theta[i, length : count * length].view(-1, length) for i, count in enumerate(counts) if count > 1]
        rows = [theta[:, :length], *([torch.cat(further)] if further else [])]  # a row of one net: as without others
        rows = rows if self.network.stacks else [one for part in rows for one in torch.split(part, 1)]
        passes = [self.network.layout.views(part) for part in rows]
        most = SAMPLES if device.type == "cpu" else MANY_SAMPLES
        size = max(64, min(CHUNK, most // len(theta)))
        for samples in torch.split(self.fold.rows[part], size):
            with torch.no_grad():
                x = self.fold.scaling.apply(self.fold.data.take(samples))
                found = [self.forward(views, x, NO_HOOKS, False) for views in passes]
                out = found[0] if len(found) == 1 else self._together(torch.cat(found), counts)
            yield out, samples

    def _together(self, out: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
        """What rows say ``[R, m, B]``, from what the first net of each and then all further ones do."""
        import torch

        from regsearch.models.neural.network.mean_net import mean_output

        parts, made = self.fold.data.parts, out[: len(counts)].clone()
        further = torch.split(out[len(counts) :], [count - 1 for count in counts])
        for i, (count, others) in enumerate(zip(counts, further, strict=True)):
            if count > 1:
                made[i] = mean_output(torch.cat([out[i : i + 1], others]), parts, 0, 1)
        return made

    def nonzero(self, theta: torch.Tensor) -> Array:
        """``[R]``: kernels that are not zero, of all nets of a row ``[R, S Q]``."""
        import torch

        kernels = self.network.layout.part("kernel").views(theta.reshape(-1, self.network.layout.length))
        counts = torch.stack([(view != 0).sum(1) for view in kernels]).sum(0).view(len(theta), -1).sum(1)
        return np.asarray(counts.cpu().numpy(), dtype=float)
