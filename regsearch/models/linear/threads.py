"""How many threads BLAS may use: one for the many small products of a path, all for the few large ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

LARGE = 1e10  # multiplications from which threads pay for themselves, even where other programs want the cores too


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, BLAS works alone: threads that wait for each other after every small product cost more than they give."""
    controller, _ = _pools()
    with controller.limit(limits=1, user_api="blas"):
        yield


@contextmanager
def all_threads(multiplications: float) -> Iterator[None]:
    """Inside, within `one_thread`, large work has all threads back; small work has not."""
    controller, most = _pools()
    with controller.limit(limits=most, user_api="blas") if multiplications >= LARGE else nullcontext():
        yield


def for_each(work: Callable[[Given], Made], over: Iterable[Given], long: bool) -> list[Made]:
    """What work makes of each, in their order; where it is long, on as many threads as BLAS has unless told otherwise.

    It must let other threads run, as what reads, copies and multiplies arrays does.
    """
    most = _pools()[1] if long else 1
    if most == 1:
        return [work(one) for one in over]
    with ThreadPoolExecutor(most) as pool:
        return list(pool.map(work, over))


@cache
def _pools() -> tuple[Any, int]:
    """The controller, and the threads that BLAS has unless told otherwise.

    Made once: looking for the libraries that are loaded takes longer than a small trial.
    """
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own, which must be there to be found
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    counts = [library["num_threads"] for library in controller.info() if library["user_api"] == "blas"]
    return controller, max(counts, default=1)
