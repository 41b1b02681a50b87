"""What rules promise: how much worse than the best choice theirs truly is, on studies whose truth is known.

    python benchmarks/rules.py [WORD ...] [--json]

Of each simulated study, every config is fitted along its path on the study's folds, a rule chooses, and the choice is
fitted to all rows. Its true risk, on 2,000 rows that nothing else sees and without their noise, less that of what the
rule `best` chooses is its excess, in standard errors of the best score. A row is the 95 % quantile of the excess over
200 studies; its note has the median, and by how much more the choice's risk exceeds the least of all points.
"""

from harness import one_thread  # isort: skip

one_thread()

from collections.abc import Callable, Iterator, Mapping  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from typing import Any, cast  # noqa: E402

import numpy as np  # noqa: E402
from harness import Row, main, quick  # noqa: E402
from scipy.special import expit  # noqa: E402

from regsearch import Choice, Linear, Path  # noqa: E402
from regsearch._types import Array  # noqa: E402
from regsearch.data.folds import make_folds  # noqa: E402
from regsearch.data.problem import Problem, make_problem  # noqa: E402
from regsearch.metrics.averaging import Averaging  # noqa: E402
from regsearch.metrics.scorer import resolve  # noqa: E402
from regsearch.models.base import Candidate, Outcome, Setup  # noqa: E402
from regsearch.models.linear.backend import LinearBackend  # noqa: E402
from regsearch.models.linear.penalties import ElasticNet  # noqa: E402
from regsearch.models.linear.solvers import Solvers  # noqa: E402
from regsearch.models.path import Curves, Trajectory  # noqa: E402
from regsearch.results.results import Results  # noqa: E402
from regsearch.space.params import parameter_names  # noqa: E402
from regsearch.storage.trial import Trial  # noqa: E402

STUDIES = 200
TEST = 2000
POINTS = 30  # of each path
RULES = ("best", "one_se", "paired", "pareto")
# the most by which 95 % of the choices are truly worse than the best rule's, in standard errors of the best score
PROMISE = {"one_se": 3.0, "paired": 1.25, "pareto": 1.0}  # paired: most where columns repeat each other


@dataclass(frozen=True)
class Truth:
    """A problem with rows of which the expected target is known.

    Attributes
    ----------
    scoring
        The score whose expectation `risk` is, so that its error is in the same units.
    risk
        From decisions ``[rows, S]`` on the test rows to ``[S]`` expected losses.
    """

    X: Array
    y: Array
    test: Array
    scoring: str
    risk: Callable[[Array], Array]


def sparse(rng: np.random.Generator) -> Truth:
    """Few of many columns matter, and none correlate."""
    X = rng.normal(size=(80 + TEST, 20))
    return _regression(X, X[:, :4] @ np.array([2.0, -1.5, 1.0, 0.5]), 3.0, 80, rng)


def correlated(rng: np.random.Generator) -> Truth:
    """Columns are mixtures of a few factors, of which the target depends on most."""
    factors = rng.normal(size=(60 + TEST, 8))
    X = factors @ rng.normal(size=(8, 30)) + 0.5 * rng.normal(size=(60 + TEST, 30))
    return _regression(X, factors[:, :5].sum(axis=1), 2.0, 60, rng)


def classes(rng: np.random.Generator) -> Truth:
    """Columns repeat each other and separate the classes in training: without a penalty the loss has no bound."""
    Z = rng.normal(size=(60 + TEST, 12))
    X = np.hstack([Z, Z @ rng.normal(size=(12, 12)) / 4])
    eta = Z[:, :6].sum(axis=1)
    p, drawn = expit(eta)[60:, None], (rng.uniform(size=60) < expit(eta[:60])).astype(int)

    def risk(decisions: Array) -> Array:
        return np.asarray((np.logaddexp(0, decisions) - p * decisions).mean(axis=0))

    return Truth(X[:60], drawn, X[60:], "neg_log_loss", risk)


PROBLEMS = {"sparse": sparse, "correlated": correlated, "classes": classes}


def _regression(X: Array, signal: Array, noise: float, rows: int, rng: np.random.Generator) -> Truth:
    y, known = signal[:rows] + noise * rng.normal(size=rows), signal[rows:, None]

    def risk(decisions: Array) -> Array:
        return np.asarray(((decisions - known) ** 2).mean(axis=0) + noise**2)

    return Truth(X[:rows], y, X[rows:], "neg_mean_squared_error", risk)


@dataclass(frozen=True)
class Kept:
    """What results read of a store, in memory."""

    averaging: Averaging
    found: Mapping[int, Trajectory]

    def curves(self, number: int, metric: str) -> Curves:
        return self.found[number].curves[metric]

    def trajectory(self, number: int) -> Trajectory:
        return self.found[number]


def configs() -> list[Linear]:
    """The reference, and paths of penalties."""
    axis = Path(POINTS)
    walked = [Linear("l1", axis), Linear("l2", axis), *(Linear(ElasticNet(share), axis) for share in (0.2, 0.6))]
    return [Linear().reference(), *walked]


def searched(truth: Truth, seed: int) -> tuple[Results, Problem, list[Outcome]]:
    """The results of a study of all configs, without what a study writes."""
    problem = make_problem(truth.X, truth.y)
    setup = Setup(problem, make_folds(5, problem, seed), resolve(truth.scoring, problem))
    roles = ["reference", *[""] * (len(configs()) - 1)]
    candidates = [Candidate(i, config, role) for i, (config, role) in enumerate(zip(configs(), roles, strict=True))]
    outcomes = list(LinearBackend(setup).stream(candidates))
    names = parameter_names(Linear(Choice("l1", "l2", ElasticNet())))
    trials = tuple(Trial.from_outcome(one, {}, names, 0, 0) for one in outcomes)
    store = Kept(setup.averaging, {one.number: one.trajectory for one in outcomes})
    identity = {"study": "simulated", "metric": setup.metrics[0].name, "folds": 5, "reference": Linear.unregularized}
    return Results(cast(Any, store), identity, trials), problem, outcomes


def risks(truth: Truth, problem: Problem, outcome: Outcome) -> Array:
    """``[S]`` true risks of a config at the lambdas of its path, fitted to all rows."""
    solver, config = Solvers.of_all_rows(problem).of(None), cast(Linear, outcome.candidate.config)
    terms = config.penalty.terms(lambda: solver.initial(config.scale))
    pieces = list(solver.path(terms, config.scale, outcome.trajectory.axis))
    coef = np.concatenate([piece.coef[0, :, :, 0] for piece in pieces])
    intercept = np.concatenate([piece.intercept[0, :, 0] for piece in pieces])
    return truth.risk(truth.test @ coef.T + intercept)


def excess(make: Callable[[np.random.Generator], Truth], seed: int) -> dict[str, tuple[float, float]]:
    """By rule, the choice's true risk less that of the best score's, and less the least; in standard errors."""
    truth = make(np.random.default_rng(seed))
    results, problem, outcomes = searched(truth, seed)
    true = {one.number: risks(truth, problem, one) for one in outcomes}
    least = min(float(one.min()) for one in true.values())
    top = results.best
    best, error = float(true[top.number][top.step]), top.point.val_se
    found = {}
    for rule in RULES:
        chosen = results.choose(rule)
        risk = float(true[chosen.number][chosen.step])
        found[rule] = (risk - best) / error, (risk - least) / error
    return found


def simulated(name: str, studies: int = STUDIES) -> dict[str, Array]:
    """By rule, ``[studies, 2]``: see `excess`."""
    found = [excess(PROBLEMS[name], seed) for seed in range(studies)]
    return {rule: np.array([one[rule] for one in found]) for rule in RULES}


def promises(name: str) -> Iterator[Row]:
    """A row for each rule that promises something."""
    for rule, values in simulated(name, 8 if quick() else STUDIES).items():
        over_best, over_least = values.T
        note = (
            f"median {np.median(over_best):+.2f}; over the least of all points: median {np.median(over_least):.2f}, "
            f"95 % {np.quantile(over_least, 0.95):.2f}"
        )
        bar = PROMISE.get(rule, 0.0)
        yield Row(f"{name}: {rule}, excess in standard errors", float(np.quantile(over_best, 0.95)), bar, note)


def sparse_columns() -> Iterator[Row]:
    yield from promises("sparse")


def correlated_columns() -> Iterator[Row]:
    yield from promises("correlated")


def separable_classes() -> Iterator[Row]:
    yield from promises("classes")


if __name__ == "__main__":
    main([sparse_columns, correlated_columns, separable_classes], __doc__)
