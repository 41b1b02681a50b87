"""Every loss beside those that a task has, one file each; a new file is found by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regsearch.models.linear.loss import Loss
from regsearch.space.registry import shipped

if TYPE_CHECKING:  # for type checkers, which cannot see what is found
    from regsearch.models.linear.losses.cox import Cox as Cox
    from regsearch.models.linear.losses.gamma import Gamma as Gamma
    from regsearch.models.linear.losses.huber import Huber as Huber
    from regsearch.models.linear.losses.poisson import Poisson as Poisson
    from regsearch.models.linear.losses.quantile import Quantile as Quantile
    from regsearch.models.linear.losses.tweedie import Tweedie as Tweedie

_FOUND = {cls.__name__: cls for cls in shipped(__name__, __path__, Loss)}
__all__ = sorted(_FOUND)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _FOUND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return _FOUND[name]
