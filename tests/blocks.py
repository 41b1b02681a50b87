"""Small problems, nets and blocks that the tests of the neural backend share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from regsearch._types import Task
from regsearch.data.folds import make_folds
from regsearch.data.problem import Problem, make_problem
from regsearch.metrics.scorer import resolve
from regsearch.models.base import Setup
from regsearch.models.neural import MLP, Net, techniques
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.technique import ProblemInfo, Stopping, Technique
from regsearch.models.neural.training.block import Block, Segment
from regsearch.models.neural.training.shared import SharedParts
from regsearch.space.domains import Between, OneOf, Whole
from regsearch.space.tree import Choice, Float, Leaf

TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
EPOCHS = 4
IMAGE = (2, 6, 6)


@cache
def problem(task: str = "regression", n: int = 36, p: int = 5, image: bool = False, **options: Any) -> Problem:
    """A task that can be learned; ``targets`` and ``weighted`` are further options."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, *IMAGE)) if image else rng.normal(size=(n, p)) * rng.uniform(0.5, 2, p) + 1
    flat = X.reshape(n, -1)[:, :5]
    signal = flat @ np.array([1.0, -1.0, 0.5, 0.0, 0.0]) + rng.normal(size=n) / 2
    cuts = {"regression": None, "binary": [0.5], "multiclass": [0.3, 0.6]}[task]
    y: Any = 3 * signal + 5 if cuts is None else np.searchsorted(np.quantile(signal, cuts), signal)
    if options.get("targets", 1) > 1:
        y = np.column_stack([y, flat[:, 1] * 10 - y])
    return make_problem(X, y, sample_weight=rng.uniform(0.2, 2, n) if options.get("weighted") else None)


@cache
def setup(task: str = "regression", scoring: Any = None, **options: Any) -> Setup:
    return setup_for(problem(task, **options), scoring)


def setup_for(made: Problem, scoring: Any = None, **options: Any) -> Setup:
    return Setup(made, make_folds(3, made, 0), resolve(scoring, made), **options)


def net(module: Any = None, **options: Any) -> Net:
    """A tiny net in float64 that trains for a few epochs; the last batch of a fold is short."""
    given: dict[str, Any] = {"lr": 0.02, "batch_size": 7, "precision": "float64", "device": "cpu"}
    given["early_stopping"] = techniques.FixedEpochs(EPOCHS)
    return Net(module or MLP((6, 5)), **(given | options))


def block(of: Setup, configs: Sequence[Net], k: int = 1) -> Block:
    """A block of rows with these configs, which must have one structure."""
    shared = shared_of(of)
    (structure,) = {shared.structure(config) for config in configs}
    return shared.block(structure, k, [shared.row_config(config, structure) for config in configs])


def shared_of(of: Setup) -> SharedParts:
    """The setup's shared parts, made once: it keeps nothing that training changes."""
    if id(of) not in _SHARED:
        _SHARED[id(of)] = of, SharedParts(of)
    return _SHARED[id(of)][1]


_SHARED: dict[int, tuple[Setup, SharedParts]] = {}


def train(of: Setup, configs: Sequence[Net], epochs: int = EPOCHS, k: int = 1) -> Segment:
    return block(of, configs, k).advance(epochs)


def fold(of: Setup, k: int = 1, **options: Any) -> Fold:
    shared = shared_of(of)
    return shared.fold(shared.structure(net(**options)), k)


def named(segment: Segment, of: Setup, config: Net, row: int = 0, epoch: int = -1) -> dict[str, torch.Tensor]:
    """The parameters of a row after an epoch, by name."""
    shared = shared_of(of)
    layout = shared.network(shared.structure(config), 0).layout
    return {name: view[0] for name, view in layout.views(torch.from_numpy(segment.weights[epoch, row][None])).items()}


# --- techniques ------------------------------------------------------------------------------------------------

TECHNIQUES = tuple(getattr(techniques, name) for name in techniques.__all__)
TRAINING = tuple(cls for cls in TECHNIQUES if not issubclass(cls, Stopping))  # the others are the trainer's business
STACKED = tuple(cls for cls in TRAINING if not cls.structural)
PLACES = [(cls, slot) for cls in STACKED for slot in cls.slots]


def info(task: str, image: bool = False) -> ProblemInfo:
    return ProblemInfo(task, {"multiclass": 3}.get(task, 1), IMAGE if image else None, ("hidden0", "hidden1"))  # type: ignore[arg-type]


def fits(cls: type[Technique], task: str, image: bool = False) -> bool:
    """Whether a technique has a meaning for a task."""
    from regsearch import InvalidInput

    try:
        some(cls, 0).check(info(task, image))
    except InvalidInput:
        return False
    return True


def setups(cls: type[Technique], **options: Any) -> Iterator[Setup]:
    """A small problem for every task that a technique fits; of tables if it fits them."""
    for task in TASKS:
        image = not fits(cls, task)
        if fits(cls, task, image):
            yield setup(task, image=image, **options)


def fields(cls: type[Technique]) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


def bounds(field: dataclasses.Field[Any]) -> tuple[float, float]:
    """The usual range of a number."""
    default, domain = field.default, field.metadata["domain"]
    if isinstance(default, Float):
        return default.low, default.high
    if isinstance(default, Choice):
        return min(default.options), max(default.options)
    return max(domain.low, 0.0), min(domain.high, 1.0)


def some(cls: type[Technique], seed: int) -> Any:
    """A filled technique at random, with every field inside its usual range; some of several are off."""
    rng = np.random.default_rng(seed)
    several = sum(field.metadata["off"] is not None for field in fields(cls).values()) > 1
    values: dict[str, Any] = {}
    for name, field in fields(cls).items():
        domain = field.metadata["domain"]
        if isinstance(domain, OneOf):
            values[name] = str(rng.choice(domain.names))
        elif isinstance(domain, Whole):
            values[name] = int(rng.integers(domain.low, domain.low + 4))
        else:
            assert isinstance(domain, Between)
            values[name] = float(rng.uniform(*bounds(field)))
            if several and field.metadata["off"] is not None and rng.random() < 0.4:
                values[name] = field.metadata["off"]
    return cls(**values)


def strong(cls: type[Technique]) -> Any:
    """A filled technique as far from where it is off as is usual."""
    values = {}
    for name, field in fields(cls).items():
        off = field.metadata["off"]
        if off is not None:
            low, high = bounds(field)
            values[name] = low if off > high else high
        elif isinstance(field.default, Leaf):
            values[name] = field.default.initial()
    return cls(**values)
