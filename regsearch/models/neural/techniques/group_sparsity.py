"""Group sparsity: whole inputs or whole neurons become exactly zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import InvalidInput
from regsearch.models.neural.embedding import Embedding
from regsearch.models.neural.layout import Param, Part
from regsearch.models.neural.technique import Columns, Numbers, ProblemInfo, Technique
from regsearch.space.domains import Between, OneOf, bounds_of
from regsearch.space.tree import Float, number, tunable

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class GroupSparsity(Technique):
    """``lambda * sum_g sqrt(|g|) * |w_g|_2`` (Yuan and Lin 2006; for nets Scardapane et al. 2017).

    Parameters
    ----------
    lambda_
        Strength.
    groups
        ``inputs``: the first layer's weights of one input are a group, so that the net selects features; ``neurons``:
        the weights into one neuron (or channel) of any layer but the last.
    """

    slots: ClassVar[tuple[str, ...]] = ("group_sparsity",)
    lambda_: Any = tunable(
        Between(0.0, 1e3), Float(1e-5, 1e-1, log=True), off=0.0, weak=6.3e-5, usual=2.5e-4, strong=2.5e-3
    )
    groups: Any = tunable(OneOf(("inputs", "neurons")), "inputs")

    def numbers(self, info: ProblemInfo) -> Numbers:
        strength = number(self.lambda_)
        return {group: strength * (self.groups == group) for group in ("inputs", "neurons")}

    def check_part(self, part: Part, info: ProblemInfo) -> None:
        selects = "inputs" in getattr(self.groups, "options", (self.groups,)) and any(bounds_of(self.lambda_))
        if selects and not any(_takes_inputs(kernel, info) for kernel in part.params[:1]):
            got = " ".join(f"{kernel.name} {[*kernel.shape]}" for kernel in part.params[:1]) or "no kernel"
            raise InvalidInput(
                f"GroupSparsity(groups='inputs') needs a first layer that has the {'x'.join(map(str, info.inputs))} "
                f"inputs themselves, got {got}; take groups='neurons', or leave out what stands in front of it "
                "(embedding=, or a layer of your own module)."
            )

    @staticmethod
    def on_stepped(v: Columns, theta: torch.Tensor, rate: torch.Tensor) -> None:
        kernels = v.part.params
        if v.on.inputs:
            _threshold(kernels[0].view(theta), kernels[0].view(rate), v.inputs, kept=2)
        if v.on.neurons:
            for kernel in kernels[:-1]:
                _threshold(kernel.view(theta), kernel.view(rate), v.neurons, kept=1)


def _takes_inputs(kernel: Param, info: ProblemInfo) -> bool:
    """Whether a kernel ``[out, in, ...]`` is that of a layer of all numbers of a row, or of the channels."""
    if fnmatchcase(kernel.name, Embedding.acts_on):
        return False
    channels = bool(info.sides) and len(kernel.shape) == len(info.inputs) + 1 and kernel.shape[1] == info.inputs[0]
    return channels or kernel.shape[1:] == (math.prod(info.inputs),)


def _threshold(w: torch.Tensor, rate: torch.Tensor, strength: torch.Tensor, kept: int) -> None:
    """Soft-threshold the norms of the groups of ``[R, out, in, ...]`` that share an index on the axis `kept`.

    A group moves as one, so it takes the harmonic mean of its members' rates, of Adam the mean of its scales.
    """
    axes = [axis for axis in range(1, w.dim()) if axis != kept]
    size = math.prod(w.shape[axis] for axis in axes)
    strength = strength.view(-1, *[1] * (w.dim() - 1))
    norm = w.square().sum(axes, keepdim=True).sqrt()
    threshold = strength * math.sqrt(size) / rate.reciprocal().mean(axes, keepdim=True)
    w.mul_((1 - threshold / norm.clamp(min=1e-30)).clamp(min=0))
