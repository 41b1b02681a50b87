"""Linear models and estimators as scikit-learn's own pipelines."""

from __future__ import annotations

import textwrap
from typing import Any

from regsearch.data.features import is_sparse
from regsearch.data.fold_targets import fitted_to
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput
from regsearch.export.code.columns import ESTIMATOR, estimator_of
from regsearch.export.code.preparing import front_of
from regsearch.export.code.sources import NUMPY, WIDTH, CodeWriter
from regsearch.export.code.weighting import unlike
from regsearch.models.estimator import Estimator
from regsearch.models.fitting import seeded
from regsearch.models.linear import Linear
from regsearch.models.linear.refit import total_weight, unfitted
from regsearch.space.tree import number

REACH = {  # by solver: how close the printed code comes, where that is not to rounding
    "liblinear": "liblinear penalizes the intercept too, by a thousandth here: probabilities of scaled columns are "
    "within about 0.001 of the exported model's.",
    "saga": "saga is slow. Without a warning, probabilities of scaled columns are within a few thousandths of the "
    "exported model's. With a ConvergenceWarning they may be off by 0.1, and a larger max_iter brings them closer.",
}


def linear_code(config: Linear, problem: Problem, seed: int) -> str:
    """A linear config as an imputing, scaling and fitting pipeline, its lambda as alpha or C.

    How close its fit comes, and where it may warn, is said in the code; see `regsearch.models.linear.refit.unfitted`.
    """
    from sklearn.pipeline import make_pipeline

    if config.penalty.path and not (config.penalty.plain or config.penalty.by_column):
        raise InvalidInput(
            f"scikit-learn has no {type(config.penalty).__name__}; export a bundle, or choose l1, l2, elastic_net or "
            "an adaptive one."
        )
    if config.loss is not None and config.loss.shipped_ratio is None:
        raise InvalidInput(f"scikit-learn has no {config.loss.kind} loss; export a bundle.")
    if config.penalty_factors or config.unpenalized or config.limits or config.offset or config.penalty.by_column:
        return _columns_code(config, problem)
    if config.loss is not None and config.penalty.l1_ratio != config.loss.shipped_ratio and number(config.lambda_):
        part = "L1" if config.loss.shipped_ratio else "L2"
        raise InvalidInput(
            f"scikit-learn has the {config.loss.kind} loss with an {part} penalty alone, got {config.penalty}; export "
            f"a bundle, or choose penalty={part.lower()!r}."
        )
    if problem.targets > 1 and config.penalty.rowwise and problem.sample_weight is not None:
        raise InvalidInput(f"scikit-learn's {type(config.penalty).__name__} takes no weights of rows; export a bundle.")
    front, seen = front_of(config.prepare, problem), fitted_to(problem)[0]
    scaler = _scaler(config.scale, is_sparse(front.table.X))
    steps = (*front.steps, scaler, _estimator(config, seen, seed))
    pipeline = make_pipeline(*(step for step in steps if step is not None))
    weighted = [step for step in pipeline.named_steps if step in {"standardscaler", pipeline.steps[-1][0]}]
    notes = [REACH.get(getattr(pipeline[-1], "solver", ""), ""), unlike(config, front.table)]
    more = [textwrap.fill(note, WIDTH) for note in notes if note]
    said = "\n\n".join([_said(config, problem), *more])
    return _module(pipeline, problem, weighted, f"{said}\n" if more else said)


def _columns_code(config: Linear, problem: Problem) -> str:
    """A pipeline whose last step is written out; see `regsearch.export.code.columns`."""
    from sklearn.base import BaseEstimator
    from sklearn.pipeline import make_pipeline
    from sklearn.utils.metaestimators import available_if

    front = front_of(config.prepare, problem)
    several = problem.targets > 1 or (config.penalty.by_column and problem.outputs > 2)
    if config.loss is not None or config.class_weight is not None or is_sparse(front.table.X) or several:
        raise InvalidInput(
            "Plain code with penalty_factors, unpenalized, limits, an offset or an adaptive penalty is of one target, "
            "squared error or log-loss, a dense X and no class_weight, and an adaptive one of two classes at most; "
            "export a bundle."
        )
    source = CodeWriter()
    steps = [step for step in (*front.steps, _scaler(config.scale, False)) if step is not None]
    written = [source.of(step) for step in steps] + [estimator_of(config, front.seen, source)]
    weighted = ["standardscaler"] * (config.scale == "standard") + ["penalizedcolumns"]
    made = "make_pipeline(\n" + textwrap.indent(",\n".join(written), "    ") + ",\n)"
    made = _undoing(made, problem, source)
    for used in (BaseEstimator, make_pipeline, available_if):
        source.named(used)
    imports = [line for line in source.imports if line != NUMPY]
    what = (
        f"{type(config.penalty).__name__}, its lambda and the weights of columns multiplied into l1 and l2 of scaled "
        "columns."
    )
    said = textwrap.fill(f"{what} {unlike(config, front.table)}".strip(), WIDTH)
    head = [f'"""{said}"""', "", NUMPY, *imports, source.definitions, "", ESTIMATOR, ""]
    return "\n".join([*head, f"model = {made}", _fit(problem, weighted), ""])


def _undoing(made: str, problem: Problem, source: CodeWriter) -> str:
    """A model as code, of a transformed y inside scikit-learn's that undoes it."""
    if problem.transform is None:
        return made
    from sklearn.compose import TransformedTargetRegressor

    name, inside = source.named(TransformedTargetRegressor), textwrap.indent(f"{made},", "    ")
    transformer = textwrap.indent(f"transformer={source.of(problem.transform.transformer)},", "    ")
    return f"{name}(\n{inside}\n{transformer}\n)"


def estimator_code(config: Estimator, problem: Problem, seed: int) -> str:
    """An estimator with the parameters of a config."""
    model = seeded(config.build(), seed)
    last = [model.steps[-1][0]] if hasattr(model, "steps") else [""]
    return _module(model, problem, last, "The estimator with the parameters that were chosen.")


def _module(model: Any, problem: Problem, weighted: list[str], said: str) -> str:
    source = CodeWriter()
    made = _undoing(source.of(model), problem, source)
    head = [f'"""{said}"""', "", *source.imports, source.definitions]
    return "\n".join([*head, f"model = {made}", _fit(problem, weighted), ""])


def _fit(problem: Problem, weighted: list[str]) -> str:
    """How the model is fitted, as a comment."""
    weights = problem.sample_weight
    seen = "" if weights is None or weights.all() else "[w > 0]"  # a row of weight zero is not there
    given = [f"{step}__sample_weight=w{seen}" if step else f"sample_weight=w{seen}" for step in weighted]
    return f"# model.fit({', '.join([f'X{seen}', f'y{seen}', *([] if weights is None else given)])})"


def _estimator(config: Linear, problem: Problem, seed: int) -> Any:
    from sklearn.base import clone

    fitted = config.loss is not None and config.loss.shipped_as_fitted
    return clone(config.refit(problem, seed)[-1]) if fitted else unfitted(config, problem)


def _said(config: Linear, problem: Problem) -> str:
    what = f"{type(config.penalty).__name__} with lambda = {number(config.lambda_):.6g}"
    if not config.penalty.path or not number(config.lambda_):
        return "No penalty."
    if config.loss is not None:
        return f"{what}, the {config.loss.kind} loss."
    if problem.classes is None and config.penalty.l1_ratio:
        return f"{what}, which is scikit-learn's alpha."
    factor = "alpha = lambda n" if problem.classes is None else "C = 1 / (lambda n)"
    n = total_weight(config, problem)
    return f"{what}: {factor} for the n = {n:g} (rows, or sum of the weights) that it was chosen on."


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
