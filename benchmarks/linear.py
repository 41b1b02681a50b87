"""Linear search against python-glmnet and OptunaSearchCV: same data, folds, lambdas and thread count, in turn.

    python benchmarks/linear.py [WORD ...] [--json]

Folds count alike on both sides, as in python-glmnet; R's glmnet weighs them by size: `fold_weights="size"` here.

Convergence: python-glmnet at its default tolerance; ours to a relative duality gap of 1e-6. Each path row's note gives
the worst relative suboptimality of both along the path of the full data, against a solution at a gap of 1e-10.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy loads
from __future__ import annotations

from harness import Row, all_in_turn, cpu_seconds, in_turn, main, one_thread, paired, seconds

one_thread()

import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold, StratifiedKFold

from regsearch import (
    L0,
    MCP,
    SCAD,
    SLOPE,
    ElasticNet,
    FusedLasso,
    GroupLasso,
    Linear,
    RelaxedLasso,
    SparseGroupLasso,
    Study,
    spaces,
)
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.lambdas import lambda_grid
from regsearch.models.linear.solvers import Solvers, make_solver

SEED = 0
RATIOS = (0.5, 0.35, 0.65, 0.45, 0.55, 0.4, 0.6)  # an L1 ratio of its own for every round: nothing can be reused


def regression(n: int, p: int, informative: int, noise: float) -> tuple[Any, Any]:
    """Correlated columns, a sparse truth, y with unit spread: python-glmnet standardises y, which moves its L2 part."""
    rng = np.random.default_rng(SEED)
    shared = rng.normal(size=(n, 1))
    X = 0.3 * shared + rng.normal(size=(n, p))
    signal = X[:, :informative] @ rng.normal(size=informative)
    y = signal + noise * signal.std() * rng.normal(size=n)
    return X, (y - y.mean()) / y.std()


def classification(n: int, p: int, informative: int) -> tuple[Any, Any]:
    X, signal = regression(n, p, informative, 0.5)
    return X, (signal > 0).astype(int)


def setup_of(X: Any, y: Any, cv: Any) -> Setup:
    problem = make_problem(X, y)
    return Setup(problem, make_folds(cv, problem, SEED), resolve(None, problem))


def path_rows(name: str, X: Any, y: Any, bar: float, rounds: int = 5, first_bar: float | None = None) -> Iterator[Row]:
    """A path trial after the first, and the first one too, against python-glmnet's cross-validation."""
    import glmnet

    binary = y.dtype.kind == "i"
    splitter = (StratifiedKFold if binary else KFold)(5, shuffle=True, random_state=SEED)
    setup = setup_of(X, y, splitter)
    warm_up = setup_of(X[:60, :5], y[:60], splitter)  # compiles what is compiled, whichever way the solver goes
    LinearBackend(warm_up).evaluate(Candidate(0, Linear(ElasticNet(0.5))))
    once = LinearBackend(setup)
    once.evaluate(Candidate(0, Linear(ElasticNet(0.3))))
    grids = [full_grid(once, ratio) for ratio in RATIOS[:rounds]]

    def theirs(k: int) -> Any:
        kind = glmnet.LogitNet if binary else glmnet.ElasticNet
        scoring = "log_loss" if binary else "mean_squared_error"
        model = kind(alpha=RATIOS[k], lambda_path=grids[k], n_splits=5, n_jobs=1, scoring=scoring, random_state=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(X, y)

    def ours(k: int, backend: LinearBackend | None = None) -> Any:
        return (backend or LinearBackend(setup)).evaluate(Candidate(0, Linear(ElasticNet(RATIOS[k]))))

    accuracy = suboptimality(setup, theirs(0), grids[0], RATIOS[0])
    ratio, mine, other = in_turn(partial(ours, backend=once), theirs, rounds)
    yield Row(f"{name}: path trial after the first", ratio, bar, f"{mine:.3g} s / {other:.3g} s; {accuracy}")
    if first_bar is not None:
        ratio, mine, other = in_turn(ours, theirs, 3)
        yield Row(f"{name}: first path trial", ratio, first_bar, f"{mine:.3g} s / {other:.3g} s")


def full_grid(backend: LinearBackend, l1_ratio: float) -> Any:
    """The lambdas of a trial, those included that its early stop leaves out."""
    config = Linear(ElasticNet(l1_ratio))
    return lambda_grid(config, backend.solver, config.penalty.terms(lambda: np.zeros(1)), backend.design)


def suboptimality(setup: Setup, fitted: Any, lambdas: Any, l1_ratio: float) -> str:
    """Worst relative suboptimality of both sides along the path on all rows, as a note."""
    problem = setup.problem
    points = np.linspace(0, len(lambdas) - 1, 12).astype(int)[:9]  # the far end, where the search stops, left out
    terms = ElasticNet(l1_ratio).terms(lambda: np.zeros(1))
    design = Solvers.of_all_rows(problem).design
    exact, usual = make_solver(problem, design), make_solver(problem, design)
    exact.tol = 1e-10
    scales = design.scales("standard")[0]

    def objective(coef: Any, intercept: Any, lambda_: float) -> float:
        eta = problem.X @ coef + intercept
        loss = 0.5 * np.mean((problem.y - eta) ** 2)
        if problem.classes is not None:
            loss = np.mean(np.logaddexp(0, eta) - problem.y * eta)
        return float(loss + terms.value((coef * scales)[:, None], lambda_))

    def along(solver: Any) -> list[float]:
        pieces = list(solver.path(terms, "standard", lambdas[: points[-1] + 1]))
        coef = np.concatenate([piece.coef[0, :, :, 0] for piece in pieces])
        intercept = np.concatenate([piece.intercept[0, :, 0] for piece in pieces])
        return [objective(coef[s], intercept[s], lambdas[s]) for s in points]

    path = np.atleast_2d(fitted.coef_path_.squeeze())
    path = path if path.shape[0] == problem.columns else path.T
    glm = [objective(path[:, s], np.ravel(fitted.intercept_path_)[s], lambdas[s]) for s in points if s < path.shape[1]]
    best = along(exact)
    worst = [max((a - b) / abs(b) for a, b in zip(side, best, strict=False)) for side in (along(usual), glm)]
    return f"suboptimality {worst[0]:.1e} / {worst[1]:.1e}"


def penalties() -> Iterator[Row]:
    """A path trial of each penalty of general form against one of L1, and of group lasso against glmnet."""
    X, y = load_diabetes(return_X_y=True)
    tables = {"442x10": (X, (y - y.mean()) / y.std()), "300x50": regression(300, 50, 5, 1.0)}
    tables |= {"1000x200": regression(1000, 200, 20, 1.0), "100x600": regression(100, 600, 60, 1.0)}
    for name, (X, y) in tables.items():
        for penalty in general_penalties(X.shape[1]):
            yield against_l1(name, setup_of(X, y, 5), penalty, rounds=3)
    X, y = regression(2000, 500, 50, 1.0)
    yield group_row(X, y, rounds=3)


def general_penalties(p: int) -> list[Any]:
    groups = {f"group {j}": [f"x{i}" for i in range(j, min(j + 5, p))] for j in range(0, p, 5)}
    return [
        GroupLasso(groups), SparseGroupLasso(0.5, groups), SLOPE(0.1), MCP(3.0), SCAD(3.7), FusedLasso(0.5), L0(0.0),
        RelaxedLasso(0.5),
    ]  # fmt: skip


def against_l1(name: str, setup: Setup, penalty: Any, rounds: int) -> Row:
    """Processor time of path trials in turn, after one of each; a relaxed one has a backend of its own every time."""
    kept = LinearBackend(setup)

    def trial(config: Any) -> Any:
        shares = penalty.kind.startswith("relaxed")
        return (LinearBackend(setup) if shares else kept).evaluate(Candidate(0, Linear(config)))

    def ours(k: int) -> Any:
        return trial(penalty)

    def lasso(k: int) -> Any:
        return trial("l1")

    ours(0), lasso(0)
    mine, other = all_in_turn((ours, lasso), rounds, cpu_seconds)
    note = f"{min(mine):.3g} s / {min(other):.3g} s; {excess_along(setup, penalty)}"
    return Row(f"{name}: {penalty.kind} path against l1's", paired(mine, other), 5.0, note)


def excess_along(setup: Setup, penalty: Any) -> str:
    """Worst relative excess of the objective along a path on all rows, over that at a tolerance of 1e-10, as a note."""
    usual = Solvers(setup.problem, (np.arange(setup.problem.rows),), (np.arange(0),))
    exact = Solvers(setup.problem, (np.arange(setup.problem.rows),), (np.arange(0),), tol=1e-10)
    config = Linear(penalty)
    lambdas = lambda_grid(config, usual.of(None), usual.terms(config), usual.design)[::8][:6]
    scales = usual.design.scales("standard")[0]

    def along(solvers: Solvers) -> Any:
        whole = solvers.terms(config)
        terms = whole.of_fold(0, (len(scales), 1))
        pieces = list(solvers.of(None).path(whole, "standard", lambdas))
        coef = np.concatenate([piece.coef[0, :, :, 0] for piece in pieces])
        left = setup.problem.y - coef @ setup.problem.X.T - np.concatenate([piece.intercept[0] for piece in pieces])
        points = zip(0.5 * np.mean(left**2, axis=1), coef * scales, lambdas, strict=True)
        return np.array([loss + float(terms.value(w[:, None], at)) for loss, w, at in points])

    if penalty.kind.startswith("relaxed"):
        return "minimises no objective"
    mine, best = along(usual), along(exact)
    return f"suboptimality {float(((mine - best) / best).max()):.1e}"


def group_row(X: Any, y: Any, rounds: int) -> Row:
    """A path of group lasso, of five columns each, against python-glmnet's of the lasso, which is less work."""
    import glmnet

    setup = setup_of(X, y, KFold(5, shuffle=True, random_state=SEED))
    penalty, backend = general_penalties(X.shape[1])[0], LinearBackend(setup)
    backend.evaluate(Candidate(0, Linear(penalty)))

    def theirs(k: int) -> Any:
        return glmnet.ElasticNet(alpha=1.0, n_lambda=100, n_splits=5, n_jobs=1, random_state=SEED).fit(X, y)

    def ours(k: int) -> Any:
        return backend.evaluate(Candidate(0, Linear(penalty)))

    ratio, mine, other = in_turn(ours, theirs, rounds)
    note = f"{mine:.3g} s / {other:.3g} s; {excess_along(setup, penalty)}"
    return Row("2000x500: group lasso against glmnet's lasso", ratio, 3.0, note)


def path_tall() -> Iterator[Row]:
    yield from path_rows("20000x200", *regression(20_000, 200, 40, 1.0), bar=1 / 50)


def path_small() -> Iterator[Row]:
    X, y = load_diabetes(return_X_y=True)
    yield from path_rows("442x10", X, (y - y.mean()) / y.std(), bar=1 / 10, rounds=7)


def path_wide() -> Iterator[Row]:
    yield from path_rows("1000x5000", *regression(1000, 5000, 50, 0.5), bar=0.5, rounds=3, first_bar=0.5)


def path_logistic() -> Iterator[Row]:
    yield from path_rows("logistic 2000x1000", *classification(2000, 1000, 40), bar=1.5, rounds=3, first_bar=1.5)


def search_tall() -> Iterator[Row]:
    yield from search_rows("20000x200", *regression(20_000, 200, 40, 1.0), bar=1 / 50)


def search_small() -> Iterator[Row]:
    X, y = load_diabetes(return_X_y=True)
    yield from search_rows("442x10", X, y, bar=1 / 10)


def search_rows(name: str, X: Any, y: Any, bar: float, rounds: int = 1) -> Iterator[Row]:
    """A whole search against 100 trials of OptunaSearchCV with sampled lambda and L1 ratio, same folds.

    Both have searched before: what a program loads for its first search is in the note. Of several rounds, in which
    both are in turn, the median counts.
    """
    loading = loading_seconds()
    folds = list(KFold(5, shuffle=True, random_state=SEED).split(X))
    mine, others = list[float](), list[float]()
    for _ in range(rounds):
        theirs, seconds_of_theirs = optuna_search(X, y, folds, 100)
        seconds_of_ours, results = reached(X, y, folds, 50, theirs.best_score_)
        mine.append(seconds_of_ours)
        others.append(seconds_of_theirs)
    ours, other = statistics.median(mine), statistics.median(others)
    note = f"{ours:.3g} s / {other:.3g} s; loss {-results.best.score:.6g} / {-theirs.best_score_:.6g}"
    note += f"; a program's first search {loading:.2g} s more"
    yield Row(f"{name}: search until the loss of 100 trials", paired(mine, others), bar, note)
    yield Row(f"{name}: best loss", results.best.score / theirs.best_score_, 1.0)


@cache
def loading_seconds() -> float:
    """How much longer the first search of a program takes to its first trial than the second."""
    X, y = regression(60, 10, 5, 1.0)
    few = X, y, list(KFold(5, shuffle=True, random_state=SEED).split(X))
    optuna_search(*few, 3)
    return max(0.0, reached(*few, 3)[0] - reached(*few, 3)[0])


def optuna_search(X: Any, y: Any, folds: Any, n_trials: int) -> tuple[Any, float]:
    """OptunaSearchCV, fitted, and the seconds that it took."""
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna_integration.sklearn import OptunaSearchCV
    from sklearn import linear_model
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    highest = float(np.abs((X - X.mean(0)).T @ (y - y.mean()) / X.std(0)).max() / len(y))
    space = {
        "elasticnet__alpha": FloatDistribution(highest * 1e-4, highest, log=True),
        "elasticnet__l1_ratio": FloatDistribution(0.05, 1.0),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = OptunaSearchCV(
            make_pipeline(StandardScaler(), linear_model.ElasticNet()), space, cv=folds, n_trials=n_trials,
            random_state=SEED, scoring="neg_mean_squared_error", refit=False,
        )  # fmt: skip
        return search, seconds(lambda: search.fit(X, y))


def reached(X: Any, y: Any, folds: Any, n_trials: int, score: float = -np.inf) -> tuple[float, Any]:
    """Seconds from the first line of a study until a trial had that score, and what the study found in the end."""
    space = Linear(penalty=spaces.linear().penalty)
    with tempfile.TemporaryDirectory() as root:
        started = time.time()
        study = Study("bench", X, y, space=space, cv=folds, scoring="neg_mean_squared_error", seed=SEED, root=root)
        results = study.run(n_trials=n_trials, quiet=True)
    ended = [trial.end_ms for trial in results.complete if results.point(trial).val >= score]
    return (min(ended) / 1000 - started if ended else np.inf), results


def overhead() -> Iterator[Row]:
    """The loop's own milliseconds a trial, and the mirror's, over 1,000 trials with default storage."""
    import optuna

    spent = [0.0]

    class Timed(optuna.samplers.TPESampler):
        """TPE that notes the time it takes."""

        def infer_relative_search_space(self, *args: Any) -> Any:
            return self._timed(super().infer_relative_search_space, *args)

        def sample_relative(self, *args: Any) -> Any:
            return self._timed(super().sample_relative, *args)

        def sample_independent(self, *args: Any) -> Any:
            return self._timed(super().sample_independent, *args)

        def after_trial(self, *args: Any) -> Any:
            return self._timed(super().after_trial, *args)

        def _timed(self, call: Any, *args: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args)
            finally:
                spent[0] += time.perf_counter() - started

    X, y = load_diabetes(return_X_y=True)
    with tempfile.TemporaryDirectory() as root, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = Timed(seed=SEED, multivariate=True, group=True, constant_liar=True)
        study = Study("overhead", X, y, space=Linear(spaces.linear().penalty), seed=SEED, root=root, sampler=sampler)
        started = time.perf_counter()
        results = study.run(n_trials=1000, quiet=True)
        whole = time.perf_counter() - started
    done = [trial for trial in results.all if trial.state == "complete"]
    loop = (max(t.end_ms for t in done) - min(t.start_ms for t in done)) / 1000
    fits = sum(trial.seconds for trial in done)
    own = 1000 * (loop - fits - spent[0]) / len(done)
    yield Row(  # a part of it is waiting for the disk to have what was finished
        "search loop beside fits and sampler, ms a trial", own, 6.0, f"fits {fits:.3g} s, sampler {spent[0]:.3g} s"
    )
    yield Row("mirror complete, ms a trial from the start", 1000 * whole / len(done), 45.0, f"{len(done)} trials")


def start_up() -> Iterator[Row]:
    """Seconds until the command line helps and the package is imported."""
    for name, code, bar in (
        ("regsearch --help, s", ["-m", "regsearch", "--help"], 0.3),
        ("import regsearch, s", ["-c", "import regsearch"], 0.5),
        ("from regsearch import Study, spaces, s", ["-c", "from regsearch import Study, spaces"], 1.0),
    ):
        run = partial(subprocess.run, [sys.executable, *code], check=True, stdout=subprocess.DEVNULL)
        yield Row(name, sorted(seconds(run) for _ in range(5))[2], bar)


MEMORY = """
import numpy as np, sys
sys.path.insert(0, {here!r})
from regsearch import AdaptiveLasso
from linear import Candidate, ElasticNet, Linear, LinearBackend, regression, setup_of
def peak(): return next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmHWM"))
X, y = regression(300, 200, 40, 1.0)
LinearBackend(setup_of(X, y, 5)).evaluate(Candidate(0, Linear(ElasticNet(.5))))
X, y = regression(20_000, 200, 40, 1.0)
setup = setup_of(X, y, 5)
open("/proc/self/clear_refs", "w").write("5")
before = peak()
backend = LinearBackend(setup)
for penalty in (ElasticNet(.5), "l1", "l2", AdaptiveLasso(1.0), "none"):
    backend.evaluate(Candidate(0, Linear(penalty)))
print((peak() - before) / X.nbytes)
"""


def memory() -> Iterator[Row]:
    """Peak memory beside X at 20000x200, in bytes of X."""
    code = MEMORY.format(here=str(Path(__file__).parent))
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ)
    yield Row("20000x200: memory beside X, times X", float(out.stdout), 3.0)


if __name__ == "__main__":
    main(
        [
            path_tall,
            path_small,
            path_wide,
            path_logistic,
            penalties,
            search_tall,
            search_small,
            overhead,
            start_up,
            memory,
        ],
        "Linear search against python-glmnet and OptunaSearchCV.",
    )
