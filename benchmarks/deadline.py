"""How exactly a run ends when its time is up: seconds over what was asked, for each family.

A run may take up to 2 s more than was asked for, or one epoch of a net, chunk of lambdas or fold of an estimator if
that takes longer: here each takes well under 2 s, and a trial several. What is in flight then is kept as far as it got.
"""

from __future__ import annotations

from harness import Row, main, one_thread, quick

one_thread()

import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.datasets import load_digits, make_classification  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier  # noqa: E402

from regsearch import Choice, Estimator, Float, Int, Linear, Study, spaces  # noqa: E402
from regsearch import Path as Along  # noqa: E402
from regsearch.models.base import Model  # noqa: E402

ASKED_S = (0.5, 1.0) if quick() else (5.0, 15.0)
OVER_S = 2.0
Made = tuple[Model, Any, Any]


def linear() -> Made:
    """Logistic paths of 100 lambdas on wide data: several seconds each."""
    X, y = make_classification(200 if quick() else 4000, 50 if quick() else 500, n_informative=20, random_state=0)
    return Linear(Choice("l1", "elastic_net"), Along(100)), X, y


def estimator() -> Made:
    """Boosted trees: about a second a fold."""
    X, y = make_classification(200 if quick() else 3000, 20, n_informative=8, random_state=0)
    boosted = GradientBoostingClassifier(n_estimators=20 if quick() else 60, random_state=0)
    return Estimator(boosted, {"max_depth": Int(2, 5), "learning_rate": Float(0.02, 0.5, log=True)}), X, y


def net() -> Made:
    """Perceptrons of 2 x 64 on digits for up to 100 epochs: sixteen at a time."""
    digits = load_digits()
    return spaces.mlp((64, 64), max_epochs=100), digits.data.astype(np.float32), digits.target


FAMILIES: tuple[Callable[[], Made], ...] = (linear, estimator, net)


def deadline() -> Iterator[Row]:
    """Seconds over what was asked."""
    for family in FAMILIES:
        space, X, y = family()
        for asked in ASKED_S:
            with tempfile.TemporaryDirectory() as folder:
                study = Study("timed", X, y, space=space, cv=5, tracking=False, root=Path(folder))
                started = time.perf_counter()
                results = study.run(timeout=asked, quiet=True)
                took = time.perf_counter() - started
            ended = {state: count for state, count in results.counts.items() if count}
            note = f"{took:.2f} s; " + ", ".join(f"{count} {state}" for state, count in ended.items())
            yield Row(f"{family.__name__}, {asked:g} s asked: seconds over", took - asked, OVER_S, note)


if __name__ == "__main__":
    main([deadline], __doc__)
