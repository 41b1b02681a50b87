"""Small problems and nets, and blocks of rows that train on them: what techniques are tried on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from regsearch._types import MIXED, Task
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import DEFAULTS, resolve
from regsearch.models.base import Setup
from regsearch.models.neural import MLP, Net
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.techniques.fixed_epochs import FixedEpochs
from regsearch.models.neural.training.block import Block
from regsearch.models.neural.training.segment import Segment
from regsearch.models.neural.training.shared import SharedParts

TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
EPOCHS = 4
LOSSES = DEFAULTS | {"regression": "neg_mean_squared_error"}
IMAGE, SEQUENCE = (2, 6, 6), (2, 12)


@cache
def problem(
    task: str = "regression", n: int = 36, p: int = 5, image: bool = False, sequence: bool = False, **options: Any
) -> Problem:
    """A task that can be learned, ``mixed`` is one of each; ``targets``, ``weighted`` and ``groups`` are options."""
    rng = np.random.default_rng(0)
    shape = IMAGE if image else SEQUENCE if sequence else None
    X = rng.normal(size=(n, *shape)) if shape else rng.normal(size=(n, p)) * rng.uniform(0.5, 2, p) + 1
    flat = X.reshape(n, -1)[:, :5]
    signal = flat @ np.array([1.0, -1.0, 0.5, 0.0, 0.0]) + rng.normal(size=n) / 2
    cuts = {"regression": None, "binary": [0.5], "multiclass": [0.3, 0.6]}.get(task)
    y: Any = 3 * signal + 5 if cuts is None else np.searchsorted(np.quantile(signal, cuts), signal)
    if options.get("targets", 1) > 1:
        y = np.column_stack([y, *(flat[:, i] * 10 - y for i in range(1, options["targets"]))])
    if task == MIXED:
        cuts_of = zip(flat.T, ([0.4], [0.3, 0.6]), strict=False)
        y = np.column_stack([y, *(np.searchsorted(np.quantile(one, by), one) for one, by in cuts_of)])
    groups = np.arange(n) % 6 if options.get("groups") else None
    weight = rng.uniform(0.2, 2, n) if options.get("weighted") else None
    return make_problem(X, y, groups=groups, sample_weight=weight, task=[*TASKS] if task == MIXED else None)


@cache
def setup(task: str = "regression", scoring: Any = None, **options: Any) -> Setup:
    """Three folds of a problem with these options."""
    return setup_for(problem(task, **options), scoring)


def setup_for(made: Problem, scoring: Any = None, **options: Any) -> Setup:
    """Three folds of a problem, by default scored by the loss that nets train by."""
    return Setup(made, make_folds(3, made, 0), resolve(scoring or LOSSES[made.task], made), **options)


def net(module: Any = None, **options: Any) -> Net:
    """A tiny net in float64 that trains for a few epochs; the last batch of a fold is short."""
    given: dict[str, Any] = {"lr": 0.02, "batch_size": 7, "precision": "float64", "device": "cpu"}
    if "optimizer" in options:  # which has a rate of its own
        del given["lr"]
    given["early_stopping"] = FixedEpochs(EPOCHS)
    return Net(module or MLP((6, 5)), **(given | options))


def module_for(of: Setup) -> MLP:
    """A tiny perceptron that reads a problem's axes as they are meant."""
    grid = of.problem.grid
    return MLP((6, 5), dims=2 if grid is None else len(grid) - 1)


def block(of: Setup, configs: Sequence[Net], k: int = 1) -> Block:
    """A block of rows with these configs, which must have one structure."""
    shared = shared_parts(of)
    (structure,) = {shared.structure(config) for config in configs}
    return shared.block(structure, [k] * len(configs), [shared.row_config(config, structure) for config in configs])


def fold(of: Setup, k: int = 1, **options: Any) -> Fold:
    """A fold as a net with these options sees it."""
    shared = shared_parts(of)
    return shared.fold(shared.structure(net(**options)), k)


def train(of: Setup, configs: Sequence[Net], epochs: int = EPOCHS, k: int = 1) -> Segment:
    """What some epochs of a new block give."""
    return block(of, configs, k).advance(epochs)


def shared_parts(of: Setup) -> SharedParts:
    """The setup's shared parts, made once: they keep nothing that training changes."""
    if id(of) not in _SHARED:
        _SHARED[id(of)] = of, SharedParts(of)
    return _SHARED[id(of)][1]


_SHARED: dict[int, tuple[Setup, SharedParts]] = {}
