"""What the blocks of trials share: data, folds and networks; blocks are made here."""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from regsearch.data.problem import Problem
from regsearch.metrics.scorer import Metric
from regsearch.models.base import Setup
from regsearch.models.class_weight import ClassWeight
from regsearch.models.neural.columns import RowConfig
from regsearch.models.neural.config import NetConfig
from regsearch.models.neural.network.architecture import Architecture
from regsearch.models.neural.network.data import Data, Fold, numeric_columns, scaled_rows
from regsearch.models.neural.network.evaluator import Evaluator
from regsearch.models.neural.network.network import Network, make_network
from regsearch.models.neural.optimizer import Optimizer
from regsearch.models.neural.technique import ProblemInfo
from regsearch.models.neural.techniques.dropout import OwnDropout
from regsearch.models.neural.training.batches import batch_slices
from regsearch.models.neural.training.block import Block
from regsearch.models.neural.training.limits import RowSize, StackLimits
from regsearch.models.preparation import SharedPreparation, behind, prepared
from regsearch.space.tree import number

if TYPE_CHECKING:
    import torch

    from regsearch.data.prepared import PreparedProblem

KEPT = 16  # preparations whose rows are kept
_ELSEWHERE = ("early_stopping", "optimizer")  # slots that are no techniques of a row
ALL_ROWS = -1  # the fold that trains on every row and validates none


@dataclass(frozen=True)
class Structure:
    """What configs must have in common to train together."""

    module: Architecture
    norm: str
    optimizer: type[Optimizer]
    batch_size: int
    scale: str
    class_weight: ClassWeight
    inner: float
    precision: str
    preparation: SharedPreparation | None = None

    @property
    def stacks(self) -> bool:
        return self.module.stacks


def structure_of(config: NetConfig) -> Structure:
    """The structure of a filled config."""
    return Structure(
        config.architecture, config.norm, type(config.optimizer), config.batch, str(config.scale),
        None if config.class_weight == "none" else config.class_weight, config.inner, str(config.precision),
        SharedPreparation.of(config.prepare),
    )  # fmt: skip


class SharedParts:
    """Data, folds and networks, each made once.

    Parameters
    ----------
    limits
        How much trains at a time; `None` for what suits the device.
    """

    def __init__(self, setup: Setup, device: str = "auto", limits: StackLimits | None = None) -> None:
        self.setup, self.stop = setup, threading.Event()
        self.device = device_of(device)
        self.limits = limits or StackLimits.of(self.device)
        self._prepared: dict[tuple[SharedPreparation, bool], PreparedProblem] = {}
        self._data: dict[tuple[object, ...], Data] = {}
        self._folds: dict[tuple[object, ...], Fold] = {}
        self._networks: dict[tuple[Structure, int], Network] = {}

    @property
    def epoch_metrics(self) -> tuple[Metric, ...]:
        """The metrics that are measured after each epoch: the one that decides, and those with a formula."""
        return tuple(metric for i, metric in enumerate(self.setup.metrics) if i == 0 or metric.kernel is not None)

    @property
    def first(self) -> int:
        """The first fold; where there are none, that of all rows."""
        return 0 if len(self.setup.folds) else ALL_ROWS

    def structure(self, config: NetConfig) -> Structure:
        """A config's structure; its network is made, so that what cannot be built says so here."""
        structure = self.on_columns(structure_of(config))
        self.network(structure, self.first)
        return structure

    def on_columns(self, structure: Structure) -> Structure:
        """A structure whose architecture knows the columns of numbers, and what each of several tasks is to say."""
        module = structure.module.on_columns(lambda: numeric_columns(self.data(structure)))
        heads = tuple(one.outputs for one in self.setup.problem.tasks)
        return replace(structure, module=module.on_tasks(heads) if heads else module)

    def data(self, structure: Structure, k: int = 0) -> Data:
        """The rows as fold `k` sees them before they are scaled: alike in all folds, unless they are prepared."""
        import torch

        made, shape = structure.preparation, self._read_as(structure)
        key = (structure.precision, made, shape, 0 if made is None else k)
        if key not in self._data:
            problem = self.setup.problem if made is None else self._problem(made, k)
            self._data[key] = Data(problem, self.device, getattr(torch, structure.precision), shape)
        return self._data[key]

    def _read_as(self, structure: Structure) -> tuple[int, ...] | None:
        """The shape that a row is read as, channels first; `None` for a table."""
        grid = self.setup.problem.grid
        return None if grid is None else structure.module.inputs(grid)

    def _problem(self, made: SharedPreparation, k: int) -> Problem:
        """The rows as they are prepared in fold `k`."""
        folds, rows = self.setup.folds, np.arange(self.setup.problem.rows)
        whole = k == ALL_ROWS or not len(folds)
        if (made, whole) not in self._prepared:
            self._forget()
            train = (rows,) if whole else folds.train
            problem = self.setup.problem
            self._prepared[made, whole] = behind(problem, prepared(made.prepare, problem, train), train)
        return self._prepared[made, whole].fold(0 if whole else k)

    def _forget(self) -> None:
        """Drop the oldest preparation where there are many: trials of it that still train have what they need."""
        while len(self._prepared) >= KEPT:
            oldest = next(iter(self._prepared))
            del self._prepared[oldest]
            self._data = {key: data for key, data in self._data.items() if key[1] != oldest[0]}
            self._folds = {key: fold for key, fold in self._folds.items() if key[1] != oldest[0]}

    def fold(self, structure: Structure, k: int) -> Fold:
        how = (structure.scale, structure.class_weight, structure.inner)
        key = (structure.precision, structure.preparation, self._read_as(structure), *how, k)
        if key not in self._folds:
            folds, n = self.setup.folds, self.setup.problem.rows
            train, val = (folds.train[k], folds.val[k]) if k != ALL_ROWS else (np.arange(n), np.arange(0))
            self._folds[key] = Fold(self.data(structure, k), k, train, val, *how, self.setup.seed)
        return self._folds[key]

    def network(self, structure: Structure, k: int) -> Network:
        if (structure, k) not in self._networks:
            data = self.data(structure, k)
            made = make_network(structure.module, data.shape, data.outputs, structure.norm, self.setup.seed, k)
            structure.module.set_start(made.layout, made.theta, lambda: scaled_rows(self.fold(structure, k)))
            self._networks[structure, k] = made
        return self._networks[structure, k]

    def max_rows(self, structure: Structure) -> int:
        """Rows of a block: as many for one worker as for many, because sums round so."""
        if not structure.stacks:
            return 1
        data, layout = self.data(structure), self.network(structure, self.first).layout
        slices = batch_slices(self.fold(structure, 0).n, structure.batch_size)
        samples = max(part.stop - part.start for part in slices)
        places = structure.module.places(structure.module.inputs(data.shape))
        return self.limits.rows_of(RowSize.of(layout, math.prod(data.shape), places, samples, data.dtype))

    def info(self, structure: Structure) -> ProblemInfo:
        """What techniques may need to know."""
        data, problem = self.data(structure), self.setup.problem
        hidden = self.network(structure, self.first).hidden_layers
        return ProblemInfo(problem.task, data.outputs, hidden, data.shape, data.groups, problem.targets)

    def row_config(self, config: NetConfig, structure: Structure) -> RowConfig:
        """What the training of a row needs of a config."""
        placed = {(slot, pattern): one for slot, pattern, one in config.placed() if slot not in _ELSEWHERE}
        network = self.network(structure, self.first)
        named = [pattern for slot, pattern in placed if slot == "dropout"]
        if network.rates and "" not in named:
            own = zip(network.hidden_layers, network.rates, strict=True)
            left = (0.0 if any(fnmatchcase(name, one) for one in named) else rate for name, rate in own)
            placed["dropout", ""] = OwnDropout(rates=tuple(left))
        optimizer, info = config.optimizer, replace(self.info(structure), horizon=config.horizon)
        return RowConfig(optimizer, number(optimizer.lr), structure.batch_size, config.horizon, placed, info)

    def evaluator(self, structure: Structure, k: int) -> Evaluator:
        """Fold `k` in evaluation mode."""
        network = self.network(structure, k)
        return Evaluator(self.fold(structure, k), network, network.make_forward())

    def block(self, structure: Structure, folds: Sequence[int], rows: Sequence[RowConfig]) -> Block:
        """A block of rows, each on a fold, which may be `ALL_ROWS`."""
        evaluators = {k: self.evaluator(structure, k) for k in dict.fromkeys(folds)}
        setup = self.setup
        return Block(rows, folds, evaluators, self.epoch_metrics, setup.seed, self.stop, setup.deadline)

    def shape(self, structure: Structure, k: int) -> Hashable:
        """What folds must have alike for their rows to share a block: that of several has parts of one size."""
        parts = self.fold(structure, k).parts
        return tuple(map(len, parts.values())) if structure.stacks else k


def device_of(name: str) -> torch.device:
    """The torch device of a name; ``auto`` is a CUDA GPU where there is one."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
