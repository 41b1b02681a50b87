"""Boosted trees whose rounds are a path, against a fit for each number of rounds.

Both choose the best mean of the folds. Data, folds, scorer and every parameter are the same; both sides use one thread,
in turn, and seconds are the processor's. ``same choice`` is how far apart the two numbers of rounds are.
"""

from __future__ import annotations

from harness import Row, all_in_turn, cpu_seconds, main, one_thread, paired, quick

one_thread()

from collections.abc import Iterator  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_diabetes  # noqa: E402
from sklearn.ensemble import (  # noqa: E402
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.model_selection import cross_val_score  # noqa: E402

from regsearch import Estimator  # noqa: E402
from regsearch.data.folds import make_folds  # noqa: E402
from regsearch.data.problem import make_problem  # noqa: E402
from regsearch.metrics.scorer import DEFAULTS, resolve  # noqa: E402
from regsearch.models.base import Candidate, Outcome, Setup  # noqa: E402

ROUNDS, TIMES = (8, 1) if quick() else (100, 3)
BAR = 1 / 20
CASES = {
    "HistGradientBoosting, diabetes": (HistGradientBoostingRegressor(learning_rate=0.05), "max_iter", load_diabetes),
    "HistGradientBoosting, breast cancer": (HistGradientBoostingClassifier(), "max_iter", load_breast_cancer),
    "GradientBoosting, diabetes": (GradientBoostingRegressor(), "n_estimators", load_diabetes),
}


def trees() -> Iterator[Row]:
    """The number of rounds by one fit a fold, and by as many as there are rounds."""
    for name, (estimator, path, load) in CASES.items():
        problem = make_problem(*load(return_X_y=True))
        setup = Setup(problem, make_folds(5, problem, 0), resolve(DEFAULTS[problem.task], problem))
        config = Estimator(estimator.set_params(random_state=0), {path: ROUNDS}, path=path)
        chosen: dict[str, float] = {}

        def ours(_: int, config: Estimator = config, setup: Setup = setup, chosen: dict[str, float] = chosen) -> None:
            found: list[Outcome] = [*config.backend(setup).stream([Candidate(0, config)])]
            chosen["ours"] = found[0].value or 0.0

        def theirs(_: int, config: Estimator = config, setup: Setup = setup, chosen: dict[str, float] = chosen) -> None:
            chosen["theirs"] = anew(config.estimator, config.axis, setup)

        mine, other = all_in_turn((ours, theirs), TIMES, cpu_seconds)
        note = f"{np.median(mine):.3g} s against {np.median(other):.3g}, {ROUNDS} rounds, 5 folds"
        yield Row(f"trees: {name}", paired(mine, other), BAR, note)
        both = f"{chosen['ours']:.0f} and {chosen['theirs']:.0f}"
        yield Row(f"trees: {name}, same choice", abs(chosen["ours"] - chosen["theirs"]), 0.0, both)


def anew(estimator: Any, path: str, setup: Setup) -> float:
    """The number of rounds with the best mean score, each fitted by itself."""
    folds = [*zip(setup.folds.train, setup.folds.val, strict=True)]
    problem, metric = setup.problem, setup.metrics[0]
    scores = [
        cross_val_score(
            clone(estimator).set_params(**{path: rounds}), problem.X, problem.labels, cv=folds, scoring=metric.scorer
        ).mean()
        for rounds in range(1, ROUNDS + 1)
    ]
    return float(np.argmax(scores)) + 1


if __name__ == "__main__":
    main([trees], __doc__)
