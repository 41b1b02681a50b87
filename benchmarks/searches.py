"""Whole searches of nets against a sequential Optuna script: what `neural.py search` measures.

The script: Optuna's default TPE with the same distributions, a DataLoader loop, fold after fold, one thread, up to 100
epochs (images: 40). It would take about a quarter of an hour for each seed, so it is not run as a whole. Its sampler
really proposes all 60 configs, one after the other, each told the loss that this package's training gives (without
pruning, at the epoch with the best mean over folds, patience 10 on that mean). A random few of these configs are then
trained by the loop for some epochs; its seconds per epoch, times the epochs that patience left each config, are the
script's time. Its sampler and storage cost nothing. What its trials came to does not depend on the machine, and is kept
in `build/searches`; every time is measured anew.

Ours is a study with everything that belongs to it but MLflow, on all cores, in runs of 150 trials, each of which goes
on with the one before, until it has reached the script's best and a minute is over, or after four of them: that takes a
fraction of the script's time. It has *arrived* at the script's best loss when its own is no larger, and *within an
error* of it when the mean of its folds' losses less those of the script's best trial is at most the standard error of
that mean. A search that does not arrive takes for ever: a median over seeds that says so is infinite.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from harness import Row, kept
from loop import Split, fit
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from regsearch import Net, Study
from regsearch.data.folds import make_folds
from regsearch.data.problem import make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Candidate, Setup
from regsearch.models.neural.training.stack import Stack
from regsearch.space.sampling import fill, sample

MEASURED = 3  # trials of the script that are run as the script runs them, ...
MEASURED_EPOCHS = 10  # ... for so many epochs at most: each takes as long as the others
AT_SECONDS = (30, 60)
WITHIN, BEST = 1 / 20, 1 / 10  # bars of both ratios


@dataclass(frozen=True)
class Sizes:
    """How much is run."""

    seeds: int = 10
    script: int = 60
    trials: int = 150  # of a run
    runs: int = 4
    horizon: int = 100  # most epochs of a trial


@dataclass(frozen=True)
class Problem:
    """Data, the net to search on them, and folds, which do not depend on the seed of the search."""

    name: str
    data: Callable[[], tuple[Any, Any]]
    net: Callable[[int], Net]  # of the most epochs
    folds: int = 5

    def cv(self, y: Any) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        return list(StratifiedKFold(self.folds, shuffle=True, random_state=0).split(np.zeros(len(y)), y))


@dataclass(frozen=True)
class Run:
    """A search: when trials ended, in seconds from its start, and what the best loss was then, also by fold."""

    seconds: list[float]
    losses: list[float]
    total: float
    folds: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def best(self) -> float:
        return self.losses[-1] if self.losses else np.inf

    def reach(self, loss: float) -> float:
        """Seconds until a loss was reached."""
        return next((s for s, best in zip(self.seconds, self.losses, strict=True) if best <= loss), np.inf)

    def reach_within_error(self, folds: NDArray[np.float64]) -> float:
        """Seconds until the best was within an error of losses by fold."""
        near = (s for s, own in zip(self.seconds, self.folds, strict=True) if within_error(own - folds))
        return next(near, np.inf)

    def at(self, seconds: float) -> float:
        """The best loss after so many seconds."""
        return min((loss for s, loss in zip(self.seconds, self.losses, strict=True) if s <= seconds), default=np.inf)


def within_error(lost: NDArray[np.float64]) -> bool:
    """Whether a loss by fold is within its standard error of none, or a gain."""
    return bool(lost.mean() <= lost.std(ddof=1) / np.sqrt(len(lost)))


def search(
    X: Any, y: Any, net: Net, seed: int, trials: int, loss: float = -np.inf, most: int = 1, folds: int = 5,
    least: float = 0.0, **options: Any,
) -> Run:  # fmt: skip
    """A search with everything that belongs to it but MLflow.

    It runs up to `most` times, until it has reached a loss and at least so many seconds are over.
    """
    cv = list(StratifiedKFold(folds, shuffle=True, random_state=0).split(np.zeros(len(y)), y))
    started = time.time()
    with tempfile.TemporaryDirectory() as root:
        study = Study("bench", X, y, space=net, cv=cv, seed=seed, root=root, tracking=False, **options)
        for times in range(1, most + 1):
            results = study.run(n_trials=trials * times, quiet=True)
            total = time.time() - started
            done = sorted(results.complete, key=lambda trial: trial.end_ms)
            own = [-results.curves(trial.number).val[:, trial.step] for trial in done]
            best: list[NDArray[np.float64]] = []
            for losses in own:
                best.append(losses if not best or losses.mean() < best[-1].mean() else best[-1])
            if best and best[-1].mean() <= loss and total >= least:
                break
    ends = [trial.end_ms / 1000 - started for trial in done]
    return Run(ends, [float(losses.mean()) for losses in best], total, best)


# --- the script ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proposed:
    """A trial of the script: its parameters, how many epochs it takes, and the losses by fold of which it is told."""

    params: dict[str, Any]
    epochs: int
    folds: list[float]

    @property
    def loss(self) -> float:
        return statistics.fmean(self.folds)


def script_trials(problem: Problem, sizes: Sizes) -> list[list[Proposed]]:
    """By seed, what the script's sampler proposes when it is told the losses of this package's training.

    One trial at a time, those of all seeds side by side: the first trials in one stack, then the second. What they came
    to is kept trial by trial; the samplers are asked and told again.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    setup, net = _setup(problem), problem.net(sizes.horizon)
    studies = [optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)) for seed in range(sizes.seeds)]
    found: list[list[Proposed]] = [[] for _ in studies]
    for number in range(sizes.script):
        asked = [study.ask() for study in studies]
        candidates = [Candidate(seed, sample(net, trial)) for seed, trial in enumerate(asked)]
        name = f"searches/{problem.name}-{sizes.seeds}x{sizes.horizon}/{number:03}"
        ended: list[dict[str, Any] | None] = kept(name, partial(_train, setup, candidates))
        for study, trial, own, one in zip(studies, asked, found, ended, strict=True):
            if one is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                own.append(Proposed(trial.params, **one))
                study.tell(trial, own[-1].loss)
    return found


def _train(setup: Setup, candidates: list[Candidate]) -> list[dict[str, Any] | None]:
    """Epochs and losses by fold of each candidate; nothing of one that failed."""
    ended: list[dict[str, Any] | None] = [None] * len(candidates)
    for outcome in Stack(setup).stream(candidates):
        if outcome.state == "complete":
            folds = (-outcome.trajectory.deciding.val[:, outcome.step]).tolist()
            ended[outcome.number] = {"epochs": outcome.trajectory.steps, "folds": folds}
    return ended


def _setup(problem: Problem) -> Setup:
    X, y = problem.data()
    made = make_problem(X, y)
    return replace(Setup(made, make_folds(problem.cv(y), made, 0), resolve(None, made), 0), prune=False)


def script_seconds(problem: Problem, proposed: list[Proposed], seed: int, sizes: Sizes) -> NDArray[np.float64]:
    """Seconds after which each trial of the script ends, by what its loop takes for some epochs of a few of them."""
    setup, net = _setup(problem), problem.net(sizes.horizon)
    pairs = zip(setup.folds.train, setup.folds.val, strict=True)
    splits = [Split.of(np.asarray(setup.problem.X), setup.problem.y, *pair) for pair in pairs]
    picked = np.random.default_rng(seed).choice(len(proposed), min(MEASURED, len(proposed)), replace=False)
    measured = [min(MEASURED_EPOCHS, proposed[i].epochs) for i in picked]
    started = time.perf_counter()
    for i, epochs in zip(picked, measured, strict=True):
        for split in splits:
            fit(fill(net, proposed[i].params), split, epochs, seed)
    per_epoch = (time.perf_counter() - started) / sum(measured)
    return np.cumsum([per_epoch * one.epochs for one in proposed])


# --- both ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """One seed: ratios of times until within an error and until the best, and of losses at the same times."""

    within: float
    best: float
    losses: tuple[float, ...]


def compare(problem: Problem, proposed: list[Proposed], seed: int, sizes: Sizes, apart: Callable[..., Any]) -> Compared:
    """Both sides, one after the other; `apart` calls a function in a fresh program."""
    ends, told = script_seconds(problem, proposed, seed, sizes), np.array([one.loss for one in proposed])
    X, y = problem.data()
    goal = min(proposed, key=lambda one: one.loss)
    net = problem.net(sizes.horizon)
    limits = {"most": sizes.runs, "least": max(AT_SECONDS), "folds": problem.folds}
    ours: Run = apart(search, X, y, net, seed, sizes.trials, goal.loss, **limits)
    by_then = [float(told[ends <= s].min(initial=np.inf)) for s in AT_SECONDS]
    losses = tuple(
        ours.at(s) / other if np.isfinite(other) else 0.0 for s, other in zip(AT_SECONDS, by_then, strict=True)
    )
    within, best = ours.reach_within_error(np.array(goal.folds)), ours.reach(goal.loss)
    print(
        f"{problem.name}, seed {seed}: within an error after {within:.0f} s, {goal.loss:.4f} after {best:.0f} s, "
        f"{ours.best:.4f} after {ours.total:.0f} s; the script takes {ends[-1]:.0f} s",
        file=sys.stderr,
    )
    return Compared(within / ends[-1], best / ends[-1], losses)


def compare_seeds(problem: Problem, sizes: Sizes, apart: Callable[..., Any]) -> list[Compared]:
    """A comparison for each seed."""
    proposed = script_trials(problem, sizes)
    return [compare(problem, of_seed, seed, sizes, apart) for seed, of_seed in enumerate(proposed)]


def rows(name: str, found: Sequence[Compared]) -> Iterator[Row]:
    """Medians over seeds; the notes have quartiles, and how many seeds arrive."""
    for what, bar, ratios in (
        ("within an error of 60 trials' best", WITHIN, [one.within for one in found]),
        ("the best of 60 trials", BEST, [one.best for one in found]),
    ):
        arrived = sum(np.isfinite(ratios))
        low, high = np.quantile(ratios, [0.25, 0.75], method="nearest")
        note = f"quartiles {low:.3g} to {high:.3g}; {arrived} of {len(ratios)} seeds arrive"
        yield Row(f"{name}: search until {what}", statistics.median(ratios), bar, note)
    for i, seconds in enumerate(AT_SECONDS):
        losses = [one.losses[i] for one in found]
        note = f"ours is the smaller for {sum(ratio < 1 for ratio in losses)} of {len(losses)} seeds"
        yield Row(f"{name}: loss after {seconds} s", statistics.median(losses), 1.0, note)
