"""Whose the learning rate of a net is: its own, of Adam, or that of the optimizer that it is given."""

from __future__ import annotations

from typing import Any

from regsearch.errors import InvalidInput
from regsearch.models.neural.optimizer import Optimizer
from regsearch.models.neural.techniques.adam import Adam
from regsearch.space.tree import Choice

USUAL = 1e-3  # of Adam, when nothing is said
OF_OPTIMIZER = "optimizer"  # what stands in `Net(lr=...)` where the optimizer has it


def placed_rate(lr: Any, optimizer: Any) -> tuple[Any, Any]:
    """The learning rate of a net and its optimizer, as a config keeps them: only one of the two says a rate.

    Parameters
    ----------
    lr
        Of the net; `None` where it is not given. It is that of every optimizer that has not been given its own.
    optimizer
        One, a choice of some, or `None`: then, or as an option, it is Adam.

    Raises
    ------
    InvalidInput
        When both say a rate.
    """
    if optimizer is None:
        if lr == OF_OPTIMIZER:
            raise InvalidInput(f"Net(lr={lr!r}) needs an optimizer, got none; give optimizer=, or lr= a number.")
        return USUAL if lr is None else lr, None
    given = None if lr == OF_OPTIMIZER else lr
    if isinstance(optimizer, Choice):
        adam = any(type(one) is Adam for one in optimizer.options)  # which is what none is
        options = [_with_rate(one, given) for one in optimizer.options if one is not None or not adam]
        first = next((one for one in options if one.kind == getattr(optimizer.first, "kind", Adam.kind)), options[0])
        return OF_OPTIMIZER, Choice(*options, start=first)
    return OF_OPTIMIZER, _with_rate(optimizer, given)


def _with_rate(optimizer: Any, lr: Any) -> Any:
    if optimizer is None:
        return Adam(USUAL if lr is None else lr)
    if lr is None or not isinstance(optimizer, Optimizer):
        return optimizer
    usual = type(optimizer)().lr
    if optimizer.lr not in (usual, lr):
        raise InvalidInput(
            f"A learning rate is said once, got Net(lr={lr!r}) and {type(optimizer).__name__}(lr={optimizer.lr!r}); "
            "leave one of them out."
        )
    return optimizer.replace(lr=lr)
