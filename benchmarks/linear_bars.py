"""Speed and memory of linear models as one table, each figure with its bar.

    python benchmarks/linear_bars.py [WORD ...] [--json]
    python benchmarks/linear_bars.py --write

Ratios are ours over theirs: the processor's seconds of a cross-validated path of a hundred lambdas, both sides in turn,
on one thread, with the same data, lambdas and folds. Columns are standardised once for all sides, on all rows. Either
ends at its default tolerance, ours being a duality gap; the note has the largest suboptimality of both along the path
of all rows, relative to the loss of the null model, against a solution at 1e-10. "Early stop" is a trial as it is,
which ends where its validation curve has turned; theirs always go to the end.

Memory is the peak of a trial that has nothing to share above what the program and its data took before, in bytes of X.
Another like it has come and gone, so that what is the same for data of any size is there before: compiled code, late
imports, and the buffers that BLAS packs matrices into. What the other has freed is given back to the system, of which
arrays of 128 KiB and more are always asked. Searches are timed by the clock. ``--write`` puts the table into the page
of the docs.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy loads
from __future__ import annotations

from harness import Row, all_in_turn, cpu_seconds, main, one_thread, paired

one_thread()

import argparse
import ctypes
import gc
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import classes
import linear
import numpy as np
from linear import RATIOS, SEED, regression, setup_of
from peers.sides import ADELIE_SIDE, PYTHON_GLMNET, R_GLMNET, Found, Side, Task
from scipy.linalg.blas import dgemm
from sklearn.datasets import load_diabetes, load_digits

from regsearch import L1, ElasticNet, GroupLasso, Linear, Poisson
from regsearch.data.problem import make_problem
from regsearch.models.base import Candidate, Setup
from regsearch.models.linear.backend import LinearBackend
from regsearch.models.linear.solvers import Solvers
from regsearch.models.linear.threads import one_thread as one_thread_of_blas

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks" / "linear.md"
POINTS = 100
FIXED = {"MALLOC_MMAP_THRESHOLD_": str(2**17)}  # else what has been freed decides how later arrays are asked for


# --- tasks ------------------------------------------------------------------------------------------------------------


def task_of(name: str, X: Any, y: Any, family: str, alpha: float, ratio: float, group: int = 1) -> Task:
    """With standard columns, and lambdas from that which zeroes every coefficient on all rows."""
    X = np.asfortranarray((X - X.mean(axis=0)) / X.std(axis=0))
    slope = np.abs(X.T @ (y - y.mean())) / len(y)
    top = slope.max() if group == 1 else np.sqrt((slope**2).reshape(-1, group).sum(axis=1) / group).max()
    return Task(name, X, y, family, alpha, top / alpha * np.geomspace(1, ratio, POINTS), group)


def tall(alpha: float = 0.5) -> Task:
    return task_of("20000x200", *regression(20_000, 200, 40, 1.0), "gaussian", alpha, 1e-4)


def wide(alpha: float = 0.5) -> Task:
    return task_of("1000x5000", *regression(1000, 5000, 50, 0.5), "gaussian", alpha, 1e-2)


def logistic(alpha: float = 0.5) -> Task:
    return task_of("logistic 2000x1000", *linear.classification(2000, 1000, 40), "binomial", alpha, 1e-4)


def groups() -> Task:
    return task_of("group lasso 2000x500", *regression(2000, 500, 50, 1.0), "gaussian", 1.0, 1e-4, group=5)


def counts() -> Task:
    """Poisson counts of a sparse truth."""
    X, signal = regression(5000, 100, 20, 0.5)
    y = np.random.default_rng(SEED).poisson(np.exp(0.7 * signal)).astype(float)
    return task_of("Poisson 5000x100", X, y, "poisson", 1.0, 1e-4)


def config_of(task: Task) -> Linear:
    """Our config of a task."""
    if task.group > 1:
        return grouped(task.X.shape[1], task.group)
    penalty = ElasticNet(task.alpha) if task.alpha < 1 else L1()
    return Linear(penalty, scale="none", loss=Poisson() if task.family == "poisson" else None)


def grouped(columns: int, size: int = 5) -> Linear:
    """Our config of groups of so many columns, one after another."""
    names = [f"x{j}" for j in range(columns)]
    groups = {f"g{start}": names[start : start + size] for start in range(0, columns, size)}
    return Linear(GroupLasso(groups), scale="none")


def with_alpha(task: Task, alpha: float) -> Task:
    return replace(task, alpha=alpha, lambdas=task.lambdas * task.alpha / alpha)


# --- both sides -------------------------------------------------------------------------------------------------------


def backend_of(setup: Setup, task: Task) -> LinearBackend:
    return LinearBackend(setup, (config_of(task).loss,))


def whole(task: Task, solvers: Solvers) -> list[Any]:
    """Every point of a path, wherever a trial would end."""
    config = config_of(task)
    with one_thread_of_blas():
        return list(solvers.of(None, config.loss).path(solvers.terms(config), "none", task.lambdas))


def early(task: Task, setup: Setup, backend: LinearBackend | None = None) -> Any:
    """A trial."""
    return first_trial(setup, config_of(task)) if backend is None else backend.evaluate(Candidate(0, config_of(task)))


def first_trial(setup: Setup, config: Linear) -> Any:
    """One that has nothing to share."""
    return LinearBackend(setup, (config.loss,)).evaluate(Candidate(0, config))


def row(task: Task, side: Side, what: str, ours: Callable[[int], object], bar: float, rounds: int) -> Row:
    """Both sides in turn, `ours` a function of the number of the round: which has an alpha of its own."""
    tasks = [with_alpha(task, RATIOS[k]) if task.alpha < 1 else task for k in range(rounds)]
    mine, theirs, found = list[float](), list[float](), list[Found]()
    for k, one in enumerate(tasks):
        mine.append(cpu_seconds(partial(ours, k)))
        found.append(side.run(one))
        theirs.append(found[-1].seconds)
    note = f"{statistics.median(mine):.3g} s / {statistics.median(theirs):.3g} s; " + suboptimality(tasks[0], found[0])
    return Row(f"{task.name}: {what}, of {side.name}", paired(mine, theirs), bar, note)


def against(task: Task, side: Side, bars: dict[str, float], rounds: int) -> Iterator[Row]:
    """Rows of a task against one side: those of `bars`, by what of ours is timed."""
    setup = setup_of(task.X, task.y, side.folds(task))
    small = task_of("", task.X[:80, : 4 * task.group], task.y[:80], task.family, task.alpha, 0.1, task.group)
    few = setup_of(small.X, small.y, 5)
    early(small, few), whole(small, backend_of(few, small).solvers)  # compiles what is compiled
    kept = backend_of(setup, task)
    early(with_alpha(task, 0.3) if task.alpha < 1 else task, setup, kept)

    def of(k: int) -> Task:
        return with_alpha(task, RATIOS[k]) if task.alpha < 1 else task

    timed: dict[str, Callable[[int], object]] = {
        "later trial": lambda k: early(of(k), setup, kept),
        "early stop": lambda k: early(of(k), setup),
        "full path": lambda k: whole(of(k), backend_of(setup, task).solvers),
    }
    for what, bar in bars.items():
        yield row(task, side, what, timed[what], bar, rounds)


def suboptimality(task: Task, found: Found) -> str:
    """The largest of both sides along the path of all rows, as a note; the far end, where searches stop, left out."""
    problem, rows, loss_of = make_problem(task.X, task.y), np.arange(len(task.y)), config_of(task).loss
    solvers = [Solvers(problem, (rows,), (rows[:0],), moments=loss_of is None, tol=tol) for tol in (None, 1e-10)]
    count = min(len(found.lambdas), int(0.7 * POINTS))
    points = np.linspace(0, count - 1, 8).astype(int)
    near = replace(task, lambdas=task.lambdas[:count])
    usual, best = (objectives(near, *path(whole(near, one)), points) for one in solvers)
    theirs = objectives(near, found.coef, found.intercept, points)
    null = loss(task, np.full(len(task.y), null_decision(task)))
    ours, other = (float(((side - best) / null).max()) for side in (usual, theirs))
    return f"suboptimality {max(ours, 0):.1e} / {max(other, 0):.1e}"


def path(pieces: list[Any]) -> tuple[Any, Any]:
    """Coefficients ``[S, p]`` and intercepts ``[S]`` of the first fold."""
    coef = np.concatenate([piece.coef[0, :, :, 0] for piece in pieces])
    return coef, np.concatenate([piece.intercept[0, :, 0] for piece in pieces])


def objectives(task: Task, coef: Any, intercept: Any, points: Any) -> Any:
    found = []
    for s in points:
        w = coef[s]
        size = np.abs(w) if task.group == 1 else np.sqrt(task.group * (w**2).reshape(-1, task.group).sum(axis=1))
        penalty = task.lambdas[s] * (task.alpha * size.sum() + (1 - task.alpha) / 2 * w @ w)
        found.append(loss(task, task.X @ w + intercept[s]) + penalty)
    return np.array(found)


def loss(task: Task, eta: Any) -> float:
    """The mean loss of decisions, zero where they say y."""
    y = task.y
    if task.family == "gaussian":
        return float(np.mean((y - eta) ** 2) / 2)
    if task.family == "binomial":
        return float(np.mean(np.logaddexp(0, eta) - y * eta))
    return float(np.mean(np.exp(eta) - y * eta - y + y * np.log(np.maximum(y, 1))))


def null_decision(task: Task) -> float:
    mean = float(np.mean(task.y))
    if task.family == "gaussian":
        return mean
    return float(np.log(mean / (1 - mean)) if task.family == "binomial" else np.log(mean))


# --- rows -------------------------------------------------------------------------------------------------------------


def gaussian_tall() -> Iterator[Row]:
    """Many more rows than columns: what the first trial formed, later ones read."""
    for side, bar in ((PYTHON_GLMNET, 0.005), (ADELIE_SIDE, 0.003)):
        yield from against(tall(), side, {"later trial": bar}, rounds=3)


def gaussian_wide() -> Iterator[Row]:
    """Many more columns than rows."""
    yield from against(wide(), ADELIE_SIDE, {"early stop": 0.2, "full path": 0.5}, rounds=3)
    yield from against(wide(), PYTHON_GLMNET, {"early stop": 0.25}, rounds=3)


def two_classes() -> Iterator[Row]:
    """Two classes, many columns."""
    for side, bars in ((ADELIE_SIDE, (0.35, 0.9)), (PYTHON_GLMNET, (0.3, 1.0))):
        yield from against(logistic(), side, dict(zip(("early stop", "full path"), bars, strict=True)), rounds=1)


def ten_classes() -> Iterator[Row]:
    """Digits, of python-glmnet."""
    yield from classes.full_multinomial()


def collinear() -> Iterator[Row]:
    """Spectra, whose columns are nearly alike, of least angle regression on the same five folds."""
    from sklearn.linear_model import lars_path

    rng, t = np.random.default_rng(SEED), np.linspace(0, 1, 100)
    bands = np.exp(-(((t[:, None] - np.linspace(0, 1, 12)) / 0.25) ** 2))
    X = rng.normal(size=(150, 12)) @ bands.T + 1e-4 * rng.normal(size=(150, 100))
    y = 10 * (X[:, 20] - X[:, 24]) + 5 * (X[:, 60] - X[:, 66]) + 0.02 * rng.normal(size=150)
    setup = setup_of(X, y, 5)
    first = LinearBackend(setup).evaluate(Candidate(0, Linear(L1())))
    least = float(first.trajectory.axis[first.trajectory.axis > 0][-1])

    def theirs(k: int) -> None:
        for rows in setup.folds.train:
            Z = (X[rows] - X[rows].mean(axis=0)) / X[rows].std(axis=0)
            lars_path(Z, y[rows] - y[rows].mean(), method="lasso", alpha_min=least)

    def ours(k: int) -> Any:
        return LinearBackend(setup).evaluate(Candidate(0, Linear(L1())))

    mine, other = all_in_turn((ours, theirs), 5, cpu_seconds)
    backend = LinearBackend(setup)
    gaps = classes.whole_path(backend, L1(), first.trajectory.axis[first.trajectory.axis > 0])
    note = f"{min(mine):.3g} s / {min(other):.3g} s; duality gap {classes.largest(gaps):.1e}"
    yield Row("collinear 150x100: a trial, of LARS", paired(mine, other), 10.0, note)


def sparse_ridge() -> Iterator[Row]:
    """Sparse columns, of scikit-learn's LogisticRegressionCV."""
    yield from classes.sparse_ridge()


def sparse_lasso() -> Iterator[Row]:
    """Sparse columns, of python-glmnet."""
    yield from classes.sparse_lasso()


def group_lasso() -> Iterator[Row]:
    """Groups of five columns."""
    yield from against(groups(), ADELIE_SIDE, {"early stop": 1.0, "full path": 1.0}, rounds=3)


def poisson() -> Iterator[Row]:
    """Counts."""
    yield from against(counts(), R_GLMNET, {"early stop": 1.0, "full path": 1.0}, rounds=9)


def search_tall() -> Iterator[Row]:
    """A whole search against OptunaSearchCV, many rows."""
    yield from linear.search_rows("20000x200", *regression(20_000, 200, 40, 1.0), bar=1 / 200)


def search_small() -> Iterator[Row]:
    """A whole search against OptunaSearchCV, few rows."""
    X, y = load_diabetes(return_X_y=True)
    yield from linear.search_rows("442x10", X, y, bar=1 / 40, rounds=5)


# --- memory -----------------------------------------------------------------------------------------------------------


def digits() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X, y


MEASURED: dict[str, tuple[Callable[[], tuple[Any, Any]], Callable[[int], Linear], float]] = {
    "20000x200": (lambda: regression(20_000, 200, 40, 1.0), lambda p: Linear(ElasticNet(0.5)), 2.0),
    "1000x5000": (lambda: regression(1000, 5000, 50, 0.5), lambda p: Linear(ElasticNet(0.5)), 3.0),
    "logistic 2000x1000": (lambda: linear.classification(2000, 1000, 40), lambda p: Linear(ElasticNet(0.5)), 2.0),
    "multinomial digits": (digits, lambda p: Linear(L1()), 2.0),
    "sparse logistic 4000x30000, L2": (classes.texts, lambda p: Linear("l2", scale="none"), 3.0),
    "sparse logistic 4000x30000, L1": (classes.texts, lambda p: Linear(L1()), 3.0),
    "group lasso 2000x500": (lambda: (groups().X, groups().y), grouped, 2.0),
    "Poisson 5000x100": (lambda: (counts().X, counts().y), lambda p: Linear(L1(), scale="none", loss=Poisson()), 2.0),
}  # data, the config for so many columns, and the bar


def peak_beside(name: str) -> float:
    """Peak memory of a trial that has nothing to share, in bytes of X, once another like it has come and gone."""
    data, config, _ = MEASURED[name]
    X, y = data()
    chosen = config(X.shape[1])
    touch_buffers()
    first_trial(setup_of(X, y, 5), chosen)
    setup = setup_of(X, y, 5)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    first_trial(setup, chosen)
    size = X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return (_peak() - before) / float(size)


def touch_buffers() -> None:
    """Let both BLAS, of numpy and scipy, fill the buffers that they keep.

    All is in one array, which is so large that its memory is given back at once.
    """
    room = np.zeros(2**23)
    left, right, product = (room[: 2**18].reshape(512, 512), *room[2**18 :][: 2**23 - 2**19].reshape(2, 512, -1))
    np.matmul(left, right, out=product)
    dgemm(1.0, right.T, left.T, c=product.T, overwrite_c=1)


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def memory() -> Iterator[Row]:
    """Peak memory of a trial beside X, each in a program of its own."""
    for name, (*_, bar) in MEASURED.items():
        code = f"import sys; sys.path[:0] = {sys.path!r}; import linear_bars; print(linear_bars.peak_beside({name!r}))"
        command = partial(subprocess.run, check=True, capture_output=True, text=True, env=os.environ | FIXED)
        peak = float(command([sys.executable, "-c", code]).stdout)
        yield Row(f"{name}: memory beside X, times X", peak, bar)


# --- the page ---------------------------------------------------------------------------------------------------------


def table(rows: list[Row]) -> dict[str, str]:
    """Lines of a Markdown table, by what is measured."""
    return {
        one.name: f"| {one.name} | {one.ratio:.3g} | {one.bar:.3g} | {'yes' if one.holds else '**no**'} | {one.note} |"
        for one in rows
    }


def rewritten(page: str, measured: dict[str, str]) -> str:
    """A page whose table has new lines; what was not measured again stays."""
    marks = r"(<!-- bars -->\n)(.*?)\n(<!-- /bars -->)"

    def renewed(found: re.Match[str]) -> str:
        lines = {line.split("|")[1].strip(): line for line in found[2].splitlines()} | measured
        return found[1] + "\n".join([*lines.values(), found[3]])

    return re.sub(marks, renewed, page, flags=re.DOTALL)


if __name__ == "__main__":
    writing = argparse.ArgumentParser(add_help=False)
    writing.add_argument("--write", action="store_true", help="put the table into the page of the docs")
    measured = main(
        [
            gaussian_tall, gaussian_wide, two_classes, ten_classes, collinear, sparse_ridge, sparse_lasso, group_lasso,
            poisson, search_tall, search_small, memory,
        ],
        "Speed and memory of linear models, each figure with its bar.",
        [writing],
    )  # fmt: skip
    if writing.parse_known_args()[0].write:
        PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), table(measured)), encoding="utf-8")
