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
    with _limited(1):
        yield


@contextmanager
def all_threads(multiplications: float) -> Iterator[None]:
    """Inside, within `one_thread`, large work has all threads back; small work has not."""
    with _limited(_pools()[1]) if multiplications >= LARGE else nullcontext():
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


@contextmanager
def _limited(threads: int) -> Iterator[None]:
    """Inside, every BLAS has so many."""
    pools, _ = _pools()
    before = [pool.num_threads for pool in pools]
    others = [(pool, count) for pool, count in zip(pools, before, strict=True) if count != threads]
    for pool, _ in others:
        pool.set_num_threads(threads)
    try:
        yield
    finally:
        for pool, count in others:
            pool.set_num_threads(count)


@cache
def _pools() -> tuple[list[Any], int]:
    """What controls each BLAS, and the threads that they have unless told otherwise.

    Made once: looking for the libraries that are loaded takes longer than a small trial.
    """
    import scipy.linalg  # noqa: F401 - brings a BLAS of its own, which must be there to be found
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="blas").lib_controllers
    return pools, max((pool.num_threads for pool in pools), default=1)
