"""A Gaussian process over configs, which knows what is complete, what was given up, and what is running.

Matern 5/2 with a scale for each column (Rasmussen & Williams 2006, chapters 2 and 5), one noise for complete trials,
and more for those that were given up, whose scores are expected ones. How scores are expected to end and how they do
are two functions of a config (Kennedy and O'Hagan 2000): they may differ by more than noise, as where what learns
slowly ends best. How alike they are is fitted with the rest by maximum a posteriori, to at most `FITTED` trials, half
of them the best. n trials, D columns.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array

FITTED = 64
STEPS = 30  # of L-BFGS at most ...
ENOUGH = 1e-4  # ... which ends where the logarithm of the density gains less (relative where it is over 1)
SCALE, SCALE_SD = 0.5, 0.8  # a priori: median for one column, and deviation of the logarithm
SIGNAL_SD, NOISE_SD = 0.5, 1.0  # deviations of the logarithms of variances a priori, whose medians are 1 and ...
NOISE, MORE_NOISE = 0.02, 0.1
APART, APART_SD = 0.1, 1.5  # of expected scores and others: median of minus the logarithm of their correlation, ...
FARTHEST = 6.0  # deviations from the median a priori, that a logarithm may be
JITTER = 1e-6
MOST = 1e6  # deviations of a score from the median: others beside it are as good as equal
BLOCK = 128  # rows that are looked at together: what is reckoned of them stays in the cache
FAR = -6.0  # deviations below the best, from where an expected improvement is too small for its formula


def standardized(scores: Array) -> Array:
    """``[n]`` scores with mean 0 and a usual spread of 1, of which what is far below the median is moved nearer.

    How bad the bad are is of no interest, and would be most of what a process explains.
    """
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    spread = max((high - low) / 1.349, 1e-12 * abs(middle)) or 1.0
    with np.errstate(over="ignore"):  # scores as far apart as numbers go
        z = np.clip((scores - middle) / spread, -MOST, MOST)
    z = np.where(z < 0, -np.log1p(np.maximum(-z, 0.0)), z)
    return np.asarray(z - z.mean())


@dataclass(frozen=True)
class Hyperparameters:
    """Scales ``[D]``; variances: of the signal, of the noise, and of what expected scores have on top of it.

    Attributes
    ----------
    apart
        Minus the logarithm of the correlation of expected scores with others.
    """

    scales: Array
    signal: float
    noise: float
    more_noise: float
    apart: float

    @classmethod
    def of(cls, logs: Array) -> Hyperparameters:
        """From logarithms ``[D + 4]``."""
        return cls(np.exp(logs[:-4]), *np.exp(logs[-4:]).tolist())

    def noises(self, expected: Array) -> Array:
        """``[n]`` variances of scores, of which some are expected ones (1, not 0)."""
        return np.asarray(self.noise + JITTER + self.more_noise * expected)

    def alike(self, one: Array, other: Array) -> Array:
        """``[m, n]`` correlations of scores at one config, of which some are expected ones (1, not 0): m may be 1."""
        return np.asarray(np.exp(-self.apart * np.abs(one[:, None] - other)))


def _matern(squared: Array) -> Array:
    """The kernel at squared distances."""
    root = np.sqrt(5 * squared)
    grown = (5 / 3) * squared
    grown += root
    grown += 1
    grown *= np.exp(np.negative(root, out=root), out=root)
    return grown


def _matern_slope(squared: Array) -> Array:
    """What the kernel's derivatives by the logarithms of scales have in common."""
    root = np.sqrt(5 * squared)
    return np.asarray(5 / 3 * (1 + root) * np.exp(-root))


def _inverse_factor(covariance: Array) -> Array:
    """The inverse of the lower Cholesky factor."""
    from scipy.linalg import lapack

    found, _ = lapack.dtrtri(np.linalg.cholesky(covariance), lower=1)
    return np.asarray(found)


@dataclass(frozen=True)
class Posterior:
    """Minus the logarithm of the density of hyperparameters, given trials, and its gradient.

    Attributes
    ----------
    apart
        ``[D, n * n]`` squared distances of trials in each column.
    """

    apart: Array
    y: Array
    expected: Array
    middle: Array
    sd: Array

    @classmethod
    def of(cls, X: Array, y: Array, expected: Array) -> Posterior:
        """Of trials ``[n, D]`` with scores ``[n]``, of which some are expected ones (1, not 0)."""
        n, columns = X.shape
        apart = ((X[:, None] - X[None]) ** 2).reshape(n * n, columns).T.copy()
        scales = np.full(columns, np.log(SCALE * np.sqrt(columns)))
        middle = np.concatenate([scales, np.log([1.0, NOISE, MORE_NOISE, APART])])
        sd = np.concatenate([np.full(columns, SCALE_SD), [SIGNAL_SD, NOISE_SD, NOISE_SD, APART_SD]])
        return cls(apart, y, expected, middle, sd)

    def __call__(self, logs: Array) -> tuple[float, Array]:
        hyper, n = Hyperparameters.of(logs), len(self.y)
        weights = hyper.scales**-2
        alike, unlike = hyper.alike(self.expected, self.expected), self.expected[:, None] != self.expected
        squared = (weights @ self.apart).reshape(n, n)
        kernel, slope = _matern(squared) * alike, _matern_slope(squared) * alike
        factor = _inverse_factor(hyper.signal * kernel + np.diag(hyper.noises(self.expected)))
        inverse = factor.T @ factor
        alpha, away = inverse @ self.y, (logs - self.middle) / self.sd
        change = 0.5 * (inverse - np.outer(alpha, alpha))  # by the covariance
        by_variance = [hyper.signal * np.sum(change * kernel), hyper.noise * np.trace(change)]
        by_variance.append(hyper.more_noise * float(np.diag(change) @ self.expected))
        by_variance.append(-hyper.signal * hyper.apart * float(np.sum(change * kernel * unlike)))
        gradient = np.concatenate([hyper.signal * weights * (self.apart @ (change * slope).ravel()), by_variance])
        loss = 0.5 * float(self.y @ alpha + away @ away) - float(np.log(np.diag(factor)).sum())
        return loss, gradient + away / self.sd


def fit_hyperparameters(X: Array, y: Array, expected: Array) -> Hyperparameters:
    """Maximum a posteriori, of trials ``[n, D]`` with scores ``[n]``, of which some are expected ones (1, not 0)."""
    from scipy.optimize import minimize

    kept = spread(y, FITTED)
    posterior = Posterior.of(X[kept], y[kept], expected[kept])
    options = {"maxiter": STEPS, "ftol": ENOUGH}
    away = FARTHEST * posterior.sd
    bounds = np.column_stack([posterior.middle - away, posterior.middle + away])  # a step too far is past all numbers
    found: Any = minimize(posterior, posterior.middle, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Hyperparameters.of(found.x)


def spread(scores: Array, most: int) -> NDArray[np.intp]:
    """At most so many of ``[n]`` scores, in their order: half of them the best, the rest evenly from good to bad."""
    order = np.argsort(-scores, kind="stable")
    best, rest = np.split(order, [most // 2])
    places = np.linspace(0, len(rest) - 1, most - len(best)).round().astype(int)
    return np.sort(np.concatenate([best, rest[np.unique(places)]])) if len(rest) else np.sort(best)


class GaussianProcess:
    """What is believed of configs.

    Parameters
    ----------
    X, y, expected
        Finished trials ``[n, D]`` with their scores ``[n]``, of which some are expected ones (1, not 0).
    """

    def __init__(self, hyper: Hyperparameters, X: Array, y: Array, expected: Array) -> None:
        self.hyper, self.X, self.y, self.expected = hyper, X, y, expected
        self._factor = _inverse_factor(self._kernel(X, expected) + np.diag(hyper.noises(expected)))
        self._alpha = self._factor.T @ (self._factor @ y)
        self.best = float(self.mean(X).max())

    def beside(self, running: Array) -> GaussianProcess:
        """The same beside trials that are running ``[r, D]``: their scores are believed to be what is expected."""
        if not len(running):
            return self
        found = copy.copy(self)
        across = self._kernel(running) @ self._factor.T
        found.X, found.y, found.expected = running, self.mean(running), np.zeros(len(running))
        own = found._kernel(running) + np.diag(self.hyper.noises(found.expected))
        corner = _inverse_factor(own - across @ across.T)
        none = np.zeros((len(self.X), len(running)))
        factor = np.block([[self._factor, none], [-corner @ across @ self._factor, corner]])
        found._factor = np.asfortranarray(factor)  # as `blas` takes it
        found.X, found.y = np.concatenate([self.X, running]), np.concatenate([self.y, found.y])
        found.expected = np.concatenate([self.expected, found.expected])
        found._alpha = found._factor.T @ (found._factor @ found.y)
        return found

    def _kernel(self, rows: Array, expected: Array | None = None) -> Array:
        """``[m, n]``: scores of rows, none of them expected ones by default, against those of the trials."""
        one, other = rows / self.hyper.scales, self.X / self.hyper.scales
        squared = (-2 * one) @ other.T
        squared += (one**2).sum(axis=1)[:, None]
        squared += (other**2).sum(axis=1)
        kernel = _matern(np.maximum(squared, 0.0, out=squared))
        kernel *= self.hyper.signal * self.hyper.alike(np.zeros(1) if expected is None else expected, self.expected)
        return kernel

    def mean(self, rows: Array) -> Array:
        """``[m]`` expected scores of rows ``[m, D]``."""
        return np.asarray(self._kernel(rows) @ self._alpha)

    def improvement(self, rows: Array) -> Array:
        """``[m]`` logarithms of what rows ``[m, D]`` are expected to improve on the best mean of what is finished.

        Far below it, the leading term of the logarithm's expansion stands for it (Ament et al. 2023).
        """
        blocks = [self._improvement(rows[i : i + BLOCK]) for i in range(0, len(rows), BLOCK)]
        return np.concatenate(blocks) if blocks else np.empty(0)

    def _improvement(self, rows: Array) -> Array:
        from scipy.linalg import blas
        from scipy.special import ndtr

        kernel = self._kernel(rows)
        mean = kernel @ self._alpha
        explained = blas.dtrmm(1.0, self._factor, kernel.T, lower=1, overwrite_b=1)
        variance = self.hyper.signal - np.square(explained, out=explained).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, JITTER**2))
        z = (mean - self.best) / deviation
        log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        near = np.exp(log_density) + z * ndtr(z)
        far = log_density - 2 * np.log(np.maximum(-z, 1.0))
        return np.asarray(np.log(deviation) + np.where(z > FAR, np.log(np.maximum(near, 1e-300)), far))
