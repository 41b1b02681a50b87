"""Updates of rows in one pass over their memory, in place of one for each of torch's operations.

Rows and what an optimizer keeps of them are longer than a CPU's cache, so that passes are what an update costs. numba
compiles them, where it is installed and rows lie in the memory of a CPU; elsewhere callers take torch's operations,
which round otherwise. R rows.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from regsearch._types import Array

if TYPE_CHECKING:
    import torch


def serves(rows: torch.Tensor) -> bool:
    """Whether rows can be updated so."""
    return rows.device.type == "cpu" and _has_numba()


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


@cache
def prepare(precision: str) -> None:
    """Compile what there is for rows of a precision, or load it: once, before processes are forked.

    Parameters
    ----------
    precision
        Name of a type of torch.
    """
    import torch

    if not _has_numba():
        return
    rows = torch.zeros(1, 2, dtype=getattr(torch, precision))
    theta, first, second, gradient, rate = (rows.clone() for _ in range(5))
    adam_step(theta, first, second, gradient, rate, (rows[:, 0], rows[:, 0] + 1, rows[:, 0]), (0.9, 0.999))
    shrink(rows, rows.clone(), rows[:, 0], rows[:, 0])
    rectify(rows, rows.clone())
    rectify_back(rows, rows.clone(), rows.clone())


def adam_step(
    theta: torch.Tensor, first: torch.Tensor, second: torch.Tensor, gradient: torch.Tensor, rate: torch.Tensor,
    factors: tuple[torch.Tensor, torch.Tensor, torch.Tensor], betas: tuple[float, float],
) -> None:  # fmt: skip
    """Adam's step on rows ``[R, P]`` and their moments, in place; see `Adam.step`.

    Parameters
    ----------
    rate
        ``[R, P]``, is written: ``factors[0] / (sqrt(second) + factors[1])``.
    factors
        ``[R]`` each; the last is of ``first * rate``, by which `theta` is moved.
    betas
        What is kept of both moments.
    """
    from regsearch.models.neural.pass_kernels import adam

    number = theta.numpy().dtype.type
    shares = (number(1 - betas[0]), number(betas[1]), number(1 - betas[1]))
    scale, floor, factor = (one.numpy() for one in factors)
    adam(
        *_memory(theta), *_memory(first), *_memory(second), *_memory(gradient), *_memory(rate), scale, floor, factor,
        *shares, theta.shape[1],
    )  # fmt: skip


def shrink(rows: torch.Tensor, rate: torch.Tensor, l1: torch.Tensor, l2: torch.Tensor) -> None:
    """The proximal map of an elastic net ``[R]`` on rows ``[R, P]`` in place, in a metric ``[R, P]``."""
    from regsearch.models.neural.pass_kernels import shrunk

    along = rate if rate.stride(1) == 1 else rate.contiguous()  # one rate for all of a row lies in one place
    shrunk(*_memory(rows), *_memory(along), l1.numpy(), l2.numpy(), rows.shape[1])


def rectify(h: torch.Tensor, factor: torch.Tensor) -> None:
    """What is above 0 times its factor, else 0, in place; both are contiguous."""
    from regsearch.models.neural.pass_kernels import rectified

    rectified(h.view(-1).numpy(), factor.view(-1).numpy())


def rectify_back(gradient: torch.Tensor, out: torch.Tensor, factor: torch.Tensor) -> None:
    """The gradient by what `rectify` was given, in place of that by what it made, which is `out`; all contiguous."""
    from regsearch.models.neural.pass_kernels import rectified_back

    rectified_back(gradient.view(-1).numpy(), out.view(-1).numpy(), factor.view(-1).numpy())


def _memory(rows: torch.Tensor) -> tuple[Array, int]:
    """The memory from the first to the last number of rows ``[R, P]``, and how far apart they begin."""
    count, length = rows.shape
    stride: Any = rows.stride(0)
    return rows.as_strided(((count - 1) * stride + length,), (1,)).numpy(), stride
