"""Curves of configs that were not recorded: what was recorded, carried on between configs.

Two of them, for each flatters samplers that see the space as it does: a forest, and Gaussian processes. Both predict
the principal components of the logarithms of the losses, all folds and epochs of a config as one row.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from regsearch._types import Array
from regsearch.space.sampling import sample
from regsearch.study.proposals.sampler import Draft
from replays.recording import RecordedSet

COMPONENTS = 12
ABSENT = 0.5  # of a parameter below an option that was not chosen


@dataclass(frozen=True)
class Encoding:
    """Parameters as columns: numbers on their scale from 0 to 1, an indicator for each option of a choice."""

    distributions: Mapping[str, Any]

    @classmethod
    def of(cls, recorded: RecordedSet) -> Encoding:
        """Of every parameter that some config of a set has."""
        found: dict[str, Any] = {}
        for params in recorded.params:
            draft = Draft(lambda name, distribution, params=params: params[name])  # type: ignore[misc]
            sample(recorded.space, draft)
            found |= draft.distributions
        return cls(found)

    def __call__(self, params: Mapping[str, Any]) -> Array:
        """``[D]``."""
        return np.concatenate([self._column(name, params) for name in self.distributions])

    def _column(self, name: str, params: Mapping[str, Any]) -> Array:
        distribution = self.distributions[name]
        if hasattr(distribution, "choices"):
            return np.array([float(params.get(name) == choice) for choice in distribution.choices])
        if name not in params:
            return np.array([ABSENT])
        low, value, high = (
            np.log(one) if distribution.log else one for one in (distribution.low, params[name], distribution.high)
        )
        return np.array([(value - low) / (high - low)])


@dataclass(frozen=True)
class Surrogate:
    """``[K, E]`` scores of any config."""

    encoding: Encoding
    predict: Callable[[Array], Array]  # from [1, D] to components [1, C]
    mean: Array
    axes: Array
    shape: tuple[int, int]

    def __call__(self, params: Mapping[str, Any]) -> Array:
        components = self.predict(self.encoding(params)[None])[0]
        return np.asarray(-np.exp(self.mean + components @ self.axes).reshape(self.shape))


@cache
def surrogate(recorded: RecordedSet, kind: str) -> Surrogate:
    """Fitted to a whole set."""
    curves, encoding = recorded.curves(), Encoding.of(recorded)
    rows = np.log(np.maximum(-curves, 1e-6)).reshape(len(curves), -1)
    X = np.array([encoding(params) for params in recorded.params])
    mean = rows.mean(axis=0)
    left, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
    components, axes = (left * sizes)[:, :COMPONENTS], axes[:COMPONENTS]
    return Surrogate(encoding, FITS[kind](X, components), mean, axes, curves.shape[1:])


def _forest(X: Array, components: Array) -> Callable[[Array], Array]:
    from sklearn.ensemble import ExtraTreesRegressor

    forest = ExtraTreesRegressor(60, min_samples_leaf=2, max_features=0.5, random_state=0).fit(X, components)
    trees = [tree.tree_ for tree in forest.estimators_]

    def predict(rows: Array) -> Array:  # as the forest does, without what it checks
        return np.asarray(np.mean([tree.predict(rows.astype(np.float32))[..., 0] for tree in trees], axis=0))

    return predict


def _processes(X: Array, components: Array) -> Callable[[Array], Array]:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    found: list[tuple[Array, Any, float]] = []
    for target in components.T:
        kernel = ConstantKernel(1.0) * Matern(np.full(X.shape[1], 1.0), (0.1, 30.0), nu=2.5) + WhiteKernel(0.1)
        scale = float(target.std())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scales at a bound: columns without effect
            fitted = GaussianProcessRegressor(kernel, random_state=0).fit(X, target / scale)
        found.append((np.ravel(fitted.alpha_), fitted.kernel_.k1, scale))

    def predict(rows: Array) -> Array:
        return np.array([[float(kernel(rows, X)[0] @ alpha) * scale for alpha, kernel, scale in found]])

    return predict


FITS: Mapping[str, Callable[[Array, Array], Callable[[Array], Array]]] = {"forest": _forest, "processes": _processes}
KINDS: Sequence[str] = tuple(FITS)
