"""Rows of one fold that train in lockstep: one tensor program for many trials.

R trials share the fold's batches and random numbers; what their configs differ in is a tensor with an entry per row.
Parameters, moments and gradients are flat rows ``[R, P]``, so that Adam is a handful of operations for all of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch.inputs import Array
from regsearch.metrics import Metric
from regsearch.neural.actives import Active, Row, Settings, make_actives
from regsearch.neural.data import Fold
from regsearch.neural.draws import Stream, seed_of
from regsearch.neural.loss import losses
from regsearch.neural.measuring import Evaluator
from regsearch.neural.network import Network
from regsearch.neural.site import Site
from regsearch.neural.technique import Technique

if TYPE_CHECKING:
    import torch

BETAS, EPS = (0.9, 0.999), 1e-8  # of Adam
USUAL = 128  # rows of a batch when nothing is said
AT_ONCE = 2**22  # numbers that are gathered for a whole epoch: more than a cache holds gain nothing


@dataclass(frozen=True)
class Batch:
    """Inputs ``[1, B, ...]``, which may be scaled already, targets ``[1, m, B]`` and weights ``[B]``."""

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    scaled: bool


@dataclass(frozen=True)
class Packed:
    """A block without what its fold and structure say of it."""

    rows: tuple[Row, ...]
    epoch: int
    steps: int
    state: list[Array]


class Stopped(Exception):
    """Training was told to end."""


@dataclass(frozen=True)
class Segment:
    """What some epochs of a block gave; E epochs.

    Attributes
    ----------
    scores
        By part of the fold, ``[metrics, R, E]``, in evaluation mode after each epoch.
    nonzero
        ``[R, E]``: kernels that are not zero.
    weights
        ``[E, R, Q]``: what was evaluated.
    """

    scores: dict[str, Array]
    nonzero: Array
    weights: Array

    @classmethod
    def join(cls, parts: Sequence[Segment]) -> Segment:
        """Rows of several segments, one after another."""
        scores = {part: np.concatenate([one.scores[part] for one in parts], axis=1) for part in parts[0].scores}
        nonzero = np.concatenate([one.nonzero for one in parts])
        return cls(scores, nonzero, np.concatenate([one.weights for one in parts], axis=1))


class Block:
    """R trials on one fold.

    Parameters
    ----------
    rows
        Their configs.
    metrics
        What to follow.
    seed
        The study's.
    stop
        Set to end training at the next batch.
    """

    def __init__(
        self, fold: Fold, network: Network, rows: Sequence[Row], metrics: tuple[Metric, ...], seed: int,
        stop: threading.Event | None = None,
    ) -> None:  # fmt: skip
        import torch

        self.fold, self.network, self.metrics, self.seed = fold, network, metrics, seed
        self.stop = stop or threading.Event()
        self.forward = network.program()
        self.evaluator = Evaluator(fold, network, self.forward)
        self.epoch = self.steps = 0
        self.theta = network.theta.to(fold.data.device, fold.data.dtype).repeat(len(rows), 1)
        self.first, self.second = (torch.zeros_like(self._trainable(self.theta)) for _ in range(2))
        self._bind(rows)
        for active in self.actives:
            active.technique.start(active.v, self.theta)

    def _bind(self, rows: Sequence[Row]) -> None:
        """Take the numbers of the rows' configs."""
        import torch

        options: dict[str, Any] = {"dtype": self.theta.dtype, "device": self.theta.device}
        self.rows = tuple(rows)
        self._gradients = torch.empty_like(self._trainable(self.theta))
        self._filled = [param.view(self._gradients) for param in self.network.layout.weights]
        self._own = self._leaves(self.theta)
        self.lr = torch.tensor([row.lr for row in rows], **options)
        self.horizon = torch.tensor([float(row.horizon) for row in rows], **options)
        settings = Settings(self.network.layout, self.network.places, options)
        self.actives = make_actives(rows, settings)
        self._hooked: dict[str, list[Active]] = {}

    def hooked(self, hook: str) -> list[Active]:
        """The techniques that have a hook."""
        if hook not in self._hooked:
            plain = getattr(Technique, hook)
            self._hooked[hook] = [active for active in self.actives if getattr(active.technique, hook) is not plain]
        return self._hooked[hook]

    def _trainable(self, theta: torch.Tensor) -> torch.Tensor:
        return theta[:, : self.network.layout.trainable]

    # --- rows come and go --------------------------------------------------------------------------------------

    def keep(self, which: Sequence[int]) -> None:
        """Go on with some rows only, in this order."""
        import torch

        index = torch.as_tensor(list(which), device=self.theta.device)
        self.theta, self.first, self.second = (t[index] for t in (self.theta, self.first, self.second))
        old = self.actives
        self._bind([self.rows[i] for i in which])
        self._inherit([(old, index)])

    def split(self) -> tuple[Block, Block]:
        """The first and the second half of the rows."""
        middle = len(self.rows) // 2
        halves = self._copy(), self._copy()
        halves[0].keep(range(middle))
        halves[1].keep(range(middle, len(self.rows)))
        return halves

    def join(self, others: Sequence[Block]) -> None:
        """Take in the rows of blocks of the same fold at the same epoch."""
        self.become([self, *others])

    def become(self, blocks: Sequence[Block]) -> None:
        """Take the rows and the state of blocks that have come equally far."""
        import torch

        self.epoch, self.steps = blocks[0].epoch, blocks[0].steps
        for name in ("theta", "first", "second"):
            setattr(self, name, torch.cat([getattr(block, name) for block in blocks]))
        old = [(block.actives, torch.arange(len(block.rows))) for block in blocks]
        self._bind([row for block in blocks for row in block.rows])
        self._inherit(old)

    def pack(self) -> Packed:
        """The rows and their state, to go on with in another process."""
        return Packed(self.rows, self.epoch, self.steps, [tensor.cpu().numpy() for tensor in self._state()])

    def unpack(self, packed: Packed) -> None:
        """Go on from where the block of these rows was when it was packed."""
        import torch

        self.restore((packed.epoch, packed.steps, [torch.from_numpy(array) for array in packed.state]))

    def snapshot(self) -> tuple[int, int, list[torch.Tensor]]:
        """Epoch, steps and state as they are, whatever becomes of the block."""
        return self.epoch, self.steps, [tensor.clone() for tensor in self._state()]

    def restore(self, snapshot: tuple[int, int, list[torch.Tensor]]) -> None:
        """Go back to a snapshot."""
        self.epoch, self.steps, kept = snapshot
        for tensor, before in zip(self._state(), kept, strict=True):
            tensor.copy_(before)

    def _state(self) -> list[torch.Tensor]:
        """Everything that a step changes, in place."""
        own = [getattr(active.v, name) for active in self.actives for name in active.state]
        return [self.theta, self.first, self.second, *own]

    def _copy(self) -> Block:
        import copy

        made = copy.copy(self)
        made.forward = self.network.program()
        made.evaluator = Evaluator(self.fold, self.network, made.forward)
        made.theta, made.first, made.second = self.theta.clone(), self.first.clone(), self.second.clone()
        return made

    def _inherit(self, old: Sequence[tuple[Sequence[Active], torch.Tensor]]) -> None:
        """Carry the state of techniques over; a row that had none starts with what it has now."""
        for active in self.actives:
            active.technique.start(active.v, self.theta)
            start = 0
            for actives, index in old:
                before = next((one for one in actives if one.key == active.key), None)
                if before is not None:
                    for name in active.state:
                        getattr(active.v, name)[start : start + len(index)] = getattr(before.v, name)[index]
                start += len(index)

    # --- training ----------------------------------------------------------------------------------------------

    def advance(self, to: int, measure: bool = True) -> Segment:
        """Train to an epoch; measure after each epoch, or after the last alone.

        Raises
        ------
        Stopped
            When told to.
        """
        import torch

        scores: list[dict[str, Array]] = []
        nonzero, weights = [], []
        with torch.no_grad():
            while self.epoch < to:
                self._train_epoch()
                if not measure and self.epoch < to:
                    continue
                shown = self.evaluated()
                weights.append(shown.cpu().numpy().copy())
                nonzero.append(self.evaluator.nonzero(shown))
                parts = [part for part, rows in self.fold.parts.items() if len(rows)] if measure else []
                scores.append({part: self.evaluator.measure(shown, part, self.metrics) for part in parts})
        along = {part: np.stack([one[part] for one in scores], axis=2) for part in (scores[0] if scores else {})}
        return Segment(along, np.stack(nonzero, axis=1), np.stack(weights))

    def evaluated(self) -> torch.Tensor:
        """``[R, Q]``: what counts of the rows, which a technique may average."""
        theta = self.theta
        for active in self.hooked("on_evaluate"):
            theta = active.technique.on_evaluate(active.v, theta)
        return theta

    def _train_epoch(self) -> None:
        streams = {active.key: self._stream(active.key) for active in self.actives}
        order = self.fold.rows["train"][self._stream("order").order(self.fold.n)]
        parts = batched(self.fold.n, self.rows[0].batch_size)
        for number, batch in enumerate(self._batches(order, parts)):
            if self.stop.is_set():
                raise Stopped
            self._step(batch, streams, self.epoch + number / len(parts))
        self.epoch += 1

    def _batches(self, order: torch.Tensor, parts: Sequence[slice]) -> Iterator[Batch]:
        """The batches of an epoch, not yet changed by any technique.

        Inputs are gathered and scaled at once where they are few and no technique wants them raw: a batch is a slice.
        """
        data, raw = self.fold.data, self.hooked("on_raw")
        x = None if raw or self.fold.n * math.prod(data.shape) > AT_ONCE else self.fold.scaling.apply(data.take(order))
        y, weight = self.fold.y[:, order][None], self.fold.weight[order]
        for part in parts:
            yield Batch(data.take(order[part]) if x is None else x[:, part], y[:, :, part], weight[part], x is not None)

    def _stream(self, purpose: Any) -> Stream:
        seed = seed_of(self.seed, self.fold.number, self.epoch, purpose)
        return Stream(seed, self.theta.dtype, self.theta.device)

    def _step(self, batch: Batch, streams: dict[Any, Stream], epoch: float) -> None:
        gradient = self._gradient(batch, streams)
        theta = self._trainable(self.theta)
        for active in self.hooked("on_gradient"):
            active.technique.on_gradient(active.v, gradient, theta)
        lr = self.lr
        for active in self.hooked("on_rate"):
            factor = active.technique.on_rate(active.v, epoch, self.horizon)
            lr = lr if factor is None else lr * factor
        self._adam(theta, gradient, lr[:, None])
        for active in self.hooked("on_average"):
            active.technique.on_average(active.v, self.theta)

    def _adam(self, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor) -> None:
        """One step (Kingma and Ba 2015), with what techniques do before and after it."""
        import torch

        self.steps += 1
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        for active in self.hooked("on_step"):
            active.technique.on_step(active.v, theta, lr)
        unbiased = 1 - BETAS[0] ** self.steps, math.sqrt(1 - BETAS[1] ** self.steps)
        scale = self.second.sqrt().add_(EPS * unbiased[1])  # the rates take the rest: one pass over the rows less
        rate = torch.div(lr * unbiased[1], scale, out=scale)
        theta.addcmul_(self.first, rate, value=-1 / unbiased[0])
        for active in self.hooked("on_stepped"):
            active.technique.on_stepped(active.v, theta, rate)

    def _gradient(self, batch: Batch, streams: dict[Any, Stream]) -> torch.Tensor:
        """``[R, P]``: of the loss of a batch, each row's own."""
        import torch

        x, y = self._changed(batch, streams)
        used = theta = self._trainable(self.theta)
        for active in self.hooked("on_weights"):
            used = active.technique.on_weights(active.v, used, streams[active.key])
        if self.network.layout.buffers:
            used = used.clone()  # autograd refuses parameters that share memory with buffers which the pass changes
        views = self._own if used is theta else self._leaves(used)
        leaves = list(views.values())
        views = views | {param.name: param.view(self.theta) for param in self.network.layout.buffers}
        site = Site(self.network.places, self.hooked("on_hidden"), self.hooked("on_activity"), streams)
        with torch.enable_grad():
            out = self.forward(views, x, site, True)
            loss = (losses(self.fold.data.problem.task, out, y) * batch.weight).sum() / len(batch.weight)
            total = sum((term.sum() for term in site.terms), loss)
            found = torch.autograd.grad(total, leaves, materialize_grads=True)
        for place, one in zip(self._filled, found, strict=True):
            place.copy_(one)
        return self._gradients

    def _leaves(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weights of rows ``[R, P]`` or longer by name, as what gradients are taken of."""
        return {param.name: param.view(theta).detach().requires_grad_() for param in self.network.layout.weights}

    def _changed(self, batch: Batch, streams: dict[Any, Stream]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of a batch, scaled and as the techniques change them."""
        x, y = batch.x, batch.y
        for active in self.hooked("on_raw"):
            x = active.technique.on_raw(active.v, x, streams[active.key])
        if not batch.scaled:
            x = self.fold.scaling.apply(x)
        for active in self.hooked("on_batch"):
            x = active.technique.on_batch(active.v, x, streams[active.key])
        for active in self.hooked("on_target"):
            y = active.technique.on_target(active.v, y, streams[active.key], self.fold.data.problem.task)
        return x, y


def batched(n: int, size: int) -> list[slice]:
    """Batches of `size` of n samples; a last one of one sample joins the one before it: it cannot be normalised.

    A size of 0 cuts batches of one size, of about `USUAL`: a few rows more must not mean twice the steps.
    """
    if not size:
        parts = max(1, round(n / USUAL))
        return [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]
    starts = list(range(0, n, size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], n], strict=True)]
