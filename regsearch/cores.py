"""The cores of this machine, and how many of them the libraries below take."""

from __future__ import annotations

import os
import sys

THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip
JOBS = "LOKY_MAX_CPU_COUNT"  # how many cores joblib takes for all there are


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_of_cores(workers: int) -> int:
    """The cores that each of some workers has on this machine."""
    return max(1, available_cores() // workers)


def thread_limits(cores: int) -> dict[str, str]:
    """The environment in which libraries that are loaded take so many threads."""
    return dict.fromkeys((*THREADS, JOBS), str(cores))


def limit_threads(cores: int) -> None:
    """Have libraries take so many threads in this process, those that are loaded already too."""
    from threadpoolctl import threadpool_limits

    os.environ.update(thread_limits(cores))
    threadpool_limits(cores)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(cores)
