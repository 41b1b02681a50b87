"""Where each parameter of a net lies in the flat row that it trains in.

A row is ``[kernels | biases | norms | buffers]``: what a technique acts on is mostly one slice. Q is its length, P that
of the trainable part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from regsearch.errors import InvalidInput

if TYPE_CHECKING:
    import torch

Role: TypeAlias = Literal["kernel", "bias", "norm", "buffer"]
ROLES: tuple[Role, ...] = ("kernel", "bias", "norm", "buffer")


@dataclass(frozen=True)
class Param:
    """One parameter or buffer: its name in the module, its shape, and its place in the row."""

    name: str
    shape: tuple[int, ...]
    role: Role
    start: int

    @property
    def stop(self) -> int:
        return self.start + math.prod(self.shape)

    def view(self, theta: torch.Tensor) -> torch.Tensor:
        """``[R, *shape]`` of rows ``[R, Q]``."""
        return theta[:, self.start : self.stop].view(len(theta), *self.shape)


@dataclass(frozen=True)
class Part:
    """Some parameters of a net, as a slice where they lie side by side."""

    params: tuple[Param, ...]

    @cached_property
    def slice(self) -> slice | None:
        ordered = sorted(self.params, key=lambda param: param.start)
        joined = all(one.stop == after.start for one, after in pairwise(ordered))
        return slice(ordered[0].start, ordered[-1].stop) if ordered and joined else None

    def views(self, theta: torch.Tensor) -> Iterable[torch.Tensor]:
        """Views of rows ``[R, Q]`` that together are this part: one where it is a slice."""
        if self.slice is not None:
            return (theta[:, self.slice],)
        return (theta[:, param.start : param.stop] for param in self.params)


class Layout:
    """The order of a net's parameters in a row.

    Parameters
    ----------
    found
        ``(name, shape, role)`` of each parameter and buffer, in the module's order.
    """

    def __init__(self, found: Sequence[tuple[str, tuple[int, ...], Role]]) -> None:
        self.params: tuple[Param, ...] = ()
        start = 0
        for role in ROLES:
            for name, shape, its in found:
                if its == role:
                    self.params += (Param(name, shape, role, start),)
                    start = self.params[-1].stop
        self.length = start
        self.weights = tuple(param for param in self.params if param.role != "buffer")
        self.buffers = tuple(param for param in self.params if param.role == "buffer")
        self.trainable = max((param.stop for param in self.weights), default=0)

    def part(self, role: Role) -> Part:
        """All parameters of a role."""
        return Part(tuple(param for param in self.params if param.role == role))

    def named(self, pattern: str) -> Part:
        """The trainable parameters whose names match a pattern; there may be none."""
        return Part(tuple(param for param in self.weights if fnmatchcase(param.name, pattern)))

    def matching(self, pattern: str) -> Part:
        """The trainable parameters whose names match a pattern (``*.weight``).

        Raises
        ------
        InvalidInput
            When there are none.
        """
        found = self.named(pattern)
        if not found.params:
            names = ", ".join(param.name for param in self.weights)
            raise InvalidInput(f"A pattern must match a parameter of the net, got {pattern!r}; it has {names}.")
        return found

    def views(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """Every parameter and buffer of rows ``[R, Q]`` by name."""
        return {param.name: param.view(theta) for param in self.params}
