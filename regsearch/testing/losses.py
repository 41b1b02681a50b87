"""The conformance suite of losses: what holds of every one that is shipped, and must hold of yours.

Notation (shapes: K = 3 folds, n rows, p columns)

=========  ===========  ==========================================================================
symbol     shape        meaning
=========  ===========  ==========================================================================
eta        [1, S, n]    decisions on the training rows of a fold
residual   [1, S, n]    minus the derivatives of the loss by them
coef       [K, S, p]    coefficients of the caller's columns
=========  ===========  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from regsearch._types import Array, Rows
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.errors import InvalidInput
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.design import Design, Piece
from regsearch.models.linear.glm import Glm
from regsearch.models.linear.loss import Loss
from regsearch.models.linear.model import Linear
from regsearch.models.linear.penalties import L1, L2, ElasticNet, NoPenalty
from regsearch.models.linear.penalty import Terms
from regsearch.models.linear.row_loss import RowSample
from regsearch.models.linear.sample import Sample
from regsearch.space.config import from_toml, to_toml
from regsearch.space.params import flat
from regsearch.space.path import Path
from regsearch.space.sampling import default
from regsearch.testing.declared import DECLARE, check_declared
from regsearch.testing.levels import IN_ORDER, check_levels
from regsearch.testing.suite import Suite, require

FOLDS = 3
NUDGE = 1e-5  # of a decision, for differences
EXACT = 1e-10  # gap of the fits that others are compared with
SCALE = "standard"

SUITE = Suite()


def check_loss(cls: type[Loss]) -> None:
    """Check that a loss is what the solver, scores and files take it for; it takes a few seconds.

    Parameters
    ----------
    cls
        The class: registered as every subclass of `regsearch.Loss` is.

    Raises
    ------
    AssertionError
        Naming the property that does not hold, what was found, and what to look at.

    Examples
    --------
    >>> from regsearch import Poisson
    >>> check_loss(Poisson)
    """
    SUITE.run(cls)


# --- what a loss is --------------------------------------------------------------------------------------------


@SUITE.check(DECLARE)
def is_declared(cls: type[Loss]) -> None:
    """A loss is a documented frozen dataclass, every field of which declares its domain, and its kind names it."""
    check_declared(cls)
    require(Linear(loss=cls.kind).loss == cls(), f"Linear(loss={cls.kind!r}) has not the loss {cls.__name__}().")


@SUITE.check("keep every number in a field.")
def row_and_file_keep_it(cls: type[Loss]) -> None:
    """A filled loss survives TOML, its row shows its kind and fields, and the loss of the task shows in no row."""
    loss = default(cls())
    config = Linear("l1", 0.5, loss=loss)
    require(from_toml(to_toml(config)) == config, f"A file of {loss} is read as another config.")
    row = flat(config)
    require(row["loss"] == cls.kind, f"The row of {loss} calls it {row['loss']!r}, not {cls.kind!r}.")
    require(loss.fields().items() <= row.items(), f"The row of {loss} is {row}, without all of its fields.")
    require("loss" not in flat(Linear("l1", 0.5)), "A config with the loss of its task shows it.")


@SUITE.check(IN_ORDER)
def starts_are_in_order(cls: type[Loss]) -> None:
    """What a loss says is weak, usual and strong lies in its range, in this order from where it is off."""
    check_levels(cls)


@SUITE.check("have `scoring` name a score that is finite for predictions of the loss.")
def is_scored(cls: type[Loss]) -> None:
    """The score that a loss names is one, and decides where nobody names another."""
    problem = _problem(cls)
    space = Linear("l1", loss=cls())
    (metric,) = resolve(space.scoring(problem), problem)
    require(metric.name == default(cls()).scoring, f"The space is scored by {metric.name}.")


# --- its formulas ----------------------------------------------------------------------------------------------


@SUITE.check("check the derivative: residuals are minus that of the loss by each decision, times the row's weight.")
def residuals_are_derivatives(cls: type[Loss]) -> None:
    """The weighted residual of every row is minus the derivative of the loss by its decision."""
    for sample, eta in _samples(cls):
        residual = sample.residual(sample.at(eta)[0])[0, 0]
        found = np.array([_difference(sample, eta, row, NUDGE) for row in range(len(residual))])
        unit = np.abs(residual).max()
        np.testing.assert_allclose(residual / unit, -found / unit, atol=2e-5, err_msg=str(cls()))


@SUITE.check("check the signs: the loss must be convex in the decisions, and its curvature not negative.")
def is_convex(cls: type[Loss]) -> None:
    """A loss is convex along any segment, never negative, and the curvature of every row is not negative."""
    samples = list(_samples(cls))
    for (sample, eta), (_, other) in zip(samples, samples[1:] + samples[:1], strict=True):
        _, (low, high, middle) = sample.at(np.concatenate([eta, other, (eta + other) / 2], axis=1))
        require(middle <= (low + high) / 2 * (1 + 1e-9) + 1e-12, f"{middle} is above {low} and {high}.")
        require(low >= 0, f"The loss is {low}.")
        own, _ = sample.hessian(eta[:, 0], sample.at(eta)[0][:, 0])
        require(bool(np.all(own >= 0)), f"A curvature is {own.min()}.")


@SUITE.check("check `shift`, or leave it out: intercepts must be at their best.")
def intercepts_are_at_their_best(cls: type[Loss]) -> None:
    """Where intercepts have been moved, weighted residuals sum to zero, as at the model without columns.

    A loss without derivatives has no residuals but those of its dual.
    """
    for sample, eta in _samples(cls):
        moved = sample.residual(sample.at(eta + sample.shift(eta)[..., None])[0])
        for residual in (moved, sample.null_residual) if cls.smooth else (sample.null_residual,):
            off = float(abs(residual.sum()) / np.abs(residual).sum())
            require(off <= 1e-10, f"Residuals sum to {off:.2g} of their size.")


@SUITE.check("check `settled` and `bent`, or leave them out: they are quicker ways to what `shift` and others tell.")
def quicker_ways_lead_there_as_well(cls: type[Loss]) -> None:
    """What is told of moved decisions at once, and of curvatures by residuals, is what each formula alone tells."""
    for sample, eta in _samples(cls):
        shift, moved, fitted, loss = sample.settled(eta)
        alone, loss_alone = sample.at(eta + sample.shift(eta)[..., None])
        pairs = [(shift, sample.shift(eta)), (moved, eta + shift[..., None]), (fitted, alone), (loss, loss_alone)]
        if isinstance(sample, RowSample):
            formulas, y = sample.loss, sample.target
            pairs.append((formulas.bent(moved[0], y, fitted[0]), formulas.curvature(moved[0], y)))
        for found, expected in pairs:
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


# --- fits with it ----------------------------------------------------------------------------------------------


@SUITE.check("check `dual`: minus the conjugate of the loss, at any residual between 0 and the row's own.")
def gaps_bound_suboptimality(cls: type[Loss]) -> None:
    """Wherever a solver stops, its objective is no further above the minimum than its gap says, nor below it."""
    for terms in _penalties():
        exact, lambdas = _solver(cls, EXACT), _lambdas(cls, terms)
        least = _objective(exact, terms, lambdas, _solved(exact, terms, lambdas))
        for steps in (0, 1, 3):
            early = _solver(cls, EXACT, max_steps=steps)
            piece = _solved(early, terms, lambdas)
            above = (_objective(early, terms, lambdas, piece) - least) / early.null[:, None]
            known = np.isfinite(piece.gap)
            require(bool(known.all()), f"{terms}: a gap is not finite.")
            require(bool((above >= -1e-8).all()), f"{terms}: {steps} steps end {above.min():.2g} below the minimum.")

            worst = (above - piece.gap).max()
            require(bool(worst <= 1e-8), f"{terms}: {steps} steps are {worst:.2g} further off than their gap says.")


@SUITE.check("check the residuals at the model without columns, from which the largest lambda follows.")
def path_starts_at_zero(cls: type[Loss]) -> None:
    """The largest lambda zeroes every coefficient of every fold, and just below it one is in use."""
    solver = _solver(cls, EXACT)
    for penalty in (L1(), ElasticNet(0.5)):
        terms = penalty.terms(lambda: np.zeros(1))
        top = terms.lambda_max(solver.gradient(SCALE))
        coef = _solved(solver, terms, np.array([1.000001, 0.98]) * top).coef
        require(bool(np.all(coef[:, 0] == 0)), f"{penalty}: at the largest lambda, {top:g}, not all are zero.")
        require(bool(np.any(coef[:, 1] != 0)), f"{penalty}: just below the largest lambda, {top:g}, all are zero.")


@SUITE.check("check the residuals and the curvature: solvers must reach their tolerance.")
def fits_are_minima(cls: type[Loss]) -> None:
    """No fit has a gap above the tolerance, and none is beaten by scipy's minimiser of the same objective."""
    from scipy.optimize import minimize

    solver = _solver(cls, EXACT)
    for penalty, lambda_ in ((L2(), 0.1), (L2(), 1e-3), (NoPenalty(), 0.0)):
        terms = penalty.terms(lambda: np.zeros(1))
        piece = _solved(solver, terms, np.array([lambda_]))
        require(float(piece.gap.max()) <= 1.5 * EXACT, f"{penalty}: a gap of {piece.gap.max():.2g} is left.")
        found, gap = _objective(solver, terms, np.array([lambda_]), piece)[1, 0], piece.gap

        def objective(theta: Array, terms: Terms = terms, lambda_: float = lambda_, gap: Array = gap) -> float:
            coef, intercept = (np.repeat(part[None, None], FOLDS, 0) for part in (theta[:-1, None], theta[-1:]))
            one = Piece.of(coef, intercept, gap, gap)
            return float(_objective(solver, terms, np.array([lambda_]), one)[1, 0])

        start = np.append(piece.coef[1, 0, :, 0] * 0.9, piece.intercept[1, 0])
        rival = minimize(objective, start, method="BFGS", options={"gtol": 1e-9}).fun
        require(found <= rival + 1e-7 * solver.null[1], f"{penalty}: scipy finds {rival}, the solver {found}.")


@SUITE.check("check that the loss of a row is multiplied by its weight, and nothing depends on the number of rows.")
def weights_are_rows(cls: type[Loss]) -> None:
    """A row of weight zero is not there, and one of weight two counts as two rows do."""
    problem = _problem(cls)
    n = problem.rows
    weights = np.random.default_rng(0).integers(0, 3, n).astype(float)
    again = np.repeat(np.arange(n), weights.astype(int))
    for terms, lambda_ in ((L1().terms(lambda: NONE), 0.05), (L2().terms(lambda: NONE), 0.05)):
        fits = []
        for rows, weight in ((np.arange(n), weights), (again, np.ones(len(again)))):
            design = _design(problem, rows, weight)
            solver = Glm(design, problem.y[rows, None], default(cls()), EXACT)
            strength = lambda_ * float(np.abs(solver.gradient(SCALE)).max())
            (piece,) = solver.path(terms, SCALE, np.array([strength]))
            fits.append(np.append(piece.coef[0, 0, :, 0], piece.intercept[0, 0]))
        once, twice = fits
        np.testing.assert_allclose(once, twice, atol=1e-4 * np.abs(once).max(), err_msg=f"{cls.__name__} with {terms}")


@SUITE.check("check that nothing is kept between fits but what follows from the target and the weights.")
def a_trial_is_complete(cls: type[Loss]) -> None:
    """A trial of every penalty is complete, converged and scored, and one lambda of its path is scored as there."""
    space = Linear("l1", Path(8), loss=default(cls()))
    problem = _problem(cls)
    metrics = resolve(space.scoring(problem), problem)
    setup = Setup(problem, make_folds(FOLDS, problem, 0), metrics)
    space.check(setup)
    backend = space.backend(setup)
    for number, penalty in enumerate((L1(), L2(), ElasticNet(0.5), NoPenalty())):
        config = space.replace(penalty=penalty)
        (outcome,) = backend.stream([Candidate(number, config)])
        require(outcome.state == "complete", f"{config} ended {outcome.state}: {outcome.reason}.")
        require(not outcome.reason, f"{config}: {outcome.reason}.")
        (there,) = backend.stream([Candidate(number, outcome.chosen_config)])
        np.testing.assert_allclose(there.point.val, outcome.point.val, rtol=1e-3, atol=1e-6, err_msg=str(config))


@SUITE.check("check `estimator` and `fill`: scikit-learn's estimator must predict what the config does.")
def refit_predicts_what_is_scored(cls: type[Loss]) -> None:
    """The refitted pipeline predicts what the solver's decisions say, and where scikit-learn has it fits the same."""
    from sklearn.base import clone

    problem, loss = _problem(cls), default(cls())
    config = Linear("l1" if cls.shipped_ratio else "l2", 0.02, loss=loss)
    model = config.refit(problem, 0)
    everything = np.arange(problem.rows)
    solver = Glm(_design(problem, everything, np.ones(problem.rows)), problem.y[:, None], loss)
    (piece,) = solver.path(config.penalty.terms(lambda: NONE), SCALE, np.array([0.02]))
    own = solver.predicted(problem.X @ piece.coef[0, 0, :, 0] + piece.intercept[0, 0])
    np.testing.assert_allclose(model.predict(problem.X), own, rtol=1e-2, atol=1e-3, err_msg=str(loss))
    if cls.shipped_ratio is None:
        return
    again = clone(model).fit(problem.X, problem.y)
    unit = float(np.abs(own - own.mean()).max())
    np.testing.assert_allclose(again.predict(problem.X) / unit, own / unit, atol=2e-2, err_msg=str(loss))


# --- examples --------------------------------------------------------------------------------------------------

NONE = np.zeros(1)


class _At(NamedTuple):
    sample: Sample
    eta: Array


@cache
def _problem(cls: type[Loss], n: int = 60, p: int = 5) -> Problem:
    """Rows whose target is the first of real numbers, counts and positive numbers that the loss is defined for.

    Of survival, times to events.
    """
    random = np.random.default_rng(0)
    X = random.normal(size=(n, p)) * random.uniform(0.5, 2, p) + random.normal(size=(n, 1)) / 2
    signal = X @ np.where(np.arange(p) % 2, 0.0, 0.5)
    mean = np.exp(signal / 2 + 1)
    if cls.task == "survival":
        time = np.ceil(4 * random.exponential(size=n) * np.exp(-signal))  # some at one time
        return make_problem(X, (random.uniform(size=n) < 0.7, time), task=cls.task)
    for y in (signal + random.normal(size=n), random.poisson(mean).astype(float), random.gamma(2, mean / 2)):
        try:
            default(cls()).check_target(y)
        except InvalidInput:
            continue
        return make_problem(X, y, task=cls.task)
    raise AssertionError("It is defined neither for real numbers nor for counts nor for positive numbers.")


def _design(problem: Problem, rows: Rows, weights: Array) -> Design:
    """All of some rows, in one fold."""
    everything = np.arange(len(rows))
    return Design(np.asfortranarray(problem.X[rows]), (everything,), (everything[:0],), weights)


def _solver(cls: type[Loss], tol: float, max_steps: int = 200) -> Glm:
    problem = _problem(cls)
    folds = make_folds(FOLDS, problem, 0)
    weights = np.random.default_rng(1).uniform(0.5, 2, problem.rows)
    design = Design(np.asfortranarray(problem.X), folds.train, folds.val, weights)
    return Glm(design, problem.y[:, None], default(cls()), tol, max_steps)


def _samples(cls: type[Loss]) -> Iterator[_At]:
    """The loss on the training rows of folds, and decisions near that of the model without columns."""
    random = np.random.default_rng(0)
    for sample in _solver(cls, EXACT).samples:
        n = sample.y.shape[2]
        spread = _solver(cls, EXACT).spread
        yield _At(sample, sample.null_intercept[:, None, None] + 0.7 * spread * random.normal(size=(1, 1, n)))


def _difference(sample: Sample, eta: Array, row: int, size: float) -> float:
    """The derivative of the loss by the decision for a row."""
    both = np.repeat(eta, 2, axis=1)
    both[0, 0, row] += size
    both[0, 1, row] -= size
    above, below = sample.at(both)[1]
    return float((above - below) / (2 * size))


def _penalties() -> list[Terms]:
    return [penalty.terms(lambda: NONE) for penalty in (L1(), ElasticNet(0.5), L2())]


def _lambdas(cls: type[Loss], terms: Terms) -> Array:
    top = L1().terms(lambda: NONE).lambda_max(_solver(cls, EXACT).gradient(SCALE))
    return np.asarray(top * np.array([0.7, 0.1, 0.01]))


def _solved(solver: Glm, terms: Terms, lambdas: Array) -> Piece:
    pieces = list(solver.path(terms, SCALE, lambdas))
    names = ("coef", "intercept", "gap", "complexity")
    coef, intercept, gap, spent = (np.concatenate([getattr(one, name) for one in pieces], axis=1) for name in names)
    return Piece.of(coef, intercept, gap, spent)


def _objective(solver: Glm, terms: Terms, lambdas: Array, piece: Piece) -> Array:
    """``[K, S]`` penalised losses of the training rows, read row by row."""
    w = piece.coef * solver.design.scales(SCALE)[:, None, :, None]
    losses = np.stack([solver.training_losses(piece.point(step)) for step in range(piece.coef.shape[1])], axis=1)
    values = [terms.value(w[:, step], float(lambda_)) for step, lambda_ in enumerate(lambdas)]
    return np.asarray(losses + np.stack(values, axis=1))
