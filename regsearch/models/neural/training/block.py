"""Rows of one fold that train in lockstep: one tensor program for many trials.

R trials share the fold's data, and at one epoch its batches and random numbers; what their configs differ in is a
tensor with an entry per row.
Parameters, moments and gradients are flat rows ``[R, P]``, so that Adam is a handful of operations for all of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from regsearch._types import Array
from regsearch.metrics.scorer import Metric
from regsearch.models.neural.columns import Active, Row, Settings, make_actives
from regsearch.models.neural.network.data import Fold
from regsearch.models.neural.network.evaluator import Evaluator
from regsearch.models.neural.network.hooks import Site
from regsearch.models.neural.network.loss import losses
from regsearch.models.neural.network.network import Network
from regsearch.models.neural.network.phases import Draws, Phase, phases, side_by_side
from regsearch.models.neural.network.streams import Stream, seed_of
from regsearch.models.neural.technique import Technique

if TYPE_CHECKING:
    import torch

BETAS, EPS = (0.9, 0.999), 1e-8  # of Adam
USUAL = 128  # rows of a batch when nothing is said
AT_ONCE = 2**22  # numbers that are gathered for a whole epoch: more than a cache holds gain nothing


@dataclass(frozen=True)
class Batch:
    """Inputs ``[1 or R, B, ...]``, which may be scaled already, targets ``[1 or R, m, B]``, weights ``[1 or R, B]``."""

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    scaled: bool


@dataclass(frozen=True)
class Packed:
    """A block without what its fold and structure say of it."""

    rows: tuple[Row, ...]
    epochs: tuple[int, ...]
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

    Attributes
    ----------
    epochs
        How many each row has trained for.
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
        self.epochs: tuple[int, ...] = (0,) * len(rows)
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
        self.epochs = tuple(self.epochs[i] for i in which)
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
        """Take in the rows of blocks of the same fold."""
        self.become([self, *others])

    def become(self, blocks: Sequence[Block]) -> None:
        """Take the rows and the state of some blocks."""
        import torch

        self.epochs = tuple(epoch for block in blocks for epoch in block.epochs)
        for name in ("theta", "first", "second"):
            setattr(self, name, torch.cat([getattr(block, name) for block in blocks]))
        old = [(block.actives, torch.arange(len(block.rows))) for block in blocks]
        self._bind([row for block in blocks for row in block.rows])
        self._inherit(old)

    def pack(self) -> Packed:
        """The rows and their state, to go on with in another process."""
        return Packed(self.rows, self.epochs, [tensor.cpu().numpy() for tensor in self._state()])

    def unpack(self, packed: Packed) -> None:
        """Go on from where the block of these rows was when it was packed."""
        import torch

        self.restore((packed.epochs, [torch.from_numpy(array) for array in packed.state]))

    def snapshot(self) -> tuple[tuple[int, ...], list[torch.Tensor]]:
        """Epochs and state as they are, whatever becomes of the block."""
        return self.epochs, [tensor.clone() for tensor in self._state()]

    def restore(self, snapshot: tuple[tuple[int, ...], list[torch.Tensor]]) -> None:
        """Go back to a snapshot."""
        self.epochs, kept = snapshot
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

    def advance(self, epochs: int, measure: bool = True) -> Segment:
        """Train for some epochs; measure after each, or after the last alone.

        Raises
        ------
        Stopped
            When told to.
        """
        import torch

        scores: list[dict[str, Array]] = []
        nonzero, weights = [], []
        with torch.no_grad():
            for left in reversed(range(epochs)):
                self._train_epoch()
                if not measure and left:
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
        among = phases(self.epochs)
        draws = {active.key: Draws.of(partial(self._stream, active.key), among) for active in self.actives}
        parts = batched(self.fold.n, self.rows[0].batch_size)
        each = [self._batches(phase, parts) for phase in among]
        for number, batches in enumerate(zip(*each, strict=True)):
            if self.stop.is_set():
                raise Stopped
            x, y, weight = (side_by_side([getattr(b, name) for b in batches], among) for name in ("x", "y", "weight"))
            self._step(Batch(x, y, weight, batches[0].scaled), draws, number, len(parts))
        self.epochs = tuple(epoch + 1 for epoch in self.epochs)

    def _batches(self, phase: Phase, parts: Sequence[slice]) -> Iterator[Batch]:
        """The batches of a phase in an epoch, not yet changed by any technique.

        Inputs are gathered and scaled at once where they are few and no technique wants them raw: a batch is a slice.
        """
        order = self.fold.rows["train"][self._stream("order", phase.epoch).order(self.fold.n)]
        data, raw = self.fold.data, self.hooked("on_raw")
        x = None if raw or self.fold.n * math.prod(data.shape) > AT_ONCE else self.fold.scaling.apply(data.take(order))
        y, weight = self.fold.y[:, order][None], self.fold.weight[order][None]
        for part in parts:
            inputs = data.take(order[part]) if x is None else x[:, part]
            yield Batch(inputs, y[:, :, part], weight[:, part], x is not None)

    def _stream(self, purpose: Any, epoch: int) -> Stream:
        seed = seed_of(self.seed, self.fold.number, epoch, purpose)
        return Stream(seed, self.theta.dtype, self.theta.device)

    def _each(self, number: Callable[[int], float]) -> Any:
        """A number that depends on the epoch: one for all rows where they are at the same, else ``[R]``."""
        if len(set(self.epochs)) == 1:
            return number(self.epochs[0])
        return self.lr.new_tensor([number(epoch) for epoch in self.epochs])

    def _step(self, batch: Batch, draws: Mapping[Any, Draws], number: int, parts: int) -> None:
        """Train on a batch, the one of that number in an epoch of so many parts."""
        gradient = self._gradient(batch, draws)
        theta = self._trainable(self.theta)
        for active in self.hooked("on_gradient"):
            active.technique.on_gradient(active.v, gradient, theta)
        lr, epoch = self.lr, self._each(lambda epoch: epoch + number / parts)
        for active in self.hooked("on_rate"):
            factor = active.technique.on_rate(active.v, epoch, self.horizon)
            lr = lr if factor is None else lr * factor
        steps = self._each(lambda epoch: epoch * parts + number + 1.0)
        steps = steps if isinstance(steps, float) else steps[:, None]
        self._adam(theta, gradient, lr[:, None], (1 - BETAS[0] ** steps, (1 - BETAS[1] ** steps) ** 0.5))
        for active in self.hooked("on_average"):
            active.technique.on_average(active.v, self.theta)

    def _adam(self, theta: torch.Tensor, gradient: torch.Tensor, lr: torch.Tensor, unbiased: tuple[Any, Any]) -> None:
        """One step (Kingma and Ba 2015), with what techniques do before and after it.

        Parameters
        ----------
        lr
            ``[R, 1]``.
        unbiased
            What the moments are divided by to be means, the second's a root; numbers, or ``[R, 1]``.
        """
        import torch

        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        for active in self.hooked("on_step"):
            active.technique.on_step(active.v, theta, lr)
        scale = self.second.sqrt().add_(EPS * unbiased[1])  # the rates take the rest: one pass over the rows less
        rate = torch.div(lr * unbiased[1], scale, out=scale)
        if isinstance(unbiased[0], float):
            theta.addcmul_(self.first, rate, value=-1 / unbiased[0])
        else:
            theta.addcmul_(self.first / -unbiased[0], rate)
        for active in self.hooked("on_stepped"):
            active.technique.on_stepped(active.v, theta, rate)

    def _gradient(self, batch: Batch, draws: Mapping[Any, Draws]) -> torch.Tensor:
        """``[R, P]``: of the loss of a batch, each row's own."""
        import torch

        x, y = self._changed(batch, draws)
        used = theta = self._trainable(self.theta)
        for active in self.hooked("on_weights"):
            used = active.technique.on_weights(active.v, used, draws[active.key])
        if self.network.layout.buffers:
            used = used.clone()  # autograd refuses parameters that share memory with buffers which the pass changes
        views = self._own if used is theta else self._leaves(used)
        leaves = list(views.values())
        views = views | {param.name: param.view(self.theta) for param in self.network.layout.buffers}
        site = Site(self.network.places, self.hooked("on_hidden"), self.hooked("on_activity"), draws)
        with torch.enable_grad():
            out = self.forward(views, x, site, True)
            loss = (losses(self.fold.data.problem.task, out, y) * batch.weight).sum() / batch.weight.shape[1]
            total = sum((term.sum() for term in site.terms), loss)
            found = torch.autograd.grad(total, leaves, materialize_grads=True)
        for place, one in zip(self._filled, found, strict=True):
            place.copy_(one)
        return self._gradients

    def _leaves(self, theta: torch.Tensor) -> dict[str, torch.Tensor]:
        """The weights of rows ``[R, P]`` or longer by name, as what gradients are taken of."""
        return {param.name: param.view(theta).detach().requires_grad_() for param in self.network.layout.weights}

    def _changed(self, batch: Batch, draws: Mapping[Any, Draws]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of a batch, scaled and as the techniques change them."""
        x, y = batch.x, batch.y
        for active in self.hooked("on_raw"):
            x = active.technique.on_raw(active.v, x, draws[active.key])
        if not batch.scaled:
            x = self.fold.scaling.apply(x)
        for active in self.hooked("on_batch"):
            x = active.technique.on_batch(active.v, x, draws[active.key])
        for active in self.hooked("on_target"):
            y = active.technique.on_target(active.v, y, draws[active.key], self.fold.data.problem.task)
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
