"""Fold rungs replayed: estimators of which every fold is known, given up between folds as a search would.

Random configs are fitted on all folds by the backend of a search that gives up nothing, and their scores are kept. A
search is a random order of them, one config after the other. C configs, K folds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from neural import SEED, digits
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from regsearch import Estimator, Float, Int
from regsearch._types import Array
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.fold_rungs import FoldRungs
from regsearch.space.sampling import fill, random_params
from replays.recording import FOLDER

FOLDS = 5
SEARCHES = 200


@dataclass(frozen=True)
class FittedSet:
    """Data, and a space of estimators on them."""

    name: str
    data: Callable[[], tuple[Any, Any]]
    space: Estimator
    configs: int = 128

    def scores(self) -> Array:
        """``[C, K]`` scores, larger is better; fitted once, and kept."""
        file = FOLDER / f"estimators_{self.name}_{self.configs}x{FOLDS}.npy"
        if not file.exists():
            problem = make_problem(*self.data())
            folds, metrics = make_folds(FOLDS, problem, SEED), resolve(None, problem)
            setup = Setup(problem, folds, metrics, SEED, n_jobs=-1, prune=False)
            random = np.random.default_rng(SEED)
            configs = [fill(self.space, random_params(self.space, random)) for _ in range(self.configs)]
            found = self.space.backend(setup).stream([Candidate(i, config) for i, config in enumerate(configs)])
            FOLDER.mkdir(parents=True, exist_ok=True)
            np.save(file, np.array([outcome.trajectory.deciding.val[:, 0] for outcome in found]))
        return np.asarray(np.load(file))


def _first_digits() -> tuple[Any, Any]:
    X, y = digits()
    return X[:600], y[:600]


SETS: tuple[FittedSet, ...] = (
    FittedSet("digits", _first_digits,
              Estimator(make_pipeline(Nystroem(n_components=100), LogisticRegression(max_iter=1000)),
                        {"nystroem__gamma": Float(1e-5, 1e-1, log=True),
                         "logisticregression__C": Float(1e-2, 1e4, log=True)})),
    FittedSet("cancer", lambda: load_breast_cancer(return_X_y=True),
              Estimator(DecisionTreeClassifier(), {"ccp_alpha": Float(1e-5, 1e-1, log=True),
                                                   "min_samples_leaf": Int(1, 60)})),
    FittedSet("wine", lambda: load_wine(return_X_y=True),
              Estimator(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
                        {"logisticregression__C": Float(1e-4, 1e4, log=True)})),
    FittedSet("diabetes", lambda: load_diabetes(return_X_y=True),
              Estimator(GradientBoostingRegressor(), {"learning_rate": Float(1e-3, 1.0, log=True),
                                                      "max_depth": Int(1, 6), "subsample": Float(0.3, 1.0)})),
)  # fmt: skip


@dataclass(frozen=True)
class Searched:
    """One search: how many folds were fitted, and the scores ``[C]``, minus infinity where one was given up."""

    fits: int
    scores: Array


def search(scores: Array, order: NDArray[np.int64]) -> Searched:
    """Try configs with these scores ``[C, K]`` in an order, and give up what falls behind."""
    rungs, best, fits = FoldRungs((), Averaging.equal(scores.shape[1])), None, 0
    kept = np.full(len(order), -np.inf)
    for number, config in enumerate(order):
        folds = rungs.order(number)
        for count in range(1, len(folds)):
            why = rungs.why_given_up(number, scores[config, folds[:count]], folds[:count], best)
            if why:
                fits += count
                seen = np.full(len(folds), np.nan)
                seen[folds[:count]] = scores[config, folds[:count]]
                rungs.end(number, seen)
                break
        else:
            fits += len(folds)
            kept[number] = scores[config].mean()
            rungs.end(number, scores[config])
            if best is None or kept[number] > best.mean():
                best = scores[config]
    return Searched(fits, kept)


@dataclass(frozen=True)
class Saved:
    """Of many searches of a set: the share of folds that were fitted, that of searches which lost the winner, and by
    how much of the spread of all scores the best is worse for it, in the mean.
    """

    fits: float
    lost: float
    regret: float


def saved(scores: Array, trials: int, searches: int = SEARCHES) -> Saved:
    """Searches of so many trials, each in a random order of the configs with these scores ``[C, K]``."""
    random = np.random.default_rng(SEED)
    fits, lost = [], []
    for _ in range(searches):
        order = random.permutation(len(scores))[:trials]
        found = search(scores, order)
        fits.append(found.fits / (len(order) * scores.shape[1]))
        lost.append(scores[order].mean(axis=1).max() - found.scores.max())
    spread = float(np.std(scores.mean(axis=1)))
    return Saved(float(np.mean(fits)), float(np.mean(np.array(lost) > 0)), float(np.mean(lost)) / spread)


def table(trials: Sequence[int]) -> Iterator[str]:
    """Lines: what giving up between folds saves and loses, by set and number of trials."""
    yield f"{'':10}" + "".join(f"{f'{count} trials':>30}" for count in trials)
    yield f"{'set':10}" + f"{'folds fitted':>14}{'lost':>8}{'regret':>8}" * len(trials)
    for one in SETS:
        cells = [saved(one.scores(), count) for count in trials]
        yield f"{one.name:10}" + "".join(f"{c.fits:14.3f}{100 * c.lost:6.0f} %{c.regret:8.3f}" for c in cells)
