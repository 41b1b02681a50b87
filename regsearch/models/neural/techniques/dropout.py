"""Dropout of what leaves hidden layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.models.neural.dropout_masks import SHAPES, mask, rates, scheduled, survival
from regsearch.models.neural.technique import Columns, HiddenLayer, Numbers, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between, OneOf
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Dropout(Technique):
    """Hidden units are zero with probability `rate` in training (Srivastava et al. 2014).

    Parameters
    ----------
    rate
        The largest rate of any layer.
    dropout_shape
        How the rate runs from the first hidden layer to the last (Kadra et al. 2021).
    """

    slots: ClassVar[tuple[str, ...]] = ("dropout",)
    main: ClassVar[str] = "rate"
    schedulable: ClassVar[bool] = True
    started_alone: ClassVar[bool] = True
    rate: Any = tunable(Between(0.0, 0.95), Float(0.0, 0.5), off=0.0, weak=0.1, usual=0.17, strong=0.4)
    dropout_shape: Any = tunable(OneOf(tuple(SHAPES)), "flat")

    def numbers(self, info: ProblemInfo) -> Numbers:
        return survival(rates(number(self.rate), self.dropout_shape, len(info.hidden_layers)))

    @staticmethod
    def on_hidden(v: Columns, shape: Sequence[int], layer: HiddenLayer, rng: RandomNumbers) -> torch.Tensor:
        return mask(*scheduled(v, layer.index), rng, *shape)


@dataclass(frozen=True)
class OwnDropout(Dropout, abstract=True):
    """The rates that a user's module has of its own, by hidden layer."""

    rates: tuple[float, ...] = ()

    @classmethod
    def neutral(cls) -> OwnDropout:
        return cls(0.0)

    def numbers(self, info: ProblemInfo) -> Numbers:
        return survival(list(self.rates) or [0.0] * len(info.hidden_layers))
