"""Two workers on two cores: how much faster than one process, and how soon four are there.

A trial's pace is measured from the stored trials, from when all workers have finished one to the end: what starting
costs is the figure of its own. Both ways evaluate the same configs, one after the other.
"""

from __future__ import annotations

from harness import Row, main, one_thread, quick

one_thread()

import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import optuna  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from sklearn.base import BaseEstimator, RegressorMixin  # noqa: E402
from sklearn.datasets import make_classification, make_regression  # noqa: E402
from sklearn.ensemble import GradientBoostingRegressor  # noqa: E402

from regsearch import Choice, Estimator, Float, Linear, Study  # noqa: E402
from regsearch import Path as Along  # noqa: E402
from regsearch.models.base import Model  # noqa: E402
from regsearch.parallel.local import Local  # noqa: E402
from regsearch.parallel.messages import Idle, Job  # noqa: E402

WORKERS = 2
ROUNDS = 1 if quick() else 3
TRIALS = 8 if quick() else 30
Made = tuple[Model, Any, Any]


class Spinning(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Counts, and predicts the mean: all of a trial is its fit."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Spinning:
        for _ in range(10_000 if quick() else 4_000_000):
            pass
        self.mean_ = float(y.mean())
        return self

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        return np.full(len(X), self.mean_ + self.level)


def spinning() -> Made:
    """Trials that are all fit."""
    return Estimator(Spinning(), {"level": Float(0.0, 1.0)}), *make_regression(200, 5, random_state=0)


def boosted() -> Made:
    """Boosted trees: about a second a trial."""
    X, y = make_regression(300 if quick() else 2000, 20, n_informative=8, noise=10.0, random_state=0)
    trees = GradientBoostingRegressor(n_estimators=5 if quick() else 30, random_state=0)
    return Estimator(trees, {"learning_rate": Float(0.02, 0.5, log=True)}), X, y


def paths() -> Made:
    """Logistic paths: about a fifth of a second each."""
    X, y = make_classification(200 if quick() else 2000, 20 if quick() else 60, n_informative=10, random_state=0)
    return Linear(Choice("l1", "elastic_net"), Along(100)), X, y


BARS: tuple[tuple[Callable[[], Made], float], ...] = ((boosted, 1.8), (paths, 1.8), (spinning, 1.9))


def sampler(trials: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(trials)


def pace(made: Made, workers: int | None) -> float:
    """Seconds a trial, once all workers are there."""
    space, X, y = made
    with tempfile.TemporaryDirectory() as folder:
        study = Study("timed", X, y, space=space, cv=5, tracking=False, prune=False, sampler=sampler, root=Path(folder))
        ends = sorted(trial.end_ms for trial in study.run(TRIALS, workers=workers, quiet=True).all)
    return (ends[-1] - ends[WORKERS]) / 1000 / (len(ends) - 1 - WORKERS)


def speed() -> Iterator[Row]:
    """The time of a trial with two workers over that without, times two: 1 is perfect."""
    for family, bar in BARS:
        made = family()
        pairs = [(pace(made, WORKERS), pace(made, None)) for _ in range(ROUNDS)]
        ratio = statistics.median(ours / alone for ours, alone in pairs)
        ours, alone = (statistics.median(side) for side in zip(*pairs, strict=True))
        note = f"{1 / ratio:.2f} x as fast (at least {bar}); {ours:.3f} s a trial, {alone:.3f} s without"
        yield Row(f"{family.__name__}: share of the time", ratio, 1 / bar, note)


def start() -> Iterator[Row]:
    """Seconds until four workers with 200 MB of data each ask for something."""
    rows, columns = (2_000, 100) if quick() else (250_000, 100)
    X = np.random.default_rng(0).normal(size=(rows, columns))
    study = Study("timed", X, X[:, 0], space=Linear("l1"), cv=5, tracking=False)
    job, waiting = Job(study.space, study.setup), set(range(4))
    begun = time.perf_counter()
    with Local(4).crew(job) as crew:
        for worker in sorted(waiting):
            crew.start(worker)
        while waiting:
            waiting -= {worker for worker, message in crew.messages(60.0, waiting) if isinstance(message, Idle)}
        took = time.perf_counter() - begun
    yield Row(f"four workers, {X.nbytes / 1e6:.0f} MB: seconds to start", took, 3.0)


if __name__ == "__main__":
    main([speed, start], __doc__)
