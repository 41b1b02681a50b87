"""A penalty that is a function of one parameter, as the field writes it: a term of the loss.

Its gradient by every parameter that the slot acts on is added to that of the loss, so that an optimizer with a memory
takes it in as it does any other term, and no weight becomes exactly zero. That of all rows is one vectorised call.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from regsearch.errors import FOREIGN, InvalidInput
from regsearch.models.neural.layout import Param, Part
from regsearch.models.neural.technique import Columns, ProblemInfo, RandomNumbers, Technique
from regsearch.space.domains import Between
from regsearch.space.fingerprint import content_hash
from regsearch.space.tree import Node, tunable

if TYPE_CHECKING:
    import torch

DIGITS = 6  # of the hash of a function that tell it from others of its name


@dataclass(frozen=True)
class FunctionPenalty(Technique, abstract=True):
    """``lambda * sum_w function(w)`` over the parameters of a slot; a class for every function, see `function_penalty`.

    Attributes
    ----------
    function
        From a parameter ``[...]`` as the module has it, to one number, in operations of torch.
    """

    slots: ClassVar[tuple[str, ...]] = ("penalty", "bias_penalty")
    schedulable: ClassVar[bool] = True
    function: ClassVar[Callable[[Any], Any]]
    lambda_: Any = tunable(Between(0.0, 1e9), 1.0, off=0.0)

    def check_part(self, part: Part, info: ProblemInfo) -> None:
        import torch

        for param in part.params:
            rows = torch.linspace(-1, 1, 2 * max(1, param.stop - param.start)).view(2, *param.shape)
            _slope(type(self).function, param, rows)


def function_penalty(function: Callable[[Any], Any], lambda_: Any = 1.0) -> FunctionPenalty:
    """A penalty from a function, for ``Net(penalty=...)`` and ``Net(bias_penalty=...)``.

    A function that stands there by itself is this one with a lambda of 1. Two functions are one penalty where their
    code, and what it reads, are the same. A file has the name of the function and a hash of these: it is read where a
    `Net` has been made with the function before, as a script does.

    Parameters
    ----------
    function
        From a parameter (of kernels ``[out, in, ...]``) to one number, in operations of torch: it is differentiated.
    lambda_
        A number, or a `Float` to be searched.

    Examples
    --------
    >>> from regsearch import Float, Net
    >>> space = Net(penalty=function_penalty(lambda w: w.abs().sum(), Float(1e-5, 1e-2, log=True)))
    """
    return _class_of(function)(lambda_)


def _class_of(function: Callable[[Any], Any]) -> type[FunctionPenalty]:
    """The class of a function: the one that there is, where another has the same content."""
    name = getattr(function, "__name__", type(function).__name__)
    kind = f"{'lambda' if name == '<lambda>' else name}_{content_hash(function)[0][:DIGITS]}"
    known = Node.registry.get(f"{FunctionPenalty.scope}.{kind}")
    if known is not None and issubclass(known, FunctionPenalty):
        return known

    def body(namespace: dict[str, Any]) -> None:
        namespace["kind"], namespace["function"] = kind, staticmethod(function)
        namespace["on_gradient"] = staticmethod(partial(_add_gradient, function))
        namespace["__module__"] = getattr(function, "__module__", "__main__")
        namespace["__doc__"] = getattr(function, "__doc__", None) or f"``lambda * sum_w {name}(w)``."

    made: type[FunctionPenalty] = types.new_class(kind, (FunctionPenalty,), {}, body)
    return made


def _add_gradient(
    function: Callable[[Any], Any], v: Columns, gradient: torch.Tensor, theta: torch.Tensor, rng: RandomNumbers
) -> None:
    """Of rows without the penalty, not even what is not finite is added."""
    import torch

    lambda_ = v.at_strength(v.lambda_)
    for param in v.part.params:
        strength = lambda_.view(-1, *[1] * len(param.shape))
        slope = _slope(function, param, param.view(theta))
        param.view(gradient).add_(torch.where(strength > 0, strength * slope, 0.0))


def _slope(function: Callable[[Any], Any], param: Param, rows: torch.Tensor) -> torch.Tensor:
    """``[R, *shape]``: the gradients of a function at a parameter of some rows ``[R, *shape]``."""
    import torch

    try:
        slopes: torch.Tensor = torch.func.vmap(torch.func.grad(function))(rows.detach())
    except FOREIGN as error:  # anyone's code
        name = getattr(function, "__name__", type(function).__name__)
        raise InvalidInput(
            f"A penalty must make one number of {param.name} {[*param.shape]} in operations of torch that have a "
            f"gradient, {name} raises {type(error).__name__}: {str(error).partition(chr(10))[0]:.200}; write "
            "lambda w: w.abs().sum(), say."
        ) from error
    return slopes
