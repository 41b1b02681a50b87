"""What a config is drawn from, and what says which values a field of it admits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Suggests(Protocol):
    """An Optuna trial, or whatever gives values to parameters as one does."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any: ...


class Domain(Protocol):
    """What a field admits."""

    def admit(self, value: Any, where: str) -> Any:
        """The value as it is kept; `where` names the field for an error."""
