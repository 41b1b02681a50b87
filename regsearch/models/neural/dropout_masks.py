"""Setting entries to zero at random, and how the rate runs through the layers of a net."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from regsearch.models.neural.technique import Columns, RandomNumbers

if TYPE_CHECKING:
    import torch

MOST = 0.9  # of a rate, unless it is said to be more
# the share of the largest rate at a layer's position t in [0, 1], from the first hidden layer to the last
SHAPES: dict[str, Callable[[float], float]] = {
    "flat": lambda t: 1.0,
    "funnel": lambda t: 1.0 - t,
    "long_funnel": lambda t: 1.0 if t <= 0.5 else 2.0 * (1.0 - t),
    "triangle": lambda t: t,
    "diamond": lambda t: 1.0 - abs(2.0 * t - 1.0),
    "hexagon": lambda t: min(1.0, 3.0 * (1.0 - abs(2.0 * t - 1.0)) / 2.0 + 0.25),
    "brick": lambda t: 1.0 if 0.0 < t < 1.0 else 0.5,
    "stairs": lambda t: 1.0 - math.floor(3.0 * t) / 3.0 if t < 1.0 else 1.0 / 3.0,
}


def rates(rate: float, shape: str, layers: int) -> list[float]:
    """The dropout rate of each hidden layer; the largest is `rate`."""
    shares = [SHAPES[shape](t / max(layers - 1, 1)) for t in range(layers)]
    largest = max(shares, default=0.0)
    return [rate * share / largest if largest else rate for share in shares]


def survival(rate: float | list[float]) -> dict[str, float | list[float]]:
    """The numbers that `mask` needs: rates, and what is left is scaled up by so that the mean stays."""
    scale = [1.0 / (1.0 - one) for one in rate] if isinstance(rate, list) else 1.0 / (1.0 - rate)
    return {"rate": rate, "scale": scale}


def scheduled(v: Columns, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rate and scale ``[R]`` of a layer at this step; to the bit what configs say, where no schedule changes it."""
    rate, scale = v.rate_of(), v.scale
    if rate is not v.rate:
        rate = rate.minimum(v.rate.clamp(min=MOST))  # a factor may be above 1
        scale = scale.where(rate == v.rate, 1 / (1 - rate))
    return rate[:, index], scale[:, index]


def mask(rate: torch.Tensor, scale: torch.Tensor, random: RandomNumbers, *shape: int) -> torch.Tensor:
    """Factors ``[R, *shape]``: zero with a probability, else `scale`.

    Parameters
    ----------
    rate, scale
        ``[R]``, see `survival`.
    random
        Its uniform numbers are in ``(0, 1]``: their difference to a rate rounds up to 1 or to 0, which is much faster
        than a comparison.
    """
    import torch

    made = rate.new_empty(len(rate), *shape)
    rate, scale = (column.view(-1, *[1] * len(shape)) for column in (rate, scale))
    for rows, uniform in random.uniform_by_rows(*shape):
        torch.sub(uniform, rate[rows], out=made[rows])
    return made.ceil_().mul_(scale)
