"""What libraries keep for a whole program, and what each of several trainings that take turns must have of its own.

Their random numbers, so that a training draws the same whoever trains between two of its epochs; and whether torch
tracks gradients, as a loop may yield inside ``torch.no_grad()``.
"""

from __future__ import annotations

import importlib
import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np


class Shared(ABC):
    """Something that a library keeps for a whole program."""

    @staticmethod
    def is_there() -> bool:
        """Whether the library is loaded."""
        return True

    @staticmethod
    @abstractmethod
    def read() -> Any:
        """How it stands."""

    @staticmethod
    @abstractmethod
    def restore(state: Any) -> None:
        """Let it stand so again."""

    @staticmethod
    @abstractmethod
    def begin(seed: int) -> None:
        """Let it stand as a new training finds it."""


class PythonNumbers(Shared):
    """The generator of `random`."""

    read = staticmethod(random.getstate)
    restore = staticmethod(random.setstate)

    @staticmethod
    def begin(seed: int) -> None:
        random.seed(seed)


class NumpyNumbers(Shared):
    """The global generator of numpy."""

    read = staticmethod(np.random.get_state)
    restore = staticmethod(np.random.set_state)
    begin = staticmethod(np.random.seed)


def _torch() -> Any:
    return sys.modules.get("torch")


class TorchNumbers(Shared):
    """The generators of torch, of every device that is in use."""

    @staticmethod
    def is_there() -> bool:
        return _torch() is not None

    @staticmethod
    def read() -> Any:
        cuda = _torch().cuda
        return _torch().get_rng_state(), cuda.get_rng_state_all() if cuda.is_initialized() else []

    @staticmethod
    def restore(state: Any) -> None:
        _torch().set_rng_state(state[0])
        if state[1]:
            _torch().cuda.set_rng_state_all(state[1])

    @staticmethod
    def begin(seed: int) -> None:
        _torch().manual_seed(seed)


class TorchGradients(Shared):
    """Whether torch tracks gradients."""

    @staticmethod
    def is_there() -> bool:
        return _torch() is not None

    @staticmethod
    def read() -> Any:
        return _torch().is_grad_enabled()

    @staticmethod
    def restore(state: Any) -> None:
        _torch().set_grad_enabled(state)

    @staticmethod
    def begin(seed: int) -> None:
        _torch().set_grad_enabled(True)


def load_shared() -> None:
    """Load torch where it is installed: a loop that imports it itself would find generators that nobody has begun."""
    if find_spec("torch") is not None:
        importlib.import_module("torch")


class OwnState:
    """What one training has of its own.

    Parameters
    ----------
    seed
        That its random numbers begin with.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._own: dict[type[Shared], Any] = {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """In the block, all stands as the last such block left it; behind it, as it was before."""
        outer = _states()
        for shared in outer:
            if shared in self._own:
                shared.restore(self._own[shared])
            else:
                shared.begin(self._seed)
        try:
            yield
        finally:
            self._own = _states()
            for shared, state in outer.items():
                shared.restore(state)


def _states() -> dict[type[Shared], Any]:
    return {shared: shared.read() for shared in Shared.__subclasses__() if shared.is_there()}
