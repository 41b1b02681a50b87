"""Penalties whose weights go by the order of the coefficients' sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtri

from regsearch._types import Array, Rows
from regsearch.models.linear.general import SAME, GeneralTerms, Quadratic


@dataclass(frozen=True)
class SortedTerms(GeneralTerms):
    """``lambda sum_i l_i |w|_(i)``, the largest coefficient first (Bogdan et al. 2015).

    The weights are those that control the false discovery rate q of as many tests as there are coefficients, over the
    largest of them: ``l_i = quantile(1 - i q / 2 count) / l_1``, quantiles of the normal distribution.
    """

    spends = "sizes of coefficients that are not zero"
    q: float
    total: int = 0  # of all coefficients, where these are some of them

    def value(self, w: Array, lambda_: float) -> Array:
        sizes = np.sort(np.abs(w).reshape(*w.shape[:-2], -1), axis=-1)[..., ::-1]
        return np.asarray(lambda_ * (sizes @ self._weights(sizes.shape[-1])))

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        from regsearch.models.linear.faces import shrink_sorted

        if not w.size:
            return w
        flat = w.reshape(-1, w.shape[-2] * w.shape[-1])
        weights = step * lambda_ * self._weights(flat.shape[1])
        return np.stack([shrink_sorted(np.ascontiguousarray(one), weights) for one in flat]).reshape(w.shape)

    def of_fold(self, k: int, shape: tuple[int, ...]) -> SortedTerms:
        return replace(self, total=shape[0] * shape[1])

    def restricted(self, some: Rows) -> SortedTerms:
        return self

    def faces(self, w: Array) -> Rows:
        """Coefficients of one size."""
        sizes = np.abs(w).ravel()
        order = np.argsort(sizes)
        grows = np.diff(sizes[order], prepend=0.0) > SAME * sizes.max(initial=0.0)
        number = np.empty(len(sizes), dtype=np.intp)
        number[order] = np.cumsum(grows)
        return np.where(w != 0, number.reshape(w.shape), -1)

    def minimise(self, quadratic: Quadratic, w: Array, slope: Array, lambda_: float, tolerance: float) -> Array:
        from regsearch.models.linear.faces import SORTED, descend

        new = w.flatten()
        weights = lambda_ * self._weights(w.size)
        descend(SORTED, quadratic.gram, slope.ravel() + quadratic.gram @ new, new, weights, tolerance)
        return new.reshape(w.shape)

    def lambda_max(self, gradient: Array) -> float:
        sizes = np.sort(np.abs(gradient).reshape(len(gradient), -1), axis=1)[:, ::-1]
        sums = np.cumsum(self._weights(sizes.shape[1]))
        return float((np.cumsum(sizes, axis=1) / sums).max(initial=0.0))

    def _weights(self, count: int) -> Array:
        """Of so many coefficients, the others being zero and so the last in the order."""
        return _weights(self.q, max(self.total, count))[:count]


@lru_cache(maxsize=64)
def _weights(q: float, count: int) -> Array:
    quantiles = np.maximum(-ndtri(np.arange(1, count + 1) * q / (2 * count)), 0.0)
    return np.asarray(quantiles / quantiles.max(initial=1e-300))
