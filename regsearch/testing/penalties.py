"""The conformance suite of penalties: what holds of every one that is shipped, and must hold of yours.

Notation (shapes: K = 3 folds, n rows, p columns, m outputs; m = 1 but for three classes)

=========  ==========  ==========================================================================
symbol     shape       meaning
=========  ==========  ==========================================================================
w, u       [K, p, m]   coefficients
initial    [K, p, m]   the ridge estimate that adaptive weights come from
eta        [n, m]      decisions
=========  ==========  ==========================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from regsearch._types import Array, Task
from regsearch.errors import InvalidInput
from regsearch.models.base import Candidate, Outcome, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.model import Linear
from regsearch.models.linear.penalty import Penalty, Terms
from regsearch.models.linear.row_norms import RowTerms
from regsearch.space.config import from_toml, to_toml
from regsearch.space.fields import public_name
from regsearch.space.params import flat
from regsearch.space.path import Path
from regsearch.space.sampling import default
from regsearch.space.tree import Choice, Float
from regsearch.testing.by_the_book import mean_loss, proximal_gradient
from regsearch.testing.declared import DECLARE, check_declared
from regsearch.testing.designs import FOLDS, collinear_setup, plain_setup
from regsearch.testing.levels import IN_ORDER, check_levels
from regsearch.testing.penalty_examples import TASKS, configs, examples, numbers, tasks
from regsearch.testing.suite import Suite, require
from regsearch.testing.weights import repeated

CLOSE = 1e-9  # gap of fits whose scores are compared
FAR = 1e12  # that coefficients are multiplied by to be large

SUITE = Suite()


def check_penalty(cls: type[Penalty]) -> None:
    """Check that a penalty is what the solvers, tables and files take it for; it takes a few seconds.

    Parameters
    ----------
    cls
        The class: registered as every subclass of `regsearch.Penalty` is.

    Raises
    ------
    AssertionError
        Naming the property that does not hold, what was found, and what to look at.

    Examples
    --------
    >>> from regsearch import L1
    >>> check_penalty(L1)
    """
    SUITE.run(cls)


# --- what a penalty is -----------------------------------------------------------------------------------------


@SUITE.check(DECLARE)
def is_declared(cls: type[Penalty]) -> None:
    """A penalty is a documented frozen dataclass, every field of which declares its domain, and its kind names it."""
    check_declared(cls)
    require(Linear(penalty=cls.kind).penalty == cls(), f"Linear(penalty={cls.kind!r}) is not a {cls.__name__}().")


@SUITE.check("give each field a default, a value or a leaf, that its domain admits.")
def default_is_admitted(cls: type[Penalty]) -> None:
    """A penalty without arguments is a space whose default is inside its domain."""
    penalty = default(cls())
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        value, domain = getattr(penalty, field.name), field.metadata["domain"]
        require(domain.admit(value, field.name) == value, f"{field.name}={value!r} is not what {domain} keeps.")


@SUITE.check("keep every number in a field, and let l1_ratio say how much of the strength is L1, from 0 to 1.")
def row_and_file_keep_it(cls: type[Penalty]) -> None:
    """A filled penalty survives TOML, and its row shows its kind, its L1 ratio and every field."""
    for penalty in configs(cls):
        config = Linear(penalty, 0.5, "none")
        require(from_toml(to_toml(config)) == config, f"A file of {penalty} is read as another config.")
        require(default(penalty) == penalty, f"{penalty} is filled, and filling it changes it.")
        row = flat(config)
        require(row["penalty"] == cls.kind, f"The row of {penalty} calls it {row['penalty']!r}, not {cls.kind!r}.")
        require(0 <= row["l1_ratio"] <= 1, f"{penalty} has the L1 ratio {row['l1_ratio']}, outside [0, 1].")
        require(penalty.fields().items() <= row.items(), f"The row of {penalty} is {row}, without all of its fields.")


@SUITE.check("leave __post_init__ to the base class, which checks every field against its domain.")
def domain_is_kept(cls: type[Penalty]) -> None:
    """Values and ranges outside a field's domain are refused with the field's name."""
    for name, domain in numbers(cls).items():
        low, high = domain.low, domain.high
        ranges = [Float(low - 1, high), Float(low, high + 1), Choice(low, high + 1)]
        for value in (low - 1, high + 1, *ranges, "some", None, float("nan"), Path()):
            said = _refusal(cls, name, value)
            where = f"{cls.__name__}({public_name(name)}="
            require(where in said, f"{where}{value!r}) was {'refused: ' + said if said else 'not refused'}.")
        require(getattr(cls(**{name: Float(low, high)}), name) == Float(low, high), f"{name} loses its whole range.")


@SUITE.check(IN_ORDER)
def starts_are_in_order(cls: type[Penalty]) -> None:
    """What a penalty says is weak, usual and strong lies in its range, in this order from where it is off."""
    check_levels(cls)


# --- its terms -------------------------------------------------------------------------------------------------


@SUITE.check(
    "check value: l1 and l2, where it is made of them, must not be negative, nor depend on w or lambda; terms that are "
    "not convex say convex = False."
)
def value_is_convex(cls: type[Penalty]) -> None:
    """A penalty is zero at zero, never negative and even; one that is convex is linear in lambda, too."""
    for penalty, terms, shape, random in examples(cls):
        lambda_ = float(10 ** random.uniform(-9, 1))
        w, u = random.normal(size=(2, *shape))
        value = terms.value(w, lambda_)
        require(value.shape == (FOLDS,), f"The value of {penalty} has the shape {value.shape}, not one per fold.")
        require(bool(np.all(terms.value(np.zeros_like(w), lambda_) == 0)), f"{penalty} is not zero at w = 0.")
        require(bool(np.all(value >= 0)), f"{penalty} is negative: {value.min()}.")
        np.testing.assert_allclose(terms.value(-w, lambda_), value, err_msg=f"{penalty} is not even.")
        if not terms.convex:
            continue
        np.testing.assert_allclose(terms.value(w, 2 * lambda_), 2 * value, err_msg=f"{penalty} is not linear.")
        ends = (value + terms.value(u, lambda_)) / 2
        middle = terms.value((w + u) / 2, lambda_)
        require(bool(np.all(middle <= ends * (1 + 1e-9) + 1e-9)), f"{penalty} is larger between two points than there.")


@SUITE.check(
    "let l1_ratio say how much of the strength is L1; of what is neither L1 nor L2 let l2_share say how much is L2."
)
def l2_share_is_how_it_grows(cls: type[Penalty]) -> None:
    """Of large coefficients a penalty is half the sum of their squares, times its L2 share."""
    for penalty, terms, shape, random in examples(cls) if cls.path else ():
        w = random.uniform(0.5, 1.5, size=shape)
        grown = terms.value(FAR * w, 1.0) / FAR / FAR / ((w**2).sum(axis=(-2, -1)) / 2)
        share = float(penalty.l2_share)
        found = f"{penalty} has an L2 share of {share:.3g}, and grows as {grown.max():.3g} of one."
        require(bool(np.all(np.abs(grown - share) <= 1e-3)), found)


@SUITE.check(
    "check prox and value: they must be of one penalty, the prox at step times lambda; of Terms it follows from l1 and "
    "l2, which must broadcast to [K, p, m]."
)
def prox_minimises(cls: type[Penalty]) -> None:
    """The prox minimises ``|u - w|^2 / 2 + value(u, step)``: no nearby, zero or random point is better."""
    for penalty, terms, shape, random in examples(cls):
        longest = 10.0 if terms.convex else 1.0  # one that is not convex need have no minimiser further on
        step = float(random.choice([0.0, *random.uniform(0, longest, 2), longest]))
        w = 3 * random.normal(size=shape)
        best = terms.prox(w, step)
        require(best.shape == w.shape, f"The prox of {penalty} has the shape {best.shape}, not {w.shape}.")
        longer = (best**2).sum(axis=(-2, -1)) > (1 + 1e-9) * (w**2).sum(axis=(-2, -1))
        require(not longer.any(), f"The prox of {penalty} makes coefficients larger.")
        least = _proximal_objective(terms, w, best, step)
        others = [np.zeros_like(w), w, best * 0.99, best * 1.01]
        others += [best + size * random.normal(size=w.shape) for size in (1e-4, 1e-2, 1.0) for _ in range(5)]
        for other in others:
            better = least - _proximal_objective(terms, w, other, step)
            require(bool(np.all(better <= 1e-9 * (1 + np.abs(least)))), f"Another point beats the prox of {penalty}.")


@SUITE.check("set plain = False where columns weigh differently: scikit-learn's estimators cannot stand for it then.")
def plain_is_an_elastic_net(cls: type[Penalty]) -> None:
    """A plain penalty with a path is the elastic net of its L1 ratio, or that of rows, as scikit-learn has it."""
    for penalty, terms, *_ in examples(cls) if cls.plain and cls.path else ():
        ratio = flat(Linear(penalty, 0.5))["l1_ratio"]
        known = isinstance(terms, (Terms, RowTerms))
        require(known, f"The terms of {penalty} are {type(terms).__name__}, and not `Terms` or `RowTerms`.")
        assert isinstance(terms, (Terms, RowTerms))
        np.testing.assert_allclose(terms.l1, np.full_like(terms.l1, ratio), err_msg=f"l1 of {penalty}")
        np.testing.assert_allclose(terms.l2, 1 - ratio, err_msg=f"l2 of {penalty}")


# --- fits with it ----------------------------------------------------------------------------------------------


@SUITE.check(
    "check lambda_max, which follows from distance, or from l1: with an L1 part each column needs a weight, however "
    "small."
)
def path_starts_at_zero(cls: type[Penalty]) -> None:
    """The top of a path zeroes every coefficient of every fold, just below it one is in use; without L1 none is 0."""
    for task in tasks(cls) if cls.path else ():
        backend = _backend(task)
        terms = _terms(default(cls()), backend)
        top = terms.lambda_max(backend.solver.gradient("standard"))
        coef, _ = _solved(backend, terms, np.array([1.000001, 0.99]) * top)
        if not terms.sparse:
            require(bool(np.all(coef != 0)), f"{task}: without an L1 part a coefficient is exactly zero.")
            continue
        require(not np.any(terms.unpenalised), f"{task}: no lambda zeroes a column that l1 gives no weight.")
        require(bool(np.all(coef[:, 0] == 0)), f"{task}: at the largest lambda, {top:g}, not all are zero.")
        require(bool(np.any(coef[:, 1] != 0)), f"{task}: just below the largest lambda, {top:g}, all are still zero.")


@SUITE.check("check that terms gives the same for the same fold: solvers call it once, and read l1 and l2 alone.")
def fits_are_those_of_proximal_gradient(cls: type[Penalty]) -> None:
    """On small problems the solver's decisions are those of proximal gradient descent on the same terms."""
    for task in tasks(cls) if cls.path else TASKS[:1]:  # without a penalty, classes may separate
        backend = _backend(task)
        terms = _terms(default(cls()), backend)
        top = terms.lambda_max(backend.solver.gradient("standard")) if terms.sparse else 1.0
        lambdas = np.array([0.9, 0.2, 0.03]) * top if cls.path else np.zeros(1)
        if not terms.convex:
            continue
        coef, intercept = _solved(backend, terms, lambdas)
        k, problem = 1, backend.setup.problem
        rows = backend.setup.folds.train[k]
        y = np.eye(3)[problem.y] if task == "multiclass" else problem.y[:, None]
        x = problem.X[rows] / backend.design.scales("standard")[k]
        fold = terms.of_fold(k, coef.shape[2:])
        for step, lambda_ in enumerate(lambdas):
            ours = problem.X[rows] @ coef[k, step] + intercept[k, step]
            theirs, _ = proximal_gradient(x, y[rows], fold, float(lambda_), task)
            found = f"{task}, lambda {lambda_:g}"
            np.testing.assert_allclose(_centred(ours, task), _centred(theirs, task), atol=1e-4, err_msg=found)


@SUITE.check("minimise all coefficients together: what one of two copies of a column gets counts for the other.")
def columns_that_are_alike_are_fitted(cls: type[Penalty]) -> None:
    """On columns that repeat, and dummies that add to one, a fit has the objective of proximal gradient descent."""
    for task in tasks(cls) if cls.path else TASKS[:1]:
        backend = _backend(task, setup=collinear_setup)
        terms = _terms(default(cls()), backend)
        if not terms.convex:
            continue
        top = terms.lambda_max(backend.solver.gradient("standard")) if terms.sparse else 1.0
        lambdas = np.array([0.5, 0.05]) * top if cls.path else np.zeros(1)
        coef, intercept = _solved(backend, terms, lambdas)
        k, problem, fold = 1, backend.setup.problem, terms.of_fold(1, coef.shape[2:])
        rows, scales = backend.setup.folds.train[k], backend.design.scales("standard")[k]
        X, y = problem.X[rows], (np.eye(3)[problem.y] if task == "multiclass" else problem.y[:, None])[rows]
        for step, lambda_ in enumerate(map(float, lambdas)):
            w = coef[k, step] * scales[:, None]
            ours = mean_loss(X @ coef[k, step] + intercept[k, step], y, task) + float(fold.value(w, lambda_))
            eta, w = proximal_gradient(X / scales, y, fold, lambda_, task, still=1e-9)
            theirs = mean_loss(eta, y, task) + float(fold.value(w, lambda_))
            found = f"{task}, lambda {lambda_:g}: the objective is {ours:.9g}, and could be {theirs:.9g}."
            require(abs(ours - theirs) <= 1e-6, found)


@SUITE.check("check distance, prox and minimise: they must be of one penalty.")
def fits_are_stationary(cls: type[Penalty]) -> None:
    """No step along the prox of a penalty leads away from a fit, whether it is convex or not."""
    for task in tasks(cls) if cls.path else ():
        backend = _backend(task)
        terms = _terms(default(cls()), backend)
        top = terms.lambda_max(backend.solver.gradient("standard")) if terms.sparse else 1.0
        for piece in backend.solver.path(terms, "standard", np.array([0.7, 0.2, 0.05]) * top):
            require(float(piece.gap.max()) <= 1e-9, f"{task}: a fit ends with a gap of {piece.gap.max():.1e}.")


@SUITE.check("check that terms does not depend on lambda or on what was fitted before.")
def one_lambda_agrees_with_the_path(cls: type[Penalty]) -> None:
    """A trial at one lambda has the scores and predictions that the path's trial has there."""
    penalty = default(cls())
    for task in tasks(cls) if cls.path else ():
        backend = _backend(task, CLOSE)
        whole = _complete(backend, Linear(penalty, Path(20, 0.02)))
        one = _complete(backend, Linear(penalty, whole.value))
        where = one.trajectory.axis.tolist()
        require(one.step == 0 and where == [whole.value], f"{task}: it lies at {where}, not at [{whole.value}].")
        (name,) = whole.trajectory.curves
        for part in ("train", "val"):
            alone, along = (getattr(outcome.trajectory.curves[name], part) for outcome in (one, whole))
            np.testing.assert_allclose(alone[:, 0], along[:, whole.step], rtol=1e-4, err_msg=f"{task}, {part}")
        np.testing.assert_allclose(one.predictions, whole.predictions, atol=2e-3, err_msg=task)  # type: ignore[arg-type]
        found = whole.chosen_config
        require(found == Linear(penalty, whole.value), f"{task}: {found} is not the point of the path.")


@SUITE.check("check l1 and l2: they must not be negative, and one strength must weigh all of the penalty.")
def path_descends(cls: type[Penalty]) -> None:
    """Down a path the training loss falls, of a convex penalty."""
    backend = _backend("regression")
    if not (cls.path and _terms(default(cls()), backend).convex):
        return
    path = _complete(backend, Linear(default(cls()), Path(20))).trajectory
    require(bool(np.all(np.diff(path.axis) < 0)), f"The lambdas do not descend: {path.axis}.")
    (curves,) = path.curves.values()
    require(bool(np.all(np.diff(curves.train, axis=1) >= -1e-7)), "The training score falls on the way down.")
    require(path.complexity.shape == curves.train.shape, f"Complexity has the shape {path.complexity.shape}.")


@SUITE.check("take what terms needs from initial() alone: it counts rows by their weights already.")
def weights_count_rows(cls: type[Penalty]) -> None:
    """Rows that weigh whole numbers have the path of the rows repeated as often, those of weight zero left out."""
    config = Linear(default(cls()), Path(8, 0.05))
    for task in tasks(cls) if cls.path else TASKS[:1]:
        setup = plain_setup(task)
        weight: Array = (np.arange(setup.problem.rows) % 4).astype(float)
        weighted = replace(setup, problem=replace(setup.problem, sample_weight=weight, score_weight=weight))
        outcomes = []
        for of in (weighted, repeated(weighted)[0]):
            backend = LinearBackend(of)
            backend.solver.tol = CLOSE
            outcomes.append(_complete(backend, config))
        ours, theirs = (outcome.trajectory for outcome in outcomes)
        np.testing.assert_allclose(ours.axis, theirs.axis, rtol=1e-8, err_msg=f"{task}: lambdas")
        for part in ("train", "val"):
            found, expected = (getattr(one.deciding, part) for one in (ours, theirs))
            np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=f"{task}, {part}")


# --- what they are checked on ----------------------------------------------------------------------------------


def _backend(task: Task, tol: float = 1e-11, setup: Callable[[Task], Setup] = plain_setup) -> LinearBackend:
    made = LinearBackend(setup(task))
    made.solver.tol = tol
    return made


def _terms(penalty: Penalty, backend: LinearBackend) -> GeneralTerms:
    return backend.solvers.terms(Linear(penalty))


def _solved(backend: LinearBackend, terms: GeneralTerms, lambdas: Array) -> tuple[Array, Array]:
    """Coefficients ``[K, S, p, m]`` and intercepts ``[K, S, m]``."""
    pieces = list(backend.solver.path(terms, "standard", lambdas))
    coef = np.concatenate([piece.coef for piece in pieces], axis=1)
    return coef, np.concatenate([piece.intercept for piece in pieces], axis=1)


def _complete(backend: LinearBackend, config: Linear) -> Outcome:
    outcome = backend.evaluate(Candidate(0, config))
    require(outcome.state == "complete" and not outcome.reason, f"{config} ended {outcome.state}: {outcome.reason}.")
    return outcome


def _refusal(cls: type[Penalty], name: str, value: Any) -> str:
    """What is said of a value that is refused; nothing if it is not."""
    try:
        cls(**{name: value})
    except InvalidInput as error:
        return str(error)
    return ""


def _proximal_objective(terms: GeneralTerms, w: Array, u: Array, step: float) -> Array:
    """``[K]``."""
    return np.asarray(((u - w) ** 2).sum(axis=(-2, -1)) / 2 + step * terms.value(u, 1.0))


def _centred(eta: Array, task: Task) -> Array:
    """Decisions; of several classes their differences count alone."""
    return eta - eta.mean(axis=1, keepdims=True) if task == "multiclass" else eta
