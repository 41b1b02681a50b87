"""Rows that train in lockstep: one tensor program for many trials.

Rows of one fold share its data, and at one epoch its batches and random numbers; what their configs differ in is a
tensor with an entry per row. Parameters, moments and gradients are flat rows ``[R, P]``. A step computes the rows of
all folds at once: each has the batch of its own where there are several, whose parts must have as many samples.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regsearch._types import Array
from regsearch.metrics.scorer import Metric
from regsearch.models.deadline import Deadline
from regsearch.models.neural.columns import ActiveTechniques, RowConfig
from regsearch.models.neural.network.data import Data
from regsearch.models.neural.network.evaluator import Evaluator
from regsearch.models.neural.network.network import Network
from regsearch.models.neural.network.streams import EpochGroup, RandomStream, RandomStreams, epoch_groups, seed_of
from regsearch.models.neural.training.batches import Batch, batch_slices, epoch_batches
from regsearch.models.neural.training.gradient import LossGradient
from regsearch.models.neural.training.segment import Segment, as_long, no_decisions
from regsearch.models.neural.training.statistics import with_statistics
from regsearch.models.out_of_fold import steps_kept

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BlockState:
    """A block without what its folds and structure say of it: what another process needs to go on with it."""

    rows: tuple[RowConfig, ...]
    folds: tuple[int, ...]
    epochs: tuple[int, ...]
    arrays: list[Array]


class Stopped(Exception):
    """Training ends because `stop` is set."""


class Block:
    """R rows, each a trial on a fold.

    Parameters
    ----------
    rows
        Their configs.
    folds
        The number of each row's fold.
    evaluators
        Of these folds, by number.
    metrics
        What to follow.
    seed
        The study's.
    stop
        Set to end training at the next batch.
    deadline
        Ends it at the next epoch.

    Attributes
    ----------
    theta
        ``[R, Q]``: parameters and buffers.
    epochs
        How many each row has trained for.
    """

    def __init__(
        self, rows: Sequence[RowConfig], folds: Sequence[int], evaluators: Mapping[int, Evaluator],
        metrics: tuple[Metric, ...], seed: int, stop: threading.Event | None = None,
        deadline: Deadline | None = None,
    ) -> None:  # fmt: skip
        import torch

        self.metrics, self.seed = metrics, seed
        self.stop, self.deadline = stop or threading.Event(), deadline or Deadline()
        self.evaluators, self.folds = dict(evaluators), tuple(folds)
        self.epochs: tuple[int, ...] = (0,) * len(rows)
        starts = {k: one.network.theta.to(self.data.device, self.data.dtype) for k, one in self.evaluators.items()}
        self.theta = torch.stack([starts[k] for k in self.folds])
        self._bind(rows)
        for active in self.techniques.with_hook("on_start"):
            active.technique.on_start(active.v, self.theta)
        self.techniques.init_state(self.theta)

    def _bind(self, rows: Sequence[RowConfig]) -> None:
        """Take the numbers of the rows' configs; `theta` is theirs already."""
        import torch

        options: dict[str, Any] = {"dtype": self.theta.dtype, "device": self.theta.device}
        self.rows = tuple(rows)
        self.lr = torch.tensor([row.lr for row in rows], **options)
        self.horizon = torch.tensor([float(row.horizon) for row in rows], **options)
        self.techniques = ActiveTechniques(rows, self.network.layout, options)
        self.techniques.init_state(self.theta)
        self._gradient = LossGradient(self.data.parts, self.network, self._any.forward, self.techniques, self.theta)

    @property
    def _any(self) -> Evaluator:
        """One of the folds' evaluators, for what all of them have alike."""
        return next(iter(self.evaluators.values()))

    @property
    def data(self) -> Data:
        return self._any.fold.data

    @property
    def network(self) -> Network:
        """Of one of the folds: but for where they start, they are alike."""
        return self._any.network

    @property
    def _trainable(self) -> torch.Tensor:
        return self.theta[:, : self.network.layout.trainable]

    # --- rows come and go --------------------------------------------------------------------------------------

    def keep(self, which: Sequence[int]) -> None:
        """Go on with some rows only, in this order."""
        import torch

        index = torch.as_tensor(list(which), device=self.theta.device)
        self.theta = self.theta[index]
        self.epochs, self.folds = (tuple(numbers[i] for i in which) for numbers in (self.epochs, self.folds))
        before = self.techniques
        self._bind([self.rows[i] for i in which])
        self.techniques.inherit_state([(before, index)])

    def split(self) -> tuple[Block, Block]:
        """The first and the second half of the rows."""
        middle = len(self.rows) // 2
        halves = self._copy(), self._copy()
        halves[0].keep(range(middle))
        halves[1].keep(range(middle, len(self.rows)))
        return halves

    def join(self, others: Sequence[Block]) -> None:
        """Take in the rows of blocks of the same structure, whose folds have as many samples."""
        self.become([self, *others])

    def become(self, blocks: Sequence[Block]) -> None:
        """Take the rows and the state of some blocks."""
        import torch

        self.epochs = tuple(epoch for block in blocks for epoch in block.epochs)
        self.folds = tuple(fold for block in blocks for fold in block.folds)
        self.evaluators = {k: one for block in reversed(blocks) for k, one in block.evaluators.items()}
        self.theta = torch.cat([block.theta for block in blocks])
        before = [(block.techniques, torch.arange(len(block.rows))) for block in blocks]
        self._bind([row for block in blocks for row in block.rows])
        self.techniques.inherit_state(before)

    def pack(self) -> BlockState:
        """The rows and their state, to go on with in another process."""
        return BlockState(self.rows, self.folds, self.epochs, [tensor.cpu().numpy() for tensor in self._state()])

    def unpack(self, packed: BlockState) -> None:
        """Go on from where the block of these rows was when it was packed."""
        import torch

        self.restore((packed.epochs, [torch.from_numpy(array) for array in packed.arrays]))

    def snapshot(self) -> tuple[tuple[int, ...], list[torch.Tensor]]:
        """Epochs and state as they are, whatever becomes of the block."""
        return self.epochs, [tensor.clone() for tensor in self._state()]

    def restore(self, snapshot: tuple[tuple[int, ...], list[torch.Tensor]]) -> None:
        """Go back to a snapshot."""
        self.epochs, tensors = snapshot
        for tensor, before in zip(self._state(), tensors, strict=True):
            tensor.copy_(before)

    def _state(self) -> list[torch.Tensor]:
        """Everything that a step changes, in place."""
        return [self.theta, *self.techniques.state()]

    def _copy(self) -> Block:
        """A block to keep some rows of; until then it shares its state with this one."""
        made = copy.copy(self)
        made.evaluators = {k: one.copy() for k, one in self.evaluators.items()}
        return made

    # --- training ----------------------------------------------------------------------------------------------

    def advance(self, epochs: int, measure: bool = True) -> Segment:
        """Train for some epochs, or until the deadline; measure after each, or after the last alone.

        Raises
        ------
        Stopped
            When `stop` is set.
        """
        import torch

        scores: list[dict[str, Array]] = []
        nonzero, weights, nets, decisions, recorded = [], [], [], [], []
        keeps = steps_kept(self.data.problem.rows, self.data.outputs) > 0
        with torch.no_grad():
            for remaining in reversed(range(epochs)):
                if self.deadline.passed():
                    break
                self._train_epoch()
                if not measure and remaining:
                    continue
                theta, count = self.evaluated()
                weights.append(theta.to("cpu", copy=True).numpy())
                nets.append(count)
                nonzero.append(self._any.nonzero(self._counted(theta)))
                measured, decided = self._measured(theta, count, keeps) if measure else ({}, no_decisions(len(theta)))
                scores.append(measured)
                decisions.append(decided)
                recorded.append(self._recorded())
        if not weights:
            return Segment.none(*self.theta.shape)
        along = {part: np.stack([one[part] for one in scores], axis=2) for part in (scores[0] if scores else {})}
        return Segment(
            along, np.stack(nonzero, axis=1), np.stack(as_long(weights)), np.stack(nets, axis=1),
            self.theta.shape[1], np.stack(decisions),
            {slot: np.stack([one[slot] for one in recorded], axis=1) for slot in recorded[0]},
        )  # fmt: skip

    def _measured(
        self, theta: torch.Tensor, nets: NDArray[np.int64], keeps: bool
    ) -> tuple[dict[str, Array], NDArray[np.float32]]:
        """Scores ``[metrics, R]`` of rows by part, and their decisions ``[R, n_val, m]`` where they are kept."""
        found = []
        for k, where in self._rows_by_fold().items():
            rows = theta if len(where) == len(theta) else theta[where]
            kept: list[NDArray[np.float32]] = []
            measure, parts = partial(self.evaluators[k].measure, rows), self.evaluators[k].fold.parts
            scores = {
                part: measure(part, self.metrics, kept if keeps and part == "val" else None, nets[where].tolist())
                for part, samples in parts.items() if len(samples)
            }  # fmt: skip
            found.append((where, scores, np.concatenate(kept, axis=1) if kept else no_decisions(len(rows))))
        if len(found) == 1:
            return found[0][1], found[0][2]
        back = np.argsort(np.concatenate([where for where, _, _ in found]))
        scores = {part: np.concatenate([one[part] for _, one, _ in found], axis=1)[:, back] for part in found[0][1]}
        return scores, np.concatenate([decisions for _, _, decisions in found])[back]

    def _rows_by_fold(self) -> dict[int, list[int]]:
        """Which rows are of a fold."""
        found: dict[int, list[int]] = {}
        for i, k in enumerate(self.folds):
            found.setdefault(k, []).append(i)
        return found

    def evaluated(self) -> tuple[torch.Tensor, NDArray[np.int64]]:
        """What counts of the rows ``[R, S Q]``, which a technique may average, and of how many nets ``[R]`` each is."""
        import torch

        theta, nets = self._averaged(), np.ones(len(self.rows), np.int64)
        for active in self.techniques.with_hook("on_members"):
            members, count = active.technique.on_members(active.v, theta)
            nets = count.cpu().numpy()
            most = int(nets.max())
            inside = torch.arange(most, device=theta.device) < count[:, None]
            theta = members[:, :most].where(inside[:, :, None], 0.0).flatten(1)
        return theta, nets

    def _counted(self, theta: torch.Tensor) -> torch.Tensor:
        """Nets of rows ``[R, S Q]`` without what does not count in how large they are."""
        nets = theta.view(-1, self.theta.shape[1])
        for active in self.techniques.with_hook("on_count"):
            nets = active.technique.on_count(active.v, nets)
        return nets.view(len(theta), -1)

    def _averaged(self) -> torch.Tensor:
        theta = self.theta
        for active in self.techniques.with_hook("on_evaluate"):
            theta = active.technique.on_evaluate(active.v, theta)
        for active in self.techniques.with_hook("on_statistics"):
            theta = self._with_statistics(theta, active.technique.on_statistics(active.v))
        return theta

    def _with_statistics(self, theta: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Rows ``[R, Q]``, some of them ``[R]`` with running statistics of their own."""
        made = theta.clone()
        for k, where in self._rows_by_fold().items():
            chosen = [i for i in where if which[i]]
            if chosen:
                rows = with_statistics(self.evaluators[k], theta[chosen], self.rows[0].batch_size, self.seed)
                made[chosen] = rows
        return made

    def _train_epoch(self) -> None:
        for step in self.steps():
            if self.stop.is_set():
                raise Stopped
            step()
        self.epochs = tuple(epoch + 1 for epoch in self.epochs)
        for active in self.techniques.with_hook("on_epoch"):
            active.technique.on_epoch(active.v, self.theta, self.lr.new_tensor(self.epochs), self.horizon)
        following = self.techniques.with_hook("on_losses")
        losses = [self._losses(part) for part in ("train", "inner")] if following else []
        for active in following:
            active.technique.on_losses(active.v, *losses)

    def _losses(self, part: str) -> torch.Tensor:
        """``[R]``: by the loss that nets train by, of the weights as they are."""
        found = self.lr.clone()
        for k, where in self._rows_by_fold().items():
            found[where] = self.evaluators[k].loss(self.theta[where], part).to(found)
        return found

    def _recorded(self) -> dict[str, Array]:
        """By slot, what techniques have kept of the last epoch ``[R]``."""
        import torch

        following = self.techniques.with_hook("on_record")
        kept = {active.key[0]: active.technique.on_record(active.v) for active in following}
        return {slot: factor.to("cpu", torch.float64, copy=True).numpy() for slot, factor in kept.items()}

    def steps(self) -> Iterator[partial[None]]:
        """What trains on each batch of the next epoch, in turn."""
        groups = epoch_groups(self.folds, self.epochs)
        streams = {one.key: RandomStreams.of(partial(self._stream, one.key), groups) for one in self.techniques}
        slices = batch_slices(self._any.fold.n, self.rows[0].batch_size)
        raw, folds = bool(self.techniques.with_hook("on_raw")), {k: one.fold for k, one in self.evaluators.items()}
        batches = epoch_batches(folds, groups, slices, partial(self._stream, "order"), raw)
        for number, batch in enumerate(batches):
            yield partial(self._step, batch, streams, number, len(slices))

    def _stream(self, purpose: Any, group: EpochGroup) -> RandomStream:
        seed = seed_of(self.seed, group.fold, group.epoch, purpose)
        return RandomStream(seed, self.theta.dtype, self.theta.device)

    def _step(self, batch: Batch, streams: Mapping[Any, RandomStreams], number: int, count: int) -> None:
        """Train on a batch, the one of that number in an epoch of `count`."""
        epoch = self._by_epoch(lambda epoch: epoch + number / count)
        self.techniques.schedule(epoch, self.horizon)
        gradient = self._gradient(batch, streams)
        theta = self._trainable
        for active in self.techniques.with_hook("on_gradient"):
            active.technique.on_gradient(active.v, gradient, theta, streams[active.key])
        lr = self.lr
        for active in self.techniques.with_hook("on_rate"):
            factor = active.technique.on_rate(active.v, epoch, self.horizon)
            lr = lr if factor is None else lr * factor
        steps = self._by_epoch(lambda epoch: epoch * count + number + 1.0)
        self.techniques.move(theta, gradient, lr[:, None], steps if isinstance(steps, float) else steps[:, None])
        for active in self.techniques.with_hook("on_average"):
            active.technique.on_average(active.v, self.theta)

    def _by_epoch(self, number: Callable[[int], float]) -> Any:
        """A number that depends on the epoch: one for all rows where they are at the same, else ``[R]``."""
        if len(set(self.epochs)) == 1:
            return number(self.epochs[0])
        return self.lr.new_tensor([number(epoch) for epoch in self.epochs])
