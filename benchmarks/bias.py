"""What the corrected score is worth: on studies of known truth, how often its interval does not hold that.

    python benchmarks/bias.py [WORD ...] [--quick] [--json]

Each row is the share of 200 simulated studies whose 95 % interval does not hold the truth, for a rule and a kind of
problem, or an ensemble. A study has ridge paths on a few sets of columns; the truth is the expected score of the folds'
models at the chosen point, or of the mean of those of the members, on as many new rows as a fold has, in closed form.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from harness import Row, main, quick
from numpy.typing import NDArray
from scipy.stats import norm

from regsearch._types import Array
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import make_problem
from regsearch.errors import NotFound
from regsearch.metrics.averaging import Averaging
from regsearch.metrics.scorer import resolve
from regsearch.models.out_of_fold import PathDecisions
from regsearch.models.path import Curves, Trajectory, choose_step
from regsearch.results.bias import Corrected, corrected
from regsearch.results.results import Results
from regsearch.results.rules import find_rule
from regsearch.results.stored_study import Scoring
from regsearch.storage.store import Store
from regsearch.storage.trial import Trial

STUDIES = 200
RULES = ("best", "one_se", "paired")
STEPS = np.geomspace(100.0, 0.01, 12)  # lambdas of each path
MEMBERS = 20  # paths that an ensemble is selected from
RULED = 24  # resamples that a rule is asked on: as many as a mean and a variance take


@dataclass(frozen=True)
class Kind:
    """A kind of problem whose truth is known.

    Attributes
    ----------
    rows, columns
        Of X, standard normal.
    signal
        What the first columns count for.
    noise
        Standard deviation of what no column explains.
    group
        Rows of a group, which share half the variance of columns and noise; 1 for independent rows.
    scoring
        Accuracy is that of a sign, of labels that nothing explains: its truth is .5. Areas are of two classes whose
        means are apart by the signal.
    sizes
        Of the folds; five of one size by default.
    """

    name: str
    rows: int
    columns: int
    signal: tuple[float, ...] = ()
    noise: float = 1.0
    group: int = 1
    scoring: str = "neg_mean_squared_error"
    sizes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def classes(self) -> bool:
        return self.scoring in {"accuracy", "roc_auc"}

    @property
    def beta(self) -> Array:
        """``[p]``"""
        return np.pad(np.array(self.signal, dtype=float), (0, self.columns - len(self.signal)))

    def splits(self, seed: int) -> Any:
        """What makes the folds."""
        if not self.sizes:
            return 5
        held = np.split(np.random.default_rng(seed).permutation(self.rows), np.cumsum(self.sizes)[:-1])
        return [(np.setdiff1d(np.arange(self.rows), val), np.sort(val)) for val in held]


KINDS = (
    Kind("noise labels", 60, 30, scoring="accuracy"),
    Kind("noise regression", 60, 20),
    Kind("signal", 100, 15, (1.0, 0.6, 0.4, 0.2), 1.5),
    Kind("groups", 160, 10, (0.7, 0.4, 0.2), 1.0, 4),
    Kind("R squared of 8 rows a fold", 40, 6, (0.8, 0.5, 0.3), scoring="r2"),
    Kind("R squared of nothing", 60, 6, scoring="r2"),
    Kind("folds of 40 to 10 rows", 80, 8, (0.8, 0.5, 0.3), sizes=(40, 10, 10, 10, 10)),
    Kind("areas of 8 rows a fold", 40, 6, (1.0, 0.5), scoring="roc_auc"),
)


@dataclass
class Memory:
    """Artifacts that lie nowhere."""

    files: dict[str, bytes] = field(default_factory=dict)

    def write(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def open(self, name: str) -> BinaryIO:
        if name not in self.files:
            raise NotFound(f"There is no {name}.")
        return io.BytesIO(self.files[name])

    def has(self, name: str) -> bool:
        return name in self.files

    def names(self, folder: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(f"{folder}/"))


@dataclass(frozen=True)
class Simulated:
    """A study as stored, and what is true of it.

    Attributes
    ----------
    models
        By trial, ``[K, S, p + 1]``: coefficients and intercepts of the folds' models.
    """

    kind: Kind
    results: Results
    models: dict[int, Array]

    def truth(self, number: int, step: int) -> float:
        """The expected score, on new folds of as many rows, of the folds' models of a trial at a step."""
        return self._expected(self.models[number][:, step])

    def truth_of_mean(self, weights: Mapping[int, float]) -> float:
        """That of the mean of the folds' models of some trials, each at its own step."""
        steps = {trial.number: trial.step for trial in self.results.all}
        mean = sum(weight * self.models[number][:, steps[number]] for number, weight in weights.items())
        return self._expected(np.asarray(mean))

    def _expected(self, models: Array) -> float:
        assert self.results.folds is not None
        rows = np.array([len(val) for val in self.results.folds.val])
        return float(TRUTHS[self.kind.scoring](models[:, :-1], models[:, -1], rows, self.kind).mean())


def _squares(coef: Array, intercept: Array, rows: NDArray[np.intp], kind: Kind) -> Array:
    """``[K]`` expected scores of models ``[K, p]``, ``[K]``, each on so many new rows ``[K]``."""
    return np.asarray(-(kind.noise**2 + intercept**2 + ((coef - kind.beta) ** 2).sum(axis=1)))


def _explained(coef: Array, intercept: Array, rows: NDArray[np.intp], kind: Kind) -> Array:
    """Errors are regressed on y, both being normal; the mean of one over a variance of m rows is m / (m - 3)."""
    off, total = coef - kind.beta, kind.beta @ kind.beta + kind.noise**2
    slope = (off @ kind.beta - kind.noise**2) / total
    rest = (off**2).sum(axis=1) + kind.noise**2 - slope**2 * total
    return np.asarray(1 - slope**2 - (intercept**2 + slope**2 * total / rows + rest) * rows / (rows - 3) / total)


def _areas(coef: Array, intercept: Array, rows: NDArray[np.intp], kind: Kind) -> Array:
    return np.asarray(norm.cdf(coef @ kind.beta / np.sqrt(2 * (coef**2).sum(axis=1))))


def _halves(coef: Array, intercept: Array, rows: NDArray[np.intp], kind: Kind) -> Array:
    return np.full(len(rows), 0.5)


TRUTHS = {"neg_mean_squared_error": _squares, "r2": _explained, "roc_auc": _areas, "accuracy": _halves}


def simulate(kind: Kind, seed: int, paths: int = 3, root: Path = Path("nowhere")) -> Simulated:
    """A study of ridge paths, each on columns drawn at random, whose truth is known."""
    rng = np.random.default_rng((seed, kind.rows))
    groups = np.arange(kind.rows) // kind.group

    def drawn(columns: int) -> Array:
        own = rng.normal(size=(kind.rows, columns))
        shared = rng.normal(size=(kind.rows, columns))[groups]
        return own if kind.group == 1 else (own + shared) / np.sqrt(2)

    X = drawn(kind.columns)
    labels = rng.permutation(np.arange(kind.rows) % 2) if kind.classes else None
    if labels is None:
        target = X @ kind.beta + kind.noise * drawn(1)[:, 0]
    else:
        X, target = X + np.outer(labels - 0.5, kind.beta), 2.0 * labels - 1.0
    problem = make_problem(X, target if labels is None else labels, groups=groups if kind.group > 1 else None)
    folds, metric = make_folds(kind.splits(seed), problem, seed), resolve(kind.scoring, problem)[0]
    store = Store(root, "simulated", artifacts=Memory())
    store.save_folds(folds, Averaging.of(folds))
    trials, models = [], {}
    for number in range(paths):
        subset = np.sort(rng.choice(kind.columns, kind.columns if number == 0 else kind.columns // 2, replace=False))
        coef, intercept = _ridge(X[:, subset], target, folds)
        whole = np.zeros((*coef.shape[:2], kind.columns))
        whole[:, :, subset] = coef
        along = np.einsum("np,ksp->ksn", X, whole) + intercept[:, :, None]  # [K, S, n]
        parts = (folds.train, folds.val)
        train, val = (
            np.array([metric.along(problem, rows, along[k].T[rows][:, :, None]) for k, rows in enumerate(part)])
            for part in parts
        )
        said = np.zeros((len(STEPS), kind.rows, 1), np.float32)
        for k, rows in enumerate(folds.val):
            said[:, rows, 0] = along[k][:, rows]
        freedom = np.broadcast_to(len(subset) / (1 + STEPS), train.shape)
        trajectory = Trajectory(STEPS, {kind.scoring: Curves(train, val)}, freedom)
        step = choose_step(val.mean(axis=0))
        others = [s for s in range(len(STEPS)) if s != step]
        store.save(number, trajectory, said[step].astype(float), PathDecisions.of(others, list(said[others])))
        models[number] = np.concatenate([whole, intercept[:, :, None]], axis=2)
        trial = Trial(number, "complete", key=str(number), axis="lambda", end_ms=number)
        trials.append(trial.on(trajectory, step))
    identity = {
        "study": "simulated", "task": problem.task, "cv": "made", "scoring": [metric.identity],
        "metric": kind.scoring, "metrics": [kind.scoring], "reference": "none", "folds_hash": folds.digest,
        "folds": len(folds),
    }  # fmt: skip
    return Simulated(kind, Results(store, identity, tuple(trials), live=Scoring(problem, folds, metric)), models)


def _ridge(X: Array, y: Array, folds: Folds) -> tuple[Array, Array]:
    """``[K, S, p]`` and ``[K, S]``: coefficients and intercepts of ridge regressions on each fold's training rows."""
    found = []
    for rows in folds.train:
        mean, center = X[rows].mean(axis=0), y[rows].mean()
        values, vectors = np.linalg.eigh((X[rows] - mean).T @ (X[rows] - mean) / len(rows))
        moment = vectors.T @ ((X[rows] - mean).T @ (y[rows] - center)) / len(rows)
        coef = (moment / (values + STEPS[:, None])) @ vectors.T
        found.append((coef, center - coef @ mean))
    coefs, intercepts = zip(*found, strict=True)
    return np.stack(coefs), np.stack(intercepts)


@dataclass(frozen=True)
class Judged:
    """What became of a kind of studies by a rule.

    Attributes
    ----------
    coverage
        Share of intervals that hold the truth.
    plain, score, truth, width
        Means: of the score that a study reports, of the corrected one, of the truth, and of half the interval.
    """

    coverage: float
    plain: float
    score: float
    truth: float
    width: float


def judge(kind: Kind, rule: str, studies: int = STUDIES) -> Judged:
    """Simulate studies, correct what a rule chooses in each, and compare that with the truth of it."""
    rows = []
    for seed in range(studies):
        one = simulate(kind, seed)
        pick = find_rule(rule)(one.results)
        found = corrected(one.results, find_rule(rule), resamples=300 if rule == "best" else RULED)
        rows.append(_row(found, one.truth(pick.number, pick.step)))
    inside, plain, score, truth, width = np.mean(rows, axis=0).tolist()
    return Judged(inside, plain, score, truth, width)


def judge_ensemble(kind: Kind, studies: int = STUDIES) -> Judged:
    """Simulate studies, select an ensemble in each, and compare its corrected score with the truth of it."""
    rows = []
    for seed in range(studies):
        one = simulate(kind, seed, MEMBERS)
        found = one.results.ensemble()
        rows.append(_row(found.corrected, one.truth_of_mean(found.weights)))
    inside, plain, score, truth, width = np.mean(rows, axis=0).tolist()
    return Judged(inside, plain, score, truth, width)


def _row(found: Corrected, truth: float) -> tuple[float, ...]:
    assert found.interval is not None, found.why
    assert found.score is not None
    low, high = found.interval
    return float(low <= truth <= high), found.plain, found.score, truth, (high - low) / 2


def rows_of(what: str, judged: Callable[[Kind, int], Judged], kinds: Sequence[Kind] = KINDS) -> Iterator[Row]:
    for kind in kinds:
        found = judged(kind, 5 if quick() else STUDIES)
        yield Row(
            f"{what}, {kind.name}: intervals that miss, %", 100 * (1 - found.coverage), 8.0,
            f"plain {found.plain:.3f}, corrected {found.score:.3f} ± {found.width:.2g}, truth {found.truth:.3f}",
        )  # fmt: skip


def best() -> Iterator[Row]:
    yield from rows_of("best", lambda kind, studies: judge(kind, "best", studies))


def one_se() -> Iterator[Row]:
    yield from rows_of("one_se", lambda kind, studies: judge(kind, "one_se", studies))


def paired() -> Iterator[Row]:
    yield from rows_of("paired", lambda kind, studies: judge(kind, "paired", studies))


def ensemble() -> Iterator[Row]:
    linear = [kind for kind in KINDS if kind.scoring != "roc_auc"]  # of classes probabilities are averaged
    yield from rows_of("ensemble", judge_ensemble, linear)


if __name__ == "__main__":
    main((best, one_se, paired, ensemble), __doc__.partition("\n")[0])
