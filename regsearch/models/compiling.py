"""Functions over arrays that numba compiles where it is installed, and what is said meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])
SAID = "compiling what fits models: it is kept for the next time"


def compiled(function: FunctionT, plain: FunctionT | None = None, **options: Any) -> FunctionT:
    """`function`, compiled and cached on disk where numba is installed; the arithmetic is the same without.

    Parameters
    ----------
    plain
        What does the same as whole arrays, and takes the place of loops over numbers that are not compiled.
    """
    try:
        from numba import njit
    except ImportError:
        return function if plain is None else plain
    try:
        return cast(FunctionT, njit(cache=True, **options)(function))
    except RuntimeError:  # neither the package's directory nor the user's cache can be written to
        return cast(FunctionT, njit(**options)(function))


def compiled_elementwise(function: FunctionT) -> FunctionT:
    """`function`, whose loops go over elements that do not depend on each other, compiled to vector instructions.

    A division by zero is infinite instead of an error, a product and a sum may be rounded once, and other threads run
    meanwhile.
    """
    return compiled(function, error_model="numpy", fastmath={"contract"}, nogil=True)


@contextmanager
def telling_of_compilation(tell: Callable[[str], None]) -> Iterator[None]:
    """Tell when a function is being compiled, and with no text after it: a machine's first run spends seconds there."""
    try:
        from numba.core import event
    except ImportError:
        yield
        return

    class Telling(event.Listener):  # type: ignore[misc]
        """Compiling a function compiles those that it calls first."""

        depth = 0

        def on_start(self, event: Any) -> None:
            self.depth += 1
            tell(SAID)

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if not self.depth:
                tell("")

    with event.install_listener("numba:compile", Telling()):
        yield
