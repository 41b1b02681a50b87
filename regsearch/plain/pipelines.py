"""Linear models and estimators as scikit-learn's own pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np

from regsearch.encoding import transformer
from regsearch.errors import InvalidInput
from regsearch.estimator import Estimator, seeded
from regsearch.inputs import is_sparse
from regsearch.linear import Linear
from regsearch.linear.convert import to_alpha, to_C, to_ridge_alpha
from regsearch.plain.sources import Source
from regsearch.problem import Problem
from regsearch.tree import number

TIGHT = {"tol": 1e-10, "max_iter": 100_000}  # of solvers that end early by default


def linear_code(config: Linear, problem: Problem, seed: int) -> str:
    """A linear config as an imputing, scaling and fitting pipeline, its lambda as alpha or C."""
    from sklearn.pipeline import make_pipeline

    if config.penalty.path and not config.penalty.plain:
        raise InvalidInput(
            f"scikit-learn has no {type(config.penalty).__name__}: it penalizes each column by a weight of its own, "
            "and scikit-learn's estimators all columns alike; export a bundle, or choose l1, l2 or elastic_net."
        )
    if problem.targets > 1:
        raise InvalidInput(f"Linear fits one target, y has {problem.targets} columns; run one study per column.")
    steps = (transformer(problem), _scaler(config.scale, is_sparse(problem.X)), _model(config, problem))
    pipeline = make_pipeline(*(step for step in steps if step is not None))
    weighted = [step for step in pipeline.named_steps if step in {"standardscaler", pipeline.steps[-1][0]}]
    return _module(pipeline, problem, weighted, _said(config, problem))


def estimator_code(config: Estimator, problem: Problem, seed: int) -> str:
    """An estimator with the parameters of a config."""
    model = seeded(config.build(), seed)
    last = [model.steps[-1][0]] if hasattr(model, "steps") else [""]
    return _module(model, problem, last, "The estimator with the parameters that were chosen.")


def _module(model: Any, problem: Problem, weighted: list[str], said: str) -> str:
    source = Source()
    made = source.of(model)
    options = ", ".join(["X", "y", *(f"{step}__sample_weight=w" if step else "sample_weight=w" for step in weighted)])
    fit = f"model.fit({options})" if problem.sample_weight is not None else "model.fit(X, y)"
    return "\n".join([f'"""{said}"""', "", *source.imports, "", f"model = {made}", f"# {fit}", ""])


def _said(config: Linear, problem: Problem) -> str:
    what = f"{type(config.penalty).__name__} with lambda = {number(config.lambda_):.6g}"
    if not config.penalty.path or not number(config.lambda_):
        return "No penalty."
    if problem.classes is None and config.penalty.l1_ratio:
        return f"{what}, which is scikit-learn's alpha."
    factor = "alpha = lambda n" if problem.classes is None else "C = 1 / (lambda n)"
    return f"{what}: {factor} for the n = {_total(problem):g} (rows, or sum of the weights) that it was chosen on."


def _total(problem: Problem) -> float:
    return float(problem.rows if problem.sample_weight is None else problem.sample_weight.sum())


def _scaler(how: str, sparse: bool) -> Any | None:
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    if how == "minmax" and sparse:
        raise InvalidInput("scikit-learn has no minmax scaler of a sparse X; choose scale='standard' or 'none'.")
    return {
        "none": lambda: None,
        "standard": lambda: StandardScaler(with_mean=not sparse),
        "minmax": MinMaxScaler,
        "robust": lambda: RobustScaler(with_centering=not sparse),
    }[how]()


def _model(config: Linear, problem: Problem) -> Any:
    """The estimator whose objective is the config's; see `regsearch.linear.convert`."""
    from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge

    total, ratio = _total(problem), float(config.penalty.l1_ratio)
    lambda_ = number(config.lambda_) if config.penalty.path else 0.0
    if problem.classes is not None:
        C = to_C(lambda_, total) if lambda_ else np.inf
        return LogisticRegression(C=C, l1_ratio=ratio, solver="saga" if ratio else "lbfgs", **TIGHT)
    if not lambda_:
        return LinearRegression()
    if not ratio:
        return Ridge(alpha=to_ridge_alpha(lambda_, total))
    if ratio == 1:
        return Lasso(alpha=to_alpha(lambda_), **TIGHT)
    return ElasticNet(alpha=to_alpha(lambda_), l1_ratio=ratio, **TIGHT)
