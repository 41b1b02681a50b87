"""What a magnitude of augmentation looks like on the study's own images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.models.neural.config import NetConfig, options
from regsearch.models.neural.network.data import Data, scaling
from regsearch.models.neural.network.streams import RandomStream, seed_of
from regsearch.models.neural.technique import Columns
from regsearch.models.neural.techniques.augment import Augment
from regsearch.space.domains import bounds_of
from regsearch.space.sampling import default

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the largest magnitude in the space
SAMPLES = 3  # images shown at each magnitude


def figures(space: NetConfig, problem: Problem, seed: int) -> Mapping[str, Figure]:
    """One picture of every operation that the space augments by; none for a space that does not."""
    found = [one for one in options(space.techniques.get("augment")) if isinstance(one, Augment)]
    shape = problem.grid and default(space).architecture.inputs(problem.grid)
    if not found or shape is None or len(shape) != 3:
        return {}
    largest = {
        field.name: max(end for one in found for end in bounds_of(getattr(one, field.name)))
        for field in dataclasses.fields(Augment)
    }
    used = {name: value for name, value in largest.items() if value > 0}
    return {"augmentation": augmentation_figure(used, problem, shape, seed)} if used else {}


def samples(problem: Problem, magnitudes: Mapping[str, float], shape: tuple[int, ...], seed: int) -> Array:
    """``[SAMPLES, channels, height, width]``: the first images, changed, as a net in training would get them."""
    import torch

    data = Data(problem.take(np.arange(min(SAMPLES, problem.rows))), torch.device("cpu"), torch.float32, shape)
    rows = np.arange(data.problem.rows)
    row = dataclasses.replace(Augment.neutral(), **magnitudes).fields()  # type: ignore[type-var]
    v = Columns(**{name: torch.tensor([value]) for name, value in row.items()})
    v.on = Columns(**{name: value > 0 for name, value in row.items()})
    stream = RandomStream(seed_of(seed, "figures"), torch.float32, data.device)
    scale = scaling(data, rows, "standard")
    x = Augment.on_batch(v, scale.apply(Augment.on_raw(v, data.take(data.index(rows)), stream)), stream)
    return np.asarray((x[0] * scale.spread + scale.center).numpy(), dtype=float)


def augmentation_figure(largest: Mapping[str, float], problem: Problem, shape: tuple[int, ...], seed: int) -> Figure:
    """A row for each operation, from nothing to its largest magnitude; images and random numbers are the same."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(SHARES) + 1.2, 1.0 * len(largest) + 0.7))
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(largest), len(SHARES), squeeze=False)
    for axes, (name, highest) in zip(grid, largest.items(), strict=True):
        for one, share in zip(axes, SHARES, strict=True):
            _show(one, samples(problem, {name: share * highest}, shape, seed))
            one.set_xlabel(f"{share * highest:.3g}", fontsize=8, labelpad=2)
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    figure.suptitle("What a magnitude of augmentation does to the first images", fontsize=11)
    figure.subplots_adjust(
        left=1.1 / figure.get_figwidth(), right=0.99, top=1 - 0.45 / figure.get_figheight(), bottom=0.05
    )
    return figure


def _show(axes: Any, images: Array) -> None:
    """Images side by side, in grey or in colour, each on the scale of them all."""
    low, high = images.min(), images.max()
    strip = np.concatenate(list((images - low) / max(high - low, 1e-12)), axis=2)  # [channels, height, n * width]
    axes.imshow(strip.transpose(1, 2, 0) if len(strip) in (3, 4) else strip.mean(axis=0), cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
