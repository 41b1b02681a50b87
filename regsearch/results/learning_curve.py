"""Would more data help? The chosen config on growing parts of each fold's training rows, scored on the same rows.

The parts of a fold are nested, so that from one size to the next rows only come in: drawn at random by class, in whole
groups where there are groups, and the last rows where folds go forward in time. A net, or a loop of one's own, sees as
many samples in training at every size: where rows are half, epochs are twice as many, so that the curve is one of data,
not of training time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array, Rows
from regsearch.data.folds import Folds, make_folds
from regsearch.data.problem import Problem
from regsearch.errors import InvalidInput, SearchFailed
from regsearch.metrics.averaging import Averaging
from regsearch.models.base import Candidate, Setup
from regsearch.progress import Progress
from regsearch.results.choice import Chosen
from regsearch.results.formatting import Measured, format_estimate, json_safe
from regsearch.results.presented import Block, Presented
from regsearch.results.results import Results
from regsearch.results.table import Table

FINDING = "learning_curve"
SIZES = (0.1, 0.2, 0.4, 0.7, 1.0)
CLEAR = 2.0  # standard errors that a rise must come to before a sentence calls it one


@dataclass(frozen=True, repr=False)
class LearningCurve(Presented):
    """Scores of the chosen config by the number of training rows.

    Attributes
    ----------
    number, step, rule, metric
        The chosen trial, where on its path, by which rule, and the deciding metric: larger is better.
    sizes
        ``[S]`` training rows, ascending; where folds differ, their mean.
    train, val
        ``[K, S]`` scores; of training, on the rows that were trained on.
    averaging
        How the whole folds are averaged.
    """

    number: int
    step: int
    rule: str
    metric: str
    sizes: tuple[int, ...]
    train: Array
    val: Array
    averaging: Averaging

    def row(self) -> dict[str, Any]:
        """As one JSON object: what is stored as the finding ``learning_curve``."""
        scores = {"train": self.train.tolist(), "val": self.val.tolist()}
        origin = {"number": self.number, "step": self.step, "rule": self.rule}
        row: dict[str, Any] = json_safe(origin | {"metric": self.metric, "sizes": list(self.sizes)} | scores)
        return row

    @property
    def summary(self) -> str:
        """One sentence: whether more rows would help."""
        if len(self.sizes) < 2:
            return "One size says nothing of what more rows would do; pass several."
        before, now = self.sizes[-2:]
        rise = self.averaging.difference(self.val[:, -1], self.val[:, -2])
        step = f"from {before} to {now} rows {self.metric} changes by {format_estimate(rise, '+')}"
        if rise.beyond(CLEAR) and now > before:  # rows are rounded means: close sizes may have the same
            doubled = rise.mean / math.log2(now / before)
            return f"More data would help: {step}, which is {doubled:+.3g} for each doubling."
        if rise.mean > rise.rounding and not rise.mean < rise.se:
            return f"More data might help: {step}."
        return f"More data of this kind would hardly help: {step}."

    def blocks(self) -> Iterator[Block]:
        """The table, and a sentence."""
        train, gap = self.averaging.mean(self.train), self.averaging.mean(self.train - self.val)
        scores = [self.averaging.estimate(self.val[:, s]) for s in range(len(self.sizes))]
        rows = [
            (size, Measured.of(score), float(train[s]), float(gap[s]))
            for s, (size, score) in enumerate(zip(self.sizes, scores, strict=True))
        ]
        yield Table(("rows", self.metric, "train", "gap"), rows, alike=(self.metric, "train"), differences=("gap",))
        yield self.summary


def learning_curve(
    results: Results, chosen: Chosen, setup: Setup, sizes: Sequence[float], progress: Progress
) -> LearningCurve:
    """Fit a chosen config to growing parts of the training rows, and keep that as the finding ``learning_curve``.

    Parameters
    ----------
    results, chosen
        Where the config comes from.
    setup
        The study's problem, folds and metrics.
    sizes
        Shares of each fold's training rows, ascending, in (0, 1].

    Raises
    ------
    InvalidInput
        When the sizes are not that, or the smallest leaves too little to train on.
    SearchFailed
        When the config cannot be fitted to one of the parts.
    """
    folds = training_subsets(
        setup.problem, setup.folds, sizes, setup.seed
    )  # all of them before any fit: what is refused, is now
    scores = []
    try:
        for s, part in enumerate(folds, start=1):
            progress.show(f"learning curve: size {s} of {len(folds)}")
            share = _rows(part) / _rows(setup.folds)
            scores.append(_scores(chosen.config.as_long_on(share), replace(setup, folds=part)))
    finally:
        progress.end()
    train, val = (np.stack(part, axis=1) for part in zip(*scores, strict=True))
    rows = tuple(round(_rows(part)) for part in folds)
    found = LearningCurve(
        chosen.number, chosen.step, chosen.rule, results.metric_label, rows, train, val,
        setup.averaging,
    )  # fmt: skip
    results.store.save_finding(FINDING, found.row())
    return found


def _rows(folds: Folds) -> float:
    """Training rows, mean over folds."""
    return float(np.mean([len(train) for train in folds.train]))


def _scores(config: Any, setup: Setup) -> tuple[Array, Array]:
    """``[K]`` train and validation scores of a filled config on some folds."""
    (outcome,) = config.backend(setup.alone()).stream([Candidate(0, config)])
    if outcome.state != "complete":
        rows = min(len(train) for train in setup.folds.train)
        raise SearchFailed(f"The chosen config could not be fitted to {rows} rows: {outcome.reason}")
    curves = outcome.trajectory.deciding
    return curves.train[:, outcome.step], curves.val[:, outcome.step]


# --- parts of the training rows --------------------------------------------------------------------------------


def training_subsets(problem: Problem, folds: Folds, sizes: Sequence[float], seed: int) -> list[Folds]:
    """Folds with the same validation rows and so large a share of the training rows, for each size.

    Raises
    ------
    InvalidInput
        When the sizes are not ascending shares, or one leaves a fold that cannot be fitted.
    """
    numbers = [float(size) for size in sizes] if _numbers(sizes) else []
    if not numbers or numbers != sorted(set(numbers)) or not 0 < numbers[0] <= numbers[-1] <= 1:
        raise InvalidInput(f"sizes must be ascending shares of the training rows in (0, 1], got {sizes!r}; see SIZES.")
    forward = all(train.max() < val.min() for train, val in zip(folds.train, folds.val, strict=True))
    entries = [
        _latest_first(train) if forward else _at_random(problem, train, np.random.default_rng([seed, k]))
        for k, train in enumerate(folds.train)
    ]
    found = []
    for size in numbers:
        pairs = [(train[entry <= size], val) for train, val, entry in zip(folds.train, folds.val, entries, strict=True)]
        try:
            found.append(make_folds(pairs, problem, seed))
        except InvalidInput as error:
            raise InvalidInput(f"The size {size:g} leaves too little to train on; start with more. {error}") from error
    return found


def _numbers(sizes: Any) -> bool:
    return np.iterable(sizes) and not isinstance(sizes, str) and all(isinstance(size, Real) for size in sizes)


def _latest_first(rows: Rows) -> Array:
    """``[n]``: the share of the rows from which on each is in, the last in time first."""
    return _entry(len(rows) - 1 - rows.argsort().argsort())


def _at_random(problem: Problem, rows: Rows, random: np.random.Generator) -> Array:
    """``[n]``: the share of the rows from which on each is in, by class, or group by group."""
    stratified = problem.classes is not None or problem.tasks
    classes = problem.strata[rows] if stratified else np.zeros(len(rows), dtype=np.intp)
    if problem.groups is not None:
        return _group_by_group(problem.groups[rows], classes, random)
    entry = np.empty(len(rows))
    for one in np.unique(classes):
        here = np.flatnonzero(classes == one)
        entry[here] = _entry(random.permutation(len(here)))
    return entry


def _group_by_group(groups: NDArray[Any], classes: NDArray[Any], random: np.random.Generator) -> Array:
    """``[n]``: as `_at_random`; groups that bring a class which none before them had come first, whatever the size."""
    names, group = np.unique(groups, return_inverse=True)
    entry, seen = np.empty(len(names)), set[int]()
    order = random.permutation(len(names))
    for rank, one in enumerate(order):
        here = set(classes[group == one].tolist())
        entry[one] = 0.0 if here - seen else (rank + 0.5) / len(names)
        seen |= here
    return np.asarray(entry[group])


def _entry(rank: NDArray[np.intp]) -> Array:
    """The share from which on each of n is in, of its rank ``[n]``; the first always is."""
    return np.where(rank == 0, 0.0, (rank + 0.5) / len(rank))
