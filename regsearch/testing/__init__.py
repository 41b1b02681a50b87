"""Conformance suites for a penalty, a loss or a technique of your own: what holds of every one that is shipped."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regsearch.testing.losses import check_loss
    from regsearch.testing.penalties import check_penalty
    from regsearch.testing.techniques import check_technique

_HOME_OF = {
    "check_loss": "regsearch.testing.losses",
    "check_penalty": "regsearch.testing.penalties",
    "check_technique": "regsearch.testing.techniques",
}
__all__ = ["check_loss", "check_penalty", "check_technique"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
