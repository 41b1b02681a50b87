"""joblib's pool of processes: what a search starts of it ends with the search, not minutes later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_workers() -> Iterator[None]:
    """End the processes of joblib's reusable pool when the block does, if the pool was made in it.

    joblib keeps them for five minutes, each with a copy of the data. A pool that was there before is the user's, as is
    one that has something to do for another thread: both stay.
    """
    from joblib.executor import MemmappingExecutor
    from joblib.externals.loky import reusable_executor

    before = reusable_executor._executor
    try:
        yield
    finally:
        pool = reusable_executor._executor
        if pool is not before and isinstance(pool, MemmappingExecutor) and not pool._pending_work_items:
            pool.terminate(kill_workers=True)
