"""A linear config fitted to all rows, as a plain scikit-learn pipeline.

The coefficients come from the same certified solver that searched; the pipeline holds them in scikit-learn's own
estimators, so that production needs scikit-learn alone, and `clone(pipeline).fit(X, y)` fits the same model again where
scikit-learn has the penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from regsearch.encoding import transformer
from regsearch.errors import InvalidInput
from regsearch.linear.backend import make_design, make_solver
from regsearch.linear.convert import to_alpha, to_C
from regsearch.linear.design import Array, Design, Settings
from regsearch.problem import Problem
from regsearch.tree import Path, number


def refit(config: Settings, problem: Problem) -> Any:
    """Fit a config to every row of a problem.

    Returns
    -------
    sklearn.pipeline.Pipeline
        From raw columns to labels.

    Raises
    ------
    InvalidInput
        When lambda is still a path.
    """
    from sklearn import config_context
    from sklearn.pipeline import make_pipeline

    if isinstance(config.lambda_, Path):
        raise InvalidInput("A refit needs one lambda, got a Path; take the chosen point of an outcome.")
    with config_context(transform_output="default"):  # whatever the user's program has set for its own
        pipeline = make_pipeline(*_steps(config, problem))
    return pipeline.set_output(transform="default")  # and will have set where it predicts


def _steps(config: Settings, problem: Problem) -> list[Any]:
    """The fitted steps of the pipeline."""
    everything = np.arange(problem.rows)
    design = make_design(problem, (everything,), (everything[:0],))
    coef, intercept = _fit(config, problem, design)
    prepare = transformer(problem)
    seen = problem.X if prepare is None else prepare.fit_transform(problem.X)
    scaler = _scaler(config.scale, seen, problem, design)
    rescaled = _rescaled(coef, intercept, scaler, design, config.scale)
    return [step for step in (prepare, scaler, _model(config, problem, *rescaled)) if step is not None]


def _fit(config: Settings, problem: Problem, design: Design) -> tuple[Array, Array]:
    """Coefficients ``[p, m]`` of the encoded columns and intercepts ``[m]``."""
    solver = make_solver(problem, design)
    terms = config.penalty.terms(lambda: solver.initial(config.scale))
    lambda_ = number(config.lambda_) if config.penalty.path else 0.0
    *_, last = solver.path(terms, config.scale, np.array([lambda_]))
    return last.coef[0, -1], last.intercept[0, -1]


def _scaler(how: str, seen: Any, problem: Problem, design: Design) -> Any | None:
    """The fitted scikit-learn scaler; none of them shifts a sparse matrix."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    dense = not sparse.issparse(seen)
    if how == "none":
        return None
    if how == "robust":
        return RobustScaler(with_centering=dense).fit(seen)
    if how == "minmax" and dense:
        return MinMaxScaler().fit(seen)
    if how == "minmax":  # scikit-learn has no sparse one, and a free intercept needs no more than the division
        scaler = MaxAbsScaler().fit(seen)
        spread = design.scales("minmax")[0]
        scaler.scale_ = np.where(spread > 0, spread, 1.0)
        return scaler
    return StandardScaler(with_mean=dense).fit(seen, sample_weight=problem.sample_weight)


def _rescaled(coef: Array, intercept: Array, scaler: Any, design: Design, how: str) -> tuple[Array, Array]:
    """Coefficients and intercepts of scaled columns: an affine map of each, probed where it loses no digits."""
    if scaler is None:
        return coef, intercept
    center, spread = design.centers[0], design.scales(how)[0]
    low, high = scaler.transform(np.stack([center, center + spread]))
    factor = np.divide(high - low, spread, out=np.ones_like(spread), where=spread > 0)
    scaled = coef / factor[:, None]
    return scaled, intercept + center @ coef - low @ scaled


def _model(config: Settings, problem: Problem, coef: Array, intercept: Array) -> Any:
    """The scikit-learn estimator with the coefficients, as they are for scaled columns."""
    model = _unfitted(config, problem)
    model.n_features_in_ = len(coef)
    if problem.classes is None:
        model.coef_, model.intercept_ = coef[:, 0], float(intercept[0])
    else:
        model.coef_, model.intercept_, model.classes_ = coef.T.copy(), intercept, problem.classes
    return model


def _unfitted(config: Settings, problem: Problem) -> Any:
    """The scikit-learn estimator whose parameters say the same penalty, where scikit-learn has it."""
    from sklearn.linear_model import ElasticNet, LinearRegression, LogisticRegression

    lambda_, l1_ratio = number(config.lambda_), float(config.penalty.l1_ratio)
    weight = problem.rows if problem.sample_weight is None else float(problem.sample_weight.sum())
    if problem.classes is not None:
        if not lambda_:
            return LogisticRegression(C=np.inf)
        return LogisticRegression(C=to_C(lambda_, weight), l1_ratio=l1_ratio, solver="saga", max_iter=10_000)
    if config.penalty.plain and lambda_:
        return ElasticNet(alpha=to_alpha(lambda_), l1_ratio=l1_ratio)
    return LinearRegression()
