"""What the tests of nets share beside the small problems, nets and blocks of `regsearch.testing.nets`."""

from __future__ import annotations

from typing import Any

import torch

from regsearch.models.base import Setup
from regsearch.models.neural import Net
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.training.block import Segment
from regsearch.testing.nets import net, shared_parts


def fold(of: Setup, k: int = 1, **options: Any) -> Fold:
    """A fold as a net with these options sees it."""
    shared = shared_parts(of)
    return shared.fold(shared.structure(net(**options)), k)


def named(segment: Segment, of: Setup, config: Net, row: int = 0, epoch: int = -1) -> dict[str, torch.Tensor]:
    """The parameters of a row after an epoch, by name."""
    shared = shared_parts(of)
    layout = shared.network(shared.structure(config), 0).layout
    return {name: view[0] for name, view in layout.views(torch.from_numpy(segment.weights[epoch, row][None])).items()}
