"""Paths of logistic and multinomial models against python-glmnet and scikit-learn: sparse and wide, and to their end.

    python benchmarks/classes.py [WORD ...] [--json]

Same folds and lambdas on both sides, in turn, by the processor's time on one thread. Ours is solved to a relative
duality gap of 1e-6, python-glmnet to its default tolerance, and LogisticRegressionCV until its objective is as near.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy loads
from __future__ import annotations

from harness import Row, all_in_turn, cpu_seconds, main, one_thread

one_thread()

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from linear import SEED, classification, full_grid, setup_of
from sklearn.model_selection import StratifiedKFold

from regsearch import L2, ElasticNet, Linear
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend


def full_logistic() -> Iterator[Row]:
    X, y = classification(2000, 1000, 40)
    yield full_path("logistic 2000x1000", X, y, 0.5)


def full_multinomial() -> Iterator[Row]:
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    yield full_path("multinomial digits", X, y, 1.0)


def full_path(name: str, X: Any, y: Any, l1_ratio: float) -> Row:
    """To the last lambda, as of a score that has no known optimum."""
    setup = setup_of(X, y, StratifiedKFold(5, shuffle=True, random_state=SEED))
    penalty = ElasticNet(l1_ratio)
    lambdas = full_grid(LinearBackend(setup), l1_ratio)
    whole_path(LinearBackend(setup), penalty, lambdas[:10])  # compiles what is compiled
    found: list[Any] = []
    (mine,), (other,) = all_in_turn(
        (
            lambda k: found.extend(whole_path(LinearBackend(setup), penalty, lambdas)),
            lambda k: glmnet_path(X, y, l1_ratio, lambdas),
        ),
        1,
        cpu_seconds,
    )
    return Row(f"{name}: full path", mine / other, 1.0, f"{mine:.3g} s / {other:.3g} s; gap {largest(found):.1e}")


def largest(pieces: list[Any]) -> float:
    """The largest relative duality gap of a path."""
    return max(float(piece.gap.max()) for piece in pieces)


def whole_path(backend: LinearBackend, penalty: Any, lambdas: Any, scale: str = "standard") -> list[Any]:
    """Every piece of a path, on one thread, wherever a search would end it."""
    from regsearch.models.linear.threads import one_thread as one_thread_of_blas

    with one_thread_of_blas():
        return list(backend.solver.path(penalty.terms(lambda: np.zeros(1)), scale, lambdas))


def glmnet_path(X: Any, y: Any, l1_ratio: float, lambdas: Any) -> Any:
    import glmnet

    model = glmnet.LogitNet(
        alpha=l1_ratio, lambda_path=lambdas, n_splits=5, n_jobs=1, scoring="log_loss", random_state=SEED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def texts(n: int = 4000, p: int = 30_000) -> tuple[Any, Any]:
    """Like tf-idf of texts: words by Zipf's law, a hundred a row, and labels that a few hundred of them explain."""
    from scipy import sparse

    rng = np.random.default_rng(SEED)
    often = 1 / (np.arange(p) + 6.0)
    words = [np.unique(rng.choice(p, rng.integers(80, 176), p=often / often.sum())) for _ in range(n)]
    row, column = np.repeat(np.arange(n), [len(one) for one in words]), np.concatenate(words)
    rarity = 1 + np.log((1 + n) / (1 + np.bincount(column, minlength=p)))
    values = (1 + np.log(rng.geometric(0.6, len(column)))) * rarity[column]
    length = np.sqrt(np.bincount(row, values**2))
    X = sparse.csr_matrix((values / length[row], (row, column)), shape=(n, p))
    truth = np.zeros(p)
    truth[rng.permutation(1000)[:200]] = 16 * rng.normal(size=200)
    signal = X @ truth
    return X, (rng.random(n) < 1 / (1 + np.exp(signal.mean() - signal))).astype(int)


def sparse_ridge() -> Iterator[Row]:
    """Sparse and wide, against LogisticRegressionCV with its default solver, lbfgs."""
    from sklearn.linear_model import LogisticRegressionCV

    X, y = texts()
    splitter = StratifiedKFold(5, shuffle=True, random_state=SEED)
    setup = setup_of(X, y, splitter)
    lambdas = trial_lambdas(setup, Linear(L2(), scale="none"))
    theirs = LogisticRegressionCV(
        Cs=1 / (lambdas * len(y) * 0.8), cv=splitter, scoring="neg_log_loss", max_iter=10_000, tol=1e-5,
        refit=False, use_legacy_attributes=True, l1_ratios=(0.0,),
    )  # fmt: skip
    found: list[Any] = []
    (mine,), (other,) = all_in_turn(
        (
            lambda k: found.extend(whole_path(LinearBackend(setup), L2(), lambdas, "none")),
            lambda k: theirs.fit(X, y),
        ),
        1,
        cpu_seconds,
    )
    note = f"{mine:.3g} s / {other:.3g} s; {len(lambdas)} lambdas, gap {largest(found):.1e}"
    note += f" / suboptimality {above(setup, found, theirs, lambdas):.1e}"
    yield Row("sparse logistic 4000x30000: ridge path", mine / other, 1.0, note)


def sparse_lasso() -> Iterator[Row]:
    """Sparse and wide, against python-glmnet."""
    X, y = texts()
    setup = setup_of(X, y, StratifiedKFold(5, shuffle=True, random_state=SEED))
    lambdas = trial_lambdas(setup, Linear(ElasticNet(1.0)))
    found: list[Any] = []
    (mine,), (other,) = all_in_turn(
        (
            lambda k: found.extend(whole_path(LinearBackend(setup), ElasticNet(1.0), lambdas)),
            lambda k: glmnet_path(X.tocsc(), y, 1.0, lambdas),
        ),
        1,
        cpu_seconds,
    )
    note = f"{mine:.3g} s / {other:.3g} s; {len(lambdas)} lambdas, gap {largest(found):.1e}"
    yield Row("sparse logistic 4000x30000: L1 path", mine / other, 1.0, note)


def trial_lambdas(setup: Setup, config: Linear) -> Any:
    """Those of a trial, but for its limit."""
    axis = LinearBackend(setup).evaluate(Candidate(0, config)).trajectory.axis
    return axis[axis > 0]


def above(setup: Setup, pieces: list[Any], model: Any, lambdas: Any) -> float:
    """How far scikit-learn's ridge is above ours at worst, in the first fold, by the loss of the null model."""
    rows = setup.folds.train[0]
    X, y = setup.problem.X[rows], setup.problem.y[rows]
    ours = np.concatenate([piece.coef[0, :, :, 0] for piece in pieces])
    intercepts = np.concatenate([piece.intercept[0, :, 0] for piece in pieces])
    theirs = model.coefs_paths_[1][0].reshape(-1, X.shape[1] + 1)

    def objective(coef: Any, intercept: float, lambda_: float) -> float:
        eta = X @ coef + intercept
        return float(np.mean(np.logaddexp(0, eta) - y * eta) + lambda_ / 2 * coef @ coef)

    pairs = zip(ours, intercepts, theirs, lambdas, strict=True)
    return max(objective(t[:-1], t[-1], x) - objective(o, i, x) for o, i, t, x in pairs) / float(np.log(2))


if __name__ == "__main__":
    main([sparse_ridge, sparse_lasso, full_logistic, full_multinomial], "Paths of logistic and multinomial models.")
