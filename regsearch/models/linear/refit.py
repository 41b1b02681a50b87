"""A linear config fitted to all rows, as a plain scikit-learn pipeline.

The coefficients come from the same certified solver that searched; the pipeline holds them in scikit-learn's own
estimators, so that production needs scikit-learn alone, and `clone(pipeline).fit(X, y)` fits the same model again where
scikit-learn has the penalty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from regsearch._types import Array
from regsearch.data.encoding import FEW, fit_transformer
from regsearch.data.features import take_rows
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing, weighted_quantiles
from regsearch.errors import InvalidInput
from regsearch.models.class_weight import class_factors
from regsearch.models.linear.convert import to_alpha, to_C, to_ridge_alpha
from regsearch.models.linear.design import Design, Piece, Solver
from regsearch.models.linear.linear_config import LinearConfig
from regsearch.models.linear.scales import row_medians
from regsearch.models.linear.solvers import Solvers
from regsearch.models.preparation import behind, prepared
from regsearch.space.path import Path
from regsearch.space.tree import number

NEARLY_ALL = 0.01  # of the null model's loss: a fit that leaves less is solved to a gap relative to its own loss ...
LEAST_TOL = 1e-13  # ... but no nearer than what rounding lets solvers come to
ROUNDED: Any = {"invalid": "ignore"}  # a constant column's weighted variance may be below 0: its scale is 1 then, too


def refit(config: LinearConfig, problem: Problem) -> Any:
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
    for _, step in pipeline.steps[config.prepare is not None : -1]:
        step.set_output(transform="default")  # and will have set where it predicts
    return pipeline


def _steps(config: LinearConfig, problem: Problem) -> list[Any]:
    """The fitted steps of the pipeline."""
    transformer, table, whole = None, problem, problem
    if config.prepare is not None:
        everything = (np.arange(problem.rows),)
        made = prepared(config.prepare, problem, everything)
        transformer, table, whole = made.fitted[0], made.problem(problem, 0), behind(problem, made, everything)
    solvers = Solvers.of_all_rows(whole, config.loss, config.offset)
    coef, intercept = _fit(config, solvers)
    prepare = fit_transformer(table.X, lambda: table.encoded, table.sample_weight)
    if solvers.design.by_rows:
        scaler = scaler_by_rows(config.scale, solvers.design)
    else:
        rows = weighing(np.arange(problem.rows), problem.sample_weight)
        seen = take_rows(table.X, rows)
        seen = seen if prepare is None else prepare.transform(seen)
        weights = None if problem.sample_weight is None else problem.sample_weight[rows]
        scaler = _scaler(config.scale, seen, weights, solvers.design)
    rescaled = _rescaled(coef, intercept, scaler, solvers.design, config.scale)
    rescaled = rescaled if solvers.offset is None else _with_offset(*rescaled, scaler, solvers.offset.place)
    model = _model(config, problem, *rescaled)
    if config.loss is not None:
        rows, decided = solvers.design.train[0], decisions(solvers.design, coef, intercept)
        config.loss.fill(model, solvers.aims(config.loss)[rows], decided, solvers.design.weights[rows], _lambda(config))
    return [step for step in (transformer, prepare, scaler, model) if step is not None]


def _fit(config: LinearConfig, solvers: Solvers) -> tuple[Array, Array]:
    """Coefficients ``[p, m]`` of the encoded columns and intercepts ``[m]``."""
    solver = solvers.of(config.class_weight, config.loss)
    last = _solved(config, solvers, solver)
    left = float(solver.training_losses(last)[0] / solver.null[0]) if solver.null[0] > 0 else 1.0
    if left < NEARLY_ALL and _lambda(config):
        solver.tol = max(LEAST_TOL, solver.tol * left)
        last = _solved(config, solvers, solver)
    return last.coef[0, -1], last.intercept[0, -1]


def _solved(config: LinearConfig, solvers: Solvers, solver: Solver) -> Piece:
    """A config's only point."""
    *_, last = solver.path(solvers.terms(config), config.scale, np.array([_lambda(config)]))
    return last


def _lambda(config: LinearConfig) -> float:
    return number(config.lambda_) if config.penalty.path else 0.0


def decisions(design: Design, coef: Array, intercept: Array) -> Array:
    """``[n]`` decisions of one output on the rows that the first fold trains on."""
    along = np.asarray(design.fold(0) @ coef[:, 0])[design.train[0]]
    return np.asarray(along + design.shift @ coef[:, 0] + intercept[0])


def _scaler(how: str, seen: Any, weights: Array | None, design: Design) -> Any | None:
    """The scikit-learn scaler, fitted to the rows that weigh anything; none of them shifts a sparse matrix."""
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    dense = not sparse.issparse(seen)
    if how == "none":
        return None
    if how == "robust":
        scaler = RobustScaler(with_centering=dense).fit(seen)
        return scaler if weights is None else _weighted(scaler, seen, weights, design)
    if how == "minmax" and dense:
        return MinMaxScaler().fit(seen)
    if how == "minmax":  # scikit-learn has no sparse one, and a free intercept needs no more than the division
        scaler = MaxAbsScaler().fit(seen)
        spread = design.scales("minmax")[0]
        scaler.scale_ = np.where(spread > 0, spread, 1.0)
        return scaler
    with np.errstate(**ROUNDED):
        return StandardScaler(with_mean=dense).fit(seen, sample_weight=weights)


def scaler_by_rows(how: str, design: Design) -> Any | None:
    """The scikit-learn scaler of a table, fitted to blocks of its rows."""
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    if how == "none":
        return None
    table, rows = design.fold(0), design.train[0]
    if how == "robust":
        scaler = RobustScaler().fit(table[rows[:FEW]])
        scaler.center_, scaler.scale_ = row_medians(table, design.masks[0], design.weights), design.scales(how)[0]
        scaler.scale_ = np.where(scaler.scale_ > 0, scaler.scale_, 1.0)
        return scaler
    scaler = StandardScaler() if how == "standard" else MinMaxScaler()
    for part, block in table.blocks(rows):
        more = {"sample_weight": design.weights[rows[part]]} if how == "standard" else {}
        with np.errstate(**ROUNDED):
            scaler.partial_fit(block, **more)
    return scaler


def _weighted(scaler: Any, seen: Any, weights: Array, design: Design) -> Any:
    """A robust scaler with weighted medians and quartiles, which scikit-learn's does not know."""
    spread = design.scales("robust")[0]
    scaler.scale_ = np.where(spread > 0, spread, 1.0)
    if scaler.with_centering:
        scaler.center_ = weighted_quantiles(seen, weights, (0.5,))[0]
    return scaler


def _rescaled(coef: Array, intercept: Array, scaler: Any, design: Design, how: str) -> tuple[Array, Array]:
    """Coefficients and intercepts of scaled columns: an affine map of each, probed where it loses no digits."""
    if scaler is None:
        return coef, intercept
    center, spread = design.centers[0], design.scales(how)[0]
    low, high = scaler.transform(np.stack([center, center + spread]))
    factor = np.divide(high - low, spread, out=np.ones_like(spread), where=spread > 0)
    scaled = coef / factor[:, None]
    return scaled, intercept + center @ coef - low @ scaled


def _with_offset(coef: Array, intercept: Array, scaler: Any, place: int) -> tuple[Array, Array]:
    """Those of scaled columns with a column's own coefficient, one, which no solver knows."""
    ends = np.zeros((2, len(coef)))
    ends[1, place] = 1.0
    low, high = ends[:, place] if scaler is None else scaler.transform(ends)[:, place]
    coef = coef.copy()
    coef[place] = 1.0 / (high - low)
    return coef, intercept - low * coef[place]


def _model(config: LinearConfig, problem: Problem, coef: Array, intercept: Array) -> Any:
    """The scikit-learn estimator with the coefficients, as they are for scaled columns."""
    model = unfitted(config, problem)
    model.n_features_in_ = len(coef)
    if problem.targets > 1:
        model.coef_, model.intercept_ = coef.T.copy(), intercept
    elif problem.classes is None:
        model.coef_, model.intercept_ = coef[:, 0], float(intercept[0])
    else:
        model.coef_, model.intercept_, model.classes_ = coef.T.copy(), intercept, problem.classes
    return model


# --- scikit-learn's own estimators -----------------------------------------------------------------------------

# How scikit-learn has to solve to come to the same coefficients; by default it ends long before. newton-cg is exact
# even where a column is hardly penalized. liblinear penalizes the intercept too, by a thousandth here. saga has all
# other L1 parts, and needs so many epochs where these are weak that there must be a limit.
_DESCENT = {"tol": 1e-10, "max_iter": 100_000}
_NEWTON = {"solver": "newton-cg", "tol": 1e-8, "max_iter": 1000}
_LIBLINEAR = {"solver": "liblinear", "tol": 1e-8, "max_iter": 10_000, "intercept_scaling": 1e3, "random_state": 0}
_SAGA = {"solver": "saga", "tol": 1e-6, "max_iter": 10_000, "random_state": 0}


def total_weight(config: LinearConfig, problem: Problem) -> float:
    """The n of `regsearch.models.linear.convert`: what all rows weigh in the loss."""
    weights = np.ones(problem.rows) if problem.sample_weight is None else problem.sample_weight
    if config.class_weight is None:
        return float(weights.sum())
    return float(weights @ class_factors(problem, np.arange(problem.rows), config.class_weight))


def unfitted(config: LinearConfig, problem: Problem) -> Any:
    """The scikit-learn estimator whose objective is the config's, as far as scikit-learn has it.

    It has no weights of adaptive penalties, and beside squared error and log-loss either the L1 or the L2 part.

    Fitted to the problem's scaled columns it predicts what the certified coefficients do: to about a thousandth of a
    probability or of y's deviation, with saga to a few thousandths. Where the solver ends at its limit, as saga does
    under a weak penalty, it gives a `ConvergenceWarning`, and may be off by a tenth. Separable classes without a
    penalty have no solution to agree on.
    """
    lambda_ = _lambda(config)
    ratio, n = float(config.penalty.l1_ratio), total_weight(config, problem)
    if config.loss is not None:
        return config.loss.estimator(lambda_, ratio, n)
    if problem.classes is None:
        together = config.penalty.rowwise and problem.targets > 1
        return _of_rows(lambda_, ratio) if together and lambda_ and ratio else _of_numbers(lambda_, ratio, n)
    made = _of_classes(lambda_, ratio, n, problem.task == "binary")
    weight = config.class_weight
    return made if weight is None else made.set_params(class_weight=weight if weight == "balanced" else dict(weight))


def _of_numbers(lambda_: float, l1_ratio: float, n: float) -> Any:
    from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge

    if not lambda_:
        return LinearRegression()
    if not l1_ratio:
        return Ridge(alpha=to_ridge_alpha(lambda_, n), tol=_DESCENT["tol"])
    if l1_ratio == 1:
        return Lasso(alpha=to_alpha(lambda_), **_DESCENT)
    return ElasticNet(alpha=to_alpha(lambda_), l1_ratio=l1_ratio, **_DESCENT)


def _of_rows(lambda_: float, l1_ratio: float) -> Any:
    from sklearn.linear_model import MultiTaskElasticNet, MultiTaskLasso

    if l1_ratio == 1:
        return MultiTaskLasso(alpha=to_alpha(lambda_), **_DESCENT)
    return MultiTaskElasticNet(alpha=to_alpha(lambda_), l1_ratio=l1_ratio, **_DESCENT)


def _of_classes(lambda_: float, l1_ratio: float, n: float, binary: bool) -> Any:
    from sklearn.linear_model import LogisticRegression

    C = to_C(lambda_, n) if lambda_ else np.inf
    if not (lambda_ and l1_ratio):
        return LogisticRegression(C=C, **_NEWTON)
    lone = l1_ratio == 1 and binary
    return LogisticRegression(C=C, l1_ratio=l1_ratio, **(_LIBLINEAR if lone else _SAGA))
