"""What a penalised linear fit means in other words: as a constraint, as a prior, as a number of parameters.

Notation: n rows, W the sum of their weights (n without), p columns, m outputs, w ``[p, m]`` coefficients of the
*scaled* columns, in whose units the penalty acts. The fit minimises

    (1/W) sum_i w_i loss_i + lambda P(w),   P(w) = sum_j (l1_j |w_j| + l2/2 w_j^2)

**Constraint.** It also minimises the loss alone among all w with a P(w) that is not larger than its own (Tibshirani
1996): of the lasso ``|w|_1 <= t``, of ridge ``|w|_2 <= t``.

**Prior.** Times W, the log loss is minus the log-likelihood of the labels, and half the squared error is minus that of
y times the variance s2 of Gaussian noise; half a deviance is minus a log-likelihood times the dispersion s2, 1 of
counts. So the fit is the mode of the posterior under a prior with
``-log p(w) = (W lambda / s2) P(w)``, with s2 = 1 for classes: independent Laplace variables of scale
``s2 / (W lambda l1_j)``, Gaussian ones of standard deviation ``sqrt(s2 / (W lambda l2))``, or the product of both
densities. Only for squared error does s2 have to be estimated: residual sum of squares over what is left of the rows
after the intercept and the degrees of freedom (Reid, Tibshirani & Friedman 2016).

**Degrees of freedom.** See `freedom.py`; without an L1 part the trace of the hat matrix, with each row's own curvature
(see `leverage.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.data.weights import effective_rows
from regsearch.models.linear.design import Piece, Solver
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.lambdas import lambda_grid
from regsearch.models.linear.leverage import hat_trace
from regsearch.models.linear.linear_config import LinearConfig
from regsearch.models.linear.logistic import LogLoss
from regsearch.models.linear.refit import total_weight
from regsearch.models.linear.solvers import FINAL_TOL, Solvers
from regsearch.models.linear.threads import one_thread
from regsearch.models.preparation import seen_by
from regsearch.numeric import format_number
from regsearch.space.path import Path
from regsearch.space.tree import number

FEATURES = 50  # that are listed by name
DRAWN = 20  # whose coefficients are kept along the path
STEPS = 100  # of that path ...
FEWER = 20  # ... and where X is not held, as every step reads it
BELOW = 10.0  # how far below the chosen lambda it goes ...
LARGE = 2e5  # ... unless X has more entries: the rest of a path costs the most, and explains the least


class Freedom(NamedTuple):
    """Effective degrees of freedom, and what they are."""

    value: float
    how: str


@dataclass(frozen=True)
class Fit:
    """A config on all rows, at every lambda of a path.

    Attributes
    ----------
    lambdas
        ``[S]``, descending.
    w
        ``[S, p, m]`` coefficients of the scaled columns.
    freedom
        Effective degrees of freedom of the config, the intercept left out, and what they are.
    deviance
        Mean squared error, of several targets the sum, or mean deviance of a loss with a dispersion; `None` where there
        is nothing to estimate.
    chosen
        The step of the config's own lambda.
    terms
        The penalty.
    names
        What the columns are called.
    offset
        The place of the one whose coefficient is one, `None` where none is.
    """

    lambdas: Array
    w: Array
    freedom: Freedom
    deviance: float | None
    chosen: int
    terms: GeneralTerms
    names: list[str]
    offset: int | None


@one_thread()
def interpret(config: LinearConfig, problem: Problem, folds: Folds) -> dict[str, dict[str, Any]]:
    """What a filled config means on the data.

    Returns
    -------
    dict
        ``interpretation``: sentences (`lines`), `radius` (norms of w), `prior`, `degrees_of_freedom`, and the largest
        `features` with the number of folds whose training rows keep them. ``coefficients``: the largest coefficients
        along a path of lambdas with the config's penalty. Of several classes or targets, a feature's coefficient is the
        root of the sum of its squares.
    """
    fit = fit_all(config, problem)
    own = [j for j in range(len(fit.names)) if j != fit.offset]
    size, names = _feature_sizes(fit.w)[:, own], [fit.names[j] for j in own]
    kept = _folds_with(config, problem, folds, names)
    noise = _noise(fit, _rows(problem))
    implied = prior(config, total_weight(config, problem), noise)
    order = np.argsort(-np.abs(size[fit.chosen]), kind="stable")
    w = fit.w[fit.chosen][own]
    lines = [
        *_constraint_line(config, fit), *_prior_line(config, problem, fit, implied), *_columns_line(config),
        _freedom_line(fit.freedom, w.size),
        _features_line(kept, size[fit.chosen], names, len(folds)),
    ]  # fmt: skip
    interpretation = {
        "lines": lines,
        "radius": {"l1": float(np.abs(w).sum()), "l2": float(np.sqrt((w**2).sum())), "scale": config.scale},
        "prior": implied,
        "degrees_of_freedom": fit.freedom.value,
        "kept": int((size[fit.chosen] != 0).sum()),
        "features": [
            {"name": names[j], "coef": float(size[fit.chosen, j]), "kept_in": int(kept[j])} for j in order[:FEATURES]
        ],
    }
    what = "targets" if problem.targets > 1 else "classes"
    along = _coefficients(config, fit, size, order[:DRAWN], names, what)
    return {"interpretation": interpretation, "coefficients": along}


def fit_all(config: LinearConfig, problem: Problem) -> Fit:
    """A filled config on all rows, along a path of lambdas that its own is one of; a single step without a penalty."""
    problem = seen_by(config.prepare, problem, (np.arange(problem.rows),))
    solvers = Solvers.of_all_rows(problem, config.loss, config.offset)
    design, solver = solvers.design_of(config.class_weight), solvers.of(config.class_weight, config.loss)
    terms = solvers.terms(config)
    own = strength(config)
    lambdas = np.array([own])
    if own > 0:
        shown = config.replace(lambda_=Path(2))  # type: ignore[attr-defined]
        top = lambda_grid(shown, solver, terms, design)[0]
        steps = FEWER if design.by_rows else STEPS
        last = own / BELOW if problem.rows * problem.columns <= LARGE else own
        lambdas = np.union1d(np.geomspace(max(top, own), last, steps - 1), [own])[::-1]
    pieces = list(solver.path(terms, config.scale, lambdas))
    points = [piece.point(step) for piece in pieces for step in range(piece.steps)]
    chosen = int(np.flatnonzero(lambdas == own)[0])
    w = np.concatenate([piece.coef[0] for piece in pieces]) * design.scales(config.scale)[0][:, None]
    return Fit(
        lambdas,
        w,
        _freedom(config, problem, solver, terms, points[chosen]),
        _deviance(config, problem, solver, points[chosen]),
        chosen,
        terms,
        problem.encoded_names,
        None if solvers.offset is None else solvers.offset.place,
    )


def _freedom(config: LinearConfig, problem: Problem, solver: Solver, terms: GeneralTerms, point: Piece) -> Freedom:
    """What a fit to all rows spends."""
    known = float(point.complexity[0, 0])
    ridge = terms.ridge((problem.encoded_features.size, 1))
    if strength(config) and terms.sparse:
        held = ", held back by the L2 part: at most" if ridge.any() else ""
        return Freedom(known, f"{terms.spends}{held}")
    if not strength(config):
        return Freedom(known, "the rank of the columns")
    if solver.matrix_free and terms.certified:
        return Freedom(known, "nearly the trace of the hat matrix: by random vectors, with the rows' mean curvature")
    if (problem.classes is None and config.loss is None) or not terms.certified:
        return Freedom(known, "trace of the hat matrix")
    assert isinstance(solver, LogLoss), "squared error knows its trace"
    exact = hat_trace(solver, point, config.scale, strength(config) * float(ridge[0, 0]))
    if exact is None:
        return Freedom(known, "nearly the trace of the hat matrix: with the mean curvature in place of each row's own")
    return Freedom(exact, "trace of the hat matrix")


def _deviance(config: LinearConfig, problem: Problem, solver: Solver, point: Piece) -> float | None:
    """What the variance of noise, or a dispersion, is estimated from; see `Fit`."""
    if problem.classes is not None or (config.loss is not None and not config.loss.dispersed):
        return None
    return 2 * float(solver.training_losses(point)[0])


def strength(config: LinearConfig) -> float:
    """Lambda, 0 where the penalty has none."""
    return number(config.lambda_) if config.penalty.path else 0.0


def prior(config: LinearConfig, weight: float, noise: float) -> dict[str, Any]:
    """The prior that a penalty stands for; see the module.

    Parameters
    ----------
    weight
        W.
    noise
        s2: 1 for classes and counts.

    Returns
    -------
    dict
        ``family``: ``flat``, ``laplace``, ``gaussian`` or ``laplace_gaussian`` (the product of both densities).
        ``laplace_scale``, ``gaussian_sd``: of the coefficients of scaled columns, `None` where the part is missing; of
        adaptive penalties, the Laplace scale of a column of weight 1. ``noise_variance``: s2.
    """
    share = float(config.penalty.l1_ratio)
    precision = weight * strength(config) / noise if noise > 0 else math.inf
    l1, l2 = precision * share, precision * (1 - share)
    families = {(False, False): "flat", (True, False): "laplace", (False, True): "gaussian"}
    return {
        "family": families.get((l1 > 0, l2 > 0), "laplace_gaussian"),
        "laplace_scale": 1 / l1 if l1 > 0 else None,
        "gaussian_sd": 1 / math.sqrt(l2) if l2 > 0 else None,
        "noise_variance": noise,
    }


def _rows(problem: Problem) -> float:
    """How many rows a problem's stand for."""
    return float(problem.rows) if problem.sample_weight is None else effective_rows(problem.sample_weight)


def _noise(fit: Fit, rows: float) -> float:
    """s2 of the module, of several targets that of all."""
    if fit.deviance is None:
        return 1.0
    targets = int(fit.w.shape[-1])
    left = max(rows - 1 - fit.freedom.value / targets, 1.0)
    return float(fit.deviance / targets * rows / left)


def _folds_with(config: LinearConfig, problem: Problem, folds: Folds, names: list[str]) -> NDArray[np.intp]:
    """In how many folds the config, fitted to the training rows, gives columns a coefficient, by their names."""
    problem = seen_by(config.prepare, problem, folds.train)
    solvers = Solvers(problem, folds.train, folds.val, moments=config.loss is None, tol=FINAL_TOL, offset=config.offset)
    solver = solvers.of(config.class_weight, config.loss)
    *_, last = solver.path(solvers.terms(config), config.scale, np.array([strength(config)]))
    count = np.asarray((last.coef[:, -1] != 0).any(axis=-1).sum(axis=0))
    place = {name: j for j, name in enumerate(problem.encoded_names)}
    return np.array([count[place[name]] if name in place else 0 for name in names], dtype=np.intp)


def _feature_sizes(w: Array) -> Array:
    """``[S, p]`` of coefficients ``[S, p, m]``."""
    return w[..., 0] if w.shape[-1] == 1 else np.asarray(np.sqrt((w**2).sum(axis=-1)))


def _coefficients(
    config: LinearConfig, fit: Fit, size: Array, order: NDArray[np.intp], names: list[str], what: str
) -> dict[str, Any]:
    units = "" if config.scale == "none" else f" of columns scaled by {config.scale!r}"
    if not strength(config):
        note = "The winner has no penalty, so there is no path."
        return {"axis": "lambda", "values": [], "names": [], "coef": [], "chosen": None, "note": note}
    several = f", over all {what}" if fit.w.shape[-1] > 1 else ""
    left = f" (the largest {len(order)} of {size.shape[1]})" if len(order) < size.shape[1] else ""
    return {
        "axis": "lambda", "values": fit.lambdas.tolist(), "names": [names[j] for j in order],
        "coef": size[:, order].T.tolist(), "chosen": strength(config),
        "note": f"Coefficients{units}{several}, penalty {config.penalty.kind}, fitted to all rows{left}.",
    }  # fmt: skip


# --- sentences -------------------------------------------------------------------------------------------------


def _constraint_line(config: LinearConfig, fit: Fit) -> list[str]:
    if not strength(config):
        return ["No penalty holds the coefficients: there is no radius and no prior."]
    if not fit.terms.elastic:
        value = float(np.ravel(fit.terms.value(fit.w[fit.chosen], strength(config)))[0])
        only = "" if fit.terms.convex else ", as far as a search from the convex start can tell"
        return [
            "The same fit minimises the loss alone among all whose penalty is not above its own, "
            f"{format_number(value)}{only}."
        ]
    w, share = fit.w[fit.chosen], float(config.penalty.l1_ratio)
    value = float(np.ravel(fit.terms.value(w[None], 1.0))[0])
    absolute = "|w|_1" if config.penalty.plain else "sum_j v_j |w_j|, v the adaptive weights,"
    if share in (0.0, 1.0):
        held = f"{absolute} <= {format_number(value)}" if share else f"|w|_2 <= {format_number(math.sqrt(2 * value))}"
    else:
        held = f"{share:.3g} {absolute} + {(1 - share) / 2:.3g} |w|_2^2 <= {format_number(value)}"
    units = "the columns as they are" if config.scale == "none" else f"columns scaled by {config.scale!r}"
    return [f"The same fit minimises the loss alone subject to {held}, w being the coefficients of {units}."]


def _prior_line(config: LinearConfig, problem: Problem, fit: Fit, implied: Mapping[str, Any]) -> list[str]:
    known = fit.terms.elastic and (config.loss is None or config.loss.likelihood)
    if implied["family"] == "flat" or not known:
        return []
    scale, sd = implied["laplace_scale"], implied["gaussian_sd"]
    parts = [f"Laplace with scale {format_number(scale, 3)}"] if scale is not None else []
    parts += [f"Gaussian with standard deviation {format_number(sd, 3)}"] if sd is not None else []
    adaptive = "" if config.penalty.plain else " (the scale is divided by each column's adaptive weight)"
    given = f"the {'log' if config.loss is None else config.loss.kind} loss is a likelihood as it is"
    if config.loss is not None and config.loss.dispersed:
        given = f"the dispersion is estimated as {format_number(implied['noise_variance'], 3)}"
    elif problem.classes is None and config.loss is None:
        alike = " in every target" if problem.targets > 1 else ""
        given = f"the noise has an estimated variance of {format_number(implied['noise_variance'], 3)}{alike}"
    each = " times ".join(parts) + adaptive
    return [f"It is the most probable w if, before any data, each coefficient is {each}: {given}."]


def _columns_line(config: LinearConfig) -> list[str]:
    """What factors, limits and an offset change of the sentences before."""
    lines = []
    if config.penalty_factors or config.unpenalized:
        lines.append(
            "There, |w_j| and w_j^2 count times the column's penalty factor, the prior of a column is by as much "
            "narrower, and that of an unpenalised one is flat."
        )
    if config.offset is not None:
        lines.append(f"Of {config.offset!r}, the offset, the coefficient is one.")
    if config.limits:
        lines.append("Coefficients have no probability beyond their limits.")
    return lines


def _freedom_line(freedom: Freedom, count: int) -> str:
    value, how = freedom
    return f"It spends {format_number(value)} effective degrees of freedom ({how}); there are {count} coefficients."


def _features_line(kept: NDArray[np.intp], coef: Array, names: list[str], folds: int) -> str:
    here = np.flatnonzero(coef)
    if len(here) == len(coef):
        largest = ", ".join(names[j] for j in np.argsort(-np.abs(coef), kind="stable")[:3])
        return f"Every column has a coefficient; the largest: {largest}."
    sure = int((kept[here] == folds).sum())
    text = f"{len(here)} of {len(coef)} columns have a coefficient, {sure} of them in every one of {folds} folds."
    unsure = [j for j in here[np.argsort(kept[here], kind="stable")] if kept[j] < folds][:3]
    if unsure:
        text += " Least stable: " + ", ".join(f"{names[j]} ({kept[j]} of {folds})" for j in unsure) + "."
    return text
