"""What is read of a config where it is fitted."""

from __future__ import annotations

from typing import Any, Protocol


class LinearConfig(Protocol):
    """What is read of a `Linear` config, which itself knows those who read it."""

    @property
    def penalty(self) -> Any: ...

    @property
    def lambda_(self) -> Any: ...

    @property
    def scale(self) -> Any: ...

    @property
    def class_weight(self) -> Any: ...

    @property
    def penalty_factors(self) -> Any: ...

    @property
    def unpenalized(self) -> Any: ...

    @property
    def limits(self) -> Any: ...

    @property
    def prepare(self) -> Any: ...

    @property
    def offset(self) -> Any: ...

    @property
    def loss(self) -> Any: ...
